//! Where calls are recorded, as the operator wants it: from options to a call log at work.
//!
//! In: the options of the call log. Not in: the log (`calllog`).

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use turn_auth::Secret;

use super::settings::Reader;
use crate::calllog::{CallLog, PostgresLog, SqliteLog, Store, Webhook};
use crate::{Trust, WebUrl};

/// Where calls are recorded.
pub struct RecordSettings {
    /// Where they are kept.
    pub store: Option<StoreSettings>,
    /// For how long.
    pub retention: Duration,
    /// Who may ask for everybody's.
    pub keys: Vec<Secret<String>>,
    /// Who is told, and with what that is signed.
    pub webhook: Option<(WebUrl, Vec<Secret<String>>)>,
}

/// A database.
pub enum StoreSettings {
    /// In this file.
    Sqlite(PathBuf),
    /// At this server; with its password, and whose certificate it has to show.
    Postgres(Secret<String>, Trust),
}

const DAY: u64 = 24 * 60 * 60;

impl Reader<'_> {
    pub(super) fn records(&mut self) -> RecordSettings {
        let file = self.values.text("call-log").map(PathBuf::from);
        let server = self.lines("call-log-postgres-file").into_iter().next();
        if file.is_some() && server.is_some() {
            let remedy = "Remove one of the two.";
            self.problem(
                "call-log",
                "cannot stand beside call-log-postgres-file",
                remedy,
            );
        }
        let store = match (file, server) {
            (_, Some(server)) => Some(StoreSettings::Postgres(Secret::new(server), self.trust())),
            (Some(file), None) => Some(StoreSettings::Sqlite(file)),
            (None, None) => None,
        };
        let keys = self.secrets("call-log-key-file");
        if store.is_none() && !keys.is_empty() {
            let remedy = "Write --call-log=FILE.";
            self.problem(
                "call-log-key-file",
                "is for a call log, and there is none",
                remedy,
            );
        }
        let url = self.service("webhook-url");
        let secrets = self.secrets("webhook-secret-file");
        if url.is_some() && secrets.is_empty() {
            let remedy = "Write --webhook-secret-file=FILE.";
            self.problem("webhook-url", "has nothing to be signed with", remedy);
        }
        RecordSettings {
            store,
            retention: Duration::from_secs(DAY * self.values.number("call-log-days").unwrap_or(30)),
            keys,
            webhook: url.map(|url| (url, secrets)),
        }
    }

    fn secrets(&mut self, long: &str) -> Vec<Secret<String>> {
        self.lines(long).into_iter().map(Secret::new).collect()
    }
}

/// Starts the call log, if one is wanted.
pub(super) fn call_log(settings: RecordSettings) -> anyhow::Result<Option<CallLog>> {
    let store = match settings.store {
        Some(StoreSettings::Sqlite(file)) => {
            let log = SqliteLog::open(&file);
            let log = log.map_err(|error| {
                let option = format!("--call-log={}", file.display());
                anyhow!("{option}: {error}. Name a file of this program's in a folder that it may write to.")
            })?;
            Some(Store::Sqlite(log))
        }
        Some(StoreSettings::Postgres(server, trust)) => {
            let log = PostgresLog::new(&server).context("--call-log-postgres-file")?;
            Some(Store::Postgres(Box::new(log.trusting(trust))))
        }
        None => None,
    };
    let webhook = settings
        .webhook
        .map(|(url, secrets)| Webhook::new(url, &secrets));
    if store.is_none() && webhook.is_none() {
        return Ok(None);
    }
    let store = store.map(|store| (store, settings.retention));
    Ok(Some(CallLog::start(store, webhook)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::settings::tests::settings;
    use super::*;

    #[test]
    fn the_call_log_is_read() {
        let records = settings(&[
            "--call-log=calls.sqlite",
            "--call-log-days=7",
            "--call-log-key-file=key",
            "--webhook-url=https://h/calls",
            "--webhook-secret-file=secret",
        ])
        .records;
        assert!(
            matches!(records.store, Some(StoreSettings::Sqlite(file)) if file == Path::new("calls.sqlite"))
        );
        assert_eq!(
            (records.retention.as_secs(), records.keys.len()),
            (604_800, 2)
        );
        let (url, secrets) = records.webhook.unwrap();
        assert_eq!(
            (url.to_string().as_str(), secrets.len()),
            ("https://h:443/calls", 2)
        );
        let records = settings(&["--call-log-postgres-file=postgres"]).records;
        let Some(StoreSettings::Postgres(server, _)) = records.store else {
            panic!("no server")
        };
        assert_eq!(server.expose(), "postgres");
        let records = settings(&[]).records;
        assert!(records.store.is_none() && records.webhook.is_none());
    }
}
