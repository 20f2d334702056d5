//! Network namespaces: one per simulated host, gone with the value that made them.
//!
//! Not here: what the networks between them look like (`nat`).

use std::fs::{self, File};
use std::io::Write;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::process::run;

/// Every name starts with this and the process id of its maker, so that a later run can sweep what a killed one left.
const PREFIX: &str = "turnpike-";
const FOLDER: &str = "/run/netns";
/// What `ip netns exec` lays over `/etc`, in a folder per namespace.
const SETTINGS: &str = "/etc/netns";

/// A network namespace with `lo` up and nothing else; its processes and interfaces die with it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a namespace; `role` only helps to read error messages.
    ///
    /// # Errors
    /// Without root or without iproute2.
    pub fn new(role: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        static SWEPT: Once = Once::new();
        SWEPT.call_once(sweep);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}-{role}", std::process::id());
        run(Command::new("ip").args(["netns", "add", &name])).context(
            "network namespaces need root and the package iproute2 (apt-get install iproute2)",
        )?;
        let space = Self { name };
        // Addresses must work the moment they are set: no duplicate address detection, and none that nobody set.
        space.sysctl("net.ipv6.conf.all.accept_dad=0")?;
        space.sysctl("net.ipv6.conf.default.accept_dad=0")?;
        space.sysctl("net.ipv6.conf.default.accept_ra=0")?;
        space.ip("link set lo up")?;
        Ok(space)
    }

    /// Tells the name under which `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip -n NAME WORDS`; the words are split at spaces.
    ///
    /// # Errors
    /// When `ip` refuses, with its message.
    pub fn ip(&self, words: &str) -> Result<()> {
        run(Command::new("ip")
            .args(["-n", &self.name])
            .args(words.split_whitespace()))
        .map(drop)
    }

    /// Sets one kernel parameter of this namespace, `key=value`.
    ///
    /// # Errors
    /// When the kernel does not know it.
    pub fn sysctl(&self, setting: &str) -> Result<()> {
        run(self.command("sysctl").args(["-q", "-w", setting])).map(drop)
    }

    /// Gives addresses names inside, in place of the machine's `/etc/hosts`, for programs that are started from now on.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn name_hosts(&self, names: &[(IpAddr, &str)]) -> Result<()> {
        let folder = Path::new(SETTINGS).join(&self.name);
        fs::create_dir_all(&folder)?;
        let mut text = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
        for (address, name) in names {
            text.push_str(&format!("{address} {name}\n"));
        }
        fs::write(folder.join("hosts"), text).context("cannot name hosts")?;
        // Nobody answers there and the kernel says so: what is not named is unknown at once, not after seconds.
        fs::write(folder.join("resolv.conf"), "nameserver 127.0.0.1\n").context("cannot name hosts")
    }

    /// Loads nftables rules.
    ///
    /// # Errors
    /// When the rules do not parse or nftables is missing.
    pub fn nft(&self, rules: &str) -> Result<()> {
        let mut command = self.command("nft");
        let mut child = command
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child
            .stdin
            .take()
            .context("stdin was piped")?
            .write_all(rules.as_bytes())?;
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!(
                "nft (apt-get install nftables) refused: {}\n{rules}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    }

    /// Prepares a command that will run inside.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs a function on a thread inside, so that the sockets it opens belong here.
    ///
    /// # Errors
    /// When the namespace cannot be entered or the function fails.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let path = Path::new(FOLDER).join(&self.name);
        let space = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        thread::scope(|scope| {
            let worker = scope.spawn(move || {
                move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network))?;
                work()
            });
            worker
                .join()
                .map_err(|_| anyhow!("the thread inside {} panicked", self.name))?
        })
    }

    /// Kills (SIGKILL) every process that runs inside, as a power cut would.
    pub fn kill_processes(&self) {
        kill_processes(&self.name);
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Puts a cable between two namespaces and brings both ends up.
///
/// # Errors
/// When an interface of that name exists.
pub fn cable(a: &Namespace, a_interface: &str, b: &Namespace, b_interface: &str) -> Result<()> {
    a.ip(&format!(
        "link add {a_interface} type veth peer name {b_interface} netns {}",
        b.name
    ))?;
    a.ip(&format!("link set {a_interface} up"))?;
    b.ip(&format!("link set {b_interface} up"))
}

/// Removes what test processes that no longer exist have left behind.
fn sweep() {
    for entry in fs::read_dir(FOLDER).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let maker = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next())
            .map(str::to_owned);
        if maker.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            remove(&name);
        }
    }
}

fn remove(name: &str) {
    kill_processes(name);
    let _ = run(Command::new("ip").args(["netns", "del", name]));
    let _ = fs::remove_dir_all(Path::new(SETTINGS).join(name));
}

fn kill_processes(name: &str) {
    let listed = run(Command::new("ip").args(["netns", "pids", name])).unwrap_or_default();
    for pid in listed
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .filter_map(Pid::from_raw)
    {
        let _ = kill_process(pid, Signal::KILL);
    }
}
