//! What the members of a call tell each other: descriptions and candidates.
//!
//! In: who may tell whom, and what comes before its call. Not in: in which order it passes (`call_pair.rs`).

use std::time::Duration;

use super::call::PartyState;
use super::call_pair::Passing;
use super::{
    CallId, CallNotice, CallSignal, ConnectionId, Deadline, Event, Hub, Outbound, Refusal,
    SignalKind, UserId,
};

impl Hub {
    pub(super) fn call_signal(
        &mut self,
        now: Duration,
        from: ConnectionId,
        user: &UserId,
        signal: CallSignal,
        out: &mut Outbound,
    ) -> Result<(), Refusal> {
        let kind = signal.kind;
        match self.relay(now, from, user, signal, out) {
            // Clients send these by themselves, often after the other is gone: an error would only frighten people.
            Err(refusal)
                if matches!(kind, SignalKind::Candidate | SignalKind::Renegotiate)
                    && !matches!(refusal, Refusal::CandidateTooLarge { .. }) =>
            {
                Ok(())
            }
            result => result,
        }
    }

    fn relay(
        &mut self,
        now: Duration,
        from: ConnectionId,
        user: &UserId,
        signal: CallSignal,
        out: &mut Outbound,
    ) -> Result<(), Refusal> {
        self.admit(now, from, user, &signal)?;
        if signal.kind == SignalKind::Answer {
            self.accept(now, from, user, &signal.call, out);
        } else {
            self.take_seat(from, user, &signal);
        }
        let CallSignal {
            kind,
            call: id,
            to,
            data,
        } = signal;
        let Some(call) = self.calls.get_mut(&id) else {
            return Ok(());
        };
        let ringing = call
            .party(&to)
            .is_some_and(|party| party.state == PartyState::Invited);
        let free = self.limits.held_bytes.saturating_sub(call.held_bytes());
        let free_for_offers = self.limits.offer_bytes.saturating_sub(call.offer_bytes());
        let said = Passing {
            from: user.clone(),
            kind,
            data,
        };
        let pair = call.pair(user, &to);
        if kind == SignalKind::Candidate
            && said.data.as_str().len() > self.limits.held_candidate
            && pair.keeps_candidates(user, ringing)
        {
            return Err(Refusal::CandidateTooLarge {
                call: id,
                limit: self.limits.held_candidate,
            });
        }
        let passing = match kind {
            SignalKind::Offer | SignalKind::Renegotiate => {
                pair.offer(now, said, ringing, free_for_offers, &self.limits)
            }
            SignalKind::Candidate => pair.candidate(said, ringing, free, &self.limits),
            SignalKind::Answer => pair.answer(said),
            SignalKind::Opaque => pair.opaque(said, ringing, free, &self.limits),
        };
        let waiting = Deadline::Release(id.clone());
        if pair.holds() && !self.timers.is_set(&waiting) {
            self.timers.set(waiting, now + self.limits.hold);
        }
        self.pass(&id, user, &to, passing, out);
        Ok(())
    }

    /// Tells somebody who has just accepted what was kept until then.
    pub(super) fn release_opaque(&mut self, id: &CallId, user: &UserId, out: &mut Outbound) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let kept: Vec<Passing> = call
            .pairs
            .iter_mut()
            .filter(|pair| pair.involves(user))
            .flat_map(|pair| pair.unseal(user))
            .collect();
        for passing in kept {
            let from = passing.from.clone();
            self.pass(id, &from, user, vec![passing], out);
        }
    }

    /// Tells the other members who are in the call.
    pub(super) fn call_notice(
        &mut self,
        user: &UserId,
        id: &CallId,
        notice: CallNotice,
        out: &mut Outbound,
    ) -> Result<(), Refusal> {
        let call = self.calls.get(id);
        let Some(call) = call.filter(|call| call.party(user).is_some()) else {
            return Err(Refusal::CallNotFound(id.clone()));
        };
        let event = Event::CallNotice {
            call: id.clone(),
            from: user.clone(),
            notice,
        };
        for party in &call.parties {
            if party.user != *user && party.state != PartyState::Invited {
                self.tell_party(id, &party.user, &event, out);
            }
        }
        Ok(())
    }

    /// Tells each thing to the one of the two who did not say it.
    fn pass(
        &self,
        id: &CallId,
        one: &UserId,
        other: &UserId,
        passing: Vec<Passing>,
        out: &mut Outbound,
    ) {
        for Passing { from, kind, data } in passing {
            let recipient = if from == *one { other } else { one };
            self.tell_party(
                id,
                recipient,
                &Event::CallSignal {
                    kind,
                    call: id.clone(),
                    from,
                    data,
                },
                out,
            );
        }
    }

    /// Lets pass what waited long enough, unless the call itself is not known to its recipient yet.
    pub(super) fn release_held(&mut self, now: Duration, id: &CallId, out: &mut Outbound) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        if call.call_type.is_none() && !call.any(PartyState::Joined) {
            return;
        }
        let mut released = Vec::new();
        for pair in &mut call.pairs {
            let passing = pair.release(now);
            if let Some(first) = passing.first() {
                released.push((first.from.clone(), pair.other(&first.from).clone(), passing));
            }
        }
        for (one, other, passing) in released {
            self.pass(id, &one, &other, passing, out);
        }
    }

    /// Drops what was kept to be repeated to somebody who accepted and never answered.
    pub(super) fn forget_missed(&mut self, id: &CallId, user: &UserId) {
        for pair in self
            .calls
            .get_mut(id)
            .iter_mut()
            .flat_map(|call| &mut call.pairs)
        {
            pair.forget_missed(user);
        }
    }

    /// Checks that both are members of the call and the recipient is there. An offer may come before its call and opens it; the
    /// caller's offers invite their recipients.
    fn admit(
        &mut self,
        now: Duration,
        from: ConnectionId,
        user: &UserId,
        signal: &CallSignal,
    ) -> Result<(), Refusal> {
        let CallSignal {
            kind, call: id, to, ..
        } = signal;
        let unavailable = Refusal::RecipientUnavailable {
            call: Some(id.clone()),
            recipient: Some(to.clone()),
        };
        let Some(call) = self.calls.get(id) else {
            if *kind != SignalKind::Offer {
                return Err(Refusal::CallNotFound(id.clone()));
            }
            if !self.is_online(to) || to == user {
                return Err(unavailable);
            }
            self.open_call(now, from, user, id)?;
            return self
                .invite(now, id, to)
                .map(|_| ())
                .inspect_err(|_| self.remove_call(id));
        };
        if call.party(user).is_none() {
            return Err(Refusal::CallNotFound(id.clone()));
        }
        if to == user || !self.is_online(to) {
            return Err(unavailable);
        }
        if call.party(to).is_none() {
            let invites = *kind == SignalKind::Offer && call.initiator == *user;
            return if invites {
                self.invite(now, id, to).map(|_| ())
            } else {
                Err(unavailable)
            };
        }
        Ok(())
    }

    /// Notes that this connection has the call: after a reconnect, whichever speaks first.
    fn take_seat(&mut self, from: ConnectionId, user: &UserId, signal: &CallSignal) {
        let Some(party) = self
            .calls
            .get_mut(&signal.call)
            .and_then(|call| call.party_mut(user))
        else {
            return;
        };
        if party.state != PartyState::Invited {
            party.seat = Some(from);
            self.timers
                .cancel(&Deadline::CallGrace(signal.call.clone(), user.clone()));
        }
    }
}
