//! How a call begins: it is opened, members are invited, and their connections ring.
//!
//! In: who may open one and be invited, and what rings. Not in: what members do to it then (`calls.rs`).

use std::collections::BTreeSet;
use std::time::Duration;

use super::call::{Call, Party, PartyState};
use super::report::Answer;
use super::{CallId, CallType, ConnectionId, Deadline, Event, Hub, Outbound, Refusal, UserId};

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
        self.calls_begun += 1;
        let call = Call::new(user, from, now, self.calls_begun);
        self.calls.insert(id.clone(), call);
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
}
