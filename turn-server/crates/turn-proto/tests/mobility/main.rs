//! Mobile sessions (RFC 8016) in virtual time: tickets, both 5-tuples at once, retransmissions, streams that break, workers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod moving;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod tickets;
mod workers;

use std::{net::SocketAddr, time::Duration};

use turn_proto::{Event, Path};
use turn_wire::{Method, RequestBuilder, attr};

use support::{Answer, Client, Got, World, address};

const CLIENT: &str = "192.0.2.10:40000";
const ELSEWHERE: &str = "198.18.0.7:555";
const THIRD: &str = "203.0.113.77:7777";
const PEER: &str = "203.0.113.5:9";
const CHANNEL: u16 = 0x4000;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Makes a mobile allocation with a channel; its relayed address and its ticket.
fn allocate(world: &mut World, client: &mut Client) -> (SocketAddr, Vec<u8>) {
    let answer = client.ask(world, Method::ALLOCATE, |request| {
        request.requested_transport(17).mobility_ticket(b"")
    });
    let relayed = answer.relayed();
    assert_eq!(client.bind(world, CHANNEL, PEER).code(), None);
    (relayed, ticket_of(&answer))
}

fn ticket_of(answer: &Answer) -> Vec<u8> {
    let ticket = answer.attribute(attr::MOBILITY_TICKET).unwrap();
    // coturn's client keeps tickets as strings of at most 32 characters.
    assert!(ticket.len() <= 32 && ticket.iter().all(u8::is_ascii_graphic));
    ticket
}

/// The same client at another place.
fn at(place: &str) -> Client {
    Client::ann(place)
}

fn move_to(world: &mut World, client: &mut Client, ticket: &[u8]) -> Answer {
    client.nonce = challenge(world, client, ticket);
    let id = client.id();
    let packet = refresh(client, id, ticket);
    Answer::of(world.send(&client.path, &packet))
}

fn refresh(client: &Client, id: [u8; 12], ticket: &[u8]) -> Vec<u8> {
    let request = RequestBuilder::new(Method::REFRESH, id)
        .lifetime(600)
        .mobility_ticket(ticket);
    client.sign(request)
}

/// A nonce for the new place, as one gets it there.
fn challenge(world: &mut World, client: &mut Client, ticket: &[u8]) -> Vec<u8> {
    let id = client.id();
    let packet = RequestBuilder::new(Method::REFRESH, id)
        .mobility_ticket(ticket)
        .finish(None, false);
    let answer = Answer::of(world.send(&client.path, &packet));
    answer.attribute(attr::NONCE).unwrap_or_else(|| {
        // A ticket that leads nowhere is not worth a challenge.
        assert_eq!(answer.code(), Some(437));
        client.challenge(world);
        client.nonce.clone()
    })
}

/// Where a peer's packet arrives.
fn heard_at(world: &mut World, relayed: SocketAddr) -> Option<Path> {
    world
        .peer_sends(address(PEER), relayed, b"x")
        .map(|(path, _)| path)
}

fn sends(world: &mut World, client: &mut Client) -> bool {
    let got = client.channel_data(world, CHANNEL, b"x");
    matches!(got, Got::ToPeer { to, .. } if to == address(PEER))
}

fn moves(world: &World) -> usize {
    let moved = |event: &&Event| matches!(event, Event::Moved { .. });
    world.events.iter().filter(moved).count()
}
