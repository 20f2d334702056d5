//! TCP relaying (RFC 6062): peers' connections in and out, clients' data connections joined to them, and bytes between.

use std::{
    io,
    net::SocketAddr,
    ops::ControlFlow::{Break, Continue},
};

use mio::{Interest, event::Event as Readiness, net::TcpStream};
use turn_proto::{ConnectionId, LinkId, RelayId, Reply, Share};

use super::{
    Served, Worker,
    accepting::{ACCEPT, tune},
};
use crate::{
    bind,
    data::{ClientSide, DataConnection, Half},
    mailbox::Mail,
    source::Source,
};

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// Bytes that count as one packet of a turn's share.
const PACKET: usize = 4096;

/// A stream that is about to become a data connection.
pub(super) struct Leaving {
    client: Box<ClientSide>,
    connection: ConnectionId,
    worker: u16,
}

impl Worker {
    /// Begins to connect to a peer.
    pub(super) fn connect_peer(
        &mut self,
        connection: ConnectionId,
        local: SocketAddr,
        peer: SocketAddr,
    ) {
        if self.try_connect(connection, local, peer).is_err() {
            let failed = Reply::ConnectFailed { connection };
            self.replies.push_back(failed);
        }
    }

    /// Accepts connections of peers.
    pub(super) fn serve_peer_listener(&mut self, relay: RelayId) -> Served {
        for packets in 0..ACCEPT {
            let Some(listener) = self.sockets.peer_listeners.at_mut(relay) else {
                return Served::NOTHING;
            };
            let tried = listener.listener.accept();
            match self.accepted(tried) {
                Continue(Some((socket, from))) => self.admit_peer(relay, socket, from),
                Continue(None) => {}
                Break(()) => {
                    return Served {
                        packets,
                        more: false,
                    };
                }
            }
        }
        Served {
            packets: ACCEPT,
            more: true,
        }
    }

    /// Notes that one half of a connection can be read, written, or both.
    pub(super) fn note_data(&mut self, place: u32, half: Half, event: &Readiness) {
        self.sockets.data.note(place, half, event);
        let held = self.sockets.data.at_mut(place);
        match held {
            Some(connection) if connection.connecting => self.note_connecting(place, event),
            _ => self.sockets.enlist(Source::Data(place, half)),
        }
    }

    /// Moves bytes of a joined connection.
    pub(super) fn serve_data(&mut self, place: u32) -> Served {
        let slot = self.free_slots();
        let (Some(connection), Some(scratch)) =
            (self.sockets.data.at_mut(place), self.arena.buffer_mut(slot))
        else {
            return Served::NOTHING;
        };
        let (id, now) = (connection.id, self.now.mono);
        let shares = self.relay.connection_shares(self.now, id);
        let Ok(turn) = connection.turn(now, scratch, shares) else {
            self.lose_data(id);
            return Served::NOTHING;
        };
        for share in shares {
            if let Share::After(until) = share {
                self.sockets.data.rest(id, until);
            }
        }
        let moved = turn.to_peer + turn.to_client;
        if moved > 0 {
            self.relay
                .on_connection_data(self.now, id, turn.to_peer, turn.to_client);
        }
        if turn.over {
            self.lose_data(id);
        } else if turn.half_closed {
            self.sockets.data.linger(now, id);
        }
        Served {
            packets: moved / PACKET,
            more: turn.more,
        }
    }

    /// Goes on with connections that have waited because of a limit, and closes those whose one direction is at its end while
    /// the other stays silent.
    pub(super) fn serve_silent_data(&mut self) {
        while let Some(place) = self.sockets.data.rested(self.now.mono) {
            self.sockets.enlist(Source::Data(place, Half::Peer));
        }
        while let Some(id) = self.sockets.data.overdue(self.now.mono) {
            self.lose_data(id);
        }
    }

    /// Sends what is queued for a stream and takes it off this worker: it carries no messages from now on.
    pub(super) fn leave(&mut self, link: LinkId, connection: ConnectionId, worker: u16) {
        self.flush();
        let Some(stream) = self.sockets.streams.remove(link) else {
            return;
        };
        let mut client = Box::new(stream.into_client_side());
        let _ = self.poll.registry().deregister(client.bytes.socket_mut());
        self.leaving = Some(Leaving {
            client,
            connection,
            worker,
        });
    }

    /// Hands a stream that has left to the worker that has the peer's half, with what the client has sent already.
    pub(super) fn hand_over(&mut self, leaving: Leaving, ahead: &[u8]) {
        let Leaving {
            mut client,
            connection,
            worker,
        } = leaving;
        client.ahead.push(ahead);
        if worker == self.number {
            self.join(connection, *client);
        } else {
            let mail = Mail::DataConnection { connection, client };
            self.mailboxes.post(worker, mail);
        }
    }

    /// Joins a client's half with a peer's, if that still waits; else the client's is closed.
    pub(super) fn join(&mut self, id: ConnectionId, mut client: ClientSide) {
        if !self.relay.on_join(self.now, id) {
            return;
        }
        let data = &mut self.sockets.data;
        let registry = self.poll.registry();
        let Some(place) = data.place_of(id) else {
            return;
        };
        let token = |half| Source::Data(place, half).token();
        let registered = registry.register(client.bytes.socket_mut(), token(Half::Client), BOTH);
        if let Some(connection) = data.at_mut(place).filter(|_| registered.is_ok()) {
            connection.join(client);
            self.sockets.enlist(Source::Data(place, Half::Client));
        } else {
            self.lose_data(id);
        }
    }

    /// Closes a connection from our side or after its end, and tells the state machine.
    fn lose_data(&mut self, id: ConnectionId) {
        if self.sockets.data.remove(id).is_some() {
            self.relay.on_connection_closed(self.now, id);
            self.serve_actions();
        }
    }

    fn try_connect(
        &mut self,
        id: ConnectionId,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> io::Result<()> {
        if self.sockets.data.is_full() {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let socket = TcpStream::from_std(
            bind::connect_to_peer(local, peer, self.sockets.peer_listeners.device)?.into(),
        );
        self.keep_peer(DataConnection::new(id, socket, true))
    }

    fn admit_peer(&mut self, relay: RelayId, socket: TcpStream, from: SocketAddr) {
        if self.sockets.data.is_full() {
            self.sockets.counters.streams_refused += 1;
            return;
        }
        let admitted = self.relay.on_peer_connection(self.now, relay, from);
        if let Some(id) = admitted
            && self
                .keep_peer(DataConnection::new(id, socket, false))
                .is_err()
        {
            self.relay.on_connection_closed(self.now, id);
        }
        self.serve_actions();
    }

    /// Stores a peer's half and begins to wait for it.
    fn keep_peer(&mut self, mut connection: DataConnection) -> io::Result<()> {
        tune(&connection.peer);
        let place = self.sockets.data.next_place();
        let token = Source::Data(place, Half::Peer).token();
        self.poll
            .registry()
            .register(&mut connection.peer, token, BOTH)?;
        self.sockets.data.insert(connection);
        Ok(())
    }

    /// Looks whether a peer has accepted or refused.
    fn note_connecting(&mut self, place: u32, event: &Readiness) {
        let Some(connection) = self.sockets.data.at_mut(place) else {
            return;
        };
        let id = connection.id;
        let failed = event.is_error() || !matches!(connection.peer.take_error(), Ok(None));
        if failed {
            self.sockets.data.remove(id);
            self.reply(Reply::ConnectFailed { connection: id });
        } else if event.is_writable() && connection.peer.peer_addr().is_ok() {
            connection.connecting = false;
            self.reply(Reply::Connected { connection: id });
        }
    }

    fn reply(&mut self, reply: Reply) {
        self.relay.on_reply(self.now, reply);
        self.serve_actions();
    }
}
