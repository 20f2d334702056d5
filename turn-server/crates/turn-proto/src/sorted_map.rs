//! A map in one sorted vector: compact for the few entries that a session has, and still logarithmic for the many.

/// Keys and values in the order of the keys.
#[derive(Debug)]
pub(crate) struct SortedMap<K, V> {
    entries: Vec<(K, V)>,
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
        }
    }
}

impl<K: Ord + Copy, V> SortedMap<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.position(key)
            .ok()
            .and_then(|at| self.entries.get(at))
            .map(|(_, value)| value)
    }

    /// Inserts or replaces; returns whether the key is new.
    pub(crate) fn insert(&mut self, key: K, value: V) -> bool {
        match self.position(&key) {
            Ok(at) => {
                if let Some(entry) = self.entries.get_mut(at) {
                    entry.1 = value;
                }
                false
            }
            Err(at) => {
                // One more, not twice as many: most sessions hold one or two entries for their whole life.
                self.entries.reserve_exact(1 + self.entries.len() / 2);
                self.entries.insert(at, (key, value));
                true
            }
        }
    }

    /// Keeps what `keep` approves and returns how many entries went.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) -> usize {
        let before = self.entries.len();
        self.entries.retain_mut(|(key, value)| keep(key, value));
        before - self.entries.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.entries.iter()
    }

    #[inline]
    fn position(&self, key: &K) -> Result<usize, usize> {
        self.entries.binary_search_by(|(held, _)| held.cmp(key))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::{any, proptest};

    use super::SortedMap;

    proptest! {
        #[test]
        fn behaves_like_a_tree_map(steps: Vec<(u8, u8, bool)>, probe in any::<u8>()) {
            let (mut ours, mut model) = (SortedMap::default(), BTreeMap::new());
            for (key, value, insert) in steps {
                if insert {
                    assert_eq!(ours.insert(key, value), model.insert(key, value).is_none());
                } else {
                    let before = model.len();
                    model.retain(|k, _| *k != key);
                    assert_eq!(ours.retain(|k, _| *k != key), before - model.len());
                }
                assert_eq!(ours.len(), model.len());
            }
            assert_eq!(ours.get(&probe), model.get(&probe));
            assert!(ours.iter().map(|(k, v)| (k, v)).eq(model.iter()));
        }
    }
}
