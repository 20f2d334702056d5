//! Trains: what passes the system as one must arrive as if each datagram had gone by itself.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a panic is the report")]

mod support;

use std::{
    net::{SocketAddr, UdpSocket},
    os::fd::AsFd,
};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use support::{BACKENDS, LOOPBACKS, socket};
use udp_batch::{
    Arena, Backend, IpVersion, Outgoing, SendReport, Sender, Trains, may_fragment, take_trains,
    tell_traffic_class,
};

const HEADROOM: usize = 48;
const TAILROOM: usize = 4;
const SLOTS: usize = 64;

/// What a receiver got: each datagram, with its traffic class.
type Arrived = Vec<(Vec<u8>, u8)>;

/// Who receives, and how.
struct Receiver {
    socket: UdpSocket,
    address: SocketAddr,
    arena: Arena,
    moves_apart: bool,
    /// Datagrams or trains that came.
    slots: usize,
}

impl Receiver {
    fn new(on: &str, trains: bool, moves_apart: bool) -> Self {
        let (socket, address) = socket(on);
        let _ = SockRef::from(&socket).set_recv_buffer_size(2 << 20);
        let version = if address.is_ipv4() {
            IpVersion::V4
        } else {
            IpVersion::V6
        };
        tell_traffic_class(socket.as_fd(), version).unwrap();
        if trains {
            take_trains(socket.as_fd()).unwrap();
        }
        Self {
            socket,
            address,
            arena: Arena::new(Backend::Batched, SLOTS, HEADROOM, TAILROOM),
            moves_apart,
            slots: 0,
        }
    }

    fn take_all(&mut self) -> Arrived {
        let mut arrived = Vec::new();
        loop {
            let count = (self.arena.receive(self.socket.as_fd(), 0, SLOTS)).unwrap();
            self.slots += count;
            for index in 0..count {
                let datagrams = if self.moves_apart {
                    self.arena.move_apart(index)
                } else {
                    self.arena.datagrams(index)
                };
                for range in datagrams {
                    arrived.push(self.take(index, range));
                }
            }
            if count < SLOTS {
                return arrived;
            }
        }
    }

    /// Reads a datagram; one that lies apart is written around first, as far as its own room goes.
    fn take(&mut self, index: usize, range: std::ops::Range<usize>) -> (Vec<u8>, u8) {
        let slot = self.arena.slot_mut(index).unwrap();
        if self.moves_apart {
            slot.buf[range.start - HEADROOM..range.start].fill(0xEE);
            slot.buf[range.end..range.end + TAILROOM].fill(0xEE);
        }
        (slot.buf[range].to_vec(), slot.traffic_class)
    }
}

/// Numbers without a pattern that matters here, the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % limit
    }

    fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u64) as usize]
    }
}

/// Runs of equal lengths with others in between, to several places and in several classes.
fn packets(numbers: &mut Numbers, places: usize) -> Vec<(usize, Vec<u8>, u8)> {
    let mut packets = Vec::new();
    let mut bytes = 0;
    while packets.len() < 150 && bytes < 60_000 {
        let (place, class) = (
            numbers.below(places as u64) as usize,
            numbers.one_of(&[0, 0, 0xB8]),
        );
        let (length, run) = (
            numbers.one_of(&[0, 1, 160, 164, 1_200, 1_472, 9_000]),
            1 + numbers.below(12),
        );
        for _ in 0..run {
            let shorter = if numbers.below(8) == 0 {
                numbers.below(length + 1)
            } else {
                0
            };
            let length = (length - shorter) as usize;
            packets.push((place, vec![packets.len() as u8; length], class));
            bytes += length;
        }
    }
    packets
}

#[test]
fn random_runs_arrive_as_if_each_datagram_had_gone_by_itself() {
    for on in LOOPBACKS {
        let (server, _) = socket(on);
        let mut sender = Sender::new(Backend::Batched, 32);
        let mut receivers = [(true, true), (true, false), (false, false)]
            .map(|(trains, apart)| Receiver::new(on, trains, apart));
        let (mut in_slots, mut trains) = (0, Trains::default());
        for seed in 0..300 {
            let packets = packets(&mut Numbers(seed), receivers.len());
            let outgoing = packets.iter().map(|(place, bytes, class)| Outgoing {
                to: receivers[*place].address,
                bytes,
                traffic_class: *class,
            });
            let outgoing: Vec<_> = outgoing.collect();
            let report = sender.send_trains(server.as_fd(), &mut trains, outgoing);
            assert_eq!(report, sent(packets.len()), "seed {seed}");
            for (index, receiver) in receivers.iter_mut().enumerate() {
                let expected = packets.iter().filter(|(place, ..)| *place == index);
                let expected: Arrived = expected
                    .map(|(_, bytes, class)| (bytes.clone(), *class))
                    .collect();
                assert!(
                    receiver.take_all() == expected,
                    "seed {seed}, receiver {index}"
                );
                in_slots += expected.len();
            }
        }
        let slots: usize = receivers.iter().map(|receiver| receiver.slots).sum();
        assert!(
            slots < in_slots * 3 / 4,
            "{slots} for {in_slots}: hardly any train"
        );
    }
}

fn sent(count: usize) -> SendReport {
    SendReport {
        sent: count,
        ..SendReport::default()
    }
}

fn run(to: SocketAddr, payloads: &[Vec<u8>]) -> Vec<Outgoing<'_>> {
    let outgoing = |bytes| Outgoing {
        to,
        bytes,
        traffic_class: 0,
    };
    payloads.iter().map(|bytes| outgoing(&bytes[..])).collect()
}

fn payloads(count: usize, length: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| vec![number as u8; length])
        .collect()
}

fn bytes_of(arrived: Arrived) -> Vec<Vec<u8>> {
    arrived.into_iter().map(|(bytes, _)| bytes).collect()
}

#[test]
fn eight_of_one_length_and_a_shorter_one_are_one_train_and_an_empty_one_ends_it() {
    let (server, _) = socket(LOOPBACKS[0]);
    let mut receiver = Receiver::new(LOOPBACKS[0], true, true);
    let mut all = payloads(8, 1_200);
    all.extend([vec![8; 700], vec![9; 1_200], Vec::new(), vec![11; 1_200]]);
    let mut sender = Sender::new(Backend::Batched, 16);
    let report = sender.send_trains(
        server.as_fd(),
        &mut Trains::default(),
        run(receiver.address, &all),
    );
    assert_eq!(report, sent(12));
    assert!(bytes_of(receiver.take_all()) == all);
    assert_eq!(receiver.slots, 4, "nine, one, the empty one, one");
}

#[test]
fn no_train_is_longer_than_the_kernel_takes() {
    // 64 datagrams by number; 65,507 bytes by length: 54 of 1,200.
    for (length, trains) in [(10, 4), (1_200, 4), (40_000, 200)] {
        let (server, _) = socket(LOOPBACKS[0]);
        let mut receiver = Receiver::new(LOOPBACKS[0], true, false);
        let all = payloads(if length == 40_000 { 4 } else { 200 }, length);
        let mut sender = Sender::new(Backend::Batched, 512);
        let report = sender.send_trains(
            server.as_fd(),
            &mut Trains::default(),
            run(receiver.address, &all),
        );
        assert_eq!(report, sent(all.len()));
        assert!(bytes_of(receiver.take_all()) == all, "{length}");
        assert_eq!(receiver.slots, trains.min(all.len()), "{length}");
    }
}

#[test]
fn a_train_that_is_refused_goes_apart() {
    // Sockets that write no checksums send no trains (EINVAL).
    let (server, _) = socket(LOOPBACKS[0]);
    let option: libc::c_int = 1;
    // SAFETY: the value is an integer that lives through the call, and its length is stated.
    let result = unsafe {
        libc::setsockopt(
            std::os::fd::AsRawFd::as_raw_fd(&server),
            libc::SOL_SOCKET,
            libc::SO_NO_CHECK,
            (&raw const option).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    assert_eq!(result, 0);
    let mut receiver = Receiver::new(LOOPBACKS[0], true, true);
    let all = payloads(20, 160);
    let mut sender = Sender::new(Backend::Batched, 4);
    let mut trains = Trains::default();
    for _ in 0..2 {
        let report = sender.send_trains(server.as_fd(), &mut trains, run(receiver.address, &all));
        assert_eq!(report, sent(20));
        assert!(bytes_of(receiver.take_all()) == all);
    }
    assert!(trains.may_leave(), "another size or way may be taken");
}

#[test]
fn a_socket_whose_way_out_takes_no_trains_is_offered_none_again() {
    // UDP-Lite stands for a way out that cannot complete checksums (EIO).
    let lite = || {
        let protocol = Some(Protocol::from(libc::IPPROTO_UDPLITE));
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, protocol).unwrap();
        let any: SocketAddr = LOOPBACKS[0].parse().unwrap();
        socket.bind(&any.into()).unwrap();
        UdpSocket::from(socket)
    };
    let (server, client) = (lite(), lite());
    let to = client.local_addr().unwrap();
    let mut arena = Arena::new(Backend::Batched, SLOTS, 0, 0);
    let all = payloads(20, 160);
    let mut sender = Sender::new(Backend::Batched, 32);
    let mut trains = Trains::default();
    for _ in 0..2 {
        let report = sender.send_trains(server.as_fd(), &mut trains, run(to, &all));
        assert_eq!(report, sent(20));
        assert_eq!(arena.receive(client.as_fd(), 0, SLOTS).unwrap(), 20);
        assert!(!trains.may_leave());
    }
}

#[test]
fn a_train_that_may_not_be_sent_fails_as_its_datagrams_would() {
    let (server, _) = socket(LOOPBACKS[0]);
    may_fragment(server.as_fd(), IpVersion::V4, false).unwrap();
    let broadcast: SocketAddr = "255.255.255.255:9".parse().unwrap();
    let all = payloads(5, 100);
    let mut sender = Sender::new(Backend::Batched, 8);
    let mut trains = Trains::default();
    let report = sender.send_trains(server.as_fd(), &mut trains, run(broadcast, &all));
    let failed = SendReport {
        failed: 5,
        ..SendReport::default()
    };
    assert_eq!(report, failed);
    assert!(trains.may_leave());
}

#[test]
fn without_asking_for_trains_and_without_batches_each_datagram_goes_alone() {
    for backend in BACKENDS {
        let (server, _) = socket(LOOPBACKS[0]);
        let mut receiver = Receiver::new(LOOPBACKS[0], true, false);
        let all = payloads(8, 160);
        let (mut sender, packets) = (Sender::new(backend, 8), run(receiver.address, &all));
        let report = match backend {
            Backend::Batched => sender.send(server.as_fd(), packets),
            Backend::Plain => sender.send_trains(server.as_fd(), &mut Trains::default(), packets),
        };
        assert_eq!(report, sent(8));
        assert!(bytes_of(receiver.take_all()) == all);
        assert_eq!(receiver.slots, 8);
    }
}
