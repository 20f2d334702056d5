//! Clients behind a bad network, in virtual time: datagrams are lost, doubled and overtaken, clocks jump, streams break, peers
//! do not answer, operators change their minds. What is relayed was granted, and in the end nothing is left of any of it.
//!
//! Loopback in time only: `random_sequences` is exact about what must succeed, this is exact about what must not.
//! `SEEDS=N` runs N seeds (the default is 200), `SEED=X` one; a failure names its seed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, Hasher, RandomState},
    net::{IpAddr, SocketAddr},
    panic,
    sync::Arc,
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use support::{Answer, Client, Got, World, address, config};
use turn_proto::{
    Admin, Caps, Config, ConnectionId, CredentialExpiry, Good, Guard, Holder, IpRange, LinkId,
    Reply, Transport,
};
use turn_wire::{Class, Method, Packet, RequestBuilder, attr};

const STEPS: usize = 600;
const PEERS: [&str; 4] = [
    "203.0.113.5:9",
    "203.0.113.5:10",
    "203.0.113.6:9",
    "198.51.100.1:50003",
];
/// Whom the operator denies now and then.
const SUSPECT: &str = "203.0.113.6";
const PERMISSION: Duration = Duration::from_secs(300);
const CHANNEL: Duration = Duration::from_secs(600);

/// What the server has granted a 5-tuple, by its own answers, whether they arrived or not.
#[derive(Default)]
struct Granted {
    relayed: Option<(SocketAddr, Duration)>,
    permissions: BTreeMap<IpAddr, Duration>,
    channels: BTreeMap<u16, (SocketAddr, Duration)>,
}

impl Granted {
    fn reaches(&self, peer: SocketAddr, now: Duration) -> bool {
        let mut channels = self.channels.values();
        let permitted = self.permissions.get(&peer.ip());
        self.relayed.is_some_and(|(_, until)| until > now)
            && (permitted.is_some_and(|until| *until > now)
                || channels.any(|(bound, until)| *bound == peer && *until > now))
    }

    fn withdraw(&mut self, ip: IpAddr) {
        self.permissions.remove(&ip);
        self.channels.retain(|_, (peer, _)| peer.ip() != ip);
    }
}

/// What a packet under way is about.
#[derive(Clone, Copy, PartialEq)]
enum About {
    Allocate,
    Refresh,
    Permit(SocketAddr),
    Bind(u16, SocketAddr),
    Connect,
    Data(SocketAddr),
}

#[derive(Clone)]
struct Way {
    who: usize,
    bytes: Vec<u8>,
    about: About,
}

struct Network {
    rng: StdRng,
    guard: Guard,
    world: World,
    clients: Vec<Client>,
    granted: Vec<Granted>,
    flight: Vec<Way>,
    /// Connections that the driver has been asked for, also those that it need not make any more.
    asked: Vec<ConnectionId>,
    /// Refresh requests that have ended something.
    ended: BTreeSet<(usize, [u8; 12])>,
    /// The CONNECTION-IDs that clients were told.
    told: Vec<(usize, ConnectionId)>,
    next_link: u32,
    suspected: bool,
    relayed: usize,
    joined: usize,
}

#[test]
fn nothing_is_relayed_that_was_not_granted_and_nothing_is_left() {
    let seeds = match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => {
            let count =
                std::env::var("SEEDS").map_or(200, |n| n.parse().expect("SEEDS is a number"));
            // Other seeds in every run: the hasher's keys are the randomness at hand.
            let first = RandomState::new().build_hasher().finish() >> 1;
            (first..first + count).collect::<Vec<u64>>()
        }
    };
    let (mut relayed, mut joined) = (0, 0);
    for seed in &seeds {
        let run = panic::catch_unwind(|| Network::new(*seed).run());
        let Ok(counts) = run else {
            panic!("failed; repeat with SEED={seed}");
        };
        (relayed, joined) = (relayed + counts.0, joined + counts.1);
    }
    println!(
        "\npromise: seeds of clients behind a lossy network ({relayed} packets relayed, {joined} connections joined) | none fails | 0 of {} | -",
        seeds.len()
    );
    assert!(
        seeds.len() < 100 || (relayed > 0 && joined > 0),
        "a test of nothing"
    );
}

fn settings(guard: &Guard, suspected: bool) -> Config {
    let mut config = config();
    config.guard = guard.clone();
    if suspected {
        let ip = SUSPECT.parse().unwrap();
        config.peers.deny.extend(IpRange::new(ip, ip));
    }
    config
}

impl Network {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut caps = Caps::default();
        for _ in 0..rng.random_range(0..4) {
            let (holder, good) = (Holder::ALL.choose(&mut rng), Good::ALL.choose(&mut rng));
            caps = caps.with(*holder.unwrap(), *good.unwrap(), rng.random_range(1..5));
        }
        let expiries = [
            CredentialExpiry::Ignored,
            CredentialExpiry::RefuseRefresh,
            CredentialExpiry::EndSession,
        ];
        let guard = Guard {
            caps,
            expiry: *expiries.choose(&mut rng).unwrap(),
            ..Guard::default()
        };
        let world = World::new(settings(&guard, false));
        let timed = |number: u32, ttl| {
            Client::timed(&format!("192.0.2.1{number}:1000"), "eve", ttl, &world)
        };
        let clients = vec![
            Client::ann("192.0.2.10:1000"),
            Client::bob("192.0.2.11:1000"),
            timed(2, 400),
            Client::ann("192.0.2.13:1000").over(Transport::Tcp, 3),
            Client::bob("192.0.2.14:1000").over(Transport::Tls, 4),
            timed(5, 900).over(Transport::Tcp, 5),
        ];
        Self {
            granted: clients.iter().map(|_| Granted::default()).collect(),
            rng,
            guard,
            world,
            clients,
            flight: Vec::new(),
            asked: Vec::new(),
            ended: BTreeSet::new(),
            told: Vec::new(),
            next_link: 100,
            suspected: false,
            relayed: 0,
            joined: 0,
        }
    }

    fn run(mut self) -> (usize, usize) {
        for _ in 0..STEPS {
            self.step();
            self.balance();
        }
        self.end()
    }

    fn step(&mut self) {
        let who = self.rng.random_range(0..self.clients.len());
        match self.rng.random_range(0..100) {
            0..=39 => self.ask(who),
            40..=79 => self.arrive(),
            80..=85 => self.peer_speaks(),
            86..=89 => self.peer_of_a_stream(),
            90..=95 => {
                let time = [1, 1, 5, 5, 20, 40, 200, 700];
                let time = Duration::from_secs(*time.choose(&mut self.rng).unwrap());
                self.world.pass(time);
                self.answers();
            }
            96 => self.world.unix_offset = self.rng.random_range(-2000..2000),
            97 => self.operate(),
            _ if self.clients[who].path.transport.is_stream() => self.break_stream(who),
            _ => {}
        }
        self.connections();
    }

    /// A client says something: it goes on its way, once, twice or not at all. Streams lose nothing.
    fn ask(&mut self, who: usize) {
        let peer = address(PEERS.choose(&mut self.rng).unwrap());
        let number = 0x4000 + self.rng.random_range(0..3_u16);
        let stream = self.clients[who].path.transport.is_stream();
        let protocol = if stream && self.rng.random() { 6 } else { 17 };
        let lifetime = [0, 600, 1200].choose(&mut self.rng).copied().unwrap();
        let client = &mut self.clients[who];
        if client.nonce.is_empty() {
            client.challenge(&mut self.world);
        }
        let id = client.id();
        let new = |method| RequestBuilder::new(method, id);
        let live = self.granted[who]
            .relayed
            .is_some_and(|(_, until)| until > self.world.now);
        let what = self.rng.random_range(if live { 2..16 } else { 0..6 });
        let (about, request) = match what {
            0..=2 => (
                About::Allocate,
                new(Method::ALLOCATE).requested_transport(protocol),
            ),
            3 => (About::Refresh, new(Method::REFRESH).lifetime(lifetime)),
            4 | 5 => {
                let request = new(Method::CREATE_PERMISSION).xor_peer_address(peer);
                (About::Permit(peer), request)
            }
            6 => {
                let request = new(Method::CHANNEL_BIND).channel_number(number);
                (About::Bind(number, peer), request.xor_peer_address(peer))
            }
            7 if stream => (About::Connect, new(Method::CONNECT).xor_peer_address(peer)),
            8 | 9 if stream => return self.attach(who),
            _ => return self.speak(who, number, peer),
        };
        let bytes = client.sign(request);
        self.depart(Way { who, bytes, about });
    }

    /// A client sends data, by a channel or by an indication.
    fn speak(&mut self, who: usize, number: u16, peer: SocketAddr) {
        // Most of the time to somebody whom it may reach.
        let bound = self.granted[who]
            .channels
            .get(&number)
            .map(|(peer, _)| *peer);
        let peer = bound.filter(|_| self.rng.random()).unwrap_or(peer);
        let bytes = if self.rng.random() {
            let [high, low] = number.to_be_bytes();
            vec![high, low, 0, 4, 1, 2, 3, 4]
        } else {
            let send = RequestBuilder::indication(Method::SEND, self.clients[who].id());
            send.xor_peer_address(peer)
                .data(b"data")
                .finish(None, false)
        };
        let about = About::Data(peer);
        self.depart(Way { who, bytes, about });
    }

    fn depart(&mut self, packet: Way) {
        let stream = self.clients[packet.who].path.transport.is_stream();
        let copies = if stream {
            1
        } else {
            [0, 1, 1, 1, 2, 3][self.rng.random_range(0..6)]
        };
        self.flight.extend(std::iter::repeat_n(packet, copies));
    }

    /// One of the packets under way reaches the server: any datagram, the first of a stream.
    fn arrive(&mut self) {
        if self.flight.is_empty() {
            return;
        }
        let mut index = self.rng.random_range(0..self.flight.len());
        let who = self.flight[index].who;
        if self.clients[who].path.transport.is_stream() {
            index = self
                .flight
                .iter()
                .position(|packet| packet.who == who)
                .unwrap();
        }
        let packet = self.flight.remove(index);
        let path = self.clients[who].path;
        let now = self.world.now;
        match self.world.send(&path, &packet.bytes) {
            Got::Nothing => {}
            Got::ToPeer { from, to, .. } => {
                let granted = &self.granted[who];
                assert!(matches!(packet.about, About::Data(_)));
                assert!(granted.reaches(to, now), "{to} was never granted");
                assert_eq!(granted.relayed.map(|(relayed, _)| relayed), Some(from));
                assert!(!self.suspected || to.ip().to_string() != SUSPECT);
                self.relayed += 1;
            }
            Got::Reply(bytes) => self.answered(who, packet.about, &Answer { bytes }),
        }
        self.answers();
    }

    /// The server has answered, so it has granted or withdrawn. The client hears it, or does not.
    fn answered(&mut self, who: usize, about: About, answer: &Answer) {
        let now = self.world.now;
        let granted = &mut self.granted[who];
        if answer.code().is_none() {
            match about {
                About::Allocate => {
                    let relayed = answer.relayed();
                    let until = now + Duration::from_secs(answer.lifetime().into());
                    assert!(self.world.bound.values().any(|bound| *bound == relayed));
                    // Else it is what was answered before, again, to a copy of the request.
                    if granted
                        .relayed
                        .is_none_or(|(held, until)| held != relayed || until <= now)
                    {
                        *granted = Granted {
                            relayed: Some((relayed, until)),
                            ..Granted::default()
                        };
                    }
                }
                About::Refresh if answer.lifetime() == 0 => {
                    // A copy that comes later is told the same, and ends nothing that has begun since.
                    if self.ended.insert((who, answer.view().transaction_id())) {
                        *granted = Granted::default();
                    }
                }
                About::Refresh => {
                    let until = now + Duration::from_secs(answer.lifetime().into());
                    granted.relayed = granted.relayed.map(|(relayed, _)| (relayed, until));
                }
                About::Permit(peer) => {
                    granted.permissions.insert(peer.ip(), now + PERMISSION);
                }
                About::Bind(number, peer) => {
                    granted.permissions.insert(peer.ip(), now + PERMISSION);
                    granted.channels.insert(number, (peer, now + CHANNEL));
                }
                About::Connect | About::Data(_) => panic!("answered at once"),
            }
        }
        let heard = self.clients[who].path.transport.is_stream() || self.rng.random_ratio(3, 4);
        if let (true, Some(nonce)) = (heard, answer.attribute(attr::NONCE)) {
            self.clients[who].nonce = nonce;
        }
    }

    /// A client fetches a peer's connection with one of its own (RFC 6062 §4.3). The driver joins them, or closes what came late.
    fn attach(&mut self, who: usize) {
        let mine: Vec<_> = self.told.iter().filter(|(told, _)| *told == who).collect();
        let Some((_, connection)) = mine.choose(&mut self.rng).copied().copied() else {
            return;
        };
        self.next_link += 1;
        let client = &mut self.clients[who];
        let control = (client.path, std::mem::take(&mut client.nonce));
        client.path.link = LinkId(self.next_link);
        client.path.client.set_port(7);
        let answer = client.ask(&mut self.world, Method::CONNECTION_BIND, |request| {
            request.connection_id(connection.0)
        });
        (client.path, client.nonce) = control;
        if answer.code().is_some() {
            return;
        }
        let joining = self
            .world
            .joins
            .pop()
            .expect("a success and nothing to join");
        assert_eq!(joining, (LinkId(self.next_link), connection, 0));
        assert!(self.world.connections.contains_key(&connection));
        let until = self.granted[who].relayed.map(|(_, until)| until);
        assert!(until.is_some_and(|until| until > self.world.now));
        if self.world.relay.on_join(self.world.now(), connection) {
            self.joined += 1;
            let now = self.world.now();
            self.world
                .relay
                .on_connection_data(now, connection, 100, 100);
        }
    }

    /// Answers that came of something else than the packet that was just read: to Connect, late, and indications.
    fn answers(&mut self) {
        let mut late = std::mem::take(&mut self.world.late_answers);
        late.extend(self.world.drain());
        for (path, bytes) in late {
            let who = self.clients.iter().position(|client| client.path == path);
            let Ok(Packet::Stun(view)) = turn_wire::parse(&bytes) else {
                panic!("unreadable");
            };
            let told = view.attribute(attr::CONNECTION_ID);
            if let (Some(who), Some(told), true) = (who, told, view.class() != Class::Error) {
                let connection = ConnectionId(u32::from_be_bytes(told.try_into().unwrap()));
                self.told.push((who, connection));
            }
        }
    }

    /// The driver's side of connections to peers: they are accepted, refused, closed, or nothing is heard of them.
    fn connections(&mut self) {
        for connection in self.world.connections.keys() {
            if !self.asked.contains(connection) {
                self.asked.push(*connection);
            }
        }
        if self.asked.is_empty() || self.rng.random_ratio(2, 3) {
            return;
        }
        let connection = self
            .asked
            .swap_remove(self.rng.random_range(0..self.asked.len()));
        let now = self.world.now();
        match self.rng.random_range(0..4) {
            0 | 1 => {
                let reply = Reply::Connected { connection };
                self.world.relay.on_reply(now, reply);
            }
            2 => {
                let known = self.world.connections.contains_key(&connection);
                self.world.relay.on_connection_closed(now, connection);
                if known {
                    self.world.connections.remove(&connection);
                }
            }
            _ => return,
        }
        self.answers();
    }

    /// A datagram of a peer arrives at some relayed address.
    fn peer_speaks(&mut self) {
        let from = address(PEERS.choose(&mut self.rng).unwrap());
        let relays: Vec<_> = self.world.bound.values().copied().collect();
        let Some(to) = relays.choose(&mut self.rng).copied() else {
            return;
        };
        let Some((path, _)) = self.world.peer_sends(from, to, b"data") else {
            return;
        };
        let who = self.clients.iter().position(|client| client.path == path);
        let granted = &self.granted[who.expect("somebody who is gone hears it")];
        assert_eq!(granted.relayed.map(|(relayed, _)| relayed), Some(to));
        assert!(
            granted.reaches(from, self.world.now),
            "{from} may not be heard"
        );
        self.relayed += 1;
    }

    /// A peer connects to a relayed address that listens.
    fn peer_of_a_stream(&mut self) {
        let from = address(PEERS.choose(&mut self.rng).unwrap());
        let listening: Vec<_> = self.world.listening.iter().copied().collect();
        let Some(relay) = listening.choose(&mut self.rng).copied() else {
            return;
        };
        let local = self.world.bound[&relay];
        let now = self.world.now();
        if let Some(connection) = self.world.relay.on_peer_connection(now, relay, from) {
            self.world.connections.insert(connection, (local, from));
            let mut all = self.granted.iter();
            let held = |granted: &&Granted| {
                let live = granted.relayed.filter(|(_, until)| *until > now.mono);
                live.is_some_and(|(held, _)| held == local)
            };
            let owner = all.find(held).expect("somebody's");
            assert!(owner.reaches(from, now.mono), "{from} has no permission");
        }
        self.answers();
    }

    /// The operator denies a peer or allows it again, or ends all that a user has.
    fn operate(&mut self) {
        let now = self.world.now();
        if self.rng.random() {
            let username = self.clients.choose(&mut self.rng).unwrap().username.clone();
            for (client, granted) in self.clients.iter().zip(&mut self.granted) {
                if client.username == username {
                    *granted = Granted::default();
                }
            }
            let username = username.into();
            self.world
                .relay
                .on_command(now, Admin::EndUser { username });
        } else {
            self.suspected = !self.suspected;
            if self.suspected {
                let ip = SUSPECT.parse().unwrap();
                self.granted
                    .iter_mut()
                    .for_each(|granted| granted.withdraw(ip));
            }
            self.world.config = Arc::new(settings(&self.guard, self.suspected));
            let config = Arc::clone(&self.world.config);
            self.world.relay.on_command(now, Admin::Configure(config));
        }
        self.answers();
    }

    /// A client's stream breaks, and it comes back on another.
    fn break_stream(&mut self, who: usize) {
        let link = self.clients[who].path.link;
        self.world.relay.on_link_closed(self.world.now(), link);
        self.answers();
        self.granted[who] = Granted::default();
        self.flight.retain(|packet| packet.who != who);
        self.next_link += 1;
        self.clients[who].path.link = LinkId(self.next_link);
    }

    fn balance(&self) {
        let now = self.world.now;
        let live = self.granted.iter().filter_map(|granted| granted.relayed);
        let live = live.filter(|(_, until)| *until > now).count();
        let bound = self.world.bound.len();
        assert!(bound <= live, "a relay that nobody was granted");
        assert_eq!(self.world.shared.ports.claimed(), bound);
        assert_eq!(self.world.shared.quotas.count() as usize, bound);
    }

    /// All expires; then whoever comes finds an empty server.
    fn end(mut self) -> (usize, usize) {
        self.world.pass(Duration::from_secs(4000));
        self.answers();
        let world = &mut self.world;
        let stats = world.relay.stats();
        assert_eq!(
            (stats.permissions, stats.channels, stats.peer_connections),
            (0, 0, 0)
        );
        assert_eq!(
            stats.allocations_udp + stats.allocations_tcp + stats.allocations_tls,
            0
        );
        assert!(world.bound.is_empty() && world.kept.is_empty() && world.listening.is_empty());
        assert!(world.connections.is_empty(), "{:?}", world.connections);
        assert_eq!(world.shared.ports.claimed(), 0);
        assert!(world.shared.quotas.is_clear());
        assert_eq!(world.relay.poll_timeout(), None);
        let mut newcomer = Client::bob("192.0.2.99:1000");
        newcomer.allocate(world);
        assert_eq!(newcomer.refresh(world, 0).code(), None);
        assert!(world.shared.quotas.is_clear());
        (self.relayed, self.joined)
    }
}
