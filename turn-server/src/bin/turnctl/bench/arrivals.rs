//! Packets coming in on one or many sockets: received in batches, taken out of their TURN framing, echoed where asked.

use anyhow::{Context, Result};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;
use turn_wire::{Packet, parse_data};
use udp_batch::{Arena, Backend};

/// Packets taken from one socket at a time.
const BATCH: usize = 64;

/// A socket on which packets arrive.
pub(crate) struct Receiver<'a> {
    pub(crate) socket: &'a UdpSocket,
    pub(crate) role: Role,
}

/// What is done with what arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A peer's socket: the payload as it is.
    Peer,
    /// A client's socket: ChannelData or Data indications.
    Client,
    /// A peer that sends everything back, to the given relayed addresses only: it must not reflect for strangers.
    Echo(Vec<SocketAddr>),
}

/// One packet at its end.
pub(crate) struct Received<'a> {
    pub(crate) from: SocketAddr,
    pub(crate) payload: &'a [u8],
}

/// All receiving sockets of a run.
pub(crate) struct Arrivals<'a> {
    receivers: Vec<Receiver<'a>>,
    arena: Arena,
    poll: Poll,
    events: Events,
}

impl<'a> Arrivals<'a> {
    /// Watches the sockets, which become non-blocking.
    ///
    /// # Errors
    /// The kernel refuses to watch one.
    pub(crate) fn new(receivers: Vec<Receiver<'a>>) -> Result<Self> {
        let poll = Poll::new().context("cannot create an epoll instance")?;
        for (index, receiver) in receivers.iter().enumerate() {
            receiver.socket.set_nonblocking(true)?;
            poll.registry()
                .register(
                    &mut SourceFd(&receiver.socket.as_raw_fd()),
                    Token(index),
                    Interest::READABLE,
                )
                .context("cannot watch a socket")?;
        }
        let arena = Arena::new(Backend::detect(), BATCH, 0, 0);
        Ok(Self {
            receivers,
            arena,
            poll,
            events: Events::with_capacity(256),
        })
    }

    /// Hands over what has arrived, waiting up to `wait` when there is nothing; returns how many packets came.
    pub(crate) fn poll(&mut self, wait: Duration, mut handle: impl FnMut(Received<'_>)) -> usize {
        // The usual case of one peer needs no readiness: trying is as cheap as asking.
        if let ([receiver], true) = (self.receivers.as_slice(), wait.is_zero()) {
            return take_batch(&mut self.arena, receiver, &mut handle);
        }
        if self.poll.poll(&mut self.events, Some(wait)).is_err() {
            // Interrupted: the caller comes back.
            return 0;
        }
        let mut count = 0;
        for event in &self.events {
            let Some(receiver) = self.receivers.get(event.token().0) else {
                continue;
            };
            // Readiness is told once: the socket is emptied, which a batch that is not full proves.
            loop {
                let came = take_batch(&mut self.arena, receiver, &mut handle);
                count += came;
                if came < BATCH {
                    break;
                }
            }
        }
        count
    }
}

fn take_batch(
    arena: &mut Arena,
    receiver: &Receiver<'_>,
    handle: &mut impl FnMut(Received<'_>),
) -> usize {
    let mut came = arena.receive(receiver.socket.as_fd(), 0, BATCH);
    if came.is_err() {
        // An ICMP message about an earlier packet, now taken off the socket.
        came = arena.receive(receiver.socket.as_fd(), 0, BATCH);
    }
    let came = came.unwrap_or(0);
    let mut packets = 0;
    for index in 0..came {
        for range in arena.datagrams(index) {
            let Some(slot) = arena.slot_mut(index) else {
                continue;
            };
            let Some(datagram) = slot.buf.get(range) else {
                continue;
            };
            take_one(receiver, slot.from, datagram, handle);
            packets += 1;
        }
    }
    packets
}

fn take_one(
    receiver: &Receiver<'_>,
    from: SocketAddr,
    datagram: &[u8],
    handle: &mut impl FnMut(Received<'_>),
) {
    match &receiver.role {
        Role::Peer => handle(Received {
            from,
            payload: datagram,
        }),
        Role::Client => handle(Received {
            from,
            payload: relayed_payload(datagram).unwrap_or_default(),
        }),
        Role::Echo(relayed) => {
            if relayed.contains(&from) {
                // What does not fit the socket's buffer is lost, and shows as loss at the other end.
                let _ = receiver.socket.send_to(datagram, from);
            }
        }
    }
}

/// The payload inside ChannelData or a Data indication.
fn relayed_payload(datagram: &[u8]) -> Option<&[u8]> {
    match turn_wire::parse(datagram).ok()? {
        Packet::ChannelData(data) => datagram.get(data.payload),
        Packet::Stun(view) => datagram.get(parse_data(&view).ok()?.data),
    }
}
