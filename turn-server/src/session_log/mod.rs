//! Sessions as log lines.
//!
//! In: which events are written when, and by whom. Not in: the words (`coturn`, `json`), and how people are named in them
//! (`logging::Privacy`).

mod coturn;
mod json;

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        mpsc::{self, SyncSender},
    },
    thread,
};

use tracing::{debug, error, info, warn};
use turn_config::settings::{LogShape, Password, Settings};
use turn_proto::Event;

use crate::{
    control::protocol::Level,
    logging::{self, Privacy, RECORD},
};

/// Events that may wait for the log; more are dropped and counted.
const EVENT_QUEUE: usize = 4096;

/// What the lines go by.
pub(crate) struct SessionLog(RwLock<Manner>);

/// How sessions are written.
#[derive(Clone)]
struct Manner {
    shape: LogShape,
    privacy: Privacy,
    /// The realm of all sessions.
    realm: String,
    /// The names that have a password here.
    accounts: Vec<String>,
}

/// A line, and how much it matters.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    level: tracing::Level,
    text: String,
}

impl SessionLog {
    /// Starts the thread that writes: a slow disk holds up that thread and no worker.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(crate) fn start(settings: &Settings) -> std::io::Result<(Arc<Self>, SyncSender<Event>)> {
        let (sender, events) = mpsc::sync_channel::<Event>(EVENT_QUEUE);
        let log = Arc::new(Self(RwLock::new(Manner::of(settings))));
        let writer = Arc::clone(&log);
        thread::Builder::new()
            .name("session-log".to_owned())
            .spawn(move || events.iter().for_each(|event| writer.write(&event)))?;
        Ok((log, sender))
    }

    /// Goes by other settings from the next line on.
    pub(crate) fn configure(&self, settings: &Settings) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Manner::of(settings);
    }

    fn write(&self, event: &Event) {
        let is_verbose = logging::level() >= Level::Sessions;
        let manner = self.0.read().unwrap_or_else(PoisonError::into_inner);
        for Record { level, text } in manner.records(event, is_verbose) {
            match level {
                tracing::Level::ERROR => error!(target: RECORD, "{text}"),
                tracing::Level::WARN => warn!(target: RECORD, "{text}"),
                tracing::Level::INFO => info!(target: RECORD, "{text}"),
                _ => debug!(target: RECORD, "{text}"),
            }
        }
    }
}

impl Manner {
    fn of(settings: &Settings) -> Self {
        let users = settings.auth.users.iter();
        let with_password =
            users.filter(|user| matches!(user.password, Password::Plain(_) | Password::Key(_)));
        Self {
            shape: settings.logging.shape,
            privacy: Privacy(settings.logging.privacy),
            realm: settings.auth.realm.clone(),
            accounts: with_password.map(|user| user.name.clone()).collect(),
        }
    }

    /// The lines of an event; without `verbose`, those of trouble only.
    fn records(&self, event: &Event, is_verbose: bool) -> Vec<Record> {
        let mut records = match self.shape {
            LogShape::Json => vec![self.object(event)],
            _ => self.lines(event),
        };
        records.retain(|record| is_verbose || record.level <= tracing::Level::WARN);
        records
    }
}

/// The words for an error code that coturn has in its log.
fn words(code: u16) -> &'static str {
    match code {
        300 => "Try Alternate",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        405 => "Mobility Forbidden",
        420 => "Unknown Attribute",
        437 => "Allocation Mismatch",
        438 => "Stale Nonce",
        440 => "Address Family not Supported",
        441 => "Wrong Credentials",
        442 => "Unsupported Transport Protocol",
        443 => "Peer Address Family Mismatch",
        446 => "Connection Already Exists",
        447 => "Connection Timeout or Failure",
        486 => "Allocation Quota Reached",
        500 => "Server Error",
        508 => "Insufficient Capacity",
        _ => "Unknown error",
    }
}
