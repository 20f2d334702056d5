//! Peers: connections known by an id of their own choice, who tell each other things without rooms or calls (PeerJS).
//!
//! In: who has which id, what waits for an id that nobody has right now, and for how long. Not in: what is told.
//!
//! The token that a connection claims its id with is the proof by which it takes the id over from a connection that only
//! looks alive, and keeps it while it is away. What waits is bounded per sender and in all; beyond that the sender is told
//! at once what it would have been told in the end: nobody is there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    CloseReason, ConnectionId, Deadline, Departure, Event, Hub, Outbound, Payload, PeerId,
    PeerToken, Refusal,
};

/// What one message costs beside its payload, so that empty ones are bounded too.
const OVERHEAD: usize = 256;

/// What one peer tells another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerMessage {
    /// Who says it.
    pub from: PeerId,
    /// What it is.
    pub kind: PeerKind,
    /// The hub never looks into it.
    pub data: Option<Payload>,
}

/// What a message between peers is, as far as somebody has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerKind {
    /// An offer.
    Offer,
    /// An answer.
    Answer,
    /// An ICE candidate.
    Candidate,
    /// The end of what the two had; nobody waits for it.
    Leave,
    /// Said by the hub: what was told to this peer did not arrive.
    Expire,
}

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Peers {
    pub(super) holders: BTreeMap<PeerId, Holder>,
    /// By recipient, then by sender.
    waiting: BTreeMap<PeerId, BTreeMap<PeerId, Vec<PeerMessage>>>,
    /// By sender: how much that is, and for whom.
    sent: HashMap<PeerId, Sent>,
    /// Bytes that wait in all.
    bytes: usize,
}

#[derive(Default, Serialize, Deserialize)]
struct Sent {
    bytes: usize,
    to: BTreeSet<PeerId>,
}

/// Who has an id.
#[derive(Serialize, Deserialize)]
pub(super) struct Holder {
    pub(super) token: PeerToken,
    /// `None` while the connection is lost.
    pub(super) connection: Option<ConnectionId>,
}

impl Peers {
    fn connection(&self, id: &PeerId) -> Option<ConnectionId> {
        self.holders.get(id)?.connection
    }

    /// Takes out what `from` told `to`.
    fn take(&mut self, to: &PeerId, from: &PeerId) -> Option<Vec<PeerMessage>> {
        let senders = self.waiting.get_mut(to)?;
        let messages = senders.remove(from)?;
        if senders.is_empty() {
            self.waiting.remove(to);
        }
        let freed: usize = messages.iter().map(size).sum();
        self.bytes = self.bytes.saturating_sub(freed);
        if let Some(sent) = self.sent.get_mut(from) {
            sent.bytes = sent.bytes.saturating_sub(freed);
            sent.to.remove(to);
            if sent.to.is_empty() {
                self.sent.remove(from);
            }
        }
        Some(messages)
    }

    pub(super) fn len(&self) -> usize {
        self.holders.len()
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.bytes
    }
}

fn size(message: &PeerMessage) -> usize {
    OVERHEAD + message.data.as_ref().map_or(0, |data| data.as_str().len())
}

impl Hub {
    /// Gives a connection the id that it asks for, and what waits for it.
    pub(super) fn claim(
        &mut self,
        from: ConnectionId,
        id: PeerId,
        token: PeerToken,
        out: &mut Outbound,
    ) -> Result<(), Refusal> {
        let Some(connection) = self.connections.get_mut(&from) else {
            return Ok(());
        };
        if connection.peer.is_some() {
            return Err(Refusal::IdTaken);
        }
        let before = match self.peers.holders.get(&id) {
            Some(holder) if !holder.token.matches(&token) => {
                out.push((from, Event::Refused(Refusal::IdTaken)));
                out.push((from, Event::Closed(CloseReason::Refused)));
                return Ok(());
            }
            holder => holder.and_then(|holder| holder.connection),
        };
        connection.peer = Some(id.clone());
        if let Some(old) = before {
            // The network noticed before we did: the old connection only looks alive.
            if let Some(old) = self.connections.get_mut(&old) {
                old.peer = None;
            }
            out.push((old, Event::Closed(CloseReason::Resumed)));
        }
        self.timers.cancel(&Deadline::PeerGrace(id.clone()));
        let holder = Holder {
            token,
            connection: Some(from),
        };
        self.peers.holders.insert(id.clone(), holder);
        out.push((from, Event::PeerClaimed(id.clone())));
        let senders: Vec<PeerId> = self
            .peers
            .waiting
            .get(&id)
            .into_iter()
            .flat_map(|senders| senders.keys().cloned())
            .collect();
        let mut backlog = Vec::new();
        for sender in senders {
            self.timers
                .cancel(&Deadline::PeerExpiry(id.clone(), sender.clone()));
            backlog.extend(self.peers.take(&id, &sender).unwrap_or_default());
        }
        if !backlog.is_empty() {
            out.push((from, Event::PeerBacklog(backlog)));
        }
        Ok(())
    }

    /// Tells a peer something, or keeps it for a little while if nobody has its id.
    pub(super) fn peer_tell(
        &mut self,
        now: Duration,
        from: ConnectionId,
        to: PeerId,
        kind: PeerKind,
        data: Option<Payload>,
        out: &mut Outbound,
    ) -> Result<(), Refusal> {
        let own = self.connections.get(&from).and_then(|own| own.peer.clone());
        let own = own.ok_or(Refusal::NotJoined)?;
        let message = PeerMessage {
            from: own.clone(),
            kind,
            data,
        };
        if let Some(connection) = self.peers.connection(&to) {
            out.push((connection, Event::Peer(message)));
        } else if kind != PeerKind::Leave && !self.keep(now, &to, message) {
            out.push((from, expired(&to)));
        }
        Ok(())
    }

    /// Keeps a message if there is room; `false` if nothing that was told between the two is kept, so that nothing will expire.
    fn keep(&mut self, now: Duration, to: &PeerId, message: PeerMessage) -> bool {
        let from = message.from.clone();
        let bytes = size(&message);
        let total = self.peers.bytes.saturating_add(bytes);
        let sent = self.peers.sent.get(&from);
        let known = sent.is_some_and(|sent| sent.to.contains(to));
        let own = sent.map_or(0, |sent| sent.bytes).saturating_add(bytes);
        if total > self.limits.peer_bytes || own > self.limits.peer_bytes_each {
            return known;
        }
        let sent = self.peers.sent.entry(from.clone()).or_default();
        sent.bytes = own;
        sent.to.insert(to.clone());
        self.peers.bytes = total;
        let senders = self.peers.waiting.entry(to.clone()).or_default();
        senders.entry(from.clone()).or_default().push(message);
        if !known {
            let at = now + self.limits.peer_wait;
            self.timers.set(Deadline::PeerExpiry(to.clone(), from), at);
        }
        true
    }

    /// Gives up what `from` told `to`, and says so once.
    pub(super) fn peer_expired(&mut self, to: &PeerId, from: &PeerId, out: &mut Outbound) {
        self.peers.take(to, from);
        if let Some(connection) = self.peers.connection(from) {
            out.push((connection, expired(to)));
        }
    }

    /// Notes that a peer's connection ended. One that broke keeps its id for the grace period.
    pub(super) fn peer_gone(&mut self, now: Duration, id: PeerId, departure: Departure) {
        match departure {
            Departure::Closed => self.release_peer(&id),
            Departure::Lost => {
                if let Some(holder) = self.peers.holders.get_mut(&id) {
                    holder.connection = None;
                }
                let at = now + self.limits.grace;
                self.timers.set(Deadline::PeerGrace(id), at);
            }
        }
    }

    /// Frees an id. What its holder told others is of no use to them any more.
    pub(super) fn release_peer(&mut self, id: &PeerId) {
        self.peers.holders.remove(id);
        let sent = self.peers.sent.get(id).map(|sent| sent.to.clone());
        for to in sent.unwrap_or_default() {
            self.peers.take(&to, id);
            self.timers.cancel(&Deadline::PeerExpiry(to, id.clone()));
        }
    }

    /// The ids that somebody has, in alphabetical order, `most` of them.
    pub fn peer_ids(&self, most: usize) -> Vec<PeerId> {
        let present = self
            .peers
            .holders
            .iter()
            .filter(|(_, holder)| holder.connection.is_some());
        present.take(most).map(|(id, _)| id.clone()).collect()
    }
}

fn expired(to: &PeerId) -> Event {
    Event::Peer(PeerMessage {
        from: to.clone(),
        kind: PeerKind::Expire,
        data: None,
    })
}
