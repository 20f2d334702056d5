//! Log lines: where they go and what they look like. What they say is decided where it happens.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io,
    path::Path,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
};

use anyhow::Context as _;
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    Registry,
    filter::{LevelFilter, filter_fn},
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::Writer,
        time::{FormatTime, SystemTime},
        writer::{BoxMakeWriter, MakeWriterExt},
    },
    layer::SubscriberExt as _,
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt as _,
};
use turn_config::settings::{LogTarget, Logging, Verbosity};

use crate::control::protocol::Level;

/// Sends log lines where the operator wants them, from now on.
///
/// # Errors
/// When a log file cannot be written.
pub(crate) fn init(logging: &Logging) -> anyhow::Result<()> {
    let level = match logging.verbosity {
        Verbosity::Normal => Level::Info,
        Verbosity::Sessions => Level::Sessions,
        Verbosity::Everything => Level::Debug,
    };
    let (filter, handle) = reload::Layer::new(filter(level));
    let writer = match &logging.target {
        LogTarget::Stdout => BoxMakeWriter::new(io::stdout),
        LogTarget::File(path) if logging.stdout_copy => {
            BoxMakeWriter::new(open(path)?.and(io::stdout))
        }
        LogTarget::File(path) => BoxMakeWriter::new(open(path)?),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .event_format(Line);
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
    Ok(())
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

/// Lines about sessions are told apart where they are written.
fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info | Level::Sessions => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    }
}

fn open(path: &Path) -> anyhow::Result<LogFile> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let file = file.with_context(|| {
        format!(
            "log-file: cannot write {}; name a file that this user may write, or --log-file=stdout",
            path.display()
        )
    })?;
    Ok(LogFile(Arc::new(Mutex::new(file))))
}

/// A log file that several threads write whole lines to.
struct LogFile(Arc<Mutex<File>>);

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = <Mutex<File> as MakeWriter<'a>>::Writer;

    fn make_writer(&'a self) -> Self::Writer {
        self.0.make_writer()
    }
}

/// `2026-08-07T08:39:40.123456Z INFO message`, one record a line.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        SystemTime.format_time(&mut writer)?;
        write!(writer, " {} ", event.metadata().level())?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
