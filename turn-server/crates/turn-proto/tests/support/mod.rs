//! A world in virtual time: one relay, its sockets as a table, clients that know the long-term mechanism.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "shared by several test binaries, each using a part"
)]

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rand::{SeedableRng, rngs::StdRng};
use turn_auth::{Credentials, LongTermKey, NonceKey, Secret};
use turn_proto::{
    Access, Action, BindFailure, Config, ConnectionId, DefaultFamily, Event, External, Guard,
    Lifetimes, Limits, LinkId, Now, Output, Passed, Path, PeerPolicy, Relay, RelayAddresses,
    RelayChoice, RelayId, Reply, Reported, Shared, Transport,
};
use turn_wire::{
    Class, HEADROOM, IntegrityKey, MessageView, Method, Packet, RequestBuilder, TAILROOM,
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

pub struct Client {
    pub path: Path,
    pub username: String,
    pub key: IntegrityKey,
    pub nonce: Vec<u8>,
    pub realm: String,
    pub fingerprint: bool,
    next: u64,
}

impl Client {
    pub fn new(address: &str, username: &str, password: &str) -> Self {
        let key = LongTermKey::derive(username, REALM, password);
        Self {
            path: udp(address),
            username: username.into(),
            key: IntegrityKey::new(key.as_bytes()),
            nonce: Vec::new(),
            realm: REALM.into(),
            fingerprint: false,
            next: 0,
        }
    }

    pub fn ann(address: &str) -> Self {
        Self::new(address, "ann", "secret of ann")
    }

    pub fn bob(address: &str) -> Self {
        Self::new(address, "bob", "secret of bob")
    }

    /// A client with a time-limited credential.
    pub fn timed(address: &str, user: &str, ttl: u64, world: &World) -> Self {
        let minted = turn_auth::rest::mint(SECRET, user, ttl, world.now().unix, ':');
        Self::new(address, &minted.username, &minted.password)
    }

    pub fn over(mut self, transport: Transport, link: u32) -> Self {
        (self.path.transport, self.path.link) = (transport, LinkId(link));
        self
    }

    pub fn id(&mut self) -> [u8; 12] {
        self.next += 1;
        let mut id = [0xA5; 12];
        id[..8].copy_from_slice(&self.next.to_be_bytes());
        id[8..10].copy_from_slice(&self.path.client.port().to_be_bytes());
        id
    }

    /// Signs a request with the nonce at hand.
    pub fn sign(&self, request: RequestBuilder) -> Vec<u8> {
        let request = request
            .username(&self.username)
            .realm(&self.realm)
            .nonce(&self.nonce);
        request.finish(Some(&self.key), self.fingerprint)
    }

    /// Asks without credentials for a nonce.
    pub fn challenge(&mut self, world: &mut World) -> Answer {
        let packet = RequestBuilder::new(Method::ALLOCATE, self.id())
            .requested_transport(17)
            .finish(None, false);
        let answer = Answer::of(world.send(&self.path, &packet));
        self.nonce = answer.attribute(0x0015).unwrap_or_default();
        answer
    }

    /// Sends a signed request, getting a nonce first if there is none.
    pub fn ask(
        &mut self,
        world: &mut World,
        method: Method,
        build: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Answer {
        if self.nonce.is_empty() {
            assert_eq!(self.challenge(world).code(), Some(401));
        }
        let id = self.id();
        let packet = self.sign(build(RequestBuilder::new(method, id)));
        let answer = Answer::of(world.send(&self.path, &packet));
        assert_eq!(answer.view().transaction_id(), id);
        assert_eq!(answer.view().method(), method);
        answer
    }

    /// Makes an allocation and returns its relayed address.
    pub fn allocate(&mut self, world: &mut World) -> SocketAddr {
        let answer = self.ask(world, Method::ALLOCATE, |request| {
            request.requested_transport(17)
        });
        assert!(answer.signed_by(&self.key));
        answer.relayed()
    }

    pub fn permit(&mut self, world: &mut World, peer: &str) -> Answer {
        self.ask(world, Method::CREATE_PERMISSION, |request| {
            request.xor_peer_address(address(peer))
        })
    }

    pub fn bind(&mut self, world: &mut World, number: u16, peer: &str) -> Answer {
        let build = |request: RequestBuilder| {
            request
                .channel_number(number)
                .xor_peer_address(address(peer))
        };
        self.ask(world, Method::CHANNEL_BIND, build)
    }

    pub fn refresh(&mut self, world: &mut World, lifetime: u32) -> Answer {
        self.ask(world, Method::REFRESH, |request| request.lifetime(lifetime))
    }

    pub fn send_indication(&mut self, world: &mut World, peer: &str, data: &[u8]) -> Got {
        let send = RequestBuilder::indication(Method::SEND, self.id());
        world.send(
            &self.path,
            &send
                .xor_peer_address(address(peer))
                .data(data)
                .finish(None, false),
        )
    }

    pub fn channel_data(&mut self, world: &mut World, number: u16, data: &[u8]) -> Got {
        let mut frame = number.to_be_bytes().to_vec();
        frame.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        frame.extend(data);
        world.send(&self.path, &frame)
    }
}

pub fn udp(client: &str) -> Path {
    Path {
        transport: Transport::Udp,
        link: LinkId(0),
        client: address(client),
        server: address(SERVER),
    }
}

/// A response, read by its bytes and not by the code that wrote it.
#[derive(Debug, Clone)]
pub struct Answer {
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn of(got: Got) -> Self {
        let Got::Reply(bytes) = got else {
            panic!("no answer: {got:?}")
        };
        Self { bytes }
    }

    pub fn view(&self) -> MessageView<'_> {
        let Ok(Packet::Stun(view)) = turn_wire::parse(&self.bytes) else {
            panic!("not a message: {:?}", self.bytes)
        };
        view
    }

    pub fn attribute(&self, kind: u16) -> Option<Vec<u8>> {
        self.view().attribute(kind).map(<[u8]>::to_vec)
    }

    /// The error code, `None` for success.
    pub fn code(&self) -> Option<u16> {
        if self.view().class() == Class::Success {
            return None;
        }
        assert_eq!(self.view().class(), Class::Error);
        let value = self
            .attribute(0x0009)
            .expect("an error response has ERROR-CODE");
        Some(u16::from(value[2]) * 100 + u16::from(value[3]))
    }

    pub fn signed_by(&self, key: &IntegrityKey) -> bool {
        self.view().has_integrity() && self.view().verify(key)
    }

    pub fn lifetime(&self) -> u32 {
        u32::from_be_bytes(
            self.attribute(0x000D)
                .expect("LIFETIME")
                .try_into()
                .unwrap(),
        )
    }

    pub fn relayed(&self) -> SocketAddr {
        assert_eq!(self.code(), None);
        self.xored(0x0016)
    }

    /// Every XOR-RELAYED-ADDRESS, in order.
    pub fn all_relayed(&self) -> Vec<SocketAddr> {
        assert_eq!(self.code(), None);
        let view = self.view();
        let values = view.attributes().filter(|held| held.kind == 0x0016);
        values.map(|held| self.plain(held.value)).collect()
    }

    pub fn peer(&self) -> SocketAddr {
        self.xored(0x0012)
    }

    pub fn mapped(&self) -> SocketAddr {
        self.xored(0x0020)
    }

    fn xored(&self, kind: u16) -> SocketAddr {
        self.plain(&self.attribute(kind).expect("an address"))
    }

    fn plain(&self, value: &[u8]) -> SocketAddr {
        let port = u16::from_be_bytes([value[2], value[3]]) ^ 0x2112;
        let mask = &self.bytes[4..20];
        let plain: Vec<u8> = value[4..]
            .iter()
            .zip(mask)
            .map(|(byte, mask)| byte ^ mask)
            .collect();
        let ip: IpAddr = match value[1] {
            1 => <[u8; 4]>::try_from(plain).unwrap().into(),
            2 => <[u8; 16]>::try_from(plain).unwrap().into(),
            other => panic!("family {other}"),
        };
        SocketAddr::new(ip, port)
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
