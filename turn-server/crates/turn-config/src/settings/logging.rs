//! Log lines: where to, how much, in which shape, and how much they tell of people.

use std::path::PathBuf;

use crate::diagnostics::{Report, quote};
use crate::values::Values;

/// The facilities of syslog that coturn knows, with their numbers (RFC 5424 §6.2.1).
const FACILITIES: [(&str, u8); 19] = [
    ("LOG_KERN", 0),
    ("LOG_USER", USER),
    ("LOG_MAIL", 2),
    ("LOG_DAEMON", 3),
    ("LOG_AUTH", 4),
    ("LOG_SYSLOG", 5),
    ("LOG_LPR", 6),
    ("LOG_NEWS", 7),
    ("LOG_UUCP", 8),
    ("LOG_CRON", 9),
    ("LOG_AUTHPRIV", 10),
    ("LOG_LOCAL0", 16),
    ("LOG_LOCAL1", 17),
    ("LOG_LOCAL2", 18),
    ("LOG_LOCAL3", 19),
    ("LOG_LOCAL4", 20),
    ("LOG_LOCAL5", 21),
    ("LOG_LOCAL6", 22),
    ("LOG_LOCAL7", 23),
];

/// What syslog takes a program for that says nothing else.
const USER: u8 = 1;

/// Says where log lines go and how they look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// The main target.
    pub target: LogTarget,
    /// Lines go to standard output as well.
    pub stdout_copy: bool,
    /// The shape of a line.
    pub shape: LogShape,
    /// How the time of day is written, as in `strftime`; `None`: the seconds since the start are.
    pub time_of_day: Option<String>,
    /// How much is told of people.
    pub privacy: LogPrivacy,
    /// How much is written.
    pub verbosity: Verbosity,
    /// What is written of that.
    pub min_level: MinLevel,
    /// Binding requests are logged.
    pub bindings: bool,
    /// A log file is that of one day, with its date in the name.
    pub daily: bool,
}

const SIMPLE: &str = "simple-log";

/// Names the main target of log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
    /// The system's log.
    Syslog {
        /// Its socket.
        socket: PathBuf,
        /// The facility's number (RFC 5424 §6.2.1).
        facility: u8,
    },
}

/// Names the shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogShape {
    /// `2026-08-07T08:39:40.123-0700 INFO message`, as coturn writes since 4.17.
    Coturn417,
    /// `12: (4711): INFO: message`, as coturn 4.6.2 to 4.16.
    Coturn46,
    /// `12: : message` and `12: : ERROR: message`, as coturn 4.5 and Debian's 4.6.1.
    Coturn45,
    /// An object of JSON.
    Json,
}

/// Says how much log lines tell of people: of their addresses and names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogPrivacy {
    /// All.
    Full,
    /// The network, and the first letters.
    Truncated,
    /// Something that is the same for the same person while the server runs.
    Hashed,
    /// Nothing.
    Nothing,
}

/// Says how much is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Start, stop and trouble.
    Normal,
    /// Sessions too (`verbose`).
    Sessions,
    /// Everything (`Verbose`).
    Everything,
}

/// Names the lowest level that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinLevel {
    /// All are.
    Debug,
    /// Sessions and what the server does.
    Info,
    /// Trouble.
    Warning,
    /// Failure.
    Error,
}

impl Logging {
    /// How people are named in log lines, in one line.
    pub fn told_of_people(&self) -> &'static str {
        match self.privacy {
            LogPrivacy::Full => {
                "note: log lines name addresses and users in full (log-privacy=full)"
            }
            LogPrivacy::Truncated => {
                "note: log lines name networks and first letters of users (log-privacy=truncated)"
            }
            LogPrivacy::Hashed => {
                "note: log lines name addresses and users by hashes (log-privacy=hashed)"
            }
            LogPrivacy::Nothing => {
                "note: log lines name no addresses and no users (log-privacy=none)"
            }
        }
    }

    pub(super) fn build(values: &Values, report: &mut Report) -> Logging {
        let target = target(values, report);
        let silent = values.flag("no-stdout-log");
        if silent && target == LogTarget::Stdout {
            report.warn(
                values.origin("no-stdout-log"),
                "no-stdout-log has no effect without log-file=FILE or syslog: lines would go nowhere",
            );
        }
        let shape = match values.text("log-format").as_deref() {
            Some("4.6") => LogShape::Coturn46,
            Some("4.5") => LogShape::Coturn45,
            Some("json") => LogShape::Json,
            _ => LogShape::Coturn417,
        };
        let verbosity = match (values.flag("Verbose"), values.flag("verbose")) {
            (true, _) => Verbosity::Everything,
            (false, true) => Verbosity::Sessions,
            (false, false) => Verbosity::Normal,
        };
        let bindings = values.flag("log-binding");
        if bindings && verbosity == Verbosity::Normal {
            report.warn(
                values.origin("log-binding"),
                "log-binding has no effect without verbose",
            );
        }
        let daily = !values.flag(SIMPLE);
        if daily && !matches!(target, LogTarget::File(_)) {
            report.warn(
                values.origin(SIMPLE),
                "simple-log=no has no effect without log-file=FILE",
            );
        }
        Logging {
            daily,
            stdout_copy: !silent && target != LogTarget::Stdout,
            target,
            time_of_day: time_of_day(values, shape),
            shape,
            privacy: match values.text("log-privacy").as_deref() {
                Some("truncated") => LogPrivacy::Truncated,
                Some("hashed") => LogPrivacy::Hashed,
                Some("none") => LogPrivacy::Nothing,
                _ => LogPrivacy::Full,
            },
            verbosity,
            min_level: match values.text("log-min-level").as_deref() {
                Some("info") => MinLevel::Info,
                Some("warning") => MinLevel::Warning,
                Some("error") => MinLevel::Error,
                _ => MinLevel::Debug,
            },
            bindings,
        }
    }
}

/// The defaults are those of the coturn whose shape it is.
fn time_of_day(values: &Values, shape: LogShape) -> Option<String> {
    let is_old = matches!(shape, LogShape::Coturn46 | LogShape::Coturn45);
    if !values.flag("new-log-timestamp") || is_old && !values.is_given("new-log-timestamp") {
        return None;
    }
    if is_old && !values.is_given("new-log-timestamp-format") {
        return Some("%FT%T%z".to_owned());
    }
    values.text("new-log-timestamp-format")
}

fn target(values: &Values, report: &mut Report) -> LogTarget {
    let file = values.text("log-file");
    let facility = facility(values, report);
    let is_stdout = matches!(file.as_deref(), None | Some("stdout" | "-"));
    if values.flag("daemon") && is_stdout && values.is_given("log-file") {
        report.warn(
            values.origin("log-file"),
            "log-file: a daemon has no standard output once it is ready: its lines go nowhere; name a file, or syslog",
        );
    }
    // coturn would begin a file somewhere.
    let by_default = values.flag("daemon") && !values.is_given("log-file");
    if values.flag("syslog") || file.as_deref() == Some("syslog") || by_default {
        let elsewhere = file.as_deref().filter(|file| *file != "syslog");
        if let Some(file) = elsewhere.filter(|_| values.is_given("log-file")) {
            report.warn(
                values.origin("log-file"),
                format!("log-file={file} has no effect: syslog is given, and it counts more"),
            );
        }
        let socket = values.text("syslog-socket").unwrap_or_default();
        return LogTarget::Syslog {
            socket: PathBuf::from(socket),
            facility,
        };
    }
    for option in ["syslog-facility", "syslog-socket"] {
        if values.is_given(option) {
            report.warn(
                values.origin(option),
                format!("{option} has no effect without syslog"),
            );
        }
    }
    match file.as_deref() {
        None | Some("stdout" | "-") => LogTarget::Stdout,
        Some(path) => LogTarget::File(PathBuf::from(path)),
    }
}

/// The number of the facility, which may be written in small letters and without its beginning.
fn facility(values: &Values, report: &mut Report) -> u8 {
    let Some(written) = values.text("syslog-facility") else {
        return USER;
    };
    let name = written.to_ascii_uppercase();
    let is_it = |known: &str| known == name || known.strip_prefix("LOG_") == Some(name.as_str());
    if let Some((_, number)) = FACILITIES.iter().find(|(known, _)| is_it(known)) {
        return *number;
    }
    let known: Vec<_> = FACILITIES.iter().map(|(name, _)| *name).collect();
    report.problem(
        values.origin("syslog-facility"),
        format!("syslog-facility: {} is no facility", quote(&written)),
        format!("Write one of {}.", known.join(", ")),
    );
    USER
}
