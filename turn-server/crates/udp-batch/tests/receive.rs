//! Receiving on loopback, by both backends.
#![allow(clippy::unwrap_used, reason = "a panic is the report")]

mod support;

use std::{io, net::UdpSocket, os::fd::AsFd};

use support::{BACKENDS, LOOPBACKS, socket};
use udp_batch::{Arena, Backend, MAX_DATAGRAM};

const HEADROOM: usize = 48;
const TAILROOM: usize = 4;

fn arena(backend: Backend, slots: usize) -> Arena {
    Arena::new(backend, slots, HEADROOM, TAILROOM)
}

fn payload(arena: &mut Arena, slot: usize) -> Vec<u8> {
    let slot = arena.slot_mut(slot).unwrap();
    slot.buf[slot.payload].to_vec()
}

#[test]
fn a_datagram_lies_behind_the_headroom_with_its_sender() {
    for (backend, on) in BACKENDS
        .iter()
        .flat_map(|&backend| LOOPBACKS.map(|on| (backend, on)))
    {
        let ((server, to), (client, from)) = (socket(on), socket(on));
        let mut arena = arena(backend, 4);
        client.send_to(b"hello", to).unwrap();
        assert_eq!(arena.receive(server.as_fd(), 2, 2).unwrap(), 1);
        let slot = arena.slot_mut(2).unwrap();
        assert_eq!(slot.payload, HEADROOM..HEADROOM + 5);
        assert_eq!(&slot.buf[slot.payload], b"hello");
        assert!(slot.buf.len() >= HEADROOM + MAX_DATAGRAM + TAILROOM);
        assert_eq!(slot.from, from, "{backend:?}");
        assert_eq!(arena.bytes(2, HEADROOM..HEADROOM + 4), Some(&b"hell"[..]));
    }
}

#[test]
fn an_empty_socket_gives_zero_at_once() {
    for backend in BACKENDS {
        let (server, _) = socket(LOOPBACKS[0]);
        assert_eq!(arena(backend, 4).receive(server.as_fd(), 0, 4).unwrap(), 0);
    }
}

#[test]
fn an_empty_datagram_is_a_datagram() {
    for backend in BACKENDS {
        let ((server, to), (client, from)) = (socket(LOOPBACKS[0]), socket(LOOPBACKS[0]));
        let mut arena = arena(backend, 4);
        for packet in [&b"before"[..], b"", b"after"] {
            client.send_to(packet, to).unwrap();
        }
        assert_eq!(arena.receive(server.as_fd(), 0, 4).unwrap(), 3);
        assert_eq!(
            [0, 1, 2].map(|slot| payload(&mut arena, slot)),
            [&b"before"[..], b"", b"after"]
        );
        assert_eq!(arena.slot_mut(1).unwrap().from, from);
    }
}

#[test]
fn the_largest_datagrams_arrive_whole_side_by_side() {
    // 65,507 = 65,535 less the headers of IPv4 and UDP; over IPv6 the IP header is not counted.
    for (backend, (on, length)) in BACKENDS.iter().flat_map(|&b| {
        LOOPBACKS
            .into_iter()
            .zip([65_507, 65_527])
            .map(move |c| (b, c))
    }) {
        let ((server, to), (client, _)) = (socket(on), socket(on));
        let mut arena = arena(backend, 3);
        let packets = [1u8, 2, 3].map(|fill| vec![fill; length]);
        for (packet, slot) in packets.iter().zip(0..) {
            client.send_to(packet, to).unwrap();
            assert_eq!(arena.receive(server.as_fd(), slot, 1).unwrap(), 1);
        }
        for (packet, slot) in packets.iter().zip(0..) {
            assert!(
                payload(&mut arena, slot) == *packet,
                "{backend:?}, slot {slot}"
            );
        }
    }
}

#[test]
fn a_full_batch_leaves_the_rest_for_the_next_call_in_order() {
    for backend in BACKENDS {
        let ((server, to), (client, _)) = (socket(LOOPBACKS[0]), socket(LOOPBACKS[0]));
        let mut arena = arena(backend, 64);
        for number in 0..100u8 {
            client.send_to(&[number], to).unwrap();
        }
        let mut seen = Vec::new();
        for expected in [64, 36, 0] {
            let count = arena.receive(server.as_fd(), 0, 64).unwrap();
            assert_eq!(count, expected);
            seen.extend((0..count).flat_map(|slot| payload(&mut arena, slot)));
        }
        assert_eq!(seen, (0..100).collect::<Vec<u8>>());
    }
}

#[test]
fn slots_outside_the_asked_range_keep_their_contents() {
    for backend in BACKENDS {
        let ((server, to), (client, _)) = (socket(LOOPBACKS[0]), socket(LOOPBACKS[0]));
        let mut arena = arena(backend, 4);
        for packet in [b"a", b"b", b"c", b"d"] {
            client.send_to(packet, to).unwrap();
        }
        assert_eq!(arena.receive(server.as_fd(), 0, 3).unwrap(), 3);
        assert_eq!(arena.receive(server.as_fd(), 1, 1).unwrap(), 1);
        assert_eq!(
            [0, 1, 2].map(|slot| payload(&mut arena, slot)),
            [b"a", b"d", b"c"]
        );
    }
}

#[test]
fn asking_beyond_the_last_slot_uses_the_slots_there_are() {
    for backend in BACKENDS {
        let ((server, to), (client, _)) = (socket(LOOPBACKS[0]), socket(LOOPBACKS[0]));
        let mut arena = arena(backend, 2);
        client.send_to(b"x", to).unwrap();
        assert_eq!(arena.receive(server.as_fd(), 2, 5).unwrap(), 0);
        assert_eq!(
            arena
                .receive(server.as_fd(), usize::MAX, usize::MAX)
                .unwrap(),
            0
        );
        assert_eq!(arena.receive(server.as_fd(), 1, usize::MAX).unwrap(), 1);
        assert!(
            arena.slot_mut(2).is_none()
                && arena.buffer_mut(2).is_none()
                && arena.bytes(2, 0..1).is_none()
        );
        let whole = arena.buffer_mut(1).unwrap().len();
        assert!(arena.bytes(1, 0..whole + 1).is_none());
    }
}

#[test]
fn a_v6_sender_after_a_v4_one_in_the_same_slot_is_decoded_whole() {
    for backend in BACKENDS {
        let mut arena = arena(backend, 1);
        for on in [LOOPBACKS[1], LOOPBACKS[0], LOOPBACKS[1]] {
            let ((server, to), (client, from)) = (socket(on), socket(on));
            client.send_to(b"x", to).unwrap();
            assert_eq!(arena.receive(server.as_fd(), 0, 1).unwrap(), 1);
            assert_eq!(arena.slot_mut(0).unwrap().from, from);
        }
    }
}

#[test]
fn an_icmp_error_is_reported_once_and_the_socket_goes_on() {
    for backend in BACKENDS {
        let ((server, to), (client, from)) = (socket(LOOPBACKS[0]), socket(LOOPBACKS[0]));
        let mut arena = arena(backend, 2);
        server.connect(from).unwrap();
        drop(client);
        server.send(b"nobody listens").unwrap();
        let error = arena.receive(server.as_fd(), 0, 2).unwrap_err();
        assert_eq!(
            error.kind(),
            io::ErrorKind::ConnectionRefused,
            "{backend:?}"
        );
        let client = UdpSocket::bind(from).unwrap();
        client.send_to(b"back", to).unwrap();
        assert_eq!(arena.receive(server.as_fd(), 0, 2).unwrap(), 1);
    }
}

#[test]
fn bytes_from_elsewhere_can_be_put_into_a_slot() {
    let mut arena = arena(Backend::Plain, 2);
    arena.buffer_mut(1).unwrap()[..3].copy_from_slice(b"tcp");
    assert_eq!(arena.bytes(1, 0..3), Some(&b"tcp"[..]));
    assert_eq!(arena.slots(), 2);
}
