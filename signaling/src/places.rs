//! The places of connections, and of conversations that have none of their own: how many there are, and who makes room when they
//! are taken.
//!
//! Whoever opens connections by the thousand and says just enough on each to keep it would keep everybody else out. So a newcomer
//! takes the place of the connection that has asked for nothing for longest; if all are being answered, of the one that was asked
//! first. WebSockets keep theirs: whoever has one has been let in, and limits of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The places of one site.
pub(crate) struct Places {
    limit: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    /// Places that are taken.
    taken: usize,
    /// Who may have to make room, in the order in which they do.
    removable: BTreeMap<Rank, Arc<Notify>>,
    next: u64,
}

/// Whether a request is being answered, and since when it is so, counted in such changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    is_busy: bool,
    since: u64,
}

/// A place, free again when it is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    removal: Arc<Notify>,
    /// Where it stands among those that may have to make room.
    rank: Mutex<Option<Rank>>,
}

impl Places {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            table: Mutex::default(),
        })
    }

    /// Gives a place, and somebody else's if all are taken; `None` when nobody makes room.
    pub(crate) fn give(self: &Arc<Self>) -> Option<Arc<Place>> {
        let mut table = self.lock();
        if table.taken >= self.limit {
            let (_, removal) = table.removable.pop_first()?;
            removal.notify_one();
            // That place is this one from now on.
            table.taken -= 1;
        }
        table.taken += 1;
        let removal = Arc::<Notify>::default();
        let rank = table.enter(false, &removal);
        Some(Arc::new(Place {
            places: Arc::clone(self),
            removal,
            rank: Mutex::new(Some(rank)),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn enter(&mut self, is_busy: bool, removal: &Arc<Notify>) -> Rank {
        self.next += 1;
        let since = self.next;
        let rank = Rank { is_busy, since };
        self.removable.insert(rank, Arc::clone(removal));
        rank
    }
}

impl Place {
    /// Waits until somebody else has it.
    pub(crate) async fn is_lost(&self) {
        self.removal.notified().await;
    }

    /// What is notified when somebody else has it, for one who does not hold it.
    pub(crate) fn removal(&self) -> Arc<Notify> {
        Arc::clone(&self.removal)
    }

    /// Notes that a request begins to be answered, or that none is any more.
    pub(crate) fn is_busy(&self, is_busy: bool) {
        self.stand(|table| Some(table.enter(is_busy, &self.removal)));
    }

    /// Keeps it for good.
    pub(crate) fn keep(&self) {
        self.stand(|_| None);
    }

    /// Stands elsewhere from now on, unless the place is lost already or kept.
    fn stand(&self, elsewhere: impl FnOnce(&mut Table) -> Option<Rank>) {
        let mut rank = self.rank.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = self.places.lock();
        if let Some(before) = *rank
            && table.removable.remove(&before).is_some()
        {
            *rank = elsewhere(&mut table);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let rank = self.rank.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut table = self.places.lock();
        let is_lost = rank.is_some_and(|rank| table.removable.remove(&rank).is_none());
        if !is_lost {
            table.taken -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Notify;

    use super::{Place, Places};

    fn is_lost(place: &Place) -> bool {
        let notified: &Notify = &place.removal;
        let mut waiting = std::pin::pin!(notified.notified());
        waiting.as_mut().enable()
    }

    #[test]
    fn who_has_asked_for_nothing_for_longest_makes_room_and_who_is_answered_comes_last() {
        let places = Places::new(3);
        let [asked, idle, busy] = [(); 3].map(|()| places.give().unwrap());
        busy.is_busy(true);
        asked.is_busy(true);
        asked.is_busy(false);
        let mut later = Vec::new();
        for expected in [&idle, &asked] {
            assert!(!is_lost(expected));
            let place = places.give().unwrap();
            place.is_busy(true);
            later.push(place);
            assert!(is_lost(expected));
        }
        later.push(places.give().unwrap());
        assert!(is_lost(&busy));
        // What became of their places is theirs no more.
        drop((asked, idle, busy));
        assert_eq!(places.lock().taken, 3);
        drop(later);
        let table = places.lock();
        assert_eq!((table.taken, table.removable.len()), (0, 0));
    }

    #[test]
    fn who_keeps_a_place_makes_no_room_until_it_goes() {
        let places = Places::new(1);
        let kept = places.give().unwrap();
        kept.is_busy(true);
        kept.keep();
        // Such as the end of the request that it was kept with.
        kept.is_busy(false);
        assert!(places.give().is_none());
        drop(kept);
        assert!(places.give().is_some());
    }

    #[test]
    fn a_place_that_is_lost_is_not_found_again() {
        let places = Places::new(1);
        let lost = places.give().unwrap();
        let next = places.give().unwrap();
        lost.is_busy(true);
        lost.keep();
        drop(Arc::clone(&lost));
        drop(lost);
        assert_eq!(places.lock().taken, 1);
        drop(next);
        assert_eq!(places.lock().taken, 0);
    }
}
