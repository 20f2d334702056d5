//! One call in the log, as it is kept, told and shown.
//!
//! In: its columns, and its name, by which any number of processes may record the same call and it is there once.

use std::fmt;
use std::time::Duration;

use ring::digest;
use serde::{Deserialize, Serialize};

use crate::hub::CallReport;

/// A call's own name in the log. It follows from what is the same wherever the call is known: its caller, the name that it was
/// given, and when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct RecordId(u128);

impl RecordId {
    fn of(report: &CallReport) -> RecordId {
        let mut hash = digest::Context::new(&digest::SHA256);
        for text in [report.initiator.0.as_str(), report.call.0.as_str()] {
            hash.update(&text.len().to_be_bytes());
            hash.update(text.as_bytes());
        }
        hash.update(&report.created_at.as_nanos().to_be_bytes());
        hash.update(&report.serial.to_be_bytes());
        let half = hash.finish().as_ref().first_chunk().copied();
        RecordId(u128::from_be_bytes(half.unwrap_or_default()))
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A call that is over and has to be recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) id: RecordId,
    pub(crate) report: CallReport,
    /// When it was over, in the hub's time.
    pub(crate) at: Duration,
}

impl Ended {
    pub(crate) fn new(report: CallReport, at: Duration) -> Ended {
        let id = RecordId::of(&report);
        Ended { id, report, at }
    }
}

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
    /// Translates what the hub tells; its time is behind the Unix time by `behind` milliseconds.
    pub(super) fn new(ended: Ended, behind: i64) -> Entry {
        let Ended { id, report, at } = ended;
        let unix = |at: Duration| millis(at).saturating_add(behind);
        let recipients = report.recipients.into_iter().map(|recipient| Called {
            user_id: recipient.user.0.to_string(),
            answer: word(&recipient.answer),
        });
        Entry {
            id: id.to_string(),
            call_id: report.call.0.to_string(),
            initiator_id: Some(report.initiator.0.to_string()),
            call_type: report.call_type.map(|call_type| word(&call_type)),
            started_at: unix(report.created_at),
            answered_at: report.answered_at.map(unix),
            ended_at: unix(at),
            outcome: word(&report.outcome),
            ended_by: report.ended_by.map(|user| user.0.to_string()),
            recipients: recipients.collect(),
        }
    }
}

/// Milliseconds of a span.
pub(crate) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// What two databases have in common about a row.
pub(super) trait Columns {
    type Error;

    fn text(&self, column: usize) -> Result<String, Self::Error>;
    fn maybe_text(&self, column: usize) -> Result<Option<String>, Self::Error>;
    fn number(&self, column: usize) -> Result<i64, Self::Error>;
    fn maybe_number(&self, column: usize) -> Result<Option<i64>, Self::Error>;
}

impl Entry {
    /// Reads what [`super::sql::HISTORY`] selects; who was called is asked for separately.
    pub(super) fn of<C: Columns>(row: &C) -> Result<Entry, C::Error> {
        Ok(Entry {
            id: row.text(0)?,
            call_id: row.text(1)?,
            initiator_id: row.maybe_text(2)?,
            call_type: row.maybe_text(3)?,
            started_at: row.number(4)?,
            answered_at: row.maybe_number(5)?,
            ended_at: row.number(6)?,
            outcome: row.text(7)?,
            ended_by: row.maybe_text(8)?,
            recipients: Vec::new(),
        })
    }
}

impl Called {
    /// Reads what [`super::sql::RECIPIENTS`] selects.
    pub(super) fn of<C: Columns>(row: &C) -> Result<Called, C::Error> {
        Ok(Called {
            user_id: row.text(0)?,
            answer: row.text(1)?,
        })
    }
}

/// The word of a plain variant, as it is on the wire.
fn word(variant: &impl Serialize) -> String {
    match serde_json::to_value(variant) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
