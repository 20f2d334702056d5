//! Data both ways: framing, permissions, policy, counting.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::sync::Arc;

use support::{Client, Got, World, address, behind_nat, config};
use turn_proto::{Admin, Transport};
use turn_wire::{Family, Method, Packet, RequestBuilder};

const CLIENT: &str = "192.0.2.10:40000";
const PEER: &str = "203.0.113.5:9";
const V6_PEER: &str = "[2001:db8:5::5]:9";

#[test]
fn send_and_data_indications_carry_payloads_unchanged() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let relayed = client.allocate(&mut world);
    client.permit(&mut world, PEER);
    for payload in [&b""[..], b"1", b"four", b"eleven byte", &[0xAB; 1200]] {
        let got = client.send_indication(&mut world, PEER, payload);
        assert_eq!(
            got,
            Got::ToPeer {
                from: relayed,
                to: address(PEER),
                payload: payload.to_vec()
            }
        );
        let (path, message) = world.peer_sends(address(PEER), relayed, payload).unwrap();
        assert_eq!(path, client.path);
        let Ok(Packet::Stun(view)) = turn_wire::parse(&message) else {
            panic!("{message:?}")
        };
        let data = turn_wire::parse_data(&view).unwrap();
        assert_eq!((data.peer, &message[data.data]), (address(PEER), payload));
    }
}

#[test]
fn channels_carry_payloads_unchanged_and_pad_on_streams_only() {
    for (transport, padded) in [(Transport::Udp, 9), (Transport::Tcp, 12)] {
        let mut world = World::new(config());
        let mut client = Client::ann(CLIENT).over(transport, 5);
        let relayed = client.allocate(&mut world);
        client.bind(&mut world, 0x4001, PEER);
        let got = client.channel_data(&mut world, 0x4001, b"hello");
        assert_eq!(
            got,
            Got::ToPeer {
                from: relayed,
                to: address(PEER),
                payload: b"hello".to_vec()
            }
        );
        let (_, frame) = world.peer_sends(address(PEER), relayed, b"hello").unwrap();
        assert_eq!(frame.len(), padded);
        assert_eq!(&frame[..9], b"\x40\x01\x00\x05hello");
        assert!(frame[9..].iter().all(|byte| *byte == 0), "padding leaks");
    }
}

#[test]
fn strangers_get_nothing_through() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let relayed = client.allocate(&mut world);
    client.permit(&mut world, PEER);
    assert!(
        world
            .peer_sends(address("203.0.113.6:9"), relayed, b"x")
            .is_none()
    );
    // A permission is for an address, not for a port (RFC 8656 §9).
    assert!(
        world
            .peer_sends(address("203.0.113.5:1234"), relayed, b"x")
            .is_some()
    );
    assert_eq!(
        client.send_indication(&mut world, "203.0.113.6:9", b"x"),
        Got::Nothing
    );
    assert_eq!(client.channel_data(&mut world, 0x4000, b"x"), Got::Nothing);
    let mut stranger = Client::ann("192.0.2.11:40000");
    assert_eq!(
        stranger.send_indication(&mut world, PEER, b"x"),
        Got::Nothing
    );
    let stats = world.relay.stats();
    assert_eq!((stats.dropped_peer, stats.dropped_client), (1, 3));
}

#[test]
fn an_indication_with_an_attribute_that_must_be_understood_is_dropped() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    client.allocate(&mut world);
    client.permit(&mut world, PEER);
    let send = RequestBuilder::indication(turn_wire::Method::SEND, [1; 12])
        .xor_peer_address(address(PEER))
        .data(b"x");
    let packet = send.attribute(0x7F00, b"what").finish(None, false);
    assert_eq!(world.send(&client.path, &packet), Got::Nothing);
}

/// Whether a datagram that a client asks not to fragment is not, and whether others are.
fn unfragmented(mut client: Client, peer: &str) -> bool {
    let mut world = World::new(config());
    let dual = client.ask(&mut world, Method::ALLOCATE, |request| {
        request
            .requested_transport(17)
            .additional_family(Family::V6)
            .dont_fragment()
    });
    assert_eq!(dual.code(), None);
    client.bind(&mut world, 0x4000, peer);
    let send = || {
        RequestBuilder::indication(Method::SEND, [1; 12])
            .xor_peer_address(address(peer))
            .data(b"x")
    };
    let asked = send().dont_fragment().finish(None, false);
    assert!(world.send(&client.path, &asked) != Got::Nothing);
    let unfragmented = world.dont_fragment;
    assert!(world.send(&client.path, &send().finish(None, false)) != Got::Nothing);
    assert!(!world.dont_fragment, "nobody has asked");
    world.dont_fragment = true;
    assert!(client.channel_data(&mut world, 0x4000, b"x") != Got::Nothing);
    assert!(!world.dont_fragment, "channels never ask");
    unfragmented
}

#[test]
fn dont_fragment_counts_from_ipv4_to_ipv4_and_from_streams() {
    let v6_client = || Client::ann("[2001:db8::9]:40000");
    // §14, and §13.2, §13.1, §13.3: ignored by all translations.
    assert!(unfragmented(Client::ann(CLIENT), PEER));
    assert!(!unfragmented(v6_client(), V6_PEER));
    assert!(!unfragmented(Client::ann(CLIENT), V6_PEER));
    assert!(!unfragmented(v6_client(), PEER));
    // §15.
    for peer in [PEER, V6_PEER] {
        let stream = Client::ann(CLIENT).over(Transport::Tcp, 9);
        assert!(unfragmented(stream, peer));
    }
}

#[test]
fn a_frame_longer_than_its_packet_reaches_nobody() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    client.allocate(&mut world);
    client.bind(&mut world, 0x4000, PEER);
    assert_eq!(
        world.send(&client.path, &[0x40, 0x00, 0x8A, 0xB6, 1, 2, 3]),
        Got::Nothing
    );
}

#[test]
fn two_clients_of_one_server_reach_each_other_by_their_relayed_addresses() {
    let mut world = World::new(config());
    let (mut ann, mut bob) = (Client::ann(CLIENT), Client::bob("192.0.2.11:40000"));
    let (a, b) = (ann.allocate(&mut world), bob.allocate(&mut world));
    assert_eq!(ann.permit(&mut world, &b.to_string()).code(), None);
    assert_eq!(bob.bind(&mut world, 0x4000, &a.to_string()).code(), None);
    let Got::ToPeer { from, to, payload } = ann.send_indication(&mut world, &b.to_string(), b"hi")
    else {
        panic!()
    };
    assert_eq!((from, to), (a, b));
    let (path, frame) = world.peer_sends(from, to, &payload).unwrap();
    assert_eq!((path, &frame[4..]), (bob.path, &b"hi"[..]));
    // Other ports of the same machine stay out of reach, with the permission in place.
    assert_eq!(
        ann.send_indication(&mut world, "198.51.100.1:22", b"x"),
        Got::Nothing
    );
    assert_eq!(world.relay.stats().dropped_policy, 1);
    // And so does the port of a relay that is gone.
    bob.refresh(&mut world, 0);
    assert_eq!(
        ann.send_indication(&mut world, &b.to_string(), b"hi"),
        Got::Nothing
    );
}

#[test]
fn behind_a_nat_the_public_address_is_told_and_understood() {
    let mut world = World::new(behind_nat());
    let (mut ann, mut bob) = (Client::ann(CLIENT), Client::bob("192.0.2.11:40000"));
    let (a, b) = (ann.allocate(&mut world), bob.allocate(&mut world));
    assert_eq!(a.ip(), address("192.0.2.99:0").ip());
    assert_eq!(ann.bind(&mut world, 0x4000, &b.to_string()).code(), None);
    assert_eq!(bob.permit(&mut world, &a.to_string()).code(), None);
    let inner = |public: std::net::SocketAddr| {
        std::net::SocketAddr::new(address(support::SERVER).ip(), public.port())
    };
    let Got::ToPeer { from, to, payload } = ann.channel_data(&mut world, 0x4000, b"hi") else {
        panic!()
    };
    assert_eq!((from, to), (inner(a), inner(b)));
    let (_, message) = world.peer_sends(from, to, &payload).unwrap();
    let Ok(Packet::Stun(view)) = turn_wire::parse(&message) else {
        panic!()
    };
    assert_eq!(turn_wire::parse_data(&view).unwrap().peer, a);
}

#[test]
fn a_stricter_policy_cuts_what_it_denies_at_once() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let relayed = client.allocate(&mut world);
    client.permit(&mut world, PEER);
    client.bind(&mut world, 0x4000, "203.0.113.6:9");
    client.permit(&mut world, "8.8.8.8:53");
    let mut strict = config();
    strict.peers.allow_private = false;
    world
        .relay
        .on_command(world.now(), Admin::Configure(Arc::new(strict)));
    assert!(world.peer_sends(address(PEER), relayed, b"x").is_none());
    assert!(
        world
            .peer_sends(address("203.0.113.6:9"), relayed, b"x")
            .is_none()
    );
    assert_eq!(client.channel_data(&mut world, 0x4000, b"x"), Got::Nothing);
    assert!(
        world
            .peer_sends(address("8.8.8.8:53"), relayed, b"x")
            .is_some()
    );
    assert_eq!(
        (
            world.relay.stats().permissions,
            world.relay.stats().channels
        ),
        (1, 0)
    );
}

#[test]
fn bytes_are_counted_on_both_sides() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let relayed = client.allocate(&mut world);
    client.bind(&mut world, 0x4000, PEER);
    client.channel_data(&mut world, 0x4000, &[1; 100]);
    world.peer_sends(address(PEER), relayed, &[2; 50]);
    world.peer_sends(address("203.0.113.77:1"), relayed, &[3; 999]);
    let traffic = world.relay.stats().traffic;
    assert_eq!(
        (
            traffic.client_received_packets,
            traffic.client_received_bytes
        ),
        (1, 104)
    );
    assert_eq!(
        (traffic.peer_sent_packets, traffic.peer_sent_bytes),
        (1, 100)
    );
    assert_eq!(
        (traffic.peer_received_packets, traffic.peer_received_bytes),
        (1, 50)
    );
    assert_eq!(
        (traffic.client_sent_packets, traffic.client_sent_bytes),
        (1, 54)
    );
}

#[test]
fn an_allocation_holds_only_so_many_permissions_and_channels() {
    let mut small = config();
    (small.limits.permissions, small.limits.channels) = (3, 2);
    let mut world = World::new(small);
    let mut client = Client::ann(CLIENT);
    client.allocate(&mut world);
    assert_eq!(
        client.bind(&mut world, 0x4000, "203.0.113.1:1").code(),
        None
    );
    assert_eq!(
        client.bind(&mut world, 0x4001, "203.0.113.1:2").code(),
        None
    );
    assert_eq!(
        client.bind(&mut world, 0x4002, "203.0.113.1:3").code(),
        Some(508)
    );
    assert_eq!(client.permit(&mut world, "203.0.113.2:1").code(), None);
    let many = client.ask(
        &mut world,
        turn_wire::Method::CREATE_PERMISSION,
        |request| {
            request
                .xor_peer_address(address("203.0.113.3:1"))
                .xor_peer_address(address("203.0.113.4:1"))
        },
    );
    assert_eq!(many.code(), Some(508));
    let same_twice = client.ask(
        &mut world,
        turn_wire::Method::CREATE_PERMISSION,
        |request| {
            request
                .xor_peer_address(address("203.0.113.3:1"))
                .xor_peer_address(address("203.0.113.3:2"))
        },
    );
    assert_eq!(same_twice.code(), None);
    assert_eq!(client.permit(&mut world, "203.0.113.4:1").code(), Some(508));
    assert_eq!(client.permit(&mut world, "203.0.113.1:1").code(), None);
}
