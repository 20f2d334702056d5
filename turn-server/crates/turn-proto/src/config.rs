//! What the state machine is told once, and again when the operator reloads.

use std::{fmt, net::IpAddr, ops::RangeInclusive, sync::Arc, time::Duration};

use turn_auth::{Credentials, NonceKey};

use crate::{Alternates, External, Guard, NatDiscovery, PeerPolicy};

/// Settings of a relay.
pub struct Config {
    /// Whom to believe, and the realm.
    pub credentials: Arc<Credentials>,
    /// Whether credentials are asked for.
    pub access: Access,
    /// The key of nonces.
    pub nonce_key: NonceKey,
    /// How long a nonce is good; zero is for ever.
    pub nonce_lifetime: Duration,
    /// Where relay sockets are bound.
    pub relays: RelayAddresses,
    /// How relay addresses are known outside.
    pub externals: Vec<External>,
    /// The family of a relayed address when the client names none.
    pub default_family: DefaultFamily,
    /// How long things live.
    pub lifetimes: Lifetimes,
    /// How much one allocation may hold.
    pub limits: Limits,
    /// Which peers may be reached.
    pub peers: PeerPolicy,
    /// What keeps strangers and the greedy in check.
    pub guard: Guard,
    /// The channel numbers that may be bound (RFC 8656 §12; RFC 5766 allowed more).
    pub channel_numbers: RangeInclusive<u16>,
    /// Whether Binding requests are answered.
    pub binding: bool,
    /// Whether Binding requests need credentials.
    pub binding_needs_credentials: bool,
    /// The sockets of NAT behaviour discovery (RFC 5780), if it is on.
    pub discovery: Option<NatDiscovery>,
    /// Whether TURN methods are answered.
    pub turn: bool,
    /// Whether UDP allocations are made.
    pub udp_relay: bool,
    /// Whether TCP allocations are made (RFC 6062).
    pub tcp_relay: bool,
    /// Where clients are sent instead of being served.
    pub alternates: Alternates,
    /// Whether errors say in words what their number means.
    pub reasons: bool,
    /// Whether Binding answers have MAPPED-ADDRESS besides XOR-MAPPED-ADDRESS.
    pub mapped_address: bool,
    /// Whether Binding requests of RFC 3489, which have no magic cookie, are answered.
    pub classic_stun: bool,
    /// Whether clients get tickets with which they move to another 5-tuple (RFC 8016).
    pub mobility: bool,
    /// Whether FINGERPRINT is always sent; otherwise it mirrors the request.
    pub always_fingerprint: bool,
    /// What SOFTWARE says in success responses, if it is sent.
    pub software: Option<String>,
    /// What is told to the log besides sessions.
    pub reported: Reported,
}

/// What is told to the log besides sessions: one event for each request, which nobody needs who does not read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// Answered Binding requests.
    pub bindings: bool,
    /// Peers that clients may talk to.
    pub peers: bool,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Most of it is secret or long: nothing of it belongs into a log.
        f.debug_struct("Config").finish_non_exhaustive()
    }
}

/// Whether credentials are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The long-term credential mechanism (RFC 8489 §9.2).
    Authenticated,
    /// The same, and the driver is asked for the keys of users that [`Config::credentials`] does not know.
    Asked,
    /// Anybody may relay. Dangerous on a public address.
    Anonymous,
}

/// Where relay sockets are bound.
#[derive(Clone, Debug)]
pub struct RelayAddresses {
    /// The addresses, all of this machine.
    pub addresses: Vec<IpAddr>,
    /// Which of them a client gets.
    pub choice: RelayChoice,
}

/// Which relay address a client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayChoice {
    /// The one that the client has reached the server by, else the first of the family.
    SameAsServer,
    /// One after the other, from a random start.
    RoundRobin,
}

/// The family of a relayed address when the client names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultFamily {
    /// IPv4 where an IPv4 relay exists (RFC 8656 §7.2), else IPv6.
    V4,
    /// IPv6 where an IPv6 relay exists, else IPv4.
    V6,
    /// That of the client's own address where a relay of it exists.
    Keep,
}

/// How long things live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// An allocation whose client names no lifetime, or a shorter one (RFC 8656 §3.2: 600 s).
    pub allocation_default: Duration,
    /// The longest that a client gets.
    pub allocation_max: Duration,
    /// A permission (RFC 8656 §9: 300 s).
    pub permission: Duration,
    /// A channel binding (RFC 8656 §12: 600 s).
    pub channel: Duration,
    /// A reserved port that nobody has taken up (RFC 8656 §7.2: at least 30 s).
    pub reservation: Duration,
    /// The time that a peer has to accept a connection (RFC 6062 §5.2: at least 30 s).
    pub connect: Duration,
    /// A connection with a peer that its client has not bound yet (RFC 6062 §5.2, §5.3: 30 s).
    pub connection_bind: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            allocation_default: Duration::from_secs(600),
            allocation_max: Duration::from_secs(3600),
            permission: Duration::from_secs(300),
            channel: Duration::from_secs(600),
            reservation: Duration::from_secs(30),
            connect: Duration::from_secs(30),
            connection_bind: Duration::from_secs(30),
        }
    }
}

/// How much one allocation may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Permissions; coturn's cap is 1024.
    pub permissions: usize,
    /// Channels.
    pub channels: usize,
    /// Connections with peers (RFC 6062), each of which takes two descriptors.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            permissions: 1024,
            channels: 1024,
            connections: 256,
        }
    }
}
