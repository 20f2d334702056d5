//! The TURN/STUN server as a state machine (RFC 8489, RFC 8656): packets and time in, decisions out.
//!
//! In here: authentication of requests, allocations, permissions, channels, lifetimes, quotas, the peer policy.
//! Not in here: sockets, clocks, threads, global randomness (a lint bans them), wire formats (`turn-wire`) and
//! credentials as such (`turn-auth`).
//!
//! # The driver's side of the contract
//!
//! One [`Relay`] belongs to one worker and is driven by it alone:
//!
//! 1. Every input (`on_client`, `on_peer`, `on_reply`, `on_link_closed`, `on_command`, `on_timeout` and those of
//!    RFC 6062, `on_peer_connection`, `on_join`, `on_connection_closed`) carries [`Now`].
//! 2. What an input returns is acted on at once: it borrows the relay or the packet.
//! 3. After every input, [`Relay::poll`] is called until it yields `None`, before the next input. An [`Action::Bind`],
//!    [`Action::Listen`] and [`Action::Connect`] is answered by [`Relay::on_reply`], which is an input as well. A driver that chooses addresses and ports by itself takes
//!    the one in the action for a name, and answers with [`Reply::BoundAt`]; it need not answer at once.
//! 4. [`Output::NeedsKey`] leaves the packet with the driver, which comes back with it and the key. So what waits for a
//!    database is bounded where it waits, and one machine serves users from a file, a program or a server alike.
//! 5. [`Relay::on_timeout`] is called when [`Relay::poll_timeout`] has passed, at the latest before the next packet.
#![forbid(unsafe_code)]

mod allocation;
mod auth;
mod caps;
mod client_lists;
mod config;
mod conform;
mod connections;
mod discovery;
mod external;
mod guard;
mod handle;
mod handover;
mod histogram;
mod icmp;
mod identify;
mod limits;
mod meter;
mod mobility;
mod multiplex;
mod neighbours;
mod network;
mod password_algorithms;
mod peer;
mod peer_connection;
mod peer_side;
mod peers;
mod ports;
mod quota;
mod recent;
mod redirect;
mod reject;
mod relay;
mod relayed;
mod reply_limit;
mod reservation;
mod respond;
mod resting;
mod room;
mod scope;
mod session_key;
mod sessions;
mod shared;
mod sharing;
mod slab;
mod sorted_map;
mod stats;
mod timers;
mod types;

pub use caps::{CapCounters, Capped, Caps, Good, Holder};
pub use client_lists::{ClientLists, Listeners};
pub use config::{
    Access, Config, DefaultFamily, Lifetimes, Limits, RelayAddresses, RelayChoice, Reported,
};
pub use discovery::{DiscoveryAddress, NatDiscovery};
pub use external::External;
pub use guard::{CredentialExpiry, Guard};
pub use handover::{Flow, RelayedRecord, SessionRecord};
pub use histogram::{Bounds, Histogram, Tally};
pub use multiplex::{Member, Multiplex};
pub use neighbours::{Message, Parcel};
pub use peer::{Nat64Prefix, PeerAddr, PeerIp};
pub use peer_connection::Share;
pub use peers::{IpRange, PeerDenied, PeerPolicy};
pub use ports::{PortClaim, PortPool};
pub use quota::{ConnectionTicket, Quotas};
pub use redirect::{Alternate, Alternates};
pub use relay::Relay;
pub use reply_limit::ReplyLimit;
pub use scope::Scope;
pub use session_key::{KeyOrigin, SessionSecret};
pub use sessions::{At, PeerView, Piece, Selection, SessionView};
pub use shared::Shared;
pub use stats::{ERROR_CODES, METHODS, SESSION_BYTES, SESSION_TIMES, Stats, Traffic};
pub use types::{
    Action, Admin, BindFailure, ConnectionId, EndReason, Event, IcmpReport, LinkId, Now, Output,
    Passed, Path, RelayId, Reply, Secured, SessionId, ToClient, Transport,
};
