//! Ports held for a second allocation (EVEN-PORT with R, RESERVATION-TOKEN; RFC 8656 §7.2).
//!
//! Shared by all workers: the second Allocate comes from another port of the client and may reach another worker.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::PortClaim;

/// A reservation's name on the wire.
pub(crate) type Token = [u8; 8];

/// Reserved ports by token. Bounded by the number of ports.
#[derive(Debug, Default)]
pub(crate) struct Reservations {
    held: Mutex<HashMap<Token, Reservation>>,
}

#[derive(Debug)]
struct Reservation {
    claim: PortClaim,
    expires_at: Duration,
}

impl Reservations {
    pub(crate) fn hold(&self, token: Token, claim: PortClaim, expires_at: Duration) {
        self.with(|held| held.insert(token, Reservation { claim, expires_at }));
    }

    /// Takes a port up, once.
    pub(crate) fn take(&self, token: Token, now: Duration) -> Option<PortClaim> {
        let found = self.with(|held| held.remove(&token))?;
        (found.expires_at > now).then_some(found.claim)
    }

    /// Returns the ports that nobody has taken up in time.
    pub(crate) fn expire(&self, now: Duration) {
        self.with(|held| held.retain(|_, reservation| reservation.expires_at > now));
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<Token, Reservation>) -> T) -> T {
        work(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Reservations;
    use crate::{PortPool, ports::Want};

    #[test]
    fn a_token_is_good_once_and_only_in_time() {
        let ip = "127.0.0.1".parse().unwrap();
        let pool = PortPool::new(&[ip], 50_000..=50_001);
        let reservations = Reservations::default();
        let at = Duration::from_secs;
        reservations.hold([1; 8], pool.claim(ip, Want::Any, 0).unwrap(), at(30));
        reservations.hold([2; 8], pool.claim(ip, Want::Any, 0).unwrap(), at(30));
        assert!(reservations.take([1; 8], at(29)).is_some());
        assert!(reservations.take([1; 8], at(29)).is_none());
        assert_eq!(pool.claimed(), 1);
        reservations.expire(at(29));
        assert_eq!(pool.claimed(), 1);
        reservations.expire(at(30));
        assert_eq!(pool.claimed(), 0);
    }
}
