//! Connections that have begun to open and are not open yet: how long they may take, and how many there may be.
//!
//! Not in here: those that are open or silent and have no allocation (`idle.rs`).

use std::{collections::VecDeque, time::Duration};

use turn_proto::LinkId;

/// The turns of connections that may have to be closed, soonest first.
pub(crate) struct Openings {
    patience: Duration,
    turns: VecDeque<(Duration, LinkId)>,
}

impl Openings {
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            patience,
            turns: VecDeque::new(),
        }
    }

    /// Changes the patience. No turn is later than it would be for a new connection, which keeps them in order.
    pub(crate) fn set_patience(&mut self, now: Duration, patience: Duration) {
        self.patience = patience;
        for (at, _) in &mut self.turns {
            *at = (*at).min(now + patience);
        }
    }

    /// Begins to watch a connection.
    pub(crate) fn watch(&mut self, now: Duration, link: LinkId) {
        self.turns.push_back((now + self.patience, link));
    }

    /// When the next look is due.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.turns.front().map(|(at, _)| *at)
    }

    /// The connection that has been opening for longest.
    pub(crate) fn oldest(&mut self, is_opening: impl Fn(LinkId) -> bool) -> Option<LinkId> {
        while let Some((_, link)) = self.turns.pop_front() {
            if is_opening(link) {
                return Some(link);
            }
        }
        None
    }

    /// A connection whose time is over and that is still opening.
    pub(crate) fn overdue(
        &mut self,
        now: Duration,
        is_opening: impl Fn(LinkId) -> bool,
    ) -> Option<LinkId> {
        while let Some((_, link)) = self.turns.pop_front_if(|(at, _)| *at <= now) {
            if is_opening(link) {
                return Some(link);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use turn_proto::LinkId;

    use super::Openings;

    #[test]
    fn less_patience_is_felt_by_those_who_wait_and_more_by_those_who_come() {
        let second = Duration::from_secs;
        let mut openings = Openings::new(second(100));
        openings.watch(second(0), LinkId(1));
        openings.set_patience(second(10), second(5));
        assert_eq!(openings.next(), Some(second(15)));
        openings.set_patience(second(11), second(50));
        openings.watch(second(11), LinkId(2));
        assert_eq!(openings.overdue(second(15), |_| true), Some(LinkId(1)));
        assert_eq!(openings.next(), Some(second(61)));
    }

    #[test]
    fn who_is_still_opening_when_the_time_is_over_is_named_once() {
        let second = Duration::from_secs;
        let mut openings = Openings::new(second(10));
        for (at, link) in [(0, 1), (1, 2), (2, 3)] {
            openings.watch(second(at), LinkId(link));
        }
        assert_eq!(openings.next(), Some(second(10)));
        let open = |link| link != LinkId(1);
        assert_eq!(openings.overdue(second(9), |_| true), None);
        assert_eq!(openings.overdue(second(11), open), Some(LinkId(2)));
        assert_eq!(openings.overdue(second(11), open), None);
        assert_eq!(openings.overdue(second(12), open), Some(LinkId(3)));
        assert_eq!(openings.next(), None);
    }

    #[test]
    fn the_oldest_that_is_still_opening_is_named_once() {
        let second = Duration::from_secs;
        let mut openings = Openings::new(second(10));
        for link in 1..=4 {
            openings.watch(second(link), LinkId(link as u32));
        }
        let open = |link| link != LinkId(1) && link != LinkId(3);
        assert_eq!(openings.oldest(open), Some(LinkId(2)));
        assert_eq!(openings.oldest(open), Some(LinkId(4)));
        assert_eq!((openings.oldest(|_| true), openings.next()), (None, None));
    }
}
