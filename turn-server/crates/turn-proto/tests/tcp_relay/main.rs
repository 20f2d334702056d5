//! TCP allocations (RFC 6062) in virtual time: what is asked of the driver, what clients are told, and when all of it ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod accepting;
mod allocating;
mod binding;
mod bounds;
mod connecting;
#[path = "../support/mod.rs"]
mod support;

use std::{net::SocketAddr, time::Duration};

use turn_proto::{ConnectionId, Path, Reply, Transport};
use turn_wire::{Method, RequestBuilder, attr};

use support::{Answer, Client, Got, World, address, config};

const CLIENT: &str = "192.0.2.10:40000";
const DATA: &str = "192.0.2.10:40001";
const PEER: &str = "203.0.113.5:80";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A client on a control connection.
fn control() -> Client {
    Client::ann(CLIENT).over(Transport::Tcp, 7)
}

/// A client's further connection.
fn data_connection(link: u32) -> Client {
    Client::ann(DATA).over(Transport::Tcp, link)
}

fn request_allocation(
    world: &mut World,
    client: &mut Client,
    more: impl Fn(RequestBuilder) -> RequestBuilder,
) -> Answer {
    client.ask(world, Method::ALLOCATE, |request| {
        more(request.requested_transport(6))
    })
}

/// A world with a TCP allocation.
fn allocated() -> (World, Client, SocketAddr) {
    let mut world = World::new(config());
    let mut client = control();
    let answer = request_allocation(&mut world, &mut client, |request| request);
    assert!(answer.signed_by(&client.key));
    let relayed = answer.relayed();
    (world, client, relayed)
}

/// Sends a Connect request, which is answered later or refused at once.
fn connect(world: &mut World, client: &mut Client, peer: &str) -> Got {
    let id = client.id();
    let request = RequestBuilder::new(Method::CONNECT, id).xor_peer_address(address(peer));
    world.send(&client.path, &client.sign(request))
}

fn refused(got: Got) -> u16 {
    Answer::of(got).code().unwrap()
}

/// The connection that the driver has been asked for last.
fn asked_for(world: &World) -> ConnectionId {
    *world.connections.iter().next().unwrap().0
}

fn reply(world: &mut World, reply: Reply) -> Option<(Path, Answer)> {
    world.relay.on_reply(world.now(), reply);
    let mut answers = world.drain();
    assert!(answers.len() <= 1);
    let (path, bytes) = answers.pop()?;
    Some((path, Answer { bytes }))
}

/// Connects to a peer that accepts, and returns the CONNECTION-ID that the client is told.
fn connected(world: &mut World, client: &mut Client, peer: &str) -> ConnectionId {
    assert_eq!(connect(world, client, peer), Got::Nothing);
    let connection = world
        .connections
        .iter()
        .find(|(_, (_, to))| *to == address(peer))
        .map(|(id, _)| *id)
        .unwrap();
    let (path, answer) = reply(world, Reply::Connected { connection }).unwrap();
    assert_eq!((path, answer.code()), (client.path, None));
    assert!(answer.signed_by(&client.key));
    let told = answer.attribute(attr::CONNECTION_ID).unwrap();
    assert_eq!(told, connection.0.to_be_bytes());
    connection
}

fn bind(world: &mut World, client: &mut Client, connection: ConnectionId) -> Answer {
    client.ask(world, Method::CONNECTION_BIND, |request| {
        request.connection_id(connection.0)
    })
}

/// A peer's connection arrives: the CONNECTION-ID, and the indication to the client.
fn peer_connects(world: &mut World, from: &str) -> Option<(ConnectionId, Path, Vec<u8>)> {
    let relay = *world.listening.iter().next().unwrap();
    let now = world.now();
    let connection = world.relay.on_peer_connection(now, relay, address(from));
    let mut told = world.drain();
    assert_eq!(told.len(), usize::from(connection.is_some()));
    let connection = connection?;
    let local = world.bound[&relay];
    world.connections.insert(connection, (local, address(from)));
    let (path, bytes) = told.pop().unwrap();
    Some((connection, path, bytes))
}
