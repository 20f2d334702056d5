//! IP headers of relayed datagrams (RFC 8656 §13 to §16), and ICMP errors about them (§11.5), on loopback.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use std::{
    net::{SocketAddr, UdpSocket},
    os::fd::AsFd,
    time::Duration,
};

use socket2::SockRef;
use support::{BACKENDS, Client, Got, LOOPBACKS, Link, PATIENCE, Server, TcpLink, peer, receive};
use turn_proto::Transport;
use turn_wire::{Class, Method, Packet, RequestBuilder, attr};
use udp_batch::{Arena, Backend, IpVersion, tell_traffic_class};

const CHANNEL: u16 = 0x4001;

/// Expedited forwarding; a class selector that is ECN-capable; congestion experienced; nothing.
const CLASSES: [u8; 4] = [0xB8, 0x22, 0x03, 0];

fn version(socket: &UdpSocket) -> IpVersion {
    if socket.local_addr().unwrap().is_ipv4() {
        IpVersion::V4
    } else {
        IpVersion::V6
    }
}

/// What the packets that a socket sends have in their headers.
fn mark(socket: &UdpSocket, class: u8) {
    let reference = SockRef::from(socket);
    match version(socket) {
        IpVersion::V4 => reference.set_tos_v4(class.into()).unwrap(),
        IpVersion::V6 => reference.set_tclass_v6(class.into()).unwrap(),
    }
}

/// The next packets of a socket: their classes and their last bytes.
fn classes(socket: &UdpSocket, count: usize) -> Vec<(u8, Option<u8>)> {
    let mut arena = Arena::new(Backend::Batched, count, 0, 0);
    let mut seen = Vec::new();
    for _ in 0..PATIENCE.as_millis() {
        let came = arena
            .receive(socket.as_fd(), 0, count - seen.len())
            .unwrap();
        for index in 0..came {
            let slot = arena.slot_mut(index).unwrap();
            let last = slot.buf[slot.payload].last().copied();
            seen.push((slot.traffic_class, last));
        }
        if seen.len() == count {
            return seen;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("{} of {count} packets came", seen.len());
}

fn listening_peer(on: &str) -> (UdpSocket, SocketAddr) {
    let (socket, address) = peer(on);
    tell_traffic_class(socket.as_fd(), version(&socket)).unwrap();
    (socket, address)
}

fn socket(client: &Client) -> UdpSocket {
    match &client.link {
        Link::Udp(socket) => socket.try_clone().unwrap(),
        Link::Dtls(link) => link.socket.try_clone().unwrap(),
        Link::Tcp(_) => panic!("not datagrams"),
    }
}

#[test]
fn dscp_and_ecn_are_copied_both_ways_packet_by_packet() {
    let server = Server::new();
    for on in LOOPBACKS {
        let (peer, peer_address) = listening_peer(on);
        let mut client = server.client(Transport::Udp, on);
        let relayed = client.allocate();
        client.permit(peer_address);
        let own = socket(&client);
        tell_traffic_class(own.as_fd(), version(&own)).unwrap();
        for bound in [false, true] {
            if bound {
                mark(&own, 0);
                client.bind_channel(CHANNEL, peer_address);
            }
            for class in CLASSES {
                mark(&own, class);
                if bound {
                    client.send_channel(CHANNEL, &[class]);
                } else {
                    client.send_indication(peer_address, &[class]);
                }
            }
            let expected = CLASSES.map(|class| (class, Some(class)));
            assert_eq!(classes(&peer, 4), expected, "to the peer");
            for class in CLASSES {
                mark(&peer, class);
                peer.send_to(&[1, 1, 1, class], relayed).unwrap();
            }
            assert_eq!(classes(&own, 4), expected, "to the client");
        }
    }
}

#[test]
fn answers_have_the_usual_class() {
    let server = Server::new();
    for on in LOOPBACKS {
        let client = server.client(Transport::Udp, on);
        let own = socket(&client);
        tell_traffic_class(own.as_fd(), version(&own)).unwrap();
        mark(&own, 0xBA);
        let request = RequestBuilder::new(Method::BINDING, [7; 12]).finish(None, false);
        own.send(&request).unwrap();
        assert_eq!(classes(&own, 1)[0].0, 0);
    }
}

#[test]
fn datagrams_of_clients_on_streams_have_the_usual_class() {
    let server = Server::new();
    for on in LOOPBACKS {
        let (peer, peer_address) = listening_peer(on);
        // A datagram with a class has been in the same buffers before.
        let mut other = server.client(Transport::Udp, on);
        other.allocate();
        other.bind_channel(CHANNEL, peer_address);
        mark(&socket(&other), 0xB8);
        other.send_channel(CHANNEL, b"x");
        assert_eq!(classes(&peer, 1)[0].0, 0xB8);
        let mut client = server.client(Transport::Tcp, on);
        client.allocate();
        client.bind_channel(CHANNEL, peer_address);
        let TcpLink { socket, .. } = client.tcp();
        let stream = SockRef::from(&*socket);
        if on.starts_with('[') {
            stream.set_tclass_v6(0xB8).unwrap();
        } else {
            stream.set_tos_v4(0xB8).unwrap();
        }
        client.send_channel(CHANNEL, b"x");
        assert_eq!(classes(&peer, 1)[0].0, 0);
    }
}

#[test]
fn datagrams_that_must_not_be_fragmented_pass_between_others_in_order() {
    for backend in BACKENDS {
        let server = Server::with_backend(backend);
        for on in LOOPBACKS {
            for transport in [Transport::Udp, Transport::Tcp] {
                let (peer, peer_address) = peer(on);
                let mut client = server.client(transport, on);
                client.allocate();
                client.permit(peer_address);
                for number in 0..60_u8 {
                    let message = RequestBuilder::indication(Method::SEND, [number; 12])
                        .xor_peer_address(peer_address)
                        .data(&[number]);
                    let whole = number % 3 == 0 || number > 50;
                    let message = if whole {
                        message.dont_fragment()
                    } else {
                        message
                    };
                    client.send(&message.finish(None, false));
                }
                for number in 0..60 {
                    assert_eq!(receive(&peer).0, [number]);
                }
            }
        }
        assert_eq!(server.workers.stats().io.datagrams_failed, 0);
    }
}

/// An address where nobody listens.
fn nobody(on: &str) -> SocketAddr {
    peer(on).1
}

#[test]
fn a_client_is_told_that_a_peer_is_unreachable() {
    let server = Server::new();
    for transport in [Transport::Udp, Transport::Tcp] {
        // Port unreachable: type 3, code 3; in ICMPv6 type 1, code 4. Seven bits and nine.
        for (on, told) in LOOPBACKS.into_iter().zip([[0b0110, 3], [0b0010, 4]]) {
            let mut client = server.client(transport, on);
            client.allocate();
            let gone = nobody(on);
            client.permit(gone);
            client.send_indication(gone, b"anybody there?");
            let bytes = client.receive_bytes().unwrap();
            let Ok(Packet::Stun(view)) = turn_wire::parse(&bytes) else {
                panic!("no message: {bytes:?}")
            };
            assert_eq!(
                (view.class(), view.method()),
                (Class::Indication, Method::DATA)
            );
            assert_eq!(view.xor_address(attr::XOR_PEER_ADDRESS), Some(gone));
            let value = [0, 0, told[0], told[1], 0, 0, 0, 0];
            assert_eq!(view.attribute(attr::ICMP), Some(&value[..]));
            assert_eq!(view.attribute(attr::DATA), None);
        }
    }
    assert_eq!(server.workers.stats().io.icmp_errors, 4);
}

#[test]
fn errors_about_one_peer_lose_nothing_of_another() {
    for backend in BACKENDS {
        let server = Server::with_backend(backend);
        for on in LOOPBACKS {
            let (peer, peer_address) = peer(on);
            let mut client = server.client(Transport::Udp, on);
            let relayed = client.allocate();
            let gone = nobody(on);
            client.permit(gone);
            client.permit(peer_address);
            client.bind_channel(CHANNEL, peer_address);
            for number in 0..200_u8 {
                client.send_indication(gone, b"lost");
                client.send_channel(CHANNEL, &[number]);
                peer.send_to(&[number], relayed).unwrap();
                // Some at once, some one by one.
                if number % 10 != 0 {
                    continue;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            for number in 0..200 {
                assert_eq!(receive(&peer).0, [number], "{backend:?} {on}");
            }
            let mut heard = 0;
            while heard < 200 {
                let bytes = client.receive_bytes().unwrap();
                if let Ok(Packet::ChannelData(data)) = turn_wire::parse(&bytes) {
                    assert_eq!(bytes[data.payload], [heard]);
                    heard += 1;
                }
            }
        }
        let stats = server.workers.stats().io;
        assert_eq!(
            (stats.datagrams_failed, stats.datagrams_dropped_full),
            (0, 0)
        );
        assert!(stats.icmp_errors > 0);
    }
}

#[test]
fn empty_datagrams_pass_both_ways_with_their_class() {
    let server = Server::new();
    let (peer, peer_address) = listening_peer(LOOPBACKS[0]);
    let mut client = server.client(Transport::Udp, LOOPBACKS[0]);
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, peer_address);
    mark(&socket(&client), 0x20);
    client.send_channel(CHANNEL, b"");
    assert_eq!(classes(&peer, 1), [(0x20, None)]);
    peer.send_to(b"", relayed).unwrap();
    assert_eq!(client.receive(), Got::Channel(CHANNEL, Vec::new()));
}
