//! Deadlines of allocations in a heap: one entry of each is of use, and none is searched for.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use crate::{ConnectionId, reservation::Token, slab::Key};

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
    /// How many were left when those of no use were last dropped.
    kept: usize,
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

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Drops the deadlines that are of no use any more, once they are the majority: clients that come and go, or change their
    /// minds, must not leave a trail as long as a lifetime. `holders` are those that have a deadline.
    ///
    /// What is left counts for the next time, so that nobody can make this happen at every step.
    pub(crate) fn compact(&mut self, holders: usize, is_of_use: impl Fn(Duration, Due) -> bool) {
        let expected = holders.max(self.kept);
        if self.heap.len() > 2 * expected + 256 {
            self.heap.retain(|Reverse((at, due))| is_of_use(*at, *due));
            self.kept = self.heap.len();
        }
        // Who has held many and holds few now is not to be remembered for ever.
        self.kept = self.kept.min(self.heap.len());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
            timers.compact(0, |_, _| false);
        }
        assert!(timers.len() <= 257, "{}", timers.len());
    }

    /// Of what is of use there may be more than holders, and then looking for what is not would happen at every step.
    #[test]
    fn what_stays_is_not_looked_through_again_and_again() {
        let mut slab = Slab::default();
        let mut timers = Timers::default();
        let looks = std::cell::Cell::new(0_u32);
        for seconds in 0..10_000 {
            let key = slab.insert(()).unwrap();
            timers.arm(Duration::from_secs(seconds), Due::Allocation(key));
            timers.compact(0, |_, _| {
                looks.set(looks.get() + 1);
                true
            });
        }
        assert!(looks.get() < 40_000, "{} looks", looks.get());
        while timers.pop_due(Duration::MAX).is_some() {}
        timers.compact(0, |_, _| true);
        assert_eq!(timers.kept, 0);
    }
}
