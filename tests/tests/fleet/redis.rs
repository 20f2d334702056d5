//! A Redis that can be killed, stopped and brought back, with what it knew or without.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use e2e::certificate::{Authority, Certificate};
use e2e::process::{Process, scratch_file};
use e2e::server::free_port;
use rustix::process::Signal;

use crate::site::{PATIENCE, signal};

pub(crate) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What the nodes log in with where TLS is spoken.
const USER: &str = "fleet";
const PASSWORD: &str = "a password of the fleet's";

pub(crate) struct Redis {
    port: u16,
    folder: PathBuf,
    tls: Option<Tls>,
    process: Option<Process>,
}

/// TLS alone, and a user who has to log in.
struct Tls {
    authority: Authority,
    certificate: Certificate,
    password: PathBuf,
}

impl Redis {
    /// Starts one that everybody may use, in the clear.
    pub(crate) fn plain() -> Result<Redis> {
        Redis::with(None)
    }

    /// Starts one that speaks TLS alone, has a certificate of a private authority, and wants to know who comes.
    pub(crate) fn secure() -> Result<Redis> {
        let authority = Authority::make()?;
        let certificate = authority.certify("redis.test", &[HERE])?;
        let password = scratch_file("redis-password")?;
        fs::write(&password, format!("{PASSWORD}\n"))?;
        Redis::with(Some(Tls {
            authority,
            certificate,
            password,
        }))
    }

    fn with(tls: Option<Tls>) -> Result<Redis> {
        let mut redis = Redis {
            port: free_port(HERE)?,
            folder: PathBuf::new(),
            tls,
            process: None,
        };
        redis.start_empty()?;
        Ok(redis)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (HERE, self.port).into()
    }

    /// The flags of a node that reaches it at `address`.
    pub(crate) fn flags(&self, address: SocketAddr) -> Vec<String> {
        match &self.tls {
            None => vec![format!("--redis-url=redis://{address}")],
            Some(tls) => vec![
                format!("--redis-url=rediss://{USER}@{address}/3"),
                format!("--redis-password-file={}", tls.password.display()),
                format!("--ca-file={}", tls.authority.certificate.display()),
            ],
        }
    }

    /// Starts it, and it knows nothing.
    pub(crate) fn start_empty(&mut self) -> Result<()> {
        self.folder = scratch_file("redis")?;
        fs::create_dir_all(&self.folder)?;
        self.start()
    }

    /// Starts it with what it has on its disk.
    pub(crate) fn start(&mut self) -> Result<()> {
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--dir"]);
        // Written at once, and only a power cut loses what the disk has not yet.
        command.arg(&self.folder);
        command.args(["--appendonly", "yes", "--appendfsync", "no"]);
        match &self.tls {
            None => command.args(["--port", &port]),
            Some(tls) => command
                .args(["--port", "0", "--tls-port", &port])
                .args(["--tls-auth-clients", "no", "--tls-cert-file"])
                .arg(&tls.certificate.certificate)
                .arg("--tls-key-file")
                .arg(&tls.certificate.key)
                .arg("--aclfile")
                .arg(self.users()?),
        };
        let mut process = Process::start(&mut command, "redis")?;
        process.wait_for_output(&["eady to accept connections"], PATIENCE)?;
        self.process = Some(process);
        Ok(())
    }

    fn users(&self) -> Result<PathBuf> {
        let file = self.folder.join("users.acl");
        let hashed = sha256(PASSWORD)?;
        fs::write(
            &file,
            format!("user default off\nuser {USER} on #{hashed} ~turnpike:* +@all\n"),
        )?;
        Ok(file)
    }

    pub(crate) fn kill(&mut self) -> Result<()> {
        let process = self.process.take().context("it runs")?;
        signal(&process, Signal::KILL)
    }

    pub(crate) fn signal(&self, with: Signal) -> Result<()> {
        signal(self.process.as_ref().context("it runs")?, with)
    }
}

/// A password with blanks can stand in Redis's file of users only as what it hashes to.
fn sha256(text: &str) -> Result<String> {
    let file = scratch_file("to-hash")?;
    fs::write(&file, text)?;
    let mut openssl = Command::new("openssl");
    let said = e2e::process::run(openssl.args(["dgst", "-sha256", "-r"]).arg(&file))?;
    let hash = said.split(' ').next().context("a hash")?;
    Ok(hash.to_owned())
}
