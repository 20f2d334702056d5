//! TCP relaying (RFC 6062): connections with peers, and clients' data connections joined to them.
//!
//! ```text
//! client ─ Bytes ─ pump ─ socket ─ peer      one pump each way, each with a bounded backlog
//! ```
//!
//! Nothing is read from a side before the other has taken what came earlier, so a slow reader slows its writer down, and no
//! connection holds more than one read of each side. Before its client's half has come, nothing is read from a peer at all:
//! what it sends waits in the kernel's buffer (§5.2).
//!
//! Not in here: which connections there may be (`turn-proto`).

mod connection;
mod listeners;
mod pump;
mod table;

pub(crate) use connection::{ClientSide, DataConnection};
pub(crate) use listeners::PeerListeners;
pub(crate) use table::{DataConnections, Half};
