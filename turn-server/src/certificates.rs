//! The files of TLS and DTLS: read at the start, with every reload, and when they have changed.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info};
use turn_config::{
    Origin,
    settings::{self, Settings},
};
use turn_io::{Dtls, Tls, TlsError, TlsMaterial, TlsPart};

use crate::Server;

/// How often the files are looked at: renewed certificates are meant for days, and a look costs three system calls.
const LOOK: Duration = Duration::from_secs(10);

/// What clients are served with over TLS and over DTLS, as far as each is served.
#[derive(Default)]
pub(crate) struct Secured {
    pub(crate) tls: Option<Tls>,
    pub(crate) dtls: Option<Dtls>,
}

impl Secured {
    pub(crate) fn is_nothing(&self) -> bool {
        self.tls.is_none() && self.dtls.is_none()
    }

    /// Serves new connections and associations with this.
    pub(crate) fn serve(self, server: &Server) {
        if let Some(tls) = self.tls {
            server.secure_with(&tls);
        }
        if let Some(dtls) = self.dtls {
            server.secure_datagrams_with(&dtls);
        }
        info!("TLS certificates are renewed for new connections");
    }
}

/// Reads the files and makes what connections are accepted with.
///
/// # Errors
/// Names the option, where it was given, the file, what is wrong, and what to do.
pub(crate) fn load(settings: &Settings) -> anyhow::Result<Secured> {
    let (tls, dtls) = (&settings.tls, &settings.dtls);
    Ok(Secured {
        tls: make(settings, tls.as_ref(), Tls::new)?,
        dtls: make(settings, dtls.as_ref(), Dtls::new)?,
    })
}

fn make<T>(
    settings: &Settings,
    tls: Option<&settings::Tls>,
    make: impl FnOnce(&TlsMaterial) -> Result<T, TlsError>,
) -> anyhow::Result<Option<T>> {
    let Some(tls) = tls else {
        return Ok(None);
    };
    let read = |part: TlsPart, path: &Path| {
        let place = place(path, &tls.copies);
        fs::read(place).with_context(|| unreadable(settings, tls, part, path))
    };
    let material = TlsMaterial {
        certificates: read(TlsPart::Certificates, &tls.certificate)?,
        key: read(TlsPart::Key, &tls.key)?,
        key_password: (tls.key_password.as_ref()).map(|password| password.expose().clone()),
        client_authorities: match &tls.client_authorities {
            Some(path) => Some(read(TlsPart::ClientAuthorities, path)?),
            None => None,
        },
        ciphers: tls.ciphers.clone(),
        groups: tls.groups.clone(),
        tls12: tls.tls12,
    };
    let made = make(&material)
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
        TlsPart::Versions => ("no-tlsv1_2", None),
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

/// Keeps what is served up to date with the files.
pub(crate) struct Renewal {
    settings: Settings,
    files: Vec<PathBuf>,
    seen: Vec<Option<Look>>,
    ticks: tokio::time::Interval,
}

/// What tells one content of a file from another, without reading it.
type Look = (SystemTime, u64);

impl Renewal {
    /// Begins with the files as they are. Must be called inside a tokio runtime.
    pub(crate) fn new(settings: &Settings) -> Self {
        let files = files(settings);
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            settings: settings.clone(),
            seen: look(&files),
            files,
            ticks,
        }
    }

    /// Takes the files as they are for known, because they are about to be read: a change meanwhile is noticed afterwards.
    pub(crate) fn note(&mut self) {
        self.seen = look(&self.files);
    }

    /// Follows other settings, whose files have just been read.
    pub(crate) fn follow(&mut self, settings: &Settings) {
        let files = files(settings);
        if files != self.files {
            self.seen = look(&files);
            self.files = files;
        }
        self.settings = settings.clone();
    }

    /// Waits until a file has changed; for ever where TLS is not served.
    pub(crate) async fn changed(&mut self) {
        loop {
            self.ticks.tick().await;
            if look(&self.files) != self.seen {
                return info!("the files of TLS have changed and are read again");
            }
        }
    }

    /// Reads the files and serves new connections with them. What cannot be used leaves everything as it was.
    pub(crate) fn renew(&mut self, server: &Server) {
        self.note();
        match load(&self.settings) {
            Ok(secured) if secured.is_nothing() => {
                info!("TLS is not served, so there are no certificates to read")
            }
            Ok(secured) => secured.serve(server),
            Err(error) => error!("the old TLS certificates are kept: {error:#}"),
        }
    }
}

/// The files that TLS is made of.
fn files(settings: &Settings) -> Vec<PathBuf> {
    let Some(tls) = settings.tls.as_ref().or(settings.dtls.as_ref()) else {
        return Vec::new();
    };
    let originals = originals(tls).into_iter();
    originals.map(|path| place(path, &tls.copies)).collect()
}

/// The files that are named.
pub(crate) fn originals(tls: &settings::Tls) -> Vec<&Path> {
    let authorities = tls.client_authorities.as_deref();
    let files = [Some(&*tls.certificate), Some(&*tls.key), authorities];
    files.into_iter().flatten().collect()
}

/// Where a file is read: at its place, or, where this user may not, the copy that root has made for it.
fn place(path: &Path, copies: &Path) -> PathBuf {
    let error = fs::File::open(path).err();
    let copy = copy_of(path, copies);
    let is_locked = error.is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
    if is_locked && copy.exists() {
        copy
    } else {
        path.to_owned()
    }
}

/// Where the copy of a file is: below the folder of copies as the file is below the root.
pub(crate) fn copy_of(path: &Path, copies: &Path) -> PathBuf {
    let parts = path.components();
    let named = parts.filter(|part| matches!(part, Component::Normal(_)));
    copies.join(named.collect::<PathBuf>())
}

fn look(files: &[PathBuf]) -> Vec<Option<Look>> {
    let look = |path: &PathBuf| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.iter().map(look).collect()
}
