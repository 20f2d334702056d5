//! What a server does, in counts, which no other process on the machine can disturb: system calls by `strace`, instructions in
//! user space and heap allocations by `callgrind`; and a file of figures that must not grow.
//!
//! In: the tools, what they print, the file. Not in: which servers are counted and how they are loaded, which is the benches'
//! matter (`turnctl bench`, and the example `bench` of `signaling`).

#![forbid(unsafe_code)]

pub mod callgrind;
pub mod held;
pub mod strace;

use anyhow::{Context, Result, bail};
use std::process::Command;

/// Runs a tool that has to succeed.
fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program} {}: {}", arguments.join(" "), said.trim());
    }
    Ok(())
}

/// Sends a signal to a process.
///
/// # Errors
/// The process is gone.
pub fn signal(pid: u32, signal: &str) -> Result<()> {
    run("kill", &[signal, &pid.to_string()]).with_context(|| format!("process {pid} is gone"))
}
