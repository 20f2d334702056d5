//! One session on a server under test: how it is opened, what its packets look like, how it is closed.

use super::client::{Account, Client, Refused, connected_socket};
use super::forwarder;
use super::load::{Exit, Flow};
use super::probe::Probe;
use super::relay::Load;
use super::stream::StreamClient;
use super::target::{Contender, Running};
use anyhow::{Context, Error, Result};
use std::net::{SocketAddr, UdpSocket};
use turn_wire::{HEADROOM, TAILROOM, write_channel_data, write_send_indication};

/// The first channel number (RFC 8656 §12).
const CHANNEL: u16 = 0x4000;

/// Allocation Mismatch (RFC 8656 §19).
const ALLOCATION_MISMATCH: u16 = 437;
const PORTS_TRIED: u32 = 4;

/// How a client's packets are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Channel,
    Indication,
}

/// What a client reaches its server by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Udp,
    Tcp,
    Tls,
}

/// A client with an allocation that may send to one peer.
pub(crate) struct Session {
    client: Side,
    server: SocketAddr,
    peer: SocketAddr,
    pub(crate) relayed: SocketAddr,
    channel: u16,
}

/// What a session is made of underneath.
enum Side {
    Turn(Box<Client>),
    Stream(Box<StreamClient>),
    Forwarded(UdpSocket),
}

impl Session {
    /// Opens one session towards `peer`.
    ///
    /// # Errors
    /// The server does not answer or refuses.
    fn open(server: &Running, load: &Load, peer: SocketAddr) -> Result<Self> {
        if server.contender == Contender::Forwarder {
            let socket = connected_socket(server.listen)?;
            let (channel, relayed) = forwarder::open_session(&socket, peer)?;
            return Ok(Self {
                client: Side::Forwarded(socket),
                server: server.listen,
                peer,
                relayed,
                channel,
            });
        }
        match load.line {
            Line::Udp => Self::open_turn(server.listen, &server.account(), peer, load.framing),
            Line::Tcp => Self::open_stream(server.listen, server, peer, false),
            Line::Tls => Self::open_stream(server.listen_tls, server, peer, true),
        }
    }

    fn open_stream(
        address: SocketAddr,
        server: &Running,
        peer: SocketAddr,
        tls: bool,
    ) -> Result<Self> {
        let mut client = StreamClient::connect(address, &server.account(), tls)?;
        let relayed = client.allocate()?;
        client.bind_channel(CHANNEL, peer)?;
        Ok(Self {
            client: Side::Stream(Box::new(client)),
            server: address,
            peer,
            relayed,
            channel: CHANNEL,
        })
    }

    /// Opens one session on any TURN server.
    ///
    /// # Errors
    /// The server does not answer or refuses.
    pub(crate) fn open_turn(
        server: SocketAddr,
        account: &Account,
        peer: SocketAddr,
        framing: Framing,
    ) -> Result<Self> {
        let mut session = Self::open_unadmitted(server, account)?;
        session.admit(peer, framing)?;
        Ok(session)
    }

    /// Opens a session whose peer is not known yet: [`Session::admit`] names it.
    ///
    /// # Errors
    /// The server does not answer or refuses.
    pub(crate) fn open_unadmitted(server: SocketAddr, account: &Account) -> Result<Self> {
        let (client, relayed) = allocated(server, account)?;
        Ok(Self {
            client: Side::Turn(Box::new(client)),
            server,
            peer: relayed,
            relayed,
            channel: CHANNEL,
        })
    }

    /// Lets the session talk to `peer`, which becomes the one its packets go to.
    ///
    /// # Errors
    /// The server does not answer or refuses.
    pub(crate) fn admit(&mut self, peer: SocketAddr, framing: Framing) -> Result<()> {
        self.peer = peer;
        match (&mut self.client, framing) {
            (Side::Turn(client), Framing::Channel) => client.bind_channel(self.channel, peer),
            (Side::Turn(client), Framing::Indication) => client.permit(peer),
            (Side::Forwarded(_) | Side::Stream(_), _) => Ok(()),
        }
    }

    /// Opens many, one after the other.
    ///
    /// # Errors
    /// One of them fails; the others are closed by the server in time.
    pub(crate) fn open_many(server: &Running, load: &Load, peer: SocketAddr) -> Result<Vec<Self>> {
        let count = load.sessions;
        (0..count)
            .map(|index| {
                Self::open(server, load, peer)
                    .with_context(|| format!("session {} of {count}", index + 1))
            })
            .collect()
    }

    /// The client's socket, where it is one of datagrams.
    pub(crate) fn socket(&self) -> Option<&UdpSocket> {
        match &self.client {
            Side::Turn(client) => Some(&client.socket),
            Side::Forwarded(socket) => Some(socket),
            Side::Stream(_) => None,
        }
    }

    /// Requests that had to be sent again.
    pub(crate) fn retransmissions(&self) -> u64 {
        match &self.client {
            Side::Turn(client) => client.retransmissions,
            Side::Forwarded(_) | Side::Stream(_) => 0,
        }
    }

    /// The direction from the client to its peer.
    pub(crate) fn flow(&self, framing: Framing, payload: usize) -> Flow<'_> {
        let (datagram, probe_at) = framed(framing, self.channel, self.peer, payload);
        Flow {
            exit: match &self.client {
                Side::Turn(client) => Exit::Connected(&client.socket),
                Side::Forwarded(socket) => Exit::Connected(socket),
                Side::Stream(client) => Exit::Stream(client),
            },
            to: self.server,
            datagram,
            probe_at,
            arrives_from: Some(self.relayed),
        }
    }

    /// The direction from the peer, which has this socket, to the client.
    pub(crate) fn flow_back<'a>(&self, peer: &'a UdpSocket, payload: usize) -> Flow<'a> {
        Flow {
            exit: Exit::Socket(peer),
            to: self.relayed,
            datagram: Probe::blank(payload),
            probe_at: 0,
            arrives_from: None,
        }
    }

    /// Gives the allocation back.
    ///
    /// # Errors
    /// The server does not answer.
    pub(crate) fn close(self) -> Result<()> {
        match self.client {
            Side::Turn(mut client) => client.release(),
            // An allocation over a connection ends with it.
            Side::Stream(_) => Ok(()),
            Side::Forwarded(socket) => forwarder::close_session(&socket, self.channel),
        }
    }
}

/// A client with an allocation. A server may remember the last client on a port and answer 437: then another port is
/// the cure (RFC 8656 §7.4).
fn allocated(server: SocketAddr, account: &Account) -> Result<(Client, SocketAddr)> {
    let mut ports_left = PORTS_TRIED;
    loop {
        let mut client = Client::open(server, account)?;
        ports_left -= 1;
        match client.allocate() {
            Ok(answer) => return Ok((client, answer.relayed.context("no relayed address")?)),
            Err(error) if ports_left > 0 && is_mismatch(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

fn is_mismatch(error: &Error) -> bool {
    error
        .downcast_ref::<Refused>()
        .is_some_and(|refused| refused.code == ALLOCATION_MISMATCH)
}

/// Closes all; an allocation that cannot be given back ends by its lifetime, or with the server.
pub(crate) fn close_all(sessions: Vec<Session>) {
    for session in sessions {
        let _ = session.close();
    }
}

/// A datagram with a blank probe inside, and where the probe begins.
fn framed(framing: Framing, channel: u16, peer: SocketAddr, payload: usize) -> (Vec<u8>, usize) {
    let blank = Probe::blank(payload);
    let inside = HEADROOM..HEADROOM + blank.len();
    let mut buffer = [vec![0; HEADROOM], blank, vec![0; TAILROOM]].concat();
    let whole = match framing {
        // On a stream, it would be padded to four bytes (RFC 8656 §12.5): payloads here are multiples of four.
        Framing::Channel => write_channel_data(&mut buffer, inside.clone(), channel, false),
        Framing::Indication => {
            write_send_indication(&mut buffer, inside.clone(), peer, rand::random())
        }
    };
    match whole {
        Some(whole) => (
            buffer.get(whole.clone()).unwrap_or_default().to_vec(),
            inside.start - whole.start,
        ),
        // Only a payload beyond the length field does not fit; the options bound it far below.
        None => (Vec::new(), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::probe::Phase;
    use turn_wire::{Packet, parse, parse_send};

    const PEER: &str = "127.0.0.1:4000";
    const PROBE: Probe = Probe {
        flow: 1,
        sequence: 2,
        sent_ns: 3,
        run: 4,
        phase: Phase::Measured,
    };

    #[test]
    fn a_framed_channel_packet_holds_the_probe() {
        let (mut datagram, at) = framed(Framing::Channel, 0x4001, PEER.parse().unwrap(), 160);
        PROBE.write(&mut datagram[at..]);
        let Ok(Packet::ChannelData(data)) = parse(&datagram) else {
            unreachable!("channel data was framed")
        };
        assert_eq!(data.number, 0x4001);
        assert_eq!(Probe::read(&datagram[data.payload], 160), Some(PROBE));
    }

    #[test]
    fn a_framed_indication_holds_the_probe_and_the_peer() {
        let peer = PEER.parse().unwrap();
        let (mut datagram, at) = framed(Framing::Indication, 0x4001, peer, 160);
        PROBE.write(&mut datagram[at..]);
        let Ok(Packet::Stun(view)) = parse(&datagram) else {
            unreachable!("an indication was framed")
        };
        let send = parse_send(&view).unwrap();
        assert_eq!(send.peer, peer);
        assert_eq!(Probe::read(&datagram[send.data], 160), Some(PROBE));
    }
}
