//! Workers and files of the process.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::values::Values;

/// Describes the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Worker threads; `None`: one per CPU of this machine.
    pub workers: Option<NonZeroUsize>,
    /// Where the process id is written; `None`: nowhere.
    pub pid_file: Option<PathBuf>,
    /// It goes to the background.
    pub daemon: bool,
    /// Whom it becomes when sockets and files are open.
    pub user: Option<String>,
    /// Which group it becomes then.
    pub group: Option<String>,
    /// Where operators reach the running server.
    pub control: Control,
    /// Allocations at which a drain is over.
    pub drain_min_allocations: u32,
    /// How long a drain may take; `None` is without limit.
    pub drain_timeout: Option<Duration>,
    /// How long a packet may wait for its batch; `None`: it never waits.
    pub latency_budget: Option<Duration>,
}

/// Where the control socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// At the usual place, if this machine has its folder.
    Usual,
    /// Here.
    At(PathBuf),
    /// Nowhere.
    Off,
}

impl Process {
    pub(super) fn build(values: &Values) -> Process {
        // 0 relay threads is coturn's "one thread for everything".
        let threads = values
            .number("relay-threads")
            .map(|threads| threads.max(1))
            .or(values.number("cpus"));
        Process {
            workers: threads
                .and_then(|threads| usize::try_from(threads).ok())
                .and_then(NonZeroUsize::new),
            pid_file: values
                .text("pidfile")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
            daemon: values.flag("daemon"),
            user: values.text("proc-user"),
            group: values.text("proc-group"),
            control: match values.text("control-socket") {
                None => Control::Usual,
                Some(path) if path.is_empty() => Control::Off,
                Some(path) => Control::At(PathBuf::from(path)),
            },
            drain_min_allocations: values
                .number("drain-min-allocations")
                .and_then(|least| u32::try_from(least).ok())
                .unwrap_or_default(),
            drain_timeout: values
                .number("drain-timeout")
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs),
            latency_budget: values.duration("latency-budget"),
        }
    }
}
