//! Bursts of one flow, which pass the system as trains: each datagram is relayed as if it had come by itself.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use std::{
    net::{SocketAddr, UdpSocket},
    os::fd::AsFd,
    time::Duration,
};

use socket2::SockRef;
use support::{BACKENDS, Client, Got, LOOPBACKS, Link, Server, Setup, peer, receive};
use turn_io::{Backend, Stats};
use turn_proto::{Caps, Good, Holder, Transport};
use turn_wire::RequestBuilder;
use udp_batch::{Outgoing, Sender, Trains};

const CHANNEL: u16 = 0x4001;

/// Sends datagrams back to back; those of one length that follow each other go as a train.
fn burst(socket: &UdpSocket, to: SocketAddr, datagrams: &[Vec<u8>]) {
    let packets = datagrams.iter().map(|bytes| Outgoing {
        to,
        bytes,
        traffic_class: 0,
    });
    let mut sender = Sender::new(Backend::Batched, 64);
    let report = sender.send_trains(socket.as_fd(), &mut Trains::default(), packets);
    assert_eq!(report.sent, datagrams.len());
}

fn socket(client: &Client) -> &UdpSocket {
    match &client.link {
        Link::Udp(socket) => socket,
        Link::Tcp(_) | Link::Dtls(_) => panic!("not plain datagrams"),
    }
}

/// Payloads as video has them: runs of one length, each with a shorter end; and others among them.
fn payloads() -> Vec<Vec<u8>> {
    let lengths = [
        &[1_180; 7][..],
        &[411],
        &[1_180; 3],
        &[160; 40],
        &[0, 1, 2, 3],
        &[1_163; 9],
    ];
    let lengths = lengths.concat();
    (0..)
        .zip(lengths)
        .map(|(number, length): (u8, usize)| vec![number; length])
        .collect()
}

/// Runs a test for both backends and families.
fn everywhere(test: impl Fn(&Server, &str)) {
    for backend in BACKENDS {
        let server = Server::with_backend(backend);
        for on in LOOPBACKS {
            println!("{backend:?} {on}");
            test(&server, on);
        }
    }
}

#[test]
fn a_burst_on_a_channel_arrives_datagram_by_datagram_both_ways() {
    everywhere(|server, on| {
        let (peer, peer_address) = peer(on);
        let mut client = server.client(Transport::Udp, on);
        let relayed = client.allocate();
        client.bind_channel(CHANNEL, peer_address);
        let framed: Vec<_> = payloads()
            .iter()
            .map(|payload| client.channel_data(CHANNEL, payload))
            .collect();
        burst(socket(&client), server.address(Transport::Udp, on), &framed);
        for payload in payloads() {
            assert!(receive(&peer) == (payload, relayed));
        }
        burst(&peer, relayed, &payloads());
        for payload in payloads() {
            assert!(client.receive() == Got::Channel(CHANNEL, payload));
        }
    });
}

#[test]
fn a_burst_of_indications_arrives_datagram_by_datagram_both_ways() {
    everywhere(|server, on| {
        let (peer, peer_address) = peer(on);
        let mut client = server.client(Transport::Udp, on);
        let relayed = client.allocate();
        client.permit(peer_address);
        let framed: Vec<_> = payloads()
            .iter()
            .map(|payload| {
                RequestBuilder::indication(turn_wire::Method::SEND, [3; 12])
                    .xor_peer_address(peer_address)
                    .data(payload)
                    .finish(None, false)
            })
            .collect();
        burst(socket(&client), server.address(Transport::Udp, on), &framed);
        for payload in payloads() {
            assert!(receive(&peer) == (payload, relayed));
        }
        burst(&peer, relayed, &payloads());
        for payload in payloads() {
            assert!(client.receive() == Got::Data(peer_address, payload));
        }
    });
}

#[test]
fn a_burst_for_clients_over_streams_and_dtls_arrives_whole() {
    for (server, transport) in [
        (Server::new(), Transport::Tcp),
        (Server::with(Setup::secure_datagrams()), Transport::Dtls),
    ] {
        let (peer, peer_address) = peer(LOOPBACKS[0]);
        let mut client = server.client(transport, LOOPBACKS[0]);
        let relayed = client.allocate();
        client.bind_channel(CHANNEL, peer_address);
        burst(&peer, relayed, &payloads());
        for payload in payloads() {
            assert!(
                client.receive() == Got::Channel(CHANNEL, payload),
                "{transport}"
            );
        }
    }
}

#[test]
fn a_train_that_mixes_channels_and_strangers_is_taken_apart() {
    let server = Server::new();
    let on = LOOPBACKS[0];
    let ((ann, to_ann), (bob, to_bob)) = (peer(on), peer(on));
    let mut client = server.client(Transport::Udp, on);
    client.allocate();
    client.bind_channel(CHANNEL, to_ann);
    client.bind_channel(CHANNEL + 1, to_bob);
    let framed: Vec<_> = (0..30u16)
        .map(|number| client.channel_data(CHANNEL + number % 3, &[number as u8; 200]))
        .collect();
    burst(socket(&client), server.address(Transport::Udp, on), &framed);
    for number in (0..30).step_by(3) {
        assert!(
            receive(&ann).0 == [number; 200],
            "the channel that is bound to no one is dropped"
        );
        assert!(receive(&bob).0 == [number + 1; 200]);
    }
}

#[test]
fn every_datagram_of_a_train_is_counted_and_limited() {
    let server = Server::with(Setup {
        adjust: |rules| {
            let caps = Caps::default();
            rules.guard.caps = caps.with(Holder::Session, Good::PacketsPerSecond, 10);
        },
        ..Setup::default()
    });
    let (peer, peer_address) = peer(LOOPBACKS[0]);
    let mut client = server.client(Transport::Udp, LOOPBACKS[0]);
    client.allocate();
    client.bind_channel(CHANNEL, peer_address);
    let framed = vec![client.channel_data(CHANNEL, &[7; 160]); 60];
    burst(
        socket(&client),
        server.address(Transport::Udp, LOOPBACKS[0]),
        &framed,
    );
    assert!(receive(&peer).0 == [7; 160]);
    let limited = |stats: &Stats| {
        stats
            .relay
            .limits
            .of(Holder::Session, Good::PacketsPerSecond)
    };
    let stats = server.wait_for("all judged", |stats| {
        stats.relay.traffic.peer_sent_packets + limited(stats) == 60
    });
    // A second's worth, the one that goes over it, and what becomes free while the train is served.
    assert!(
        (11..40).contains(&stats.relay.traffic.peer_sent_packets),
        "{stats:?}"
    );
}

#[test]
fn a_burst_at_a_dead_peer_is_told_of_by_icmp() {
    let server = Server::new();
    let on = LOOPBACKS[0];
    let (gone, gone_address) = peer(on);
    let mut client = server.client(Transport::Udp, on);
    client.allocate();
    client.bind_channel(CHANNEL, gone_address);
    drop(gone);
    let framed = vec![client.channel_data(CHANNEL, &[7; 1_000]); 8];
    burst(socket(&client), server.address(Transport::Udp, on), &framed);
    server.wait_for("the error", |stats| stats.io.icmp_errors > 0);
    let message = client.receive_bytes().unwrap();
    assert_eq!(message[..2], [0x00, 0x17], "a Data indication");
}

#[test]
fn bursts_of_equal_datagrams_leave_in_few_calls() {
    let server = Server::new();
    let on = LOOPBACKS[0];
    let (peer, peer_address) = peer(on);
    let _ = SockRef::from(&peer).set_recv_buffer_size(1 << 20);
    let mut client = server.client(Transport::Udp, on);
    client.allocate();
    client.bind_channel(CHANNEL, peer_address);
    let framed = vec![client.channel_data(CHANNEL, &[7; 160]); 64];
    let before = server.workers.stats().io;
    burst(socket(&client), server.address(Transport::Udp, on), &framed);
    (0..64).for_each(|_| assert!(receive(&peer).0 == [7; 160]));
    let after = server.workers.stats().io;
    assert_eq!(after.datagrams_received - before.datagrams_received, 64);
    let received = after.receive_calls - before.receive_calls;
    assert!(received <= 2, "{received} calls for one train");
    assert_eq!(after.send_calls - before.send_calls, 1);
}

#[test]
fn with_a_budget_packets_gather_in_few_turns_and_none_is_lost() {
    let mut config = Setup::default().config;
    config.latency_budget = Some(Duration::from_millis(20));
    let server = Server::with(Setup {
        config,
        ..Setup::default()
    });
    for transport in [Transport::Udp, Transport::Tcp] {
        let (peer, peer_address) = peer(LOOPBACKS[0]);
        let _ = SockRef::from(&peer).set_recv_buffer_size(1 << 20);
        let mut client = server.client(transport, LOOPBACKS[0]);
        client.allocate();
        client.bind_channel(CHANNEL, peer_address);
        let before = server.workers.stats().io.turns;
        for number in 0..=255 {
            client.send_channel(CHANNEL, &[number; 160]);
        }
        for number in 0..=255 {
            assert!(receive(&peer).0 == [number; 160]);
        }
        let turns = server.workers.stats().io.turns - before;
        assert!(
            turns < 128,
            "{turns} turns for 256 packets over {transport}"
        );
    }
}
