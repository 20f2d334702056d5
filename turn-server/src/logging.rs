//! Log lines: where they go and what they look like. What they say is decided where it happens.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io,
    path::Path,
    sync::{Arc, Mutex},
};

use anyhow::Context as _;
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    filter::LevelFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::Writer,
        time::{FormatTime, SystemTime},
        writer::{BoxMakeWriter, MakeWriterExt},
    },
    registry::LookupSpan,
};
use turn_config::settings::{LogTarget, Logging, Verbosity};

/// Sends log lines where the operator wants them, from now on.
///
/// # Errors
/// When a log file cannot be written.
pub(crate) fn init(logging: &Logging) -> anyhow::Result<()> {
    let level = match logging.verbosity {
        Verbosity::Normal | Verbosity::Sessions => LevelFilter::INFO,
        Verbosity::Everything => LevelFilter::DEBUG,
    };
    let writer = match &logging.target {
        LogTarget::Stdout => BoxMakeWriter::new(io::stdout),
        LogTarget::File(path) if logging.stdout_copy => {
            BoxMakeWriter::new(open(path)?.and(io::stdout))
        }
        LogTarget::File(path) => BoxMakeWriter::new(open(path)?),
    };
    // A second server in one process keeps the first one's log.
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(writer)
        .event_format(Line)
        .try_init();
    Ok(())
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
