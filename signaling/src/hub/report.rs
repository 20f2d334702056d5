//! What can be told of a call that is over: who called whom, who came, how it ended.
//!
//! In: gathering it while the call lives. Not in: where it is kept (`calllog`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::call::Call;
use super::{CallId, CallType, EndReason, Hub, UserId};

/// Recipients that are remembered of one call. A caller may invite anew whenever somebody has declined.
const MOST_RECIPIENTS: usize = 64;

/// A call that is over. Those that only an offer announced, and nobody took, are none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallReport {
    /// Its name.
    pub call: CallId,
    /// Who called.
    pub initiator: UserId,
    /// With or without video, if the caller said.
    pub call_type: Option<CallType>,
    /// Who was called.
    pub recipients: Vec<Recipient>,
    /// When it began, in the hub's time.
    pub created_at: Duration,
    /// Which of all calls of the hub it is: a name may be used again at once.
    pub serial: u64,
    /// When the first recipient accepted.
    pub answered_at: Option<Duration>,
    /// How it ended.
    pub outcome: Outcome,
    /// Who ended it, if somebody did.
    pub ended_by: Option<UserId>,
}

/// Somebody who was called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Who.
    pub user: UserId,
    /// What came of it.
    pub answer: Answer,
}

/// What a recipient did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Nothing.
    Missed,
    /// Was not there, or was rung for too many calls.
    Absent,
    /// Took the call.
    Accepted,
    /// Declined it.
    Rejected,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Somebody hung up.
    Ended,
    /// A member's connection broke and did not come back.
    Disconnected,
    /// Everybody who was rung declined.
    Rejected,
    /// Nobody who was rung reacted.
    Timeout,
    /// The caller gave up while it rang.
    Cancelled,
    /// There was nobody to ring.
    Unavailable,
}

/// What is remembered of a call while it lives.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Memory {
    recipients: Vec<Recipient>,
    answered_at: Option<Duration>,
    ended: Option<(UserId, Option<EndReason>)>,
}

impl Memory {
    /// Notes what has come of calling somebody; the latest counts.
    pub(super) fn note(&mut self, user: &UserId, answer: Answer) {
        let is_full = self.recipients.len() >= MOST_RECIPIENTS;
        match self.recipients.iter_mut().find(|known| known.user == *user) {
            Some(known) => known.answer = answer,
            None if is_full => {}
            None => self.recipients.push(Recipient {
                user: user.clone(),
                answer,
            }),
        }
    }

    pub(super) fn accepted(&mut self, user: &UserId, now: Duration) {
        self.note(user, Answer::Accepted);
        self.answered_at.get_or_insert(now);
    }

    pub(super) fn ended(&mut self, by: &UserId, reason: Option<EndReason>) {
        self.ended = Some((by.clone(), reason));
    }

    fn outcome(&self) -> Outcome {
        let any = |answer| self.recipients.iter().any(|known| known.answer == answer);
        match (&self.ended, self.answered_at) {
            (Some((_, Some(EndReason::Disconnected))), _) => Outcome::Disconnected,
            (_, Some(_)) => Outcome::Ended,
            (Some((_, Some(EndReason::Timeout))), None) => Outcome::Timeout,
            (Some(_), None) => Outcome::Cancelled,
            (None, None) if any(Answer::Rejected) => Outcome::Rejected,
            (None, None) if any(Answer::Missed) => Outcome::Timeout,
            (None, None) => Outcome::Unavailable,
        }
    }
}

impl Hub {
    /// Takes the reports of the calls that have ended since this was asked last.
    pub fn take_reports(&mut self) -> Vec<CallReport> {
        std::mem::take(&mut self.reports)
    }

    pub(super) fn report(&mut self, id: &CallId, call: Call) {
        if call.call_type.is_none() && call.memory.answered_at.is_none() {
            return;
        }
        let outcome = call.memory.outcome();
        // A call that nobody answers ends by itself.
        let by_somebody = !matches!(outcome, Outcome::Timeout | Outcome::Unavailable);
        let ended_by = call.memory.ended.map(|(user, _)| user);
        self.reports.push(CallReport {
            call: id.clone(),
            initiator: call.initiator,
            call_type: call.call_type,
            recipients: call.memory.recipients,
            created_at: call.created_at,
            serial: call.serial,
            answered_at: call.memory.answered_at,
            outcome,
            ended_by: ended_by.filter(|_| by_somebody),
        });
    }
}
