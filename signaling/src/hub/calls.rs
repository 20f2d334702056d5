//! The life of a call: ring, accept, decline, end.
//!
//! In: what its members do to it. Not in: what happens when they do nothing (`call_silence.rs`), and what they tell each
//! other (`call_signals.rs`).

use std::collections::BTreeSet;
use std::time::Duration;

use super::call::{Call, Party, PartyState};
use super::report::Answer;
use super::{
    CallId, CallType, ConnectionId, Deadline, EndReason, Event, Hub, Outbound, Refusal, UserId,
};

impl Hub {
    #[expect(clippy::too_many_arguments, reason = "one command, field by field")]
    pub(super) fn call_initiate(
        &mut self,
        now: Duration,
        from: ConnectionId,
        user: &UserId,
        id: CallId,
        recipients: &[UserId],
        call_type: CallType,
        out: &mut Outbound,
    ) -> Result<(), Refusal> {
        let mut members: BTreeSet<&UserId> = recipients.iter().chain([user]).collect();
        members.extend(
            self.calls
                .get(&id)
                .into_iter()
                .flat_map(|call| call.parties.iter().map(|party| &party.user)),
        );
        if members.len() > self.limits.members {
            return Err(Refusal::CallTooLarge {
                call: id,
                limit: self.limits.members,
            });
        }
        self.open_call(now, from, user, &id)?;
        let was_provisional = self
            .calls
            .get(&id)
            .is_some_and(|call| call.call_type.is_none());
        let mut rung = Vec::new();
        for recipient in recipients.iter().filter(|recipient| *recipient != user) {
            match self.invite(now, &id, recipient) {
                Ok(new) if (new || was_provisional) && !rung.contains(recipient) => {
                    rung.push(recipient.clone())
                }
                Ok(_) => {}
                Err(refusal) => {
                    if let Some(call) = self.calls.get_mut(&id) {
                        call.memory.note(recipient, Answer::Absent);
                    }
                    out.push((from, Event::Refused(refusal)));
                }
            }
        }
        let Some(call) = self.calls.get_mut(&id) else {
            return Ok(());
        };
        call.call_type = Some(call_type);
        if call.parties.len() < 2 {
            self.remove_call(&id);
            return Ok(());
        }
        if call.any(PartyState::Invited) {
            self.timers
                .set(Deadline::Ring(id.clone()), now + self.limits.ring);
        }
        for recipient in &rung {
            for connection in self.connections_of(recipient).to_vec() {
                self.ring(&id, recipient, connection, out);
            }
        }
        Ok(())
    }

    /// Makes sure that the call exists and is the user's own. One that only an offer announced lives as long as one that rings,
    /// and belongs to both of its members: either may turn it into a call of its own.
    pub(super) fn open_call(
        &mut self,
        now: Duration,
        from: ConnectionId,
        user: &UserId,
        id: &CallId,
    ) -> Result<(), Refusal> {
        if let Some(call) = self.calls.get(id) {
            let announced_only = call.call_type.is_none() && !call.any(PartyState::Joined);
            if call.initiator == *user {
                return Ok(());
            } else if !announced_only || call.party(user).is_none() {
                return Err(Refusal::CallExists(id.clone()));
            }
            self.remove_call(id);
        }
        if self.calls_of(user, |state| state != PartyState::Invited) >= self.limits.calls_per_user {
            return Err(Refusal::TooManyCalls(id.clone()));
        }
        let Some(entry) = self.users.get_mut(user) else {
            return Ok(());
        };
        entry.calls.insert(id.clone());
        self.calls.insert(id.clone(), Call::new(user, from, now));
        self.timers
            .set(Deadline::Ring(id.clone()), now + self.limits.ring);
        Ok(())
    }

    /// Makes `recipient` a member, who has as long as the call rings to accept; says whether that is new.
    pub(super) fn invite(
        &mut self,
        now: Duration,
        id: &CallId,
        recipient: &UserId,
    ) -> Result<bool, Refusal> {
        let online = self.is_online(recipient);
        let invitations = self.calls_of(recipient, |state| state == PartyState::Invited);
        let Some(call) = self.calls.get_mut(id) else {
            return Err(Refusal::CallNotFound(id.clone()));
        };
        if !online {
            return Err(Refusal::RecipientUnavailable {
                call: Some(id.clone()),
                recipient: Some(recipient.clone()),
            });
        }
        if call.party(recipient).is_some() {
            return Ok(false);
        }
        if call.parties.len() >= self.limits.members {
            return Err(Refusal::CallTooLarge {
                call: id.clone(),
                limit: self.limits.members,
            });
        }
        if invitations >= self.limits.invitations_per_user {
            return Err(Refusal::RecipientBusy {
                call: id.clone(),
                recipient: recipient.clone(),
            });
        }
        call.parties
            .push(Party::new(recipient, PartyState::Invited));
        call.memory.note(recipient, Answer::Missed);
        if let Some(entry) = self.users.get_mut(recipient) {
            entry.calls.insert(id.clone());
        }
        // It rings no longer once somebody has accepted.
        let ring = Deadline::Ring(id.clone());
        if !self.timers.is_set(&ring) {
            self.timers.set(ring, now + self.limits.ring);
        }
        Ok(true)
    }

    /// Counts the calls in which the user has come so far.
    fn calls_of(&self, user: &UserId, so_far: impl Fn(PartyState) -> bool) -> usize {
        let calls = self.users.get(user).into_iter();
        calls
            .flat_map(|entry| &entry.calls)
            .filter_map(|id| self.calls.get(id)?.party(user))
            .filter(|party| so_far(party.state))
            .count()
    }

    pub(super) fn ring(
        &mut self,
        id: &CallId,
        recipient: &UserId,
        connection: ConnectionId,
        out: &mut Outbound,
    ) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let invited = call
            .party(recipient)
            .is_some_and(|party| party.state == PartyState::Invited);
        let (true, Some(call_type)) = (invited, call.call_type) else {
            return;
        };
        let initiator = call.initiator.clone();
        let offer = call.pair(&initiator, recipient).offer_of(&initiator);
        let shown = self
            .users
            .get(&initiator)
            .and_then(|user| user.name.clone());
        let initiator_name = shown.unwrap_or_else(|| initiator.0.clone());
        out.push((
            connection,
            Event::IncomingCall {
                call: id.clone(),
                initiator,
                initiator_name,
                call_type,
                offer,
            },
        ));
    }

    pub(super) fn call_answer(
        &mut self,
        now: Duration,
        from: ConnectionId,
        user: &UserId,
        id: &CallId,
        out: &mut Outbound,
    ) -> Result<(), Refusal> {
        let member = self.calls.get(id).and_then(|call| call.party(user));
        let Some(party) = member else {
            return Err(Refusal::CallNotFound(id.clone()));
        };
        if party.state == PartyState::Caller {
            return Ok(());
        }
        self.accept(now, from, user, id, out);
        let Some(call) = self.calls.get_mut(id) else {
            return Ok(());
        };
        let first = call
            .party_mut(user)
            .is_some_and(|party| !std::mem::replace(&mut party.announced, true));
        let initiator = call.initiator.clone();
        if first {
            self.tell_party(
                id,
                &initiator,
                &Event::CallAnswered {
                    call: id.clone(),
                    user: user.clone(),
                },
                out,
            );
        }
        Ok(())
    }

    /// Gives the call to the connection that accepted it and stops the user's other ones ringing.
    pub(super) fn accept(
        &mut self,
        now: Duration,
        from: ConnectionId,
        user: &UserId,
        id: &CallId,
        out: &mut Outbound,
    ) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let Some(party) = call.party_mut(user) else {
            return;
        };
        let was_ringing = party.state == PartyState::Invited;
        party.seat = Some(from);
        party.state = if was_ringing {
            PartyState::Joined
        } else {
            party.state
        };
        if was_ringing {
            call.memory.accepted(user, now);
        }
        if !call.any(PartyState::Invited) {
            self.timers.cancel(&Deadline::Ring(id.clone()));
        }
        if was_ringing && call.pairs.iter().any(|pair| pair.keeps_for(user)) {
            let at = now + self.limits.repeat;
            self.timers
                .set(Deadline::Repeat(id.clone(), user.clone()), at);
        }
        self.timers
            .cancel(&Deadline::CallGrace(id.clone(), user.clone()));
        if was_ringing {
            self.hush(from, user, id, EndReason::AnsweredElsewhere, out);
            self.release_opaque(id, user, out);
        }
    }

    /// Stops the user's other connections ringing, except those that are busy in another call: a simple client would end that one.
    fn hush(
        &mut self,
        from: ConnectionId,
        user: &UserId,
        id: &CallId,
        reason: EndReason,
        out: &mut Outbound,
    ) {
        let Some(entry) = self.users.get(user) else {
            return;
        };
        let is_busy = |connection: ConnectionId| {
            let others = entry
                .calls
                .iter()
                .filter(|call| *call != id)
                .filter_map(|call| self.calls.get(call));
            others
                .filter_map(|call| call.party(user))
                .any(|party| party.seat == Some(connection))
        };
        for connection in entry
            .connections
            .iter()
            .copied()
            .filter(|connection| *connection != from && !is_busy(*connection))
        {
            out.push((
                connection,
                Event::CallEnded {
                    call: id.clone(),
                    ended_by: user.clone(),
                    reason: Some(reason),
                },
            ));
        }
    }

    /// Declines. That of a stranger is ignored in silence, as is one that comes late.
    pub(super) fn call_reject(
        &mut self,
        user: &UserId,
        id: &CallId,
        from: ConnectionId,
        out: &mut Outbound,
    ) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let Some(state) = call.party(user).map(|party| party.state) else {
            return;
        };
        if state == PartyState::Caller {
            return;
        }
        if state == PartyState::Invited {
            call.memory.note(user, Answer::Rejected);
        }
        let initiator = call.initiator.clone();
        self.tell_party(
            id,
            &initiator,
            &Event::CallRejected {
                call: id.clone(),
                user: user.clone(),
                reason: None,
            },
            out,
        );
        if state == PartyState::Invited {
            self.hush(from, user, id, EndReason::RejectedElsewhere, out);
        }
        self.remove_party(id, user);
    }

    /// Takes a member out; a caller who is left alone has no call any more.
    pub(super) fn remove_party(&mut self, id: &CallId, user: &UserId) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        call.remove(user);
        let (alone, ringing) = (call.parties.len() < 2, call.any(PartyState::Invited));
        if let Some(entry) = self.users.get_mut(user) {
            entry.calls.remove(id);
        }
        self.cancel_waits(id, user);
        self.forget_if_idle(user);
        if alone {
            self.remove_call(id);
        } else if !ringing {
            self.timers.cancel(&Deadline::Ring(id.clone()));
        }
    }

    /// Ends or cancels a call. That of a stranger is ignored in silence, as is one that comes late.
    pub(super) fn call_end(
        &mut self,
        from: ConnectionId,
        user: &UserId,
        id: &CallId,
        out: &mut Outbound,
    ) {
        if self
            .calls
            .get(id)
            .is_some_and(|call| call.party(user).is_some())
        {
            self.end_call(id, user, None, Some(from), out);
        }
    }

    /// Ends a call and tells every member but the connection that knows already.
    pub(super) fn end_call(
        &mut self,
        id: &CallId,
        by: &UserId,
        reason: Option<EndReason>,
        except: Option<ConnectionId>,
        out: &mut Outbound,
    ) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        call.memory.ended(by, reason);
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let event = Event::CallEnded {
            call: id.clone(),
            ended_by: by.clone(),
            reason,
        };
        for party in &call.parties {
            let connections = self
                .reach(party)
                .iter()
                .filter(|connection| Some(**connection) != except);
            out.extend(connections.map(|connection| (*connection, event.clone())));
        }
        self.remove_call(id);
    }

    pub(super) fn remove_call(&mut self, id: &CallId) {
        let Some(call) = self.calls.remove(id) else {
            return;
        };
        self.timers.cancel(&Deadline::Ring(id.clone()));
        self.timers.cancel(&Deadline::Release(id.clone()));
        for Party { user, .. } in &call.parties {
            if let Some(entry) = self.users.get_mut(user) {
                entry.calls.remove(id);
            }
            self.cancel_waits(id, user);
            self.forget_if_idle(user);
        }
        self.report(id, call);
    }

    /// The call waits for nothing of this member any more.
    fn cancel_waits(&mut self, id: &CallId, user: &UserId) {
        self.timers
            .cancel(&Deadline::CallGrace(id.clone(), user.clone()));
        self.timers
            .cancel(&Deadline::Repeat(id.clone(), user.clone()));
    }

    /// The connections on which a member hears of the call: the one that has it, or all.
    fn reach<'a>(&'a self, party: &'a Party) -> &'a [ConnectionId] {
        match &party.seat {
            Some(seat) => std::slice::from_ref(seat),
            None => self.connections_of(&party.user),
        }
    }

    pub(super) fn tell_party(&self, id: &CallId, user: &UserId, event: &Event, out: &mut Outbound) {
        let Some(party) = self.calls.get(id).and_then(|call| call.party(user)) else {
            return;
        };
        out.extend(
            self.reach(party)
                .iter()
                .map(|connection| (*connection, event.clone())),
        );
    }
}
