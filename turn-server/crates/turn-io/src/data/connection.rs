//! A connection with a peer, and the client's half of it once that has come.

use std::{io, time::Duration};

use mio::net::TcpStream;
use turn_proto::{ConnectionId, ConnectionTicket, Share};

use super::pump::Pump;
use crate::streams::{Backlog, Bytes};

/// A client's data connection: what is left of a stream that carries no messages any more.
pub(crate) struct ClientSide {
    pub(crate) bytes: Bytes,
    /// What the client has not taken yet, the answer to its ConnectionBind among it.
    pub(crate) unsent: Backlog,
    /// What the client has sent behind its ConnectionBind.
    pub(crate) ahead: Backlog,
    /// Its place among the connections that its network may have.
    pub(crate) ticket: Option<ConnectionTicket>,
}

/// A connection with a peer.
pub(crate) struct DataConnection {
    pub(crate) id: ConnectionId,
    /// Whether it stands on the list of ready sources.
    pub(crate) ready: bool,
    /// Whether the peer has not accepted yet.
    pub(crate) connecting: bool,
    pub(crate) peer: TcpStream,
    pub(crate) client: Option<Bytes>,
    /// Kept as long as the client's half.
    ticket: Option<ConnectionTicket>,
    pub(crate) to_peer: Pump,
    pub(crate) to_client: Pump,
    /// When it is looked at again, if it waits because of a limit.
    pub(super) rests_until: Option<Duration>,
    /// When bytes have last passed.
    pub(crate) moved_at: Duration,
    /// Whether one direction is at its end, which is noted once.
    pub(crate) half_closed: bool,
}

/// What a turn of a connection has come to.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// Bytes from the client.
    pub(crate) to_peer: usize,
    /// Bytes from the peer.
    pub(crate) to_client: usize,
    /// Whether there is more to do at once.
    pub(crate) more: bool,
    /// Whether both directions are at their end.
    pub(crate) over: bool,
    /// Whether one direction has just come to its end.
    pub(crate) half_closed: bool,
}

impl DataConnection {
    pub(crate) fn new(id: ConnectionId, peer: TcpStream, connecting: bool) -> Self {
        Self {
            id,
            ready: false,
            connecting,
            peer,
            client: None,
            ticket: None,
            to_peer: Pump::default(),
            to_client: Pump::default(),
            rests_until: None,
            moved_at: Duration::ZERO,
            half_closed: false,
        }
    }

    /// Takes the client's half.
    pub(crate) fn join(&mut self, client: ClientSide) {
        self.to_peer = Pump::with_backlog(client.ahead);
        self.to_client = Pump::with_backlog(client.unsent);
        self.client = Some(client.bytes);
        self.ticket = client.ticket;
    }

    /// Moves what can be moved, at most one read of each side, and no more than may pass to the peer and to the client.
    ///
    /// # Errors
    /// When either side is broken.
    pub(crate) fn turn(
        &mut self,
        now: Duration,
        scratch: &mut [u8],
        shares: [Share; 2],
    ) -> io::Result<Turn> {
        let Some(client) = &mut self.client else {
            return Ok(Turn::default());
        };
        client.flush()?;
        let [most_to_peer, most_to_client] = shares.map(|share| match share {
            Share::Bytes(most) => most,
            Share::After(_) => 0,
        });
        let (to_peer, to_client) = (&mut self.to_peer, &mut self.to_client);
        let to_peer = to_peer.step(client, &mut self.peer, scratch, most_to_peer)?;
        let to_client = to_client.step(&mut self.peer, client, scratch, most_to_client)?;
        if to_peer.moved + to_client.moved > 0 {
            self.moved_at = now;
        }
        let ends = (self.to_peer.is_finished(), self.to_client.is_finished());
        let half_closed = (ends.0 || ends.1) && !self.half_closed;
        self.half_closed |= half_closed;
        Ok(Turn {
            to_peer: to_peer.moved,
            to_client: to_client.moved,
            more: to_peer.more || to_client.more,
            over: ends.0 && ends.1,
            half_closed,
        })
    }
}
