//! Child processes: output into a file, waiting for a line of it, an end by process id.
//!
//! Not here: what the programs are called and which flags they take.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How often a condition is looked at while it is waited for.
const POLL: Duration = Duration::from_millis(20);

/// A running child, killed and reaped when dropped; its log is printed if the test is failing.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with stdout and stderr going to one log file below `target/e2e`.
    ///
    /// # Errors
    /// When the program cannot be started; the message names it.
    pub fn start(command: &mut Command, name: &str) -> Result<Self> {
        Self::logged(command.stdin(Stdio::null()), name)
    }

    /// Starts `command` in the same way, with an input that stays open until it is dropped.
    ///
    /// # Errors
    /// As [`Process::start`].
    pub fn start_fed(command: &mut Command, name: &str) -> Result<(Self, ChildStdin)> {
        let mut process = Self::logged(command.stdin(Stdio::piped()), name)?;
        let input = process.child.stdin.take().context("it has no input")?;
        Ok((process, input))
    }

    fn logged(command: &mut Command, name: &str) -> Result<Self> {
        let log = scratch_file(&format!("{name}.log"))?;
        let out = File::create(&log)?;
        command.stdout(out.try_clone()?).stderr(out);
        let child = spawn(command)?;
        Ok(Self {
            child,
            name: name.to_owned(),
            log,
        })
    }

    /// Tells the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Reads everything the program has printed so far.
    pub fn output(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Waits until the output contains one of `needles`.
    ///
    /// # Errors
    /// When the program ends first or `within` passes; the message carries the output.
    pub fn wait_for_output(&mut self, needles: &[&str], within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        loop {
            let ended = self.child.try_wait()?;
            let output = self.output();
            if needles.iter().any(|needle| output.contains(needle)) {
                return Ok(());
            }
            if let Some(status) = ended {
                bail!(
                    "{} ended ({status}) before it printed {needles:?}:\n{output}",
                    self.name
                );
            }
            if Instant::now() >= deadline {
                bail!(
                    "{} did not print {needles:?} within {within:?}:\n{output}",
                    self.name
                );
            }
            thread::sleep(POLL);
        }
    }

    /// Waits for the program to end by itself.
    ///
    /// # Errors
    /// When it still runs after `within`; the message carries the output.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!(
                    "{} still runs after {within:?}:\n{}",
                    self.name,
                    self.output()
                );
            }
            thread::sleep(POLL);
        }
    }

    /// Asks the program to end (SIGTERM), and makes it end (SIGKILL) when it takes longer than two seconds.
    pub fn stop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        terminate(&self.child);
        if self.wait(Duration::from_secs(2)).is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
        if thread::panicking() {
            eprintln!(
                "--- {} ({})\n{}\n---",
                self.name,
                self.log.display(),
                tail(&self.output(), 60)
            );
        }
    }
}

/// Runs a command to its end and returns its stdout.
///
/// # Errors
/// When it cannot be started or fails; the message carries the command and both of its outputs.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!(
            "{command:?} failed ({})\n{stdout}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(stdout)
}

/// Repeats `probe` until it gives a value.
///
/// # Errors
/// When `within` passes first; the message names `what` was waited for.
pub fn until<T>(what: &str, within: Duration, mut probe: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(value) = probe() {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("{what}: not within {within:?}");
        }
        thread::sleep(POLL.saturating_mul(5));
    }
}

/// Names a new file for this test process below `target/e2e` and makes its folder.
///
/// # Errors
/// When the folder cannot be made.
pub fn scratch_file(name: &str) -> Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let folder = target_folder()
        .join("e2e")
        .join(std::process::id().to_string());
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder.join(format!("{}-{name}", NEXT.fetch_add(1, Ordering::Relaxed))))
}

/// Tells cargo's target folder, where the programs under test are and where scratch files go.
pub fn target_folder() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => tests_folder().join("../target"),
    }
}

/// Tells the folder of this package, where the drivers written in other languages are.
pub fn tests_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn spawn(command: &mut Command) -> Result<Child> {
    command
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))
}

fn terminate(child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _ = kill_process(pid, Signal::TERM);
    }
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_both_streams_is_kept() {
        let mut process = Process::start(
            Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]),
            "both",
        )
        .unwrap();
        assert_eq!(
            process.wait(Duration::from_secs(10)).unwrap().code(),
            Some(3)
        );
        assert_eq!(process.output(), "out\nerr\n");
    }

    #[test]
    fn a_program_that_ends_early_is_reported_with_its_output() {
        let mut process =
            Process::start(Command::new("sh").args(["-c", "echo sorry"]), "early").unwrap();
        let error = process
            .wait_for_output(&["ready"], Duration::from_secs(10))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("ended") && error.contains("sorry"),
            "{error}"
        );
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let process = Process::start(Command::new("sleep").arg("60"), "sleep").unwrap();
        let entry = format!("/proc/{}", process.id());
        assert!(Path::new(&entry).exists());
        drop(process);
        assert!(!Path::new(&entry).exists());
    }

    #[test]
    fn tail_keeps_the_last_lines() {
        assert_eq!(tail("a\nb\nc", 2), "b\nc");
        assert_eq!(tail("a", 2), "a");
    }
}
