//! Connections from peers (RFC 6062 §5.3), the bytes on joined ones, and the ends of all (§5.5).

use std::{net::SocketAddr, time::Duration};

use turn_wire::Method;

use crate::{
    Action, ConnectionId, Now, PeerAddr, RelayId, connections::Phase, external, meter::Direction,
    relay::Relay, slab::Key, timers::Due,
};

/// How much of one direction of a stream may pass, where the operator limits rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// At most so many bytes, then it is to be asked again.
    Bytes(usize),
    /// Nothing before this monotonic time.
    After(Duration),
}

impl Relay {
    /// Takes a connection that a peer has made to a relayed address. `None`: it is to be closed at once, for the peer has no
    /// permission.
    pub fn on_peer_connection(
        &mut self,
        now: Now,
        relay: RelayId,
        from: SocketAddr,
    ) -> Option<ConnectionId> {
        let connection = self.announce(now, relay, from);
        if connection.is_none() {
            self.stats.dropped_peer += 1;
        }
        connection
    }

    /// How much of a joined connection may pass now, to the peer and to the client.
    pub fn connection_shares(&mut self, now: Now, connection: ConnectionId) -> [Share; 2] {
        let held = self.connections.get(&connection);
        let allocation = held.and_then(|held| self.allocations.get(held.allocation));
        let Some(meter) = allocation.and_then(|held| held.meter.as_ref()) else {
            return [Share::Bytes(usize::MAX); 2];
        };
        let caps = &self.config.guard.caps;
        [Direction::ToPeer, Direction::ToClient].map(|direction| {
            match meter.share(caps, now.mono, direction) {
                Ok(bytes) => Share::Bytes(bytes),
                Err(wait) => {
                    self.stats.limits.count(wait.capped);
                    Share::After(wait.until)
                }
            }
        })
    }

    /// Takes the news that bytes have passed a joined connection.
    pub fn on_connection_data(
        &mut self,
        now: Now,
        connection: ConnectionId,
        to_peer: usize,
        to_client: usize,
    ) {
        let held = self.connections.get(&connection);
        let mut allocation = held.and_then(|held| self.allocations.get_mut(held.allocation));
        let caps = &self.config.guard.caps;
        let ways = [
            (Direction::ToPeer, to_peer),
            (Direction::ToClient, to_client),
        ];
        for (direction, bytes) in ways.into_iter().filter(|(_, bytes)| *bytes > 0) {
            if let Some(allocation) = &mut allocation {
                if let Some(meter) = &allocation.meter {
                    meter.charge(caps, now.mono, direction, bytes);
                }
                allocation.traffic.add(direction, bytes, bytes);
            }
            self.stats.traffic.add(direction, bytes, bytes);
        }
    }

    /// Takes the news that a connection has ended, from either side.
    pub fn on_connection_closed(&mut self, _now: Now, connection: ConnectionId) {
        self.forget_connection(connection);
    }

    /// Tells the client of a peer that has come.
    fn announce(&mut self, now: Now, relay: RelayId, from: SocketAddr) -> Option<ConnectionId> {
        let from = PeerAddr::of(from)?;
        let from = external::outside(&self.config.externals, &self.shared.ports, from);
        let key = self.allocations.key_at(relay.index())?;
        let allocation = self.allocations.get(key)?;
        allocation.relays.of(relay.version())?;
        if !allocation.is_active() {
            return None;
        }
        let path = allocation.path;
        // A connection to this very address that is being made ends in this one, if both sides begin at the same moment.
        let connections = allocation.connections.as_ref()?;
        if connections.get(&from).is_some() {
            return None;
        }
        allocation.permission(from.ip(), now.mono)?;
        let patience = self.config.lifetimes.connection_bind;
        let connection = self.begin_connection(now, key, from, Phase::Waiting, patience)?;
        self.await_client(now, connection);
        let mut id = turn_wire::TransactionId::default();
        self.rng.fill_bytes(&mut id);
        let indication = self
            .responder
            .indication(Method::CONNECTION_ATTEMPT, id)
            .xor_peer_address(from.socket())
            .connection_id(connection.0);
        let bytes = indication
            .finish(None, self.config.always_fingerprint)
            .to_vec();
        self.act(Action::Send { path, bytes });
        Some(connection)
    }

    /// The connection is there: its client has some time to bind it.
    pub(crate) fn await_client(&mut self, now: Now, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.phase = Phase::Waiting;
        connection.expires_at = now.mono + self.config.lifetimes.connection_bind;
        connection.name.await_client();
        self.timers.arm(connection.expires_at, Due::Connection(id));
    }

    /// A connection's time is over, unless it has been bound.
    pub(crate) fn look_after_connection(&mut self, now: Now, id: ConnectionId) {
        let held = self.connections.get(&id);
        let Some(held) = held.filter(|held| held.expires_at <= now.mono) else {
            return;
        };
        match held.phase {
            Phase::Joined => return,
            Phase::Connecting { .. } => self.connect_failed(id),
            Phase::Waiting => self.forget_connection(id),
        }
        self.act(Action::Disconnect { connection: id });
    }

    /// Closes the connections of an allocation with some of its peers, or with all as it ends (§5.5).
    pub(crate) fn disconnect(&mut self, key: Key, with: impl Fn(&Self, PeerAddr) -> bool) {
        let allocation = self.allocations.get(key);
        let Some(held) = allocation.and_then(|held| held.connections.as_ref()) else {
            return;
        };
        let chosen = held.iter().filter(|(peer, _)| with(self, *peer));
        let chosen: Vec<ConnectionId> = chosen.map(|(_, connection)| *connection).collect();
        for connection in chosen {
            self.forget_connection(connection);
            self.act(Action::Disconnect { connection });
        }
    }

    pub(crate) fn forget_connection(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        self.stats.peer_connections -= 1;
        if let Some(allocation) = self.allocations.get_mut(connection.allocation)
            && let Some(connections) = &mut allocation.connections
        {
            connections.retain(|_, held| *held != id);
        }
    }
}
