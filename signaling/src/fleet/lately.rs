//! Who has the state, as far as the log tells: whom a node that comes in can hope for.
//!
//! In: what the latest entries say of their writers; pure. Not in: reading them (`link.rs`).
//!
//! Everybody who has the state writes a beat a second. Whoever wrote and has asked for the state since has it no more: when Redis
//! stood still for long, all went on alone, and what they had sent to it meanwhile is done at once when it goes on. That looks like
//! life, and nobody would ever answer.

use std::collections::BTreeMap;

use super::entry::{Deed, Entry, NodeId};

/// What nodes wrote last.
#[derive(Default)]
pub(crate) struct Lately(BTreeMap<NodeId, Last>);

struct Last {
    /// Its writer counts, so that this tells what came last wherever it stands in the log.
    number: u64,
    is: Is,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Is {
    Holding,
    Asking,
    Gone,
}

impl Lately {
    /// Notes an entry, wherever in the log it was.
    pub(crate) fn note(&mut self, entry: &Entry) {
        let is = match entry.deeds.last() {
            Some(Deed::Ask) => Is::Asking,
            Some(Deed::Leave) => Is::Gone,
            _ => Is::Holding,
        };
        let number = entry.number;
        let last = self
            .0
            .entry(entry.node.clone())
            .or_insert(Last { number, is });
        if number > last.number {
            *last = Last { number, is };
        }
    }

    /// Says whether somebody can answer a node; those of its name are its former lives.
    pub(crate) fn can_answer(&self, asking: &NodeId) -> bool {
        let mut others = self.0.iter().filter(|(node, _)| node.name != asking.name);
        others.any(|(_, last)| last.is == Is::Holding)
    }

    /// Says whether a node is the first of those who ask. If nobody has the state, it is that one's turn to declare its own.
    pub(crate) fn is_first_to_found(&self, asking: &NodeId) -> bool {
        let asking_too = self.0.iter().filter(|(_, last)| last.is == Is::Asking);
        asking_too
            .map(|(node, _)| node)
            .all(|other| asking <= other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Name;

    fn node(name: &str, life: u64) -> NodeId {
        let name = Name::parse(name);
        NodeId { name, life }
    }

    fn lately(entries: Vec<(NodeId, u64, Deed)>) -> Lately {
        let mut lately = Lately::default();
        for (node, number, deed) in entries {
            let deeds = vec![deed];
            lately.note(&Entry {
                node,
                number,
                deeds,
            });
        }
        lately
    }

    #[test]
    fn who_wrote_and_did_not_ask_since_can_answer() {
        let (a, b) = (node("a", 1), node("b", 2));
        let log = lately(vec![(b.clone(), 5, Deed::Beat), (a.clone(), 1, Deed::Ask)]);
        assert!(log.can_answer(&a));
        // What it had sent before it asked may be done after that.
        for stale_first in [true, false] {
            let mut entries = vec![(b.clone(), 4, Deed::Beat), (b.clone(), 5, Deed::Ask)];
            if !stale_first {
                entries.reverse();
            }
            entries.push((a.clone(), 1, Deed::Ask));
            let log = lately(entries);
            assert!(!log.can_answer(&a));
            assert!(log.is_first_to_found(&a) && !log.is_first_to_found(&b));
        }
    }

    #[test]
    fn who_ended_and_a_former_life_of_one_s_own_answer_nobody() {
        let (a, b) = (node("a", 7), node("b", 2));
        let log = lately(vec![
            (b, 5, Deed::Leave),
            (node("a", 1), 9, Deed::Beat),
            (a.clone(), 1, Deed::Ask),
        ]);
        assert!(!log.can_answer(&a));
        assert!(log.is_first_to_found(&a));
    }
}
