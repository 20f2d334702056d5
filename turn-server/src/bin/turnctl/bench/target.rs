//! The servers under test: how each is started with the same configuration on one core, and stopped whatever happens.
//!
//! A child is killed when its guard is dropped, and by the kernel (`setpriv --pdeathsig`) when this process dies without
//! dropping anything.

use super::args::Options;
use super::client::Account;
use super::placement::Placement;
use super::rows::Row;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// User, password and realm that every server is given.
pub(crate) const USER: &str = "bench";
pub(crate) const PASSWORD: &str = "bench-password";
pub(crate) const REALM: &str = "bench.invalid";
/// Relay ports, below the range that Linux draws client ports from, so that the two never collide.
const RELAY_PORTS: (u16, u16) = (10_000, 32_767);
/// Below the relay ports.
const LISTENING_PORTS: RangeInclusive<u16> = 9_000..=9_499;
const TLS_PORTS: RangeInclusive<u16> = 9_500..=9_999;
/// A certificate for the servers, made by `openssl` for one run.
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";
/// A port found free may be taken before the server has it.
const START_ATTEMPTS: usize = 3;
/// Ours answers the unauthenticated at a limited rate by default; the others have no such limit, and all load comes from one address.
const NO_REPLY_LIMIT: &str = "--unauth-reply-rate=0";
/// coturn needs 1.2 s on a quiet machine.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A server that can be put under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Contender {
    Ours,
    Coturn,
    WebrtcRs,
    Forwarder,
}

impl Contender {
    /// In the order of the table.
    pub(crate) const ALL: [Self; 4] = [Self::Ours, Self::Coturn, Self::WebrtcRs, Self::Forwarder];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Coturn => "coturn",
            Self::WebrtcRs => "webrtc-rs",
            Self::Forwarder => "forwarder",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|contender| contender.name() == name)
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A server program found on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    pub(crate) contender: Contender,
    pub(crate) version: String,
    program: PathBuf,
    extra: Vec<OsString>,
}

impl Installed {
    /// Finds the program and asks its version.
    ///
    /// # Errors
    /// It is not there; the message says what to install, build or pass.
    pub(crate) fn find(contender: Contender, options: &Options) -> Result<Self> {
        let this = std::env::current_exe().context("cannot find the path of this program")?;
        let (program, extra) = match contender {
            Contender::Ours => (
                options
                    .ours
                    .clone()
                    .unwrap_or_else(|| this.with_file_name("turnserver")),
                options.ours_args.clone(),
            ),
            Contender::Coturn => (options.coturn.clone(), options.coturn_args.clone()),
            Contender::WebrtcRs | Contender::Forwarder => (this, Vec::new()),
        };
        let version = match contender {
            Contender::Ours | Contender::Coturn => asked_version(&program).with_context(|| {
                format!("{}: not usable; {}", program.display(), remedy(contender))
            })?,
            Contender::WebrtcRs => "turn 0.17.2".to_owned(),
            Contender::Forwarder => "no protocol".to_owned(),
        };
        Ok(Self {
            contender,
            version,
            program,
            extra: extra.into_iter().map(OsString::from).collect(),
        })
    }

    /// What tells this program and its arguments from others, as far as anything does.
    pub(crate) fn fingerprint(&self) -> String {
        let file = fs::metadata(&self.program);
        let changed = file.and_then(|file| Ok((file.len(), file.modified()?)));
        format!("{:?} {changed:?} {:?}", self.program, self.extra)
    }

    /// Starts it on a free port of 127.0.0.1, pinned to its core, and waits until it answers.
    ///
    /// # Errors
    /// It does not start or does not answer in time; the message has the whole command line and what it said.
    pub(crate) fn start(
        &self,
        placement: &Placement,
        scratch: &Path,
        row: &Row,
    ) -> Result<Running> {
        let more = || row.arguments(self.contender);
        self.start_under(&[], placement, scratch, more)
    }

    /// The same, run by another program, and with more arguments.
    ///
    /// # Errors
    /// As [`Installed::start`].
    pub(crate) fn start_under<'a, A: Iterator<Item = &'a str>>(
        &self,
        runner: &[String],
        placement: &Placement,
        scratch: &Path,
        more: impl Fn() -> A,
    ) -> Result<Running> {
        let once = || self.start_once(runner, placement, scratch, more());
        let mut attempt = once();
        // Somebody else may have taken the port between the look and the start.
        for _ in 1..START_ATTEMPTS {
            if attempt.is_ok() {
                break;
            }
            attempt = once();
        }
        attempt
    }

    fn start_once<'a>(
        &self,
        runner: &[String],
        placement: &Placement,
        scratch: &Path,
        more: impl Iterator<Item = &'a str>,
    ) -> Result<Running> {
        let listen = free_port(LISTENING_PORTS)?;
        let listen_tls = free_port(TLS_PORTS)?;
        let complaints = scratch.join(format!("{}.stderr", self.contender.name()));
        let mut command = placement.server_command();
        command
            .args(runner)
            .arg(&self.program)
            .args(self.arguments(listen, listen_tls, scratch))
            .args(&self.extra)
            .args(more);
        command
            .current_dir(scratch)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&complaints)?);
        let shown = format!("{command:?}");
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {shown}"))?;
        let mut running = Running {
            contender: self.contender,
            listen,
            listen_tls,
            child,
            installed: self.clone(),
            placement: *placement,
            scratch: scratch.to_owned(),
        };
        running.wait_until_ready().with_context(|| {
            let said = fs::read_to_string(&complaints).unwrap_or_default();
            format!("the command was: {shown}\n{said}")
        })?;
        placement.raise_server(running.pid());
        Ok(running)
    }

    fn arguments(
        &self,
        listen: SocketAddr,
        listen_tls: SocketAddr,
        scratch: &Path,
    ) -> Vec<OsString> {
        let own = match self.contender {
            Contender::Ours => {
                let mut arguments = turnserver_arguments(listen, listen_tls, scratch);
                arguments.push(NO_REPLY_LIMIT.to_owned());
                arguments
            }
            Contender::Coturn => {
                let mut arguments = turnserver_arguments(listen, listen_tls, scratch);
                arguments.push(format!(
                    "--pidfile={}",
                    scratch.join("coturn.pid").display()
                ));
                arguments.push("--no-cli".to_owned());
                arguments
            }
            Contender::WebrtcRs => vec!["baseline-webrtc".to_owned(), listen.to_string()],
            Contender::Forwarder => vec!["baseline-forwarder".to_owned(), listen.to_string()],
        };
        own.into_iter().map(OsString::from).collect()
    }
}

/// The flags that ours and coturn share.
fn turnserver_arguments(listen: SocketAddr, listen_tls: SocketAddr, scratch: &Path) -> Vec<String> {
    let file = |name: &str| scratch.join(name).display().to_string();
    let (lowest, highest) = RELAY_PORTS;
    vec![
        "-n".to_owned(),
        format!("--listening-ip={}", listen.ip()),
        format!("--relay-ip={}", listen.ip()),
        format!("--listening-port={}", listen.port()),
        format!("--min-port={lowest}"),
        format!("--max-port={highest}"),
        "--lt-cred-mech".to_owned(),
        format!("--user={USER}:{PASSWORD}"),
        format!("--realm={REALM}"),
        "--allow-loopback-peers".to_owned(),
        format!("--tls-listening-port={}", listen_tls.port()),
        format!("--cert={}", file(CERTIFICATE)),
        format!("--pkey={}", file(KEY)),
        "--no-dtls".to_owned(),
        "--log-file=stdout".to_owned(),
        "--simple-log".to_owned(),
    ]
}

/// A server under test; dropping it ends it.
pub(crate) struct Running {
    pub(crate) contender: Contender,
    pub(crate) listen: SocketAddr,
    /// Where it speaks TLS, if it does.
    pub(crate) listen_tls: SocketAddr,
    child: Child,
    installed: Installed,
    placement: Placement,
    scratch: PathBuf,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Starts the same program once more, run by another one.
    ///
    /// # Errors
    /// As [`Installed::start`].
    pub(crate) fn again_under(&self, runner: &[String]) -> Result<Running> {
        self.installed
            .start_under(runner, &self.placement, &self.scratch, std::iter::empty)
    }

    /// A file of this run, for a tool that looks at the server.
    pub(crate) fn scratch_file(&self, name: &str) -> PathBuf {
        self.scratch
            .join(format!("{}.{name}", self.contender.name()))
    }

    /// Waits until a server has ended that was told to.
    ///
    /// # Errors
    /// It does not end in time; it is killed then.
    pub(crate) fn wait_for_end(mut self, patience: Duration) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < patience {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("{} did not end within {patience:?}", self.contender)
    }

    /// The credentials that every server here was started with.
    pub(crate) fn account(&self) -> Account {
        Account::new(USER, PASSWORD)
    }

    /// Asks with Binding requests until one is answered.
    fn wait_until_ready(&mut self) -> Result<()> {
        let socket =
            UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot open a UDP socket")?;
        socket
            .connect(self.listen)
            .context("cannot connect a UDP socket")?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let began = Instant::now();
        while began.elapsed() < START_LIMIT {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended at once ({status})", self.contender);
            }
            let request = super::client::binding_request([7; 12]);
            let mut answer = [0; 2048];
            // A refused send only says that nobody listens yet.
            if socket.send(&request).is_ok() && socket.recv(&mut answer).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!(
            "{} did not answer a Binding request on {} within {START_LIMIT:?}",
            self.contender,
            self.listen
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to kill and the status is collected.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory of this run's own, removed at the end.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Creates it.
    ///
    /// # Errors
    /// The directory for temporary files is not writable.
    pub(crate) fn create() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("turnctl-bench-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let scratch = Self(path);
        scratch.make_certificate()?;
        Ok(scratch)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn make_certificate(&self) -> Result<()> {
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ])
            .args(["-nodes", "-days", "2", "-subj", "/CN=bench.invalid"])
            .args(["-keyout", KEY, "-out", CERTIFICATE])
            .current_dir(&self.0)
            .stdin(Stdio::null())
            .output()
            .context("cannot run openssl")?;
        if !made.status.success() {
            let said = String::from_utf8_lossy(&made.stderr);
            bail!("openssl made no certificate: {said}");
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn asked_version(program: &Path) -> Result<String> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    let line = text
        .lines()
        .rfind(|line| line.contains(|c: char| c.is_ascii_digit()));
    line.map(|line| line.trim().to_owned())
        .context("it does not tell its version")
}

fn remedy(contender: Contender) -> &'static str {
    match contender {
        Contender::Ours => "build it (cargo build --release) or pass --ours=PATH",
        Contender::Coturn => "install the package coturn or pass --coturn=PATH",
        Contender::WebrtcRs | Contender::Forwarder => "it is part of this program",
    }
}

/// A port free for UDP and TCP, which servers listen on too: below the relay ports and those that clients are given.
fn free_port(among: RangeInclusive<u16>) -> Result<SocketAddr> {
    among
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|&address| UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok())
        .context("no free port on 127.0.0.1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for contender in Contender::ALL {
            assert_eq!(Contender::from_name(contender.name()), Some(contender));
        }
        assert_eq!(Contender::from_name("nobody"), None);
    }

    fn running(child: Child) -> Running {
        let nowhere = "127.0.0.1:1".parse().unwrap();
        Running {
            contender: Contender::Ours,
            listen: nowhere,
            listen_tls: nowhere,
            child,
            installed: Installed {
                contender: Contender::Ours,
                version: String::new(),
                program: PathBuf::new(),
                extra: Vec::new(),
            },
            placement: Placement {
                server_core: 0,
                generator_core: 1,
                raised: false,
            },
            scratch: PathBuf::new(),
        }
    }

    #[test]
    fn a_child_ends_with_its_guard() {
        let child = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = child.id();
        drop(running(child));
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_server_that_ends_at_once_is_reported() {
        let mut running = running(Command::new("false").spawn().unwrap());
        let error = running.wait_until_ready().unwrap_err();
        assert!(error.to_string().contains("ended at once"), "{error}");
    }
}
