//! Certificates for tests, made on the spot by `openssl`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

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

    /// The flags that give it to a server.
    pub fn flags(&self) -> [String; 2] {
        [
            format!("--cert={}", self.certificate.display()),
            format!("--pkey={}", self.key.display()),
        ]
    }
}
