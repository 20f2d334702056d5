//! What the driver decides for the state machine: the keys of users, and where relay sockets are.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::time::Duration;

use support::{Client, Got, REALM, World, address, config};
use turn_auth::LongTermKey;
use turn_proto::{Access, Admin, BindFailure, Config, EndReason, Event};
use turn_wire::{Family, Method, RequestBuilder};

const CLIENT: &str = "192.0.2.10:40000";

fn asking() -> Config {
    Config {
        access: Access::Asked,
        ..config()
    }
}

/// A world whose driver knows carol.
fn world() -> World {
    let mut world = World::new(asking());
    let key = LongTermKey::derive("carol", REALM, "secret of carol");
    world.known.insert("carol".into(), key.as_bytes().to_vec());
    world
}

fn carol() -> Client {
    Client::new(CLIENT, "carol", "secret of carol")
}

fn ask(client: &mut Client, world: &mut World) -> support::Answer {
    client.ask(world, Method::ALLOCATE, |request| {
        request.requested_transport(17)
    })
}

#[test]
fn a_key_is_asked_for_once_and_lasts_as_long_as_the_allocation() {
    let mut world = world();
    let mut client = carol();
    client.allocate(&mut world);
    assert_eq!(world.asked, ["carol"]);
    world.known.clear();
    assert_eq!(client.refresh(&mut world, 600).code(), None);
    assert_eq!(client.permit(&mut world, "192.0.2.77:1").code(), None);
    assert_eq!(world.asked, ["carol"]);
}

#[test]
fn users_at_hand_are_not_asked_for() {
    let mut world = world();
    Client::ann(CLIENT).allocate(&mut world);
    assert!(world.asked.is_empty());
}

#[test]
fn a_user_whom_nobody_knows_is_answered_like_a_wrong_password() {
    let mut world = world();
    let mut unknown = Client::new("192.0.2.10:1", "mallory", "guess");
    let mut wrong = Client::new("192.0.2.10:2", "carol", "guess");
    let (unknown, wrong) = (ask(&mut unknown, &mut world), ask(&mut wrong, &mut world));
    assert_eq!((unknown.code(), wrong.code()), (Some(401), Some(401)));
    assert_eq!(unknown.bytes.len(), wrong.bytes.len());
    assert_eq!(world.asked, ["mallory", "carol"]);
}

#[test]
fn nobody_is_asked_for_before_the_nonce_is_ours() {
    let mut world = world();
    let mut client = carol();
    client.nonce = b"not one of ours.".to_vec();
    assert_eq!(ask(&mut client, &mut world).code(), Some(438));
    assert!(world.asked.is_empty());
    // Nor without any credentials, nor in another realm.
    assert_eq!(client.challenge(&mut world).code(), Some(401));
    client.realm = "elsewhere".into();
    assert_eq!(ask(&mut client, &mut world).code(), Some(401));
    assert!(world.asked.is_empty());
}

#[test]
fn keys_of_any_length_sign_both_ways() {
    let mut world = world();
    world.known.insert("carol".into(), b"ABC".to_vec());
    let mut client = carol();
    client.key = turn_wire::IntegrityKey::new(b"ABC");
    client.allocate(&mut world);
    assert!(client.refresh(&mut world, 600).signed_by(&client.key));
}

#[test]
fn an_allocation_of_another_user_is_refused_after_asking() {
    let mut world = world();
    let mut ann = Client::ann(CLIENT);
    ann.allocate(&mut world);
    let mut client = carol();
    client.nonce = ann.nonce.clone();
    assert_eq!(client.refresh(&mut world, 0).code(), Some(441));
}

#[test]
fn binding_requests_that_need_credentials_ask_as_well_and_count_once() {
    let mut world = World::new(Config {
        binding_needs_credentials: true,
        ..asking()
    });
    world.known.insert("carol".into(), b"ABC".to_vec());
    let mut client = carol();
    client.key = turn_wire::IntegrityKey::new(b"ABC");
    client.challenge(&mut world);
    let answer = client.ask(&mut world, Method::BINDING, |request| request);
    assert_eq!((answer.code(), answer.mapped()), (None, address(CLIENT)));
    assert_eq!(world.relay.stats().binding_requests, 1);
}

#[test]
fn the_driver_may_say_where_a_relay_is() {
    let mut world = World::new(config());
    let (local, relayed) = (address("0.0.0.0:61001"), address("9.9.9.9:61001"));
    world.places.push_back((local, relayed));
    let mut client = Client::ann(CLIENT);
    assert_eq!(client.allocate(&mut world), relayed);
    client.permit(&mut world, "192.0.2.77:1");
    assert!(
        world
            .peer_sends(address("192.0.2.77:1"), local, b"hi")
            .is_some()
    );
    let told = world.events.iter().find_map(|event| match event {
        Event::Started { relayed, .. } => Some(*relayed),
        _ => None,
    });
    assert_eq!(told, Some(relayed));
}

#[test]
fn an_odd_port_is_given_back_when_an_even_one_is_asked_for() {
    let mut world = World::new(config());
    for port in [61_001, 61_003, 61_004] {
        let place = std::net::SocketAddr::new(address(CLIENT).ip(), port);
        world.places.push_back((place, place));
    }
    let mut client = Client::ann(CLIENT);
    let answer = client.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17).even_port(false)
    });
    assert_eq!(answer.relayed().port(), 61_004);
    assert_eq!(world.bound.len(), 1);
}

#[test]
fn odd_ports_for_ever_end_in_508() {
    let mut world = World::new(config());
    let odd = address("192.0.2.1:61001");
    world.places.extend([(odd, odd); 1000]);
    let mut client = Client::ann(CLIENT);
    let answer = client.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17).even_port(false)
    });
    assert_eq!(answer.code(), Some(508));
    assert!(world.bound.is_empty());
    assert!(world.places.len() > 900, "{}", world.places.len());
}

#[test]
fn a_relay_of_another_family_than_asked_for_is_none() {
    let mut world = World::new(config());
    let v4 = address("192.0.2.1:61002");
    world.places.push_back((v4, v4));
    let v6 = |request: RequestBuilder| request.requested_transport(17).requested_family(Family::V6);
    let mut client = Client::ann(CLIENT);
    assert_eq!(
        client.ask(&mut world, Method::ALLOCATE, v6).code(),
        Some(440)
    );
    assert!(world.bound.is_empty());
    world.failures.push_back(BindFailure::NoSuchFamily);
    assert_eq!(
        client.ask(&mut world, Method::ALLOCATE, v6).code(),
        Some(440)
    );
}

#[test]
fn a_command_ends_the_allocations_of_one_name() {
    let mut world = World::new(config());
    let mut ann = [Client::ann("192.0.2.10:1"), Client::ann("192.0.2.10:2")];
    let mut bob = Client::bob("192.0.2.10:3");
    for client in ann.iter_mut().chain([&mut bob]) {
        client.allocate(&mut world);
    }
    let username = "ann".into();
    world
        .relay
        .on_command(world.now(), Admin::EndUser { username });
    assert!(world.drain().is_empty());
    let ended = |event: &Event| {
        matches!(
            event,
            Event::Ended {
                reason: EndReason::Commanded,
                ..
            }
        )
    };
    assert_eq!(world.events.iter().filter(|event| ended(event)).count(), 2);
    assert_eq!(ann[0].refresh(&mut world, 600).code(), Some(437));
    assert_eq!(bob.refresh(&mut world, 600).code(), None);
    world.pass(Duration::from_secs(700));
    assert!(world.bound.is_empty());
    assert_eq!(
        bob.send_indication(&mut world, "192.0.2.77:1", b"x"),
        Got::Nothing
    );
}

#[test]
fn a_relay_socket_that_others_close_takes_its_allocation_along() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    client.allocate(&mut world);
    let relay = *world.bound.keys().next().unwrap();
    world.relay.on_relay_closed(world.now(), relay);
    assert!(world.drain().is_empty());
    assert!(world.bound.is_empty());
    let told = world.events.iter().any(|event| {
        let why = EndReason::RelayClosed;
        matches!(event, Event::Ended { reason, .. } if *reason == why)
    });
    assert!(told);
    assert_eq!(client.refresh(&mut world, 600).code(), Some(437));
    // Nobody's relay is nobody's end.
    world.relay.on_relay_closed(world.now(), relay);
    client.allocate(&mut world);
}
