//! The rates of users and networks whose last allocation has ended: kept until they are at rest, for whoever ends and begins
//! anew would have a second's worth each time.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    sync::Arc,
    time::Duration,
};

use crate::meter::Pace;

/// Whose rate it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Whose {
    User(Arc<str>),
    Network(u64),
}

/// Such rates. None is kept for longer than it takes to come to rest.
#[derive(Debug, Default)]
pub(crate) struct Resting {
    paces: HashMap<Whose, Arc<Pace>>,
    /// When to look at each, soonest first.
    turns: BinaryHeap<Reverse<(Duration, Whose)>>,
}

impl Resting {
    /// Keeps the rate of somebody who has nothing left; one that was never used is not worth it.
    pub(crate) fn keep(&mut self, whose: Whose, pace: &Arc<Pace>) {
        let until = pace.rests_at();
        if !until.is_zero() {
            self.turns.push(Reverse((until, whose.clone())));
            self.paces.insert(whose, Arc::clone(pace));
        }
    }

    /// The rate that somebody goes on with.
    pub(crate) fn of(&self, whose: &Whose) -> Option<Arc<Pace>> {
        self.paces.get(whose).map(Arc::clone)
    }

    /// Forgets what is at rest by now.
    pub(crate) fn forget(&mut self, now: Duration) {
        while (self.turns.peek()).is_some_and(|Reverse((until, _))| *until <= now)
            && let Some(Reverse((_, whose))) = self.turns.pop()
        {
            let Some(pace) = self.paces.get(&whose) else {
                continue;
            };
            let until = pace.rests_at();
            if until <= now {
                self.paces.remove(&whose);
            } else {
                self.turns.push(Reverse((until, whose)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{Resting, Whose};
    use crate::{
        Caps, Good, Holder,
        meter::{Direction, Meter, Pace},
    };

    #[test]
    fn a_rate_is_kept_until_it_is_at_rest_and_no_longer() {
        let caps = Caps::default().with(Holder::User, Good::PacketsPerSecond, 1);
        let (now, mut resting) = (Duration::from_secs(5), Resting::default());
        let [used, unused] = [Arc::new(Pace::default()), Arc::new(Pace::default())];
        let meter = Meter::new(Arc::clone(&used), None, Arc::default());
        assert!(meter.take(&caps, now, Direction::ToPeer, 1).is_ok());
        resting.keep(Whose::Network(7), &unused);
        let user = Whose::User("ann".into());
        for _ in 0..3 {
            resting.keep(user.clone(), &used);
        }
        assert!(resting.of(&Whose::Network(7)).is_none());
        // It goes on being used meanwhile.
        assert!(meter.take(&caps, now, Direction::ToPeer, 1).is_ok());
        for (at, kept) in [(5, true), (6, true), (7, false)] {
            resting.forget(Duration::from_secs(at));
            assert_eq!(resting.of(&user).is_some(), kept, "{at} s");
        }
        assert!(resting.paces.is_empty() && resting.turns.is_empty());
    }
}
