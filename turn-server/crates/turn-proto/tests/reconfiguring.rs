//! What becomes of sessions when the operator changes the settings, or lets the server run dry.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::sync::Arc;

use support::{Answer, Client, World, address, config, udp};
use turn_auth::Credentials;
use turn_proto::{Admin, Alternate, Alternates, Config};
use turn_wire::{Method, RequestBuilder};

const PEER: &str = "203.0.113.9:5000";

fn reconfigure(world: &mut World, config: Config) {
    let now = world.now();
    (world.relay).on_command(now, Admin::Configure(Arc::new(config)));
    world.drain();
}

fn ask_to_allocate(client: &mut Client, world: &mut World) -> Answer {
    client.ask(world, Method::ALLOCATE, |request| {
        request.requested_transport(17)
    })
}

#[test]
fn while_draining_new_allocations_are_refused_and_the_others_go_on() {
    let mut world = World::new(config());
    let mut ann = Client::ann("192.0.2.1:4000");
    let relayed = ann.allocate(&mut world);
    world.shared.drain(true);
    let mut bob = Client::bob("192.0.2.2:4000");
    let refused = ask_to_allocate(&mut bob, &mut world);
    assert_eq!(refused.code(), Some(403));
    assert!(refused.signed_by(&bob.key));
    assert_eq!(world.shared.quotas.count(), 1);
    // Everything that a session needs to last.
    assert_eq!(ann.refresh(&mut world, 600).lifetime(), 600);
    assert_eq!(ann.permit(&mut world, PEER).code(), None);
    assert_eq!(ann.bind(&mut world, 0x4000, PEER).code(), None);
    let binding = RequestBuilder::new(Method::BINDING, [9; 12]).finish(None, false);
    let binding = Answer::of(world.send(&udp("192.0.2.2:4000"), &binding));
    assert_eq!(binding.code(), None);
    // It is no state that an allocation could not come back from.
    world.shared.drain(false);
    assert_ne!(bob.allocate(&mut world), relayed);
}

#[test]
fn while_draining_the_answer_to_a_retransmitted_allocate_is_the_same() {
    let mut world = World::new(config());
    let mut ann = Client::ann("192.0.2.1:4000");
    ann.challenge(&mut world);
    let id = ann.id();
    let packet = ann.sign(RequestBuilder::new(Method::ALLOCATE, id).requested_transport(17));
    let first = Answer::of(world.send(&ann.path, &packet));
    world.shared.drain(true);
    let again = Answer::of(world.send(&ann.path, &packet));
    assert_eq!((again.code(), &again.bytes), (None, &first.bytes));
}

#[test]
fn while_draining_clients_are_sent_elsewhere_if_the_operator_says_where() {
    let mut world = World::new(Config {
        alternates: Alternates {
            any: vec![Alternate {
                server: address("198.51.100.7:3478"),
                domain: None,
            }],
            ..Alternates::default()
        },
        ..config()
    });
    world.shared.drain(true);
    let request = RequestBuilder::new(Method::ALLOCATE, [3; 12]).requested_transport(17);
    let answer = Answer::of(world.send(&udp("192.0.2.1:4000"), &request.finish(None, false)));
    assert_eq!(answer.code(), Some(300));
}

/// The settings with whom to believe replaced.
fn believing(credentials: Credentials) -> Config {
    Config {
        credentials: Arc::new(credentials),
        ..config()
    }
}

#[test]
fn a_session_outlives_its_user_and_its_secret_and_a_new_one_is_not_made() {
    let mut world = World::new(config());
    let mut ann = Client::ann("192.0.2.1:4000");
    let mut carl = Client::timed("192.0.2.3:4000", "carl", 600, &world);
    for client in [&mut ann, &mut carl] {
        client.allocate(&mut world);
    }
    reconfigure(
        &mut world,
        believing(Credentials::new(support::REALM).with_user("dora", "secret of dora")),
    );
    for client in [&mut ann, &mut carl] {
        assert_eq!(client.refresh(&mut world, 600).lifetime(), 600);
        let mut again = Client::new("192.0.2.4:4000", &client.username, "");
        again.key = client.key.clone();
        again.challenge(&mut world);
        assert_eq!(ask_to_allocate(&mut again, &mut world).code(), Some(401));
    }
    Client::new("192.0.2.5:4000", "dora", "secret of dora").allocate(&mut world);
}

#[test]
fn a_session_goes_on_in_its_realm_when_new_ones_are_made_in_another() {
    let mut world = World::new(config());
    let mut ann = Client::ann("192.0.2.1:4000");
    ann.allocate(&mut world);
    let elsewhere = Credentials::new("elsewhere.example").with_user("ann", "secret of ann");
    reconfigure(&mut world, believing(elsewhere));
    assert_eq!(ann.refresh(&mut world, 600).lifetime(), 600);
    assert_eq!(ann.permit(&mut world, PEER).code(), None);
    // Its realm is worth nothing without its key, and nothing on another path.
    let mut thief = Client::new("192.0.2.1:4000", "ann", "guessed");
    thief.nonce.clone_from(&ann.nonce);
    assert_eq!(thief.refresh(&mut world, 600).code(), Some(401));
    let mut late = Client::ann("192.0.2.6:4000");
    let challenge = late.challenge(&mut world);
    assert_eq!(challenge.attribute(0x0014).unwrap(), b"elsewhere.example");
    assert_eq!(ask_to_allocate(&mut late, &mut world).code(), Some(401));
}
