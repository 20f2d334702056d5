//! A node's own part: what it has to write, what of that it has not read yet, and whether it is alone.
//!
//! In: the replica and the order of things around it; pure. Not in: Redis (`link.rs`), outboxes (`switchboard.rs`).
//!
//! ```text
//!            come_in, found                    own Arrive or Found is read
//!   alone ────────────────────▶ logging, not in ──────────────────────────▶ logging, in
//!     ▲                              │                                          │
//!     └──────────────────────────────┴──────────────────── go_alone ────────────┘
//! ```

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::LogId;
use super::entry::{Deed, Entry, NodeId};
use super::replica::{Read, Replica};
use crate::calllog::{Ended, RecordId};
use crate::hub::{Hub, Limits, Outbound};

/// Bytes of an entry, with its number.
pub(crate) type Written = (u64, Vec<u8>);

/// Bytes of what is written at once, about. Readers take 256 entries at a time, which have to be a reply that they accept.
const LARGEST_ENTRY: usize = 256 * 1024;

/// Bytes that may wait to be read back, about. A Redis that stands still is waited for, and meanwhile clients talk on, as fast as
/// they may; beyond this the node goes on alone.
const MOST_WAITING: usize = 64 * 1024 * 1024;

/// What is between a node's connections and the state that all agree on.
pub(crate) struct Desk {
    me: NodeId,
    replica: Replica,
    /// Whether what happens here goes through the log; otherwise it is done at once.
    logging: bool,
    /// Not written yet.
    queue: VecDeque<Deed>,
    /// Written, or about to be, and not read back.
    unread: VecDeque<Written>,
    /// About how many bytes there are in both.
    waiting: usize,
    /// How many of `unread` were handed out to be written.
    handed_out: usize,
    number: u64,
    last_read: LogId,
    /// The entry with which the node comes in; until it is read, others do not count on it.
    comes_in_with: Option<u64>,
    /// As its own entry of that number is the beginning of everything, those before it are not read.
    founds: bool,
    /// Who asked for the state, as of what was read last.
    asking: Vec<(NodeId, Vec<u8>)>,
    /// Calls that this node has begun to record, and that are not read yet to be recorded.
    recording: BTreeSet<RecordId>,
    /// How many had ended when it took all that there were.
    taken: Option<u64>,
}

impl Desk {
    /// One that is alone, with nobody there.
    pub(crate) fn new(me: NodeId, limits: Limits, now: Duration) -> Desk {
        Desk {
            me,
            replica: Replica::new(limits, now),
            logging: false,
            queue: VecDeque::new(),
            unread: VecDeque::new(),
            waiting: 0,
            handed_out: 0,
            number: 0,
            last_read: LogId::default(),
            comes_in_with: None,
            founds: false,
            asking: Vec::new(),
            recording: BTreeSet::new(),
            taken: None,
        }
    }

    pub(crate) fn hub(&self) -> &Hub {
        self.replica.hub()
    }

    pub(crate) fn me(&self) -> &NodeId {
        &self.me
    }

    pub(crate) fn is_logging(&self) -> bool {
        self.logging
    }

    /// Counts the nodes that others can count on.
    pub(crate) fn nodes(&self) -> usize {
        self.replica.arrived().count()
    }

    /// The latest time it knows of.
    pub(crate) fn now(&self) -> Duration {
        self.replica.now()
    }

    /// Up to where it has read the log, if it reads it.
    pub(crate) fn reading_from(&self) -> Option<LogId> {
        self.logging.then_some(self.last_read)
    }

    /// Something happens here: it is done, or noted to be written.
    pub(crate) fn happens(&mut self, now: Duration, deed: Deed) -> Outbound {
        if !self.logging {
            return self.replica.alone(now, &self.me, vec![deed]);
        }
        self.note(deed);
        match self.waiting > MOST_WAITING {
            true => self.go_alone(now),
            false => Outbound::new(),
        }
    }

    /// Has a deed written in its turn.
    fn note(&mut self, deed: Deed) {
        self.waiting += deed.weight();
        self.queue.push_back(deed);
    }

    /// A deadline has come. In a fleet it is the log's time that counts, and a beat is what makes it go on.
    pub(crate) fn on_timeout(&mut self, now: Duration) -> Outbound {
        if self.logging {
            self.note(Deed::Beat);
            return Outbound::new();
        }
        self.replica.on_timeout(now)
    }

    /// Says whether there is something for [`Desk::next`] or [`Desk::answer`].
    pub(crate) fn has_to_write(&self) -> bool {
        self.logging
            && (!self.queue.is_empty()
                || self.handed_out < self.unread.len()
                || !self.asking.is_empty())
    }

    /// Calls that are over and that this node is to record from now on.
    ///
    /// All nodes see them end, and the first of them records. The others remember them until it says that it did: when it is
    /// gone before, the next one is the first. What both may have recorded has the same id, and is there once.
    pub(crate) fn take_ended(&mut self) -> Vec<Ended> {
        if !self.logging {
            return self.replica.take_unrecorded();
        }
        if self.replica.arrived().next() != Some(&self.me) {
            self.taken = None;
            return Vec::new();
        }
        if self.taken.replace(self.replica.ended()) == Some(self.replica.ended()) {
            return Vec::new();
        }
        let new = |ended: &&Ended| !self.recording.contains(&ended.id);
        let new: Vec<Ended> = self.replica.unrecorded().filter(new).cloned().collect();
        self.recording.extend(new.iter().map(|ended| ended.id));
        new
    }

    /// Forgets them, because nothing is recorded here.
    pub(crate) fn forget_ended(&mut self) {
        self.replica.take_unrecorded();
    }

    /// These are recorded, or given up.
    pub(crate) fn recorded(&mut self, now: Duration, ids: Vec<RecordId>) -> Outbound {
        // Alone, there is nobody to tell.
        match self.logging {
            true => self.happens(now, Deed::Recorded(ids)),
            false => Outbound::new(),
        }
    }

    /// The next entry to write.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, postcard::Error> {
        if self.handed_out == self.unread.len() && !self.queue.is_empty() {
            let deeds = self.take_queued();
            self.write(deeds)?;
        }
        let next = self.unread.get(self.handed_out);
        self.handed_out += usize::from(next.is_some());
        Ok(next.map(|(_, bytes)| bytes.clone()))
    }

    /// Takes out as much as may be written at once.
    fn take_queued(&mut self) -> Vec<Deed> {
        let (mut deeds, mut bytes) = (Vec::new(), 0);
        while let Some(next) = self.queue.front() {
            bytes += next.weight();
            if bytes > LARGEST_ENTRY && !deeds.is_empty() {
                break;
            }
            self.waiting = self.waiting.saturating_sub(next.weight());
            deeds.extend(self.queue.pop_front());
        }
        deeds
    }

    /// Has everything written again that was not read back.
    pub(crate) fn write_again(&mut self) {
        self.handed_out = 0;
    }

    fn write(&mut self, deeds: Vec<Deed>) -> Result<(), postcard::Error> {
        self.number += 1;
        let entry = Entry {
            node: self.me.clone(),
            number: self.number,
            deeds,
        };
        let bytes = entry.encode()?;
        self.waiting += bytes.len();
        self.unread.push_back((self.number, bytes));
        Ok(())
    }

    /// The question for the state, to be written at once. It is nothing that happened, and nobody waits to read it back.
    pub(crate) fn question(&mut self) -> Result<Vec<u8>, postcard::Error> {
        self.number += 1;
        let deeds = vec![Deed::Ask];
        let node = self.me.clone();
        Entry {
            node,
            number: self.number,
            deeds,
        }
        .encode()
    }

    /// Takes the state that others have, as of `at`, and brings what its own connections hold.
    pub(crate) fn come_in(&mut self, at: LogId, replica: Replica) {
        let holdings = self.replica.holdings_of(&self.me);
        self.replica = replica;
        self.begin(at, Deed::Arrive(holdings));
        self.founds = false;
    }

    /// Declares its own state to be everybody's.
    pub(crate) fn found(&mut self, from: LogId) {
        self.begin(from, Deed::Found);
        self.founds = true;
    }

    fn begin(&mut self, from: LogId, with: Deed) {
        self.logging = true;
        self.waiting = 0;
        self.queue.clear();
        self.note(with);
        self.unread.clear();
        self.handed_out = 0;
        self.last_read = from;
        self.comes_in_with = Some(self.number + 1);
    }

    /// Reads an entry of the log.
    pub(crate) fn read(&mut self, at: LogId, entry: Entry) -> (Read, Outbound) {
        // It has gone on alone while this was read, and has done what was its own.
        if !self.logging {
            return (Read::Stranger, Outbound::new());
        }
        // Whoever stood still reads of its own death. It knows better, and must not lose the connections that it has: it brings
        // them when it comes back.
        if self.comes_in_with.is_none() && self.replica.is_silent(&self.me, at.time()) {
            return (Read::Buried, Outbound::new());
        }
        self.last_read = at;
        let (node, number) = (entry.node.clone(), entry.number);
        let own = node == self.me;
        if own {
            while let Some((written, bytes)) = self.unread.front()
                && *written <= number
            {
                self.waiting = self.waiting.saturating_sub(bytes.len());
                self.unread.pop_front();
                self.handed_out = self.handed_out.saturating_sub(1);
            }
        }
        let comes_in = own && self.comes_in_with == Some(number);
        if comes_in {
            self.comes_in_with = None;
            if std::mem::take(&mut self.founds) {
                self.replica.found(at.time(), &node, number);
                return (Read::Done, Outbound::new());
            }
        }
        if self.founds {
            return (Read::Done, Outbound::new());
        }
        for deed in &entry.deeds {
            if let Deed::Recorded(ids) = deed {
                self.recording.retain(|id| !ids.contains(id));
            }
        }
        let (read, out) = self.replica.read(at.time(), entry, &self.me);
        if read == Read::Asked
            && let Ok(state) = postcard::to_stdvec(&(at, &self.replica))
        {
            // One that was cut off has asked more than once, and waits for the answer to its last question.
            self.asking.retain(|(other, _)| *other != node);
            self.asking.push((node, state));
        }
        (read, out)
    }

    /// A node that asked, and the state it is to be given.
    pub(crate) fn answer(&mut self) -> Option<(NodeId, Vec<u8>)> {
        self.asking.pop()
    }

    /// Says whether the others have given this node up.
    pub(crate) fn is_buried(&self) -> bool {
        self.logging && self.comes_in_with.is_none() && !self.replica.has_arrived(&self.me)
    }

    /// Does alone what was to be done with the others, in the order in which it happened.
    pub(crate) fn go_alone(&mut self, now: Duration) -> Outbound {
        let mut deeds = Vec::new();
        for (_, bytes) in std::mem::take(&mut self.unread) {
            deeds.extend(
                Entry::decode(&bytes)
                    .into_iter()
                    .flat_map(|entry| entry.deeds),
            );
        }
        deeds.extend(self.queue.drain(..));
        self.waiting = 0;
        self.logging = false;
        self.handed_out = 0;
        self.comes_in_with = None;
        self.founds = false;
        self.asking.clear();
        self.recording.clear();
        self.taken = None;
        self.replica.alone(now, &self.me, deeds)
    }
}
