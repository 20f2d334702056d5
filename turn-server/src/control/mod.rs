//! Control of a running server over a Unix socket: what `turnctl` asks, and what it is answered.
//!
//! None of this is on the way of a packet: a worker answers by its mailbox, between two of its turns, and looks at a bounded
//! number of sessions each time. A client that sends nonsense, or does not read its answers, holds up its own connection.

pub mod answer;
mod desk;
pub mod protocol;
mod serve;
mod sessions;
mod socket;

pub(crate) use desk::{Desk, Order, What};
pub(crate) use serve::serve;
pub(crate) use socket::ControlSocket;
