//! A machine of its own: Debian in a folder with systemd as its first process, in namespaces (`systemd-nspawn`). It has no network
//! beside loopback and shares nothing but the kernel.
//!
//! What it starts from is made by the stage `package`: `target/e2e/debian.tar`, Debian's base with coturn's packages at hand.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::netns::Namespace;
use crate::process::{Process, run, scratch_file, target_folder, until};

/// How long a boot may take, and an end of all services.
const BOOT: Duration = Duration::from_secs(90);

/// A running machine; dropped, it is gone with everything in it.
#[derive(Debug)]
pub struct Machine {
    root: PathBuf,
    container: Process,
    /// Its first process, as this machine numbers it.
    init: u32,
}

impl Machine {
    /// Unpacks and boots one, with these addresses on an interface that leads nowhere.
    ///
    /// # Errors
    /// Without root, `systemd-nspawn` or the archive; when systemd does not come up.
    pub fn boot(addresses: &[&str]) -> Result<Self> {
        let archive = target_folder().join("e2e/debian.tar");
        if !archive.exists() {
            bail!("{} is missing: tests/run package", archive.display());
        }
        let root = scratch_file("machine")?;
        fs::create_dir_all(&root)?;
        run(Command::new("tar")
            .arg("-xpf")
            .arg(&archive)
            .arg("-C")
            .arg(&root))?;
        let mut nspawn = Command::new("systemd-nspawn");
        nspawn.args([
            "--boot",
            "--quiet",
            "--private-network",
            "--register=no",
            "--keep-unit",
        ]);
        // Nothing of this machine is lent to it but the kernel.
        nspawn.args([
            "--console=pipe",
            "--resolv-conf=off",
            "--link-journal=no",
            "-D",
        ]);
        let container = Process::start(nspawn.arg(&root), "machine")
            .context("it comes with: apt-get install systemd-container")?;
        let init = until("its first process", BOOT, || first_child(container.id()))?;
        let machine = Self {
            root,
            container,
            init,
        };
        until("systemd is up", BOOT, || {
            let mut asked = machine.command("systemctl");
            let said = asked.arg("is-system-running").output().ok()?.stdout;
            [&b"running\n"[..], b"degraded\n"]
                .contains(&&*said)
                .then_some(())
        })
        .with_context(|| machine.container.output())?;
        if !addresses.is_empty() {
            machine.run("ip link add wan type bridge && ip link set wan up")?;
        }
        for address in addresses {
            machine.run(&format!("ip address add {address} dev wan"))?;
        }
        Ok(machine)
    }

    /// Prepares one of its own programs, run by root in it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.enter(&["--all", "--wdns=/"], program)
    }

    /// Prepares a program of this machine's, run as if it were plugged in at that one's network.
    pub fn beside(&self, program: impl AsRef<OsStr>) -> Command {
        self.enter(&["--net"], program)
    }

    fn enter(&self, how: &[&str], program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.init)).args(how);
        command.arg("--").arg(program);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// Runs a line of its shell, and tells what it has printed.
    ///
    /// # Errors
    /// When it fails; the message carries both of its outputs.
    pub fn run(&self, line: &str) -> Result<String> {
        run(self.command("sh").args(["-c", line]))
    }

    /// Writes a file of it, with the folders above.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &str, content: &str) -> Result<()> {
        let path = self.path(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, content).with_context(|| path.display().to_string())
    }

    /// Lays a cable from its `eth0`, with this address, to `wan` of a namespace.
    ///
    /// # Errors
    /// When the interfaces cannot be made.
    pub fn plug(&self, other: &Namespace, address: &str) -> Result<()> {
        let init = self.init;
        other.ip(&format!(
            "link add wan type veth peer name eth0 netns {init}"
        ))?;
        other.ip("link set wan up")?;
        self.run(&format!(
            "ip address add {address} dev eth0 && ip link set eth0 up"
        ))?;
        Ok(())
    }

    /// Where one of its files is on this machine.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Copies a file into its folder `/root`, and tells the path there.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn take(&self, file: &Path) -> Result<String> {
        let name = file.file_name().context("it has no name")?;
        let there = Path::new("/root").join(name).display().to_string();
        fs::copy(file, self.path(&there))?;
        Ok(there)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(init) = i32::try_from(self.init).ok().and_then(Pid::from_raw) {
            // Everything in its process namespace goes with it.
            let _ = kill_process(init, Signal::KILL);
        }
        let _ = self.container.wait(Duration::from_secs(10));
        self.container.stop();
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn first_child(process: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).ok()?;
    let child = children.split_whitespace().next()?.parse().ok()?;
    let name = fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
    // Until it is systemd, it is still being set up.
    (name.trim() == "systemd").then_some(child)
}
