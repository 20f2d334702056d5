//! Log lines: where to, how much, in which shape.

use std::path::PathBuf;

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
