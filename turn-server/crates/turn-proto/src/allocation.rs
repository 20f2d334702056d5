//! One allocation: what it may do, to whom, and until when. Nothing here decides; the handlers do.

use std::{mem, sync::Arc, time::Duration};

use turn_wire::{IntegrityKey, TransactionId};

use crate::{
    ConnectionId, Path, PeerAddr, PeerIp, PortClaim, RelayId, SessionId, Traffic,
    icmp::Told,
    meter::Meter,
    mobility::Mobility,
    peers::Standing,
    ports::Want,
    quota::Ticket,
    relayed::{Lacking, RelayedAddresses, Version},
    session_key::SessionKey,
    slab::Key,
    sorted_map::SortedMap,
};

/// One allocation (RFC 8656 §3.2).
pub(crate) struct Allocation {
    pub(crate) session: SessionId,
    pub(crate) path: Path,
    /// USERNAME as sent; every later request carries the same (RFC 8656 §5).
    pub(crate) username: Box<str>,
    /// Whose it is: the user without a timestamp.
    pub(crate) user: Arc<str>,
    /// `None` without authentication.
    pub(crate) key: Option<SessionKey>,
    /// When the credential that made it expires (seconds since 1970), if it does.
    pub(crate) credential_until: Option<u64>,
    /// When it was asked for.
    pub(crate) started_at: Duration,
    pub(crate) phase: Phase,
    pub(crate) relays: RelayedAddresses,
    /// Counts against the quota as long as the allocation lives.
    pub(crate) ticket: Ticket,
    /// How fast it may relay; `None` where no rate is limited.
    pub(crate) meter: Option<Box<Meter>>,
    /// When the timers will look at this allocation next, at the latest.
    pub(crate) wake_at: Duration,
    pub(crate) permissions: SortedMap<PeerIp, Permission>,
    pub(crate) channels: SortedMap<u16, Channel>,
    /// The channel of a peer: the same bindings by the other key.
    pub(crate) numbers: SortedMap<PeerAddr, u16>,
    /// The connections by peer, of an allocation that relays TCP (RFC 6062).
    pub(crate) connections: Option<SortedMap<PeerAddr, ConnectionId>>,
    /// What a client needs that moves (RFC 8016), if it has asked for it.
    pub(crate) mobility: Option<Box<Mobility>>,
    /// The transaction that made it, for retransmissions.
    pub(crate) created_by: TransactionId,
    pub(crate) created_reply: Box<[u8]>,
    pub(crate) traffic: Traffic,
    /// ICMP errors that the client was told.
    pub(crate) told: Told,
}

/// How far an allocation has come.
#[derive(Debug)]
pub(crate) enum Phase {
    /// The relay sockets are being bound.
    Binding(Binding),
    /// Packets flow.
    Active,
}

impl Phase {
    pub(crate) fn binding(&mut self) -> Option<&mut Binding> {
        match self {
            Self::Active => None,
            Self::Binding(binding) => Some(binding),
        }
    }
}

/// What is needed to answer the Allocate request once the sockets are bound.
#[derive(Debug)]
pub(crate) struct Binding {
    /// Whether the client has asked for a ticket (RFC 8016).
    pub(crate) mobile: bool,
    /// How many binds are not answered yet.
    pub(crate) waiting: usize,
    pub(crate) lifetime: Duration,
    /// Which other ports may be tried when other programs hold this one; none if it was reserved.
    pub(crate) may_move: Option<Want>,
    /// Ports that other programs hold, kept so that none is tried twice.
    pub(crate) tried: Vec<PortClaim>,
    /// The port to be reserved, and its place in the quota.
    pub(crate) next: Option<(PortClaim, Ticket)>,
    /// The half of a dual allocation that could not be had, and why.
    pub(crate) lacking: Option<Lacking>,
    pub(crate) fingerprint: bool,
}

/// A permission for an IP address (RFC 8656 §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Permission {
    pub(crate) expires_at: Duration,
    pub(crate) standing: Standing,
}

/// A channel binding (RFC 8656 §12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Channel {
    /// As the client named it.
    pub(crate) peer: PeerAddr,
    /// Where packets really go.
    pub(crate) to: PeerAddr,
    pub(crate) expires_at: Duration,
    pub(crate) standing: Standing,
}

impl Allocation {
    /// What answers to its client are signed with.
    pub(crate) fn integrity(&self) -> Option<&IntegrityKey> {
        self.key.as_ref().map(|key| &key.ready)
    }

    /// What is still being bound, if anything is.
    pub(crate) fn binding(&mut self) -> Option<&mut Binding> {
        self.phase.binding()
    }

    /// Packets flow from now on. Gives what was needed to get so far; `None` when they have been flowing.
    pub(crate) fn begin(&mut self) -> Option<Binding> {
        match mem::replace(&mut self.phase, Phase::Active) {
            Phase::Active => None,
            Phase::Binding(binding) => Some(binding),
        }
    }

    /// The relay socket that reaches a peer.
    #[inline]
    pub(crate) fn relay(&self, key: Key, peer: PeerAddr) -> Option<RelayId> {
        let version = Version::of(peer.ip().ip());
        let shared = self.relays.of(version)?.claim.place();
        Some(shared.map_or_else(|| RelayId::new(key, version), RelayId::shared))
    }

    /// The relay socket of a version that this allocation has for itself.
    pub(crate) fn own_socket(&self, key: Key, version: Version) -> Option<RelayId> {
        let own = self.relays.of(version)?.claim.place().is_none();
        own.then(|| RelayId::new(key, version))
    }

    #[inline]
    pub(crate) fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Active)
    }

    /// Whether it relays datagrams: Send, Data and channels.
    #[inline]
    pub(crate) fn is_udp(&self) -> bool {
        self.connections.is_none()
    }

    /// The binding of a channel, while it lasts.
    #[inline]
    pub(crate) fn channel(&self, number: u16, now: Duration) -> Option<Channel> {
        self.channels
            .get(&number)
            .copied()
            .filter(|channel| channel.expires_at > now)
    }

    /// The channel that is bound to a peer, while it lasts.
    #[inline]
    pub(crate) fn channel_of(&self, peer: PeerAddr, now: Duration) -> Option<(u16, Channel)> {
        let number = *self.numbers.get(&peer)?;
        Some((number, self.channel(number, now)?))
    }

    /// The permission for an address, while it lasts.
    #[inline]
    pub(crate) fn permission(&self, ip: PeerIp, now: Duration) -> Option<Permission> {
        self.permissions
            .get(&ip)
            .copied()
            .filter(|permission| permission.expires_at > now)
    }

    /// Drops what has expired; returns how many permissions and channels went.
    pub(crate) fn forget_expired(&mut self, now: Duration) -> (usize, usize) {
        let permissions = self
            .permissions
            .retain(|_, permission| permission.expires_at > now);
        let channels = self.channels.retain(|_, channel| channel.expires_at > now);
        if channels > 0 {
            let bound = &self.channels;
            self.numbers.retain(|_, number| bound.get(number).is_some());
        }
        self.settle();
        (permissions, channels)
    }

    /// Drops one of two relayed addresses with the peers that are reached from it; returns how many permissions and channels went.
    pub(crate) fn forget_relayed(&mut self, version: Version) -> (usize, usize) {
        self.relays.take(version);
        let other = |ip: PeerIp| Version::of(ip.ip()) != version;
        self.numbers.retain(|peer, _| other(peer.ip()));
        let gone = (
            self.permissions.retain(|ip, _| other(*ip)),
            self.channels.retain(|_, channel| other(channel.peer.ip())),
        );
        self.settle();
        gone
    }

    /// Gives back to the quota what is not held any more.
    pub(crate) fn settle(&mut self) {
        self.ticket
            .settle(self.permissions.len(), self.channels.len());
    }

    /// When the next thing of this allocation expires.
    pub(crate) fn next_expiry(&self) -> Duration {
        let permissions = self
            .permissions
            .iter()
            .map(|(_, permission)| permission.expires_at);
        let channels = self.channels.iter().map(|(_, channel)| channel.expires_at);
        let relays = self.relays.next_expiry();
        permissions
            .chain(channels)
            .chain(relays)
            .min()
            .unwrap_or(Duration::MAX)
    }
}
