//! System calls of a running process.

use crate::signal;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What strace needs to take hold of every thread.
const ATTACHING: Duration = Duration::from_millis(500);

/// A strace that counts the calls of a process and all its threads.
#[derive(Debug)]
pub struct Strace {
    tracer: Child,
    summary: PathBuf,
}

impl Strace {
    /// Takes hold of a process; what strace sums up goes into a file.
    ///
    /// # Errors
    /// strace is missing, or may not look at the process.
    pub fn attach(pid: u32, summary: PathBuf) -> Result<Strace> {
        let mut tracer = Command::new("strace")
            .args(["-f", "-c", "-o"])
            .arg(&summary)
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run strace")?;
        std::thread::sleep(ATTACHING);
        if let Some(status) = tracer.try_wait()? {
            bail!("strace cannot look at process {pid} ({status})");
        }
        Ok(Strace { tracer, summary })
    }

    /// Lets go, and returns how many calls there were.
    ///
    /// # Errors
    /// strace has written nothing that can be read.
    pub fn total(mut self) -> Result<u64> {
        signal(self.tracer.id(), "-INT")?;
        self.tracer.wait()?;
        let summary = fs::read_to_string(&self.summary)?;
        fs::remove_file(&self.summary)?;
        total_calls(&summary)
    }
}

/// The calls in the last line of strace's summary: `100.00  0.1  3  1234  5 total`.
fn total_calls(summary: &str) -> Result<u64> {
    let line = summary.lines().rfind(|line| line.ends_with("total"));
    let calls = line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
    calls.context("strace's summary has no total")
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "helpers of tests: a panic is the report"
)]
mod tests {
    use super::total_calls;

    #[test]
    fn the_total_of_a_summary_is_its_calls() {
        let summary = "% time seconds usecs/call calls errors syscall\n 60 0.1 3 40 epoll_wait\n100.00 0.1 3 120 2 total\n";
        assert_eq!(total_calls(summary).unwrap(), 120);
        assert!(total_calls("nothing").is_err());
    }
}
