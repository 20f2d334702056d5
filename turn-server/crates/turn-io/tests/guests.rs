//! Connections that speak HTTP inside TLS are handed over, and all others are not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use std::{
    io::{Read, Write},
    net::SocketAddr,
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
};

use support::{Client, IDENTITY, LOOPBACKS, Link, PATIENCE, Server, Setup, TcpLink, ip, shake};
use turn_io::Guest;
use turn_proto::{Caps, Good, Holder, IpRange, Transport};

const ON: &str = LOOPBACKS[0];
const REQUEST: &[u8] = b"GET /v1/ice HTTP/1.1\r\n\r\n";

/// A server that hands guests over, and takes `room` of them.
fn server(mut setup: Setup, room: usize) -> (Server, Receiver<Guest>) {
    let (sink, guests) = sync_channel(room);
    setup.config.guests = Some(Arc::new(move |guest| sink.try_send(guest).is_ok()));
    (Server::with(setup), guests)
}

fn secure(server: &Server) -> TcpLink {
    TcpLink::secure(server.address(Transport::Tls, ON), &IDENTITY)
}

/// A connection whose client names the application protocols that it speaks.
fn speaking(server: &Server, protocols: &[&str]) -> TcpLink {
    let mut link = TcpLink::connect(server.address(Transport::Tls, ON));
    let mut tls = IDENTITY.client_speaking(protocols);
    shake(&mut tls, &mut link.socket).unwrap();
    link.tls = Some(Box::new(tls));
    link
}

fn take(guests: &Receiver<Guest>) -> Guest {
    guests.recv_timeout(PATIENCE).unwrap()
}

/// Answers over the session, as its new owner.
fn answer(guest: &mut Guest, bytes: &[u8]) {
    guest.socket.set_nonblocking(false).unwrap();
    let mut stream = rustls::Stream::new(&mut guest.tls, &mut guest.socket);
    stream.write_all(bytes).unwrap();
    stream.flush().unwrap();
}

#[test]
fn a_request_of_http_is_handed_over_with_all_that_belongs_to_it() {
    let mut setup = Setup::secure();
    setup.adjust = |rules| {
        rules.guard.caps = Caps::default().with(Holder::Network, Good::Connections, 1);
    };
    let (server, guests) = server(setup, 4);
    let mut link = secure(&server);
    let own = link.socket.local_addr().unwrap();
    link.send(REQUEST).unwrap();
    let mut guest = take(&guests);
    assert_eq!((guest.client, guest.proxied), (own, false));
    assert_eq!(guest.ahead, REQUEST);
    // No worker has it any more, and it has no place among the connections of its network.
    let stats = server.wait_for("it is counted", |stats| stats.io.streams_handed_over == 1);
    assert_eq!((stats.io.streams_open, stats.io.tls_handshakes), (0, 1));
    assert!(server.shared.quotas.is_clear());
    server.client(Transport::Tls, ON).allocate();

    answer(&mut guest, b"HTTP/1.1 200 OK\r\n\r\n");
    let mut read = vec![0; 100];
    let count = link.read(&mut read).unwrap();
    assert_eq!(&read[..count], b"HTTP/1.1 200 OK\r\n\r\n");
    // What comes later is its new owner's, too.
    link.send(b"more").unwrap();
    let mut more = [0; 4];
    rustls::Stream::new(&mut guest.tls, &mut guest.socket)
        .read_exact(&mut more)
        .unwrap();
    assert_eq!(&more, b"more");
}

#[test]
fn one_letter_is_enough_and_the_rest_may_take_its_time() {
    let (server, guests) = server(Setup::secure(), 4);
    let mut link = secure(&server);
    link.send(&REQUEST[..1]).unwrap();
    assert_eq!(take(&guests).ahead, b"G");
    drop(server);
}

/// RFC 7443 §3 for those who name a protocol; nobody has to.
#[test]
fn who_says_that_it_speaks_stun_is_no_guest() {
    let (server, guests) = server(Setup::secure(), 4);
    for protocols in [
        ["stun.turn"].as_slice(),
        &["stun.nat-discovery", "http/1.1"],
    ] {
        let mut link = speaking(&server, protocols);
        link.send(REQUEST).unwrap();
        link.wait_for_end();
    }
    let mut link = speaking(&server, &["h2", "http/1.1"]);
    let chosen = link.tls.as_ref().unwrap().alpn_protocol();
    assert_eq!(chosen, Some(b"http/1.1".as_slice()));
    link.send(REQUEST).unwrap();
    assert_eq!(take(&guests).ahead, REQUEST);
    // Some clients of TURN say so to look like others.
    Client::over(Link::Tcp(speaking(&server, &["http/1.1"]))).allocate();
    let stats = server.workers.stats();
    assert_eq!(
        (stats.io.streams_handed_over, stats.io.streams_misframed),
        (1, 2)
    );
}

#[test]
fn without_tls_or_after_a_message_a_letter_is_no_request() {
    let (server, guests) = server(Setup::secure(), 4);
    let mut plain = TcpLink::connect(server.address(Transport::Tls, ON));
    plain.send(REQUEST).unwrap();
    plain.wait_for_end();
    let mut client = server.client(Transport::Tls, ON);
    client.binding();
    client.send(REQUEST);
    client.tcp().wait_for_end();
    let mut client = server.client(Transport::Tls, ON);
    client.allocate();
    client.release();
    client.send(REQUEST);
    drop(client);
    server.wait_for("all are gone", |stats| stats.io.streams_open == 0);
    assert!(guests.try_recv().is_err());
}

#[test]
fn without_anybody_to_take_them_guests_are_closed() {
    for hooked in [false, true] {
        // A sink of no room takes only what somebody waits for.
        let (server, _guests) = match hooked {
            true => server(Setup::secure(), 0),
            false => (Server::secure(), sync_channel(0).1),
        };
        let mut link = secure(&server);
        link.send(REQUEST).unwrap();
        link.wait_for_end();
        let io = server.workers.stats().io;
        let expected = if hooked { (1, 0) } else { (0, 1) };
        assert_eq!((io.streams_refused, io.streams_misframed), expected);
        assert_eq!((io.streams_open, io.streams_handed_over), (0, 0));
    }
}

#[test]
fn a_proxy_s_word_goes_with_the_guest() {
    let mut setup = Setup::secure();
    setup.config.proxies = vec![IpRange::new(ip(ON), ip(ON)).unwrap()];
    let (server, guests) = server(setup, 4);
    let mut link = TcpLink::connect(server.address(Transport::Tls, ON));
    link.send(b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 443\r\n")
        .unwrap();
    let mut link = link.into_secure(&IDENTITY).unwrap();
    link.send(REQUEST).unwrap();
    let guest = take(&guests);
    let named: SocketAddr = "192.0.2.7:50000".parse().unwrap();
    assert_eq!((guest.client, guest.proxied), (named, true));
}
