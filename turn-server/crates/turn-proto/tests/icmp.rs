//! ICMP errors about datagrams to peers (RFC 8656 §11.5, §18.13).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::{net::SocketAddr, time::Duration};

use support::{Answer, Client, Got, World, address, behind_nat, config};
use turn_proto::{IcmpReport, RelayId};
use turn_wire::{Class, Family, Method};

const CLIENT: &str = "192.0.2.10:40000";
const PEER: &str = "203.0.113.5:9";
const V6_PEER: &str = "[2001:db8:5::5]:9";

/// A client with both families and a permission for one peer of each.
fn session() -> (World, Client) {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let dual = client.ask(&mut world, Method::ALLOCATE, |request| {
        request
            .requested_transport(17)
            .additional_family(Family::V6)
    });
    assert_eq!(dual.all_relayed().len(), 2);
    client.permit(&mut world, PEER);
    client.permit(&mut world, V6_PEER);
    (world, client)
}

fn relay(world: &World, v4: bool) -> RelayId {
    let mut bound = world.bound.iter();
    *bound.find(|(_, local)| local.is_ipv4() == v4).unwrap().0
}

/// What the client is told of an error: the peer and the value of ICMP.
fn told(world: &mut World, client: &Client, report: IcmpReport) -> Option<(SocketAddr, Vec<u8>)> {
    let relay = relay(world, report.to.is_ipv4());
    world.relay.on_icmp(world.now(), relay, report);
    let mut sent = world.drain();
    let (path, bytes) = sent.pop()?;
    assert!(sent.is_empty() && path == client.path);
    let message = Answer::of(Got::Reply(bytes));
    assert_eq!(
        (message.view().class(), message.view().method()),
        (Class::Indication, Method::DATA)
    );
    assert_eq!(message.attribute(0x0013), None, "DATA beside ICMP");
    Some((message.peer(), message.attribute(0x8004).unwrap()))
}

fn report(to: &str, kind: u8, code: u8, mtu: u32) -> IcmpReport {
    let to = address(to);
    IcmpReport {
        to,
        kind,
        code,
        mtu,
    }
}

#[test]
fn the_client_is_told_the_peer_the_type_and_the_code() {
    let (mut world, client) = session();
    let unreachable = told(&mut world, &client, report(PEER, 3, 3, 77));
    // Type in seven bits, code in nine; no MTU where the type has none.
    let expected = (address(PEER), vec![0, 0, 0b0000_0110, 3, 0, 0, 0, 0]);
    assert_eq!(unreachable, Some(expected));
    let expired = told(&mut world, &client, report(PEER, 11, 0, 0)).unwrap();
    assert_eq!(expired.1[2..4], [0b0001_0110, 0]);
    let too_big = told(&mut world, &client, report(PEER, 3, 4, 1400)).unwrap();
    assert_eq!(too_big.1, [0, 0, 6, 4, 0, 0, 5, 120]);
    let too_big = told(&mut world, &client, report(V6_PEER, 2, 0, 1280)).unwrap();
    assert_eq!(too_big, (address(V6_PEER), vec![0, 0, 4, 0, 0, 0, 5, 0]));
}

#[test]
fn types_that_are_not_listed_are_not_told() {
    let (mut world, client) = session();
    for kind in 0..=255 {
        world.pass(Duration::from_secs(1));
        let v4 = told(&mut world, &client, report(PEER, kind, 1, 0));
        assert_eq!(v4.is_some(), [3, 11].contains(&kind), "ICMPv4 {kind}");
        let v6 = told(&mut world, &client, report(V6_PEER, kind, 1, 0));
        assert_eq!(v6.is_some(), [1, 2, 3].contains(&kind), "ICMPv6 {kind}");
    }
}

#[test]
fn the_permission_of_the_datagrams_destination_counts_and_no_port() {
    let (mut world, client) = session();
    assert!(told(&mut world, &client, report("203.0.113.5:7777", 3, 1, 0)).is_some());
    assert!(told(&mut world, &client, report("203.0.113.6:9", 3, 1, 0)).is_none());
    world.pass(Duration::from_secs(300));
    assert!(told(&mut world, &client, report(PEER, 3, 1, 0)).is_none());
    assert_eq!(world.relay.stats().dropped_peer, 2);
}

#[test]
fn a_flood_of_errors_is_cut_short_and_the_next_second_begins_anew() {
    let (mut world, client) = session();
    let count = |world: &mut World| {
        (0..1000)
            .filter(|_| told(world, &client, report(PEER, 3, 3, 0)).is_some())
            .count()
    };
    assert_eq!(count(&mut world), 16);
    world.pass(Duration::from_millis(999));
    assert_eq!(count(&mut world), 0);
    world.pass(Duration::from_millis(1));
    assert_eq!(count(&mut world), 16);
}

#[test]
fn a_relay_that_is_gone_tells_nobody() {
    let (mut world, mut client) = session();
    let gone = relay(&world, true);
    client.refresh(&mut world, 0);
    world
        .relay
        .on_icmp(world.now(), gone, report(PEER, 3, 3, 0));
    assert!(world.drain().is_empty());
    world
        .relay
        .on_icmp(world.now(), RelayId(u32::MAX), report(PEER, 3, 3, 0));
    assert!(world.drain().is_empty());
}

#[test]
fn a_relay_of_this_server_is_told_by_the_name_that_the_client_knows() {
    let mut world = World::new(behind_nat());
    let (mut ann, mut bob) = (Client::ann(CLIENT), Client::bob("192.0.2.10:2"));
    ann.allocate(&mut world);
    let public = bob.allocate(&mut world);
    ann.permit(&mut world, &public.to_string());
    let inside = SocketAddr::new(address(support::SERVER).ip(), public.port());
    let first = *world.bound.keys().next().unwrap();
    world
        .relay
        .on_icmp(world.now(), first, report(&inside.to_string(), 3, 3, 0));
    let (path, bytes) = world.drain().pop().unwrap();
    assert_eq!(path, ann.path);
    assert_eq!(Answer::of(Got::Reply(bytes)).peer(), public);
}
