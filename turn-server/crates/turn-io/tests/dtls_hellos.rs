//! The beginning of DTLS: hellos and cookies (RFC 6347 §4.2.1), flights that get lost, and who gets no association.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use support::{
    DtlsLink, IDENTITY, LOOPBACKS, Server, Setup,
    dtls::{AES, Engine, receive_from, socket},
};
use turn_proto::Transport;

const ON: &str = LOOPBACKS[0];
const DTLS_1_0: [u8; 2] = [0xFE, 0xFF];
const DTLS_1_2: [u8; 2] = [0xFE, 0xFD];
const ECDSA: [u8; 2] = [0xC0, 0x2B];
const RSA: [u8; 2] = [0xC0, 0x2F];

fn server() -> Server {
    Server::with(Setup::secure_datagrams())
}

fn address(server: &Server) -> SocketAddr {
    server.address(Transport::Dtls, ON)
}

/// A ClientHello as short as there can be.
fn hello(version: [u8; 2], suite: [u8; 2], seq: u8, cookie: &[u8]) -> Vec<u8> {
    let mut body = version.to_vec();
    body.extend([7; 32]);
    body.extend([0, cookie.len() as u8]);
    body.extend(cookie);
    body.extend([0, 2, suite[0], suite[1], 1, 0]);
    let length = body.len() as u8;
    let mut hello = vec![22, 0xFE, 0xFF, 0, 0, 0, 0, 0, 0, 0, seq, 0, 12 + length];
    hello.extend([1, 0, 0, length, 0, seq, 0, 0, 0, 0, 0, length]);
    hello.extend(body);
    hello
}

/// The cookie in a HelloVerifyRequest.
fn cookie(request: &[u8]) -> &[u8] {
    // Record header, message header, version, length.
    assert_eq!((request[0], request[13], request[27]), (22, 3, 32));
    &request[28..]
}

/// What comes back.
fn answer(socket: &UdpSocket, datagram: &[u8]) -> Vec<u8> {
    socket.send(datagram).unwrap();
    receive_from(socket).unwrap()
}

#[test]
fn ten_thousand_senders_are_each_sent_less_than_they_send_and_nothing_is_kept() {
    const SENDERS: u32 = 10_000;
    let server = server();
    let begin = hello(DTLS_1_2, ECDSA, 0, &[]);
    let mut cookies = std::collections::HashSet::new();
    for number in 0..SENDERS {
        let ip = Ipv4Addr::from_bits(0x7F01_0000 + number);
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        socket.set_read_timeout(Some(support::PATIENCE)).unwrap();
        socket.connect(address(&server)).unwrap();
        socket.send(&begin).unwrap();
        let request = receive_from(&socket).unwrap();
        assert!(request.len() <= begin.len());
        cookies.insert(cookie(&request).to_vec());
    }
    assert_eq!(cookies.len(), SENDERS as usize);
    let stats = server.workers.stats().io;
    assert_eq!(stats.dtls_asked, u64::from(SENDERS));
    assert_eq!((stats.dtls_associations, stats.dtls_refused), (0, 0));
}

#[test]
fn another_ones_cookie_and_a_made_up_one_are_asked_for_again() {
    let server = server();
    let begin = hello(DTLS_1_2, ECDSA, 0, &[]);
    let (one, other) = (socket(address(&server)), socket(address(&server)));
    let of_one = answer(&one, &begin);
    for bad in [cookie(&of_one), &[0; 32], &[1; 31], &[2; 100]] {
        let request = answer(&other, &hello(DTLS_1_2, ECDSA, 1, bad));
        assert_eq!(cookie(&request).len(), 32);
        // §4.2.1: the numbers are the hello's, so that nobody has to remember any.
        assert_eq!((request[10], request[18]), (1, 1));
    }
    assert_eq!(server.workers.stats().io.dtls_associations, 0);
}

#[test]
fn fragments_that_do_not_say_enough_are_met_with_silence() {
    let server = server();
    let socket = socket(address(&server));
    let whole = hello(DTLS_1_2, ECDSA, 0, &[]);
    let fragment = |offset: u8, bytes: &[u8]| {
        let mut fragment = whole[..25].to_vec();
        fragment[12] = 12 + bytes.len() as u8;
        (fragment[21], fragment[24]) = (offset, bytes.len() as u8);
        fragment.extend(bytes);
        fragment
    };
    let body = &whole[25..];
    socket.send(&fragment(0, &body[..20])).unwrap();
    socket.send(&fragment(20, &body[20..])).unwrap();
    server.wait_for("both are read", |stats| stats.io.dtls_stray == 2);
    assert_eq!(server.workers.stats().io.dtls_asked, 0);
    // All that a cookie covers lies in the first fragment, where extensions follow.
    let mut first = fragment(0, body);
    first[16] += 100;
    assert_eq!(cookie(&answer(&socket, &first)).len(), 32);
    assert_eq!(server.workers.stats().io.dtls_associations, 0);
}

#[test]
fn who_offers_nothing_that_is_served_is_told_so_after_the_cookie() {
    let server = server();
    for (version, suite, alert) in [(DTLS_1_2, RSA, 40), (DTLS_1_0, ECDSA, 70)] {
        let socket = socket(address(&server));
        let request = answer(&socket, &hello(version, suite, 0, &[]));
        let with_cookie = hello(version, suite, 1, cookie(&request));
        let refusal = answer(&socket, &with_cookie);
        assert_eq!((refusal[0], &refusal[13..]), (21, &[2, alert][..]));
    }
    // The engine wants the extended master secret (RFC 7627), which this hello does not offer.
    let socket = socket(address(&server));
    let request = answer(&socket, &hello(DTLS_1_2, ECDSA, 0, &[]));
    let with_cookie = hello(DTLS_1_2, ECDSA, 1, cookie(&request));
    socket.send(&with_cookie).unwrap();
    let ended = |stats: &turn_io::Stats| stats.io.dtls_unopened == 1;
    let stats = server.wait_for("the end of the third", ended).io;
    assert_eq!(stats.dtls_refused, 2);
    assert_eq!(stats.dtls_associations, 0);
}

#[test]
fn a_hello_that_is_repeated_before_its_cookie_comes_is_answered_in_its_own_numbers() {
    let server = server();
    let socket = socket(address(&server));
    let mut engine = Engine::new(AES, &IDENTITY.material);
    // The first answer is lost, and so is the client's second try.
    engine.steps();
    engine.pass(Duration::from_secs(2));
    let third = engine.pass(Duration::from_secs(6)).datagrams;
    socket.send(&third[0]).unwrap();
    let request = receive_from(&socket).unwrap();
    assert_eq!(request[3..11], third[0][3..11]);
    let with_cookie = engine.take(&request).datagrams;
    socket.send(&with_cookie[0]).unwrap();
    let flight = receive_from(&socket).unwrap();
    // §4.2.1: the ServerHello has the number of its hello, or a client would take it for a repetition.
    assert_eq!((flight[0], flight[13]), (22, 2));
    assert_eq!(flight[3..11], with_cookie[0][3..11]);
    assert_ne!(flight[10], 1);
}

#[test]
fn flights_fit_into_any_path_and_are_sent_again_when_they_are_lost() {
    let server = server();
    let socket = socket(address(&server));
    let mut engine = Engine::new(AES, &IDENTITY.material);
    let begin = engine.steps().datagrams;
    socket.send(&begin[0]).unwrap();
    let with_cookie = engine.take(&receive_from(&socket).unwrap()).datagrams;
    socket.send(&with_cookie[0]).unwrap();
    let lost = receive_from(&socket).unwrap();
    let again = receive_from(&socket).unwrap();
    assert_eq!((lost[13], again[13]), (2, 2), "a ServerHello");
    for flight in [&lost, &again] {
        assert!(flight.len() <= 1_232);
    }
    // The client goes on from the second.
    let mut steps = engine.take(&again);
    while !steps.connected {
        for datagram in &steps.datagrams {
            socket.send(datagram).unwrap();
        }
        steps = engine.take(&receive_from(&socket).unwrap());
    }
}

#[test]
fn a_handshake_that_takes_too_long_is_forgotten() {
    let mut setup = Setup::secure_datagrams();
    setup.config.handshake_patience = Duration::from_millis(300);
    let server = Server::with(setup);
    let begin = || {
        let socket = socket(address(&server));
        let mut engine = Engine::new(AES, &IDENTITY.material);
        socket.send(&engine.steps().datagrams[0]).unwrap();
        let with_cookie = engine.take(&receive_from(&socket).unwrap()).datagrams;
        answer(&socket, &with_cookie[0]);
    };
    begin();
    let stats = server.wait_for("the end", |stats| stats.io.dtls_unopened == 1);
    assert_eq!(stats.io.dtls_associations, 0);
    DtlsLink::connect(address(&server), &IDENTITY);
}

#[test]
fn whom_the_lists_keep_out_is_not_even_asked() {
    let setup = Setup {
        adjust: |rules| {
            let denied = IpAddr::from([127, 0, 0, 2]);
            let range = turn_proto::IpRange::new(denied, denied).unwrap();
            rules.guard.clients = turn_proto::ClientLists::new(&[], &[range]);
        },
        ..Setup::secure_datagrams()
    };
    let server = Server::with(setup);
    let denied = UdpSocket::bind("127.0.0.2:0").unwrap();
    denied.connect(address(&server)).unwrap();
    denied.send(&hello(DTLS_1_2, ECDSA, 0, &[])).unwrap();
    // What came first is served first: when the second is answered, an answer to the first is there, if there is one.
    let allowed = socket(address(&server));
    allowed.send(&hello(DTLS_1_2, ECDSA, 0, &[])).unwrap();
    receive_from(&allowed).unwrap();
    denied.set_nonblocking(true).unwrap();
    let silence = receive_from(&denied).unwrap_err();
    assert_eq!(silence.kind(), ErrorKind::WouldBlock);
    let stats = server.workers.stats().io;
    assert_eq!((stats.streams_denied, stats.dtls_asked), (1, 1));
}
