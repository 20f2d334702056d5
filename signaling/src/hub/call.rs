//! One call: who is in it and how far each has come.
//!
//! In: the plain data of a call. Not in: what moves it (`calls.rs`, `call_signals.rs`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::call_pair::Pair;
use super::report::Memory;
use super::{CallId, CallType, ConnectionId, Hub, UserId};

/// A call and its members: the caller and everybody invited.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Call {
    pub(super) initiator: UserId,
    /// `None` until `call-initiate`: an offer came first.
    pub(super) call_type: Option<CallType>,
    pub(super) parties: Vec<Party>,
    pub(super) pairs: Vec<Pair>,
    pub(super) created_at: Duration,
    /// Which of those that began it is.
    pub(super) serial: u64,
    pub(super) memory: Memory,
}

/// A member of a call.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Party {
    pub(super) user: UserId,
    pub(super) state: PartyState,
    /// The connection that has the call, once one of the user's has shown that it does.
    pub(super) seat: Option<ConnectionId>,
    /// The caller was told that this one accepted.
    pub(super) announced: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum PartyState {
    Caller,
    Invited,
    Joined,
}

impl Party {
    pub(super) fn new(user: &UserId, state: PartyState) -> Party {
        Party {
            user: user.clone(),
            state,
            seat: None,
            announced: false,
        }
    }
}

impl Call {
    pub(super) fn new(initiator: &UserId, from: ConnectionId, now: Duration, serial: u64) -> Call {
        let caller = Party {
            seat: Some(from),
            ..Party::new(initiator, PartyState::Caller)
        };
        Call {
            initiator: initiator.clone(),
            call_type: None,
            parties: vec![caller],
            pairs: Vec::new(),
            created_at: now,
            serial,
            memory: Memory::default(),
        }
    }

    pub(super) fn party(&self, user: &UserId) -> Option<&Party> {
        self.parties.iter().find(|party| party.user == *user)
    }

    pub(super) fn party_mut(&mut self, user: &UserId) -> Option<&mut Party> {
        self.parties.iter_mut().find(|party| party.user == *user)
    }

    pub(super) fn any(&self, state: PartyState) -> bool {
        self.parties.iter().any(|party| party.state == state)
    }

    pub(super) fn pair(&mut self, one: &UserId, other: &UserId) -> &mut Pair {
        let index = self
            .pairs
            .iter()
            .position(|pair| pair.is_between(one, other))
            .unwrap_or_else(|| {
                self.pairs.push(Pair::new(one, other));
                self.pairs.len() - 1
            });
        &mut self.pairs[index]
    }

    /// Bytes of all candidates that wait.
    pub(super) fn held_bytes(&self) -> usize {
        self.pairs.iter().map(Pair::held_bytes).sum()
    }

    /// Bytes of all offers that wait.
    pub(super) fn offer_bytes(&self) -> usize {
        self.pairs.iter().map(Pair::offer_bytes).sum()
    }

    pub(super) fn remove(&mut self, user: &UserId) {
        self.parties.retain(|party| party.user != *user);
        self.pairs.retain(|pair| !pair.involves(user));
    }
}

/// A call as plain data, for logs and for other processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallRecord {
    /// Its name.
    pub call_id: CallId,
    /// The caller and everybody invited.
    pub participants: Vec<UserId>,
    /// Absent until the caller has said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_type: Option<CallType>,
    /// The caller.
    pub initiator: UserId,
    /// Milliseconds since the hub's origin of time.
    pub created_at: u64,
}

impl Hub {
    /// Describes a call.
    pub fn call_record(&self, id: &CallId) -> Option<CallRecord> {
        let call = self.calls.get(id)?;
        Some(CallRecord {
            call_id: id.clone(),
            participants: call
                .parties
                .iter()
                .map(|party| party.user.clone())
                .collect(),
            call_type: call.call_type,
            initiator: call.initiator.clone(),
            created_at: u64::try_from(call.created_at.as_millis()).unwrap_or(u64::MAX),
        })
    }
}
