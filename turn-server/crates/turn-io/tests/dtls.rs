//! Clients over DTLS: the same sessions as over UDP, on the same ports, and what DTLS adds.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use std::{io::ErrorKind, net::UdpSocket, time::Duration};

use support::{
    Client, DtlsLink, Got, IDENTITY, Identity, LOOPBACKS, Link, Server, Setup,
    dtls::{AES, AES_256, CHACHA, Engine, receive_from, socket},
    peer, receive,
};
use turn_io::{Dtls, TlsMaterial};
use turn_proto::{Caps, EndReason, Event, Good, Holder, Transport};

const CHANNEL: u16 = 0x4001;
const ON: &str = LOOPBACKS[0];

fn server() -> Server {
    Server::with(Setup::secure_datagrams())
}

fn client(server: &Server) -> Client {
    server.client(Transport::Dtls, ON)
}

/// A client over an association of its own making.
fn over(link: DtlsLink) -> Client {
    Client::over(Link::Dtls(Box::new(link)))
}

fn echo_both_ways(client: &mut Client, on: &str) {
    let (peer, peer_address) = peer(on);
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, peer_address);
    // RFC 8656 §12.5: no padding, as these are datagrams.
    for length in [0, 1, 2, 3, 1_200, 16_000] {
        let payload = vec![length as u8; length];
        client.send_channel(CHANNEL, &payload);
        assert_eq!(receive(&peer), (payload.clone(), relayed));
        peer.send_to(&payload, relayed).unwrap();
        assert_eq!(client.receive(), Got::Channel(CHANNEL, payload));
    }
    client.release();
}

/// How the session of a client has ended.
fn end_of(server: &Server, client: &Client) -> EndReason {
    let client = client.local();
    let ended = server.events.iter().find_map(|event| match event {
        Event::Ended { path, reason, .. } if path.client == client => Some(reason),
        _ => None,
    });
    ended.unwrap()
}

#[test]
fn dtls_and_plain_are_told_apart_on_both_ports() {
    let server = server();
    for on in LOOPBACKS {
        for port_of in [Transport::Udp, Transport::Dtls] {
            for spoken in [Transport::Dtls, Transport::Udp] {
                let mut client = Client::connect(spoken, server.address(port_of, on));
                echo_both_ways(&mut client, on);
            }
        }
    }
    let started = server.events.try_iter().filter_map(|event| match event {
        Event::Started { path, .. } => Some(path.transport),
        _ => None,
    });
    let expected = [Transport::Dtls, Transport::Udp].repeat(4);
    assert_eq!(started.collect::<Vec<_>>(), expected);
    assert_eq!(server.workers.stats().io.dtls_handshakes, 4);
}

#[test]
fn every_suite_carries_data() {
    let server = server();
    for suite in [AES, AES_256, CHACHA] {
        let address = server.address(Transport::Dtls, ON);
        let link = DtlsLink::connect_with(address, &IDENTITY, suite);
        echo_both_ways(&mut over(link), ON);
    }
}

#[test]
fn data_come_as_indications_too_and_what_no_record_holds_is_lost() {
    let server = server();
    let mut client = client(&server);
    let (peer, peer_address) = peer(ON);
    let relayed = client.allocate();
    client.permit(peer_address);
    client.send_indication(peer_address, b"there");
    assert_eq!(receive(&peer), (b"there".to_vec(), relayed));
    // RFC 6347 §4.1.1: a record holds 2^14 bytes.
    peer.send_to(&[1; 16_384], relayed).unwrap();
    peer.send_to(b"back", relayed).unwrap();
    assert_eq!(client.receive(), Got::Data(peer_address, b"back".to_vec()));
    assert_eq!(server.workers.stats().io.undeliverable, 1);
}

#[test]
fn what_is_not_served_is_silent() {
    let mut setup = Setup::secure_datagrams();
    setup.config.plain_datagrams = false;
    let only_dtls = Server::with(setup);
    let address = only_dtls.address(Transport::Udp, ON);
    let mut plain = Client::connect(Transport::Udp, address);
    plain.try_allocate();
    assert_eq!(only_dtls.workers.stats().relay.successes, 0);
    assert_eq!(only_dtls.workers.stats().relay.errors, 0);
    echo_both_ways(&mut Client::connect(Transport::Dtls, address), ON);

    let no_dtls = Server::new();
    let socket = socket(no_dtls.address(Transport::Udp, ON));
    let mut engine = Engine::new(AES, &IDENTITY.material);
    for datagram in engine.steps().datagrams {
        socket.send(&datagram).unwrap();
    }
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    assert!(receive_from(&socket).is_err());
}

/// Records that anybody can send who writes the client's address.
fn forgeries() -> Vec<Vec<u8>> {
    let record = |kind: u8, epoch: u8, number: u8, body: &[u8]| {
        let mut record = vec![kind, 0xFE, 0xFD, 0, epoch, 0, 0, 0, 0, 0, number, 0];
        record.push(body.len() as u8);
        record.extend(body);
        record
    };
    let mut forged = Vec::new();
    // More of each than the engine lets wait.
    for number in 100..150 {
        // Fatal alerts and good-byes, ChangeCipherSpec, data: in the clear, and sealed by nobody.
        for epoch in [0, 1, 2] {
            forged.push(record(21, epoch, number, &[2, 40]));
            forged.push(record(21, epoch, number, &[1, 0]));
            forged.push(record(20, epoch, number, &[1]));
            forged.push(record(23, epoch, number, &[7; 40]));
            forged.push(record(22, epoch, number, &[0; 24]));
        }
        // A ClientKeyExchange and a Finished, as if the handshake went on.
        let message = |kind: u8, seq: u8| [kind, 0, 0, 1, 0, seq, 0, 0, 0, 0, 0, 1, 0];
        forged.push(record(22, 0, number, &message(16, 2)));
        forged.push(record(22, 0, number, &message(20, 9)));
    }
    forged
}

#[test]
fn forged_and_repeated_records_change_nothing() {
    let server = server();
    let mut client = client(&server);
    let (peer, peer_address) = peer(ON);
    client.allocate();
    client.bind_channel(CHANNEL, peer_address);
    let message = client.channel_data(CHANNEL, b"once");
    let link = client.dtls();
    let sealed = link.engine.seal(&message);
    for _ in 0..3 {
        link.socket.send(&sealed).unwrap();
    }
    for forged in forgeries() {
        link.socket.send(&forged).unwrap();
    }
    client.send_channel(CHANNEL, b"twice");
    let got = [receive(&peer).0, receive(&peer).0];
    assert_eq!(got, [b"once".to_vec(), b"twice".to_vec()]);
    client.release();
    assert_eq!(server.workers.stats().io.dtls_associations, 1);
}

#[test]
fn a_good_bye_ends_the_session_and_is_returned() {
    let server = server();
    let mut client = client(&server);
    client.allocate();
    let link = client.dtls();
    let close = link.engine.close();
    link.socket.send(&close).unwrap();
    assert_eq!(end_of(&server, &client), EndReason::LinkClosed);
    let answer = receive_from(&client.dtls().socket).unwrap();
    assert_eq!(answer[0], 21);
    server.wait_for("the end", |stats| stats.io.dtls_associations == 0);
}

#[test]
fn who_has_no_allocation_for_too_long_is_told_good_bye() {
    let mut setup = Setup::secure_datagrams();
    setup.config.stream_patience = Duration::from_millis(300);
    let server = Server::with(setup);
    let mut stays = client(&server);
    stays.allocate();
    let mut goes = client(&server);
    goes.binding();
    let end = goes.receive_bytes().unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::UnexpectedEof);
    assert_eq!(server.workers.stats().io.dtls_idle, 1);
    stays.release();
}

#[test]
fn a_new_handshake_replaces_the_association_when_it_is_complete_and_not_before() {
    let server = server();
    let mut first = client(&server);
    first.allocate();
    let socket = first.dtls().socket.try_clone().unwrap();
    // RFC 6347 §4.2.8: up to a hello with a good cookie, anybody may be at it who reads the client's mail.
    let mut again = Engine::new(AES, &IDENTITY.material);
    for datagram in again.steps().datagrams {
        socket.send(&datagram).unwrap();
    }
    let with_cookie = again.take(&receive_from(&socket).unwrap());
    socket.send(&with_cookie.datagrams[0]).unwrap();
    let flight = receive_from(&socket).unwrap();
    assert_eq!(server.workers.stats().io.dtls_associations, 2);
    first.binding();

    let mut steps = again.take(&flight);
    while steps.datagrams.is_empty() {
        steps = again.take(&receive_from(&socket).unwrap());
    }
    for datagram in &steps.datagrams {
        socket.send(datagram).unwrap();
    }
    assert_eq!(end_of(&server, &first), EndReason::LinkClosed);
    let stats = server.workers.stats().io;
    assert_eq!((stats.dtls_associations, stats.dtls_handshakes), (1, 2));
    let finished = again.take(&receive_from(&socket).unwrap());
    assert!(finished.connected);
}

#[test]
fn renewed_certificates_are_shown_to_new_clients_and_open_associations_go_on() {
    let server = server();
    let mut old = client(&server);
    old.allocate();
    let renewed = Identity::new();
    server.workers.secure_datagrams_with(&renewed.dtls());
    let address = server.address(Transport::Dtls, ON);
    // It checks what it is shown.
    over(DtlsLink::connect(address, &renewed)).binding();
    old.release();
}

#[test]
fn there_are_limits_in_all_and_for_one_network() {
    let begin = |server: &Server| {
        let socket = socket(server.address(Transport::Dtls, ON));
        socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        DtlsLink::shake(socket, &IDENTITY, Engine::new(AES, &IDENTITY.material))
    };
    let refuses_the_second = |setup: Setup| {
        let server = Server::with(setup);
        let mut first = client(&server);
        first.allocate();
        assert!(begin(&server).is_err());
        let io = server.workers.stats().io;
        assert_eq!((io.dtls_refused, io.dtls_displaced), (1, 0));
        first.release();
        let close = first.dtls().engine.close();
        first.dtls().socket.send(&close).unwrap();
        server.wait_for("room", |_| begin(&server).is_ok());
    };
    let mut in_all = Setup::secure_datagrams();
    in_all.config.max_associations = 1;
    refuses_the_second(in_all);
    let of_a_network = Setup {
        adjust: |rules| {
            let caps = Caps::default();
            rules.guard.caps = caps.with(Holder::Network, Good::Connections, 1);
        },
        ..Setup::secure_datagrams()
    };
    refuses_the_second(of_a_network);
}

#[test]
fn who_holds_silent_associations_keeps_nobody_out_and_ends_no_session() {
    let mut setup = Setup::secure_datagrams();
    setup.config.max_associations = 3;
    let server = Server::with(setup);
    let mut holder = client(&server);
    holder.allocate();
    let mut silent: Vec<_> = (0..2).map(|_| client(&server)).collect();
    for round in 1..=5 {
        // In the order in which they came, and each is told.
        silent.push(client(&server));
        let ended = silent.remove(0).receive_bytes().unwrap_err();
        assert_eq!(ended.kind(), ErrorKind::UnexpectedEof);
        let io = server.workers.stats().io;
        assert_eq!((io.dtls_displaced, io.dtls_associations), (round, 3));
    }
    let last = silent.last_mut().unwrap();
    assert_eq!(last.binding(), last.local());
    holder.release();
    assert_eq!(server.workers.stats().io.dtls_refused, 0);
}

#[test]
fn handshakes_that_never_end_make_room_as_well() {
    let mut setup = Setup::secure_datagrams();
    setup.config.max_associations = 2;
    let server = Server::with(setup);
    let begun: Vec<_> = (0..4).map(|_| begin_handshake(&server)).collect();
    let io = server.workers.stats().io;
    assert_eq!((io.dtls_displaced, io.dtls_associations), (2, 2));
    client(&server).allocate();
    drop(begun);
}

/// A client that has returned its cookie, and does nothing more.
fn begin_handshake(server: &Server) -> UdpSocket {
    let socket = socket(server.address(Transport::Dtls, ON));
    let mut engine = Engine::new(AES, &IDENTITY.material);
    socket.send(&engine.steps().datagrams[0]).unwrap();
    let with_cookie = engine.take(&receive_from(&socket).unwrap()).datagrams;
    socket.send(&with_cookie[0]).unwrap();
    receive_from(&socket).unwrap();
    socket
}

/// Of two networks, one has as many as it may; what it tries besides takes nobody's place.
#[test]
fn who_may_have_no_more_makes_nobody_make_room() {
    let mut setup = Setup::secure_datagrams();
    setup.config.max_associations = 2;
    setup.config.max_handshakes = 1;
    setup.adjust = |rules| {
        let caps = Caps::default();
        rules.guard.caps = caps.with(Holder::Network, Good::Connections, 1);
    };
    let server = Server::with(setup);
    // By IPv6, so of another network.
    let mut far = server.client(Transport::Dtls, LOOPBACKS[1]);
    far.binding();
    let near = begin_handshake(&server);
    for _ in 0..3 {
        let socket = socket(server.address(Transport::Dtls, ON));
        let mut engine = Engine::new(AES, &IDENTITY.material);
        socket.send(&engine.steps().datagrams[0]).unwrap();
        let with_cookie = engine.take(&receive_from(&socket).unwrap()).datagrams;
        socket.send(&with_cookie[0]).unwrap();
    }
    let stats = server.wait_for("the refusals", |stats| stats.io.dtls_refused == 3);
    assert_eq!(
        (stats.io.dtls_displaced, stats.io.dtls_associations),
        (0, 2)
    );
    far.binding();
    drop(near);
}

/// A certificate that an authority has signed for a client, and the authority's.
fn signed() -> (TlsMaterial, Vec<u8>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, key);
    let client_key = rcgen::KeyPair::generate().unwrap();
    let client = rcgen::CertificateParams::new(vec!["client".to_owned()]).unwrap();
    let client = client.signed_by(&client_key, &issuer).unwrap();
    let material = TlsMaterial {
        certificates: client.pem().into_bytes(),
        key: client_key.serialize_pem().into_bytes(),
        ..TlsMaterial::default()
    };
    (material, authority_pem.into_bytes())
}

#[test]
fn where_clients_must_show_a_certificate_only_a_signed_one_opens() {
    let (known, authority) = signed();
    let (stranger, _) = signed();
    let mut setup = Setup::secure_datagrams();
    let asking = TlsMaterial {
        client_authorities: Some(authority),
        ..IDENTITY.material.clone()
    };
    setup.config.secure_datagrams = Some(Dtls::new(&asking).unwrap());
    let server = Server::with(setup);
    let shake = |socket: UdpSocket, material: &TlsMaterial| {
        DtlsLink::shake(socket, &IDENTITY, Engine::new(AES, material))
    };
    let address = server.address(Transport::Dtls, ON);
    let mut client = over(shake(socket(address), &known).unwrap());
    client.binding();
    let refused = socket(address);
    refused
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    assert!(shake(refused, &stranger).is_err());
    let stats = server.workers.stats().io;
    assert_eq!((stats.dtls_handshakes, stats.dtls_unopened), (1, 1));
}
