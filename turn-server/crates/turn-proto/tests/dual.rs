//! Dual allocations (RFC 8656 §7.2 step 9, §8): an IPv4 and an IPv6 relayed address in one allocation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::{net::SocketAddr, time::Duration};

use support::{Answer, Client, Got, World, address, config};
use turn_proto::{BindFailure, DefaultFamily, Event};
use turn_wire::{Family, Method, RequestBuilder};

const CLIENT: &str = "192.0.2.10:40000";
const V4_PEER: &str = "203.0.113.5:9";
const V6_PEER: &str = "[2001:db8:5::5]:9";

fn dual(request: RequestBuilder) -> RequestBuilder {
    request
        .requested_transport(17)
        .additional_family(Family::V6)
}

fn allocate(client: &mut Client, world: &mut World) -> [SocketAddr; 2] {
    let answer = client.ask(world, Method::ALLOCATE, dual);
    assert_eq!(answer.attribute(0x8001), None);
    answer.all_relayed().try_into().unwrap()
}

fn refresh(client: &mut Client, world: &mut World, family: Family, lifetime: u32) -> Answer {
    client.ask(world, Method::REFRESH, |request| {
        request.requested_family(family).lifetime(lifetime)
    })
}

fn held(world: &World) -> (usize, usize, u32) {
    (
        world.bound.len(),
        world.shared.ports.claimed(),
        world.shared.quotas.count(),
    )
}

#[test]
fn one_address_of_each_family_counts_once() {
    let mut world = World::with_quotas(config(), 1, 0);
    let mut client = Client::ann(CLIENT);
    let [v4, v6] = allocate(&mut client, &mut world);
    assert!(v4.is_ipv4() && v6.is_ipv6());
    assert_eq!(held(&world), (2, 2, 1));
    let started = world.events.iter().any(|event| {
        matches!(event, Event::Started { relayed, second, .. } if *relayed == v4 && *second == Some(v6))
    });
    assert!(started);
    client.refresh(&mut world, 0);
    assert_eq!(held(&world), (0, 0, 0));
}

#[test]
fn each_peer_is_reached_from_the_address_of_its_family() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let [v4, v6] = allocate(&mut client, &mut world);
    let both = client.ask(&mut world, Method::CREATE_PERMISSION, |request| {
        request
            .xor_peer_address(address(V4_PEER))
            .xor_peer_address(address(V6_PEER))
    });
    assert_eq!(both.code(), None);
    for (peer, relay) in [(V4_PEER, v4), (V6_PEER, v6)] {
        let sent = client.send_indication(&mut world, peer, b"x");
        assert!(
            matches!(sent, Got::ToPeer { from, to, .. } if from == relay && to == address(peer))
        );
        let heard = world.peer_sends(address(peer), relay, b"y").unwrap();
        assert_eq!(heard.0, client.path);
    }
    assert_eq!(client.bind(&mut world, 0x4000, V4_PEER).code(), None);
    assert_eq!(client.bind(&mut world, 0x4001, V6_PEER).code(), None);
    for (number, relay) in [(0x4000, v4), (0x4001, v6)] {
        let sent = client.channel_data(&mut world, number, b"x");
        assert!(matches!(sent, Got::ToPeer { from, .. } if from == relay));
    }
    // A v4-mapped address belongs to neither.
    let mapped = client.permit(&mut world, "[::ffff:203.0.113.5]:9");
    assert_eq!(mapped.code(), Some(443));
}

#[test]
fn a_family_is_refreshed_by_itself_and_both_together_without_one() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let [v4, _] = allocate(&mut client, &mut world);
    client.permit(&mut world, V6_PEER);
    assert_eq!(
        refresh(&mut client, &mut world, Family::V4, 1200).lifetime(),
        1200
    );
    world.pass(Duration::from_secs(599));
    client.challenge(&mut world);
    client.permit(&mut world, V6_PEER);
    world.pass(Duration::from_secs(1));
    // IPv6 has expired, with its permission; IPv4 lives on.
    assert_eq!(world.bound.values().collect::<Vec<_>>(), [&v4]);
    assert_eq!(world.relay.stats().permissions, 0);
    assert!(
        world
            .events
            .iter()
            .any(|event| matches!(event, Event::HalfEnded { relayed, .. } if relayed.is_ipv6()))
    );
    assert_eq!(client.permit(&mut world, V6_PEER).code(), Some(443));
    let gone = refresh(&mut client, &mut world, Family::V6, 600);
    assert_eq!(gone.code(), Some(443));
    world.pass(Duration::from_secs(600));
    assert_eq!(held(&world), (0, 0, 0));

    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    allocate(&mut client, &mut world);
    assert_eq!(client.refresh(&mut world, 900).lifetime(), 900);
    world.pass(Duration::from_secs(899));
    assert_eq!(world.bound.len(), 2);
    world.pass(Duration::from_secs(1));
    assert_eq!(held(&world), (0, 0, 0));
}

#[test]
fn a_family_is_deleted_by_itself_with_its_peers() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let [_, v6] = allocate(&mut client, &mut world);
    client.bind(&mut world, 0x4000, V4_PEER);
    client.bind(&mut world, 0x4001, V6_PEER);
    let packet = client.sign(
        RequestBuilder::new(Method::REFRESH, [6; 12])
            .requested_family(Family::V4)
            .lifetime(0),
    );
    let first = Answer::of(world.send(&client.path, &packet));
    assert_eq!((first.code(), first.lifetime()), (None, 0));
    // A retransmission gets the same answer, not a mismatch.
    let again = Answer::of(world.send(&client.path, &packet));
    assert_eq!(again.bytes, first.bytes);
    assert_eq!(world.bound.values().collect::<Vec<_>>(), [&v6]);
    assert_eq!(held(&world), (1, 1, 1));
    let stats = world.relay.stats();
    assert_eq!((stats.permissions, stats.channels), (1, 1));
    assert_eq!(client.channel_data(&mut world, 0x4000, b"x"), Got::Nothing);
    assert!(client.channel_data(&mut world, 0x4001, b"x") != Got::Nothing);
    assert_eq!(client.bind(&mut world, 0x4000, V4_PEER).code(), Some(443));
    let last = refresh(&mut client, &mut world, Family::V6, 0);
    assert_eq!(last.code(), None);
    assert_eq!(held(&world), (0, 0, 0));
    assert_eq!(client.refresh(&mut world, 600).code(), Some(437));
}

#[test]
fn a_family_that_the_server_lacks_is_named_in_the_success() {
    for (kept, lacking) in [(0, 2), (1, 1)] {
        let mut config = config();
        config.relays.addresses = vec![config.relays.addresses[kept]];
        let mut world = World::new(config);
        let answer = Client::ann(CLIENT).ask(&mut world, Method::ALLOCATE, dual);
        assert_eq!(answer.all_relayed().len(), 1);
        // Family, reserved, class, number: 440.
        assert_eq!(answer.attribute(0x8001).unwrap(), [lacking, 0, 4, 40]);
        assert_eq!(held(&world), (1, 1, 1));
    }
}

#[test]
fn a_family_whose_port_cannot_be_had_is_named_in_the_success() {
    let mut world = World::new(config());
    world.failures.push_back(BindFailure::NotLocal);
    let answer = Client::ann(CLIENT).ask(&mut world, Method::ALLOCATE, dual);
    assert!(answer.relayed().is_ipv6());
    assert_eq!(answer.all_relayed().len(), 1);
    assert_eq!(answer.attribute(0x8001).unwrap(), [1, 0, 5, 8]);
    assert_eq!(held(&world), (1, 1, 1));

    world.failures.extend([BindFailure::NotLocal; 2]);
    let mut other = Client::ann("192.0.2.10:2");
    let answer = other.ask(&mut world, Method::ALLOCATE, dual);
    assert_eq!(answer.code(), Some(508));
    assert!(answer.signed_by(&other.key));
    assert_eq!(held(&world), (1, 1, 1));
}

#[test]
fn both_are_tried_elsewhere_when_other_programs_hold_their_ports() {
    let mut world = World::new(config());
    world.failures.extend([BindFailure::InUse; 4]);
    allocate(&mut Client::ann(CLIENT), &mut world);
    assert_eq!(held(&world), (2, 2, 1));
}

#[test]
fn contradictions_are_bad_requests() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let mut code = |build: &dyn Fn(RequestBuilder) -> RequestBuilder| {
        let request = |request: RequestBuilder| build(request.requested_transport(17));
        client.ask(&mut world, Method::ALLOCATE, request).code()
    };
    // Step 5: with a token. Step 6: with the other family attribute. Step 8: with a reservation. Step 9: IPv4.
    assert_eq!(
        code(&|r| r.reservation_token([0; 8]).additional_family(Family::V6)),
        Some(400)
    );
    assert_eq!(
        code(&|r| r.requested_family(Family::V4).additional_family(Family::V6)),
        Some(400)
    );
    assert_eq!(
        code(&|r| r.even_port(true).additional_family(Family::V6)),
        Some(400)
    );
    assert_eq!(code(&|r| r.additional_family(Family::V4)), Some(400));
    assert_eq!(code(&|r| r.attribute(0x8000, &[2])), Some(400));
    assert_eq!(code(&|r| r.attribute(0x8000, &[9, 0, 0, 0])), Some(440));
    assert_eq!(held(&world), (0, 0, 0));
}

#[test]
fn an_even_port_is_even_in_both_families() {
    let mut world = World::new(config());
    for client in 0..5 {
        let mut client = Client::ann(&format!("192.0.2.10:{}", client + 1));
        let answer = client.ask(&mut world, Method::ALLOCATE, |request| {
            dual(request).even_port(false)
        });
        let relayed = answer.all_relayed();
        assert_eq!(relayed.len(), 2);
        assert!(relayed.iter().all(|relayed| relayed.port() % 2 == 0));
    }
}

#[test]
fn a_retransmission_between_the_two_binds_waits_for_both() {
    let mut world = World::new(config());
    world.hold_binds = true;
    let mut client = Client::ann(CLIENT);
    client.challenge(&mut world);
    let packet = client.sign(dual(RequestBuilder::new(Method::ALLOCATE, [5; 12])));
    assert_eq!(world.send(&client.path, &packet), Got::Nothing);
    let [first, second] = world.held[..] else {
        panic!("two binds")
    };
    world.bind(second.0, second.1, false);
    assert_eq!(world.drain().len(), 0);
    assert_eq!(world.send(&client.path, &packet), Got::Nothing);
    assert_eq!(client.permit(&mut world, V6_PEER).code(), Some(437));
    world.bind(first.0, first.1, false);
    let answers = world.drain();
    assert_eq!(answers.len(), 1);
    assert_eq!(
        world.send(&client.path, &packet),
        Got::Reply(answers[0].1.clone())
    );
}

#[test]
fn a_dual_allocation_is_handed_over_whole() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let [v4, v6] = allocate(&mut client, &mut world);
    client.bind(&mut world, 0x4000, V4_PEER);
    client.bind(&mut world, 0x4001, V6_PEER);
    refresh(&mut client, &mut world, Family::V6, 1200);
    let records = world.relay.export(world.now());
    let mut new = World::new(config());
    let named = new.relay.import(new.now(), &records[0]).unwrap();
    new.bound = named.into_iter().zip([v4, v6]).collect();
    assert!(new.relay.export(new.now()) == records);
    for (number, relay) in [(0x4000, v4), (0x4001, v6)] {
        let sent = client.channel_data(&mut new, number, b"x");
        assert!(matches!(sent, Got::ToPeer { from, .. } if from == relay));
    }
    let flows = new.relay.flows(new.now());
    let ends = flows
        .iter()
        .map(|flow| (flow.local, flow.remaining.as_secs()));
    assert_eq!(ends.collect::<Vec<_>>(), [(v4, 600), (v6, 600)]);
    new.pass(Duration::from_secs(600));
    assert_eq!(new.bound.values().collect::<Vec<_>>(), [&v6]);
    // A place where one of its ports is taken does not take half of it.
    let mut busy = World::new(config());
    for client in 0..20 {
        let mut client = Client::ann(&format!("192.0.2.11:{}", client + 1));
        client.ask(&mut busy, Method::ALLOCATE, |request| {
            request.requested_transport(17).requested_family(Family::V6)
        });
    }
    assert!(busy.relay.import(busy.now(), &records[0]).is_none());
    assert_eq!(held(&busy), (20, 20, 20));
}

#[test]
fn a_client_that_names_no_family_gets_the_operators_choice() {
    let of = |default, client: &str| {
        let mut config = config();
        config.default_family = default;
        Client::ann(client).allocate(&mut World::new(config))
    };
    let v6_client = "[2001:db8::9]:4000";
    assert!(of(DefaultFamily::Keep, CLIENT).is_ipv4());
    assert!(of(DefaultFamily::Keep, v6_client).is_ipv6());
    assert!(of(DefaultFamily::V6, CLIENT).is_ipv6());
    assert!(of(DefaultFamily::V4, v6_client).is_ipv4());
    // Where there is but one family, it is had whatever the choice.
    for (kept, is_v4) in [(0, true), (1, false)] {
        for default in [DefaultFamily::V4, DefaultFamily::V6, DefaultFamily::Keep] {
            for client in [CLIENT, v6_client] {
                let mut config = config();
                config.relays.addresses = vec![config.relays.addresses[kept]];
                config.default_family = default;
                let relayed = Client::ann(client).allocate(&mut World::new(config));
                assert_eq!(relayed.is_ipv4(), is_v4);
            }
        }
    }
}
