//! What the connection to Redis sees of the node: entries to write, entries to read.
//!
//! In: the lock, the clock and the outboxes around the desk. Not in: Redis (`link.rs`).

use std::sync::Weak;
use std::time::Duration;

use super::LogId;
use super::desk::Desk;
use super::entry::{Deed, Entry, NodeId, VERSION};
use super::link::PATIENCE;
use super::replica::{Read, Replica};
use crate::hub::Outbound;
use crate::switchboard::Inner;

/// A node, as far as its connection to Redis has to know it. It does not keep it alive.
#[derive(Clone)]
pub(crate) struct Post {
    board: Weak<Inner>,
}

/// Something to be written.
pub(crate) enum Mail {
    /// Into the log.
    Entry(Vec<u8>),
    /// Under a key.
    Snapshot(String, Vec<u8>),
}

impl Post {
    pub(crate) fn new(board: Weak<Inner>) -> Post {
        Post { board }
    }

    /// Says whether the node lives on.
    pub(crate) fn is_open(&self) -> bool {
        self.board.strong_count() > 0
    }

    /// Says whether what happens here goes through the log.
    pub(crate) fn is_logging(&self) -> bool {
        self.desk(|desk, _| (desk.is_logging(), Outbound::new()))
            .unwrap_or_default()
    }

    /// Waits until there is something to write, or the node is gone.
    pub(crate) async fn something_to_send(&self) {
        let Some(to_send) = self.board.upgrade().map(|inner| inner.to_send()) else {
            return;
        };
        to_send.notified().await;
    }

    /// What is to be written next.
    pub(crate) fn next(&self) -> Result<Option<Mail>, postcard::Error> {
        let next = self.desk(|desk, _| {
            let mail = match desk.answer() {
                Some((node, state)) => Ok(Some(Mail::Snapshot(snapshot_key(&node), state))),
                None => desk.next().map(|entry| entry.map(Mail::Entry)),
            };
            (mail, Outbound::new())
        });
        next.unwrap_or(Ok(None))
    }

    pub(crate) fn beat(&self) {
        self.desk(|desk, now| ((), desk.happens(now, Deed::Beat)));
    }

    /// Up to where the log was read, if it is read.
    pub(crate) fn reading_from(&self) -> Option<LogId> {
        self.desk(|desk, _| (desk.reading_from(), Outbound::new()))?
    }

    /// Reads an entry of the log.
    pub(crate) fn read(&self, at: LogId, entry: Entry) -> Read {
        let Some(inner) = self.board.upgrade() else {
            return Read::Done;
        };
        inner.read(at, entry)
    }

    pub(crate) fn is_buried(&self) -> bool {
        self.desk(|desk, _| (desk.is_buried(), Outbound::new()))
            .unwrap_or_default()
    }

    pub(crate) fn write_again(&self) {
        self.desk(|desk, _| {
            desk.write_again();
            ((), Outbound::new())
        });
    }

    /// Who asks.
    pub(crate) fn me(&self) -> NodeId {
        let me = self.desk(|desk, _| (desk.me().clone(), Outbound::new()));
        // Of a node that is gone nobody asks anything any more.
        me.unwrap_or(NodeId {
            name: None,
            life: 0,
        })
    }

    /// The question for the state.
    pub(crate) fn question(&self) -> Result<Vec<u8>, postcard::Error> {
        let question = self.desk(|desk, _| (desk.question(), Outbound::new()));
        question.unwrap_or_else(|| Ok(Vec::new()))
    }

    /// Where the answer will be.
    pub(crate) fn snapshot_key(&self) -> String {
        self.desk(|desk, _| (snapshot_key(desk.me()), Outbound::new()))
            .unwrap_or_default()
    }

    /// Takes the state that others have, and says how many they are.
    pub(crate) fn come_in(&self, at: LogId, replica: Replica) -> usize {
        let nodes = replica.arrived().count();
        self.desk(|desk, _| {
            desk.come_in(at, replica);
            ((), Outbound::new())
        });
        self.is_heard();
        nodes
    }

    /// Declares its own state to be everybody's.
    pub(crate) fn found(&self, from: LogId) {
        self.desk(|desk, _| {
            desk.found(from);
            ((), Outbound::new())
        });
        self.is_heard();
    }

    /// The time without anything to read begins now.
    fn is_heard(&self) {
        if let Some(inner) = self.board.upgrade() {
            inner.is_heard();
        }
    }

    /// How long it still waits for something to read before it goes on alone; nothing to wait for while it is.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let unread_for = self.board.upgrade()?.unread_for();
        self.is_logging()
            .then(|| PATIENCE.saturating_sub(unread_for))
    }

    /// Goes on alone, if it is time: at once if `now`, else if nothing was read for too long. Says whether it did.
    pub(crate) fn go_alone(&self, at_once: bool) -> bool {
        let Some(inner) = self.board.upgrade() else {
            return false;
        };
        let due = at_once || inner.unread_for() >= PATIENCE;
        due && self
            .desk(|desk, now| match desk.is_logging() {
                true => (true, desk.go_alone(now)),
                false => (false, Outbound::new()),
            })
            .unwrap_or_default()
    }

    fn desk<R>(&self, step: impl FnOnce(&mut Desk, Duration) -> (R, Outbound)) -> Option<R> {
        Some(self.board.upgrade()?.desk(step))
    }
}

fn snapshot_key(node: &NodeId) -> String {
    format!("turnpike:signaling:{VERSION}:state:{:016x}", node.life)
}
