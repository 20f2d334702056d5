//! The relay inside another program: clients and peers are reached through `webrtc_util::Conn`, users and relay addresses
//! come from the `turn` crate's traits, and everything runs as tasks of the program's own tokio runtime.
//!
//! In here: tasks, buffers, and the way between the crate's interfaces and the state machine. Not in here: any rule of the
//! protocol (`turn-proto`), and the threads of the daemon (`turn-io`), which are the faster way where sockets are real.
//!
//! # Tasks
//!
//! Each listening conn has a [`listener::Listener`] with a state machine of its own behind a mutex that is held for one
//! packet's decision, never across an `await`. One task reads what clients send, one per relay reads what peers send, one
//! waits for time-outs; who has read a packet also sends what becomes of it. So nothing queues here: a conn that cannot be
//! written to holds up its reader, and datagrams are lost where they always are, before they are read.
//!
//! Whatever may take long is its own task, bounded in number: looking up keys, binding relays, closing them, and telling
//! the program of ended allocations.

mod api;
mod builder;
mod clients;
mod closed;
mod core;
mod engine;
mod keys;
mod listener;
mod notices;
mod places;
mod relays;

pub(crate) use builder::Embedding;
pub(crate) use engine::Engine;
