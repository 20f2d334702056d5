//! What members do to a call that has begun: accept, decline, end.
//!
//! In: also who hears of it. Not in: how it begins (`call_begin.rs`), what happens when they do nothing (`call_silence.rs`), and
//! what they tell each other (`call_signals.rs`).

use std::time::Duration;

use super::call::{Party, PartyState};
use super::report::Answer;
use super::{CallId, ConnectionId, Deadline, EndReason, Event, Hub, Outbound, Refusal, UserId};

impl Hub {
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
