//! The call log: what is kept of calls that are over, and who is told of them.
//!
//! In: queues between the hub, which never waits, and databases and webhooks, which may be slow or away. Not in: SQL
//! (`sql.rs`, `sqlite.rs`, `postgres.rs`), HTTP (`http.rs`, `webhook.rs`).
//!
//! What finds a queue full is dropped and counted: a call is worth more than its record.

mod entry;
pub(crate) mod http;
mod postgres;
mod sql;
mod sqlite;
mod webhook;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use crate::clock::unix_millis;
pub use entry::{Called, Entry};
pub(crate) use entry::{Ended, RecordId, millis};
pub use postgres::PostgresLog;
pub use sqlite::SqliteLog;
pub use webhook::Webhook;

/// Entries that wait for the database: some minutes of a busy service, and less than a megabyte.
const QUEUE: usize = 4_096;

/// Entries written at a time.
const BATCH: usize = 64;

/// How long a database that failed is left alone; doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How often entries that are too old are looked for.
const SWEEP: Duration = Duration::from_secs(3_600);

/// How long a question to the database may take.
const QUESTION: Duration = Duration::from_secs(10);

/// How long it may take to do something. A server that is gone without a word answers nothing, ever, and would be waited for by all
/// that comes behind.
const WORK: Duration = Duration::from_secs(30);

/// Where entries are kept.
pub enum Store {
    /// A file beside us.
    Sqlite(SqliteLog),
    /// A server.
    Postgres(Box<PostgresLog>),
}

/// Which entries are asked for: the latest first.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// In which this user took part.
    pub user: Option<String>,
    /// That ended before this: milliseconds since 1970.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// The database does not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite says why.
    #[error("SQLite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL says why. Its own text ends before the cause.
    #[error("PostgreSQL: {0}{cause}", cause = postgres::cause_of(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// It did not answer, or our own side ended.
    #[error("no answer")]
    NoAnswer,
}

impl Store {
    async fn insert(&self, entries: &[Entry]) -> Result<(), StoreError> {
        match self {
            Store::Sqlite(log) => log.insert(entries.to_vec()).await,
            Store::Postgres(log) => log.insert(entries).await,
        }
    }

    async fn history(&self, query: Query) -> Result<Vec<Entry>, StoreError> {
        match self {
            Store::Sqlite(log) => log.history(query).await,
            Store::Postgres(log) => log.history(query).await,
        }
    }

    async fn erase(&self, user: String) -> Result<u64, StoreError> {
        match self {
            Store::Sqlite(log) => log.erase(user).await,
            Store::Postgres(log) => log.erase(user).await,
        }
    }

    async fn expire(&self, before: i64) -> Result<u64, StoreError> {
        match self {
            Store::Sqlite(log) => log.expire(before).await,
            Store::Postgres(log) => log.expire(before).await,
        }
    }
}

/// What became of entries; counted since the start.
#[derive(Debug, Default)]
pub struct Counts {
    /// Written to the database.
    pub written: AtomicU64,
    /// Dropped, because the database was too slow or away for too long.
    pub dropped: AtomicU64,
    /// Told to the webhook, which took them.
    pub told: AtomicU64,
    /// Given up: the webhook was too slow, away for too long, or wanted none.
    pub untold: AtomicU64,
}

/// A call log at work; cheap to clone.
#[derive(Clone)]
pub struct CallLog(Arc<Inner>);

struct Inner {
    store: Option<(Arc<Store>, mpsc::Sender<Task>)>,
    /// `None` comes last.
    webhook: Option<mpsc::Sender<Option<Ticket>>>,
    counts: Arc<Counts>,
    writers: std::sync::Mutex<Vec<JoinHandle<()>>>,
}

/// Something to be kept and told.
#[derive(Clone)]
struct Ticket {
    entry: Entry,
    receipt: Option<Arc<Receipt>>,
}

/// Says that an entry was kept and told, or given up, when the last who has to do with it drops it.
struct Receipt {
    id: RecordId,
    to: mpsc::UnboundedSender<RecordId>,
}

impl Drop for Receipt {
    fn drop(&mut self) {
        // Whoever wanted to know may be gone.
        let _ = self.to.send(self.id);
    }
}

enum Task {
    Write(Box<Ticket>),
    /// Done in its turn, so that nothing of the user waits to be written behind it.
    Erase(String, oneshot::Sender<Result<u64, StoreError>>),
    /// Nothing comes behind it.
    End,
}

impl CallLog {
    /// Starts one that keeps entries in `store` for `retention`, and tells `webhook`. Must be called inside a tokio runtime.
    pub fn start(store: Option<(Store, Duration)>, webhook: Option<Webhook>) -> CallLog {
        let counts = Arc::new(Counts::default());
        let mut writers = Vec::new();
        let store = store.map(|(store, retention)| {
            let (sender, tasks) = mpsc::channel(QUEUE);
            let store = Arc::new(store);
            let writer = Writer {
                store: Arc::clone(&store),
                retention,
                counts: Arc::clone(&counts),
            };
            writers.push(tokio::spawn(writer.run(tasks)));
            (store, sender)
        });
        let webhook = webhook.map(|webhook| {
            let (sender, entries) = mpsc::channel(QUEUE);
            writers.push(tokio::spawn(webhook.run(entries, Arc::clone(&counts))));
            sender
        });
        CallLog(Arc::new(Inner {
            store,
            webhook,
            counts,
            writers: std::sync::Mutex::new(writers),
        }))
    }

    /// Keeps a call that is over, of a hub whose time is behind the Unix time by so many milliseconds, and says so in `to`
    /// when nothing is left to do about it. Never waits.
    pub(crate) fn record(
        &self,
        ended: Ended,
        behind: i64,
        to: Option<&mpsc::UnboundedSender<RecordId>>,
    ) {
        let receipt = to.map(|to| Receipt {
            id: ended.id,
            to: to.clone(),
        });
        self.issue(Ticket {
            entry: Entry::new(ended, behind),
            receipt: receipt.map(Arc::new),
        });
    }

    /// Keeps an entry. Never waits.
    pub fn add(&self, entry: Entry) {
        let receipt = None;
        self.issue(Ticket { entry, receipt });
    }

    fn issue(&self, ticket: Ticket) {
        let Inner {
            store,
            webhook,
            counts,
            ..
        } = &*self.0;
        if let Some(webhook) = webhook
            && webhook.try_send(Some(ticket.clone())).is_err()
        {
            counts.untold.fetch_add(1, Ordering::Relaxed);
        }
        if let Some((_, tasks)) = store
            && tasks.try_send(Task::Write(Box::new(ticket))).is_err()
        {
            counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What became of entries.
    pub fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// Says whether entries are kept and can be asked for.
    pub(crate) fn keeps(&self) -> bool {
        self.0.store.is_some()
    }

    /// The entries that were asked for, the latest first.
    ///
    /// # Errors
    /// When the database cannot say.
    pub async fn history(&self, query: Query) -> Result<Vec<Entry>, StoreError> {
        let Some((store, _)) = &self.0.store else {
            return Ok(Vec::new());
        };
        within(QUESTION, store.history(query)).await
    }

    /// Takes a user out of all entries, and those out that were about nobody else; says how many it found.
    ///
    /// # Errors
    /// When the database cannot do that now.
    pub async fn erase(&self, user: &str) -> Result<u64, StoreError> {
        let Some((_, tasks)) = &self.0.store else {
            return Ok(0);
        };
        let (sender, answer) = oneshot::channel();
        let done = async {
            let task = Task::Erase(user.to_owned(), sender);
            tasks.send(task).await.map_err(|_| StoreError::NoAnswer)?;
            answer.await.map_err(|_| StoreError::NoAnswer)?
        };
        within(QUESTION, done).await
    }

    /// Waits until everything that was recorded is written, for `limit` at most. Nothing may be recorded afterwards.
    pub async fn close(&self, limit: Duration) {
        let writers = match self.0.writers.lock() {
            Ok(mut writers) => std::mem::take(&mut *writers),
            Err(_) => return,
        };
        let all = async {
            if let Some((_, tasks)) = &self.0.store {
                let _ = tasks.send(Task::End).await;
            }
            if let Some(webhook) = &self.0.webhook {
                let _ = webhook.send(None).await;
            }
            for writer in writers {
                let _ = writer.await;
            }
        };
        if timeout(limit, all).await.is_err() {
            warn!(
                "the call log is not written to its end: the database or the webhook is too slow"
            );
        }
    }
}

/// Writes entries, and takes out those that are too old.
struct Writer {
    store: Arc<Store>,
    retention: Duration,
    counts: Arc<Counts>,
}

impl Writer {
    async fn run(self, mut tasks: mpsc::Receiver<Task>) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut sweep_at = crate::clock::instant();
        loop {
            tokio::select! {
                biased;
                count = tasks.recv_many(&mut batch, BATCH) => {
                    if count == 0 || self.work(&mut batch).await.is_break() {
                        return;
                    }
                }
                () = tokio::time::sleep_until(sweep_at) => {
                    self.sweep().await;
                    sweep_at = next_sweep(sweep_at);
                }
            }
        }
    }

    /// Does tasks in their order, as many entries at a time as stand together.
    async fn work(&self, batch: &mut Vec<Task>) -> ControlFlow<()> {
        let (mut entries, mut then) = (Vec::new(), ControlFlow::Continue(()));
        // Dropped when all is written.
        let mut receipts = Vec::new();
        for task in batch.drain(..) {
            match task {
                Task::Write(ticket) => {
                    receipts.push(ticket.receipt);
                    entries.push(ticket.entry);
                }
                Task::Erase(user, answer) => {
                    self.write(&std::mem::take(&mut entries)).await;
                    // Whoever asked may have given up.
                    let _ = answer.send(within(WORK, self.store.erase(user)).await);
                }
                Task::End => then = ControlFlow::Break(()),
            }
        }
        self.write(&entries).await;
        then
    }

    /// Tries until it succeeds: meanwhile the queue fills, and what does not fit in is counted.
    async fn write(&self, entries: &[Entry]) {
        let mut wait = FIRST_WAIT;
        while !entries.is_empty() {
            match within(WORK, self.store.insert(entries)).await {
                Ok(()) => {
                    let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
                    self.counts.written.fetch_add(count, Ordering::Relaxed);
                    return;
                }
                Err(error) => warn!(%error, "the call log is not written; it will be tried again"),
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn sweep(&self) {
        let retention = i64::try_from(self.retention.as_millis()).unwrap_or(i64::MAX);
        let before = unix_millis().saturating_sub(retention);
        match within(WORK, self.store.expire(before)).await {
            Ok(0) => {}
            Ok(count) => info!(count, "calls of long ago are no longer in the call log"),
            Err(error) => warn!(%error, "calls of long ago stay in the call log"),
        }
    }
}

async fn within<T>(
    limit: Duration,
    done: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(limit, done)
        .await
        .unwrap_or(Err(StoreError::NoAnswer))
}

fn next_sweep(last: Instant) -> Instant {
    last + SWEEP
}
