//! One allocation: what it may do, to whom, and until when. Nothing here decides; the handlers do.

use std::{mem, net::SocketAddr, sync::Arc, time::Duration};

use turn_wire::{IntegrityKey, TransactionId};

use crate::{
    Path, PeerAddr, PeerIp, PortClaim, RelayId, SessionId, Traffic, peers::Standing, ports::Want,
    quota::Ticket, sorted_map::SortedMap,
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
    pub(crate) phase: Phase,
    pub(crate) relay: RelayId,
    pub(crate) claim: PortClaim,
    /// Counts against the quota as long as the allocation lives.
    pub(crate) _ticket: Ticket,
    /// The address that is bound.
    pub(crate) local: SocketAddr,
    /// The address that the client is told.
    pub(crate) relayed: SocketAddr,
    pub(crate) lifetime: Duration,
    pub(crate) expires_at: Duration,
    /// When the timers will look at this allocation next, at the latest.
    pub(crate) wake_at: Duration,
    pub(crate) permissions: SortedMap<PeerIp, Permission>,
    pub(crate) channels: SortedMap<u16, Channel>,
    /// The channel of a peer: the same bindings by the other key.
    pub(crate) numbers: SortedMap<PeerAddr, u16>,
    /// The transaction that made it, for retransmissions.
    pub(crate) created_by: TransactionId,
    pub(crate) created_reply: Box<[u8]>,
    pub(crate) traffic: Traffic,
}

/// The key of a session, ready for use and as it is handed to another worker.
#[derive(Clone)]
pub(crate) struct SessionKey {
    pub(crate) ready: IntegrityKey,
    pub(crate) bytes: Arc<[u8]>,
}

impl SessionKey {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self {
            ready: IntegrityKey::new(bytes),
            bytes: bytes.into(),
        }
    }
}

/// How far an allocation has come.
#[derive(Debug)]
pub(crate) enum Phase {
    /// The relay socket is being bound.
    Binding(Binding),
    /// Packets flow.
    Active,
}

/// What is needed to answer the Allocate request once the socket is bound.
#[derive(Debug)]
pub(crate) struct Binding {
    /// Which other ports may be tried when other programs hold this one; none if it was reserved.
    pub(crate) may_move: Option<Want>,
    /// Ports that other programs hold, kept so that none is tried twice.
    pub(crate) tried: Vec<PortClaim>,
    /// The port to be reserved, and its place in the quota.
    pub(crate) next: Option<(PortClaim, Ticket)>,
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

    /// Packets flow from now on. Gives what was needed to get so far; `None` when they have been flowing.
    pub(crate) fn begin(&mut self) -> Option<(Binding, Arc<str>)> {
        match mem::replace(&mut self.phase, Phase::Active) {
            Phase::Active => None,
            Phase::Binding(binding) => {
                self.claim.go_live();
                Some((binding, Arc::clone(&self.user)))
            }
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Active)
    }

    /// The binding of a channel, while it lasts.
    pub(crate) fn channel(&self, number: u16, now: Duration) -> Option<Channel> {
        self.channels
            .get(&number)
            .copied()
            .filter(|channel| channel.expires_at > now)
    }

    /// The channel that is bound to a peer, while it lasts.
    pub(crate) fn channel_of(&self, peer: PeerAddr, now: Duration) -> Option<(u16, Channel)> {
        let number = *self.numbers.get(&peer)?;
        Some((number, self.channel(number, now)?))
    }

    /// The permission for an address, while it lasts.
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
        (permissions, channels)
    }

    /// When the next thing of this allocation expires.
    pub(crate) fn next_expiry(&self) -> Duration {
        let permissions = self
            .permissions
            .iter()
            .map(|(_, permission)| permission.expires_at);
        let channels = self.channels.iter().map(|(_, channel)| channel.expires_at);
        permissions
            .chain(channels)
            .fold(self.expires_at, Duration::min)
    }
}
