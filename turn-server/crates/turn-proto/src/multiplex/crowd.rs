//! Members that have something in common: a peer to which they have sent, or one whom they permit.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::Member;

pub(super) type Map<K, V> = HashMap<K, V, RandomState>;

/// Some members; never empty.
#[derive(Debug)]
pub(super) struct Crowd {
    /// The last to have shown itself.
    pub(super) last: Member,
    /// The last whom the peer itself has known.
    known: Option<Member>,
    pub(super) members: Vec<Member>,
}

impl Crowd {
    pub(super) fn join<K: std::hash::Hash + Eq>(crowds: &mut Map<K, Self>, key: K, member: Member) {
        let crowd = crowds.entry(key).or_insert_with(|| Self {
            last: member,
            known: None,
            members: Vec::new(),
        });
        crowd.last = member;
        crowd.members.push(member);
    }

    pub(super) fn leave<K: std::hash::Hash + Eq>(
        crowds: &mut Map<K, Self>,
        key: &K,
        member: Member,
    ) {
        let Some(crowd) = crowds.get_mut(key) else {
            return;
        };
        crowd.members.retain(|held| *held != member);
        crowd.known = crowd.known.filter(|known| *known != member);
        match crowd.members.last() {
            None => drop(crowds.remove(key)),
            Some(other) if crowd.last == member => crowd.last = *other,
            Some(_) => {}
        }
    }

    /// Notes whom the peer has proven to know.
    pub(super) fn knows(&mut self, member: Member) {
        if self.members.contains(&member) {
            self.known = Some(member);
        }
    }

    /// Whom the peer means when it says nothing of whom: nobody gets a peer away from one whom it knows by sending to it.
    pub(super) fn meant(&self) -> Member {
        self.known.unwrap_or(self.last)
    }
}
