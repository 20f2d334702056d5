//! A rest after a turn, so that more packets come together: one waking, one traversal of the system's stack, for many of them.
//!
//! A worker that is idle waits for packets as ever, and the first one is served at once. Where the next packet comes within
//! the budget anyway, the worker sleeps instead of waiting for it, as long as its rests bring several packets each.

use std::time::Duration;

/// By how much a sleep may end late on a machine that is not busy: the timer's slack, which is 50 µs for an ordinary thread, and
/// the switch to it. It is taken off the budget.
const LATE: Duration = Duration::from_micros(60);

/// The longest rest. Commands, timers and connections wait as well, and no call is well served by more.
const LONGEST: Duration = Duration::from_millis(20);

/// Packets that a rest must bring for the next one to pay: one would have come as soon by itself.
const WORTHWHILE: usize = 2;

/// When a worker rests.
#[derive(Debug)]
pub(super) struct Resting {
    /// Length of a rest; zero where there is none.
    rest: Duration,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Waits for packets.
    Waiting,
    /// The last turn came after a rest.
    Rested,
}

impl Resting {
    /// Rests such that no packet waits longer than `budget`; without one there is no rest.
    pub(super) fn new(budget: Option<Duration>) -> Self {
        Self {
            rest: budget.unwrap_or_default().min(LONGEST).saturating_sub(LATE),
            state: State::Waiting,
        }
    }

    /// Whether there is ever a rest.
    pub(super) fn is_wanted(&self) -> bool {
        !self.rest.is_zero()
    }

    /// How long to rest after a turn that has served so many packets; `since` is how long ago the turn before it began, and
    /// `more` whether something is ready still.
    pub(super) fn after_turn(
        &mut self,
        packets: usize,
        since: Duration,
        more: bool,
    ) -> Option<Duration> {
        if self.rest.is_zero() {
            return None;
        }
        let pays = match self.state {
            State::Waiting => packets > 0 && since < self.rest,
            State::Rested => packets >= WORTHWHILE,
        };
        let rests = pays && !more;
        self.state = match rests {
            true => State::Rested,
            false if more => self.state,
            false => State::Waiting,
        };
        rests.then_some(self.rest)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LATE, Resting};

    const BUDGET: Duration = Duration::from_micros(500);
    const REST: Duration = BUDGET.saturating_sub(LATE);
    const SOON: Duration = Duration::from_micros(50);
    const LATER: Duration = Duration::from_millis(20);

    #[test]
    fn without_a_budget_or_with_one_shorter_than_a_timer_nobody_rests() {
        for budget in [None, Some(Duration::ZERO), Some(LATE)] {
            assert_eq!(Resting::new(budget).after_turn(64, SOON, false), None);
        }
    }

    #[test]
    fn an_idle_worker_never_rests() {
        let mut resting = Resting::new(Some(BUDGET));
        for _ in 0..100 {
            assert_eq!(
                resting.after_turn(1, LATER, false),
                None,
                "voice of one call"
            );
            assert_eq!(
                resting.after_turn(0, SOON, false),
                None,
                "a command, a timer"
            );
        }
    }

    #[test]
    fn a_rest_and_what_may_come_late_are_within_the_budget() {
        let mut resting = Resting::new(Some(BUDGET));
        assert_eq!(resting.after_turn(1, SOON, false), Some(REST));
        assert!(REST + LATE <= BUDGET);
    }

    #[test]
    fn rests_go_on_while_they_bring_packets_together_and_end_with_the_first_that_does_not() {
        let mut resting = Resting::new(Some(BUDGET));
        assert!(resting.after_turn(1, SOON, false).is_some());
        // After a rest nobody waits: what was to be waited for is there.
        for _ in 0..10 {
            assert!(resting.after_turn(9, Duration::ZERO, false).is_some());
        }
        assert_eq!(resting.after_turn(1, Duration::ZERO, false), None);
        assert_eq!(resting.after_turn(1, LATER, false), None);
    }

    #[test]
    fn who_has_more_to_do_does_it_first() {
        let mut resting = Resting::new(Some(BUDGET));
        assert_eq!(resting.after_turn(1024, SOON, true), None);
        assert_eq!(resting.after_turn(500, SOON, false), Some(REST));
        assert_eq!(resting.after_turn(1024, Duration::ZERO, true), None);
        assert_eq!(resting.after_turn(2, Duration::ZERO, false), Some(REST));
    }
}
