//! What every database of a call log has to do; the end-to-end tests ask the same of PostgreSQL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests: a panic is the report"
)]
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use signaling::calllog::{CallLog, Called, Entry, Query, Store};
use tokio::time::{sleep, timeout};
use turn_auth::Secret;

/// How long something that should come may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub fn kept(store: Store) -> CallLog {
    CallLog::start(Some((store, MONTH)), None)
}

pub fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// A call of ann's to others that ended at this time.
pub fn entry(id: &str, ended_at: i64, recipients: &[&str]) -> Entry {
    let recipients = recipients.iter().map(|user| Called {
        user_id: (*user).to_owned(),
        answer: "accepted".to_owned(),
    });
    Entry {
        id: id.to_owned(),
        call_id: format!("call of {id}"),
        initiator_id: Some("ann".to_owned()),
        call_type: Some("video".to_owned()),
        started_at: ended_at - 5_000,
        answered_at: Some(ended_at - 4_000),
        ended_at,
        outcome: "ended".to_owned(),
        ended_by: recipients.clone().next().map(|called| called.user_id),
        recipients: recipients.collect(),
    }
}

/// Milliseconds since 1970, a moment ago.
#[allow(
    clippy::disallowed_methods,
    reason = "what is old is told by the machine's clock"
)]
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_millis()).unwrap()
}

pub async fn until(count: &AtomicU64, wanted: u64) {
    let reached = async {
        while count.load(Ordering::Relaxed) < wanted {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, reached).await.expect("never counted");
}

pub async fn ids(
    log: &CallLog,
    user: Option<&str>,
    before: Option<i64>,
    limit: u32,
) -> Vec<String> {
    let user = user.map(str::to_owned);
    let query = Query {
        user,
        before,
        limit,
    };
    let entries = log.history(query).await.unwrap();
    entries.into_iter().map(|entry| entry.id).collect()
}

/// What every store has to do.
pub async fn keeps_finds_erases(log: CallLog) {
    let now = now();
    let calls = [
        entry("1", now - 3, &["bob"]),
        entry("2", now - 2, &["eve", "bob"]),
        Entry {
            initiator_id: Some("eve".to_owned()),
            ended_by: None,
            answered_at: None,
            call_type: None,
            ..entry("3", now - 1, &["zoe"])
        },
    ];
    for call in &calls {
        log.add(call.clone());
    }
    log.add(calls[0].clone());
    until(&log.counts().written, 4).await;
    let all = log
        .history(Query {
            limit: 10,
            ..Query::default()
        })
        .await
        .unwrap();
    let expected: Vec<_> = calls.iter().rev().cloned().collect();
    assert_eq!(all, expected, "the same call is kept once, and whole");
    assert_eq!(ids(&log, Some("bob"), None, 10).await, ["2", "1"]);
    assert_eq!(ids(&log, Some("ann"), None, 1).await, ["2"]);
    assert_eq!(ids(&log, Some("ann"), Some(now - 2), 10).await, ["1"]);
    assert_eq!(ids(&log, Some("' OR '1'='1"), None, 10).await.len(), 0);

    assert_eq!(log.erase("bob").await.unwrap(), 2);
    assert_eq!(log.erase("ann").await.unwrap(), 2);
    let left = log
        .history(Query {
            limit: 10,
            ..Query::default()
        })
        .await
        .unwrap();
    assert_eq!(left.len(), 2, "a call about nobody is gone");
    let text = serde_json::to_string(&left).unwrap();
    assert!(!text.contains("bob") && !text.contains("ann"), "{text}");
    assert!(text.contains("eve"), "what is about others stays: {text}");
}

/// What is older than the retention goes when the log starts again.
pub async fn forgets(open: impl AsyncFn() -> Store) {
    let log = kept(open().await);
    log.add(entry("old", now() - 31 * 24 * 3_600_000, &["bob"]));
    log.add(entry("new", now(), &["bob"]));
    until(&log.counts().written, 2).await;
    log.close(PATIENCE).await;
    let log = kept(open().await);
    let gone = async {
        while ids(&log, None, None, 10).await != ["new"] {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("it is still there");
}
