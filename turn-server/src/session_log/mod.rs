//! Sessions as log lines.
//!
//! In: which events are written when, and by whom. Not in: the words (`coturn`, `json`), and how people are named in them
//! (`logging::Privacy`).

mod coturn;
mod json;

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

use tracing::{debug, error, info, warn};
use turn_config::settings::{LogShape, Password, Settings};
use turn_proto::Event;

use crate::{
    control::protocol::Level,
    logging::{self, Privacy, RECORD},
    metrics_page::UserTraffic,
};

/// Events that may wait for the log; more are dropped and counted.
const EVENT_QUEUE: usize = 4096;

/// Events that come so soon after each other are close together.
const CLOSE: Duration = Duration::from_millis(1);

/// So many close together are many: a session's own few are not.
const MANY: u32 = 16;

/// How long events gather then: a hundred or two, of a queue of thousands, when a core does nothing but allocate.
const GATHERING: Duration = Duration::from_millis(2);

/// What the lines go by.
pub(crate) struct SessionLog {
    manner: RwLock<Manner>,
    /// Traffic by user, where it is counted so.
    users: Option<Arc<UserTraffic>>,
}

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
        let by_user = settings.metrics.as_ref().is_some_and(|it| it.by_user);
        let log = Arc::new(Self {
            manner: RwLock::new(Manner::of(settings)),
            users: by_user.then(Arc::default),
        });
        let writer = Arc::clone(&log);
        thread::Builder::new()
            .name("session-log".to_owned())
            .spawn(move || for_each(&events, |event| writer.write(&event)))?;
        Ok((log, sender))
    }

    /// Goes by other settings from the next line on.
    pub(crate) fn configure(&self, settings: &Settings) {
        *self.manner.write().unwrap_or_else(PoisonError::into_inner) = Manner::of(settings);
    }

    /// Traffic by user, where it is counted so.
    pub(crate) fn users(&self) -> Option<Arc<UserTraffic>> {
        self.users.clone()
    }

    fn write(&self, event: &Event) {
        if let (Some(users), Event::Ended { user, traffic, .. }) = (&self.users, event) {
            users.add(user, traffic);
        }
        let is_verbose = logging::level() >= Level::Sessions;
        let manner = self.manner.read().unwrap_or_else(PoisonError::into_inner);
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
        if !is_verbose && !may_be_trouble(event) {
            return Vec::new();
        }
        let mut records = match self.shape {
            LogShape::Json => vec![self.object(event)],
            _ => self.lines(event),
        };
        records.retain(|record| is_verbose || record.level <= tracing::Level::WARN);
        records
    }
}

/// Does something with everything that is told, until nobody tells any more: at once while that is rare. Where much comes, some
/// gathers first: a worker that finds the writer waiting has to wake it, which costs more than an allocation.
fn for_each<T>(told: &Receiver<T>, mut write: impl FnMut(T)) {
    let (mut woken_at, mut close_together) = (Instant::now(), 0);
    while let Ok(first) = told.recv() {
        let now = Instant::now();
        let is_close = now.duration_since(woken_at) < CLOSE;
        close_together = if is_close {
            u32::saturating_add(close_together, 1)
        } else {
            0
        };
        woken_at = now;
        write(first);
        if close_together >= MANY {
            thread::sleep(GATHERING);
            told.try_iter().for_each(&mut write);
            woken_at = Instant::now();
        }
    }
}

/// Whether an event may have a line that is written at any level.
fn may_be_trouble(event: &Event) -> bool {
    matches!(event, Event::Refused { .. } | Event::BindFailed { .. })
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

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::for_each;

    #[test]
    fn everything_told_is_written_in_its_order_however_much_comes_at_once() {
        let (teller, told) = mpsc::sync_channel(8);
        let writer = thread::spawn(move || {
            let mut written = Vec::new();
            for_each(&told, |number: u32| written.push(number));
            written
        });
        (0..1_000).for_each(|number| teller.send(number).unwrap());
        drop(teller);
        assert_eq!(writer.join().unwrap(), (0..1_000).collect::<Vec<_>>());
    }
}
