//! Many processes as one service: any number of them behind any load balancer, over Redis.
//!
//! # The mechanism
//! The hub is pure: the same steps at the same times make the same state of it, wherever they are done. So nothing is divided
//! among the nodes and nothing is owned. All of them have a replica of the one hub, and all read the same log, a Redis stream:
//!
//! ```text
//!  client ── node A ──XADD──▶ ┌ log ──────────────────────────┐ ──XREAD──▶ A: step, events of A's connections go out
//!                             │ A: connect · A: join · B: tell │ ──XREAD──▶ B: step, events of B's connections go out
//!  client ── node B ──XADD──▶ └───────────────────────────────┘ ──XREAD──▶ C: step
//! ```
//!
//! A node does nothing to its hub by itself: it writes what its connections do into the log and does what it reads there.
//! The stream's order is the order in which things happened, and the millisecond in an entry's id is the hub's time. Events to
//! connections of others come to nothing, because each node has outboxes for its own only. Everything that needs agreement
//! elsewhere (who has an id, who came first into a room, whether the call was answered or cancelled first) is settled by that order.
//!
//! * **Death.** A node writes a beat every second. One from which nothing was read for `replica::SILENCE` of the log's time has
//!   lost all its connections, and since that follows from the log alone, everybody concludes it at the same place. Clients
//!   connect elsewhere and take up their rooms and calls within the grace period, as after any lost connection. So a dead
//!   node costs what its sockets still held, and no call.
//! * **Coming in.** A new node writes that it is here; the first of those that have the state puts a snapshot as of that entry
//!   under a key of its own, from where the newcomer reads on in the log. Nobody waits meanwhile. If the log says that nobody has
//!   the state, because all who wrote lately ask for it as well, the first of them declares its own.
//! * **Redis away.** A node that cannot reach it goes on alone after `link::PATIENCE`: it does its steps itself, and remote
//!   connections stay in its hub as they were, so that nobody's call ends because of it. What is told to them is lost.
//! * **Redis back.** Whoever comes back takes a snapshot like any newcomer and then writes what its connections hold, in one
//!   entry that everybody merges (`hub/merge.rs`). If nobody has the state, because all were alone or Redis came back empty,
//!   one of them declares its own to be everybody's; of two, the later one in the log.
//! * **Records.** All see a call end and remember that; the first of them records it (`calllog`) and writes that it did, so that they
//!   forget it. When it dies before, the next one records it. A record's name follows from the call, so that one is there once.
//! * **Much at once.** What waits for Redis is bounded, and so are an entry and the log: beyond, a node goes on alone, and one that is
//!   behind comes in anew.
//! * **Exactly once.** Entries are numbered by their writer. One that may or may not have arrived is written again, and read once.
//!
//! # What it costs
//! Every node does everybody's steps and knows everybody's users: what is divided is what weighs, sockets, TLS and JSON. A step
//! takes a microsecond or two, so that the fleet's limit is what one core steps through and one Redis passes on. A
//! message takes a round trip to Redis longer than within one process. All nodes have to know the same rules: they are
//! started with the same options, of which the first node's count, and a change of what is in the log changes `entry::VERSION`.
//!
//! A node that is cut off for longer than the silence and the grace period together (24 s), while its clients stay connected to it,
//! has lost them for the others, whose calls with them end.
//!
//! In: `entry` (what is in the log), `replica` (what reading it does), `desk` (a node's own part), `lately` and `trail` (who is in the
//! log, and how much of it is kept), all pure; `resp` (Redis's protocol), `client` (a connection to it), `link` and `coming` (what goes
//! over that), `post` (what is between link and desk). Not in: outboxes and the lock (`switchboard.rs`).

mod client;
mod coming;
pub(crate) mod desk;
pub(crate) mod entry;
mod lately;
pub(crate) mod link;
pub(crate) mod post;
pub(crate) mod replica;
mod resp;
#[cfg(test)]
mod stand_in;
#[cfg(test)]
mod tests;
mod trail;

use std::fmt;
use std::time::Duration;

pub use client::RedisAddress;

use crate::hub::Name;

/// What makes a process a node of a fleet.
#[derive(Clone)]
pub struct Fleet {
    /// Where the nodes meet.
    pub redis: RedisAddress,
    /// What this one is called; no two that live at the same time may have the same name.
    pub node: Name,
}

/// The id of an entry in the log: milliseconds since 1970 by Redis's clock, and a number within them.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
pub(crate) struct LogId {
    millis: u64,
    number: u64,
}

impl LogId {
    fn parse(bytes: &[u8]) -> Option<LogId> {
        let (millis, number) = std::str::from_utf8(bytes).ok()?.split_once('-')?;
        Some(LogId {
            millis: millis.parse().ok()?,
            number: number.parse().ok()?,
        })
    }

    /// The time of the log.
    pub(crate) fn time(self) -> Duration {
        Duration::from_millis(self.millis)
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.number)
    }
}
