//! Workers and files of the process.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Describes the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Worker threads; `None`: one per CPU of this machine.
    pub workers: Option<NonZeroUsize>,
    /// Where the process id is written; `None`: nowhere.
    pub pid_file: Option<PathBuf>,
    /// How long a packet may wait for its batch; `None`: it never waits.
    pub latency_budget: Option<Duration>,
}
