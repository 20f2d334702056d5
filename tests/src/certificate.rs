//! Certificates for tests, made on the spot by `openssl`.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{run, scratch_file};

/// What a key is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256.
    Ecdsa,
    /// RSA with 2,048 bits.
    Rsa,
}

/// A certificate that signs itself, with its key, in files.
#[derive(Debug)]
pub struct Certificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Certificate {
    /// Makes one for `localhost` and an address.
    ///
    /// # Errors
    /// When `openssl` is missing or fails.
    pub fn make(algorithm: Algorithm, address: IpAddr) -> Result<Self> {
        let made = Self {
            certificate: scratch_file("certificate.pem")?,
            key: scratch_file("key.pem")?,
        };
        let kind: &[&str] = match algorithm {
            Algorithm::Ecdsa => &["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
            Algorithm::Rsa => &["rsa:2048"],
        };
        let names = format!("subjectAltName=DNS:localhost,IP:{address}");
        let mut command = Command::new("openssl");
        command.args([
            "req",
            "-x509",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ]);
        // An authority's certificate is not accepted for a client by everybody.
        command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        command.args(["-addext", &names, "-newkey"]).args(kind);
        command.arg("-keyout").arg(&made.key);
        command.arg("-out").arg(&made.certificate);
        run(&mut command)?;
        Ok(made)
    }

    /// Its files, and what they could be called elsewhere.
    pub(crate) fn files(&self) -> [(&Path, &'static str); 2] {
        [
            (&self.certificate, "certificate.pem"),
            (&self.key, "key.pem"),
        ]
    }

    /// The flags that give it to a server.
    pub fn flags(&self) -> [String; 2] {
        [
            format!("--cert={}", self.certificate.display()),
            format!("--pkey={}", self.key.display()),
        ]
    }
}

/// An authority of one's own, for clients that are told to trust it.
#[derive(Debug)]
pub struct Authority {
    /// The certificate to trust.
    pub certificate: PathBuf,
    key: PathBuf,
}

impl Authority {
    /// Makes one.
    ///
    /// # Errors
    /// When `openssl` is missing or fails.
    pub fn make() -> Result<Self> {
        let made = Self {
            certificate: scratch_file("authority.pem")?,
            key: scratch_file("authority-key.pem")?,
        };
        let mut command = Command::new("openssl");
        command.args("req -x509 -nodes -days 2 -newkey ec".split(' '));
        command.args(["-pkeyopt", "ec_paramgen_curve:prime256v1"]);
        command.args(["-subj", "/CN=The authority of a test"]);
        command.args(["-addext", "basicConstraints=critical,CA:TRUE"]);
        command.args(["-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
        command.arg("-keyout").arg(&made.key);
        command.arg("-out").arg(&made.certificate);
        run(&mut command)?;
        Ok(made)
    }

    /// Certifies a server by a name and addresses.
    ///
    /// # Errors
    /// When `openssl` fails.
    pub fn certify(&self, name: &str, addresses: &[IpAddr]) -> Result<Certificate> {
        let made = Certificate {
            certificate: scratch_file("certificate.pem")?,
            key: scratch_file("key.pem")?,
        };
        let mut names = format!("subjectAltName=DNS:{name}");
        for address in addresses {
            names.push_str(&format!(",IP:{address}"));
        }
        let mut command = Command::new("openssl");
        command.args("req -x509 -nodes -days 2 -newkey ec".split(' '));
        command.args(["-pkeyopt", "ec_paramgen_curve:prime256v1"]);
        command.args(["-subj", &format!("/CN={name}")]);
        command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        command.args(["-addext", "extendedKeyUsage=serverAuth"]);
        command.args(["-addext", &names, "-keyout"]).arg(&made.key);
        command.arg("-CA").arg(&self.certificate);
        command.arg("-CAkey").arg(&self.key);
        command.arg("-out").arg(&made.certificate);
        run(&mut command)?;
        Ok(made)
    }

    /// Makes an NSS database in `folder` that trusts this authority for servers, as Firefox and Chromium keep it.
    ///
    /// # Errors
    /// When `certutil` is missing or fails.
    pub fn nss_database(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        let database = format!("sql:{}", folder.display());
        let certutil = || Command::new("certutil");
        run(certutil().args(["-N", "-d", &database, "--empty-password"]))
            .context("it comes with: apt-get install libnss3-tools")?;
        let add = ["-A", "-d", &database, "-t", "C,,", "-n", "test", "-i"];
        run(certutil().args(add).arg(&self.certificate)).map(drop)
    }
}
