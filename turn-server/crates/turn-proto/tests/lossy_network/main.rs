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

mod clients;
mod mishaps;
mod peers;
#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use turn_proto::{
    Caps, Config, ConnectionId, CredentialExpiry, Good, Guard, Holder, IpRange, Transport,
};

use support::{Client, World, config, each_seed};

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
    let runs = each_seed(200, |seed| Network::new(seed).run());
    let sum =
        |counts: (usize, usize), more: &(usize, usize)| (counts.0 + more.0, counts.1 + more.1);
    let (relayed, joined) = runs.iter().fold((0, 0), sum);
    println!(
        "\npromise: seeds of clients behind a lossy network ({relayed} packets relayed, {joined} connections joined) | none fails | 0 of {} | -",
        runs.len()
    );
    assert!(
        runs.len() < 100 || (relayed > 0 && joined > 0),
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
