//! Random sequences of requests, packets, failures and time: the books balance after every step, and all comes back.
//!
//! `SEEDS=N` runs N seeds (the default is 300), `SEED=X` one; a failure names its seed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};
use support::{Client, Got, World, address, behind_nat, config, each_seed};
use turn_proto::{BindFailure, Transport};
use turn_wire::{Family, Method, RequestBuilder};

/// What a client has been promised, kept apart from the relay's own tables.
#[derive(Default)]
struct Promised {
    /// One relayed address, or one of each family.
    relays: Vec<(SocketAddr, Duration)>,
    permissions: BTreeMap<std::net::IpAddr, Duration>,
    channels: BTreeMap<u16, (SocketAddr, Duration)>,
}

impl Promised {
    fn reaches(&self, peer: SocketAddr) -> bool {
        let mut relays = self.relays.iter();
        relays.any(|(relayed, _)| relayed.is_ipv4() == peer.is_ipv4())
    }
}

const PEERS: [&str; 7] = [
    "[2001:db8:5::5]:9",
    "[2001:db8:5::6]:9",
    "203.0.113.5:9",
    "203.0.113.5:10",
    "203.0.113.6:9",
    "8.8.8.8:53",
    "8.8.4.4:53",
];

#[test]
fn the_books_balance_after_every_step() {
    each_seed(300, simulate);
}

fn simulate(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let quota = rng.random_range(0..4);
    let mut world =
        World::with_quotas(if rng.random() { config() } else { behind_nat() }, quota, 0);
    let mut clients: Vec<Client> = (0..6).map(|n| client(n, rng.random())).collect();
    let mut promised: Vec<Promised> = (0..6).map(|_| Promised::default()).collect();
    for _ in 0..150 {
        let who = rng.random_range(0..clients.len());
        step(&mut rng, &mut world, &mut clients[who], &mut promised[who]);
        for promise in &mut promised {
            forget(promise, world.now);
        }
        balance(&world, &promised);
    }
    world.pass(Duration::from_secs(4000));
    let stats = world.relay.stats();
    assert_eq!((stats.permissions, stats.channels), (0, 0));
    assert_eq!(stats.allocations_udp + stats.allocations_tcp, 0);
    assert_eq!(
        (
            world.bound.len() + world.kept.len(),
            world.shared.ports.claimed(),
            world.shared.quotas.count()
        ),
        (0, 0, 0)
    );
    assert_eq!(world.relay.poll_timeout(), None);
}

fn client(number: u32, stream: bool) -> Client {
    let address = format!("192.0.2.10:{}", 1000 + number);
    let client = if number.is_multiple_of(2) {
        Client::ann(&address)
    } else {
        Client::bob(&address)
    };
    if stream {
        client.over(Transport::Tcp, 10 + number)
    } else {
        client
    }
}

fn step(rng: &mut StdRng, world: &mut World, client: &mut Client, promised: &mut Promised) {
    let peer = PEERS[rng.random_range(0..PEERS.len())];
    let number = 0x4000 + rng.random_range(0..4_u16);
    match rng.random_range(0..12) {
        0 | 1 => allocate(rng, world, client, promised),
        2 => {
            let lifetime = [0, 1, 600, 1200, 9999][rng.random_range(0..5)];
            refresh(rng, world, client, promised, lifetime);
        }
        3 | 4 => {
            let code = renewing(world, client, |client, world| client.permit(world, peer));
            assert_eq!(code == Some(437), promised.relays.is_empty());
            assert_eq!(code.is_none(), promised.reaches(address(peer)));
            if code.is_none() {
                promised
                    .permissions
                    .insert(address(peer).ip(), world.now + Duration::from_secs(300));
            }
        }
        5 => {
            if renewing(world, client, |client, world| {
                client.bind(world, number, peer)
            })
            .is_none()
            {
                assert!(promised.reaches(address(peer)));
                promised
                    .permissions
                    .insert(address(peer).ip(), world.now + Duration::from_secs(300));
                promised.channels.insert(
                    number,
                    (address(peer), world.now + Duration::from_secs(600)),
                );
            }
        }
        6 => data_out(world, client, promised, number, peer),
        7 => data_in(world, promised, peer),
        8 => world.pass(Duration::from_secs(rng.random_range(0..20))),
        9 => world.pass(Duration::from_secs(rng.random_range(0..400))),
        10 => {
            let garbage: Vec<u8> = (0..rng.random_range(0..60)).map(|_| rng.random()).collect();
            let before = world.bound.len();
            world.send(&client.path, &garbage);
            assert_eq!(world.bound.len(), before);
        }
        _ if client.path.transport.is_stream() => {
            world.relay.on_link_closed(world.now(), client.path.link);
            world.drain();
            *promised = Promised::default();
        }
        _ => world.unix_offset = rng.random_range(-100..100),
    }
}

/// Does something, with a new nonce when the old one has grown stale; returns the error code.
fn renewing(
    world: &mut World,
    client: &mut Client,
    mut ask: impl FnMut(&mut Client, &mut World) -> support::Answer,
) -> Option<u16> {
    let first = ask(client, world).code();
    if first != Some(438) {
        return first;
    }
    client.challenge(world);
    let second = ask(client, world).code();
    assert_ne!(second, Some(438), "a nonce just issued is stale");
    second
}

fn refresh(
    rng: &mut StdRng,
    world: &mut World,
    client: &mut Client,
    promised: &mut Promised,
    lifetime: u32,
) {
    let family = [None, None, Some(Family::V4), Some(Family::V6)][rng.random_range(0..4)];
    let code = renewing(world, client, |client, world| {
        client.ask(world, Method::REFRESH, |request| {
            let request = request.lifetime(lifetime);
            match family {
                Some(family) => request.requested_family(family),
                None => request,
            }
        })
    });
    let meant = |relayed: &SocketAddr| match family {
        Some(family) => relayed.is_ipv4() == (family == Family::V4),
        None => true,
    };
    let expected = match promised.relays.iter().any(|(relayed, _)| meant(relayed)) {
        _ if promised.relays.is_empty() => Some(437),
        true => None,
        false => Some(443),
    };
    assert_eq!(code, expected);
    let expires_at = world.now + Duration::from_secs(lifetime.clamp(600, 3600).into());
    for (relayed, held) in &mut promised.relays {
        if code.is_none() && meant(relayed) {
            *held = if lifetime == 0 { world.now } else { expires_at };
        }
    }
    forget(promised, world.now);
}

fn allocate(rng: &mut StdRng, world: &mut World, client: &mut Client, promised: &mut Promised) {
    if rng.random_ratio(1, 5) {
        world.failures.push_back(
            [
                BindFailure::InUse,
                BindFailure::NotLocal,
                BindFailure::Other,
            ][rng.random_range(0..3)],
        );
    }
    let even = [None, None, Some(false), Some(true)][rng.random_range(0..4)];
    let dual = rng.random_ratio(1, 3) && even != Some(true);
    let mut relayed = Vec::new();
    let code = renewing(world, client, |client, world| {
        let build = |request: RequestBuilder| {
            let mut request = request.requested_transport(17);
            if dual {
                request = request.additional_family(Family::V6);
            }
            if let Some(reserve) = even {
                request.even_port(reserve)
            } else {
                request
            }
        };
        let answer = client.ask(world, Method::ALLOCATE, build);
        if answer.code().is_none() {
            relayed = answer.all_relayed();
            assert_eq!(
                usize::from(dual) + 1,
                relayed.len() + usize::from(answer.attribute(0x8001).is_some())
            );
        }
        answer
    });
    world.failures.clear();
    match code {
        None => {
            assert!(promised.relays.is_empty(), "two allocations on one 5-tuple");
            let expires_at = world.now + Duration::from_secs(600);
            *promised = Promised {
                relays: (relayed.into_iter())
                    .map(|relayed| (relayed, expires_at))
                    .collect(),
                ..Promised::default()
            };
        }
        Some(437) => assert!(!promised.relays.is_empty()),
        Some(code) => assert!([486, 508].contains(&code), "{code}"),
    }
}

fn data_out(world: &mut World, client: &mut Client, promised: &Promised, number: u16, peer: &str) {
    let channel = promised.channels.get(&number).map(|(peer, _)| *peer);
    let got = client.channel_data(world, number, b"payload");
    assert_eq!(
        matches!(got, Got::ToPeer { to, .. } if Some(to) == channel),
        channel.is_some()
    );
    assert_eq!(got == Got::Nothing, channel.is_none());
    let permitted = promised.permissions.contains_key(&address(peer).ip());
    assert_eq!(
        client.send_indication(world, peer, b"payload") != Got::Nothing,
        permitted
    );
}

fn data_in(world: &mut World, promised: &Promised, peer: &str) {
    let mut relays = promised.relays.iter().map(|(relayed, _)| *relayed);
    let Some(mut local) = relays.find(|relayed| relayed.is_ipv4() == address(peer).is_ipv4())
    else {
        return;
    };
    if local.is_ipv4() {
        local.set_ip(address(support::SERVER).ip());
    }
    let bound = promised
        .channels
        .values()
        .any(|(held, _)| *held == address(peer));
    let permitted = promised.permissions.contains_key(&address(peer).ip());
    let got = world.peer_sends(address(peer), local, b"payload");
    assert_eq!(got.is_some(), bound || permitted);
    if let Some((_, message)) = got {
        assert_eq!(
            message[0] >> 6 == 1,
            bound,
            "a bound peer is heard on its channel"
        );
    }
}

fn forget(promise: &mut Promised, now: Duration) {
    promise.relays.retain(|(_, expires_at)| *expires_at > now);
    let families: Vec<bool> = (promise.relays.iter())
        .map(|(relayed, _)| relayed.is_ipv4())
        .collect();
    promise
        .permissions
        .retain(|ip, _| families.contains(&ip.is_ipv4()));
    promise
        .channels
        .retain(|_, (peer, _)| families.contains(&peer.is_ipv4()));
    promise
        .permissions
        .retain(|_, expires_at| *expires_at > now);
    promise
        .channels
        .retain(|_, (_, expires_at)| *expires_at > now);
}

fn balance(world: &World, promised: &[Promised]) {
    let alive = promised
        .iter()
        .filter(|promise| !promise.relays.is_empty())
        .count();
    let sockets: usize = promised.iter().map(|promise| promise.relays.len()).sum();
    let stats = world.relay.stats();
    assert_eq!(world.bound.len(), sockets);
    assert_eq!(stats.allocations_udp + stats.allocations_tcp, alive as u64);
    // Reservations count as well.
    assert!(world.shared.quotas.count() as usize >= alive);
    assert!(
        world.shared.ports.claimed() >= sockets,
        "a live relay without its port"
    );
    let relayed: std::collections::BTreeSet<_> = promised
        .iter()
        .flat_map(|promise| promise.relays.iter().map(|(relayed, _)| *relayed))
        .collect();
    assert_eq!(
        relayed.len(),
        sockets,
        "one relayed address for two clients"
    );
    // Expired entries may wait for their timer, so the gauges are bounds.
    let permissions: usize = promised
        .iter()
        .map(|promise| promise.permissions.len())
        .sum();
    assert!(stats.permissions as usize >= permissions);
}
