//! A PostgreSQL of a test's own: Debian's, in a folder of its own, run as its own user. Needs root, to become that user.

use std::fs::{self, Permissions};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};

use crate::certificate::Certificate;
use crate::process;
use crate::server::free_port;

/// A server that is stopped, and its folder removed, when this is dropped.
#[derive(Debug)]
pub struct Postgres {
    folder: PathBuf,
    port: u16,
    tls: bool,
}

impl Postgres {
    /// Makes an empty database and starts its server on a free port of loopback.
    ///
    /// # Errors
    /// When PostgreSQL is missing or does not start.
    pub fn start() -> Result<Self> {
        Self::with(None)
    }

    /// Starts one that speaks TLS with whoever wants it.
    ///
    /// # Errors
    /// When PostgreSQL is missing or does not start.
    pub fn start_secure(certificate: &Certificate) -> Result<Self> {
        Self::with(Some(certificate))
    }

    fn with(certificate: Option<&Certificate>) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Not below the target folder: PostgreSQL's own user may not be able to go there.
        let folder = format!("turnpike-postgres-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir_all(&folder)?;
        for (file, name) in certificate.iter().flat_map(|made| made.files()) {
            fs::copy(file, folder.join(name))?;
            fs::set_permissions(folder.join(name), Permissions::from_mode(0o600))?;
            process::run(Command::new("chown").arg("postgres").arg(folder.join(name)))?;
        }
        process::run(Command::new("chown").arg("postgres").arg(&folder))?;
        let port = free_port(IpAddr::V4(Ipv4Addr::LOCALHOST))?;
        let tls = certificate.is_some();
        let server = Self { folder, port, tls };
        let mut initdb = server.tool("initdb")?;
        initdb.args(["-U", "turnpike", "-A", "trust", "--no-sync", "-D"]);
        process::run(initdb.arg(server.data()))?;
        server.resume()?;
        Ok(server)
    }

    /// Tells how to connect.
    pub fn url(&self) -> String {
        format!("postgresql://turnpike@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts the server again.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn resume(&self) -> Result<()> {
        let folder = self.folder.display();
        let mut options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c fsync=off -k {folder}",
            self.port
        );
        if self.tls {
            options.push_str(&format!(
                " -c ssl=on -c ssl_cert_file={folder}/certificate.pem -c ssl_key_file={folder}/key.pem"
            ));
        }
        let mut pg_ctl = self.tool("pg_ctl")?;
        pg_ctl.args(["-w", "-l"]).arg(self.folder.join("log"));
        pg_ctl.args(["-o", &options, "-D"]).arg(self.data());
        // The server inherits what this writes to: a pipe would never end.
        let status = pg_ctl.arg("start").stdout(Stdio::null()).status()?;
        ensure!(status.success(), "PostgreSQL does not start: {folder}/log");
        Ok(())
    }

    /// Stops the server as a crash would.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn crash(&self) -> Result<()> {
        let mut pg_ctl = self.tool("pg_ctl")?;
        pg_ctl
            .args(["-w", "-m", "immediate", "-D"])
            .arg(self.data());
        process::run(pg_ctl.arg("stop"))?;
        Ok(())
    }

    /// Asks with `psql`, unaligned and without a head.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn ask(&self, question: &str) -> Result<String> {
        let mut psql = Command::new("psql");
        psql.args(["-At", "-c", question]).arg(self.url());
        Ok(process::run(&mut psql)?.trim().to_owned())
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// One of the programs that only the server's own user may run.
    fn tool(&self, name: &str) -> Result<Command> {
        let installed = "/usr/lib/postgresql";
        let versions = fs::read_dir(installed).context("apt-get install postgresql")?;
        let newest = versions.flatten().map(|version| version.path()).max();
        let newest = newest.with_context(|| format!("nothing in {installed}"))?;
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
            "--",
        ]);
        command
            .arg(newest.join("bin").join(name))
            .current_dir(&self.folder);
        Ok(command)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.crash();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
