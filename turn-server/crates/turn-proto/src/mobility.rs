//! Mobile sessions (RFC 8016): what an allocation keeps to be found from another 5-tuple, and the tickets of all workers.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use turn_auth::{TicketKey, TicketName};
use turn_wire::TransactionId;

use crate::{Path, slab::Key};

/// How long a Refresh with an old ticket is recognized as a retransmission (RFC 8016 §3.2.2: at least 30 s).
pub(crate) const RECOGNIZED: Duration = Duration::from_secs(30);

/// What a mobile allocation keeps besides.
pub(crate) struct Mobility {
    /// The ticket that counts.
    pub(crate) ticket: TicketClaim,
    /// The 5-tuple that the client moves to, until it sends data there.
    pub(crate) pending: Option<Pending>,
    /// The last move, for retransmissions.
    pub(crate) moved: Option<Moved>,
    /// Whether the stream of the present 5-tuple is gone.
    pub(crate) lost: bool,
}

/// A 5-tuple that the client has shown itself at.
#[derive(Clone, Copy)]
pub(crate) struct Pending {
    /// As this worker knows it.
    pub(crate) path: Path,
    /// The worker that packets on it come to, and the path there, if that is another one.
    pub(crate) home: Option<(u16, Path)>,
}

/// A Refresh that has moved the session, and its answer.
pub(crate) struct Moved {
    pub(crate) path: Path,
    pub(crate) asked_by: TransactionId,
    pub(crate) reply: Box<[u8]>,
    pub(crate) until: Duration,
}

impl Mobility {
    pub(crate) fn new(ticket: TicketClaim) -> Self {
        Self {
            ticket,
            pending: None,
            moved: None,
            lost: false,
        }
    }
}

/// All tickets that count: which worker has the session, and where. Touched by Refresh requests with a ticket, never by data.
#[derive(Default)]
pub(crate) struct Tickets {
    key: OnceLock<TicketKey>,
    held: Mutex<HashMap<TicketName, (u16, Key)>>,
}

/// One ticket, worthless when dropped.
pub(crate) struct TicketClaim {
    tickets: Arc<Tickets>,
    name: TicketName,
}

impl Tickets {
    /// The key that tickets are sealed with; the first worker draws it.
    pub(crate) fn draw_key(&self, random: impl FnOnce() -> [u8; 16]) {
        self.key.get_or_init(|| TicketKey::new(random()));
    }

    /// Makes a ticket for a session.
    pub(crate) fn issue(
        self: &Arc<Self>,
        worker: u16,
        session: Key,
        mut random: impl FnMut() -> TicketName,
    ) -> TicketClaim {
        self.with(|all| {
            loop {
                let name = random();
                if let Entry::Vacant(place) = all.entry(name) {
                    place.insert((worker, session));
                    let tickets = Arc::clone(self);
                    return TicketClaim { tickets, name };
                }
            }
        })
    }

    /// Takes up the very ticket of a session that comes from elsewhere; `None` when it is in use here.
    pub(crate) fn restore(
        self: &Arc<Self>,
        worker: u16,
        session: Key,
        name: TicketName,
    ) -> Option<TicketClaim> {
        self.with(|all| match all.entry(name) {
            Entry::Vacant(place) => {
                place.insert((worker, session));
                let tickets = Arc::clone(self);
                Some(TicketClaim { tickets, name })
            }
            Entry::Occupied(_) => None,
        })
    }

    /// Reads a ticket: `None` if we never wrote it.
    pub(crate) fn open(&self, ticket: &[u8]) -> Option<TicketName> {
        self.key.get()?.open(ticket)
    }

    /// Which worker has the session of a ticket, and where.
    pub(crate) fn find(&self, name: TicketName) -> Option<(u16, Key)> {
        self.with(|all| all.get(&name).copied())
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<TicketName, (u16, Key)>) -> T) -> T {
        work(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl TicketClaim {
    /// The ticket as clients get it.
    pub(crate) fn sealed(&self) -> Box<[u8]> {
        let key = self.tickets.key.get();
        key.map_or_else(Box::default, |key| Box::from(key.seal(&self.name)))
    }

    pub(crate) fn name(&self) -> TicketName {
        self.name
    }

    /// The session goes on elsewhere.
    pub(crate) fn lead_to(&self, worker: u16, session: Key) {
        self.tickets
            .with(|all| all.insert(self.name, (worker, session)));
    }
}

impl Drop for TicketClaim {
    fn drop(&mut self) {
        self.tickets.with(|all| all.remove(&self.name));
    }
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Tickets are secret.
        f.debug_struct("Tickets").finish_non_exhaustive()
    }
}
