//! Allocations as plain data: what another worker, a new process, or the same one after a crash takes over; and the flows
//! that may be forwarded without asking, for a fast path below the sockets.
//!
//! Types and both directions only: nobody hands anything over yet.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use crate::{
    Caps, Good, KeyOrigin, Now, Path, PeerAddr, PeerIp, RelayId, SessionId, SessionSecret, Traffic,
    allocation::{Allocation, Channel, Permission, Phase},
    mobility::Mobility,
    peers::Standing,
    relay::Relay,
    relayed::{Relayed, RelayedAddresses, Version},
    session_key::SessionKey,
    slab::Key,
    sorted_map::SortedMap,
};

/// One allocation as plain data. Times are what remains of them, so that they mean the same on another clock.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// The session's number.
    pub session: SessionId,
    /// The way to the client; the taker may know the link by another name.
    pub path: Path,
    /// USERNAME as sent.
    pub username: Box<str>,
    /// The user, whom quotas count unless the key is from a token.
    pub user: Box<str>,
    /// The key of its messages, a secret, and how it came about; `None` without authentication. It is why the record has no `Debug`.
    pub key: Option<SessionSecret>,
    /// When the credential that made it expires (seconds since 1970), if it does.
    pub credential_until: Option<u64>,
    /// The relayed addresses: one, or one of each IP version.
    pub relays: Vec<RelayedRecord>,
    /// Permissions, and what remains of each.
    pub permissions: Vec<(IpAddr, Duration)>,
    /// Channels with their peers, and what remains of each.
    pub channels: Vec<(u16, SocketAddr, Duration)>,
    /// The transaction that made the allocation, and its answer.
    pub created: ([u8; 12], Box<[u8]>),
    /// The name in the ticket of a mobile session (RFC 8016), a secret like the key.
    pub ticket: Option<[u8; 16]>,
    /// How long it has been there.
    pub age: Duration,
    /// What it has relayed so far.
    pub traffic: Traffic,
}

/// One relayed address as plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayedRecord {
    /// The bound address of the relay socket, which is handed over beside the record.
    pub local: SocketAddr,
    /// The address that the client was told.
    pub told: SocketAddr,
    /// What remains of its lifetime.
    pub remaining: Duration,
}

/// Packets that may be forwarded without asking, both ways, until `remaining` is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The way to the client.
    pub path: Path,
    /// The channel's number.
    pub channel: u16,
    /// The relay socket.
    pub relay: RelayId,
    /// Its bound address.
    pub local: SocketAddr,
    /// The peer.
    pub peer: SocketAddr,
    /// How long.
    pub remaining: Duration,
}

impl Relay {
    /// Writes down all allocations that are active and relay datagrams; connections cannot be written down.
    pub fn export(&self, now: Now) -> Vec<SessionRecord> {
        let keys = self.allocations.keys();
        let active = keys.into_iter().filter_map(|key| self.allocations.get(key));
        active
            .filter(|held| held.is_active() && held.is_udp())
            .map(|held| record(held, now.mono))
            .collect()
    }

    /// Takes over an allocation whose relay sockets the driver has, and names those sockets in the order of the record.
    ///
    /// `None` when its 5-tuple or a port of it is taken here, its quota is used up, or its time is over.
    pub fn import(&mut self, now: Now, record: &SessionRecord) -> Option<Vec<RelayId>> {
        if self.find(&record.path).is_some() {
            return None;
        }
        let relays = self.restore_relays(now, &record.relays)?;
        let wake_at = relays.next_expiry()?;
        let user: Arc<str> = record.user.as_ref().into();
        let origin = record.key.as_ref().map(|key| key.origin);
        let counted = match origin {
            Some(KeyOrigin::Token { .. }) => "".into(),
            _ => Arc::clone(&user),
        };
        let caps = &self.config.guard.caps;
        let client = record.path.client.ip();
        let ticket = self
            .shared
            .quotas
            .claim(caps, &counted, client, now.mono)
            .ok()?;
        relays.iter().for_each(|relayed| relayed.claim.go_live());
        let mut allocation = Allocation {
            session: record.session,
            path: record.path,
            username: record.username.clone(),
            user,
            key: record.key.clone().map(SessionKey::new),
            credential_until: record.credential_until,
            started_at: now.mono.saturating_sub(record.age),
            phase: Phase::Active,
            relays,
            meter: ticket.meter(caps),
            ticket,
            wake_at,
            permissions: SortedMap::default(),
            channels: SortedMap::default(),
            numbers: SortedMap::default(),
            connections: None,
            mobility: None,
            created_by: record.created.0,
            created_reply: record.created.1.clone(),
            traffic: record.traffic,
            told: Default::default(),
        };
        self.restore_peers(now, record, &mut allocation);
        let key = self.adopt(allocation)?;
        if let Some(name) = record.ticket {
            let ticket = self.shared.tickets.restore(self.worker, key, name);
            let mobility = ticket.map(|ticket| Box::new(Mobility::new(ticket)));
            if let Some(held) = self.allocations.get_mut(key) {
                held.mobility = mobility;
            }
        }
        self.rearm(key);
        self.enter_shared(key);
        let held = self.allocations.get(key)?;
        let name = |record: &RelayedRecord| held.relay(key, PeerAddr::of(record.local)?);
        record.relays.iter().map(name).collect()
    }

    /// The flows of all channels.
    pub fn flows(&self, now: Now) -> Vec<Flow> {
        let keys = self.allocations.keys();
        let keyed = keys
            .into_iter()
            .filter_map(|key| Some((key, self.allocations.get(key)?)));
        let active = keyed.filter(|(_, held)| held.is_active());
        active
            .flat_map(|(key, held)| flows_of(key, held, now.mono))
            .collect()
    }

    /// Takes back what a fast path has forwarded for a flow since it told last: it counts as if it had passed here. False when
    /// the flow's session is over, so that the fast path drops the flow; what passed is counted all the same.
    pub fn on_forwarded(&mut self, flow: &Flow, forwarded: Traffic) -> bool {
        self.stats.traffic += forwarded;
        let key = self.find(&flow.path);
        let Some(held) = key.and_then(|key| self.allocations.get_mut(key)) else {
            return false;
        };
        held.traffic += forwarded;
        true
    }

    fn restore_relays(&self, now: Now, records: &[RelayedRecord]) -> Option<RelayedAddresses> {
        let mut relays = RelayedAddresses::default();
        for record in records {
            if record.remaining.is_zero() {
                return None;
            }
            relays.put(Relayed {
                claim: self.shared.claim_exactly(record.local)?,
                local: record.local,
                told: record.told,
                expires_at: now.mono + record.remaining,
            });
        }
        Some(relays)
    }

    /// Adds back what the peer policy here still allows.
    fn restore_peers(&mut self, now: Now, record: &SessionRecord, allocation: &mut Allocation) {
        for (ip, remaining) in &record.permissions {
            let ip = PeerIp::of(*ip);
            let standing = ip.and_then(|ip| Some((ip, self.standing_of(ip.at(0))?)));
            if let Some((ip, (_, standing))) = standing {
                let expires_at = now.mono + *remaining;
                allocation.permissions.insert(
                    ip,
                    Permission {
                        expires_at,
                        standing,
                    },
                );
                self.stats.permissions += 1;
            }
        }
        for (number, peer, remaining) in &record.channels {
            let peer = PeerAddr::of(*peer);
            let standing = peer.and_then(|peer| Some((peer, self.standing_of(peer)?)));
            if let Some((peer, (to, standing))) = standing {
                let expires_at = now.mono + *remaining;
                allocation.channels.insert(
                    *number,
                    Channel {
                        peer,
                        to,
                        expires_at,
                        standing,
                    },
                );
                allocation.numbers.insert(peer, *number);
                self.stats.channels += 1;
            }
        }
        // What was granted elsewhere stays, whatever the limits are here.
        let (permissions, channels) = (allocation.permissions.len(), allocation.channels.len());
        for (good, held) in [(Good::Permissions, permissions), (Good::Channels, channels)] {
            let _ = allocation.ticket.grow(&Caps::default(), good, held);
        }
    }

    pub(crate) fn standing_of(&self, peer: PeerAddr) -> Option<(PeerAddr, Standing)> {
        let to = crate::external::inside(&self.config.externals, &self.shared.ports, peer);
        Some((to, self.config.peers.judge(to.ip()).ok()?))
    }
}

fn record(held: &Allocation, now: Duration) -> SessionRecord {
    let remains = |until: Duration| until.saturating_sub(now);
    let permissions = held
        .permissions
        .iter()
        .filter(|(_, held)| held.expires_at > now);
    let channels = held
        .channels
        .iter()
        .filter(|(_, held)| held.expires_at > now);
    let relays = held.relays.iter().map(|held| RelayedRecord {
        local: held.local,
        told: held.told,
        remaining: remains(held.expires_at),
    });
    SessionRecord {
        session: held.session,
        path: held.path,
        username: held.username.clone(),
        user: held.user.as_ref().into(),
        key: held.key.as_ref().map(|key| key.secret.clone()),
        credential_until: held.credential_until,
        relays: relays.collect(),
        permissions: permissions
            .map(|(ip, held)| (ip.ip(), remains(held.expires_at)))
            .collect(),
        channels: channels
            .map(|(number, held)| (*number, held.peer.socket(), remains(held.expires_at)))
            .collect(),
        created: (held.created_by, held.created_reply.clone()),
        ticket: held.mobility.as_ref().map(|held| held.ticket.name()),
        age: now.saturating_sub(held.started_at),
        traffic: held.traffic,
    }
}

fn flows_of(key: Key, held: &Allocation, now: Duration) -> impl Iterator<Item = Flow> {
    // A session whose rate is limited is not forwarded without asking.
    let unlimited = held.meter.is_none();
    let channels = held
        .channels
        .iter()
        .filter(move |(_, channel)| unlimited && channel.expires_at > now);
    let free = channels.filter(|(_, channel)| channel.standing == Standing::Free);
    free.filter_map(move |(number, channel)| {
        let relayed = held.relays.of(Version::of(channel.to.ip().ip()))?;
        // Whose packet it is cannot be told by its addresses alone.
        relayed.claim.place().is_none().then_some(())?;
        Some(Flow {
            path: held.path,
            channel: *number,
            relay: held.relay(key, channel.to)?,
            local: relayed.local,
            peer: channel.to.socket(),
            remaining: channel
                .expires_at
                .min(relayed.expires_at)
                .saturating_sub(now),
        })
    })
}
