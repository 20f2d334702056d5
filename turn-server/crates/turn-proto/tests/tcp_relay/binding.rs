//! ConnectionBind (RFC 6062 §5.4): who may join which connection, and once.

use std::sync::Arc;

use turn_proto::{ConnectionId, Transport};
use turn_wire::{Method, RequestBuilder};

use super::{
    CLIENT, DATA, PEER, allocated, bind, connect, connected, data_connection, request_allocation,
    seconds,
};
use crate::support::{Answer, Client, World, config};

#[test]
fn a_connection_is_bound_once() {
    let (mut world, mut client, _) = allocated();
    let connection = connected(&mut world, &mut client, PEER);
    let mut data = data_connection(8);
    assert_eq!(bind(&mut world, &mut data, connection).code(), None);
    let mut second = data_connection(9);
    assert_eq!(bind(&mut world, &mut second, connection).code(), Some(400));
    assert!(world.relay.on_join(world.now(), connection));
    assert!(!world.relay.on_join(world.now(), connection));
}

#[test]
fn who_binds_is_who_allocated() {
    let (mut world, mut client, _) = allocated();
    let connection = connected(&mut world, &mut client, PEER);
    let mut bob = Client::bob(DATA).over(Transport::Tcp, 8);
    assert_eq!(bind(&mut world, &mut bob, connection).code(), Some(441));
    let mut forger = Client::new(DATA, "ann", "a wrong guess").over(Transport::Tcp, 9);
    assert_eq!(bind(&mut world, &mut forger, connection).code(), Some(401));
    let unsigned = RequestBuilder::new(Method::CONNECTION_BIND, [1; 12])
        .connection_id(connection.0)
        .finish(None, false);
    let answer = Answer::of(world.send(&forger.path, &unsigned));
    assert_eq!(answer.code(), Some(401));
    assert!(world.joins.is_empty());
    let mut data = data_connection(10);
    assert_eq!(bind(&mut world, &mut data, connection).code(), None);
}

#[test]
fn a_name_that_is_missing_or_nobodys_is_a_bad_request() {
    let (mut world, mut client, _) = allocated();
    let connection = connected(&mut world, &mut client, PEER);
    let mut data = data_connection(8);
    let answer = data.ask(&mut world, Method::CONNECTION_BIND, |request| request);
    assert_eq!(answer.code(), Some(400));
    let other = ConnectionId(connection.0 ^ 1);
    assert_eq!(bind(&mut world, &mut data, other).code(), Some(400));
    // Not before it is connected.
    connect(&mut world, &mut client, "203.0.113.6:80");
    let connecting = world.connections.keys().find(|id| **id != connection);
    let connecting = *connecting.unwrap();
    assert_eq!(bind(&mut world, &mut data, connecting).code(), Some(400));
}

#[test]
fn a_control_connection_and_a_datagram_bind_nothing() {
    let (mut world, mut client, _) = allocated();
    let connection = connected(&mut world, &mut client, PEER);
    assert_eq!(bind(&mut world, &mut client, connection).code(), Some(400));
    let mut datagrams = Client::ann(DATA);
    let answer = bind(&mut world, &mut datagrams, connection);
    assert_eq!(answer.code(), Some(400));
    assert!(world.joins.is_empty());
}

#[test]
fn a_credential_that_has_expired_still_binds() {
    let mut world = World::new(config());
    let mut client = Client::timed(CLIENT, "eve", 60, &world).over(Transport::Tcp, 7);
    request_allocation(&mut world, &mut client, |request| request).relayed();
    let mut data = Client::timed(DATA, "eve", 60, &world).over(Transport::Tcp, 8);
    world.pass(seconds(100));
    client.challenge(&mut world);
    let connection = connected(&mut world, &mut client, PEER);
    assert_eq!(bind(&mut world, &mut data, connection).code(), None);
}

#[test]
fn another_worker_accepts_the_binding_and_names_the_one_that_joins() {
    let (mut world, mut client, _) = allocated();
    let mut other = World::sharing(config(), Arc::clone(&world.shared), 3);
    let connection = connected(&mut world, &mut client, PEER);
    let mut data = data_connection(8);
    assert_eq!(bind(&mut other, &mut data, connection).code(), None);
    assert_eq!(other.joins, [(data.path.link, connection, 0)]);
    assert!(world.relay.on_join(world.now(), connection));
    assert!(!other.relay.on_join(other.now(), connection));
}

#[test]
fn the_nonce_of_the_control_connection_serves_data_connections_too() {
    let (mut world, mut client, _) = allocated();
    let connection = connected(&mut world, &mut client, PEER);
    let mut data = data_connection(8);
    data.nonce = client.nonce.clone();
    assert_eq!(bind(&mut world, &mut data, connection).code(), None);
    // Not from another host, and not for datagrams from another port.
    let mut elsewhere = Client::ann("192.0.2.11:40000").over(Transport::Tcp, 9);
    elsewhere.nonce = client.nonce.clone();
    let answer = bind(&mut world, &mut elsewhere, connection);
    assert_eq!(answer.code(), Some(438));
    let mut datagrams = Client::ann(CLIENT);
    datagrams.challenge(&mut world);
    let mut other_port = Client::ann(DATA);
    other_port.nonce = datagrams.nonce.clone();
    let answer = other_port.refresh(&mut world, 600);
    assert_eq!(answer.code(), Some(438));
}
