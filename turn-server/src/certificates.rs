//! The files of TLS: read at the start, read again on a signal.

use std::{fs, io, path::Path};

use anyhow::Context as _;
use turn_config::{
    Origin,
    settings::{self, Settings},
};
use turn_io::{Tls, TlsMaterial, TlsPart};

/// Reads the files and makes what connections are accepted with; `None` when TLS is not served.
///
/// # Errors
/// Names the option, where it was given, the file, what is wrong, and what to do.
pub(crate) fn load(settings: &Settings) -> anyhow::Result<Option<Tls>> {
    let Some(tls) = &settings.tls else {
        return Ok(None);
    };
    let read = |part: TlsPart, path: &Path| {
        fs::read(path).with_context(|| unreadable(settings, tls, part, path))
    };
    let material = TlsMaterial {
        certificates: read(TlsPart::Certificates, &tls.certificate)?,
        key: read(TlsPart::Key, &tls.key)?,
        client_authorities: match &tls.client_authorities {
            Some(path) => Some(read(TlsPart::ClientAuthorities, path)?),
            None => None,
        },
        ciphers: tls.ciphers.clone(),
        groups: tls.groups.clone(),
        tls12: tls.tls12,
    };
    let made = Tls::new(&material)
        .map_err(|error| anyhow::anyhow!("{}: {error}", subject(settings, tls, error.part())))?;
    Ok(Some(made))
}

/// The option that a part comes from, with its origin and its file.
fn subject(settings: &Settings, tls: &settings::Tls, part: TlsPart) -> String {
    let (option, path) = match part {
        TlsPart::Certificates => ("cert", Some(&tls.certificate)),
        TlsPart::Key => ("pkey", Some(&tls.key)),
        TlsPart::ClientAuthorities => ("CA-file", tls.client_authorities.as_ref()),
        TlsPart::Ciphers => ("cipher-list", None),
        TlsPart::Groups => ("ec-curve-name", None),
    };
    let origin = match settings.origin(option) {
        Origin::Default => String::new(),
        origin => format!("{origin}: "),
    };
    let file = path.map_or_else(String::new, |path| format!(": {}", path.display()));
    format!("{origin}{option}{file}")
}

fn unreadable(settings: &Settings, tls: &settings::Tls, part: TlsPart, path: &Path) -> String {
    let subject = subject(settings, tls, part);
    // The metadata needs no right on the file itself: it tells an absent file from a locked one.
    let remedy = match fs::metadata(path).map_err(|error| error.kind()) {
        Err(io::ErrorKind::NotFound) => "name a file that is there",
        Err(io::ErrorKind::PermissionDenied) => {
            "let this user enter the folders above it (chmod o+x, or setfacl -m u:USER:x)"
        }
        _ => "let this user read it, for example by its group: chgrp GROUP FILE, chmod g+r FILE",
    };
    format!("{subject}: cannot be read; {remedy}, or write no-tls to serve clients without TLS")
}
