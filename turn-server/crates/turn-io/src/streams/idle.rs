//! Who has been connected without an allocation for too long.
//!
//! Every connection is looked at once per time of patience, in the order of their turns, so no look scans them all. One
//! without an allocation at two looks in a row, or at its first, has been without for long enough to be closed.

use std::{collections::VecDeque, time::Duration};

use turn_proto::LinkId;

/// Turns that one search for a stranger passes over at most. Those passed over come last, so the next search begins behind them.
const LOOKS: usize = 64;

/// What a look at a connection found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// It has an allocation.
    Allocated,
    /// It has none.
    Stranger,
    /// It is gone.
    Gone,
}

/// The turns of all connections, soonest first.
pub(crate) struct Idle {
    patience: Duration,
    turns: VecDeque<Turn>,
}

struct Turn {
    at: Duration,
    link: LinkId,
    warned: bool,
}

impl Idle {
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            patience,
            turns: VecDeque::new(),
        }
    }

    /// Changes the patience. No turn is later than it would be for a new connection, which keeps them in order.
    pub(crate) fn set_patience(&mut self, now: Duration, patience: Duration) {
        self.patience = patience;
        for turn in &mut self.turns {
            turn.at = turn.at.min(now + patience);
        }
    }

    /// Begins to watch a new connection.
    pub(crate) fn watch(&mut self, now: Duration, link: LinkId) {
        self.turns.push_back(Turn {
            at: now + self.patience,
            link,
            warned: true,
        });
    }

    /// When the next look is due.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.turns.front().map(|turn| turn.at)
    }

    /// Looks at connections whose turn has come and names one that has been idle too long.
    pub(crate) fn overdue(
        &mut self,
        now: Duration,
        mut look: impl FnMut(LinkId) -> Found,
    ) -> Option<LinkId> {
        while let Some(turn) = self.turns.pop_front_if(|turn| turn.at <= now) {
            let found = look(turn.link);
            match found {
                Found::Gone => {}
                Found::Stranger if turn.warned => return Some(turn.link),
                Found::Allocated | Found::Stranger => self.look_again(now, turn.link, found),
            }
        }
        None
    }

    /// Names the connection without an allocation that has been watched for longest.
    pub(crate) fn oldest(
        &mut self,
        now: Duration,
        mut look: impl FnMut(LinkId) -> Found,
    ) -> Option<LinkId> {
        for _ in 0..LOOKS {
            let turn = self.turns.pop_front()?;
            match look(turn.link) {
                Found::Gone => {}
                Found::Stranger => return Some(turn.link),
                Found::Allocated => self.look_again(now, turn.link, Found::Allocated),
            }
        }
        None
    }

    fn look_again(&mut self, now: Duration, link: LinkId, found: Found) {
        self.turns.push_back(Turn {
            at: now + self.patience,
            link,
            warned: found == Found::Stranger,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use turn_proto::LinkId;

    use super::{Found, Idle};

    const LINK: LinkId = LinkId(5);
    const PATIENCE: Duration = Duration::from_secs(60);
    const START: Duration = Duration::from_secs(100);

    fn watched() -> Idle {
        let mut idle = Idle::new(PATIENCE);
        idle.watch(START, LINK);
        idle
    }

    #[test]
    fn a_stranger_is_overdue_after_the_patience_and_not_before() {
        let mut idle = watched();
        assert_eq!(idle.next(), Some(START + PATIENCE));
        assert_eq!(
            idle.overdue(START + PATIENCE - Duration::from_nanos(1), |_| {
                Found::Stranger
            }),
            None
        );
        assert_eq!(
            idle.overdue(START + PATIENCE, |_| Found::Stranger),
            Some(LINK)
        );
        assert_eq!(idle.next(), None);
    }

    #[test]
    fn who_loses_its_allocation_gets_the_full_patience_again() {
        let mut idle = watched();
        let looks = [
            Found::Allocated,
            Found::Stranger,
            Found::Allocated,
            Found::Stranger,
            Found::Stranger,
        ];
        let results = (1..)
            .zip(looks)
            .map(|(round, found)| idle.overdue(START + PATIENCE * round, |_| found));
        assert_eq!(
            results.collect::<Vec<_>>(),
            [None, None, None, None, Some(LINK)]
        );
    }

    #[test]
    fn a_connection_that_is_gone_is_forgotten() {
        let mut idle = watched();
        assert_eq!(idle.overdue(START + PATIENCE, |_| Found::Gone), None);
        assert_eq!(idle.next(), None);
    }

    #[test]
    fn all_overdue_connections_are_named_one_by_one() {
        let mut idle = watched();
        idle.watch(START, LinkId(6));
        let now = START + PATIENCE;
        let named = std::iter::from_fn(|| idle.overdue(now, |_| Found::Stranger));
        assert_eq!(named.collect::<Vec<_>>(), [LINK, LinkId(6)]);
    }
}
