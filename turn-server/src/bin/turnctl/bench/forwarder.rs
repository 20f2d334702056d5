//! The floor: one thread that moves datagrams between sockets and does nothing else a relay must do.
//!
//! It waits, receives a batch, strips or adds the header, sends a batch. It checks no credentials, permissions or lifetimes,
//! so what a server costs above it is the price of being a server. Each session still has a relay socket of its own, since
//! that is what sessions cost the kernel.
//!
//! Sessions are made by a datagram of our own, told apart from TURN by its first byte:
//! ```text
//! open     C0  peer address as text      → C0  channel number, 2 bytes  relayed address as text
//! close    C1  channel number, 2 bytes   → C1  channel number
//! ```
//! Bursts of one flow pass as trains, as far as the system has them. With a rest, it sleeps so long after each turn, and more
//! packets gather meanwhile.
//!
//! Binding requests are sent back with the type of a success: the floor of answering anything at all.

use super::socket;
use anyhow::{Context, Result, bail};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;
use turn_wire::{HEADROOM, TAILROOM, write_channel_data};
use udp_batch::{Arena, Backend, Outgoing, Sender, Trains};

const BATCH: usize = 64;
/// An error is about an earlier packet, and is taken off the socket by being told: the socket may hold more.
const AGAIN: usize = BATCH;
const OPEN: u8 = 0xc0;
const CLOSE: u8 = 0xc1;
const FIRST_CHANNEL: u16 = 0x4000;
const LISTENER: Token = Token(usize::MAX - 1);
const CHANNEL_HEADER: usize = 4;
/// Where the data of a Send indication begins that has an IPv4 peer first and data next, as the generator's have.
const INDICATION_HEADER: usize = 36;

/// Serves until it is killed.
///
/// # Errors
/// The address cannot be bound.
pub(crate) fn serve(listen: SocketAddr, rest: Duration) -> Result<()> {
    let mut forwarder = Forwarder::bind(listen)?;
    loop {
        forwarder.turn(None)?;
        if !rest.is_zero() {
            std::thread::sleep(rest);
        }
    }
}

/// Opens a session; returns its channel number and its relayed address.
///
/// # Errors
/// The forwarder does not answer.
pub(crate) fn open_session(socket: &UdpSocket, peer: SocketAddr) -> Result<(u16, SocketAddr)> {
    let answer = ask(socket, OPEN, peer.to_string().as_bytes())?;
    let (number, relayed) = answer
        .split_first_chunk::<2>()
        .context("the forwarder's answer is too short")?;
    Ok((
        u16::from_be_bytes(*number),
        std::str::from_utf8(relayed)?.parse()?,
    ))
}

/// Closes a session.
///
/// # Errors
/// The forwarder does not answer.
pub(crate) fn close_session(socket: &UdpSocket, channel: u16) -> Result<()> {
    ask(socket, CLOSE, &channel.to_be_bytes()).map(|_| ())
}

fn ask(socket: &UdpSocket, command: u8, body: &[u8]) -> Result<Vec<u8>> {
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    let request: Vec<u8> = std::iter::once(command)
        .chain(body.iter().copied())
        .collect();
    for _ in 0..4 {
        socket.send(&request)?;
        let mut buffer = [0; 2048];
        while let Ok(len) = socket.recv(&mut buffer) {
            if let Some((first, rest)) = buffer.get(..len).and_then(<[u8]>::split_first)
                && *first == command
            {
                return Ok(rest.to_vec());
            }
        }
    }
    bail!("the forwarder does not answer")
}

struct Forwarder {
    poll: Poll,
    events: Events,
    arena: Arena,
    sender: Sender,
    listener: UdpSocket,
    sessions: Vec<Option<Session>>,
    /// Indications carry no channel number.
    by_client: HashMap<SocketAddr, usize>,
    /// Where the packets of the present batch go; kept to allocate nothing per packet.
    hops: Vec<Hop>,
}

struct Session {
    relay: UdpSocket,
    client: SocketAddr,
    peer: SocketAddr,
}

/// Where one packet of a batch goes, its slot, and what of the slot is sent.
struct Hop {
    way: Way,
    slot: usize,
    payload: Range<usize>,
}

#[derive(Clone, Copy)]
enum Way {
    Session(usize),
    Back(SocketAddr),
}

impl Way {
    /// Whether two packets leave by the same socket, and so in one batch.
    fn joins(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Session(one), Self::Session(other)) => one == other,
            (Self::Back(_), Self::Back(_)) => true,
            _ => false,
        }
    }
}

impl Forwarder {
    fn bind(listen: SocketAddr) -> Result<Self> {
        let listener = UdpSocket::bind(listen).with_context(|| format!("cannot bind {listen}"))?;
        socket::prepare(&listener)?;
        socket::take_trains(&listener);
        let poll = Poll::new()?;
        poll.registry().register(
            &mut SourceFd(&listener.as_raw_fd()),
            LISTENER,
            Interest::READABLE,
        )?;
        Ok(Self {
            poll,
            events: Events::with_capacity(256),
            arena: Arena::new(Backend::detect(), BATCH, HEADROOM, TAILROOM),
            sender: Sender::new(Backend::detect(), BATCH),
            listener,
            sessions: Vec::new(),
            by_client: HashMap::new(),
            hops: Vec::with_capacity(BATCH),
        })
    }

    /// Waits for packets and moves all that are there.
    fn turn(&mut self, wait: Option<Duration>) -> Result<()> {
        if let Err(error) = self.poll.poll(&mut self.events, wait) {
            return if error.kind() == io::ErrorKind::Interrupted {
                Ok(())
            } else {
                Err(error.into())
            };
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            // A batch that is not full proves the socket empty.
            while self.move_batch(event.token()) == BATCH {}
        }
        self.events = events;
        Ok(())
    }

    fn move_batch(&mut self, token: Token) -> usize {
        if token == LISTENER {
            self.move_to_peers()
        } else {
            self.move_to_client(token.0)
        }
    }

    fn move_to_peers(&mut self) -> usize {
        let Ok(count) = self.arena.receive(self.listener.as_fd(), 0, BATCH) else {
            return AGAIN;
        };
        let mut hops = std::mem::take(&mut self.hops);
        hops.clear();
        for slot in 0..count {
            for datagram in self.arena.datagrams(slot) {
                match self.hop(slot, datagram) {
                    Some(hop) => hops.push(hop),
                    None => self.answer(slot).unwrap_or_default(),
                }
            }
        }
        for run in hops.chunk_by(|one, next| one.way.joins(&next.way)) {
            self.send(run);
        }
        self.hops = hops;
        count
    }

    /// Sends packets that leave by the same socket as one batch.
    fn send(&mut self, run: &[Hop]) {
        let Self {
            sessions,
            arena,
            sender,
            listener,
            ..
        } = self;
        let session = match run.first().map(|hop| hop.way) {
            Some(Way::Session(index)) => match sessions.get(index) {
                Some(Some(session)) => Some(session),
                _ => return,
            },
            _ => None,
        };
        let packets = run.iter().filter_map(|hop| {
            let to = match hop.way {
                Way::Session(_) => session?.peer,
                Way::Back(client) => client,
            };
            let bytes = arena.bytes(hop.slot, hop.payload.clone())?;
            Some(Outgoing {
                to,
                bytes,
                traffic_class: 0,
            })
        });
        let socket = session.map_or(listener.as_fd(), |session| session.relay.as_fd());
        // What the kernel does not take is lost, as in any relay.
        let _ = sender.send_trains(socket, &mut Trains::default(), packets);
    }

    /// Where a packet from a client goes; `None` when it is neither relayed data nor a Binding request.
    fn hop(&mut self, index: usize, datagram: Range<usize>) -> Option<Hop> {
        let slot = self.arena.slot_mut(index)?;
        let (way, header) = match slot.buf.get_mut(datagram.clone())? {
            [high @ 0x40..=0x7f, low, ..] => {
                let number = u16::from_be_bytes([*high, *low]);
                let session = usize::from(number.checked_sub(FIRST_CHANNEL)?);
                (Way::Session(session), CHANNEL_HEADER)
            }
            [0x00, 0x16, ..] => (
                Way::Session(*self.by_client.get(&slot.from)?),
                INDICATION_HEADER,
            ),
            [class @ 0x00, 0x01, ..] => {
                *class = 0x01;
                (Way::Back(slot.from), 0)
            }
            _ => return None,
        };
        let payload = datagram.start.checked_add(header)?..datagram.end;
        (payload.start <= payload.end).then_some(Hop {
            way,
            slot: index,
            payload,
        })
    }

    fn move_to_client(&mut self, index: usize) -> usize {
        let Some(Some(session)) = self.sessions.get(index) else {
            return 0;
        };
        let client = session.client;
        let Ok(count) = self.arena.receive(session.relay.as_fd(), 0, BATCH) else {
            return AGAIN;
        };
        self.hops.clear();
        for slot in 0..count {
            for datagram in self.arena.move_apart(slot) {
                let framed = self.arena.slot_mut(slot).and_then(|slot| {
                    let channel = FIRST_CHANNEL + u16::try_from(index).ok()?;
                    write_channel_data(slot.buf, datagram, channel, false)
                });
                self.hops.extend(framed.map(|payload| Hop {
                    way: Way::Back(client),
                    slot,
                    payload,
                }));
            }
        }
        let hops = std::mem::take(&mut self.hops);
        self.send(&hops);
        self.hops = hops;
        count
    }

    /// Answers what is not relayed data; anything unknown is ignored.
    fn answer(&mut self, slot: usize) -> Result<()> {
        let Some(slot) = self.arena.slot_mut(slot) else {
            return Ok(());
        };
        let (client, request) = (
            slot.from,
            slot.buf.get(slot.payload).unwrap_or_default().to_vec(),
        );
        let answer = match request.as_slice() {
            [OPEN, peer @ ..] => {
                let (number, relayed) = self.open(client, std::str::from_utf8(peer)?.parse()?)?;
                [
                    &[OPEN],
                    number.to_be_bytes().as_slice(),
                    relayed.to_string().as_bytes(),
                ]
                .concat()
            }
            [CLOSE, high, low] => {
                self.close(client, u16::from_be_bytes([*high, *low]));
                vec![CLOSE]
            }
            _ => return Ok(()),
        };
        self.listener.send_to(&answer, client)?;
        Ok(())
    }

    fn open(&mut self, client: SocketAddr, peer: SocketAddr) -> Result<(u16, SocketAddr)> {
        let relay = UdpSocket::bind((self.listener.local_addr()?.ip(), 0))?;
        socket::prepare(&relay)?;
        socket::take_trains(&relay);
        let index = self
            .sessions
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.sessions.len());
        let number = FIRST_CHANNEL + u16::try_from(index)?;
        let relayed = relay.local_addr()?;
        self.poll.registry().register(
            &mut SourceFd(&relay.as_raw_fd()),
            Token(index),
            Interest::READABLE,
        )?;
        self.by_client.insert(client, index);
        if index == self.sessions.len() {
            self.sessions.push(None);
        }
        if let Some(free) = self.sessions.get_mut(index) {
            *free = Some(Session {
                relay,
                client,
                peer,
            });
        }
        Ok((number, relayed))
    }

    fn close(&mut self, client: SocketAddr, number: u16) {
        self.by_client.remove(&client);
        let index = usize::from(number.saturating_sub(FIRST_CHANNEL));
        if let Some(session) = self.sessions.get_mut(index) {
            // The descriptor leaves the epoll set by being closed.
            *session = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::client::binding_request;

    /// Loopback delivers within the sending call, so nothing here waits.
    const AT_ONCE: Option<Duration> = Some(Duration::from_secs(5));

    fn opened(forwarder: &mut Forwarder, peer: &UdpSocket) -> (UdpSocket, u16, SocketAddr) {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client
            .connect(forwarder.listener.local_addr().unwrap())
            .unwrap();
        let (number, relayed) = forwarder
            .open(client.local_addr().unwrap(), peer.local_addr().unwrap())
            .unwrap();
        (client, number, relayed)
    }

    fn bench() -> (Forwarder, UdpSocket) {
        (
            Forwarder::bind("127.0.0.1:0".parse().unwrap()).unwrap(),
            UdpSocket::bind("127.0.0.1:0").unwrap(),
        )
    }

    fn received(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
        socket.set_read_timeout(AT_ONCE).unwrap();
        let mut buffer = [0; 2048];
        let (len, from) = socket.recv_from(&mut buffer).unwrap();
        (buffer[..len].to_vec(), from)
    }

    #[test]
    fn channel_data_leaves_without_its_header_by_the_sessions_own_socket() {
        let (mut forwarder, peer) = bench();
        let first = opened(&mut forwarder, &peer);
        let second = opened(&mut forwarder, &peer);
        for (client, number, relayed) in [&second, &first] {
            client
                .send(&[number.to_be_bytes().as_slice(), &[0, 4], b"data"].concat())
                .unwrap();
            forwarder.turn(AT_ONCE).unwrap();
            assert_eq!(received(&peer), (b"data".to_vec(), *relayed));
        }
    }

    #[test]
    fn a_batch_of_two_sessions_arrives_whole() {
        let (mut forwarder, peer) = bench();
        let sessions = [opened(&mut forwarder, &peer), opened(&mut forwarder, &peer)];
        for (client, number, _) in &sessions {
            for text in [b"one!", b"two!"] {
                client
                    .send(&[number.to_be_bytes().as_slice(), &[0, 4], text].concat())
                    .unwrap();
            }
        }
        forwarder.turn(AT_ONCE).unwrap();
        let payloads: Vec<_> = (0..4).map(|_| received(&peer).0).collect();
        assert_eq!(payloads, [b"one!", b"two!", b"one!", b"two!"]);
    }

    #[test]
    fn a_peers_packet_arrives_with_the_header() {
        let (mut forwarder, peer) = bench();
        let (client, number, relayed) = opened(&mut forwarder, &peer);
        peer.send_to(b"back", relayed).unwrap();
        forwarder.turn(AT_ONCE).unwrap();
        assert_eq!(
            received(&client).0,
            [number.to_be_bytes().as_slice(), &[0, 4], b"back"].concat()
        );
    }

    #[test]
    fn a_closed_sessions_number_is_used_again() {
        let (mut forwarder, peer) = bench();
        let (client, number, _) = opened(&mut forwarder, &peer);
        forwarder.close(client.local_addr().unwrap(), number);
        assert_eq!(opened(&mut forwarder, &peer).1, number);
    }

    #[test]
    fn a_binding_request_comes_back_as_a_success() {
        let (mut forwarder, _) = bench();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client
            .send_to(
                &binding_request([5; 12]),
                forwarder.listener.local_addr().unwrap(),
            )
            .unwrap();
        forwarder.turn(AT_ONCE).unwrap();
        let mut expected = binding_request([5; 12]);
        expected[0] = 0x01;
        assert_eq!(received(&client).0, expected);
    }
}
