//! Which core the server and the generator run on, and that nobody else's work comes before theirs.
//!
//! Done by the commands of util-linux, which every Linux has: the system calls behind them are not in the standard library.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::fs;
use std::process::{Command, ExitStatus, Stdio};

/// Ahead of everything ordinary. Server and generator have a core each, so they need no order between them.
const NICENESS: &str = "-20";

/// Runs this program again in a session of its own, and waits for it.
///
/// Linux schedules sessions against each other (`sched_autogroup_enabled`) and counts niceness only within one. So the bench
/// must be a session to come before the others, and only its own session may be raised: a shell must not stay raised
/// behind it. An interrupt ends the caller, upon which the kernel kills the session's leader, and with that its servers.
///
/// # Errors
/// The program cannot be started again.
pub(crate) fn in_own_session(
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<ExitStatus> {
    let this = std::env::current_exe().context("cannot find the path of this program")?;
    let mut command = bound_to_this_process();
    command.arg("setsid").arg(this).args(arguments);
    command
        .status()
        .context("cannot run setpriv (package util-linux)")
}

/// The beginning of a command line whose program the kernel kills when this process is gone. Each program in it replaces
/// itself by the next, so that the child's process id is the last one's.
fn bound_to_this_process() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]);
    command
}

/// Where the two sides run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) server_core: usize,
    pub(crate) generator_core: usize,
    /// Whether both run ahead of ordinary processes; that takes the right to it (root, or CAP_SYS_NICE).
    pub(crate) raised: bool,
}

impl Placement {
    /// Pins this process, which is the generator, and raises it and its limit of open files as far as it may.
    ///
    /// # Errors
    /// There are no two such cores.
    pub(crate) fn settle(server_core: usize, generator_core: usize) -> Result<Self> {
        if server_core == generator_core {
            bail!(
                "the server and the generator need a core each: --server-cpu and --generator-cpu must differ"
            );
        }
        let own = std::process::id().to_string();
        for core in [server_core, generator_core] {
            let pinned = quietly("taskset", &["-c", "-p", &core.to_string(), &own])?;
            if !pinned {
                bail!(
                    "cannot run on core {core}: this machine has {} cores that may be used",
                    cores()
                );
            }
        }
        let raised = quietly("renice", &["-n", NICENESS, "-p", &own])?;
        if raised {
            raise_session("self");
        }
        raise_open_files(&own);
        Ok(Self {
            server_core,
            generator_core,
            raised,
        })
    }

    /// The beginning of a command line that runs a server on its core, in a session of its own.
    ///
    /// The kernel divides a session's weight among the cores it runs on, by load: a server with many threads would take
    /// the generator's share.
    pub(crate) fn server_command(&self) -> Command {
        let mut command = bound_to_this_process();
        command.args(["setsid", "taskset", "-c", &self.server_core.to_string()]);
        command
    }

    /// Raises the session of a server that was started by such a command line.
    pub(crate) fn raise_server(&self, pid: u32) {
        if self.raised {
            raise_session(&pid.to_string());
        }
    }
}

/// Raises a session; without effect where sessions are not scheduled against each other: there niceness alone does it.
fn raise_session(process: &str) {
    let _ = fs::write(format!("/proc/{process}/autogroup"), NICENESS);
}

/// Raises the soft limit of open files to the hard one.
fn raise_open_files(own: &str) {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let hard = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .and_then(|line| line.split_whitespace().nth(4));
    if let Some(hard) = hard {
        // A refusal leaves the limit as it is, which the rows that need more respect.
        let _ = quietly(
            "prlimit",
            &["--pid", own, &format!("--nofile={hard}:{hard}")],
        );
    }
}

fn quietly(program: &str, arguments: &[&str]) -> Result<bool> {
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {program} (package util-linux)"))?;
    Ok(status.success())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_core_for_both_is_refused() {
        assert!(Placement::settle(0, 0).is_err());
    }

    #[test]
    fn a_server_is_pinned_and_bound_to_the_bench() {
        let placement = Placement {
            server_core: 3,
            generator_core: 1,
            raised: false,
        };
        let line = format!("{:?}", placement.server_command());
        assert_eq!(
            line,
            r#""setpriv" "--pdeathsig" "KILL" "--" "setsid" "taskset" "-c" "3""#
        );
    }
}
