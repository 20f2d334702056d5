//! What the hub wants to be woken for.
//!
//! In: one deadline per key, the earliest first. Not in: what happens then.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Deadlines by key; each key has at most one, so that their number is bounded by what they belong to.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(
    serialize = "K: Serialize",
    deserialize = "K: Deserialize<'de> + Ord + Hash"
))]
pub(super) struct Timers<K> {
    by_key: HashMap<K, Duration>,
    by_time: BTreeSet<(Duration, K)>,
}

impl<K: Clone + Ord + Hash> Timers<K> {
    pub(super) fn new() -> Timers<K> {
        Timers {
            by_key: HashMap::new(),
            by_time: BTreeSet::new(),
        }
    }

    /// Sets the deadline of `key`, instead of the one that it had.
    pub(super) fn set(&mut self, key: K, at: Duration) {
        self.cancel(&key);
        self.by_key.insert(key.clone(), at);
        self.by_time.insert((at, key));
    }

    pub(super) fn is_set(&self, key: &K) -> bool {
        self.by_key.contains_key(key)
    }

    pub(super) fn cancel(&mut self, key: &K) {
        if let Some(at) = self.by_key.remove(key) {
            self.by_time.remove(&(at, key.clone()));
        }
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Duration> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes out a key whose deadline has come.
    pub(super) fn pop_due(&mut self, now: Duration) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_none_comes_early() {
        let mut timers = Timers::new();
        timers.set("late", Duration::from_secs(9));
        timers.set("early", Duration::from_secs(3));
        assert_eq!(timers.next(), Some(Duration::from_secs(3)));
        assert_eq!(timers.pop_due(Duration::from_secs(2)), None);
        assert_eq!(timers.pop_due(Duration::from_secs(9)), Some("early"));
        assert_eq!(timers.pop_due(Duration::from_secs(9)), Some("late"));
        assert_eq!((timers.pop_due(Duration::MAX), timers.len()), (None, 0));
    }

    #[test]
    fn a_key_set_again_or_cancelled_fires_once_or_never() {
        let mut timers = Timers::new();
        timers.set("a", Duration::from_secs(1));
        timers.set("a", Duration::from_secs(5));
        timers.set("b", Duration::from_secs(2));
        timers.cancel(&"b");
        assert_eq!(timers.pop_due(Duration::from_secs(4)), None);
        assert_eq!(timers.pop_due(Duration::from_secs(5)), Some("a"));
        assert_eq!(timers.len(), 0);
    }
}
