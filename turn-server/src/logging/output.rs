//! Where log lines go: a file, standard output, syslog; one of them, or the first two copied.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use anyhow::Context as _;
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;
use turn_config::settings::{LogTarget, Logging};

use super::{daily::Daily, syslog::Syslog};

/// Opens what these settings ask for. A file that was moved away, for the day or for good, is made again.
///
/// # Errors
/// When a log file cannot be written.
pub(crate) fn open(logging: &Logging) -> anyhow::Result<Output> {
    let (main, stdout) = match &logging.target {
        LogTarget::Stdout => (None, true),
        LogTarget::File(path) if logging.daily => {
            (Some(Main::Daily(Daily::open(path)?)), logging.stdout_copy)
        }
        LogTarget::File(path) => (Some(Main::File(open_file(path)?)), logging.stdout_copy),
        LogTarget::Syslog { socket, facility } => match Syslog::connect(socket, *facility) {
            // What goes to the journal by both ways would be there twice.
            Ok(syslog) => (
                Some(Main::Syslog(syslog)),
                logging.stdout_copy && !is_journal(io::stdout()),
            ),
            // A container has no syslog, and a server without a log is worse than one that logs elsewhere.
            Err(error) => {
                let mut output = io::stdout().lock();
                let _ = writeln!(
                    output,
                    "syslog: {} cannot be written ({error}); lines go to standard output: start a syslog service, or name its \
                     socket by syslog-socket",
                    socket.display()
                );
                (None, true)
            }
        },
    };
    Ok(Output { main, stdout })
}

/// Opens a log file to add to it.
pub(super) fn open_file(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| {
        format!(
            "cannot write {}; name a file that this user may write, or --log-file=stdout",
            path.display()
        )
    })
}

/// Whether this is the way to the journal that systemd gave us: it names the socket by its place in the file system.
fn is_journal(stdout: impl rustix::fd::AsFd) -> bool {
    let held = rustix::fs::fstat(stdout).map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
    std::env::var("JOURNAL_STREAM").ok() == held.ok()
        && std::env::var_os("JOURNAL_STREAM").is_some()
}

/// Where lines go. A line is written by one call, so that those of several threads do not mix.
pub(crate) struct Output {
    main: Option<Main>,
    stdout: bool,
}

enum Main {
    File(File),
    Daily(Daily),
    Syslog(Syslog),
}

impl Output {
    fn write(&self, level: tracing::Level, line: &[u8]) -> io::Result<usize> {
        // What cannot be written to one of them is written to the other all the same.
        let copied = if self.stdout {
            io::stdout().write_all(line)
        } else {
            Ok(())
        };
        match &self.main {
            Some(Main::File(file)) => (&mut &*file).write_all(line)?,
            Some(Main::Daily(daily)) => daily.write(line)?,
            Some(Main::Syslog(syslog)) => syslog.send(level, line)?,
            None => {}
        }
        copied.map(|()| line.len())
    }
}

/// The present [`Output`].
#[derive(Clone)]
pub(super) struct LogOutput(Arc<RwLock<Arc<Output>>>);

impl LogOutput {
    pub(super) fn new(output: Output) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(output))))
    }

    pub(super) fn turn_to(&self, output: Output) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *held = Arc::new(output);
    }

    fn line(&self, level: tracing::Level) -> LineOutput {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        LineOutput(Arc::clone(&held), level)
    }
}

/// An [`Output`] for the time of one line of this level.
pub(super) struct LineOutput(Arc<Output>, tracing::Level);

impl<'a> MakeWriter<'a> for LogOutput {
    type Writer = LineOutput;

    fn make_writer(&'a self) -> LineOutput {
        self.line(tracing::Level::INFO)
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> LineOutput {
        self.line(*about.level())
    }
}

impl Write for LineOutput {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(self.1, line)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}
