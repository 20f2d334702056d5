//! Clients over streams: the connections of one worker and how long they may stay without an allocation.
//!
//! ```text
//! socket ─ bytes (plain, or secure.rs: TLS) ─ frames ─ messages
//! ```
//!
//! Not in here: accepting, and asking the state machine (`worker/`).

mod backlog;
mod bytes;
mod connection;
mod http;
mod idle;
mod openings;
mod proxy;
#[cfg(test)]
mod proxy_tests;
mod secure;
mod table;

pub(crate) use backlog::Backlog;
pub(crate) use bytes::{
    Bytes, Entrance, Incoming, Stage, none_if_full, read_plain, retry_interrupted,
};
pub(crate) use connection::{Connection, Intake};
pub use http::HttpAnswers;
pub(crate) use idle::{Found, Idle};
pub(crate) use openings::Openings;
pub(crate) use table::Streams;
