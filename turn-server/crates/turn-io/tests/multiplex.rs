//! Allocations that share relay ports, over real sockets: more workers than ports, and a port for each.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use std::{
    net::UdpSocket,
    sync::atomic::{AtomicU16, Ordering},
};

use rand::{SeedableRng, rngs::StdRng};
use support::{BACKENDS, Client, Got, LOOPBACKS, Server, Setup, peer, receive};
use turn_io::{Backend, StartError};
use turn_proto::Transport;
use turn_wire::{Method, RequestBuilder, Responder};

const CHANNEL: u16 = 0x4001;
const TRANSPORTS: [Transport; 2] = [Transport::Udp, Transport::Tcp];

/// A server on so many shared ports in a row that nobody else has.
fn server(workers: usize, ports: u16, backend: Backend) -> Server {
    // Tests at the same time take different ones; other programs may have any.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..500 {
        let place = NEXT.fetch_add(ports, Ordering::Relaxed);
        let first = 10_000 + (place + std::process::id() as u16 % 5000) % 9_900;
        let mut setup = Setup::default();
        setup.config.workers = workers;
        setup.config.backend = backend;
        setup.shared_ports = Some(first..=first + ports - 1);
        match Server::try_with(setup, |_| StdRng::from_os_rng()) {
            Err(StartError::SharedRelay { .. }) => {}
            other => return other.unwrap(),
        }
    }
    panic!("no ports are free");
}

fn check(id: u8, name: &str) -> Vec<u8> {
    let request = RequestBuilder::new(Method::BINDING, [id; 12]).username(name);
    request.finish(None, true)
}

fn answer(id: u8) -> Vec<u8> {
    let mut responder = Responder::new();
    let answer = responder.success(Method::BINDING, [id; 12]);
    answer.finish(None, true).to_vec()
}

#[test]
fn a_session_on_a_worker_without_a_port_is_served_like_any_other() {
    for backend in BACKENDS {
        let server = server(2, 1, backend);
        let mut ports = Vec::new();
        for (transport, worker) in TRANSPORTS.into_iter().flat_map(|t| [(t, 0), (t, 1)]) {
            let (mut client, relayed) = server.place(transport, worker);
            let (peer, peer_address) = peer(LOOPBACKS[0]);
            client.bind_channel(CHANNEL, peer_address);
            let (other, other_address) = support::peer(LOOPBACKS[0]);
            client.permit(other_address);
            for words in [&b"hello"[..], b"", &[7; 1400]] {
                client.send_channel(CHANNEL, words);
                assert_eq!(receive(&peer), (words.to_vec(), relayed));
                peer.send_to(words, relayed).unwrap();
                assert_eq!(client.receive(), Got::Channel(CHANNEL, words.to_vec()));
                client.send_indication(other_address, words);
                assert_eq!(receive(&other), (words.to_vec(), relayed));
                other.send_to(words, relayed).unwrap();
                assert_eq!(client.receive(), Got::Data(other_address, words.to_vec()));
            }
            client.release();
            ports.push(relayed);
        }
        ports.dedup();
        assert_eq!(ports.len(), 1, "one relayed address for all: {ports:?}");
        let multiplex = server.shared.multiplex.as_ref().unwrap();
        assert_eq!((multiplex.members(), multiplex.remembered()), (0, 0));
    }
}

#[test]
fn two_hundred_sessions_on_one_port_get_their_own_data() {
    let server = server(2, 1, Backend::detect());
    let mut sessions: Vec<_> = (0..200u32)
        .map(|number| {
            let (peer, peer_address) = peer(LOOPBACKS[0]);
            let mut client: Client = server.client(TRANSPORTS[number as usize % 2], LOOPBACKS[0]);
            let relayed = client.allocate();
            client.bind_channel(CHANNEL, peer_address);
            (number.to_be_bytes(), client, peer, relayed)
        })
        .collect();
    // All send before anybody reads, so that turns serve many sessions.
    for (number, client, peer, relayed) in &mut sessions {
        client.send_channel(CHANNEL, &*number);
        peer.send_to(&*number, *relayed).unwrap();
    }
    let relayed = sessions[0].3;
    for (number, client, peer, own) in &mut sessions {
        assert_eq!(*own, relayed);
        assert_eq!(client.receive(), Got::Channel(CHANNEL, number.to_vec()));
        assert_eq!(receive(peer), (number.to_vec(), relayed));
    }
    assert_eq!(server.shared.ports.claimed(), 0);
    assert_eq!(server.workers.stats().io.passed_dropped, 0);
}

#[test]
fn each_worker_has_its_own_port_and_clients_are_spread_over_them() {
    let server = server(2, 4, Backend::detect());
    let mut ports: Vec<_> = [0, 1, 0, 1]
        .map(|worker| server.place(Transport::Tcp, worker))
        .into_iter()
        .map(|(client, relayed)| (relayed.port(), client))
        .collect();
    ports.sort_by_key(|(port, _)| *port);
    ports.dedup_by_key(|(port, _)| *port);
    assert_eq!(ports.len(), 4, "clients share while ports are empty");
}

#[test]
fn two_clients_with_the_same_peer_get_their_own_checks_and_answers() {
    for (workers, transport) in [
        (1, Transport::Udp),
        (2, Transport::Udp),
        (2, Transport::Tcp),
    ] {
        let server = server(workers, 1, Backend::detect());
        let (peer, peer_address) = peer(LOOPBACKS[0]);
        let last = workers as u16 - 1;
        let mut clients = [
            server.place(transport, 0),
            server.place(Transport::Udp, last),
        ];
        for (number, (client, relayed)) in (0u8..).zip(&mut clients) {
            client.permit(peer_address);
            let check = check(number, &format!("sfu{number}:client{number}"));
            client.send_indication(peer_address, &check);
            assert_eq!(receive(&peer), (check, *relayed));
        }
        // In the other order, so that "whoever has sent last" would be wrong.
        for (number, (client, relayed)) in (0u8..).zip(&mut clients) {
            let check = check(100 + number, &format!("client{number}:sfu{number}"));
            for words in [answer(number), check] {
                peer.send_to(&words, *relayed).unwrap();
                assert_eq!(client.receive(), Got::Data(peer_address, words));
            }
        }
    }
}

#[test]
fn pairs_of_clients_on_one_port_reach_each_other() {
    for workers in [[0, 0], [0, 1], [1, 1]] {
        for (one, other) in TRANSPORTS.iter().flat_map(|t| TRANSPORTS.map(|o| (*t, o))) {
            let server = server(2, 1, Backend::detect());
            let mut clients: Vec<_> = [(one, workers[0]), (other, workers[1])]
                .repeat(2)
                .into_iter()
                .map(|(transport, worker)| server.place(transport, worker))
                .collect();
            let relayed = clients[0].1;
            for (client, own) in &mut clients {
                assert_eq!(*own, relayed);
                client.bind_channel(CHANNEL, relayed);
            }
            // Each pair makes itself known, one after the other; what cannot be told apart yet is lost.
            let pairs = [(1, 0), (0, 1), (3, 2), (2, 3)];
            for (sender, receiver) in pairs {
                let check = check(sender as u8, &format!("{receiver}:{sender}"));
                clients[sender].0.send_channel(CHANNEL, &check);
                // What was sent before a request has been served when that is answered.
                clients[sender].0.settle();
            }
            for (sender, receiver) in [(0, 1), (1, 0), (2, 3), (3, 2)] {
                let words = answer(receiver as u8);
                clients[sender].0.send_channel(CHANNEL, &words);
                let expected = Got::Channel(CHANNEL, words);
                // Checks that did get through come first.
                while clients[receiver].0.receive() != expected {}
                clients[sender].0.send_channel(CHANNEL, b"media");
                let expected = Got::Channel(CHANNEL, b"media".to_vec());
                while clients[receiver].0.receive() != expected {}
            }
        }
    }
}

#[test]
fn a_shared_port_that_another_program_holds_ends_the_start() {
    let held = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let setup = Setup {
        shared_ports: Some(port..=port),
        ..Setup::default()
    };
    let error = Server::try_with(setup, |_| StdRng::from_os_rng())
        .err()
        .unwrap();
    assert!(matches!(error, StartError::SharedRelay { .. }), "{error}");
    assert!(error.to_string().contains("--multiplex-peer-port"));
}
