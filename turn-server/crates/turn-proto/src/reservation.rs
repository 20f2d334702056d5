//! Ports held for a second allocation (EVEN-PORT with R, RESERVATION-TOKEN; RFC 8656 §7.2).
//!
//! Shared by all workers: the second Allocate comes from another port of the client and may reach another worker. A
//! reservation counts against its user's quota like the allocation that it becomes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{PortClaim, quota::Ticket};

/// A reservation's name on the wire.
pub(crate) type Token = [u8; 8];

/// Reserved ports by token. Bounded by the number of ports.
#[derive(Debug, Default)]
pub(crate) struct Reservations {
    held: Mutex<HashMap<Token, Reservation>>,
}

/// A port that one user may take up.
#[derive(Debug)]
pub(crate) struct Reservation {
    pub(crate) user: Arc<str>,
    pub(crate) claim: PortClaim,
    pub(crate) ticket: Ticket,
    pub(crate) expires_at: Duration,
}

impl Reservations {
    pub(crate) fn hold(&self, token: Token, reservation: Reservation) {
        self.with(|held| held.insert(token, reservation));
    }

    /// Takes a port up, once, for the user who reserved it.
    pub(crate) fn take(&self, token: Token, user: &str, now: Duration) -> Option<Reservation> {
        self.with(|held| {
            let good = |held: &Reservation| *held.user == *user && held.expires_at > now;
            if held.get(&token).is_some_and(good) {
                held.remove(&token)
            } else {
                None
            }
        })
    }

    /// Gives up a port that nobody has taken up in time.
    pub(crate) fn expire(&self, token: Token, now: Duration) -> Option<PortClaim> {
        let late = |held: &Reservation| held.expires_at <= now;
        let gone = self.with(|held| {
            if held.get(&token).is_some_and(late) {
                held.remove(&token)
            } else {
                None
            }
        });
        gone.map(|reservation| reservation.claim)
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<Token, Reservation>) -> T) -> T {
        work(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{Reservation, Reservations};
    use crate::{Caps, PortPool, Quotas, ports::Want};

    #[test]
    fn a_token_is_good_once_in_time_and_for_its_user() {
        let ip = "127.0.0.1".parse().unwrap();
        let (pool, quotas) = (PortPool::new(&[ip], 50_000..=50_001), Quotas::new(0, 0));
        let reservations = Reservations::default();
        let (ann, at): (Arc<str>, _) = ("ann".into(), Duration::from_secs);
        for token in [[1; 8], [2; 8]] {
            let (claim, ticket) = (
                pool.claim(ip, Want::Any, 0).unwrap().0,
                quotas.claim(&Caps::default(), &ann, ip, at(0)).unwrap(),
            );
            let reservation = Reservation {
                user: ann.clone(),
                claim,
                ticket,
                expires_at: at(30),
            };
            reservations.hold(token, reservation);
        }
        assert!(reservations.take([1; 8], "bob", at(29)).is_none());
        assert!(reservations.take([1; 8], "ann", at(29)).is_some());
        assert!(reservations.take([1; 8], "ann", at(29)).is_none());
        assert!(reservations.expire([2; 8], at(29)).is_none());
        assert_eq!((pool.claimed(), quotas.count()), (1, 1));
        assert!(reservations.take([2; 8], "ann", at(30)).is_none());
        assert!(reservations.expire([2; 8], at(30)).is_some());
        assert_eq!((pool.claimed(), quotas.count()), (0, 0));
    }
}
