//! Clients over streams: the connections of one worker and how long they may stay without an allocation.
//!
//! ```text
//! socket ─ bytes ─ frames ─ messages      bytes.rs is where TLS comes between the socket and the frames
//! ```
//!
//! Not in here: accepting, and asking the state machine (`worker/`).

mod backlog;
mod bytes;
mod connection;
mod idle;
mod table;

pub(crate) use connection::{Connection, Intake};
pub(crate) use table::Streams;
