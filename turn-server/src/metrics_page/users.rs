//! Traffic by user (`prometheus-username-labels`): counted when a session ends, as coturn counts it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use turn_proto::Traffic;

/// Users that have series of their own. A page with more than this serves nobody, and it is written at every look.
const MOST: usize = 10_000;

/// The name of all others.
const OTHERS: &str = "(others)";

/// What each user's sessions have relayed that are over.
#[derive(Default)]
pub(crate) struct UserTraffic(Mutex<BTreeMap<Box<str>, Traffic>>);

impl UserTraffic {
    /// Adds a session that is over.
    pub(crate) fn add(&self, user: &str, traffic: &Traffic) {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = users.contains_key(user);
        let user = if is_known || users.len() < MOST {
            user
        } else {
            OTHERS
        };
        let sum = users.entry(user.into()).or_default();
        sum.client_received_packets += traffic.client_received_packets;
        sum.client_received_bytes += traffic.client_received_bytes;
        sum.client_sent_packets += traffic.client_sent_packets;
        sum.client_sent_bytes += traffic.client_sent_bytes;
        sum.peer_received_packets += traffic.peer_received_packets;
        sum.peer_received_bytes += traffic.peer_received_bytes;
        sum.peer_sent_packets += traffic.peer_sent_packets;
        sum.peer_sent_bytes += traffic.peer_sent_bytes;
    }

    /// All of it, by user.
    pub(super) fn sums(&self) -> Vec<(Box<str>, Traffic)> {
        let users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        users
            .iter()
            .map(|(user, sum)| (user.clone(), *sum))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use turn_proto::Traffic;

    use super::{MOST, UserTraffic};

    #[test]
    fn sessions_add_up_and_the_page_has_an_end() {
        let users = UserTraffic::default();
        let one = Traffic {
            peer_sent_bytes: 100,
            ..Traffic::default()
        };
        for number in 0..MOST + 5 {
            users.add(&format!("user{number}"), &one);
        }
        users.add("user7", &one);
        let sums = users.sums();
        let of = |name: &str| {
            let found = sums.iter().find(|(user, _)| **user == *name);
            found.map(|(_, sum)| sum.peer_sent_bytes)
        };
        assert_eq!(sums.len(), MOST + 1);
        assert_eq!((of("user7"), of("(others)")), (Some(200), Some(500)));
    }
}
