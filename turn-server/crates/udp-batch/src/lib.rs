//! Datagrams in batches: many packets per system call, in buffers that are allocated once.
//!
//! In here: an [`Arena`] of receive slots filled by `recvmmsg`, a [`Sender`] that hands batches to `sendmmsg`, and a plain
//! `recvfrom`/`sendto` fallback behind the same calls. Not in here: sockets (callers open, bind and close them), readiness,
//! queues, and any knowledge of what the bytes mean.
//!
//! This is the only crate of the workspace with `unsafe` code, in six files: `memory` (the slots), `linux` (the batched calls), `plain` (one cast),
//! `errors` (one call), `options` (one call) and `descriptor` (one call).
//!
//! # No datagram is ever truncated
//!
//! Every slot holds [`MAX_DATAGRAM`] bytes, more than UDP can carry, instead of an MTU and a second chance for the rare
//! rest: a relay must pass a 65,507-byte datagram whole, and a check for `MSG_TRUNC` would only tell that it is already lost.
//! The room is virtual: the kernel backs a page when it is first written. Measured with 128 slots, 8.3 MiB reserved: 0.7 MiB
//! are resident after datagrams of 1,200 bytes in every slot, and all of it only after a datagram of full size in every
//! slot (`tests/memory.rs` holds these bounds). Where transparent huge pages are forced on all memory, all is resident at
//! once; that is per arena, hence per worker, and never grows.
//!
//! # Trains
//!
//! Datagrams of one flow that come close together pass the system as one, at the price of one: received as one (`UDP_GRO`), where
//! the network card or the sender's own machine has coupled them, and sent as one (`UDP_SEGMENT`). Bounded by what UDP's length field
//! can say, and by 64 datagrams.
//!
//! # Sockets
//!
//! Calls never block, whatever the socket's mode. IPv6 sockets are expected to be `IPV6_V6ONLY`: addresses are passed on as the
//! kernel gives them, and a v4-mapped one would not be unmapped.
#![deny(unsafe_code)]

mod arena;
#[cfg(target_os = "linux")]
mod control;
mod descriptor;
mod errors;
#[cfg(target_os = "linux")]
mod linux;
mod memory;
#[cfg(target_os = "linux")]
mod name;
mod options;
mod plain;
mod sender;

pub use arena::{Arena, Datagrams, MAX_DATAGRAM, Slot};
pub use descriptor::duplicate;
pub use errors::{IcmpError, next_icmp_error};
pub use options::{IpVersion, may_fragment, take_trains, tell_icmp_errors, tell_traffic_class};
pub use sender::{Outgoing, SendReport, Sender, Trains};

/// Which system calls move the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// `recvmmsg` and `sendmmsg`; the same as [`Backend::Plain`] where the system is not Linux.
    Batched,
    /// One `recvfrom` or `sendto` per packet; for other systems, and for sandboxes that forbid the batched calls.
    Plain,
}

impl Backend {
    /// Asks the running kernel, once, whether it takes the batched calls.
    pub fn detect() -> Self {
        #[cfg(target_os = "linux")]
        if linux::is_supported() {
            return Self::Batched;
        }
        Self::Plain
    }
}
