//! Log lines: where they go (`output`, `daily`, `syslog`) and what they look like (`line`, `clock`, `privacy`). What they say is
//! decided where it happens.

mod clock;
mod daily;
mod line;
mod output;
mod privacy;
mod syslog;

use std::sync::{
    Arc, OnceLock, PoisonError, RwLock,
    atomic::{AtomicU8, Ordering},
};

use tracing_subscriber::{
    Registry,
    filter::{LevelFilter, filter_fn},
    layer::SubscriberExt as _,
    reload,
    util::SubscriberInitExt as _,
};
use turn_config::settings::{Logging, MinLevel, Verbosity};

pub(crate) use self::{
    daily::file_of_today,
    line::{RECORD, Style},
    output::{Output, open},
    privacy::Privacy,
};
use self::{line::Line, output::LogOutput};
use crate::control::protocol::Level;

/// The log of this process. Where its lines go may change while it is written, and what they look like.
pub(crate) struct Log {
    output: LogOutput,
    style: Arc<RwLock<Style>>,
}

/// Sends log lines where the operator wants them, from now on.
///
/// # Errors
/// When a log file cannot be written.
pub(crate) fn init(logging: &Logging) -> anyhow::Result<Log> {
    let output = LogOutput::new(open(logging)?);
    let style = Arc::new(RwLock::new(Style::new(logging)));
    let level = configured_level(logging);
    let (filter, handle) = reload::Layer::new(filter(level));
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(output.clone())
        .event_format(Line(Arc::clone(&style)));
    LEVEL.store(level as u8, Ordering::Relaxed);
    // A second server in one process keeps the first one's log.
    let initialized = tracing_subscriber::registry()
        .with(filter)
        // The engine of DTLS writes a line for what strangers send.
        .with(filter_fn(|about| !about.target().starts_with("dimpl")))
        .with(lines)
        .try_init();
    if initialized.is_ok() {
        let _ = FILTER.set(handle);
    }
    Ok(Log { output, style })
}

impl Log {
    /// Writes to this from now on; lines under way end where they began. The level changes only if the operator has changed it
    /// in the configuration: another one may have been chosen meanwhile.
    pub(crate) fn turn_to(&self, output: Output, old: &Logging, new: &Logging) {
        self.output.turn_to(output);
        let mut style = self.style.write().unwrap_or_else(PoisonError::into_inner);
        *style = Style::new(new);
        drop(style);
        if configured_level(old) != configured_level(new) {
            // It fails only where the log is not ours.
            let _ = set_level(configured_level(new));
        }
    }
}

/// The [`Level`] in force, by its number.
static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// What decides which lines are written.
static FILTER: OnceLock<reload::Handle<LevelFilter, Registry>> = OnceLock::new();

/// Which log lines are written.
pub(crate) fn level() -> Level {
    let number = LEVEL.load(Ordering::Relaxed);
    let found = Level::ALL.into_iter().find(|level| *level as u8 == number);
    found.unwrap_or(Level::Info)
}

/// Writes log lines of this level and above from now on.
///
/// # Errors
/// When the log is not ours.
pub(crate) fn set_level(level: Level) -> Result<(), String> {
    let not_ours = || "the log belongs to the program around the server".to_owned();
    let handle = FILTER.get().ok_or_else(not_ours)?;
    handle.reload(filter(level)).map_err(|_| not_ours())?;
    LEVEL.store(level as u8, Ordering::Relaxed);
    Ok(())
}

/// What `verbose` and `Verbose` ask for, as far as `log-min-level` lets it through. coturn writes sessions at its level "info".
fn configured_level(logging: &Logging) -> Level {
    let wanted = match logging.verbosity {
        Verbosity::Normal => Level::Info,
        Verbosity::Sessions => Level::Sessions,
        Verbosity::Everything => Level::Debug,
    };
    wanted.min(match logging.min_level {
        MinLevel::Debug => Level::Debug,
        MinLevel::Info => Level::Sessions,
        MinLevel::Warning => Level::Warn,
        MinLevel::Error => Level::Error,
    })
}

/// Lines about sessions are told apart where they are written.
fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info | Level::Sessions => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    }
}
