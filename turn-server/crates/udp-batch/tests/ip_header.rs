//! Traffic classes both ways, and ICMP errors, on loopback. Linux only, as they are.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a panic is the report")]

mod support;

use std::{
    net::{SocketAddr, UdpSocket},
    os::fd::AsFd,
    time::Duration,
};

use support::{BACKENDS, LOOPBACKS, socket};
use udp_batch::{
    Arena, Backend, IcmpError, IpVersion, Outgoing, Sender, next_icmp_error, tell_icmp_errors,
    tell_traffic_class,
};

fn version(address: SocketAddr) -> IpVersion {
    if address.is_ipv4() {
        IpVersion::V4
    } else {
        IpVersion::V6
    }
}

fn packet(to: SocketAddr, bytes: &[u8], traffic_class: u8) -> Outgoing<'_> {
    Outgoing {
        to,
        bytes,
        traffic_class,
    }
}

/// The next error, which the kernel tells after the call that caused it has returned.
fn error(socket: &UdpSocket) -> IcmpError {
    (0..10_000)
        .find_map(|_| {
            let found = next_icmp_error(socket.as_fd()).unwrap();
            if found.is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            found
        })
        .unwrap()
}

#[test]
fn each_packet_of_a_batch_has_its_own_class() {
    for on in LOOPBACKS {
        let ((server, to), (client, _)) = (socket(on), socket(on));
        tell_traffic_class(server.as_fd(), version(to)).unwrap();
        let classes = [0, 0xB8, 0, 0x03, 0xFF, 0];
        // Fewer than a batch at once, so that headers are used again.
        let report = Sender::new(Backend::Batched, 4)
            .send(client.as_fd(), classes.map(|class| packet(to, b"x", class)));
        assert_eq!(report.sent, 6);
        let mut arena = Arena::new(Backend::Batched, 4, 0, 0);
        for (count, expected) in [(4, &classes[..4]), (2, &classes[4..])] {
            assert_eq!(arena.receive(server.as_fd(), 0, 4).unwrap(), count);
            let seen: Vec<u8> = (0..count)
                .map(|slot| arena.slot_mut(slot).unwrap().traffic_class)
                .collect();
            assert_eq!(seen, expected);
        }
    }
}

#[test]
fn a_socket_that_was_not_asked_tells_no_class() {
    for on in LOOPBACKS {
        let ((server, to), (client, _)) = (socket(on), socket(on));
        let _ = Sender::new(Backend::Batched, 4).send(client.as_fd(), [packet(to, b"x", 0xB8)]);
        let mut arena = Arena::new(Backend::Batched, 1, 0, 0);
        assert_eq!(arena.receive(server.as_fd(), 0, 1).unwrap(), 1);
        assert_eq!(arena.slot_mut(0).unwrap().traffic_class, 0);
    }
}

#[test]
fn an_error_names_the_destination_the_type_and_the_code() {
    // Port unreachable, in both versions of ICMP.
    for (on, (kind, code)) in LOOPBACKS.into_iter().zip([(3, 3), (1, 4)]) {
        let (client, own) = socket(on);
        tell_icmp_errors(client.as_fd(), version(own)).unwrap();
        // Beside the error, the kernel then tells the class of the packet.
        tell_traffic_class(client.as_fd(), version(own)).unwrap();
        assert_eq!(next_icmp_error(client.as_fd()).unwrap(), None);
        let gone = socket(on).1;
        client.send_to(b"x", gone).unwrap();
        let expected = IcmpError {
            to: gone,
            kind,
            code,
            info: 0,
        };
        assert_eq!(error(&client), expected);
        assert_eq!(next_icmp_error(client.as_fd()).unwrap(), None);
    }
}

#[test]
fn an_error_about_an_earlier_packet_costs_no_later_one() {
    for (backend, on) in BACKENDS
        .iter()
        .flat_map(|&backend| LOOPBACKS.map(|on| (backend, on)))
    {
        let ((client, own), (server, to)) = (socket(on), socket(on));
        tell_icmp_errors(client.as_fd(), version(own)).unwrap();
        let gone = socket(on).1;
        let mut sender = Sender::new(backend, 8);
        for _ in 0..50 {
            // On loopback the error is pending by the time the next packet is sent, within the batch and after it.
            let packets = [to, gone, to, gone].map(|to| packet(to, b"x", 0));
            let report = sender.send(client.as_fd(), packets);
            assert_eq!((report.sent, report.failed), (4, 0), "{backend:?}");
        }
        let mut arena = Arena::new(Backend::Batched, 100, 0, 0);
        assert_eq!(arena.receive(server.as_fd(), 0, 100).unwrap(), 100);
    }
}
