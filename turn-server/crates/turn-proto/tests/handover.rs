//! An allocation handed to another relay goes on there as if nothing had happened.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::time::Duration;

use support::{Client, Got, World, address, config};
use turn_proto::{Flow, Traffic};

const CLIENT: &str = "192.0.2.10:40000";
const PEER: &str = "203.0.113.5:9";

/// A world with one session, and the same session in a new world whose clock runs elsewhere.
fn handed_over(client: &mut Client) -> (World, World) {
    let mut old = World::new(config());
    client.allocate(&mut old);
    client.bind(&mut old, 0x4000, PEER);
    client.permit(&mut old, "203.0.113.6:1");
    old.pass(Duration::from_secs(100));
    let mut new = World::new(config());
    new.now = Duration::from_secs(77_777);
    new.unix_offset = 1_100 - 77_777;
    let records = old.relay.export(old.now());
    assert_eq!(records.len(), 1);
    let named = new.relay.import(new.now(), &records[0]).unwrap();
    let sockets = named.into_iter().zip(&records[0].relays);
    new.bound
        .extend(sockets.map(|(relay, held)| (relay, held.local)));
    assert!(
        new.relay.export(new.now()) == records,
        "the round trip changes something"
    );
    assert!(
        new.relay.import(new.now(), &records[0]).is_none(),
        "taken over twice"
    );
    (old, new)
}

#[test]
fn data_and_requests_go_on_in_the_new_place() {
    let mut client = Client::ann(CLIENT);
    let (old, mut new) = handed_over(&mut client);
    let local = *new.bound.values().next().unwrap();
    assert!(
        matches!(client.channel_data(&mut new, 0x4000, b"x"), Got::ToPeer { to, .. } if to == address(PEER))
    );
    assert!(
        new.peer_sends(address("203.0.113.6:7"), local, b"x")
            .is_some()
    );
    assert!(
        new.peer_sends(address("203.0.113.7:7"), local, b"x")
            .is_none()
    );
    assert_eq!(client.refresh(&mut new, 600).code(), None);
    assert_eq!(new.shared.ports.claimed(), old.shared.ports.claimed());
}

#[test]
fn what_remains_is_what_is_left() {
    let mut client = Client::ann(CLIENT);
    let (_, mut new) = handed_over(&mut client);
    let local = *new.bound.values().next().unwrap();
    new.pass(Duration::from_secs(199));
    assert!(
        new.peer_sends(address("203.0.113.6:7"), local, b"x")
            .is_some()
    );
    new.pass(Duration::from_secs(1));
    assert!(
        new.peer_sends(address("203.0.113.6:7"), local, b"x")
            .is_none()
    );
    new.pass(Duration::from_secs(300));
    assert_eq!(
        (
            new.bound.len(),
            new.shared.ports.claimed(),
            new.shared.quotas.count()
        ),
        (0, 0, 0)
    );
}

#[test]
fn a_stricter_place_takes_over_only_what_it_allows() {
    let mut client = Client::ann(CLIENT);
    let (old, _) = handed_over(&mut client);
    let mut strict = config();
    strict.peers.allow_private = false;
    let mut new = World::new(strict);
    new.relay
        .import(new.now(), &old.relay.export(old.now())[0])
        .unwrap();
    assert_eq!(
        (new.relay.stats().permissions, new.relay.stats().channels),
        (0, 0)
    );
}

#[test]
fn flows_name_what_may_be_forwarded_without_asking() {
    let mut client = Client::ann(CLIENT);
    let (_, new) = handed_over(&mut client);
    let (relay, local) = new.bound.iter().next().unwrap();
    let expected = Flow {
        path: client.path,
        channel: 0x4000,
        relay: *relay,
        local: *local,
        peer: address(PEER),
        remaining: Duration::from_secs(500),
    };
    assert_eq!(new.relay.flows(new.now()), [expected]);
}

#[test]
fn what_was_forwarded_for_a_flow_is_counted_for_its_session_until_that_ends() {
    let mut client = Client::ann(CLIENT);
    let (_, mut new) = handed_over(&mut client);
    let flow = new.relay.flows(new.now())[0];
    let forwarded = Traffic {
        client_received_packets: 3,
        client_received_bytes: 3 * 164,
        peer_sent_packets: 3,
        peer_sent_bytes: 3 * 160,
        ..Traffic::default()
    };
    let session = |world: &World| world.relay.export(world.now())[0].traffic;
    let (before, all) = (session(&new), new.relay.stats().traffic);
    assert!(new.relay.on_forwarded(&flow, forwarded));
    let with = |mut counted: Traffic, times: usize| {
        (0..times).for_each(|_| counted += forwarded);
        counted
    };
    assert_eq!(session(&new), with(before, 1));
    client.refresh(&mut new, 0);
    assert!(new.relay.flows(new.now()).is_empty());
    assert!(
        !new.relay.on_forwarded(&flow, forwarded),
        "the session is over"
    );
    assert_eq!(
        new.relay.stats().traffic.peer_sent_packets,
        with(all, 2).peer_sent_packets,
        "what passed has passed"
    );
}
