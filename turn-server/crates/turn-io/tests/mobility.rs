//! Sessions that follow their clients (RFC 8016) over real sockets: to other addresses, transports and workers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use std::net::{SocketAddr, UdpSocket};

use support::{Client, Got, LOOPBACKS, Server, Setup, peer, receive};
use turn_proto::{Event, Transport};
use turn_wire::{Method, attr};

const ON: &str = LOOPBACKS[0];
const CHANNEL: u16 = 0x4001;

/// A server with several workers, TLS included.
fn server() -> Server {
    let mut setup = Setup::secure();
    setup.config.workers = 4;
    Server::with(setup)
}

fn at(server: &Server, transport: Transport) -> Client {
    Client::connect(transport, server.address(transport, ON))
}

/// Allocates with mobility: the relayed address and the ticket.
fn allocate(client: &mut Client) -> (SocketAddr, Vec<u8>) {
    client.learn_nonce();
    let answer = client.request(Method::ALLOCATE, |request| {
        request.requested_transport(17).mobility_ticket(b"")
    });
    assert!(answer.is_success(), "{:?}", answer.error());
    let view = answer.view();
    let relayed = view.xor_address(attr::XOR_RELAYED_ADDRESS).unwrap();
    let ticket = view.attribute(attr::MOBILITY_TICKET).unwrap().to_vec();
    (relayed, ticket)
}

/// Shows the client at its new place; the new ticket.
fn appear(client: &mut Client, ticket: &[u8]) -> Vec<u8> {
    client.learn_nonce();
    let answer = client.request(Method::REFRESH, |request| request.mobility_ticket(ticket));
    assert!(answer.is_success(), "{:?}", answer.error());
    let view = answer.view();
    view.attribute(attr::MOBILITY_TICKET).unwrap().to_vec()
}

fn echo(client: &mut Client, peer: &UdpSocket, relayed: SocketAddr, payload: &[u8]) {
    client.send_channel(CHANNEL, payload);
    assert_eq!(receive(peer), (payload.to_vec(), relayed));
    peer.send_to(payload, relayed).unwrap();
    assert_eq!(client.receive(), Got::Channel(CHANNEL, payload.to_vec()));
}

#[test]
fn a_session_goes_wherever_its_client_goes() {
    let server = server();
    let (peer, peer_address) = peer(ON);
    let mut client = at(&server, Transport::Udp);
    let (relayed, mut ticket) = allocate(&mut client);
    client.bind_channel(CHANNEL, peer_address);
    // The kernel deals 5-tuples over the workers: with so many moves, most go from one to another.
    let transports = [Transport::Tcp, Transport::Udp, Transport::Tls];
    for (round, transport) in (0u8..).zip(transports.into_iter().cycle()).take(30) {
        let mut new = at(&server, transport);
        ticket = appear(&mut new, &ticket);
        // Requests are served at the new place, data still goes to the old one.
        new.permit(peer_address);
        peer.send_to(&[round], relayed).unwrap();
        assert_eq!(client.receive(), Got::Channel(CHANNEL, vec![round]));
        echo(&mut new, &peer, relayed, &vec![round; 700]);
        client = new;
    }
    let stats = server.workers.stats().relay;
    let alive = [
        stats.allocations_udp,
        stats.allocations_tcp,
        stats.allocations_tls,
    ];
    assert_eq!((alive, stats.channels), ([0, 0, 1], 1));
    let moved = |event: &Event| matches!(event, Event::Moved { .. });
    assert_eq!(server.events.try_iter().filter(moved).count(), 30);
    client.release();
    server.wait_for("the session's end", |stats| {
        stats.relay.allocations_tls == 0
    });
    assert_eq!(server.shared.ports.claimed(), 0);
}

#[test]
fn what_is_sent_while_the_session_moves_is_not_lost() {
    let server = server();
    let (peer, peer_address) = peer(ON);
    let mut client = at(&server, Transport::Udp);
    let (relayed, mut ticket) = allocate(&mut client);
    client.bind_channel(CHANNEL, peer_address);
    for round in 0..20u8 {
        let mut new = at(&server, Transport::Udp);
        ticket = appear(&mut new, &ticket);
        // In one go: the first takes the session along, the others run after it.
        for number in 0..20u8 {
            new.send_channel(CHANNEL, &[round, number]);
        }
        let mut got: Vec<u8> = (0..20)
            .map(|_| {
                let (payload, from) = receive(&peer);
                assert_eq!((from, payload[0]), (relayed, round));
                payload[1]
            })
            .collect();
        got.sort_unstable();
        assert!(got.into_iter().eq(0..20));
    }
}

#[test]
fn a_client_that_was_cut_off_finds_its_session_again() {
    let server = server();
    let (peer, peer_address) = peer(ON);
    for transport in [Transport::Tcp, Transport::Udp, Transport::Tls].repeat(4) {
        let mut cut = at(&server, Transport::Tcp);
        let (relayed, ticket) = allocate(&mut cut);
        cut.bind_channel(CHANNEL, peer_address);
        drop(cut);
        server.wait_for("the stream's end", |stats| stats.io.streams_open == 0);
        assert_eq!(server.shared.ports.claimed(), 1, "the session waits");
        let mut back = at(&server, transport);
        appear(&mut back, &ticket);
        echo(&mut back, &peer, relayed, b"here I am");
        back.release();
        drop(back);
        server.wait_for("the session's end", |stats| stats.io.streams_open == 0);
    }
}
