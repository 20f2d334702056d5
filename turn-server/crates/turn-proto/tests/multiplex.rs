//! Many allocations on one relay port: everybody's own packets, nobody else's, and nothing left behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::{net::IpAddr, sync::Arc, time::Duration};

use support::{Client, Got, PORTS, World, address, behind_nat, config, udp};
use turn_proto::{Config, Multiplex, Path, Shared, Transport};
use turn_wire::{Method, Packet, RequestBuilder, Responder, parse, parse_data};

const MAX_PEERS: usize = 256;
const RELAYED: &str = "198.51.100.1:3480";

/// One port of each relay address for these workers.
fn worlds(config: impl Fn() -> Config, workers: usize, max_peers: usize) -> Vec<World> {
    let addresses: Vec<IpAddr> = config().relays.addresses;
    let multiplex = Multiplex::new(&addresses, 3480..=3480, workers, max_peers);
    let shared = Shared::multiplexed(&addresses, PORTS, [0, 0], multiplex);
    let world = |worker| World::sharing(config(), Arc::clone(&shared), worker as u16);
    (0..workers).map(world).collect()
}

fn world() -> World {
    worlds(config, 1, MAX_PEERS).remove(0)
}

/// What a client is sent, without its header.
fn payload(message: Option<(Path, Vec<u8>)>) -> Option<(Path, Vec<u8>)> {
    let (path, bytes) = message?;
    let range = match parse(&bytes).unwrap() {
        Packet::ChannelData(frame) => frame.payload,
        Packet::Stun(view) => parse_data(&view).unwrap().data,
    };
    Some((path, bytes[range].to_vec()))
}

fn check(id: u8, name: &str) -> Vec<u8> {
    let request = RequestBuilder::new(Method::BINDING, [id; 12]).username(name);
    request.finish(None, true)
}

fn answer(id: u8) -> Vec<u8> {
    let mut responder = Responder::new();
    let answer = responder.success(Method::BINDING, [id; 12]);
    answer.finish(None, true).to_vec()
}

/// Everything that a peer sends arrives at the worker that reads the port, and may live on another.
fn peer_sends(worlds: &mut [World], from: &str, bytes: &[u8]) -> Option<(Path, Vec<u8>)> {
    let direct = worlds[0].peer_sends(address(from), address(RELAYED), bytes);
    let passed = std::mem::take(&mut worlds[0].passed);
    match &passed[..] {
        [] => payload(direct),
        [passed] => {
            assert!(direct.is_none(), "once, not twice");
            payload(worlds[usize::from(passed.to.worker())].take_passed(passed))
        }
        _ => panic!("to more than one: {passed:?}"),
    }
}

#[test]
fn two_hundred_allocations_on_one_port_get_their_own_packets() {
    for workers in [1, 2] {
        let mut worlds = worlds(config, workers, MAX_PEERS);
        let mut clients = Vec::new();
        for number in 0..200 {
            let mut client = Client::ann(&format!("203.0.113.7:{}", 1000 + number));
            let world = &mut worlds[number % workers];
            let peer = format!("192.0.2.{number}:{}", 4000 + number);
            assert_eq!(client.allocate(world), address(RELAYED));
            if number % 3 == 0 {
                assert_eq!(client.bind(world, 0x4000, &peer).code(), None);
            } else {
                assert_eq!(client.permit(world, &peer).code(), None);
            }
            clients.push((client, peer));
        }
        for (number, (client, peer)) in clients.iter_mut().enumerate() {
            let words = number.to_be_bytes();
            let got = client.send_indication(&mut worlds[number % workers], peer, &words);
            let expected = Got::ToPeer {
                from: address(RELAYED),
                to: address(peer),
                payload: words.to_vec(),
            };
            assert_eq!(got, expected);
        }
        for (number, (client, peer)) in clients.iter().enumerate() {
            let words = number.to_be_bytes();
            let got = peer_sends(&mut worlds, peer, &words);
            assert_eq!(got, Some((client.path, words.to_vec())));
        }
        let multiplex = worlds[0].shared.multiplex.as_ref().unwrap();
        assert_eq!(multiplex.members(), 200);
        // No socket was bound for any of them, and no port of the range was taken.
        assert_eq!(worlds[0].shared.ports.claimed(), 0);
        assert_eq!(worlds[0].bound.len(), 2);
        for (number, (client, _)) in clients.iter_mut().enumerate() {
            let answer = client.refresh(&mut worlds[number % workers], 0);
            assert_eq!(answer.code(), None);
        }
        let multiplex = worlds[0].shared.multiplex.as_ref().unwrap();
        assert_eq!((multiplex.members(), multiplex.remembered()), (0, 0));
    }
}

/// coturn refuses the second client here.
#[test]
fn two_clients_with_the_same_peer_each_get_their_own_checks_and_answers() {
    let mut worlds = worlds(config, 2, MAX_PEERS);
    let peer = "192.0.2.1:5000";
    let mut clients = [
        Client::ann("203.0.113.7:1000"),
        Client::bob("203.0.113.8:1000"),
    ];
    for (client, world) in clients.iter_mut().zip(&mut worlds) {
        client.allocate(world);
        assert_eq!(client.permit(world, peer).code(), None);
    }
    for (number, client) in (0..).zip(&mut clients) {
        let check = check(number, &format!("sfu{number}:client{number}"));
        let got = client.send_indication(&mut worlds[usize::from(number)], peer, &check);
        assert!(matches!(got, Got::ToPeer { .. }));
    }
    for (number, client) in (0..).zip(&clients) {
        let answer = answer(number);
        let got = peer_sends(&mut worlds, peer, &answer);
        assert_eq!(got, Some((client.path, answer)));
        let check = check(100 + number, &format!("client{number}:sfu{number}"));
        let got = peer_sends(&mut worlds, peer, &check);
        assert_eq!(got, Some((client.path, check)));
    }
    // Media says nothing: it goes to whom that port has answered last, to one and not to both.
    for (number, client) in (0u8..).zip(&mut clients) {
        let check = check(50 + number, &format!("sfu{number}:client{number}"));
        client.send_indication(&mut worlds[usize::from(number)], peer, &check);
        let got = peer_sends(&mut worlds, peer, &answer(50 + number));
        assert_eq!(got, Some((client.path, answer(50 + number))));
        let got = peer_sends(&mut worlds, peer, b"media");
        assert_eq!(got, Some((client.path, b"media".to_vec())));
    }
    // The second leaves: what is for that port is the first one's again.
    clients[1].refresh(&mut worlds[1], 0);
    let got = peer_sends(&mut worlds, peer, b"media");
    assert_eq!(got, Some((clients[0].path, b"media".to_vec())));
}

#[test]
fn nobody_without_a_permission_hears_anything() {
    let mut world = world();
    let mut ann = Client::ann("203.0.113.7:1000");
    ann.allocate(&mut world);
    let mut bob = Client::bob("203.0.113.8:1000");
    bob.allocate(&mut world);
    assert_eq!(ann.permit(&mut world, "192.0.2.1:1").code(), None);
    let (peer, relayed) = (address("192.0.2.1:5000"), address(RELAYED));
    assert_eq!(world.peer_sends(peer, relayed, b"x").unwrap().0, ann.path);
    assert_eq!(
        world.peer_sends(address("192.0.2.2:5000"), relayed, b"x"),
        None
    );
    // A permission lives for five minutes, and so does all that has come with it.
    ann.send_indication(&mut world, "192.0.2.1:5000", &check(1, "them:us"));
    world.pass(Duration::from_secs(301));
    assert_eq!(world.peer_sends(peer, relayed, &answer(1)), None);
    assert_eq!(bob.permit(&mut world, "192.0.2.1:1").code(), None);
    assert_eq!(world.peer_sends(peer, relayed, b"x").unwrap().0, bob.path);
    world.pass(Duration::from_secs(700));
    let multiplex = world.shared.multiplex.as_ref().unwrap();
    assert_eq!((multiplex.members(), multiplex.remembered()), (0, 0));
}

/// Who sent a packet to our own port is known here, whatever it looks like from outside.
#[test]
fn clients_on_one_port_reach_each_other_by_either_address() {
    for (workers, name) in [
        (1, "192.0.2.99"),
        (1, "198.51.100.1"),
        (2, "192.0.2.99"),
        (2, "198.51.100.1"),
    ] {
        let mut worlds = worlds(behind_nat, workers, MAX_PEERS);
        let mut clients: Vec<_> = (0..4)
            .map(|number| Client::ann(&format!("203.0.113.7:{}", 1000 + number)))
            .collect();
        let relayed = format!("{name}:3480");
        for (number, client) in clients.iter_mut().enumerate() {
            let world = &mut worlds[number % workers];
            assert_eq!(client.allocate(world), address("192.0.2.99:3480"));
            assert_eq!(client.bind(world, 0x4000, &relayed).code(), None);
        }
        // Two pairs make themselves known by their checks: each of the first is heard only once the other half has sent one.
        let pairs = [(0, 1), (1, 0), (2, 3), (3, 2)];
        let say = |worlds: &mut [World], clients: &mut [Client], sender: usize, bytes: &[u8]| {
            let world = &mut worlds[sender % workers];
            assert_eq!(
                clients[sender].channel_data(world, 0x4000, bytes),
                Got::Nothing
            );
            let passed = world.passed.pop()?;
            assert!(world.passed.is_empty());
            payload(worlds[usize::from(passed.to.worker())].take_passed(&passed))
        };
        for (sender, receiver) in pairs {
            let check = check(sender as u8, &format!("{receiver}:{sender}"));
            say(&mut worlds, &mut clients, sender, &check);
        }
        for (sender, receiver) in pairs {
            let check = check(sender as u8, &format!("{receiver}:{sender}"));
            for words in [check, answer(receiver as u8), b"media".to_vec()] {
                let got = say(&mut worlds, &mut clients, sender, &words);
                assert_eq!(
                    got,
                    Some((clients[receiver].path, words)),
                    "{sender} on {workers} {name}"
                );
            }
        }
        let lost: u64 = worlds
            .iter()
            .map(|world| world.relay.stats().dropped_peer)
            .sum();
        assert!(lost <= 2, "the first check of each pair at most: {lost}");
    }
}

#[test]
fn a_shared_port_cannot_be_reserved_and_both_families_are_shared() {
    let mut world = world();
    let mut client = Client::ann("203.0.113.7:1000");
    let answer = client.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17).even_port(true)
    });
    assert_eq!(answer.code(), Some(508));
    let answer = client.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17).reservation_token([1; 8])
    });
    assert_eq!(answer.code(), Some(508));
    let answer = client.ask(&mut world, Method::ALLOCATE, |request| {
        request
            .requested_transport(17)
            .additional_family(turn_wire::Family::V6)
    });
    assert_eq!(answer.code(), None);
    assert_eq!(world.shared.multiplex.as_ref().unwrap().members(), 2);
    let mut even = Client::ann("203.0.113.7:1001");
    let answer = even.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17).even_port(false)
    });
    assert_eq!(answer.relayed(), address(RELAYED));
    assert_eq!(even.refresh(&mut world, 0).code(), None);
    for (peer, relayed) in [
        ("192.0.2.1:5", RELAYED),
        ("[2001:db8::9]:5", "[2001:db8::1]:3480"),
    ] {
        assert_eq!(client.permit(&mut world, peer).code(), None);
        let got = client.send_indication(&mut world, peer, b"x");
        let expected = Got::ToPeer {
            from: address(relayed),
            to: address(peer),
            payload: b"x".to_vec(),
        };
        assert_eq!(got, expected);
        let got = world.peer_sends(address(peer), address(relayed), b"y");
        assert_eq!(payload(got), Some((client.path, b"y".to_vec())));
    }
    // One half ends, and the other goes on.
    let answer = client.ask(&mut world, Method::REFRESH, |request| {
        request.lifetime(0).requested_family(turn_wire::Family::V6)
    });
    assert_eq!(answer.code(), None);
    assert_eq!(world.shared.multiplex.as_ref().unwrap().members(), 1);
    let (peer, relayed) = (address("192.0.2.1:5"), address(RELAYED));
    assert!(world.peer_sends(peer, relayed, b"z").is_some());
}

#[test]
fn a_client_has_so_many_peers_and_no_more() {
    let mut world = worlds(config, 1, 3).remove(0);
    let mut client = Client::ann("203.0.113.7:1000");
    client.allocate(&mut world);
    for number in 1..=3 {
        let peer = format!("192.0.2.{number}:1");
        assert_eq!(client.permit(&mut world, &peer).code(), None);
    }
    assert_eq!(client.permit(&mut world, "192.0.2.4:1").code(), Some(508));
    for port in 1..=3 {
        let peer = format!("192.0.2.1:{port}");
        let got = client.send_indication(&mut world, &peer, b"x");
        assert!(matches!(got, Got::ToPeer { .. }));
    }
    let one_more = "192.0.2.1:4";
    assert_eq!(
        client.send_indication(&mut world, one_more, b"x"),
        Got::Nothing
    );
    assert_eq!(client.bind(&mut world, 0x4000, one_more).code(), Some(508));
    assert_eq!(client.bind(&mut world, 0x4000, "192.0.2.1:1").code(), None);
    assert_eq!(world.relay.stats().dropped_client, 1);
}

#[test]
fn an_allocation_that_is_taken_over_goes_on_where_it_was() {
    let mut worlds = worlds(config, 2, MAX_PEERS);
    let mut client = Client::ann("203.0.113.7:1000");
    client.allocate(&mut worlds[0]);
    client.permit(&mut worlds[0], "192.0.2.1:1");
    client.bind(&mut worlds[0], 0x4000, "192.0.2.2:2");
    let now = worlds[0].now();
    let records = worlds[0].relay.export(now);
    client.refresh(&mut worlds[0], 0);
    let relays = worlds[1].relay.import(now, &records[0]).unwrap();
    assert_eq!(relays.len(), 1);
    assert_eq!(worlds[1].bound[&relays[0]], address(RELAYED));
    for peer in ["192.0.2.1:9", "192.0.2.2:2"] {
        let got = peer_sends(&mut worlds, peer, b"x");
        assert_eq!(got, Some((udp("203.0.113.7:1000"), b"x".to_vec())));
    }
    // It is not for a fast path, which knows addresses only.
    assert!(worlds[1].relay.flows(now).is_empty());
}

/// A listening socket cannot be shared as one for datagrams can: what it accepts says nothing of whom it is for.
#[test]
fn a_relay_over_tcp_has_a_port_of_its_own() {
    let mut world = world();
    let mut client = Client::ann("203.0.113.7:1000").over(Transport::Tcp, 9);
    let answer = client.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(6)
    });
    assert!(PORTS.contains(&answer.relayed().port()));
    assert_eq!(world.shared.ports.claimed(), 1);
    assert_eq!(world.shared.multiplex.as_ref().unwrap().members(), 0);
}
