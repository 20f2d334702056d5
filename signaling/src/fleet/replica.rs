//! The hub that all nodes have, and which node has which connection.
//!
//! In: what reading the log does to it, and which calls are over and not recorded yet; plain data, with the log's time. Not in:
//! writing, Redis, outboxes, who records (`desk.rs`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::entry::{Deed, Entry, NodeId};
use crate::calllog::{Ended, RecordId};
use crate::hub::{ConnectionId, Departure, Holdings, Hub, Limits, Outbound};

/// How long nothing was read from a node that has lost its connections: a beat a second, three of which may be late.
pub(crate) const SILENCE: Duration = Duration::from_secs(4);

/// Calls that are over and wait to be recorded: as many as wait for a database before some are dropped.
const MOST_UNRECORDED: usize = 4_096;

/// The state that all nodes agree on.
#[derive(Serialize, Deserialize)]
pub(crate) struct Replica {
    hub: Hub,
    nodes: BTreeMap<NodeId, Node>,
    now: Duration,
    /// How far that is ahead of the log's time, because the founder's clock was ahead of Redis's. Time never goes back: it would
    /// stand still until the log's had come up, and nothing would ever be due.
    ahead: Duration,
    /// The first to end first.
    unrecorded: VecDeque<Ended>,
    /// Calls that have ended, ever.
    ended: u64,
}

/// What is known of a node.
#[derive(Default, Serialize, Deserialize)]
struct Node {
    /// Whether it has the state too. It has not if it was taken over from before Redis went away.
    arrived: bool,
    last_read: Duration,
    number: u64,
    connections: BTreeSet<ConnectionId>,
}

/// What an entry was to the one who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// It was done.
    Done,
    /// Its writer writes as one who does not belong to this state: it was declared dead, or never arrived.
    Stranger,
    /// Something before it is missing.
    Gap,
    /// Its writer wants the state, and it is this reader's turn to give it.
    Asked,
    /// Its writer has declared its own state to be everybody's.
    Replaced,
    /// It was not done: by its time, others have lost the reader and its connections.
    Buried,
}

impl Replica {
    /// An empty one of a node that is alone.
    pub(crate) fn new(limits: Limits, now: Duration) -> Replica {
        let hub = Hub::new(limits);
        Replica {
            hub,
            nodes: BTreeMap::new(),
            now,
            ahead: Duration::ZERO,
            unrecorded: VecDeque::new(),
            ended: 0,
        }
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Calls that are over and not recorded, as far as is known.
    pub(crate) fn unrecorded(&self) -> impl Iterator<Item = &Ended> {
        self.unrecorded.iter()
    }

    /// Counts calls that have ended.
    pub(crate) fn ended(&self) -> u64 {
        self.ended
    }

    /// Takes them out, for one who need not agree with others about them.
    pub(crate) fn take_unrecorded(&mut self) -> Vec<Ended> {
        self.unrecorded.drain(..).collect()
    }

    /// Notes which calls have ended by now.
    fn note_ended(&mut self) {
        let (reports, now) = (self.hub.take_reports(), self.now);
        self.ended += u64::try_from(reports.len()).unwrap_or(0);
        let ended = reports.into_iter().map(|report| Ended::new(report, now));
        self.unrecorded.extend(ended);
        let excess = self.unrecorded.len().saturating_sub(MOST_UNRECORDED);
        self.unrecorded.drain(..excess);
    }

    fn recorded(&mut self, ids: &[RecordId]) {
        self.unrecorded.retain(|ended| !ids.contains(&ended.id));
    }

    /// The latest time it knows of.
    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    /// Says whether others count on a node.
    pub(crate) fn has_arrived(&self, node: &NodeId) -> bool {
        self.nodes.get(node).is_some_and(|node| node.arrived)
    }

    /// Says whether others believe a node dead when they read an entry of this time.
    pub(crate) fn is_silent(&self, node: &NodeId, at: Duration) -> bool {
        let now = self.now.max(at + self.ahead);
        self.nodes
            .get(node)
            .is_some_and(|node| node.last_read + SILENCE < now)
    }

    /// The nodes that have the state.
    pub(crate) fn arrived(&self) -> impl Iterator<Item = &NodeId> {
        let arrived = self.nodes.iter().filter(|(_, node)| node.arrived);
        arrived.map(|(id, _)| id)
    }

    /// What a node's connections hold.
    pub(crate) fn holdings_of(&self, node: &NodeId) -> Holdings {
        let connections = self.nodes.get(node).map(|node| &node.connections);
        self.hub.holdings(connections.unwrap_or(&BTreeSet::new()))
    }

    /// Makes this the state that others will have: they are expected, and lost if they do not come.
    pub(crate) fn found(&mut self, at: Duration, founder: &NodeId, number: u64) {
        self.now = self.now.max(at);
        self.ahead = self.now.saturating_sub(at);
        self.nodes.entry(founder.clone()).or_default().number = number;
        for (id, node) in &mut self.nodes {
            node.arrived = id == founder;
            node.last_read = self.now;
        }
    }

    /// Does what is due at a time, as a node alone does it.
    pub(crate) fn on_timeout(&mut self, at: Duration) -> Outbound {
        self.now = self.now.max(at);
        let out = self.hub.on_timeout(self.now);
        self.note_ended();
        out
    }

    /// Does deeds of its own, as a node alone does them.
    pub(crate) fn alone(&mut self, at: Duration, own: &NodeId, deeds: Vec<Deed>) -> Outbound {
        let mut out = self.on_timeout(at);
        self.nodes.entry(own.clone()).or_default();
        for deed in deeds {
            out.append(&mut self.deed(own, deed));
        }
        self.note_ended();
        out
    }

    /// Reads an entry that was written at a time, as node `own`.
    pub(crate) fn read(&mut self, at: Duration, entry: Entry, own: &NodeId) -> (Read, Outbound) {
        let done = self.do_read(at, entry, own);
        self.note_ended();
        done
    }

    fn do_read(&mut self, at: Duration, entry: Entry, own: &NodeId) -> (Read, Outbound) {
        self.now = self.now.max(at + self.ahead);
        let mut out = self.bury_silent();
        out.append(&mut self.hub.on_timeout(self.now));
        let Entry {
            node,
            number,
            deeds,
        } = entry;
        let mut read = Read::Done;
        let arrives = deeds.iter().any(|deed| matches!(deed, Deed::Arrive(_)));
        // Whoever comes back has given up on what it wrote last.
        let begins_anew = arrives || deeds.iter().any(|deed| matches!(deed, Deed::Ask));
        match self.nodes.get_mut(&node) {
            Some(known) if known.arrived || arrives => {
                if number <= known.number && known.arrived {
                    return (Read::Done, out);
                }
                if number > known.number + 1 && !begins_anew {
                    read = Read::Gap;
                }
                known.number = number;
                known.last_read = self.now;
            }
            _ if arrives => {
                let last_read = self.now;
                self.nodes.insert(
                    node.clone(),
                    Node {
                        number,
                        last_read,
                        ..Node::default()
                    },
                );
            }
            _ => return (self.read_stranger(&deeds, own, &node), out),
        }
        for deed in deeds {
            match deed {
                Deed::Ask if self.is_turn_of(own, &node) => read = Read::Asked,
                Deed::Found => read = Read::Replaced,
                deed => out.append(&mut self.deed(&node, deed)),
            }
        }
        (read, out)
    }

    /// What strangers do has no effect; only what they ask for is heard.
    fn read_stranger(&self, deeds: &[Deed], own: &NodeId, stranger: &NodeId) -> Read {
        let does = |wanted: fn(&Deed) -> bool| deeds.iter().any(wanted);
        if does(|deed| matches!(deed, Deed::Found)) {
            return Read::Replaced;
        }
        match does(|deed| matches!(deed, Deed::Ask)) && self.is_turn_of(own, stranger) {
            true => Read::Asked,
            false => Read::Stranger,
        }
    }

    /// The first of those that have the state gives it to who asks; the asking node's former life is not counted on.
    fn is_turn_of(&self, own: &NodeId, asking: &NodeId) -> bool {
        let mut others = self.arrived().filter(|node| node.name != asking.name);
        others.next() == Some(own)
    }

    fn deed(&mut self, node: &NodeId, deed: Deed) -> Outbound {
        let connections = self.nodes.entry(node.clone()).or_default();
        let connections = &mut connections.connections;
        match deed {
            Deed::Connect(id, identity) => {
                connections.insert(id);
                self.hub.connect(self.now, id, identity)
            }
            Deed::Handle(id, command) if connections.contains(&id) => {
                self.hub.handle(self.now, id, command)
            }
            Deed::Disconnect(id, departure) if connections.remove(&id) => {
                self.hub.disconnect(self.now, id, departure)
            }
            Deed::Arrive(holdings) => self.arrive(node, holdings),
            Deed::Leave => self.bury(node),
            Deed::Recorded(ids) => {
                self.recorded(&ids);
                Outbound::new()
            }
            Deed::Handle(..) | Deed::Disconnect(..) | Deed::Beat | Deed::Ask | Deed::Found => {
                Outbound::new()
            }
        }
    }

    /// Merges what a node's connections hold. Whoever has its name is its former life, and over.
    fn arrive(&mut self, id: &NodeId, holdings: Holdings) -> Outbound {
        let mut out = Outbound::new();
        let former: Vec<NodeId> = self
            .nodes
            .keys()
            .filter(|other| other.name == id.name && *other != id)
            .cloned()
            .collect();
        for life in former {
            out.append(&mut self.bury(&life));
        }
        let node = self.nodes.entry(id.clone()).or_default();
        node.arrived = true;
        node.last_read = self.now;
        let own = holdings.connections().collect();
        let before = std::mem::replace(&mut node.connections, own);
        out.append(&mut self.hub.merge(self.now, &before, holdings));
        out
    }

    fn bury_silent(&mut self) -> Outbound {
        let silent: Vec<NodeId> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.last_read + SILENCE < self.now)
            .map(|(id, _)| id.clone())
            .collect();
        silent.iter().flat_map(|id| self.bury(id)).collect()
    }

    /// A node is gone, and its connections are lost.
    fn bury(&mut self, id: &NodeId) -> Outbound {
        let Some(node) = self.nodes.remove(id) else {
            return Outbound::new();
        };
        node.connections
            .into_iter()
            .flat_map(|connection| self.hub.disconnect(self.now, connection, Departure::Lost))
            .collect()
    }
}
