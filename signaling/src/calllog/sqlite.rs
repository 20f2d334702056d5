//! The call log in a file: SQLite, compiled in.
//!
//! In: its tables, and asking. SQLite waits for the disk, so it is asked on threads that may wait.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};
use tokio::task::spawn_blocking;

use super::entry::Columns;
use super::{Called, Entry, Query, StoreError, sql};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS calls (
        id TEXT PRIMARY KEY, call_id TEXT NOT NULL, initiator_id TEXT, call_type TEXT, started_at INTEGER NOT NULL,
        answered_at INTEGER, ended_at INTEGER NOT NULL, outcome TEXT NOT NULL, ended_by TEXT
    ) STRICT;
    CREATE TABLE IF NOT EXISTS call_recipients (
        call TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE, position INTEGER NOT NULL, user_id TEXT NOT NULL,
        answer TEXT NOT NULL, PRIMARY KEY (call, position)
    ) STRICT;
    CREATE INDEX IF NOT EXISTS calls_ended_at ON calls (ended_at);
    CREATE INDEX IF NOT EXISTS calls_initiator_id ON calls (initiator_id, ended_at);
    CREATE INDEX IF NOT EXISTS calls_ended_by ON calls (ended_by);
    CREATE INDEX IF NOT EXISTS call_recipients_user_id ON call_recipients (user_id);
    PRAGMA user_version = 1;";

/// A file with calls.
#[derive(Clone)]
pub struct SqliteLog(Arc<Mutex<Connection>>);

impl SqliteLog {
    /// Opens the file, and makes it if there is none.
    ///
    /// # Errors
    /// When it cannot be opened, or is no such file.
    pub fn open(file: &Path) -> Result<SqliteLog, StoreError> {
        let connection = Connection::open(file)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        // Readers do not wait for us; a power cut may cost the last calls, and never the file. Erased is erased on the disk.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;",
        )?;
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version == 0 {
            connection.execute_batch(&format!("BEGIN; {SCHEMA} COMMIT;"))?;
        }
        Ok(SqliteLog(Arc::new(Mutex::new(connection))))
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let own = Arc::clone(&self.0);
        let done =
            spawn_blocking(move || work(&mut own.lock().unwrap_or_else(PoisonError::into_inner)));
        Ok(done.await.map_err(|_| StoreError::NoAnswer)??)
    }

    pub(super) async fn insert(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        self.with(move |connection| {
            let transaction = connection.transaction()?;
            for entry in &entries {
                insert(&transaction, entry)?;
            }
            transaction.commit()
        })
        .await
    }

    pub(super) async fn history(&self, query: Query) -> Result<Vec<Entry>, StoreError> {
        self.with(move |connection| {
            let mut statement = connection.prepare(sql::HISTORY)?;
            let asked = params![query.before, query.user, query.limit];
            let entries = statement.query_map(asked, |row| Entry::of(row))?;
            let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
            let mut statement = connection.prepare(sql::RECIPIENTS)?;
            for entry in &mut entries {
                let called = statement.query_map([&entry.id], |row| Called::of(row))?;
                entry.recipients = called.collect::<Result<_, _>>()?;
            }
            Ok(entries)
        })
        .await
    }

    pub(super) async fn erase(&self, user: String) -> Result<u64, StoreError> {
        self.with(move |connection| {
            let transaction = connection.transaction()?;
            let found = transaction
                .query_row(sql::COUNT_OF_USER, [&user], |row| row.get::<_, u32>(0))
                .optional()?;
            for statement in sql::ERASE_USER {
                transaction.execute(statement, [&user])?;
            }
            transaction.execute(sql::ERASE_NOBODYS, [])?;
            transaction.commit()?;
            // What was written and not yet brought into the file proper would show the name on.
            connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
            Ok(found.unwrap_or(0).into())
        })
        .await
    }

    pub(super) async fn expire(&self, before: i64) -> Result<u64, StoreError> {
        let done = self.with(move |connection| connection.execute(sql::EXPIRE, [before]));
        Ok(u64::try_from(done.await?).unwrap_or(u64::MAX))
    }
}

fn insert(connection: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    let new = connection.prepare(sql::INSERT_CALL)?.execute(params![
        entry.id,
        entry.call_id,
        entry.initiator_id,
        entry.call_type,
        entry.started_at,
        entry.answered_at,
        entry.ended_at,
        entry.outcome,
        entry.ended_by
    ])?;
    if new == 0 {
        return Ok(());
    }
    let mut statement = connection.prepare(sql::INSERT_RECIPIENT)?;
    for (position, called) in (0_i64..).zip(&entry.recipients) {
        statement.execute(params![entry.id, position, called.user_id, called.answer])?;
    }
    Ok(())
}

impl Columns for Row<'_> {
    type Error = rusqlite::Error;

    fn text(&self, column: usize) -> rusqlite::Result<String> {
        self.get(column)
    }

    fn maybe_text(&self, column: usize) -> rusqlite::Result<Option<String>> {
        self.get(column)
    }

    fn number(&self, column: usize) -> rusqlite::Result<i64> {
        self.get(column)
    }

    fn maybe_number(&self, column: usize) -> rusqlite::Result<Option<i64>> {
        self.get(column)
    }
}
