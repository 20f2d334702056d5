//! Log lines: where to, how much, in which shape.

use std::path::PathBuf;

use crate::diagnostics::Report;
use crate::values::Values;

/// Says where log lines go and how they look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// The main target.
    pub target: LogTarget,
    /// Lines go to standard output as well.
    pub stdout_copy: bool,
    /// The file has exactly the given name: no process id, no date, no new file each day.
    pub plain_file_name: bool,
    /// Lines begin with the time of day in ISO 8601; otherwise with the seconds since the start.
    pub iso_timestamps: bool,
    /// How much is written.
    pub verbosity: Verbosity,
}

/// Names the main target of log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
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

impl Logging {
    pub(super) fn build(values: &Values, report: &mut Report) -> Logging {
        let target = target(values, report);
        let silent = values.flag("no-stdout-log");
        if silent && target == LogTarget::Stdout {
            report.warn(
                values.origin("no-stdout-log"),
                "no-stdout-log has no effect without log-file=FILE: lines would go nowhere",
            );
        }
        Logging {
            stdout_copy: !silent && target != LogTarget::Stdout,
            target,
            plain_file_name: values.flag("simple-log"),
            iso_timestamps: values.flag("new-log-timestamp"),
            verbosity: match (values.flag("Verbose"), values.flag("verbose")) {
                (true, _) => Verbosity::Everything,
                (false, true) => Verbosity::Sessions,
                (false, false) => Verbosity::Normal,
            },
        }
    }
}

fn target(values: &Values, report: &mut Report) -> LogTarget {
    match values.text("log-file").as_deref() {
        None | Some("stdout" | "-") => LogTarget::Stdout,
        Some("syslog") => {
            report.warn(
                values.origin("log-file"),
                "log-file: syslog is not written yet; lines go to standard output, under systemd into the journal",
            );
            LogTarget::Stdout
        }
        Some(path) => LogTarget::File(PathBuf::from(path)),
    }
}
