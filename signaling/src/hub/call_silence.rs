//! Calls in which somebody falls silent: does not react to the ringing, or loses the connection.
//!
//! In: who waits for whom, how long, and how they come back. Not in: what members do by choice (`calls.rs`).

use std::time::Duration;

use super::call::PartyState;
use super::{CallId, ConnectionId, Deadline, Departure, EndReason, Event, Hub, Outbound, UserId};

impl Hub {
    /// Some did not react for long enough: without anybody who did, that is the end; otherwise the others talk on. Where only
    /// offers announced a call, nobody was rung and nobody is told.
    pub(super) fn ring_timeout(&mut self, id: &CallId, out: &mut Outbound) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let initiator = call.initiator.clone();
        let was_rung = call.call_type.is_some();
        match (call.any(PartyState::Joined), was_rung) {
            (true, _) => {}
            (false, true) => {
                return self.end_call(id, &initiator, Some(EndReason::Timeout), None, out);
            }
            (false, false) => return self.remove_call(id),
        }
        let silent = call
            .parties
            .iter()
            .filter(|party| party.state == PartyState::Invited);
        for user in silent.map(|party| party.user.clone()).collect::<Vec<_>>() {
            if was_rung {
                let reason = Some(EndReason::Timeout);
                let ended = Event::CallEnded {
                    call: id.clone(),
                    ended_by: initiator.clone(),
                    reason,
                };
                self.tell_party(id, &user, &ended, out);
                self.tell_party(
                    id,
                    &initiator,
                    &Event::CallRejected {
                        call: id.clone(),
                        user: user.clone(),
                        reason,
                    },
                    out,
                );
            }
            self.remove_party(id, &user);
        }
    }

    /// A user has a new connection: calls wait no longer for one, and what rings, rings there too.
    pub(super) fn back_to_calls(
        &mut self,
        connection: ConnectionId,
        user: &UserId,
        out: &mut Outbound,
    ) {
        let calls: Vec<CallId> = self
            .users
            .get(user)
            .map(|entry| entry.calls.iter().cloned().collect())
            .unwrap_or_default();
        for id in calls {
            self.timers
                .cancel(&Deadline::CallGrace(id.clone(), user.clone()));
            self.ring(&id, user, connection, out);
        }
    }

    /// A user has lost a connection: the calls that it had end or wait. What rings, rings on: an answer needs another connection then.
    pub(super) fn away_from_calls(
        &mut self,
        now: Duration,
        connection: ConnectionId,
        user: &UserId,
        how: Departure,
        out: &mut Outbound,
    ) {
        let Some(entry) = self.users.get(user) else {
            return;
        };
        let nobody_left = entry.connections.is_empty();
        for id in entry.calls.iter().cloned().collect::<Vec<_>>() {
            let Some(party) = self
                .calls
                .get_mut(&id)
                .and_then(|call| call.party_mut(user))
            else {
                continue;
            };
            let had_it = party.seat == Some(connection) || party.seat.is_none() && nobody_left;
            if party.state == PartyState::Invited || !had_it {
                continue;
            }
            party.seat = None;
            match how {
                Departure::Closed => self.end_call(&id, user, None, None, out),
                Departure::Lost => self.timers.set(
                    Deadline::CallGrace(id, user.clone()),
                    now + self.limits.grace,
                ),
            }
        }
    }
}
