//! Refresh with a ticket (RFC 8016 §3.2): a client shows itself at another 5-tuple, and goes over to it with its first data.

use turn_wire::{MessageView, Request};

use crate::{
    Action, Event, Now, Path, PeerAddr,
    allocation::Allocation,
    auth::Requester,
    external,
    mobility::{Mobility, Moved, Pending, RECOGNIZED, TicketClaim},
    reject::Reject,
    relay::Relay,
    respond::Done,
    slab::{Key, Slab},
};

impl Relay {
    /// The allocation that a request is about: by its ticket if it has one, else by its 5-tuple (§3.2.2).
    ///
    /// A 5-tuple in use stays with its allocation whatever the ticket says; [`Relay::check_ticket`] judges that.
    pub(crate) fn subject(&self, path: &Path, view: &MessageView<'_>) -> Option<Key> {
        self.find(path).or_else(|| {
            let (worker, key) = self.led_to(view)?;
            (worker == self.worker && self.allocations.get(key).is_some()).then_some(key)
        })
    }

    /// Where the ticket of a Refresh leads, if it has one that counts.
    pub(crate) fn led_to(&self, view: &MessageView<'_>) -> Option<(u16, Key)> {
        if !self.config.mobility || view.method() != turn_wire::Method::REFRESH {
            return None;
        }
        let ticket = view.attribute(turn_wire::attr::MOBILITY_TICKET)?;
        let tickets = &self.shared.tickets;
        tickets.find(tickets.open(ticket)?)
    }

    /// Judges the ticket of a Refresh request. `Some` is the answer to a retransmission.
    pub(crate) fn check_ticket(
        &self,
        now: Now,
        path: &Path,
        view: &MessageView<'_>,
        request: &Request,
        requester: &Requester,
    ) -> Result<Option<Done>, Reject> {
        let Some(ticket) = request.mobility_ticket() else {
            return Ok(None);
        };
        if !self.config.mobility {
            return Err(Reject::MobilityForbidden);
        }
        // A client at one of our own relays would let two sessions be each other's client: what one relays would come to the
        // other for ever.
        let client = PeerAddr::of(path.client)
            .map(|client| external::inside(&self.config.externals, &self.shared.ports, client));
        if client.is_some_and(|client| self.shared.ports.is_live(client.socket())) {
            return Err(Reject::MobilityForbidden);
        }
        // Invalid: not ours. Ours, but of a session that has ended or with a later ticket: it identifies nothing.
        let name = self.shared.tickets.open(ticket);
        let name = name.ok_or(Reject::BadRequest)?;
        let key = requester.allocation.ok_or(Reject::AllocationMismatch)?;
        let allocation = self.allocations.get(key);
        let allocation = allocation.ok_or(Reject::AllocationMismatch)?;
        let mobility = allocation.mobility.as_ref().ok_or(Reject::BadRequest)?;
        // A retransmission gets the same answer again, and the old ticket is good for nothing else.
        if let Some(moved) = &mobility.moved
            && (moved.path, moved.asked_by) == (*path, view.transaction_id())
            && moved.until > now.mono
        {
            return Ok(Some(Done::Again(moved.reply.clone())));
        }
        if mobility.ticket.name() != name {
            return Err(Reject::BadRequest);
        }
        // From the 5-tuple that the ticket was made for.
        let latest = mobility.pending.map_or(allocation.path, |held| held.path);
        if latest == *path && !mobility.lost {
            return Err(Reject::BadRequest);
        }
        Ok(None)
    }

    /// Lets the client be at `path` from now on, besides where it was, and gives it a new ticket.
    pub(crate) fn appear(
        &mut self,
        now: Now,
        key: Key,
        path: &Path,
        home: Option<(u16, Path)>,
        asked_by: turn_wire::TransactionId,
    ) -> Option<Box<[u8]>> {
        self.forget_pending(key);
        let ticket = self.new_ticket(key);
        let sealed = ticket.sealed();
        let allocation = self.allocations.get_mut(key)?;
        let mobility = allocation.mobility.as_mut()?;
        // The old ticket goes with its claim.
        mobility.ticket = ticket;
        mobility.moved = Some(Moved {
            path: *path,
            asked_by,
            reply: Box::default(),
            until: now.mono + RECOGNIZED,
        });
        if *path == allocation.path && !mobility.lost {
            // Back again before anything was sent from elsewhere.
            return Some(sealed);
        }
        let lost = mobility.lost;
        mobility.pending = Some(Pending { path: *path, home });
        self.link_client(path, key, home.is_none());
        if let Some((worker, there)) = home {
            self.visitors.insert((worker, (&there).into()), key);
        } else if path.transport.is_connection() {
            let link = path.link;
            self.act(Action::Occupied {
                link,
                occupied: true,
            });
        }
        // Nobody is left where the client was: there is nothing to wait for. A visitor is let in by its worker first.
        if lost && home.is_none() {
            self.settle(key);
        }
        Some(sealed)
    }

    /// Makes an allocation a mobile one, and returns its ticket (§3.1.2).
    pub(crate) fn first_ticket(&mut self, key: Key) -> Box<[u8]> {
        let ticket = self.new_ticket(key);
        let sealed = ticket.sealed();
        if let Some(allocation) = self.allocations.get_mut(key) {
            allocation.mobility = Some(Box::new(Mobility::new(ticket)));
        }
        sealed
    }

    fn new_ticket(&mut self, key: Key) -> TicketClaim {
        let random = || {
            let mut name = [0; 16];
            self.rng.fill_bytes(&mut name);
            name
        };
        self.shared.tickets.issue(self.worker, key, random)
    }

    /// The allocation of a packet of data: if it comes from where the client moves to, the client has moved (§3.2.2).
    #[inline]
    pub(crate) fn find_for_data(&mut self, path: &Path) -> Option<Key> {
        let key = self.find(path)?;
        let mobility = self.allocations.get(key)?.mobility.as_ref();
        let pending = mobility.and_then(|mobility| mobility.pending);
        if pending.is_some_and(|pending| pending.path == *path && pending.home.is_none()) {
            self.settle(key);
        }
        Some(key)
    }

    /// Drops the old 5-tuple for the one that the client has moved to, on this worker.
    pub(crate) fn settle(&mut self, key: Key) {
        let Some(allocation) = self.allocations.get_mut(key) else {
            return;
        };
        let Some(mobility) = &mut allocation.mobility else {
            return;
        };
        let Some(pending) = mobility.pending.take() else {
            return;
        };
        let (from, to) = (allocation.path, pending.path);
        mobility.lost = false;
        allocation.path = to;
        let moved = Event::Moved {
            session: allocation.session,
            user: allocation.user.clone(),
            from,
            to,
        };
        self.unlink_client(&from);
        *self.gauge(from.transport) -= 1;
        *self.gauge(to.transport) += 1;
        if from.transport.is_connection() {
            self.act(Action::Occupied {
                link: from.link,
                occupied: false,
            });
        }
        self.act(Action::Event(moved));
    }

    /// Drops the 5-tuple that a client was moving to.
    pub(crate) fn forget_pending(&mut self, key: Key) {
        let allocation = self.allocations.get_mut(key);
        let mobility = allocation.and_then(|held| held.mobility.as_mut());
        if let Some(pending) = mobility.and_then(|held| held.pending.take()) {
            self.drop_pending(pending);
        }
    }

    pub(crate) fn drop_pending(&mut self, pending: Pending) {
        self.unlink_client(&pending.path);
        if let Some((worker, there)) = pending.home {
            self.dismiss(worker, there);
        } else if pending.path.transport.is_connection() {
            self.act(Action::Occupied {
                link: pending.path.link,
                occupied: false,
            });
        }
    }

    /// The stream of a mobile session has ended: the session waits for its client, or follows it where it has gone. Tells
    /// whether the session is a mobile one.
    pub(crate) fn outlive_link(&mut self, now: Now, key: Key, link: crate::LinkId) -> bool {
        let Some(allocation) = self.allocations.get_mut(key) else {
            return false;
        };
        let Some(mobility) = &mut allocation.mobility else {
            return false;
        };
        if allocation.path.link != link || !allocation.path.transport.is_connection() {
            self.forget_pending(key);
            return true;
        }
        let path = allocation.path;
        mobility.lost = true;
        let pending = mobility.pending;
        self.unlink_client(&path);
        match pending {
            None => {}
            Some(Pending { home: None, .. }) => self.settle(key),
            Some(Pending { home: Some(_), .. }) => self.send_over(now, key, Vec::new()),
        }
        true
    }
}

/// Remembers the answer to the Refresh that has moved a session, for its retransmissions.
pub(crate) fn remember_answer(allocations: &mut Slab<Allocation>, key: Key, answer: &[u8]) {
    let allocation = allocations.get_mut(key);
    let mobility = allocation.and_then(|held| held.mobility.as_mut());
    if let Some(moved) = mobility.and_then(|held| held.moved.as_mut()) {
        moved.reply = answer.into();
    }
}
