//! Clients over TLS: the same sessions as over TCP, on the same ports, and what TLS adds.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use std::{io::Write, time::Duration};

use support::{Client, Got, IDENTITY, Identity, LOOPBACKS, Server, Setup, peer, receive};
use turn_proto::{Event, Transport};

const CHANNEL: u16 = 0x4001;
const ON: &str = LOOPBACKS[0];

/// A client over TLS, through the port of a transport.
fn client_on(server: &Server, port_of: Transport) -> Client {
    Client::connect(Transport::Tls, server.address(port_of, ON))
}

fn echo_both_ways(client: &mut Client) {
    let (peer, peer_address) = peer(ON);
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, peer_address);
    for length in [0, 1, 1_200, 20_000, 60_000] {
        let payload = vec![length as u8; length];
        client.send_channel(CHANNEL, &payload);
        assert_eq!(receive(&peer), (payload.clone(), relayed));
        peer.send_to(&payload, relayed).unwrap();
        assert_eq!(client.receive(), Got::Channel(CHANNEL, payload));
    }
}

#[test]
fn tls_and_plain_are_told_apart_on_both_ports() {
    let server = Server::secure();
    for port_of in [Transport::Tls, Transport::Tcp] {
        echo_both_ways(&mut client_on(&server, port_of));
        echo_both_ways(&mut Client::connect(
            Transport::Tcp,
            server.address(port_of, ON),
        ));
    }
    let transports: Vec<_> = server
        .events
        .try_iter()
        .filter_map(|event| match event {
            Event::Started { path, .. } => Some(path.transport),
            _ => None,
        })
        .collect();
    let expected = [Transport::Tls, Transport::Tcp];
    assert_eq!(transports, expected.repeat(2));
    assert_eq!(server.workers.stats().io.tls_handshakes, 2);
}

#[test]
fn what_is_not_served_is_closed() {
    let mut only_tls = Setup::secure();
    only_tls.config.plain_streams = false;
    let server = Server::with(only_tls);
    let mut plain = server.client(Transport::Tcp, ON);
    plain.send(&[0, 1, 0, 0]);
    plain.tcp().wait_for_end();
    assert_eq!(
        client_on(&server, Transport::Tls).binding().ip(),
        support::ip(ON)
    );
    assert_eq!(server.workers.stats().io.streams_unopened, 1);

    let no_tls = Server::new();
    let link = support::TcpLink::connect(no_tls.address(Transport::Tcp, ON));
    assert!(link.into_secure(&IDENTITY).is_err());
}

#[test]
fn a_handshake_that_takes_too_long_is_closed_and_who_is_done_is_not() {
    let mut setup = Setup::secure();
    setup.config.handshake_patience = Duration::from_millis(300);
    let server = Server::with(setup);
    let mut done = client_on(&server, Transport::Tls);
    done.allocate();
    // The beginning of a record that says it is 512 bytes long.
    let mut slow = server.client(Transport::Tcp, ON);
    slow.tcp().socket.write_all(&[0x16, 3, 1, 2, 0, 1]).unwrap();
    slow.tcp().wait_for_end();
    let stats = server.wait_for("the close", |stats| stats.io.streams_open == 1);
    assert_eq!((stats.io.streams_unopened, stats.io.streams_idle), (1, 0));
    done.release();
}

#[test]
fn a_handshake_that_begins_late_and_does_not_go_on_is_closed() {
    let mut setup = Setup::secure();
    setup.config.handshake_patience = Duration::from_millis(100);
    let server = Server::with(setup);
    let mut stalled = server.client(Transport::Tcp, ON);
    // Its silence outlasts what a handshake may take; it is that of any stranger.
    std::thread::sleep(Duration::from_millis(300));
    stalled.send(b"\x16\x03\x01\x02\x00\x01");
    stalled.tcp().wait_for_end();
    let stats = server.wait_for("it is counted", |stats| stats.io.streams_unopened == 1);
    assert_eq!((stats.io.streams_idle, stats.io.streams_open), (0, 0));
}

#[test]
fn who_holds_handshakes_open_keeps_nobody_out() {
    let mut setup = Setup::secure();
    setup.config.max_handshakes = 2;
    let server = Server::with(setup);
    let mut done = client_on(&server, Transport::Tls);
    done.allocate();
    let mut slow = Vec::new();
    for _ in 0..5 {
        let mut client = server.client(Transport::Tcp, ON);
        client
            .tcp()
            .socket
            .write_all(&[0x16, 3, 1, 2, 0, 1])
            .unwrap();
        slow.push(client);
    }
    // The oldest give way to the last of them, and one of these to whoever comes.
    server.wait_for("two are left", |stats| stats.io.streams_refused == 3);
    client_on(&server, Transport::Tls).binding();
    for client in &mut slow[..4] {
        client.tcp().wait_for_end();
    }
    assert_eq!(server.workers.stats().io.streams_refused, 4);
    drop(slow);
    client_on(&server, Transport::Tls).binding();
    done.release();
}

#[test]
fn nonsense_in_a_handshake_closes_that_connection_only() {
    let server = Server::secure();
    let mut good = client_on(&server, Transport::Tls);
    good.allocate();
    let mut bad = server.client(Transport::Tcp, ON);
    bad.send(&[0x16; 400]);
    bad.tcp().wait_for_end();
    good.release();
    assert_eq!(server.workers.stats().io.streams_unopened, 1);
}

#[test]
fn nonsense_inside_tls_closes_the_stream() {
    let server = Server::secure();
    let mut client = client_on(&server, Transport::Tls);
    client.send(&[0xFF; 20]);
    client.tcp().wait_for_end();
    server.wait_for("the close", |stats| stats.io.streams_misframed == 1);
}

#[test]
fn the_end_of_a_connection_ends_its_session_with_and_without_a_good_bye() {
    let server = Server::secure();
    for polite in [true, false] {
        let mut client = client_on(&server, Transport::Tls);
        client.allocate();
        let link = client.tcp();
        if polite {
            let tls = link.tls.as_mut().unwrap();
            tls.send_close_notify();
            tls.complete_io(&mut link.socket).unwrap();
        } else {
            link.socket.shutdown(std::net::Shutdown::Both).unwrap();
        }
        server.wait_for("the end", |stats| {
            (stats.relay.allocations_tcp, stats.io.streams_open) == (0, 0)
        });
    }
    assert_eq!(server.shared.ports.claimed(), 0);
}

#[test]
fn a_new_certificate_is_shown_to_new_connections_and_old_ones_go_on() {
    let server = Server::secure();
    let mut old = client_on(&server, Transport::Tls);
    old.allocate();
    let renewed = Identity::new();
    server.workers.secure_with(&renewed.tls());
    let address = server.address(Transport::Tls, ON);
    let link = support::TcpLink::secure(address, &renewed);
    let mut new = Client::over(support::Link::Tcp(link));
    echo_both_ways(&mut new);
    // Who trusts the old certificate only does not come in any more.
    let late = support::TcpLink::connect(address).into_secure(&IDENTITY);
    assert!(late.is_err());
    let (_peer, peer_address) = peer(ON);
    old.permit(peer_address);
    old.release();
}

#[test]
fn a_client_that_does_not_read_loses_data_and_not_its_session() {
    let server = Server::secure();
    let (peer, peer_address) = peer(ON);
    let mut client = client_on(&server, Transport::Tls);
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, peer_address);
    let mut sent = 0u32;
    server.wait_for("losses", |stats| {
        for _ in 0..50 {
            let mut payload = vec![0; 1_000];
            payload[..4].copy_from_slice(&sent.to_be_bytes());
            peer.send_to(&payload, relayed).unwrap();
            sent += 1;
        }
        stats.io.stream_messages_dropped >= 100
    });
    // What arrives is whole messages in order, with gaps; the session is still good for new ones.
    let mut last = None;
    loop {
        // It may be one of those lost.
        peer.send_to(b"marker", relayed).unwrap();
        let payload = match client.receive() {
            Got::Channel(CHANNEL, payload) => payload,
            other => panic!("after {last:?}: {other:?}"),
        };
        if payload == b"marker" {
            break;
        }
        let number = u32::from_be_bytes(payload[..4].try_into().unwrap());
        assert!(payload.len() == 1_000 && last.is_none_or(|last| last < number));
        last = Some(number);
    }
}
