//! Data through the server on loopback: every transport, family and backend.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use std::net::SocketAddr;

use support::{BACKENDS, Client, Got, LOOPBACKS, Server, peer, receive};
use turn_io::Backend;
use turn_proto::Transport;
use turn_wire::{HEADROOM, Method, TAILROOM, write_send_indication};

const CHANNEL: u16 = 0x4001;
const TRANSPORTS: [Transport; 2] = [Transport::Udp, Transport::Tcp];

/// Runs a test for every backend, transport and family.
fn everywhere(test: impl Fn(&Server, Transport, &str)) {
    for backend in BACKENDS {
        let server = Server::with_backend(backend);
        for (transport, on) in combinations() {
            println!("{backend:?} {transport} {on}");
            test(&server, transport, on);
        }
    }
}

fn combinations() -> impl Iterator<Item = (Transport, &'static str)> {
    TRANSPORTS
        .into_iter()
        .flat_map(|transport| LOOPBACKS.map(|on| (transport, on)))
}

#[test]
fn a_binding_request_tells_the_clients_address() {
    everywhere(|server, transport, on| {
        let mut client = server.client(transport, on);
        assert_eq!(client.binding(), client.local());
    });
}

#[test]
fn a_channel_carries_data_both_ways() {
    everywhere(|server, transport, on| {
        let (peer, peer_address) = peer(on);
        let mut client = server.client(transport, on);
        let relayed = client.allocate();
        client.bind_channel(CHANNEL, peer_address);
        for payload in [&b"to the peer"[..], b"", b"x", b"again"] {
            client.send_channel(CHANNEL, payload);
            assert_eq!(receive(&peer), (payload.to_vec(), relayed));
            peer.send_to(payload, relayed).unwrap();
            assert_eq!(client.receive(), Got::Channel(CHANNEL, payload.to_vec()));
        }
    });
}

#[test]
fn denied_peers_are_out_of_reach_over_every_transport() {
    everywhere(|server, transport, on| {
        let (witness, open) = peer(on);
        let mut client = server.client(transport, on);
        client.allocate();
        let v4 = [
            "0.0.0.0:80",
            "169.254.169.254:80",
            "224.0.0.1:80",
            "10.0.0.1:80",
        ];
        let v6 = [
            "[::]:80",
            "[fd00:ec2::254]:80",
            "[64:ff9b::a9fe:a9fe]:80",
            "[2002:7f00:1::]:80",
            "[2001:0:808:808::80ff:fffe]:80",
            "[2a00:1::5efe:7f00:1]:80",
        ];
        for denied in v4.iter().chain(&v6).map(|text| text.parse().unwrap()) {
            let own: bool = open.is_ipv4() == SocketAddr::is_ipv4(&denied);
            let expected = Some(if own { 403 } else { 443 });
            let permission = client.request(Method::CREATE_PERMISSION, |request| {
                request.xor_peer_address(denied)
            });
            assert_eq!(permission.error(), expected, "{denied}");
            let channel = client.request(Method::CHANNEL_BIND, |request| {
                request.channel_number(CHANNEL).xor_peer_address(denied)
            });
            assert_eq!(channel.error(), expected, "{denied}");
            client.send_indication(denied, b"lost");
            client.send_channel(CHANNEL, b"lost");
        }
        client.bind_channel(CHANNEL, open);
        client.send_channel(CHANNEL, b"alive");
        assert_eq!(receive(&witness).0, b"alive");
    });
}

#[test]
fn indications_carry_data_both_ways() {
    everywhere(|server, transport, on| {
        let (peer, peer_address) = peer(on);
        let mut client = server.client(transport, on);
        let relayed = client.allocate();
        client.permit(peer_address);
        for payload in [&b"to the peer"[..], b"", b"x", b"again"] {
            client.send_indication(peer_address, payload);
            assert_eq!(receive(&peer), (payload.to_vec(), relayed));
            peer.send_to(payload, relayed).unwrap();
            assert_eq!(client.receive(), Got::Data(peer_address, payload.to_vec()));
        }
    });
}

#[test]
fn datagrams_of_sixty_thousand_bytes_pass_whole() {
    everywhere(|server, transport, on| {
        let (peer, peer_address) = peer(on);
        let mut client = server.client(transport, on);
        let relayed = client.allocate();
        client.bind_channel(CHANNEL, peer_address);
        let payload: Vec<u8> = (0..60_000u32).map(|number| number as u8).collect();
        client.send_channel(CHANNEL, &payload);
        assert!(receive(&peer) == (payload.clone(), relayed));
        peer.send_to(&payload, relayed).unwrap();
        assert!(client.receive() == Got::Channel(CHANNEL, payload));
    });
}

/// A Send indication as large as a datagram allows, for which a request's builder would keep room for credentials.
fn send_in_place(client: &mut Client, peer: SocketAddr, payload: &[u8]) {
    let mut buffer = vec![0; HEADROOM];
    buffer.extend_from_slice(payload);
    let range = HEADROOM..buffer.len();
    buffer.extend([0xEE; TAILROOM]);
    let whole = write_send_indication(&mut buffer, range, peer, [9; 12]).unwrap();
    client.send(&buffer[whole]);
}

#[test]
fn data_of_every_length_passes_whole_with_its_padding() {
    // On datagrams an indication of an IPv4 peer is longer by 36 bytes and up to 3 of padding, ChannelData by 4.
    const INDICATION: usize = 65_507 - 36 - 3;
    let lengths = (0..=9).chain([1_471, 1_472, 1_473, 1_500, 1_501, 9_001, INDICATION]);
    let lengths: Vec<usize> = lengths.collect();
    everywhere(|server, transport, on| {
        let (peer, peer_address) = peer(on);
        let mut client = server.client(transport, on);
        let relayed = client.allocate();
        client.permit(peer_address);
        let payload = |length: usize| (0..length).map(|n| (n % 251) as u8).collect::<Vec<_>>();
        for &length in &lengths {
            send_in_place(&mut client, peer_address, &payload(length));
            assert!(receive(&peer) == (payload(length), relayed), "{length}");
            peer.send_to(&payload(length), relayed).unwrap();
            let expected = Got::Data(peer_address, payload(length));
            assert!(client.receive() == expected, "{length}");
        }
        client.bind_channel(CHANNEL, peer_address);
        for &length in lengths.iter().chain([&(65_507 - 4)]) {
            client.send_channel(CHANNEL, &payload(length));
            assert!(receive(&peer) == (payload(length), relayed), "{length}");
            peer.send_to(&payload(length), relayed).unwrap();
            let expected = Got::Channel(CHANNEL, payload(length));
            assert!(client.receive() == expected, "{length}");
        }
    });
}

#[test]
fn an_indication_that_its_padding_makes_too_large_is_counted_and_others_pass() {
    for backend in BACKENDS {
        let server = Server::with_backend(backend);
        let (peer, peer_address) = peer(LOOPBACKS[0]);
        let mut client = server.client(Transport::Udp, LOOPBACKS[0]);
        let relayed = client.allocate();
        client.permit(peer_address);
        peer.send_to(&[0; 65_507 - 36 - 2], relayed).unwrap();
        peer.send_to(b"small", relayed).unwrap();
        let expected = Got::Data(peer_address, b"small".to_vec());
        assert_eq!(client.receive(), expected);
        assert_eq!(server.workers.stats().io.datagrams_failed, 1);
    }
}

#[test]
fn the_largest_datagram_of_a_peer_reaches_a_client_on_a_stream() {
    // On datagrams it cannot: with its header it is larger than a datagram may be.
    for backend in BACKENDS {
        let server = Server::with_backend(backend);
        let (peer, peer_address) = peer(LOOPBACKS[0]);
        let mut client = server.client(Transport::Tcp, LOOPBACKS[0]);
        let relayed = client.allocate();
        client.permit(peer_address);
        let payload = vec![7; 65_507];
        peer.send_to(&payload, relayed).unwrap();
        assert!(client.receive() == Got::Data(peer_address, payload.clone()));
        client.bind_channel(CHANNEL, peer_address);
        peer.send_to(&payload, relayed).unwrap();
        assert!(client.receive() == Got::Channel(CHANNEL, payload.clone()));
        client.send_channel(CHANNEL, &payload);
        assert!(receive(&peer) == (payload, relayed));
    }
}

#[test]
fn a_packet_too_large_for_the_way_out_is_counted_and_others_pass() {
    for backend in BACKENDS {
        let server = Server::with_backend(backend);
        let (peer, peer_address) = peer(LOOPBACKS[0]);
        let mut client = server.client(Transport::Udp, LOOPBACKS[0]);
        let relayed = client.allocate();
        client.bind_channel(CHANNEL, peer_address);
        peer.send_to(&[0; 65_507], relayed).unwrap();
        peer.send_to(b"small", relayed).unwrap();
        assert_eq!(client.receive(), Got::Channel(CHANNEL, b"small".to_vec()));
        assert_eq!(server.workers.stats().io.datagrams_failed, 1);
    }
}

/// A burst of as many packets as the kernel holds for one socket, each way.
fn burst(server: &Server, transport: Transport, on: &str, count: u32) {
    let (peer, peer_address) = peer(on);
    let mut client = server.client(transport, on);
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, peer_address);
    for number in 0..count {
        client.send_channel(CHANNEL, &number.to_be_bytes());
    }
    for number in 0..count {
        assert_eq!(receive(&peer), (number.to_be_bytes().to_vec(), relayed));
    }
    for number in 0..count {
        peer.send_to(&number.to_be_bytes(), relayed).unwrap();
    }
    for number in 0..count {
        let expected = Got::Channel(CHANNEL, number.to_be_bytes().to_vec());
        assert_eq!(client.receive(), expected);
    }
}

#[test]
fn bursts_larger_than_several_batches_arrive_complete_and_in_order() {
    everywhere(|server, transport, on| burst(server, transport, on, 200));
}

#[test]
fn sessions_at_once_get_their_own_data() {
    for backend in BACKENDS {
        let server = Server::with_backend(backend);
        let sessions: Vec<_> = (0..100u32)
            .map(|number| {
                let (transport, on) = combinations().nth(number as usize % 4).unwrap();
                let (peer, peer_address) = peer(on);
                let mut client: Client = server.client(transport, on);
                let relayed = client.allocate();
                client.bind_channel(CHANNEL, peer_address);
                (number.to_be_bytes(), client, peer, relayed)
            })
            .collect();
        let mut sessions = sessions;
        // All send before anybody reads, so that turns serve many sockets.
        for (number, client, peer, relayed) in &mut sessions {
            client.send_channel(CHANNEL, &*number);
            peer.send_to(&*number, *relayed).unwrap();
        }
        for (number, client, peer, relayed) in &mut sessions {
            assert_eq!(client.receive(), Got::Channel(CHANNEL, number.to_vec()));
            assert_eq!(receive(peer), (number.to_vec(), *relayed));
        }
    }
}

#[test]
fn two_clients_of_the_server_reach_each_other_through_both_relays() {
    let server = Server::new();
    let on = LOOPBACKS[0];
    let mut ann = server.client(Transport::Udp, on);
    let mut bob = server.client(Transport::Tcp, on);
    let (ann_relayed, bob_relayed) = (ann.allocate(), bob.allocate());
    ann.bind_channel(CHANNEL, bob_relayed);
    bob.permit(ann_relayed);
    ann.send_channel(CHANNEL, b"hello bob");
    assert_eq!(bob.receive(), Got::Data(ann_relayed, b"hello bob".to_vec()));
    bob.send_indication(ann_relayed, b"hello ann");
    assert_eq!(ann.receive(), Got::Channel(CHANNEL, b"hello ann".to_vec()));
}

#[test]
fn an_unreachable_peer_harms_nobody() {
    for backend in BACKENDS {
        let server = Server::with_backend(backend);
        let on = LOOPBACKS[0];
        let gone = peer(on).1;
        let (peer, peer_address) = peer(on);
        let mut client = server.client(Transport::Udp, on);
        let relayed = client.allocate();
        client.bind_channel(CHANNEL, gone);
        client.bind_channel(CHANNEL + 1, peer_address);
        for _ in 0..10 {
            client.send_channel(CHANNEL, b"nobody is there");
            client.send_channel(CHANNEL + 1, b"somebody is");
            assert_eq!(receive(&peer), (b"somebody is".to_vec(), relayed));
        }
    }
}

#[test]
fn data_sent_just_before_the_end_of_a_session_still_goes_out() {
    everywhere(|server, transport, on| {
        let (peer, peer_address) = peer(on);
        let mut client = server.client(transport, on);
        let relayed = client.allocate();
        client.bind_channel(CHANNEL, peer_address);
        client.send_channel(CHANNEL, b"last words");
        client.release();
        assert_eq!(receive(&peer), (b"last words".to_vec(), relayed));
    });
}

#[test]
fn counters_tell_what_passed() {
    let server = Server::with_backend(Backend::detect());
    burst(&server, Transport::Udp, LOOPBACKS[0], 50);
    let stats = server.workers.stats();
    assert_eq!(stats.relay.traffic.client_received_packets, 50);
    assert_eq!(stats.relay.traffic.peer_received_packets, 50);
    // Three requests besides, each answered.
    assert_eq!(
        (stats.io.datagrams_received, stats.io.datagrams_sent),
        (103, 103)
    );
    assert!(stats.io.turns > 0);
}
