//! The call log in PostgreSQL, as the older call service has it.
//!
//! In: its tables, and the one connection: made when it is needed, and again after it broke.

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Mutex;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect};
use tokio_postgres::{Client, Config, Error, Row};
use tracing::debug;
use turn_auth::Secret;

use super::entry::Columns;
use super::{Called, Entry, Query, StoreError, sql};
use crate::trust::Trust;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS calls (
        id TEXT PRIMARY KEY, call_id TEXT NOT NULL, initiator_id TEXT, call_type TEXT, started_at BIGINT NOT NULL,
        answered_at BIGINT, ended_at BIGINT NOT NULL, outcome TEXT NOT NULL, ended_by TEXT
    );
    CREATE TABLE IF NOT EXISTS call_recipients (
        call TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE, position INTEGER NOT NULL, user_id TEXT NOT NULL,
        answer TEXT NOT NULL, PRIMARY KEY (call, position)
    );
    CREATE INDEX IF NOT EXISTS calls_ended_at ON calls (ended_at);
    CREATE INDEX IF NOT EXISTS calls_initiator_id ON calls (initiator_id, ended_at);
    CREATE INDEX IF NOT EXISTS calls_ended_by ON calls (ended_by);
    CREATE INDEX IF NOT EXISTS call_recipients_user_id ON call_recipients (user_id);";

/// Any number of processes may find no tables at once: they make them one after the other.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7402871)";

/// A database with calls.
pub struct PostgresLog {
    config: Config,
    trust: Trust,
    client: Mutex<Option<Client>>,
}

impl PostgresLog {
    /// Reads a connection string (`postgresql://USER:PASSWORD@HOST/DATABASE?sslmode=verify-full`, or its KEY=VALUE form). Nobody
    /// is connected to before there is something to write.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(connection: &Secret<String>) -> Result<PostgresLog, StoreError> {
        let mut config: Config = in_our_words(connection.expose()).parse()?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(super::QUESTION);
        }
        if config.get_application_name().is_none() {
            config.application_name("signaling");
        }
        Ok(PostgresLog {
            config,
            trust: Trust::default(),
            client: Mutex::new(None),
        })
    }

    /// Takes certificates of these.
    pub fn trusting(mut self, trust: Trust) -> PostgresLog {
        self.trust = trust;
        self
    }

    /// Asks with the connection that there is, or a new one; one that broke is not kept.
    async fn with<T>(
        &self,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        let mut kept = self.client.lock().await;
        let mut client = match kept.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => self.connect().await?,
        };
        let done = work(&mut client).await;
        // Whoever stops waiting in the middle leaves no connection behind in the middle of something.
        if !client.is_closed() {
            *kept = Some(client);
        }
        Ok(done?)
    }

    async fn connect(&self) -> Result<Client, Error> {
        let (mut client, connection) = self.config.connect(Tls(self.trust.clone())).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "the connection to PostgreSQL ended");
            }
        });
        let transaction = client.transaction().await?;
        transaction.batch_execute(LOCK).await?;
        transaction.batch_execute(SCHEMA).await?;
        transaction.commit().await?;
        Ok(client)
    }

    pub(super) async fn insert(&self, entries: &[Entry]) -> Result<(), StoreError> {
        self.with(async |client| {
            let transaction = client.transaction().await?;
            let call = transaction.prepare(sql::INSERT_CALL).await?;
            let recipient = transaction.prepare(sql::INSERT_RECIPIENT).await?;
            for entry in entries {
                let new = transaction
                    .execute(
                        &call,
                        &[
                            &entry.id,
                            &entry.call_id,
                            &entry.initiator_id,
                            &entry.call_type,
                            &entry.started_at,
                            &entry.answered_at,
                            &entry.ended_at,
                            &entry.outcome,
                            &entry.ended_by,
                        ],
                    )
                    .await?;
                let recipients = if new == 0 {
                    &[]
                } else {
                    entry.recipients.as_slice()
                };
                for (position, called) in (0_i32..).zip(recipients) {
                    let values = (&entry.id, position, &called.user_id, &called.answer);
                    transaction
                        .execute(&recipient, &[values.0, &values.1, values.2, values.3])
                        .await?;
                }
            }
            transaction.commit().await
        })
        .await
    }

    pub(super) async fn history(&self, query: Query) -> Result<Vec<Entry>, StoreError> {
        self.with(async |client| {
            let limit = i64::from(query.limit);
            let rows = client
                .query(sql::HISTORY, &[&query.before, &query.user, &limit])
                .await?;
            let mut entries = rows.iter().map(Entry::of).collect::<Result<Vec<_>, _>>()?;
            for entry in &mut entries {
                let called = client.query(sql::RECIPIENTS, &[&entry.id]).await?;
                let called = called.iter().map(Called::of);
                entry.recipients = called.collect::<Result<_, _>>()?;
            }
            Ok(entries)
        })
        .await
    }

    pub(super) async fn erase(&self, user: String) -> Result<u64, StoreError> {
        self.with(async |client| {
            let transaction = client.transaction().await?;
            let found = transaction.query_one(sql::COUNT_OF_USER, &[&user]).await?;
            for statement in sql::ERASE_USER {
                transaction.execute(statement, &[&user]).await?;
            }
            transaction.execute(sql::ERASE_NOBODYS, &[]).await?;
            transaction.commit().await?;
            Ok(u64::try_from(found.try_get::<_, i64>(0)?).unwrap_or(0))
        })
        .await
    }

    pub(super) async fn expire(&self, before: i64) -> Result<u64, StoreError> {
        self.with(async |client| client.execute(sql::EXPIRE, &[&before]).await)
            .await
    }
}

impl Columns for Row {
    type Error = Error;

    fn text(&self, column: usize) -> Result<String, Error> {
        self.try_get(column)
    }

    fn maybe_text(&self, column: usize) -> Result<Option<String>, Error> {
        self.try_get(column)
    }

    fn number(&self, column: usize) -> Result<i64, Error> {
        self.try_get(column)
    }

    fn maybe_number(&self, column: usize) -> Result<Option<i64>, Error> {
        self.try_get(column)
    }
}

/// libpq tells apart how well it looks at a certificate. Here that is always as well as its best does: wherever TLS is spoken, an
/// authority that is trusted has to vouch for the server, by its name.
fn in_our_words(connection: &str) -> String {
    let connection = connection.replace("sslmode=verify-full", "sslmode=require");
    connection.replace("sslmode=verify-ca", "sslmode=require")
}

/// What is behind an error of the client library.
pub(super) fn cause_of(error: &Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}"));
    cause.unwrap_or_default()
}

/// TLS to the database; whether it is spoken is `sslmode`'s to say.
#[derive(Clone)]
struct Tls(Trust);

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> MakeTlsConnect<S> for Tls {
    type Stream = TlsStream<S>;
    type TlsConnect = Connect;
    type Error = io::Error;

    fn make_tls_connect(&mut self, domain: &str) -> io::Result<Connect> {
        Ok(Connect(self.0.clone(), domain.to_owned()))
    }
}

struct Connect(Trust, String);

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> TlsConnect<S> for Connect {
    type Stream = TlsStream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TlsStream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let Connect(trust, host) = self;
            let stream = trust.connect(&host, stream).await?;
            Ok(TlsStream(Box::new(stream)))
        })
    }
}

struct TlsStream<S>(Box<tokio_rustls::client::TlsStream<S>>);

impl<S: AsyncRead + AsyncWrite + Unpin> tokio_postgres::tls::TlsStream for TlsStream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::SslMode;

    use super::*;

    #[test]
    fn all_ways_to_want_tls_are_the_strictest() {
        for mode in ["require", "verify-ca", "verify-full"] {
            for text in [
                format!("postgresql://app@db.example.org/calls?sslmode={mode}"),
                format!("host=db.example.org user=app sslmode={mode}"),
            ] {
                let log = PostgresLog::new(&Secret::new(text)).unwrap();
                assert_eq!(log.config.get_ssl_mode(), SslMode::Require, "{mode}");
            }
        }
        let other = "postgresql://db.example.org?sslmode=maybe".to_owned();
        assert!(PostgresLog::new(&Secret::new(other)).is_err());
    }
}
