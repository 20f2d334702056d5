//! A world in virtual time: one relay, its sockets as a table, and its clients.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    missing_docs,
    reason = "shared by several test binaries, each using a part"
)]

mod client;
mod seeds;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use rand::{SeedableRng, rngs::StdRng};
use turn_auth::{Credentials, NonceKey, Secret};
use turn_proto::{
    Access, Action, BindFailure, Config, ConnectionId, DefaultFamily, Event, External, Guard,
    Lifetimes, Limits, LinkId, Now, Output, Passed, Path, PeerPolicy, Relay, RelayAddresses,
    RelayChoice, RelayId, Reply, Reported, Shared,
};
use turn_wire::{HEADROOM, TAILROOM};

pub use self::{
    client::{Answer, Client, udp},
    seeds::{each_seed, seed_of_today},
};

pub const REALM: &str = "test.org";
pub const SECRET: &[u8] = b"a shared secret";
pub const START: u64 = 1_700_000_000;
pub const SERVER: &str = "198.51.100.1:3478";
pub const PORTS: std::ops::RangeInclusive<u16> = 50_000..=50_019;

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Settings that the tests start from: two users, a secret, an IPv4 and an IPv6 relay address.
pub fn config() -> Config {
    let credentials = Credentials::new(REALM)
        .with_user("ann", "secret of ann")
        .with_user("bob", "secret of bob")
        .with_secret(Secret::new(SECRET.to_vec()));
    Config {
        credentials: Arc::new(credentials),
        access: Access::Authenticated,
        nonce_key: NonceKey::new([7; 16]),
        nonce_lifetime: Duration::from_secs(600),
        relays: RelayAddresses {
            addresses: vec![
                address("198.51.100.1:0").ip(),
                "2001:db8::1".parse().unwrap(),
            ],
            choice: RelayChoice::SameAsServer,
        },
        externals: Vec::new(),
        default_family: DefaultFamily::V4,
        lifetimes: Lifetimes::default(),
        limits: Limits::default(),
        peers: PeerPolicy {
            own: vec![
                address("198.51.100.1:0").ip(),
                "2001:db8::1".parse().unwrap(),
            ],
            relays: vec![
                address("198.51.100.1:0").ip(),
                "2001:db8::1".parse().unwrap(),
            ],
            allow_private: true,
            ..PeerPolicy::default()
        },
        guard: Guard::default(),
        channel_numbers: 0x4000..=0x4FFF,
        binding: true,
        binding_needs_credentials: false,
        discovery: None,
        turn: true,
        udp_relay: true,
        mobility: true,
        tcp_relay: true,
        alternates: Default::default(),
        reasons: false,
        mapped_address: false,
        classic_stun: false,
        always_fingerprint: false,
        software: None,
        reported: Reported::default(),
    }
}

/// What came of a client's packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got {
    Nothing,
    Reply(Vec<u8>),
    ToPeer {
        from: SocketAddr,
        to: SocketAddr,
        payload: Vec<u8>,
    },
}

/// What goes from one worker to another.
pub enum Mail {
    Message(turn_proto::Message),
    Parcel(Box<turn_proto::Parcel>, Vec<SocketAddr>),
}

pub struct World {
    pub relay: Relay,
    pub shared: Arc<Shared>,
    pub config: Arc<Config>,
    pub now: Duration,
    pub unix_offset: i64,
    /// Relay sockets as the driver has them.
    pub bound: BTreeMap<RelayId, SocketAddr>,
    pub events: Vec<Event>,
    /// Packets for allocations of this or another worker.
    pub passed: Vec<Passed>,
    pub closed_links: Vec<LinkId>,
    /// What time-outs have sent.
    pub late_answers: Vec<(Path, Vec<u8>)>,
    /// Connections to peers as the driver has them: where from, where to.
    pub connections: BTreeMap<ConnectionId, (SocketAddr, SocketAddr)>,
    /// Streams to be joined with connections, and the workers that have those.
    pub joins: Vec<(LinkId, ConnectionId, u16)>,
    /// Which relay sockets listen for connections.
    pub listening: BTreeSet<RelayId>,
    /// Streams that belong to an allocation beyond what events tell.
    pub occupied: BTreeMap<LinkId, bool>,
    /// What is under way to other workers.
    pub mail: VecDeque<(u16, Mail)>,
    /// Packets that have come back from other workers.
    pub returned: VecDeque<(Path, Vec<u8>)>,
    /// Whether the last datagram to a peer must not be fragmented.
    pub dont_fragment: bool,
    /// Sockets that are kept for reservations.
    pub kept: BTreeSet<SocketAddr>,
    /// What other programs hold.
    pub taken: BTreeSet<SocketAddr>,
    /// How the next binds fail.
    pub failures: VecDeque<BindFailure>,
    /// Whether binds are left unanswered, and which those are.
    pub hold_binds: bool,
    pub held: Vec<(RelayId, SocketAddr)>,
    /// Where a driver that chooses for itself binds next, and the address that it says clients are told.
    pub places: VecDeque<(SocketAddr, SocketAddr)>,
    /// The keys that the driver finds when it is asked, and for whom it was.
    pub known: BTreeMap<String, Vec<u8>>,
    pub asked: Vec<String>,
}

impl World {
    pub fn new(config: Config) -> Self {
        Self::with_quotas(config, 0, 0)
    }

    pub fn with_quotas(config: Config, per_user: u32, total: u32) -> Self {
        let shared = Shared::new(&config.relays.addresses, PORTS, per_user, total);
        Self::sharing(config, shared, 0)
    }

    pub fn sharing(config: Config, shared: Arc<Shared>, worker: u16) -> Self {
        let config = Arc::new(config);
        let sockets = shared.multiplex.iter().flat_map(|held| held.sockets());
        let bound = (0..).zip(sockets);
        let bound = bound.map(|(place, (local, _))| (RelayId::shared(place), local));
        let bound = bound.collect();
        let rng = StdRng::seed_from_u64(u64::from(worker) + 42);
        Self {
            relay: Relay::new(Arc::clone(&config), Arc::clone(&shared), worker, rng),
            shared,
            config,
            now: Duration::from_secs(1000),
            unix_offset: 0,
            bound,
            events: Vec::new(),
            passed: Vec::new(),
            closed_links: Vec::new(),
            late_answers: Vec::new(),
            connections: BTreeMap::new(),
            joins: Vec::new(),
            listening: BTreeSet::new(),
            occupied: BTreeMap::new(),
            mail: VecDeque::new(),
            returned: VecDeque::new(),
            dont_fragment: false,
            kept: BTreeSet::new(),
            taken: BTreeSet::new(),
            failures: VecDeque::new(),
            hold_binds: false,
            held: Vec::new(),
            places: VecDeque::new(),
            known: BTreeMap::new(),
            asked: Vec::new(),
        }
    }

    pub fn now(&self) -> Now {
        let unix = (START + self.now.as_secs())
            .checked_add_signed(self.unix_offset)
            .unwrap_or(0);
        Now {
            mono: self.now,
            unix,
        }
    }

    /// Lets time pass, waking the relay when it wants to be woken.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.relay.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.relay.on_timeout(self.now());
            let answers = self.drain();
            self.late_answers.extend(answers);
        }
        self.now = end;
    }

    pub fn send(&mut self, path: &Path, packet: &[u8]) -> Got {
        let bound = self.bound.clone();
        let now = self.now();
        let mut output = self.relay.on_client(now, path, packet);
        if let Output::NeedsKey { username } = output {
            let key = self.known.get(&*username).map(Vec::as_slice);
            output = self.relay.on_client_with_key(now, path, packet, key);
            self.asked.push(username.into());
        }
        let got = match output {
            Output::NeedsKey { .. } => panic!("asks twice"),
            Output::Nothing => Got::Nothing,
            Output::Reply(bytes) => Got::Reply(bytes.to_vec()),
            Output::ToPeer {
                relay,
                to,
                range,
                dont_fragment,
            } => {
                self.dont_fragment = dont_fragment;
                Got::ToPeer {
                    from: bound[&relay],
                    to,
                    payload: packet[range].to_vec(),
                }
            }
        };
        let mut answers = self.drain();
        match (got, answers.pop()) {
            (Got::Nothing, Some((to, bytes))) => {
                assert_eq!(to, *path);
                assert!(answers.is_empty());
                Got::Reply(bytes)
            }
            (got, None) => got,
            (got, Some(_)) => panic!("two answers to one packet: {got:?}"),
        }
    }

    /// A datagram from a peer to a relayed address: what reaches which client.
    pub fn peer_sends(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
    ) -> Option<(Path, Vec<u8>)> {
        let relay = *self.bound.iter().find(|(_, local)| **local == to)?.0;
        let mut buf = vec![0xEE; HEADROOM + payload.len() + TAILROOM];
        buf[HEADROOM..HEADROOM + payload.len()].copy_from_slice(payload);
        let range = HEADROOM..HEADROOM + payload.len();
        let out = self.relay.on_peer(self.now(), relay, from, &mut buf, range);
        assert!(self.drain().is_empty());
        out.map(|out| (out.path, buf[out.range].to_vec()))
    }

    /// A packet that was passed to an allocation here: what reaches its client.
    pub fn take_passed(&mut self, passed: &Passed) -> Option<(Path, Vec<u8>)> {
        let mut buf = vec![0xEE; HEADROOM + passed.payload.len() + TAILROOM];
        let range = HEADROOM..HEADROOM + passed.payload.len();
        buf[range.clone()].copy_from_slice(&passed.payload);
        let out = self.relay.on_passed(self.now(), passed, &mut buf, range);
        assert!(self.drain().is_empty());
        out.map(|out| (out.path, buf[out.range].to_vec()))
    }

    pub fn drain(&mut self) -> Vec<(Path, Vec<u8>)> {
        let mut answers = Vec::new();
        while let Some(action) = self.relay.poll() {
            match action {
                Action::Send { path, bytes } => answers.push((path, bytes)),
                Action::Bind { relay, local, .. } if self.hold_binds => {
                    self.held.push((relay, local));
                }
                Action::Bind {
                    relay,
                    local,
                    with_next,
                } => self.bind(relay, local, with_next),
                Action::Release { claim } => {
                    let local = claim.address().unwrap();
                    assert!(self.kept.remove(&local), "releases what is not kept");
                }
                Action::Unbind { relay } => {
                    self.listening.remove(&relay);
                    let unbound = self.bound.remove(&relay);
                    assert!(unbound.is_some(), "unbinds what is not bound");
                }
                Action::Listen { relay, local } => {
                    self.listening.insert(relay);
                    self.bind(relay, local, false);
                }
                Action::Connect {
                    connection,
                    relay,
                    local,
                    peer,
                } => {
                    assert_eq!(self.bound[&relay], local);
                    let earlier = self.connections.insert(connection, (local, peer));
                    assert!(earlier.is_none(), "reuses a live connection id");
                }
                Action::Join {
                    link,
                    connection,
                    worker,
                } => self.joins.push((link, connection, worker)),
                Action::Disconnect { connection } => assert!(
                    self.connections.remove(&connection).is_some(),
                    "closes what is not open"
                ),
                Action::PassOn(passed) => self.passed.push(passed),
                Action::Occupied { link, occupied } => {
                    self.occupied.insert(link, occupied);
                }
                Action::Post { worker, message } => {
                    self.mail.push_back((worker, Mail::Message(message)));
                }
                Action::HandOver {
                    worker,
                    relays,
                    parcel,
                } => {
                    let socket = |relay| self.bound.remove(relay).expect("a bound socket");
                    let sockets = relays.iter().map(socket).collect();
                    self.mail.push_back((worker, Mail::Parcel(parcel, sockets)));
                }
                Action::Serve { path, packet } => self.returned.push_back((path, packet)),
                Action::CloseLink { link } => self.closed_links.push(link),
                Action::Event(event) => self.events.push(event),
            }
        }
        answers
    }

    pub fn bind(&mut self, relay: RelayId, local: SocketAddr, with_next: bool) {
        let next = SocketAddr::new(local.ip(), local.port() + u16::from(with_next));
        let taken = self.taken.contains(&local) || self.taken.contains(&next);
        let in_use = taken.then_some(BindFailure::InUse);
        let reply = match self.failures.pop_front().or(in_use) {
            None if !self.places.is_empty() => {
                let (local, relayed) = self.places.pop_front().unwrap();
                self.bound.insert(relay, local);
                Reply::BoundAt {
                    relay,
                    local,
                    relayed,
                }
            }
            Some(cause) => Reply::BindFailed { relay, cause },
            None => {
                self.kept.remove(&local);
                if with_next {
                    assert!(self.kept.insert(next), "keeps {next} twice");
                }
                assert!(
                    !self.bound.values().any(|held| *held == local),
                    "binds {local} twice"
                );
                assert!(
                    self.bound.insert(relay, local).is_none(),
                    "reuses a live relay id"
                );
                Reply::Bound { relay }
            }
        };
        self.relay.on_reply(self.now(), reply);
    }
}

/// A 1:1 NAT in front of both relay addresses.
pub fn behind_nat() -> Config {
    let mut config = config();
    let local = config.relays.addresses[0];
    config.externals = vec![External {
        local,
        public: "192.0.2.99".parse().unwrap(),
    }];
    config
}
