//! Allocations on shared relay ports: what the state machine tells [`crate::Multiplex`], and what it asks.
//!
//! Without shared ports nothing here is reached.

use std::ops::Range;

use crate::{
    Action, Member, Now, Output, Passed, PeerAddr, PeerIp, RelayId, ToClient, meter::Direction,
    relay::Relay, relayed::Version, slab::Key,
};

/// A part of a client's packet on its way to a peer.
pub(crate) struct Sending {
    pub(crate) relay: RelayId,
    pub(crate) to: PeerAddr,
    /// The peer as its client names it.
    pub(crate) named: PeerAddr,
    pub(crate) range: Range<usize>,
    pub(crate) dont_fragment: bool,
}

impl Sending {
    #[inline]
    fn output(self) -> Output<'static> {
        Output::ToPeer {
            relay: self.relay,
            to: self.to.socket(),
            range: self.range,
            dont_fragment: self.dont_fragment,
        }
    }
}

impl Relay {
    pub(crate) fn member(&self, key: Key) -> Member {
        Member {
            worker: self.worker,
            key,
        }
    }

    /// The place of an allocation's shared relay address of a version, if it has one.
    fn place(&self, key: Key, version: Version) -> Option<u32> {
        let allocation = self.allocations.get(key)?;
        allocation.relays.of(version)?.claim.place()
    }

    /// Makes an allocation a member where it shares a port, with all that it permits and has bound already.
    pub(crate) fn enter_shared(&self, key: Key) {
        let (Some(multiplex), Some(allocation)) =
            (&self.shared.multiplex, self.allocations.get(key))
        else {
            return;
        };
        let member = self.member(key);
        for place in allocation
            .relays
            .iter()
            .filter_map(|held| held.claim.place())
        {
            multiplex.join(place, member);
        }
        for (ip, _) in allocation.permissions.iter() {
            self.permit_shared(key, *ip);
        }
        for (_, channel) in allocation.channels.iter() {
            self.note_shared(key, channel.to, channel.peer.ip(), b"");
        }
    }

    pub(crate) fn permit_shared(&self, key: Key, ip: PeerIp) {
        if let Some(multiplex) = &self.shared.multiplex
            && let Some(place) = self.place(key, Version::of(ip.ip()))
        {
            multiplex.permit(place, self.member(key), ip);
        }
    }

    /// Whether a client may send to an address, of as many as members of shared ports may have.
    pub(crate) fn has_shared_room(&self, key: Key, to: PeerAddr) -> bool {
        let Some(multiplex) = &self.shared.multiplex else {
            return true;
        };
        let place = self.place(key, Version::of(to.ip().ip()));
        place.is_none_or(|place| multiplex.has_room(place, self.member(key), to))
    }

    /// Notes that a client sends to an address; false if it may not.
    pub(crate) fn note_shared(
        &self,
        key: Key,
        to: PeerAddr,
        named: PeerIp,
        payload: &[u8],
    ) -> bool {
        let Some(multiplex) = &self.shared.multiplex else {
            return true;
        };
        let place = self.place(key, Version::of(to.ip().ip()));
        let note = |place| multiplex.note(place, self.member(key), to, named, payload);
        place.is_none_or(note)
    }

    /// Drops what has expired, or is denied by now, there as well.
    pub(crate) fn restrict_shared(&self, key: Key) {
        let (Some(multiplex), Some(allocation)) =
            (&self.shared.multiplex, self.allocations.get(key))
        else {
            return;
        };
        let permits = |ip| allocation.permissions.get(&ip).is_some();
        let bound = |peer| allocation.channels.iter().any(|(_, held)| held.to == peer);
        for place in allocation
            .relays
            .iter()
            .filter_map(|held| held.claim.place())
        {
            multiplex.restrict(place, self.member(key), permits, bound);
        }
    }

    /// How many permissions an allocation may hold.
    pub(crate) fn permission_limit(&self) -> usize {
        let shared = self.shared.multiplex.as_ref();
        let limit = self.config.limits.permissions;
        shared.map_or(limit, |multiplex| multiplex.max_peers().min(limit))
    }

    /// Sends a client's data from its relay socket; or, to a member of our own shared ports, to that at once.
    #[inline]
    pub(crate) fn forward(
        &mut self,
        now: Now,
        key: Key,
        packet: &[u8],
        sending: Sending,
    ) -> Output<'_> {
        if let Some(place) = sending.relay.place_if_shared() {
            return self.forward_shared(now, key, packet, (sending, place));
        }
        if !self.spend(
            now,
            key,
            Direction::ToPeer,
            packet.len(),
            sending.range.len(),
        ) {
            return Output::Nothing;
        }
        sending.output()
    }

    /// The same from a shared relay address.
    #[inline(never)]
    fn forward_shared(
        &mut self,
        now: Now,
        key: Key,
        packet: &[u8],
        (sending, place): (Sending, u32),
    ) -> Output<'_> {
        let payload = packet.get(sending.range.clone()).unwrap_or_default();
        if !self.note_shared(key, sending.to, sending.named.ip(), payload) {
            self.stats.dropped_client += 1;
            return Output::Nothing;
        }
        let spent = self.spend(now, key, Direction::ToPeer, packet.len(), payload.len());
        if !spent || self.hand_over(key, place, sending.to, payload) {
            return Output::Nothing;
        }
        sending.output()
    }

    /// Gives a packet for one of our own shared addresses to the member that it is for; false if it is for none of them.
    fn hand_over(&mut self, key: Key, place: u32, to: PeerAddr, payload: &[u8]) -> bool {
        let Some(multiplex) = &self.shared.multiplex else {
            return false;
        };
        let Some(other) = multiplex.place_of(to.socket()) else {
            return false;
        };
        let held = self.allocations.get(key);
        let own = held.and_then(|held| held.relays.of(Version::of(to.ip().ip())));
        let told = own.and_then(|own| Some((own.local, PeerIp::of(own.told.ip())?)));
        let receiver = told.and_then(|(local, told)| {
            let sender = self.member(key);
            let to = multiplex.route_inside(sender, [place, other], told, payload)?;
            Some((to, local))
        });
        match receiver {
            Some((to, from)) => self.act(Action::PassOn(Passed {
                to,
                from,
                payload: payload.to_vec(),
            })),
            None => self.stats.dropped_peer += 1,
        }
        true
    }

    /// Finds out whose packet has come to a shared address. One for another worker is passed on.
    pub(crate) fn shared_receiver(
        &mut self,
        place: u32,
        from: PeerAddr,
        payload: &[u8],
    ) -> Option<Key> {
        let multiplex = self.shared.multiplex.as_ref()?;
        let Some(to) = multiplex.route(place, from, payload) else {
            self.stats.dropped_peer += 1;
            return None;
        };
        if to.worker == self.worker {
            return Some(to.key);
        }
        self.act(Action::PassOn(Passed {
            to,
            from: from.socket(),
            payload: payload.to_vec(),
        }));
        None
    }

    /// The allocation of this worker that has last sent to an address from a shared one.
    pub(crate) fn shared_sender(&self, place: u32, to: PeerAddr) -> Option<Key> {
        let multiplex = self.shared.multiplex.as_ref()?;
        let member = multiplex.route(place, to, b"")?;
        (member.worker == self.worker).then_some(member.key)
    }

    /// Takes a packet that was passed to an allocation of this worker, and writes the header for the client in front of it.
    ///
    /// The payload has been copied to `payload` within `buf`, which is as in [`Relay::on_peer`].
    pub fn on_passed(
        &mut self,
        now: Now,
        passed: &Passed,
        buf: &mut [u8],
        payload: Range<usize>,
    ) -> Option<ToClient> {
        let from = PeerAddr::of(passed.from)?;
        self.deliver(now, passed.to.key, from, buf, payload)
    }
}
