//! WebSocket clients of others against `signaling`: `ws` (npm) and `websockets` (PyPI) connect, cut messages into fragments,
//! fill them to the limit and beyond, offer compression, close, and come from a page of somebody else's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is the report of a test"
)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::process::{Process, run, target_folder, tests_folder};
use e2e::server::free_port;

const PATIENCE: Duration = Duration::from_secs(30);

fn signaling() -> Result<(Process, SocketAddr)> {
    let program = std::env::var_os("SIGNALING").map_or_else(
        || target_folder().join("release").join("signaling"),
        PathBuf::from,
    );
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let address = SocketAddr::new(here, free_port(here)?);
    let mut command = Command::new(program);
    command.arg(format!("--listen={address}"));
    let mut process = Process::start(&mut command, "signaling")?;
    process.wait_for_output(&["listening http"], PATIENCE)?;
    Ok((process, address))
}

/// Runs a client's script, which ends badly where something is not as it has to be.
fn judge(interpreter: &Path, script: &str) -> Result<()> {
    let (_server, address) = signaling()?;
    let script = tests_folder().join("clients/signaling").join(script);
    let said = run(Command::new(interpreter)
        .arg(script)
        .arg(address.to_string()))?;
    ensure!(said.contains("all as it has to be"), "{said}");
    Ok(())
}

#[test]
fn ws_finds_everything_as_it_has_to_be() -> Result<()> {
    judge(Path::new("node"), "frames.mjs")
}

#[test]
fn websockets_finds_everything_as_it_has_to_be() -> Result<()> {
    judge(&target_folder().join("e2e/venv/bin/python"), "frames.py")
}
