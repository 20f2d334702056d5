//! Ports and quotas: what is claimed, reserved, refused, and that all of it comes back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::{net::SocketAddr, time::Duration};

use support::{Client, Got, World, address, config};
use turn_proto::{BindFailure, Event, Shared};
use turn_wire::{Method, RequestBuilder};

const CLIENT: &str = "192.0.2.10:40000";

#[test]
fn quotas_refuse_with_486_and_are_returned() {
    let mut world = World::with_quotas(config(), 2, 3);
    let mut first = Client::ann("192.0.2.10:1");
    first.allocate(&mut world);
    Client::ann("192.0.2.10:2").allocate(&mut world);
    let ask = |client: &mut Client, world: &mut World| {
        client
            .ask(world, Method::ALLOCATE, |request| {
                request.requested_transport(17)
            })
            .code()
    };
    assert_eq!(ask(&mut Client::ann("192.0.2.10:3"), &mut world), Some(486));
    assert_eq!(ask(&mut Client::bob("192.0.2.10:4"), &mut world), None);
    assert_eq!(ask(&mut Client::bob("192.0.2.10:5"), &mut world), Some(486));
    first.refresh(&mut world, 0);
    assert_eq!(ask(&mut Client::ann("192.0.2.10:6"), &mut world), None);
}

#[test]
fn the_quota_is_by_user_and_not_by_credential() {
    let mut world = World::with_quotas(config(), 1, 0);
    Client::timed("192.0.2.10:1", "carol", 100, &world).allocate(&mut world);
    let mut second = Client::timed("192.0.2.10:2", "carol", 200, &world);
    let answer = second.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17)
    });
    assert_eq!(answer.code(), Some(486));
}

#[test]
fn a_full_port_range_answers_508() {
    let mut world = World::new(config());
    for port in 1..=20 {
        Client::ann(&format!("192.0.2.10:{port}")).allocate(&mut world);
    }
    let mut late = Client::ann("192.0.2.10:21");
    let answer = late.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17)
    });
    assert_eq!(answer.code(), Some(508));
    assert_eq!(world.shared.quotas.count(), 20);
}

#[test]
fn another_port_is_tried_when_one_is_taken_by_another_program() {
    let mut world = World::new(config());
    world.failures.extend([BindFailure::InUse; 3]);
    Client::ann(CLIENT).allocate(&mut world);
    assert_eq!(world.shared.ports.claimed(), 1);
    world.failures.push_back(BindFailure::NotLocal);
    let mut second = Client::ann("192.0.2.10:2");
    let answer = second.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17)
    });
    assert_eq!(answer.code(), Some(508));
    assert!(answer.signed_by(&second.key));
    assert!(world.events.iter().any(|event| matches!(
        event,
        Event::BindFailed {
            cause: BindFailure::NotLocal,
            ..
        }
    )));
    assert_eq!(
        (world.shared.ports.claimed(), world.shared.quotas.count()),
        (1, 1)
    );
    // The client may try again on the same 5-tuple.
    second.allocate(&mut world);
}

fn even(request: RequestBuilder) -> RequestBuilder {
    request.requested_transport(17).even_port(false)
}

fn pair(request: RequestBuilder) -> RequestBuilder {
    request.requested_transport(17).even_port(true)
}

/// A world with four ports, of which another program holds some.
fn four_ports(taken: &[u16]) -> World {
    let config = config();
    let shared = Shared::new(&config.relays.addresses, 50_000..=50_003, 0, 0);
    let mut world = World::sharing(config, shared, 0);
    let ip = address(support::SERVER).ip();
    world.taken = taken
        .iter()
        .map(|port| SocketAddr::new(ip, *port))
        .collect();
    world
}

#[test]
fn another_even_port_is_tried_when_one_is_taken_by_another_program() {
    // The place where the search begins is random: whichever comes first, the other is found.
    for (taken, free) in [(50_000, 50_002), (50_002, 50_000)] {
        let mut world = four_ports(&[taken]);
        let answer = Client::ann(CLIENT).ask(&mut world, Method::ALLOCATE, even);
        assert_eq!(answer.relayed().port(), free);
        assert_eq!(world.shared.ports.claimed(), 1);
    }
    let mut world = four_ports(&[50_000, 50_002]);
    let answer = Client::ann(CLIENT).ask(&mut world, Method::ALLOCATE, even);
    assert_eq!(answer.code(), Some(508));
    assert_eq!(world.shared.ports.claimed(), 0);
}

#[test]
fn a_pair_of_which_another_program_holds_either_half_is_not_promised() {
    for (taken, free) in [
        (50_000, 50_002),
        (50_001, 50_002),
        (50_002, 50_000),
        (50_003, 50_000),
    ] {
        let mut world = four_ports(&[taken]);
        let answer = Client::ann(CLIENT).ask(&mut world, Method::ALLOCATE, pair);
        assert_eq!(answer.relayed().port(), free);
        let token: [u8; 8] = answer.attribute(0x0022).unwrap().try_into().unwrap();
        let build =
            |request: RequestBuilder| request.requested_transport(17).reservation_token(token);
        let second = Client::ann("192.0.2.10:2").ask(&mut world, Method::ALLOCATE, build);
        assert_eq!(second.relayed().port(), free + 1);
        assert_eq!((world.shared.ports.claimed(), world.kept.len()), (2, 0));
    }
    let mut world = four_ports(&[50_001, 50_002]);
    let answer = Client::ann(CLIENT).ask(&mut world, Method::ALLOCATE, pair);
    assert_eq!(answer.code(), Some(508));
    assert_eq!(
        (
            world.shared.ports.claimed(),
            world.shared.quotas.count(),
            world.kept.len()
        ),
        (0, 0, 0)
    );
}

#[test]
fn even_ports_come_with_their_neighbour_reserved_for_any_worker() {
    let mut world = World::new(config());
    let mut rtp = Client::ann("192.0.2.10:1");
    let answer = rtp.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17).even_port(true)
    });
    let even = answer.relayed();
    assert_eq!(even.port() % 2, 0);
    let token: [u8; 8] = answer.attribute(0x0022).unwrap().try_into().unwrap();
    assert_eq!(world.shared.ports.claimed(), 2);
    let mut other_worker = World::sharing(config(), world.shared.clone(), 1);
    let mut rtcp = Client::ann("192.0.2.10:2");
    let build = |request: RequestBuilder| request.requested_transport(17).reservation_token(token);
    let odd = rtcp
        .ask(&mut other_worker, Method::ALLOCATE, build)
        .relayed();
    assert_eq!(odd.port(), even.port() + 1);
    let again = Client::ann("192.0.2.10:3").ask(&mut world, Method::ALLOCATE, build);
    assert_eq!(again.code(), Some(508));
}

#[test]
fn a_reservation_counts_against_the_quota_and_is_good_for_its_user_only() {
    let mut world = World::with_quotas(config(), 2, 0);
    let mut ann = Client::ann("192.0.2.10:1");
    let pair = |request: RequestBuilder| request.requested_transport(17).even_port(true);
    let answer = ann.ask(&mut world, Method::ALLOCATE, pair);
    let token: [u8; 8] = answer.attribute(0x0022).unwrap().try_into().unwrap();
    assert_eq!(world.shared.quotas.count(), 2);
    let third = Client::ann("192.0.2.10:2").ask(&mut world, Method::ALLOCATE, pair);
    assert_eq!(third.code(), Some(486));
    let take = |request: RequestBuilder| request.requested_transport(17).reservation_token(token);
    let thief = Client::bob("192.0.2.10:3").ask(&mut world, Method::ALLOCATE, take);
    assert_eq!(thief.code(), Some(508));
    ann.refresh(&mut world, 0);
    assert_eq!(
        (world.shared.quotas.count(), world.shared.ports.claimed()),
        (1, 1)
    );
    let owner = Client::ann("192.0.2.10:4").ask(&mut world, Method::ALLOCATE, take);
    assert_eq!(owner.code(), None);
    assert_eq!(world.shared.quotas.count(), 1);
}

#[test]
fn a_reserved_port_is_no_live_relay_until_it_is_bound() {
    let mut world = World::new(config());
    let mut ann = Client::ann("192.0.2.10:1");
    let pair = |request: RequestBuilder| request.requested_transport(17).even_port(true);
    let answer = ann.ask(&mut world, Method::ALLOCATE, pair);
    let token: [u8; 8] = answer.attribute(0x0022).unwrap().try_into().unwrap();
    let mut odd = answer.relayed();
    odd.set_port(odd.port() + 1);
    // Whatever listens there now is not ours: another program may have the port.
    assert_eq!(
        ann.bind(&mut world, 0x4000, &odd.to_string()).code(),
        Some(403)
    );
    assert_eq!(ann.permit(&mut world, &odd.to_string()).code(), None);
    assert_eq!(
        ann.send_indication(&mut world, &odd.to_string(), b"x"),
        Got::Nothing
    );
    let take = |request: RequestBuilder| request.requested_transport(17).reservation_token(token);
    assert_eq!(
        Client::ann("192.0.2.10:2")
            .ask(&mut world, Method::ALLOCATE, take)
            .relayed(),
        odd
    );
    assert_eq!(ann.bind(&mut world, 0x4000, &odd.to_string()).code(), None);
}

#[test]
fn an_even_port_without_reservation_holds_one_port() {
    let mut world = World::new(config());
    for client in 1..=10 {
        let mut client = Client::ann(&format!("192.0.2.10:{client}"));
        let answer = client.ask(&mut world, Method::ALLOCATE, |request| {
            request.requested_transport(17).even_port(false)
        });
        assert_eq!(answer.relayed().port() % 2, 0);
        assert_eq!(answer.attribute(0x0022), None);
    }
    assert_eq!(world.shared.ports.claimed(), 10);
    let answer = Client::ann("192.0.2.10:11").ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17).even_port(false)
    });
    assert_eq!(answer.code(), Some(508));
}

#[test]
fn a_reservation_that_nobody_takes_up_is_returned() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    client.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17).even_port(true)
    });
    assert_eq!((world.shared.ports.claimed(), world.kept.len()), (2, 1));
    world.pass(Duration::from_secs(31));
    assert_eq!((world.shared.ports.claimed(), world.kept.len()), (1, 0));
}
