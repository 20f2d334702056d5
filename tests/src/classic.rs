//! A client of classic STUN (RFC 3489), Debian's `stun`: it asks a server from both of its addresses and ports which of RFC
//! 3489's kinds of NAT is in between.

use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::netns::Namespace;
use crate::process::Process;

/// Finds out the kind of NAT, in the client's words.
///
/// # Errors
/// When it is not installed, does not end within a minute, or reaches no verdict.
pub fn verdict(space: Option<&Namespace>, server: IpAddr, port: u16) -> Result<String> {
    const PROGRAM: &str = "stun";
    let mut command = space.map_or_else(|| Command::new(PROGRAM), |space| space.command(PROGRAM));
    command.arg(format!("{server}:{port}"));
    let mut process = Process::start(&mut command, "stun")
        .context("it comes with: apt-get install stun-client")?;
    process.wait(Duration::from_secs(60))?;
    let output = process.output();
    let verdict = output
        .lines()
        .find_map(|line| line.strip_prefix("Primary: "));
    let verdict = verdict.with_context(|| format!("no verdict in:\n{output}"))?;
    Ok(verdict.trim().to_owned())
}
