//! One call in the log, as it is kept, told and shown.

use std::time::Duration;

use serde::Serialize;

use crate::chance;
use crate::hub::CallReport;

/// A call that is over; times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its own name in the log: the same call is written once, however often that is tried.
    pub id: String,
    /// The name that its caller gave it.
    pub call_id: String,
    /// Who called; absent once that user is erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiator_id: Option<String>,
    /// `audio` or `video`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_type: Option<String>,
    /// When it began to ring.
    pub started_at: i64,
    /// When it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<i64>,
    /// When it was over.
    pub ended_at: i64,
    /// `ended`, `disconnected`, `rejected`, `timeout`, `cancelled` or `unavailable`.
    pub outcome: String,
    /// Who ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
    /// Who was called.
    pub recipients: Vec<Called>,
}

/// Somebody who was called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Called {
    /// Who.
    pub user_id: String,
    /// `accepted`, `rejected`, `missed` or `absent`.
    pub answer: String,
}

impl Entry {
    /// Translates a report of the hub, whose time is `now` at the Unix time `now_unix`.
    pub(super) fn new(report: CallReport, now: Duration, now_unix: i64) -> Entry {
        let ago = |at: Duration| i64::try_from(now.saturating_sub(at).as_millis()).unwrap_or(0);
        let unix = |at: Duration| now_unix.saturating_sub(ago(at));
        let recipients = report.recipients.into_iter().map(|recipient| Called {
            user_id: recipient.user.0.to_string(),
            answer: word(&recipient.answer),
        });
        Entry {
            id: chance::peer_id(),
            call_id: report.call.0.to_string(),
            initiator_id: Some(report.initiator.0.to_string()),
            call_type: report.call_type.map(|call_type| word(&call_type)),
            started_at: unix(report.created_at),
            answered_at: report.answered_at.map(unix),
            ended_at: now_unix,
            outcome: word(&report.outcome),
            ended_by: report.ended_by.map(|user| user.0.to_string()),
            recipients: recipients.collect(),
        }
    }
}

/// The word of a plain variant, as it is on the wire.
fn word(variant: &impl Serialize) -> String {
    match serde_json::to_value(variant) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
