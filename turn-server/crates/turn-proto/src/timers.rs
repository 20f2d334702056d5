//! Deadlines of allocations in a heap: at most a few entries per allocation, none is searched for.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::Duration,
};

use foldhash::fast::RandomState;

use crate::{
    ConnectionId,
    reservation::Token,
    slab::{Key, Slab},
};

/// What falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// Something of an allocation: itself, a permission or a channel.
    Allocation(Key),
    /// A connection with a peer, if it has come no further.
    Connection(ConnectionId),
    /// A reservation of a port, if nobody has taken it up.
    Reservation(Token),
}

/// A heap of deadlines. Entries are not removed when a deadline moves: whoever is woken looks again.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Duration, Due)>>,
}

impl Timers {
    pub(crate) fn arm(&mut self, at: Duration, due: Due) {
        self.heap.push(Reverse((at, due)));
    }

    /// The time of the next wake-up.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes one entry that is due.
    pub(crate) fn pop_due(&mut self, now: Duration) -> Option<Due> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, due))| due)
    }

    /// Drops the deadlines of allocations that are gone, once they are the majority: clients that come and go must not
    /// leave a trail as long as a lifetime.
    pub(crate) fn compact<T, C>(
        &mut self,
        live: &Slab<T>,
        connections: &HashMap<ConnectionId, C, RandomState>,
    ) {
        if self.heap.len() > 2 * (live.len() + connections.len()) + 256 {
            self.heap.retain(|Reverse((_, due))| match due {
                Due::Allocation(key) => live.get(*key).is_some(),
                Due::Connection(id) => connections.contains_key(id),
                Due::Reservation(_) => true,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, time::Duration};

    use super::{Due, Timers};
    use crate::slab::Slab;

    #[test]
    fn deadlines_come_in_order_and_not_before_their_time() {
        let mut slab = Slab::default();
        let (early, late) = (slab.insert(()).unwrap(), slab.insert(()).unwrap());
        let mut timers = Timers::default();
        let at = Duration::from_secs;
        timers.arm(at(20), Due::Allocation(late));
        timers.arm(at(10), Due::Allocation(early));
        assert_eq!((timers.next(), timers.pop_due(at(9))), (Some(at(10)), None));
        assert_eq!(timers.pop_due(at(30)), Some(Due::Allocation(early)));
        assert_eq!(timers.pop_due(at(30)), Some(Due::Allocation(late)));
        assert_eq!(timers.pop_due(at(30)), None);
    }

    #[test]
    fn allocations_that_come_and_go_leave_no_trail() {
        let mut slab = Slab::default();
        let mut timers = Timers::default();
        for _ in 0..10_000 {
            let key = slab.insert(()).unwrap();
            timers.arm(Duration::from_secs(600), Due::Allocation(key));
            slab.remove(key);
            timers.compact(&slab, &HashMap::<_, (), _>::default());
        }
        assert!(timers.heap.len() <= 257, "{}", timers.heap.len());
    }
}
