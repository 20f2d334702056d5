//! What an operator sees of sessions, and ends. There may be many, and packets must not wait for them: each call looks at a
//! bounded number of places and says where to go on.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use crate::{
    EndReason, Now, Path, RelayedRecord, SessionId, Traffic, Transport, allocation::Allocation,
    relay::Relay,
};

/// An address, or one port of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// The address.
    pub ip: IpAddr,
    /// The port; `None`: all of them.
    pub port: Option<u16>,
}

impl At {
    fn is(self, ip: IpAddr, port: u16) -> bool {
        self.ip == ip.to_canonical() && self.port.is_none_or(|wanted| wanted == port)
    }

    fn holds(self, address: SocketAddr) -> bool {
        self.is(address.ip(), address.port())
    }
}

/// Which sessions: those for which all that is given is true.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The user, with or without the timestamp of a time-limited name.
    pub user: Option<Box<str>>,
    /// The session.
    pub session: Option<SessionId>,
    /// The client's address.
    pub client: Option<At>,
    /// A relayed address, as it is bound or as the client knows it.
    pub relayed: Option<At>,
    /// A peer that may send to the client.
    pub peer: Option<At>,
    /// The client's transport.
    pub transport: Option<Transport>,
}

impl Selection {
    fn has(&self, held: &Allocation) -> bool {
        let user = |name: &str| *name == *held.username || *name == *held.user;
        self.session.is_none_or(|session| session == held.session)
            && self
                .transport
                .is_none_or(|transport| transport == held.path.transport)
            && self.user.as_deref().is_none_or(user)
            && self.client.is_none_or(|at| at.holds(held.path.client))
            && self.relayed.is_none_or(|at| {
                let mut relays = held.relays.iter();
                relays.any(|relayed| at.holds(relayed.local) || at.holds(relayed.told))
            })
            && self.peer.is_none_or(|at| {
                peers(held).any(|peer| at.is(peer.ip, peer.port.or(at.port).unwrap_or(0)))
            })
    }
}

/// One session, for an operator to look at: nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionView {
    /// Its number.
    pub session: SessionId,
    /// The way to its client.
    pub path: Path,
    /// USERNAME as sent.
    pub username: Box<str>,
    /// The user, without the timestamp of a time-limited name.
    pub user: Box<str>,
    /// The relayed addresses: one, or one of each IP version.
    pub relays: Vec<RelayedRecord>,
    /// Whether it makes TCP connections with peers (RFC 6062).
    pub relays_tcp: bool,
    /// Its peers, in no particular order.
    pub peers: Vec<PeerView>,
    /// How long it has been there.
    pub age: Duration,
    /// What it has relayed.
    pub traffic: Traffic,
}

/// One peer of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerView {
    /// Its address.
    pub ip: IpAddr,
    /// Its port, where the session names one; a permission is for all of them.
    pub port: Option<u16>,
    /// The channel that is bound to it.
    pub channel: Option<u16>,
}

/// What a call has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece<T> {
    /// What was found.
    pub found: Vec<T>,
    /// The place to go on at, unless all have been looked at.
    pub next: Option<u32>,
}

impl Relay {
    /// Describes selected sessions, looking at `most` places from `first` on.
    pub fn list_sessions(
        &self,
        now: Now,
        selection: &Selection,
        first: u32,
        most: u32,
    ) -> Piece<SessionView> {
        let end = first.saturating_add(most);
        let keys = (first..end.min(self.allocations.places()))
            .filter_map(|place| self.allocations.key_at(place));
        let held = keys.filter_map(|key| self.allocations.get(key));
        let selected = held.filter(|held| held.is_active() && selection.has(held));
        Piece {
            found: selected.map(|held| view(held, now.mono)).collect(),
            next: (end < self.allocations.places()).then_some(end),
        }
    }

    /// Ends selected sessions, looking at `most` places from `first` on.
    pub fn end_sessions(
        &mut self,
        now: Now,
        selection: &Selection,
        first: u32,
        most: u32,
    ) -> Piece<SessionId> {
        let end = first.saturating_add(most);
        let mut found = Vec::new();
        for place in first..end.min(self.allocations.places()) {
            let Some(key) = self.allocations.key_at(place) else {
                continue;
            };
            let held = self.allocations.get(key);
            if let Some(held) = held.filter(|held| held.is_active() && selection.has(held)) {
                found.push(held.session);
                self.end(now, key, EndReason::Commanded);
            }
        }
        Piece {
            found,
            next: (end < self.allocations.places()).then_some(end),
        }
    }
}

fn peers(held: &Allocation) -> impl Iterator<Item = PeerView> {
    let channels = held.channels.iter().map(|(number, channel)| PeerView {
        ip: channel.peer.ip().ip(),
        port: Some(channel.peer.socket().port()),
        channel: Some(*number),
    });
    let connections = held.connections.iter().flat_map(|held| held.iter());
    let connections = connections.map(|(peer, _)| PeerView {
        ip: peer.ip().ip(),
        port: Some(peer.socket().port()),
        channel: None,
    });
    // A channel's permission is told by the channel.
    let is_bound = |ip: IpAddr| {
        let mut channels = held.channels.iter();
        channels.any(|(_, channel)| channel.peer.ip().ip() == ip)
    };
    let permissions = held.permissions.iter().map(|(ip, _)| ip.ip());
    let permissions = permissions
        .filter(move |ip| !is_bound(*ip))
        .map(|ip| PeerView {
            ip,
            port: None,
            channel: None,
        });
    channels.chain(connections).chain(permissions)
}

fn view(held: &Allocation, now: Duration) -> SessionView {
    let relays = held.relays.iter().map(|relayed| RelayedRecord {
        local: relayed.local,
        told: relayed.told,
        remaining: relayed.expires_at.saturating_sub(now),
    });
    SessionView {
        session: held.session,
        path: held.path,
        username: held.username.clone(),
        user: held.user.as_ref().into(),
        relays: relays.collect(),
        relays_tcp: !held.is_udp(),
        peers: peers(held).collect(),
        age: now.saturating_sub(held.started_at),
        traffic: held.traffic,
    }
}
