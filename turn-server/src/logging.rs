//! Log lines: where they go and what they look like. What they say is decided where it happens.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
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
    },
    layer::SubscriberExt as _,
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt as _,
};
use turn_config::settings::{LogTarget, Logging, Verbosity};

use crate::control::protocol::Level;

/// The log of this process. Where its lines go may change while it is written.
pub(crate) struct Log(LogOutput);

/// Sends log lines where the operator wants them, from now on.
///
/// # Errors
/// When a log file cannot be written.
pub(crate) fn init(logging: &Logging) -> anyhow::Result<Log> {
    let output = LogOutput(Arc::new(RwLock::new(Arc::new(open(logging)?))));
    let level = configured_level(logging);
    let (filter, handle) = reload::Layer::new(filter(level));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(output.clone())
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
    Ok(Log(output))
}

impl Log {
    /// Writes to this from now on; lines under way end where they began. The level changes only if the operator has changed it
    /// in the configuration: another one may have been chosen meanwhile.
    pub(crate) fn turn_to(&self, output: Output, old: &Logging, new: &Logging) {
        let mut held = (self.0.0.write()).unwrap_or_else(PoisonError::into_inner);
        *held = Arc::new(output);
        drop(held);
        if old.verbosity != new.verbosity {
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

fn configured_level(logging: &Logging) -> Level {
    match logging.verbosity {
        Verbosity::Normal => Level::Info,
        Verbosity::Sessions => Level::Sessions,
        Verbosity::Everything => Level::Debug,
    }
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

/// Opens what these settings ask for. A file that was moved away, for the day or for good, is made again.
///
/// # Errors
/// When a log file cannot be written.
pub(crate) fn open(logging: &Logging) -> anyhow::Result<Output> {
    Ok(match &logging.target {
        LogTarget::Stdout => Output {
            file: None,
            stdout: true,
        },
        LogTarget::File(path) => Output {
            file: Some(open_file(path)?),
            stdout: logging.stdout_copy,
        },
    })
}

fn open_file(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| {
        format!(
            "log-file: cannot write {}; name a file that this user may write, or --log-file=stdout",
            path.display()
        )
    })
}

/// Where lines go. A line is written by one call, so that those of several threads do not mix.
pub(crate) struct Output {
    file: Option<File>,
    stdout: bool,
}

impl Write for &Output {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // What cannot be written to one of them is written to the other all the same.
        let copied = if self.stdout {
            io::stdout().write_all(line)
        } else {
            Ok(())
        };
        if let Some(mut file) = self.file.as_ref() {
            file.write_all(line)?;
        }
        copied.map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// The present [`Output`].
#[derive(Clone)]
struct LogOutput(Arc<RwLock<Arc<Output>>>);

/// An [`Output`] for the time of one line.
struct LineOutput(Arc<Output>);

impl<'a> MakeWriter<'a> for LogOutput {
    type Writer = LineOutput;

    fn make_writer(&'a self) -> LineOutput {
        LineOutput(Arc::clone(
            &self.0.read().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}

impl Write for LineOutput {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        (&*self.0).write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self.0).flush()
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
