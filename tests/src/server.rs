//! The server under test as an operator starts it: a program, flags, a log.
//!
//! `TURNSERVER=/path` takes another binary, for instance Debian's coturn, to see whether a test judges the relay or itself.

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::netns::Namespace;
use crate::process::{Process, scratch_file, target_folder};

/// The line that scripts wait for, and the last one that coturn before 4.7 prints in its place.
const READY: [&str; 2] = ["Total auth threads:", "IO method (auth thread):"];
/// Where servers listen: below the ports that the kernel gives to clients, so that none of those takes one in the meantime.
const SERVER_PORTS: Range<u16> = 12_000..32_000;
const PORTS_OF_A_PROGRAM: u32 = 128;
/// coturn's peer takes the port behind its own as well.
const APART: u32 = 2;
const START: Duration = Duration::from_secs(20);

/// A running `turnserver`.
#[derive(Debug)]
pub struct Server {
    process: Process,
}

impl Server {
    /// Starts with `flags` only: no configuration file, and a user database of its own.
    ///
    /// # Errors
    /// When the program is missing, or ends or stays silent instead of becoming ready; the message carries its log.
    pub fn start(space: Option<&Namespace>, flags: &[&str]) -> Result<Self> {
        let mut command = command(space)?;
        command.args(["--no-tls", "--no-dtls"]);
        Self::plain(command, flags)
    }

    /// Starts with `flags` only, and with TLS where they name a certificate.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_secure(space: Option<&Namespace>, flags: &[&str]) -> Result<Self> {
        Self::plain(command(space)?, flags)
    }

    fn plain(mut command: Command, flags: &[&str]) -> Result<Self> {
        command.args(["-n", "--log-file=stdout", "--no-cli"]);
        command
            .arg(flag("--userdb=", &scratch_file("userdb")?))
            .arg(flag("--pidfile=", &scratch_file("pid")?));
        Self::ready(command.args(flags))
    }

    /// Starts Debian's coturn with `flags` only, to compare ours with it; TLS and DTLS are on, as coturn has it.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn coturn(space: Option<&Namespace>, flags: &[&str]) -> Result<Self> {
        let program = PathBuf::from("/usr/bin/turnserver");
        if !program.exists() {
            bail!("{} is missing: apt-get install coturn", program.display());
        }
        let command = space.map_or_else(|| Command::new(&program), |space| space.command(&program));
        Self::plain(command, flags)
    }

    /// Starts with exactly these arguments: none at all is quickstart.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn quickstart(space: &Namespace, arguments: &[&str]) -> Result<Self> {
        Self::ready(command(Some(space))?.args(arguments))
    }

    /// Starts with a configuration file, and flags that win over it. The file has to send the log to standard output.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn configured(file: &Path, flags: &[&str]) -> Result<Self> {
        let mut command = command(None)?;
        Self::ready(command.arg("-c").arg(file).args(flags))
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// When it has not within that time.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        self.process.wait(within)
    }

    /// Reads what it has printed so far.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Tells its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.id()).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.context("no process id")?, signal)?)
    }

    /// Waits until it has printed `needle`.
    ///
    /// # Errors
    /// When it does not within ten seconds.
    pub fn wait_for_output(&mut self, needle: &str) -> Result<()> {
        self.process
            .wait_for_output(&[needle], Duration::from_secs(10))
    }

    fn ready(command: &mut Command) -> Result<Self> {
        let mut process = Process::start(command, "turnserver")?;
        process.wait_for_output(&READY, START)?;
        Ok(Self { process })
    }
}

/// Where the server program is, for those who start it by another one.
///
/// # Errors
/// When it is missing.
pub fn path() -> Result<PathBuf> {
    program("TURNSERVER", "turnserver")
}

/// Prepares the server program without arguments, for tests that expect it to refuse.
///
/// # Errors
/// When the program is missing.
pub fn command(space: Option<&Namespace>) -> Result<Command> {
    let program = program("TURNSERVER", "turnserver")?;
    Ok(space.map_or_else(|| Command::new(&program), |space| space.command(&program)))
}

/// Asks a running server by its control socket, and tells what `turnctl` prints.
///
/// # Errors
/// When the program is missing or fails.
pub fn turnctl(socket: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = turnctl_command()?;
    let output = command
        .arg(flag("--socket=", socket))
        .args(arguments)
        .output()?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!(
            "{command:?}: {printed}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(printed)
}

/// Prepares `turnctl` without arguments; `TURNCTL=/path` takes another binary.
///
/// # Errors
/// When the program is missing.
pub fn turnctl_command() -> Result<Command> {
    Ok(Command::new(program("TURNCTL", "turnctl")?))
}

/// Prepares the signaling program without arguments; `SIGNALING=/path` takes another binary.
///
/// # Errors
/// When the program is missing.
pub fn signaling_command() -> Result<Command> {
    Ok(Command::new(program("SIGNALING", "signaling")?))
}

/// Finds a port that is free for UDP and TCP on `address` right now, and in IPv6 as well; no two calls find the same one.
///
/// # Errors
/// When the address is not of this machine.
pub fn free_port(address: IpAddr) -> Result<u16> {
    static CALLS: AtomicU16 = AtomicU16::new(0);
    // Test programs that run side by side begin at places of their own.
    let first = std::process::id().wrapping_mul(PORTS_OF_A_PROGRAM);
    for _ in 0..PORTS_OF_A_PROGRAM / APART {
        let call = u32::from(CALLS.fetch_add(1, Ordering::Relaxed)) * APART;
        let among = u32::from(SERVER_PORTS.end - SERVER_PORTS.start);
        let port = SERVER_PORTS.start + u16::try_from(first.wrapping_add(call) % among)?;
        let here = SocketAddr::new(address, port);
        let taken = |tried: io::Result<()>| match tried {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(true),
            tried => tried.map(|()| false),
        };
        let both = |at: SocketAddr| UdpSocket::bind(at).and(TcpListener::bind(at)).map(drop);
        if taken(both(here)).with_context(|| format!("{address} is no address of this machine"))? {
            continue;
        }
        // A machine without IPv6 has nobody there.
        if !taken(both((Ipv6Addr::UNSPECIFIED, port).into())).unwrap_or(false) {
            return Ok(port);
        }
    }
    bail!("no port of {address} is free for UDP and TCP")
}

/// Finds a program of ours: as `variable` says, or as `cargo build --release --workspace` has left it.
///
/// # Errors
/// When it is not there.
pub fn program(variable: &str, name: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable)
        .map_or_else(|| target_folder().join("release").join(name), PathBuf::from);
    if !path.exists() {
        bail!(
            "{} is missing: cargo build --release --workspace",
            path.display()
        );
    }
    Ok(path)
}

fn flag(name: &str, value: &std::path::Path) -> OsString {
    let mut flag = OsString::from(name);
    flag.push(value);
    flag
}
