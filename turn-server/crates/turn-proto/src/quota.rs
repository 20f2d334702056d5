//! Allocations per user and in total, over all workers. A ticket counts as long as it lives.
//!
//! The map is behind a mutex: it is touched when an allocation is made or ends, never by a relayed packet.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Which limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaReached {
    /// The user has as many allocations as a user may have.
    User,
    /// The server has as many allocations as it may have.
    Total,
}

/// Counts allocations against limits; a limit of zero means none.
#[derive(Debug, Default)]
pub struct Quotas {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    per_user: u32,
    total: u32,
    users: HashMap<Arc<str>, u32>,
    count: u32,
}

/// One allocation, counted until dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    quotas: Arc<Quotas>,
    user: Arc<str>,
}

impl Quotas {
    /// Makes a count with limits per user and in total; zero is unlimited.
    pub fn new(per_user: u32, total: u32) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                per_user,
                total,
                ..State::default()
            }),
        })
    }

    /// Changes the limits; what exceeds them already stays.
    pub fn limit(&self, per_user: u32, total: u32) {
        self.with(|state| (state.per_user, state.total) = (per_user, total));
    }

    /// How many allocations are counted.
    pub fn count(&self) -> u32 {
        self.with(|state| state.count)
    }

    pub(crate) fn claim(self: &Arc<Self>, user: &Arc<str>) -> Result<Ticket, QuotaReached> {
        self.with(|state| {
            if state.total != 0 && state.count >= state.total {
                return Err(QuotaReached::Total);
            }
            let held = state.users.get(user).copied().unwrap_or(0);
            // Nobody in particular, by an access token or without authentication, counts in total only (coturn does the same).
            if state.per_user != 0 && held >= state.per_user && !user.is_empty() {
                return Err(QuotaReached::User);
            }
            state.users.insert(Arc::clone(user), held + 1);
            state.count += 1;
            Ok(Ticket {
                quotas: Arc::clone(self),
                user: Arc::clone(user),
            })
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        // Numbers are consistent after every step, so a panic elsewhere does not spoil them.
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.quotas.with(|state| {
            state.count = state.count.saturating_sub(1);
            if let Some(held) = state.users.get_mut(&self.user) {
                *held = held.saturating_sub(1);
                if *held == 0 {
                    state.users.remove(&self.user);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{QuotaReached, Quotas};

    #[test]
    fn limits_hold_and_tickets_come_back() {
        let quotas = Quotas::new(2, 3);
        let (ann, bob): (Arc<str>, Arc<str>) = ("ann".into(), "bob".into());
        let first = quotas.claim(&ann).unwrap();
        let _second = quotas.claim(&ann).unwrap();
        assert_eq!(quotas.claim(&ann).unwrap_err(), QuotaReached::User);
        let _third = quotas.claim(&bob).unwrap();
        assert_eq!(quotas.claim(&bob).unwrap_err(), QuotaReached::Total);
        drop(first);
        assert_eq!(quotas.count(), 2);
        assert!(quotas.claim(&ann).is_ok());
    }

    #[test]
    fn users_without_a_name_share_no_limit_but_the_total() {
        let quotas = Quotas::new(1, 3);
        let nobody: Arc<str> = "".into();
        let held: Vec<_> = (0..3).map(|_| quotas.claim(&nobody).unwrap()).collect();
        assert_eq!(quotas.claim(&nobody).unwrap_err(), QuotaReached::Total);
        drop(held);
        assert_eq!(quotas.count(), 0);
    }
}
