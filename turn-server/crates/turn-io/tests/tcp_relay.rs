//! TCP relaying (RFC 6062) over real sockets: both ways to a connection, splits, slow readers, ends, resets, other workers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use socket2::SockRef;
use support::{Client, LOOPBACKS, PATIENCE, Server, Setup};
use turn_proto::{Caps, Good, Holder, Transport};
use turn_wire::{Class, Method, attr};

const ON: &str = LOOPBACKS[0];

/// A client with a TCP allocation, and its relayed address.
fn allocated(server: &Server) -> (Client, SocketAddr) {
    let mut client = server.client(Transport::Tcp, ON);
    let relayed = client.allocate_over(6);
    (client, relayed)
}

/// Connects to a peer and returns the connection's name and the peer's end.
fn connect(client: &mut Client, peer: &TcpListener) -> (u32, TcpStream) {
    let address = peer.local_addr().unwrap();
    let answer = client.request(Method::CONNECT, |request| request.xor_peer_address(address));
    assert!(answer.is_success(), "{:?}", answer.error());
    let id = answer.view().attribute(attr::CONNECTION_ID).unwrap();
    let id = u32::from_be_bytes(id.try_into().unwrap());
    let (stream, _) = peer.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    (id, stream)
}

/// A new connection of the client, bound to a peer's: raw bytes from now on.
fn bind(server: &Server, id: u32) -> TcpStream {
    let mut data = server.client(Transport::Tcp, ON);
    data.learn_nonce();
    let answer = data.request(Method::CONNECTION_BIND, |request| request.connection_id(id));
    assert!(answer.is_success(), "{:?}", answer.error());
    data.into_stream()
}

fn joined(server: &Server) -> (Client, TcpStream, TcpStream) {
    let peer = TcpListener::bind(ON).unwrap();
    let (mut control, _) = allocated(server);
    let (id, peer) = connect(&mut control, &peer);
    let data = bind(server, id);
    (control, data, peer)
}

fn pattern(length: usize, seed: u8) -> Vec<u8> {
    let byte = |index: usize| (index as u8).wrapping_mul(31) ^ (index >> 8) as u8 ^ seed;
    (0..length).map(byte).collect()
}

fn receive(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn assert_at_end(stream: &mut TcpStream) {
    let mut byte = [0];
    match stream.read(&mut byte) {
        Ok(0) => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        other => panic!("still open: {other:?}"),
    }
}

#[test]
fn bytes_go_both_ways_as_they_are() {
    let server = Server::new();
    let (_control, mut data, mut peer) = joined(&server);
    // What would be messages of the protocol, and what would be none.
    let mut sent = b"\x00\x01\x00\x00\x21\x12\xa4\x42 no message \xff\xff".to_vec();
    sent.extend(pattern(300_000, 1));
    let copy = sent.clone();
    let mut writer = data.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        for piece in copy.chunks(997) {
            writer.write_all(piece).unwrap();
        }
    });
    assert_eq!(receive(&mut peer, sent.len()), sent);
    writing.join().unwrap();
    for byte in b"byte by byte" {
        peer.write_all(&[*byte]).unwrap();
    }
    assert_eq!(receive(&mut data, 12), b"byte by byte");
    let stats = server.workers.stats().relay;
    assert_eq!(stats.traffic.peer_sent_bytes, sent.len() as u64);
    assert_eq!(stats.traffic.client_sent_bytes, 12);
}

#[test]
fn a_limited_session_is_slowed_down_and_loses_nothing() {
    let server = Server::with(Setup {
        adjust: |rules| {
            let caps = Caps::default().with(Holder::Session, Good::BytesPerSecond, 100_000);
            rules.guard.caps = caps;
        },
        ..Setup::default()
    });
    let (_control, mut data, mut peer) = joined(&server);
    let sent = pattern(200_000, 7);
    let (copy, mut writer) = (sent.clone(), data.try_clone().unwrap());
    let writing = std::thread::spawn(move || writer.write_all(&copy).unwrap());
    assert_eq!(receive(&mut peer, sent.len()), sent);
    writing.join().unwrap();
    // The other way has its own share.
    peer.write_all(&sent[..50_000]).unwrap();
    assert_eq!(receive(&mut data, 50_000), sent[..50_000]);
    let stats = server.workers.stats().relay;
    assert_eq!(stats.traffic.peer_sent_bytes, sent.len() as u64);
    // A second's worth and a quarter may come at once; the rest has waited.
    let waited = stats.limits.of(Holder::Session, Good::BytesPerSecond);
    assert!(waited >= 3, "{waited}");
}

#[test]
fn connections_leave_from_the_relayed_address() {
    let server = Server::new();
    let listener = TcpListener::bind(ON).unwrap();
    let (mut control, relayed) = allocated(&server);
    let (_, peer) = connect(&mut control, &listener);
    assert_eq!(peer.peer_addr().unwrap(), relayed);
    // A second peer from the same port.
    let other = TcpListener::bind(ON).unwrap();
    let (_, peer) = connect(&mut control, &other);
    assert_eq!(peer.peer_addr().unwrap(), relayed);
}

#[test]
fn what_a_peer_sends_before_the_binding_is_kept() {
    let server = Server::new();
    let listener = TcpListener::bind(ON).unwrap();
    let (mut control, _) = allocated(&server);
    let (id, mut peer) = connect(&mut control, &listener);
    peer.write_all(b"220 hello\r\n").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    let mut data = bind(&server, id);
    assert_eq!(receive(&mut data, 11), b"220 hello\r\n");
    assert_at_end(&mut data);
}

#[test]
fn what_a_client_sends_behind_its_binding_is_for_the_peer() {
    let server = Server::new();
    let listener = TcpListener::bind(ON).unwrap();
    let (mut control, _) = allocated(&server);
    let (id, mut peer) = connect(&mut control, &listener);
    let mut data = server.client(Transport::Tcp, ON);
    data.learn_nonce();
    let mut bytes = data.build(Method::CONNECTION_BIND, |request| request.connection_id(id));
    bytes.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
    data.send(&bytes);
    assert_eq!(receive(&mut peer, 18), b"GET / HTTP/1.1\r\n\r\n");
    peer.write_all(b"HTTP/1.1 200 OK\r\n").unwrap();
    let answer = data.receive_bytes().unwrap();
    assert_eq!(answer[..2], [0x01, 0x0B]);
    assert_eq!(receive(&mut data.into_stream(), 17), b"HTTP/1.1 200 OK\r\n");
}

#[test]
fn a_peer_that_comes_by_itself_is_announced_and_joined() {
    let server = Server::new();
    let (mut control, relayed) = allocated(&server);
    // Without a permission it is closed at once.
    let mut stranger = TcpStream::connect(relayed).unwrap();
    stranger.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_at_end(&mut stranger);
    control.permit(relayed);
    let mut peer = TcpStream::connect(relayed).unwrap();
    peer.write_all(b"I come first").unwrap();
    let told = control.receive_message();
    let view = told.view();
    let kind = (view.class(), view.method());
    assert_eq!(kind, (Class::Indication, Method::CONNECTION_ATTEMPT));
    let from = view.xor_address(attr::XOR_PEER_ADDRESS);
    assert_eq!(from, Some(peer.local_addr().unwrap()));
    let id = view.attribute(attr::CONNECTION_ID).unwrap();
    let mut data = bind(&server, u32::from_be_bytes(id.try_into().unwrap()));
    assert_eq!(receive(&mut data, 12), b"I come first");
    data.write_all(b"welcome").unwrap();
    assert_eq!(receive(&mut peer, 7), b"welcome");
}

#[test]
fn two_clients_meet_over_their_relayed_addresses() {
    let mut setup = Setup::default();
    setup.config.workers = 2;
    let server = Server::with(setup);
    let ((mut ann, from), (mut bob, to)) = (allocated(&server), allocated(&server));
    bob.permit(from);
    let answer = ann.request(Method::CONNECT, |request| request.xor_peer_address(to));
    assert!(answer.is_success(), "{:?}", answer.error());
    let told = bob.receive_message();
    assert_eq!(told.view().xor_address(attr::XOR_PEER_ADDRESS), Some(from));
    let mut ends = [answer, told].map(|told| {
        let id = told.view().attribute(attr::CONNECTION_ID).unwrap();
        bind(&server, u32::from_be_bytes(id.try_into().unwrap()))
    });
    ends[0].write_all(b"from ann").unwrap();
    assert_eq!(receive(&mut ends[1], 8), b"from ann");
    ends[1].write_all(b"from bob").unwrap();
    assert_eq!(receive(&mut ends[0], 8), b"from bob");
}

#[test]
fn bindings_on_any_worker_find_the_connection() {
    let mut setup = Setup::default();
    setup.config.workers = 4;
    let server = Server::with(setup);
    let listener = TcpListener::bind(ON).unwrap();
    // The kernel deals connections over the workers: with 24 of them, some pair is on two.
    for round in 0..24 {
        let (mut control, _) = allocated(&server);
        let (id, mut peer) = connect(&mut control, &listener);
        let mut data = bind(&server, id);
        let sent = pattern(10_000, round);
        data.write_all(&sent).unwrap();
        assert_eq!(receive(&mut peer, sent.len()), sent);
        peer.write_all(&sent).unwrap();
        assert_eq!(receive(&mut data, sent.len()), sent);
    }
}

#[test]
fn a_slow_reader_slows_its_writer_down_and_loses_nothing() {
    let server = Server::new();
    let (_control, mut data, mut peer) = joined(&server);
    for stream in [&data, &peer] {
        SockRef::from(stream).set_recv_buffer_size(16_384).unwrap();
    }
    // A peer that writes as long as it can, while nobody reads.
    peer.set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let mut sent = 0usize;
    let block = pattern(64 * 1024, 0);
    loop {
        match peer.write(&block[sent % block.len()..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
        // More than the kernel's buffers of four sockets is the server's memory.
        assert!(sent < 64 << 20, "the writer is never held up");
    }
    let mut read = 0;
    while read < sent {
        let want = (sent - read).min(block.len() - read % block.len());
        let got = receive(&mut data, want);
        assert_eq!(got, block[read % block.len()..][..want], "at {read}");
        read += want;
    }
    // And on it goes, the other way as well.
    peer.set_write_timeout(None).unwrap();
    peer.write_all(b"again").unwrap();
    assert_eq!(receive(&mut data, 5), b"again");
    data.write_all(b"back").unwrap();
    assert_eq!(receive(&mut peer, 4), b"back");
}

#[test]
fn an_end_is_passed_on_after_the_last_byte_and_the_other_way_goes_on() {
    let server = Server::new();
    let (_control, mut data, mut peer) = joined(&server);
    data.write_all(&pattern(100_000, 9)).unwrap();
    data.shutdown(Shutdown::Write).unwrap();
    assert_eq!(receive(&mut peer, 100_000), pattern(100_000, 9));
    assert_at_end(&mut peer);
    peer.write_all(&pattern(200_000, 8)).unwrap();
    assert_eq!(receive(&mut data, 200_000), pattern(200_000, 8));
    drop(peer);
    assert_at_end(&mut data);
    server.wait_for("the connection's end", |stats| {
        stats.relay.peer_connections == 0
    });
}

#[test]
fn a_reset_of_either_side_closes_the_other() {
    let server = Server::new();
    for by_peer in [true, false] {
        let (mut control, data, peer) = joined(&server);
        let (gone, mut left) = if by_peer { (peer, data) } else { (data, peer) };
        SockRef::from(&gone)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(gone);
        assert_at_end(&mut left);
        server.wait_for("the connection's end", |stats| {
            stats.relay.peer_connections == 0
        });
        // The allocation goes on.
        let listener = TcpListener::bind(ON).unwrap();
        connect(&mut control, &listener);
    }
}

#[test]
fn the_end_of_an_allocation_closes_its_port_and_connections() {
    let server = Server::new();
    for orderly in [true, false] {
        let (mut control, mut data, mut peer) = joined(&server);
        let relayed = peer.peer_addr().unwrap();
        if orderly {
            control.release();
        } else {
            control.tcp().socket.shutdown(Shutdown::Both).unwrap();
        }
        assert_at_end(&mut data);
        assert_at_end(&mut peer);
        server.wait_for("the port's end", |_| TcpStream::connect(relayed).is_err());
    }
    assert_eq!(server.shared.ports.claimed(), 0);
}

#[test]
fn a_peer_that_refuses_is_447() {
    let server = Server::new();
    let (mut control, _) = allocated(&server);
    let nobody = TcpListener::bind(ON).unwrap().local_addr().unwrap();
    for _ in 0..3 {
        let answer = control.request(Method::CONNECT, |request| request.xor_peer_address(nobody));
        assert_eq!(answer.error(), Some(447));
    }
    assert_eq!(server.workers.stats().relay.peer_connections, 0);
}

#[test]
fn connections_with_peers_are_limited_in_number() {
    let mut setup = Setup::default();
    setup.config.max_peer_connections = 1;
    let server = Server::with(setup);
    let (mut control, mut data, mut peer) = joined(&server);
    let listener = TcpListener::bind(ON).unwrap();
    let address = listener.local_addr().unwrap();
    let answer = control.request(Method::CONNECT, |request| request.xor_peer_address(address));
    assert_eq!(answer.error(), Some(447));
    let relayed = peer.peer_addr().unwrap();
    control.permit(relayed);
    let mut third = TcpStream::connect(relayed).unwrap();
    third.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_at_end(&mut third);
    data.write_all(b"fine").unwrap();
    assert_eq!(receive(&mut peer, 4), b"fine");
}

#[test]
fn data_connections_are_connections_of_their_network_too() {
    let server = Server::with(Setup {
        adjust: |rules| {
            let caps = Caps::default().with(Holder::Network, Good::Connections, 2);
            rules.guard.caps = caps;
        },
        ..Setup::default()
    });
    let (control, data, peer) = joined(&server);
    server.client(Transport::Tcp, ON).tcp().wait_for_end();
    drop((data, peer));
    server.wait_for("it has ended", |stats| stats.relay.peer_connections == 0);
    server.client(Transport::Tcp, ON).binding();
    drop(control);
    server.wait_for("all are gone", |stats| stats.io.streams_open == 0);
    assert!(server.shared.quotas.is_clear());
}

#[test]
fn a_port_held_by_another_program_is_passed_over() {
    let taken = TcpListener::bind(ON).unwrap();
    let port = taken.local_addr().unwrap().port();
    let setup = Setup {
        relay_ports: port..=port,
        ..Setup::default()
    };
    let server = Server::with(setup);
    let mut client = server.client(Transport::Tcp, ON);
    client.learn_nonce();
    let answer = client.request(Method::ALLOCATE, |request| request.requested_transport(6));
    assert_eq!(answer.error(), Some(508));
}

#[test]
fn a_data_connection_over_tls_is_raw_inside_it() {
    let server = Server::secure();
    let tls = || Client::connect(Transport::Tls, server.address(Transport::Tls, ON));
    let listener = TcpListener::bind(ON).unwrap();
    let mut control = tls();
    control.allocate_over(6);
    let (id, mut peer) = connect(&mut control, &listener);
    let mut data = tls();
    data.learn_nonce();
    let answer = data.request(Method::CONNECTION_BIND, |request| request.connection_id(id));
    assert!(answer.is_success(), "{:?}", answer.error());
    let link = data.tcp();
    let sent = pattern(100_000, 3);
    link.send(&sent).unwrap();
    assert_eq!(receive(&mut peer, sent.len()), sent);
    let writing = std::thread::spawn({
        let sent = sent.clone();
        move || {
            peer.write_all(&sent).unwrap();
            peer
        }
    });
    let mut got = Vec::new();
    while got.len() < sent.len() {
        got.extend(link.receive_raw().unwrap());
    }
    assert_eq!(got, sent);
    // The peer's end is told as TLS tells it.
    drop(writing.join().unwrap());
    assert_eq!(link.receive_raw().unwrap(), b"");
}
