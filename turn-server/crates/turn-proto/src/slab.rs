//! Numbered places for values: freed numbers are used again, and a stale reference is noticed by its generation.

/// A reference to a value that may have gone since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// The number of the place.
    pub(crate) fn index(self) -> u32 {
        self.index
    }
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    value: Option<Box<T>>,
}

/// Values by number. Values are boxed, so that growing the table moves pointers only.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    /// Stores a value; `None` when four billion are stored.
    pub(crate) fn insert(&mut self, value: T) -> Option<Key> {
        let value = Some(Box::new(value));
        if let Some(index) = self.free.pop() {
            let place = self.places.get_mut(index as usize)?;
            place.value = value;
            return Some(Key {
                index,
                generation: place.generation,
            });
        }
        let index = u32::try_from(self.places.len()).ok()?;
        self.places.push(Place {
            generation: 0,
            value,
        });
        Some(Key {
            index,
            generation: 0,
        })
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let place = self.places.get_mut(key.index as usize)?;
        if place.generation == key.generation {
            place.value.as_deref_mut()
        } else {
            None
        }
    }

    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let place = self.places.get(key.index as usize)?;
        if place.generation == key.generation {
            place.value.as_deref()
        } else {
            None
        }
    }

    /// The value at a number, whoever it is.
    #[inline]
    pub(crate) fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        self.places.get_mut(index as usize)?.value.as_deref_mut()
    }

    /// The key of the value at a number.
    #[inline]
    pub(crate) fn key_at(&self, index: u32) -> Option<Key> {
        let place = self
            .places
            .get(index as usize)
            .filter(|place| place.value.is_some())?;
        Some(Key {
            index,
            generation: place.generation,
        })
    }

    /// How many numbers have ever been in use at once: all values are below.
    pub(crate) fn places(&self) -> u32 {
        u32::try_from(self.places.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<Box<T>> {
        let place = self.places.get_mut(key.index as usize)?;
        if place.generation != key.generation {
            return None;
        }
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(key.index);
        Some(value)
    }

    /// Keys of all values, for rare work on every one of them.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let held = self
            .places
            .iter()
            .enumerate()
            .filter(|(_, place)| place.value.is_some());
        held.filter_map(|(index, place)| {
            Some(Key {
                index: u32::try_from(index).ok()?,
                generation: place.generation,
            })
        })
        .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Slab;

    #[test]
    fn a_reused_place_does_not_answer_to_the_old_key() {
        let mut slab = Slab::default();
        let old = slab.insert('a').unwrap();
        slab.remove(old);
        let new = slab.insert('b').unwrap();
        assert_eq!(old.index(), new.index());
        assert_eq!((slab.get(old), slab.get(new)), (None, Some(&'b')));
        assert!(slab.remove(old).is_none());
        assert_eq!(slab.len(), 1);
    }
}
