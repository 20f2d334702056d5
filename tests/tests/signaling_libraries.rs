//! WebSocket clients of others against `signaling`: `ws` (npm) and `websockets` (PyPI) connect, cut messages into fragments,
//! fill them to the limit and beyond, offer compression, close, and come from a page of somebody else's. And what the documentation
//! gives people to copy: the first client of `PROTOCOL.md`, and the proxy of `docs/signaling.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is the report of a test"
)]

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::certificate::{Algorithm, Certificate};
use e2e::http::curl;
use e2e::process::{Process, run, scratch_file, target_folder, tests_folder, until};
use e2e::server::free_port;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PATIENCE: Duration = Duration::from_secs(30);

fn signaling() -> Result<(Process, SocketAddr)> {
    let program = std::env::var_os("SIGNALING").map_or_else(
        || target_folder().join("release").join("signaling"),
        PathBuf::from,
    );
    let address = SocketAddr::new(HERE, free_port(HERE)?);
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

/// A file of the tree, from its root on.
fn page(path: &str) -> PathBuf {
    tests_folder().parent().unwrap().join(path)
}

/// Has two of the page's first clients meet at `address`.
fn meet(address: &str, authority: Option<&Certificate>) -> Result<()> {
    let mut node = Command::new("node");
    node.arg(tests_folder().join("clients/signaling/first_client.mjs"));
    node.arg(page("signaling/PROTOCOL.md")).arg(address);
    if let Some(authority) = authority {
        node.env("NODE_EXTRA_CA_CERTS", &authority.certificate);
    }
    let said = run(&mut node)?;
    ensure!(said.contains("all as it has to be"), "{said}");
    Ok(())
}

#[test]
fn the_first_client_of_the_protocol_s_page_meets_another() -> Result<()> {
    let (_server, address) = signaling()?;
    meet(&format!("ws://{address}/ws"), None)
}

/// As it is printed, but for the places of the proxy, of its certificate and of the service.
#[test]
fn behind_the_documented_haproxy_clients_meet_and_origins_are_told_apart() -> Result<()> {
    let (_server, address) = signaling()?;
    let certificate = Certificate::make(Algorithm::Ecdsa, HERE)?;
    let both = scratch_file("site.pem")?;
    let read = |path: &Path| fs::read_to_string(path);
    fs::write(
        &both,
        read(&certificate.certificate)? + &read(&certificate.key)?,
    )?;
    let documented = read(&page("docs/signaling.md"))?;
    let (_, rest) = documented
        .split_once("```haproxy\n")
        .context("no HAProxy")?;
    let (mut text, port) = (
        rest.split("```").next().unwrap().to_owned(),
        free_port(HERE)?,
    );
    for (printed, ours) in [
        (":443", format!("127.0.0.1:{port}")),
        ("/etc/haproxy/site.pem", both.display().to_string()),
        ("127.0.0.1:8080", address.to_string()),
    ] {
        ensure!(text.contains(printed), "{printed} is not in it:\n{text}");
        text = text.replace(printed, &ours);
    }
    let file = scratch_file("haproxy.cfg")?;
    fs::write(&file, text)?;
    let mut haproxy = Command::new("/usr/sbin/haproxy");
    let proxy = Process::start(haproxy.arg("-db").arg("-f").arg(&file), "haproxy")
        .context("it comes with: apt-get install haproxy")?;
    until("haproxy listens", PATIENCE, || {
        TcpStream::connect((HERE, port)).ok()
    })
    .with_context(|| proxy.output())?;

    meet(&format!("wss://127.0.0.1:{port}/ws"), Some(&certificate))?;
    for (origin, status) in [
        (format!("https://localhost:{port}"), 200),
        ("https://evil.example".to_owned(), 403),
    ] {
        let field = format!("Origin: {origin}");
        let path = "/socket.io/?EIO=4&transport=polling";
        let answer = curl(port, path, &certificate.certificate, &["-H", &field])?;
        ensure!(
            answer.status == status,
            "{origin}: {} {}",
            answer.status,
            answer.body
        );
    }
    Ok(())
}
