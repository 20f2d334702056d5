//! Peer data connections (RFC 6062): what one worker knows of its own, and the names that all workers share.
//!
//! A client binds its data connection on whichever worker accepts it, so the name of a connection leads to the worker that
//! has it. Touched when a connection begins, is bound or ends, never by relayed bytes.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use turn_wire::TransactionId;

use crate::{ConnectionId, KeyOrigin, session_key::SessionKey, slab::Key};

/// One connection between a relayed address and a peer.
pub(crate) struct PeerConnection {
    pub(crate) allocation: Key,
    pub(crate) phase: Phase,
    /// When it is given up unless its phase has changed by then.
    pub(crate) expires_at: Duration,
    /// Its name is taken as long as it lives.
    pub(crate) name: Name,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The peer has not answered yet (RFC 6062 §5.2).
    Connecting {
        /// The Connect request to answer.
        asked_by: TransactionId,
        /// Whether the answer carries FINGERPRINT.
        fingerprint: bool,
    },
    /// It is there, and its client's ConnectionBind is awaited (RFC 6062 §5.4).
    Waiting,
    /// Bytes flow both ways.
    Joined,
}

/// Who may bind a connection: whoever made its allocation (RFC 6062 §4.3).
#[derive(Clone)]
pub(crate) struct Owner {
    pub(crate) username: Box<str>,
    pub(crate) user: Arc<str>,
    pub(crate) key: Option<SessionKey>,
}

impl Owner {
    /// Whether an access token has proven it (RFC 7635).
    pub(crate) fn is_by_token(&self) -> bool {
        let origin = self.key.as_ref().map(|key| key.secret.origin);
        matches!(origin, Some(KeyOrigin::Token { .. }))
    }
}

/// All names in use.
#[derive(Default)]
pub(crate) struct Names {
    held: Mutex<HashMap<ConnectionId, Held>>,
}

struct Held {
    worker: u16,
    owner: Owner,
    /// Whether the connection awaits its client.
    waiting: bool,
}

/// One name, returned when dropped.
pub(crate) struct Name {
    names: Arc<Names>,
    pub(crate) id: ConnectionId,
}

impl Names {
    /// Takes a name for a connection of `worker`. `random` makes candidates until one is free.
    pub(crate) fn claim(
        self: &Arc<Self>,
        worker: u16,
        owner: Owner,
        mut random: impl FnMut() -> u32,
    ) -> Name {
        let held = Held {
            worker,
            owner,
            waiting: false,
        };
        self.with(|all| {
            loop {
                let id = ConnectionId(random());
                if let Entry::Vacant(place) = all.entry(id) {
                    place.insert(held);
                    let names = Arc::clone(self);
                    return Name { names, id };
                }
            }
        })
    }

    /// Whose connection this is, if it awaits its client.
    pub(crate) fn owner(&self, id: ConnectionId) -> Option<Owner> {
        self.with(|all| {
            let held = all.get(&id).filter(|held| held.waiting)?;
            Some(held.owner.clone())
        })
    }

    /// Takes a connection for its client, once; tells the worker that has it.
    pub(crate) fn take(&self, id: ConnectionId) -> Option<u16> {
        self.with(|all| {
            let held = all.get_mut(&id).filter(|held| held.waiting)?;
            held.waiting = false;
            Some(held.worker)
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<ConnectionId, Held>) -> T) -> T {
        work(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Name {
    /// The connection awaits its client from now on.
    pub(crate) fn await_client(&self) {
        self.names.with(|all| {
            if let Some(held) = all.get_mut(&self.id) {
                held.waiting = true;
            }
        });
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        self.names.with(|all| all.remove(&self.id));
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Owners' keys are secret.
        f.debug_struct("Names").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Names, Owner};
    use crate::ConnectionId;

    fn ann() -> Owner {
        Owner {
            username: "ann".into(),
            user: "ann".into(),
            key: None,
        }
    }

    #[test]
    fn a_name_is_unique_good_once_and_returned() {
        let names = Arc::new(Names::default());
        let mut candidates = [7, 7, 8].into_iter();
        let mut random = || candidates.next().unwrap();
        let first = names.claim(1, ann(), &mut random);
        let second = names.claim(2, ann(), &mut random);
        assert_eq!((first.id, second.id), (ConnectionId(7), ConnectionId(8)));
        assert!(
            names.take(first.id).is_none(),
            "bound before it is connected"
        );
        first.await_client();
        assert!(
            names
                .owner(first.id)
                .is_some_and(|held| *held.user == *"ann")
        );
        assert_eq!(
            (names.take(first.id), names.take(first.id)),
            (Some(1), None)
        );
        assert!(names.owner(first.id).is_none());
        drop(first);
        assert_eq!(names.claim(3, ann(), || 7).id, ConnectionId(7));
    }
}
