//! What bounds connections: the end of what they belong to, numbers, rates and a change of policy.

use std::{sync::Arc, time::Duration};

use turn_proto::{Admin, Caps, Event, Good, Holder, IpRange, PeerPolicy, Share};
use turn_wire::{Family, Method};

use super::{
    PEER, allocated, bind, connect, connected, control, data_connection, peer_connects, refused,
    request_allocation, seconds,
};
use crate::support::{World, address, config};

#[test]
fn a_bound_connection_lives_as_long_as_its_allocation() {
    let (mut world, mut client, _) = allocated();
    let connection = connected(&mut world, &mut client, PEER);
    let mut data = data_connection(8);
    let answer = bind(&mut world, &mut data, connection);
    assert_eq!(answer.code(), None);
    assert!(answer.signed_by(&data.key));
    assert_eq!(world.joins, [(data.path.link, connection, 0)]);
    assert!(world.relay.on_join(world.now(), connection));
    world.pass(seconds(599));
    assert_eq!(world.connections.len(), 1);
    world.pass(seconds(1));
    assert_eq!((world.connections.len(), world.bound.len()), (0, 0));
    assert_eq!(
        (world.shared.ports.claimed(), world.shared.quotas.count()),
        (0, 0)
    );
    assert_eq!(world.relay.poll_timeout(), None);
}

#[test]
fn the_end_of_the_control_connection_ends_all_of_it() {
    let (mut world, mut client, _) = allocated();
    for port in 80..90 {
        connected(&mut world, &mut client, &format!("203.0.113.5:{port}"));
    }
    connect(&mut world, &mut client, "203.0.113.6:80");
    assert_eq!(world.relay.stats().peer_connections, 11);
    world.relay.on_link_closed(world.now(), client.path.link);
    assert!(world.drain().is_empty());
    assert!(world.connections.is_empty() && world.bound.is_empty());
    assert_eq!(world.relay.stats().peer_connections, 0);
}

#[test]
fn an_allocation_holds_a_bounded_number_of_connections() {
    let mut few = config();
    few.limits.connections = 2;
    let mut world = World::new(few);
    let mut client = control();
    request_allocation(&mut world, &mut client, |request| request).relayed();
    client.permit(&mut world, PEER);
    connected(&mut world, &mut client, "203.0.113.5:81");
    peer_connects(&mut world, PEER).unwrap();
    let third = connect(&mut world, &mut client, "203.0.113.5:82");
    assert_eq!(refused(third), 508);
    assert!(peer_connects(&mut world, "203.0.113.5:83").is_none());
}

#[test]
fn a_stricter_policy_closes_connections() {
    let (mut world, mut client, _) = allocated();
    connected(&mut world, &mut client, PEER);
    connected(&mut world, &mut client, "203.0.113.6:80");
    let mut strict = config();
    strict.peers = PeerPolicy {
        deny: vec![IpRange::new(address(PEER).ip(), address(PEER).ip()).unwrap()],
        ..strict.peers
    };
    let now = world.now();
    world
        .relay
        .on_command(now, Admin::Configure(Arc::new(strict)));
    assert!(world.drain().is_empty());
    let left: Vec<_> = world.connections.values().map(|(_, to)| *to).collect();
    assert_eq!(left, [address("203.0.113.6:80")]);
}

#[test]
fn bytes_that_pass_are_counted_for_the_session_and_for_all() {
    let (mut world, mut client, _) = allocated();
    let connection = connected(&mut world, &mut client, PEER);
    world
        .relay
        .on_connection_data(world.now(), connection, 1_000, 0);
    world
        .relay
        .on_connection_data(world.now(), connection, 0, 234);
    client.refresh(&mut world, 0);
    let traffic = world
        .events
        .iter()
        .find_map(|event| match event {
            Event::Ended { traffic, .. } => Some(*traffic),
            _ => None,
        })
        .unwrap();
    assert_eq!(
        (traffic.client_received_bytes, traffic.peer_sent_bytes),
        (1_000, 1_000)
    );
    assert_eq!(
        (traffic.peer_received_bytes, traffic.client_sent_bytes),
        (234, 234)
    );
    assert_eq!(world.relay.stats().traffic, traffic);
}

#[test]
fn connections_share_the_rates_of_their_session_and_wait_where_packets_are_dropped() {
    let mut limited = config();
    limited.guard.caps = Caps::default().with(Holder::Session, Good::BytesPerSecond, 40_000);
    let mut world = World::new(limited);
    let mut client = control();
    request_allocation(&mut world, &mut client, |request| request).relayed();
    let both = ["203.0.113.5:80", "203.0.113.5:81"];
    let both = both.map(|peer| connected(&mut world, &mut client, peer));
    let (mut passed, free) = (0, Share::Bytes(10_000));
    for turn in 0.. {
        let connection = both[turn % 2];
        let now = world.now();
        let [to_peer, to_client] = world.relay.connection_shares(now, connection);
        assert_eq!(to_client, free, "the other way");
        let Share::Bytes(bytes) = to_peer else { break };
        world.relay.on_connection_data(now, connection, bytes, 0);
        passed += bytes;
    }
    // A second's worth, and the share that goes over it.
    assert_eq!(passed, 50_000);
    let at = world.now + Duration::from_millis(250);
    for connection in both {
        let shares = world.relay.connection_shares(world.now(), connection);
        assert_eq!(shares, [Share::After(at), free]);
    }
    let limits = world.relay.stats().limits;
    assert_eq!(limits.of(Holder::Session, Good::BytesPerSecond), 3);
    world.pass(Duration::from_millis(250));
    let shares = world.relay.connection_shares(world.now(), both[0]);
    assert_eq!(shares, [free; 2]);
    // Where nothing is limited, nothing waits.
    let now = world.now();
    let unlimited = Admin::Configure(Arc::new(config()));
    world.relay.on_command(now, unlimited);
    let shares = world.relay.connection_shares(now, both[0]);
    assert_eq!(shares, [Share::Bytes(usize::MAX); 2]);
}

#[test]
fn the_end_of_one_of_two_families_ends_its_connections_only() {
    let mut world = World::new(config());
    let mut client = control();
    let answer = request_allocation(&mut world, &mut client, |request| {
        request.additional_family(Family::V6)
    });
    assert_eq!((answer.code(), world.listening.len()), (None, 2));
    let (v4, v6) = (PEER, "[2001:db8::7]:80");
    for peer in [v4, v6] {
        connected(&mut world, &mut client, peer);
    }
    let answer = client.ask(&mut world, Method::REFRESH, |request| {
        request.lifetime(0).requested_family(Family::V6)
    });
    assert_eq!(answer.code(), None);
    let left: Vec<_> = world.connections.values().map(|(_, to)| *to).collect();
    assert_eq!((left, world.listening.len()), (vec![address(v4)], 1));
}
