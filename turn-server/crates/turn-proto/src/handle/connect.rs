//! Connect (RFC 6062 §5.2): opens a TCP connection from the relayed address to a peer.

use std::sync::Arc;

use turn_wire::{MessageView, Method, Request};

use crate::{
    Action, ConnectionId, Event, Now, PeerAddr, RelayId,
    auth::Requester,
    connections::{Owner, PeerConnection, Phase},
    reject::Reject,
    relay::Relay,
    relayed::Version,
    respond::{Done, method_name},
    slab::Key,
    timers::Due,
};

impl Relay {
    /// Answers a Connect request.
    pub(crate) fn connect(
        &mut self,
        now: Now,
        view: &MessageView<'_>,
        request: &Request,
        requester: &Requester,
    ) -> Result<Done, Reject> {
        // First check: there is an allocation, and one that makes connections.
        let key = self.own_allocation(requester)?;
        if (self.allocations.get(key)).is_none_or(|allocation| allocation.is_udp()) {
            return Err(Reject::AllocationMismatch);
        }
        let named = request.peer()?.filter(|peer| peer.port() != 0);
        let reachable = self.reachable(key, named.ok_or(Reject::BadRequest)?)?;
        let peer = reachable.peer;
        // The same peer twice: being connected, waiting, or in use.
        let allocation = self.allocations.get(key);
        let connections = allocation.and_then(|allocation| allocation.connections.as_ref());
        if connections.is_some_and(|held| held.get(&peer).is_some()) {
            return Err(Reject::ConnectionExists);
        }
        // Local policy: that of datagrams, and the port at once, for no packet asks again.
        if !self.admits(reachable.to, reachable.standing) {
            return Err(Reject::Forbidden(crate::PeerDenied::Own));
        }
        let phase = Phase::Connecting {
            asked_by: view.transaction_id(),
            fingerprint: self.wants_fingerprint(view),
        };
        let patience = self.config.lifetimes.connect;
        let connection = self.begin_connection(now, key, peer, phase, patience);
        let connection = connection.ok_or(Reject::InsufficientCapacity)?;
        let version = Version::of(peer.ip().ip());
        let allocation = self.allocations.get(key);
        if let Some(relayed) = allocation.and_then(|held| held.relays.of(version)) {
            let local = relayed.local;
            self.act(Action::Connect {
                connection,
                relay: RelayId::new(key, version),
                local,
                peer: reachable.to.socket(),
            });
        }
        Ok(Done::Later)
    }

    /// The peer has answered: the client is told the connection's name, and has some time to bind it.
    pub(crate) fn connected(&mut self, now: Now, id: ConnectionId) {
        let Some((key, asked_by, fingerprint)) = self.being_connected(id) else {
            return;
        };
        self.await_client(now, id);
        let Some(allocation) = self.allocations.get(key) else {
            return;
        };
        let mut answer = self
            .responder
            .success(Method::CONNECT, asked_by)
            .connection_id(id.0);
        if let Some(software) = &self.config.software {
            answer = answer.software(software);
        }
        let bytes = answer.finish(allocation.integrity(), fingerprint).to_vec();
        let (path, session) = (allocation.path, allocation.session);
        let user = Arc::clone(&allocation.user);
        self.stats.successes += 1;
        self.act(Action::Send { path, bytes });
        if self.config.reported.peers {
            self.act(Action::Event(Event::Served {
                session: Some(session),
                path,
                user,
                method: method_name(Method::CONNECT),
            }));
        }
    }

    /// The peer has refused, or has not answered in time: 447.
    pub(crate) fn connect_failed(&mut self, id: ConnectionId) {
        let Some((key, asked_by, fingerprint)) = self.being_connected(id) else {
            return;
        };
        self.forget_connection(id);
        let reject = Reject::ConnectFailed;
        self.count(&reject);
        let reason = self.reason(&reject);
        let Some(allocation) = self.allocations.get(key) else {
            return;
        };
        let answer = self
            .responder
            .error(Method::CONNECT, asked_by, reject.code(), reason);
        let bytes = answer.finish(allocation.integrity(), fingerprint).to_vec();
        let path = allocation.path;
        self.act(Action::Send { path, bytes });
    }

    /// Enters a connection into all tables; `None` when the allocation has as many as it may have.
    pub(crate) fn begin_connection(
        &mut self,
        now: Now,
        key: Key,
        peer: PeerAddr,
        phase: Phase,
        patience: std::time::Duration,
    ) -> Option<ConnectionId> {
        let allocation = self.allocations.get_mut(key)?;
        let connections = allocation.connections.as_mut()?;
        if connections.len() >= self.config.limits.connections {
            return None;
        }
        let owner = Owner {
            username: allocation.username.clone(),
            user: allocation.user.clone(),
            key: allocation.key.clone(),
        };
        let rng = &mut self.rng;
        let names = &self.shared.connections;
        let name = names.claim(self.worker, owner, || rng.next_u32());
        let (id, expires_at) = (name.id, now.mono + patience);
        connections.insert(peer, id);
        let connection = PeerConnection {
            allocation: key,
            phase,
            expires_at,
            name,
        };
        self.connections.insert(id, connection);
        self.stats.peer_connections += 1;
        self.timers.arm(expires_at, Due::Connection(id));
        Some(id)
    }

    fn being_connected(&self, id: ConnectionId) -> Option<(Key, turn_wire::TransactionId, bool)> {
        let connection = self.connections.get(&id)?;
        let Phase::Connecting {
            asked_by,
            fingerprint,
        } = connection.phase
        else {
            return None;
        };
        Some((connection.allocation, asked_by, fingerprint))
    }
}
