//! Sending on loopback, by both backends.
#![allow(clippy::unwrap_used, reason = "a panic is the report")]

mod support;

use std::{
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::AsFd,
    time::Duration,
};

use support::{BACKENDS, LOOPBACKS, socket};
use udp_batch::{Backend, Outgoing, SendReport, Sender};

fn arrived(socket: &UdpSocket, count: usize) -> Vec<Vec<u8>> {
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut buffer = vec![0; 65_535];
    let mut next = || {
        socket
            .recv(&mut buffer)
            .map(|length| buffer[..length].to_vec())
            .unwrap()
    };
    (0..count).map(|_| next()).collect()
}

fn report(sent: usize, dropped_full: usize, failed: usize) -> SendReport {
    SendReport {
        sent,
        dropped_full,
        failed,
    }
}

#[test]
fn packets_of_one_call_go_to_their_own_destinations() {
    for (backend, on) in BACKENDS
        .iter()
        .flat_map(|&backend| LOOPBACKS.map(|on| (backend, on)))
    {
        let (server, _) = socket(on);
        let ((ann, to_ann), (bob, to_bob)) = (socket(on), socket(on));
        let packets = [
            (to_ann, &b"one"[..]),
            (to_bob, b"two"),
            (to_ann, b""),
            (to_ann, b"four"),
        ];
        let packets = packets.map(|(to, bytes)| Outgoing {
            to,
            bytes,
            traffic_class: 0,
        });
        assert_eq!(
            Sender::new(backend, 64).send(server.as_fd(), packets),
            report(4, 0, 0)
        );
        assert_eq!(arrived(&ann, 3), [&b"one"[..], b"", b"four"]);
        assert_eq!(arrived(&bob, 1), [b"two"]);
    }
}

#[test]
fn more_packets_than_one_batch_all_go_in_order() {
    for backend in BACKENDS {
        let ((server, _), (client, to)) = (socket(LOOPBACKS[0]), socket(LOOPBACKS[0]));
        let numbers: Vec<[u8; 1]> = (0..130).map(|number| [number]).collect();
        let packets = numbers.iter().map(|bytes| Outgoing {
            to,
            bytes,
            traffic_class: 0,
        });
        assert_eq!(
            Sender::new(backend, 64).send(server.as_fd(), packets),
            report(130, 0, 0)
        );
        assert_eq!(arrived(&client, 130), numbers);
    }
}

#[test]
fn a_batch_of_nothing_sends_nothing() {
    for backend in BACKENDS {
        let (server, _) = socket(LOOPBACKS[0]);
        assert_eq!(
            Sender::new(backend, 0).send(server.as_fd(), []),
            report(0, 0, 0)
        );
    }
}

#[test]
fn refused_packets_are_skipped_and_counted() {
    for backend in BACKENDS {
        let ((server, _), (client, to)) = (socket(LOOPBACKS[0]), socket(LOOPBACKS[0]));
        let too_large = vec![0; 65_508];
        let broadcast: SocketAddr = "255.255.255.255:9".parse().unwrap();
        let other_family: SocketAddr = "[::1]:9".parse().unwrap();
        let packets = [
            Outgoing {
                to,
                bytes: &too_large,
                traffic_class: 0,
            },
            Outgoing {
                to,
                bytes: b"first",
                traffic_class: 0,
            },
            Outgoing {
                to: broadcast,
                bytes: b"not allowed",
                traffic_class: 0,
            },
            Outgoing {
                to: other_family,
                bytes: b"not possible",
                traffic_class: 0,
            },
            Outgoing {
                to,
                bytes: b"last",
                traffic_class: 0,
            },
            Outgoing {
                to,
                bytes: &too_large,
                traffic_class: 0,
            },
        ];
        assert_eq!(
            Sender::new(backend, 64).send(server.as_fd(), packets),
            report(2, 0, 4),
            "{backend:?}"
        );
        assert_eq!(arrived(&client, 2), [&b"first"[..], b"last"]);
    }
}

#[test]
fn a_batch_of_refused_packets_ends() {
    for backend in BACKENDS {
        let (server, _) = socket(LOOPBACKS[0]);
        let to: SocketAddr = "[::1]:9".parse().unwrap();
        let packets = (0..5).map(|_| Outgoing {
            to,
            bytes: b"x",
            traffic_class: 0,
        });
        assert_eq!(
            Sender::new(backend, 2).send(server.as_fd(), packets),
            report(0, 0, 5)
        );
    }
}

#[test]
fn a_full_socket_drops_the_rest_without_waiting() {
    // Loopback datagrams never fill a socket's buffer, since they are delivered within the call; a stream that nobody reads
    // does, and answers the same calls.
    for backend in BACKENDS {
        let listener = TcpListener::bind(LOOPBACKS[0]).unwrap();
        let to = listener.local_addr().unwrap();
        let stream = TcpStream::connect(to).unwrap();
        let _unread = listener.accept().unwrap();
        let mut sender = Sender::new(backend, 8);
        let large = vec![0; 60_000];
        let count = 1_000;
        let first = sender.send(
            stream.as_fd(),
            (0..count).map(|_| Outgoing {
                to,
                bytes: &large,
                traffic_class: 0,
            }),
        );
        assert!(first.dropped_full > 0, "{backend:?}");
        assert_eq!(first.sent + first.dropped_full, count);
    }
}

#[test]
fn reports_add_up() {
    let mut sum = report(1, 2, 3);
    sum += report(10, 20, 30);
    assert_eq!(sum, report(11, 22, 33));
}

#[test]
#[cfg(target_os = "linux")]
fn this_kernel_takes_batches() {
    assert_eq!(Backend::detect(), Backend::Batched);
}
