//! Random sequences on shared relay ports and two workers: what is delivered was permitted, to one client and no other, and
//! nothing is remembered of clients that are gone.
//!
//! `SEEDS=N` runs N seeds (the default is 200), `SEED=X` one; a failure names its seed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use support::{Client, Got, PORTS, World, address, behind_nat, each_seed};
use turn_proto::{Multiplex, Path, Shared};
use turn_wire::{Method, RequestBuilder, Responder};

/// Two peers with two ports each, and the address of our own ports in both its names.
const PEERS: [&str; 7] = [
    "203.0.113.5:9",
    "203.0.113.5:10",
    "203.0.113.6:9",
    "192.0.2.99:3480",
    "192.0.2.99:3481",
    "198.51.100.1:3480",
    "198.51.100.1:3481",
];
const LOCAL: [&str; 2] = ["198.51.100.1:3480", "198.51.100.1:3481"];
const PERMISSION: Duration = Duration::from_secs(300);
const CHANNEL: Duration = Duration::from_secs(600);

/// What a client has been promised, kept apart from the relay's own tables.
#[derive(Default)]
struct Promised {
    until: Duration,
    permissions: BTreeMap<IpAddr, Duration>,
    channels: BTreeMap<u16, (SocketAddr, Duration)>,
}

impl Promised {
    fn may_hear(&self, from: SocketAddr, now: Duration) -> bool {
        let permitted = self.permissions.get(&from.ip());
        let mut bound = self.channels.values();
        self.until > now
            && (permitted.is_some_and(|until| *until > now)
                || bound.any(|(peer, until)| *peer == from && *until > now))
    }
}

struct Both {
    worlds: [World; 2],
    clients: Vec<(Client, Promised)>,
    delivered: usize,
}

#[test]
fn what_is_delivered_was_permitted_and_nothing_stays() {
    let delivered: usize = each_seed(200, simulate).into_iter().sum();
    assert!(delivered > 0, "a test of nothing");
}

fn simulate(seed: u64) -> usize {
    let mut rng = StdRng::seed_from_u64(seed);
    let addresses = behind_nat().relays.addresses;
    let ports = 3480..=3480 + rng.random_range(0..2);
    let multiplex = Multiplex::new(&addresses, ports, 2, rng.random_range(1..6));
    let shared = Shared::multiplexed(&addresses, PORTS, [0, 0], multiplex);
    let mut both = Both {
        worlds: [0, 1].map(|worker| World::sharing(behind_nat(), Arc::clone(&shared), worker)),
        clients: (0..6)
            .map(|number| Client::ann(&format!("192.0.2.10:{}", 1000 + number)))
            .map(|client| (client, Promised::default()))
            .collect(),
        delivered: 0,
    };
    for _ in 0..200 {
        let who = rng.random_range(0..both.clients.len());
        both.step(&mut rng, who);
    }
    for world in &mut both.worlds {
        world.pass(Duration::from_secs(4000));
        assert_eq!(world.relay.poll_timeout(), None);
    }
    let multiplex = shared.multiplex.as_ref().unwrap();
    assert_eq!((multiplex.members(), multiplex.remembered()), (0, 0));
    assert_eq!((shared.ports.claimed(), shared.quotas.count()), (0, 0));
    both.delivered
}

impl Both {
    fn step(&mut self, rng: &mut StdRng, who: usize) {
        let peer = *PEERS.choose(rng).unwrap();
        let words = words(rng);
        let now = self.worlds[0].now;
        let world = &mut self.worlds[who % 2];
        let (client, promised) = &mut self.clients[who];
        let number = 0x4000 + rng.random_range(0..3);
        match rng.random_range(0..10) {
            0 | 1 => {
                let answer = client.ask(world, Method::ALLOCATE, |request| {
                    request.requested_transport(17).lifetime(1200)
                });
                if answer.code().is_none() && promised.until <= now {
                    *promised = Promised {
                        until: now + Duration::from_secs(1200),
                        ..Promised::default()
                    };
                }
            }
            2 if client.refresh(world, 0).code().is_none() => *promised = Promised::default(),
            3 if client.permit(world, peer).code().is_none() => {
                let until = now + PERMISSION;
                promised.permissions.insert(address(peer).ip(), until);
            }
            4 if client.bind(world, number, peer).code().is_none() => {
                let peer = address(peer);
                promised.channels.insert(number, (peer, now + CHANNEL));
                promised.permissions.insert(peer.ip(), now + PERMISSION);
            }
            5 => {
                let got = client.send_indication(world, peer, &words);
                self.sent(who, got);
            }
            6 => {
                let got = client.channel_data(world, number, &words);
                self.sent(who, got);
            }
            7 => {
                let time = Duration::from_secs([1, 30, 200, 400][rng.random_range(0..4)]);
                self.worlds.iter_mut().for_each(|world| world.pass(time));
            }
            _ => {
                let local = address(LOCAL.choose(rng).unwrap());
                let from = address(PEERS[rng.random_range(0..3)]);
                self.arrives(from, local, &words);
            }
        }
    }

    /// A client has sent something: nothing of it leaves for our own ports by a socket, and whoever gets it may hear it.
    fn sent(&mut self, who: usize, got: Got) {
        if let Got::ToPeer { from, to, .. } = &got {
            assert!(LOCAL.contains(&from.to_string().as_str()));
            assert!(
                !LOCAL.contains(&to.to_string().as_str()),
                "through the kernel"
            );
        }
        let passed = std::mem::take(&mut self.worlds[who % 2].passed);
        assert!(passed.len() <= 1, "to more than one");
        for passed in passed {
            let from = passed.from;
            let receiver = usize::from(passed.to.worker());
            let out = self.worlds[receiver].take_passed(&passed);
            let receiver = self.delivered(out, from);
            assert_ne!(receiver, Some(who), "its own words");
        }
    }

    /// A peer's datagram comes to the worker that reads the port.
    fn arrives(&mut self, from: SocketAddr, local: SocketAddr, words: &[u8]) {
        let sockets = self.worlds[0].shared.multiplex.as_ref().unwrap().sockets();
        let mut sockets = sockets.collect::<Vec<_>>().into_iter();
        let Some((_, owner)) = sockets.find(|(address, _)| *address == local) else {
            return;
        };
        let direct = self.worlds[owner].peer_sends(from, local, words);
        let passed = std::mem::take(&mut self.worlds[owner].passed);
        assert!(
            usize::from(direct.is_some()) + passed.len() <= 1,
            "to more than one"
        );
        self.delivered(direct, from);
        for passed in passed {
            let worker = usize::from(passed.to.worker());
            assert_ne!(worker, owner, "passed to itself");
            let out = self.worlds[worker].take_passed(&passed);
            self.delivered(out, from);
        }
    }

    /// Looks whether the client that was sent something had been promised that, by either name of our own address.
    fn delivered(&mut self, out: Option<(Path, Vec<u8>)>, from: SocketAddr) -> Option<usize> {
        let (path, _) = out?;
        let now = self.worlds[0].now;
        let who = self
            .clients
            .iter()
            .position(|(client, _)| client.path == path);
        let outside = SocketAddr::new("192.0.2.99".parse().unwrap(), from.port());
        let promised = &self.clients[who.unwrap()].1;
        let own = LOCAL.contains(&from.to_string().as_str());
        assert!(
            promised.may_hear(from, now) || (own && promised.may_hear(outside, now)),
            "nobody has promised {path:?} to hear {from}"
        );
        self.delivered += 1;
        who
    }
}

/// Media, or a check or answer of one of a few agents.
fn words(rng: &mut StdRng) -> Vec<u8> {
    let (id, one, other) = (
        [rng.random_range(0..4u8); 12],
        rng.random_range(0..4),
        rng.random_range(0..4),
    );
    match rng.random_range(0..3) {
        0 => RequestBuilder::new(Method::BINDING, id)
            .username(&format!("{one}:{other}"))
            .finish(None, true),
        1 => {
            let mut responder = Responder::new();
            let answer = responder.success(Method::BINDING, id);
            answer.finish(None, true).to_vec()
        }
        _ => b"media".to_vec(),
    }
}
