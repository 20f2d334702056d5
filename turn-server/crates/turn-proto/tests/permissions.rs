//! CreatePermission and ChannelBind: several peers at once, all or none (RFC 8656 §10.2), and the range of channels (§12).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::time::Duration;

use support::{Client, Got, World, address, config};
use turn_wire::{Method, RequestBuilder};

const CLIENT: &str = "192.0.2.10:40000";
const GOOD: [&str; 3] = ["203.0.113.5:9", "203.0.113.6:0", "8.8.8.8:53"];

fn session() -> (World, Client) {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    client.allocate(&mut world);
    (world, client)
}

fn permit(client: &mut Client, world: &mut World, peers: &[&str]) -> Option<u16> {
    let build = |request: RequestBuilder| {
        let add = |request: RequestBuilder, peer: &&str| request.xor_peer_address(address(peer));
        peers.iter().fold(request, add)
    };
    client.ask(world, Method::CREATE_PERMISSION, build).code()
}

#[test]
fn several_peers_are_permitted_at_once_whatever_their_ports() {
    let (mut world, mut client) = session();
    assert_eq!(permit(&mut client, &mut world, &GOOD), None);
    assert_eq!(world.relay.stats().permissions, 3);
    for peer in ["203.0.113.5:1", "203.0.113.6:65535", "8.8.8.8:53"] {
        let sent = client.send_indication(&mut world, peer, b"x");
        assert!(matches!(sent, Got::ToPeer { to, .. } if to == address(peer)));
    }
    // The same address twice is one permission, and each of them begins anew.
    world.pass(Duration::from_secs(200));
    let twice = ["203.0.113.5:1", "203.0.113.5:2"];
    assert_eq!(permit(&mut client, &mut world, &twice), None);
    world.pass(Duration::from_secs(100));
    assert_eq!(world.relay.stats().permissions, 1);
}

#[test]
fn one_bad_peer_spoils_the_others_wherever_it_stands() {
    let (mut world, mut client) = session();
    // Another family (§10.2: 443), one that the operator denies (403).
    for (bad, code) in [("[2001:db8::5]:9", 443), ("224.0.0.1:9", 403)] {
        for place in 0..=GOOD.len() {
            let mut peers = GOOD.to_vec();
            peers.insert(place, bad);
            assert_eq!(permit(&mut client, &mut world, &peers), Some(code));
        }
    }
    // One that cannot be read (400), before the good ones and behind them.
    for first in [true, false] {
        let answer = client.ask(&mut world, Method::CREATE_PERMISSION, |request| {
            let request = if first {
                request.attribute(0x0012, &[0, 1, 2])
            } else {
                request
            };
            let request = request.xor_peer_address(address(GOOD[0]));
            if first {
                request
            } else {
                request.attribute(0x0012, &[0, 1, 2])
            }
        });
        assert_eq!(answer.code(), Some(400));
    }
    assert_eq!(world.relay.stats().permissions, 0);
    for peer in ["203.0.113.5:9", "8.8.8.8:53"] {
        assert_eq!(client.send_indication(&mut world, peer, b"x"), Got::Nothing);
    }
}

#[test]
fn more_peers_than_there_is_room_for_are_refused_together() {
    let mut tight = config();
    tight.limits.permissions = 3;
    let mut world = World::new(tight);
    let mut client = Client::ann(CLIENT);
    client.allocate(&mut world);
    assert_eq!(permit(&mut client, &mut world, &GOOD[..2]), None);
    let more = ["203.0.113.7:9", "203.0.113.8:9"];
    assert_eq!(permit(&mut client, &mut world, &more), Some(508));
    assert_eq!(world.relay.stats().permissions, 2);
    // What is held already needs no room.
    let again = ["203.0.113.5:9", "203.0.113.7:9"];
    assert_eq!(permit(&mut client, &mut world, &again), None);
    assert_eq!(world.relay.stats().permissions, 3);
}

#[test]
fn a_refused_request_refreshes_nothing() {
    let (mut world, mut client) = session();
    permit(&mut client, &mut world, &GOOD[..1]);
    world.pass(Duration::from_secs(200));
    let spoilt = [GOOD[0], "224.0.0.1:9"];
    assert_eq!(permit(&mut client, &mut world, &spoilt), Some(403));
    world.pass(Duration::from_secs(100));
    assert_eq!(world.relay.stats().permissions, 0);
}

#[test]
fn channels_range_from_4000_to_4fff_or_as_the_operator_says() {
    let (mut world, mut client) = session();
    let peer = |number: u16| format!("203.0.113.5:{number}");
    for number in [0x4000, 0x4FFF] {
        let bound = client.bind(&mut world, number, &peer(number));
        assert_eq!(bound.code(), None, "{number:#06x}");
    }
    for number in [0, 0x3FFF, 0x5000, 0x7FFF, 0x8000, 0xFFFF] {
        let refused = client.bind(&mut world, number, &peer(9));
        assert_eq!(refused.code(), Some(400), "{number:#06x}");
        // Whoever sends on it all the same is not heard.
        let sent = client.channel_data(&mut world, number, b"x");
        assert!(!matches!(sent, Got::ToPeer { .. }), "{number:#06x}");
    }
    let mut older = config();
    older.channel_numbers = 0x4000..=0x7FFF;
    let mut world = World::new(older);
    let mut client = Client::ann(CLIENT);
    client.allocate(&mut world);
    assert_eq!(client.bind(&mut world, 0x7FFE, &peer(9)).code(), None);
    let sent = client.channel_data(&mut world, 0x7FFE, b"x");
    assert!(matches!(sent, Got::ToPeer { to, .. } if to == address(&peer(9))));
    assert_eq!(client.bind(&mut world, 0x8000, &peer(8)).code(), Some(400));
}

#[test]
fn a_channel_permits_its_peer_for_a_permissions_time() {
    let (mut world, mut client) = session();
    client.bind(&mut world, 0x4000, GOOD[0]);
    // §12.2: ChannelBind installs a permission, which is not the channel's own lifetime.
    world.pass(Duration::from_secs(299));
    let other_port = "203.0.113.5:7777";
    assert!(client.send_indication(&mut world, other_port, b"x") != Got::Nothing);
    world.pass(Duration::from_secs(1));
    let sent = client.send_indication(&mut world, other_port, b"x");
    assert_eq!(sent, Got::Nothing);
    assert_eq!(client.bind(&mut world, 0x4000, GOOD[0]).code(), None);
    assert!(client.send_indication(&mut world, other_port, b"x") != Got::Nothing);
}
