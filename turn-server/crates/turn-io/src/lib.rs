//! The drivers: threads that own sockets and one state machine each, and carry packets between the two.
//!
//! In here: listening sockets, relay sockets, TCP connections, readiness, batching, clocks, the handle that stops workers and
//! reads their counters. Not in here: any decision about a packet (`turn-proto`), any wire format (`turn-wire`, of which only
//! framing is used), any system call in batches (`udp-batch`), and text settings.
//!
//! # A worker
//!
//! One thread, which owns one `SO_REUSEPORT` socket per configured address, its TCP connections, every relay socket it
//! binds, and one [`turn_proto::Relay`]. The data path takes no lock and, once warm, allocates nothing per packet.
//!
//! ```text
//! wait for readiness ─ read the clock, once ─ timers that are due
//!   └ each ready socket, in turn: receive a batch into arena slots ─ ask the state machine ─ queue by destination
//!       └ slots used up, or the turn over: one sendmmsg per destination socket ─ slots free again
//! ```
//!
//! Readiness is edge triggered: a batch that came back short means that the socket was drained; a full one keeps the socket
//! on the list of ready ones, behind all others, so that none starves another. A turn serves a bounded number of packets, so
//! that commands and timers do not starve either.
//!
//! UDP may lose packets, so nothing waits and nothing grows: what the kernel or a slow TCP client does not take is dropped
//! and counted ([`Counters`]).
#![forbid(unsafe_code)]

mod bind;
mod clock;
mod colleagues;
mod config;
mod counters;
mod data;
mod device;
mod doors;
mod dtls;
mod endpoints;
mod error;
mod guest;
mod handle;
mod inherited;
mod kept_sockets;
mod listener;
mod mailbox;
mod opening;
mod outbox;
mod relay_sockets;
mod source;
mod start;
mod streams;
mod tls;
mod worker;

pub use config::{Config, FailureHook, Listening, Spoken, Tuning};
pub use counters::{Counters, DEPTHS, Stats, TURN_TIMES};
pub use device::Device;
pub use dtls::Dtls;
pub use endpoints::Endpoints;
pub use error::StartError;
pub use guest::{Guest, GuestHook};
pub use handle::{WorkerFailure, Workers};
pub use inherited::Inherited;
pub use opening::{Opening, Turned};
pub use start::start;
pub use streams::HttpAnswers;
pub use tls::{Tls, TlsError, TlsMaterial, TlsPart};
pub use udp_batch::Backend;
