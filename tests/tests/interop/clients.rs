//! The clients of the table and how each is run: two of its ends send each other data through the relay.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::process::{Process, run, target_folder, tests_folder};
use e2e::uclient::uclient;

use crate::lab::{Endpoint, Lab, PASSWORD, Transport, USERNAME};

/// Longer than any client's own patience.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Client {
    Uclient,
    Aioice,
    Werift,
    Libwebrtc,
    PionTurn,
    PionWebrtc,
    Gstreamer,
}

impl Client {
    pub(crate) const ALL: [Self; 7] = [
        Self::Uclient,
        Self::Aioice,
        Self::Werift,
        Self::Libwebrtc,
        Self::PionTurn,
        Self::PionWebrtc,
        Self::Gstreamer,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Uclient => "turnutils_uclient",
            Self::Aioice => "aioice",
            Self::Werift => "werift",
            Self::Libwebrtc => "@roamhq/wrtc (libwebrtc)",
            Self::PionTurn => "pion/turn",
            Self::PionWebrtc => "pion/webrtc",
            Self::Gstreamer => "GStreamer webrtcbin (libnice)",
        }
    }

    /// Runs it against a server; `pause` seconds are between an allocation and its first permission.
    pub(crate) fn run(self, lab: &Lab, to: &Endpoint, pause: u32) -> Result<()> {
        match self {
            Self::Uclient => uclient_pair(lab, to, pause),
            Self::Aioice => pair(lab, to, pause, &[&python()?, &script("aioice_pair.py")]),
            Self::Werift => pair(lab, to, pause, &["node", &script("werift_pair.mjs")]),
            Self::Libwebrtc => pair(lab, to, pause, &["node", &script("roamhq_pair.mjs")]),
            Self::PionTurn => pair(lab, to, pause, &[&pion()?, "turn"]),
            Self::PionWebrtc => pair(lab, to, pause, &[&pion()?, "webrtc"]),
            // Debian's bindings are Debian's Python's.
            Self::Gstreamer => pair(
                lab,
                to,
                pause,
                &["/usr/bin/python3", &script("gstreamer_pair.py")],
            ),
        }
    }
}

fn pair(lab: &Lab, to: &Endpoint, pause: u32, program: &[&str]) -> Result<()> {
    let (port, pause) = (to.port.to_string(), pause.to_string());
    let host = to.host();
    let (name, first) = program.split_first().context("a program")?;
    let mut command = lab.host.space.command(name);
    command.args(first);
    command.args([
        &host,
        &port,
        to.transport.name(),
        USERNAME,
        PASSWORD,
        &pause,
    ]);
    // Where Go, Python and Node look for authorities.
    command.env("SSL_CERT_FILE", &lab.authority.certificate);
    command.env("NODE_EXTRA_CA_CERTS", &lab.authority.certificate);
    let mut process = Process::start(&mut command, "client")?;
    let status = process.wait(PATIENCE)?;
    let said = process.output();
    let both = said.contains("there: 50 messages") && said.contains("back: 50 messages");
    ensure!(status.success() && both, "{status}\n{said}");
    Ok(())
}

/// Its two ends talk over channels; requests are repeated for longer than a nonce lives.
fn uclient_pair(lab: &Lab, to: &Endpoint, pause: u32) -> Result<()> {
    let (host, port) = (to.address.to_string(), to.port.to_string());
    let count = if pause == 0 { "10" } else { "250" };
    let mut arguments = vec!["-y", "-c", "-G", "-u", USERNAME, "-w", PASSWORD, "-m", "2"];
    arguments.extend(["-n", count, "-z", "20", "-p", &port]);
    arguments.extend(match to.transport {
        Transport::Udp => [].as_slice(),
        Transport::Tcp => &["-t"],
        Transport::Tls => &["-t", "-S"],
        Transport::Dtls => &["-S"],
    });
    let authority = lab.authority.certificate.display().to_string();
    if to.transport.is_secure() {
        arguments.extend(["-E", &authority]);
    }
    if to.address.is_ipv6() {
        arguments.push("-x");
    }
    arguments.push(&host);
    let totals = uclient(Some(&lab.host.space), &arguments)?;
    // Over TLS it loses some of the messages whatever the server.
    ensure!(
        totals.sent > 0 && totals.received * 10 >= totals.sent * 9,
        "{arguments:?}: {totals:?}"
    );
    Ok(())
}

fn script(name: &str) -> String {
    tests_folder()
        .join("clients")
        .join(name)
        .display()
        .to_string()
}

fn python() -> Result<String> {
    let python = target_folder().join("e2e/venv/bin/python");
    ensure!(
        python.exists(),
        "{} is missing: tests/run tools",
        python.display()
    );
    Ok(python.display().to_string())
}

/// pion's program, built from Debian's Go packages.
fn pion() -> Result<String> {
    let program = pion_folder().join("pion");
    ensure!(program.exists(), "{} was not built", program.display());
    Ok(program.display().to_string())
}

fn pion_folder() -> PathBuf {
    target_folder().join("e2e/pion")
}

/// Builds pion's program. Go without modules wants its sources below GOPATH.
pub(crate) fn build_pion() -> Result<()> {
    let packages = PathBuf::from("/usr/share/gocode");
    if !packages.join("src/github.com/pion/webrtc").exists() {
        bail!("pion is missing: apt-get install golang-go golang-github-pion-webrtc.v3-dev");
    }
    let root = fs::canonicalize(target_folder())?.join("e2e/pion");
    let source = root.join("src/turnpike.test/pion");
    fs::create_dir_all(&source)?;
    for entry in fs::read_dir(tests_folder().join("clients/pion"))? {
        let entry = entry?;
        fs::copy(entry.path(), source.join(entry.file_name()))?;
    }
    let mut go = Command::new("go");
    go.args(["build", "-o"])
        .arg(root.join("pion"))
        .arg(".")
        .current_dir(&source);
    go.env(
        "GOPATH",
        format!("{}:{}", root.display(), packages.display()),
    );
    run(go.env("GO111MODULE", "off").env("GOFLAGS", "")).map(drop)
}
