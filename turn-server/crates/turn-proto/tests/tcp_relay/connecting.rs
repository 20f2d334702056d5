//! Connect (RFC 6062 §5.2): which peers, and how long for.

use turn_proto::{IpRange, Reply};
use turn_wire::Method;

use super::{
    PEER, allocated, asked_for, bind, connect, connected, control, data_connection, refused, reply,
    request_allocation, seconds,
};
use crate::support::{Answer, Got, SERVER, World, address, config};

#[test]
fn connect_leaves_from_the_relayed_address_and_needs_no_permission() {
    let (mut world, mut client, relayed) = allocated();
    let connection = connected(&mut world, &mut client, PEER);
    assert_eq!(world.connections[&connection], (relayed, address(PEER)));
    assert_eq!(world.relay.stats().peer_connections, 1);
}

#[test]
fn connect_without_a_tcp_allocation_is_a_mismatch() {
    let mut world = World::new(config());
    let mut client = control();
    client.challenge(&mut world);
    assert_eq!(refused(connect(&mut world, &mut client, PEER)), 437);
    client.allocate(&mut world);
    assert_eq!(refused(connect(&mut world, &mut client, PEER)), 437);
}

#[test]
fn connect_needs_a_peer_of_the_family_with_a_port() {
    let (mut world, mut client, _) = allocated();
    let answer = client.ask(&mut world, Method::CONNECT, |request| request);
    assert_eq!(answer.code(), Some(400));
    let portless = connect(&mut world, &mut client, "203.0.113.5:0");
    assert_eq!(refused(portless), 400);
    let other_family = connect(&mut world, &mut client, "[2001:db8::7]:80");
    assert_eq!(refused(other_family), 443);
}

#[test]
fn one_connection_per_peer_at_a_time() {
    let (mut world, mut client, _) = allocated();
    assert_eq!(connect(&mut world, &mut client, PEER), Got::Nothing);
    // Being connected.
    assert_eq!(refused(connect(&mut world, &mut client, PEER)), 446);
    let connection = asked_for(&world);
    reply(&mut world, Reply::Connected { connection });
    // Waiting.
    assert_eq!(refused(connect(&mut world, &mut client, PEER)), 446);
    let mut data = data_connection(8);
    assert_eq!(bind(&mut world, &mut data, connection).code(), None);
    assert!(world.relay.on_join(world.now(), connection));
    // In use.
    assert_eq!(refused(connect(&mut world, &mut client, PEER)), 446);
    // Another port of the same peer is another peer.
    connected(&mut world, &mut client, "203.0.113.5:81");
    world.relay.on_connection_closed(world.now(), connection);
    world.connections.remove(&connection);
    connected(&mut world, &mut client, PEER);
}

#[test]
fn the_policy_for_peers_is_that_of_datagrams() {
    let mut strict = config();
    strict.peers.deny = vec![IpRange::new(address(PEER).ip(), address(PEER).ip()).unwrap()];
    strict.peers.control = vec![address("203.0.113.9:5432")];
    let mut world = World::new(strict);
    let mut client = control();
    let relayed = request_allocation(&mut world, &mut client, |request| request).relayed();
    for denied in [
        PEER,
        "127.0.0.1:22",
        "169.254.169.254:80",
        // A backend, and our own address where no relay listens.
        "203.0.113.9:5432",
        SERVER,
    ] {
        let got = connect(&mut world, &mut client, denied);
        assert_eq!(refused(got), 403, "{denied}");
    }
    assert!(world.connections.is_empty());
    // A live relay may be reached: another client's, or its own.
    connected(&mut world, &mut client, &relayed.to_string());
    connected(&mut world, &mut client, "203.0.113.9:80");
}

#[test]
fn a_refused_connection_is_447() {
    let (mut world, mut client, _) = allocated();
    connect(&mut world, &mut client, PEER);
    let connection = asked_for(&world);
    let (path, answer) = reply(&mut world, Reply::ConnectFailed { connection }).unwrap();
    assert_eq!((path, answer.code()), (client.path, Some(447)));
    assert!(answer.signed_by(&client.key));
    world.connections.clear();
    assert_eq!(world.relay.stats().peer_connections, 0);
    connected(&mut world, &mut client, PEER);
}

#[test]
fn a_peer_that_does_not_answer_is_447_after_thirty_seconds() {
    let (mut world, mut client, _) = allocated();
    connect(&mut world, &mut client, PEER);
    let connection = asked_for(&world);
    world.pass(seconds(29));
    assert!(world.late_answers.is_empty() && world.connections.len() == 1);
    world.pass(seconds(1));
    let (path, bytes) = world.late_answers.pop().unwrap();
    assert_eq!((path, Answer { bytes }.code()), (client.path, Some(447)));
    assert!(world.connections.is_empty());
    // Too late.
    assert!(reply(&mut world, Reply::Connected { connection }).is_none());
    assert!(reply(&mut world, Reply::ConnectFailed { connection }).is_none());
}

#[test]
fn a_connection_that_nobody_binds_is_closed_after_thirty_seconds() {
    let (mut world, mut client, _) = allocated();
    world.pass(seconds(0));
    connect(&mut world, &mut client, PEER);
    world.pass(seconds(20));
    let connection = asked_for(&world);
    reply(&mut world, Reply::Connected { connection });
    // Thirty seconds from the success, not from the request.
    world.pass(seconds(29));
    assert_eq!(world.connections.len(), 1);
    world.pass(seconds(1));
    assert!(world.connections.is_empty());
    assert_eq!(world.relay.stats().peer_connections, 0);
    let mut data = data_connection(8);
    assert_eq!(bind(&mut world, &mut data, connection).code(), Some(400));
    assert!(!world.relay.on_join(world.now(), connection));
}
