//! Clients over DTLS (RFC 7350 §4, RFC 8656 §3.1): associations of one worker, from a first hello to the last record.
//!
//! ```text
//! datagram ─ route: hello? ─ cookie (nothing is kept) ─ association: engine ─ message
//!                 └ known client ──────────────────────────┘
//! ```
//!
//! The engine is `dimpl`, which owns no socket and no clock. Before it stands an exchange of cookies of our own (RFC 6347
//! §4.2.1) with one key for all clients, since the engine's begins with state for each sender: a source that has not shown
//! that it receives what is sent to it costs a hash, is sent less than it has sent, and leaves nothing behind.
//!
//! Served is DTLS 1.2. Who offers 1.3 as well gets 1.2; who offers nothing else gets no further than the cookie.
//!
//! Not in here: sockets, and asking the state machine (`worker/`).

mod association;
mod cookie;
mod hello;
mod provider;
#[cfg(test)]
mod provider_tests;
#[cfg(test)]
mod random_tests;
mod records;
#[cfg(test)]
mod records_tests;
mod settings;
mod table;

pub(crate) use association::{Broken, Polled, Stage, Ticket};
pub(crate) use cookie::Cookies;
pub(crate) use records::is_dtls;
pub use settings::Dtls;
pub(crate) use table::{Associations, Begun, Refused, Routed};
