//! Sessions, from the workers' words to those of the protocol, and selections back.

use std::sync::Arc;

use turn_proto::{At, PeerView, Piece, Selection, SessionId, SessionView};

use super::{
    answer::{Count, Peer, Relayed, Session, Traffic},
    protocol::{Address, Transport, Which},
};
use crate::{
    Server,
    server::{Drive, lock},
};

impl Server {
    /// How many workers there are, failed ones included; none over conns.
    pub(crate) fn workers(&self) -> usize {
        match &self.drive {
            Drive::Workers(workers) => lock(workers).as_ref().map_or(0, turn_io::Workers::count),
            Drive::Conns(_) => 0,
        }
    }

    /// Describes some of the selected sessions of a worker; it says where to go on.
    pub(crate) fn list_sessions(
        &self,
        worker: usize,
        selection: &Arc<Selection>,
        first: u32,
    ) -> Option<Piece<SessionView>> {
        let Drive::Workers(workers) = &self.drive else {
            return None;
        };
        lock(workers).as_ref()?.list(worker, selection, first)
    }

    /// Ends some of the selected sessions of a worker; it says where to go on.
    pub(crate) fn end_sessions(
        &self,
        worker: usize,
        selection: &Arc<Selection>,
        first: u32,
    ) -> Option<Piece<SessionId>> {
        let Drive::Workers(workers) = &self.drive else {
            return None;
        };
        lock(workers).as_ref()?.end(worker, selection, first)
    }
}

impl Which {
    /// Whether it names somebody. Transports are too many to be meant.
    pub(super) fn names_somebody(&self) -> bool {
        self.user.is_some()
            || self.id.is_some()
            || self.client.is_some()
            || self.relayed.is_some()
            || self.peer.is_some()
    }

    /// The same for workers.
    pub(super) fn selection(&self) -> Result<Selection, String> {
        let number = |id: &String| {
            let number = id.parse().map(SessionId);
            number.map_err(|_| format!("{id:?} is no session's number"))
        };
        let at = |address: Address| At {
            ip: address.ip,
            port: address.port,
        };
        Ok(Selection {
            user: self.user.as_deref().map(Box::from),
            session: self.id.as_ref().map(number).transpose()?,
            client: self.client.map(at),
            relayed: self.relayed.map(at),
            peer: self.peer.map(at),
            transport: self.transport.map(proto_transport),
        })
    }
}

fn proto_transport(transport: Transport) -> turn_proto::Transport {
    match transport {
        Transport::Udp => turn_proto::Transport::Udp,
        Transport::Tcp => turn_proto::Transport::Tcp,
        Transport::Tls => turn_proto::Transport::Tls,
        Transport::Dtls => turn_proto::Transport::Dtls,
    }
}

fn transport_of(transport: turn_proto::Transport) -> Transport {
    match transport {
        turn_proto::Transport::Udp => Transport::Udp,
        turn_proto::Transport::Tcp => Transport::Tcp,
        turn_proto::Transport::Tls => Transport::Tls,
        turn_proto::Transport::Dtls => Transport::Dtls,
    }
}

/// One session in the words of the protocol.
pub(super) fn session(view: &SessionView) -> Session {
    let relayed = view.relays.iter().map(|relayed| Relayed {
        local: relayed.local,
        advertised: relayed.told,
        expires_in: relayed.remaining.as_secs(),
    });
    Session {
        id: view.session.to_string(),
        user: view.user.to_string(),
        username: view.username.to_string(),
        transport: transport_of(view.path.transport),
        client: view.path.client,
        server: view.path.server,
        relay_transport: if view.relays_tcp {
            Transport::Tcp
        } else {
            Transport::Udp
        },
        relayed: relayed.collect(),
        peers: view.peers.iter().map(peer).collect(),
        age: view.age.as_secs(),
        traffic: traffic(&view.traffic),
    }
}

fn peer(view: &PeerView) -> Peer {
    Peer {
        address: Address {
            ip: view.ip,
            port: view.port,
        },
        channel: view.channel,
    }
}

/// Traffic in the words of the protocol.
pub(super) fn traffic(counted: &turn_proto::Traffic) -> Traffic {
    let count = |packets, bytes| Count { packets, bytes };
    Traffic {
        from_client: count(
            counted.client_received_packets,
            counted.client_received_bytes,
        ),
        to_client: count(counted.client_sent_packets, counted.client_sent_bytes),
        from_peers: count(counted.peer_received_packets, counted.peer_received_bytes),
        to_peers: count(counted.peer_sent_packets, counted.peer_sent_bytes),
    }
}
