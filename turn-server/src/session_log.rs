//! Sessions as log lines, in the words that parsers of coturn's log know.

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        mpsc::{self, SyncSender},
    },
    thread,
};

use tracing::{info, warn};
use turn_config::settings::Settings;
use turn_proto::Event;

use crate::{control::protocol::Level, logging};

/// Events that may wait for the log; more are dropped and counted.
const EVENT_QUEUE: usize = 4096;

/// What the lines go by.
pub(crate) struct SessionLog {
    realm: RwLock<String>,
}

impl SessionLog {
    /// Starts the thread that writes: a slow disk holds up that thread and no worker.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(crate) fn start(settings: &Settings) -> std::io::Result<(Arc<Self>, SyncSender<Event>)> {
        let (sender, events) = mpsc::sync_channel::<Event>(EVENT_QUEUE);
        let log = Arc::new(Self {
            realm: RwLock::default(),
        });
        log.configure(settings);
        let writer = Arc::clone(&log);
        thread::Builder::new()
            .name("session-log".to_owned())
            .spawn(move || events.iter().for_each(|event| writer.write(&event)))?;
        Ok((log, sender))
    }

    /// Goes by other settings from the next line on.
    pub(crate) fn configure(&self, settings: &Settings) {
        let mut realm = self.realm.write().unwrap_or_else(PoisonError::into_inner);
        realm.clone_from(&settings.auth.realm);
    }

    fn write(&self, event: &Event) {
        let realm = self.realm.read().unwrap_or_else(PoisonError::into_inner);
        let line = SessionLine {
            event,
            realm: &realm,
        };
        let is_verbose = logging::level() >= Level::Sessions;
        match level(event) {
            tracing::Level::WARN => warn!("{line}"),
            tracing::Level::INFO if is_verbose => info!("{line}"),
            tracing::Level::DEBUG if is_verbose => info!("{line}"),
            _ => {}
        }
    }
}

/// One event of a relay as a log line; `realm` is the server's.
pub(crate) struct SessionLine<'a> {
    /// What happened.
    pub(crate) event: &'a Event,
    /// The realm of all sessions.
    pub(crate) realm: &'a str,
}

impl fmt::Display for SessionLine<'_> {
    // A user's name may carry line ends; a log line is one line, so it is escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let realm = self.realm;
        match self.event {
            Event::Started {
                session,
                path,
                user,
                relayed,
                second,
                lifetime,
            } => {
                write!(
                    f,
                    "session {session}: new, realm=<{realm}>, username=<{user}>, lifetime={}, {} remote {}, relayed {relayed}",
                    lifetime.as_secs(),
                    path.transport,
                    path.client,
                    user = user.escape_debug(),
                )?;
                second.map_or(Ok(()), |second| write!(f, " and {second}"))
            }
            Event::HalfEnded {
                session,
                relayed,
                reason,
            } => write!(
                f,
                "session {session}: relayed {relayed} ended, reason: {reason}; the other goes on"
            ),
            Event::Refreshed {
                session,
                user,
                lifetime,
            } => write!(
                f,
                "session {session}: refreshed, realm=<{realm}>, username=<{user}>, lifetime={}",
                lifetime.as_secs(),
                user = user.escape_debug(),
            ),
            // The words that coturn has for it.
            Event::Moved {
                session,
                user,
                from,
                to,
            } => write!(
                f,
                "session {session}: mobility handoff completed, realm=<{realm}>, username=<{user}>, {} remote {}, from {} remote {}",
                to.transport,
                to.client,
                from.transport,
                from.client,
                user = user.escape_debug(),
            ),
            Event::Ended {
                session,
                path,
                user,
                reason,
                traffic,
            } => write!(
                f,
                "session {session}: usage: realm=<{realm}>, username=<{user}>, rp={}, rb={}, sp={}, sb={}; \
                 peer usage: rp={}, rb={}, sp={}, sb={}; closed (2nd stage), user <{user}> realm <{realm}>, \
                 local {}, remote {}, reason: {reason}",
                traffic.client_received_packets,
                traffic.client_received_bytes,
                traffic.client_sent_packets,
                traffic.client_sent_bytes,
                traffic.peer_received_packets,
                traffic.peer_received_bytes,
                traffic.peer_sent_packets,
                traffic.peer_sent_bytes,
                path.server,
                path.client,
                user = user.escape_debug(),
            ),
            Event::Refused {
                path,
                method,
                code,
                username,
            } => write!(
                f,
                "{} remote {}: realm <{realm}> user <{}>: incoming packet {method} processed, error {code}",
                path.transport,
                path.client,
                username.as_deref().unwrap_or("").escape_debug(),
            ),
            Event::BindFailed { local, cause } => write!(
                f,
                "cannot bind relay address {local} ({cause:?}): clients get error 508; see --relay-ip, --min-port, \
                 --max-port and the limit of open files"
            ),
        }
    }
}

/// How much an event matters.
fn level(event: &Event) -> tracing::Level {
    match event {
        Event::BindFailed { .. } => tracing::Level::WARN,
        Event::Refused { .. } => tracing::Level::DEBUG,
        Event::Started { .. }
        | Event::Refreshed { .. }
        | Event::HalfEnded { .. }
        | Event::Moved { .. }
        | Event::Ended { .. } => tracing::Level::INFO,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use turn_proto::{Event, SessionId};

    use super::SessionLine;

    #[test]
    fn a_name_cannot_forge_a_line() {
        let event = Event::Refreshed {
            session: SessionId(1_000_000_000_000_007),
            user: "eve>\nsession 9: new".into(),
            lifetime: Duration::from_secs(600),
        };
        let line = SessionLine {
            event: &event,
            realm: "r",
        }
        .to_string();
        assert_eq!(
            line,
            "session 001000000000000007: refreshed, realm=<r>, username=<eve>\\nsession 9: new>, lifetime=600"
        );
    }
}
