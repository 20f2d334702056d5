//! The files of TLS and DTLS, and of metrics over TLS: read at the start, with every reload, and when they have changed.

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

use crate::{Server, secure_listener::Certificate};

/// How often the files are looked at: renewed certificates are meant for days, and a look costs three system calls.
const LOOK: Duration = Duration::from_secs(10);

/// What clients are served with over TLS and over DTLS, and metrics over TLS, as far as each is served.
#[derive(Default)]
pub(crate) struct Secured {
    pub(crate) tls: Option<Tls>,
    pub(crate) dtls: Option<Dtls>,
    pub(crate) metrics: Option<Tls>,
}

impl Secured {
    pub(crate) fn is_nothing(&self) -> bool {
        self.tls.is_none() && self.dtls.is_none() && self.metrics.is_none()
    }

    /// Serves new connections and associations with this, and new connections to the metrics.
    pub(crate) fn serve(self, server: &Server, metrics: Option<&Certificate>) {
        if let Some((shown, tls)) = metrics.zip(self.metrics) {
            shown.renew(&tls);
        }
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
    let of_clients = |tls| Named {
        settings,
        tls,
        options: ["cert", "pkey"],
    };
    let (tls, dtls) = (settings.tls.as_ref(), settings.dtls.as_ref());
    Ok(Secured {
        tls: tls.map(|tls| of_clients(tls).make(Tls::new)).transpose()?,
        dtls: dtls
            .map(|tls| of_clients(tls).make(Dtls::new))
            .transpose()?,
        metrics: of_metrics(settings)
            .map(|named| named.make(Tls::new))
            .transpose()?,
    })
}

/// The files of the metrics, where they are served over TLS: their own, or those of clients.
pub(crate) fn of_metrics(settings: &Settings) -> Option<Named<'_>> {
    let tls = settings.metrics.as_ref()?.tls.as_ref()?;
    let options = match settings.origin("prometheus-cert") {
        Origin::Default => ["cert", "pkey"],
        _ => ["prometheus-cert", "prometheus-key"],
    };
    Some(Named {
        settings,
        tls,
        options,
    })
}

/// A certificate and its key, with the options that name them.
pub(crate) struct Named<'s> {
    settings: &'s Settings,
    pub(crate) tls: &'s settings::Tls,
    pub(crate) options: [&'static str; 2],
}

impl Named<'_> {
    fn make<T>(&self, make: impl FnOnce(&TlsMaterial) -> Result<T, TlsError>) -> anyhow::Result<T> {
        let tls = self.tls;
        let read = |part: TlsPart, path: &Path| {
            let place = place(path, &tls.copies);
            fs::read(place).with_context(|| self.unreadable(part, path))
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
        make(&material).map_err(|error| anyhow::anyhow!("{}: {error}", self.subject(error.part())))
    }

    /// The option that a part comes from, with its origin and its file.
    fn subject(&self, part: TlsPart) -> String {
        let tls = self.tls;
        let (option, path) = match part {
            TlsPart::Certificates => (self.options[0], Some(&tls.certificate)),
            TlsPart::Key => (self.options[1], Some(&tls.key)),
            TlsPart::ClientAuthorities => ("CA-file", tls.client_authorities.as_ref()),
            TlsPart::Ciphers => ("cipher-list", None),
            TlsPart::Groups => ("ec-curve-name", None),
            TlsPart::Versions => ("no-tlsv1_2", None),
        };
        let origin = self.settings.place(option);
        let file = path.map_or_else(String::new, |path| format!(": {}", path.display()));
        format!("{origin}{option}{file}")
    }

    fn unreadable(&self, part: TlsPart, path: &Path) -> String {
        let subject = self.subject(part);
        // The metadata needs no right on the file itself: it tells an absent file from a locked one.
        let remedy = match fs::metadata(path).map_err(|error| error.kind()) {
            Err(io::ErrorKind::NotFound) => "name a file that is there",
            Err(io::ErrorKind::PermissionDenied) => {
                "let this user enter the folders above it (chmod o+x, or setfacl -m u:USER:x)"
            }
            _ => {
                "let this user read it, for example by its group: chgrp GROUP FILE, chmod g+r FILE"
            }
        };
        let without = match self.options[0] {
            "prometheus-cert" => "leave prometheus-tls out to serve metrics in the clear",
            _ => "write no-tls to serve clients without TLS",
        };
        format!("{subject}: cannot be read; {remedy}, or {without}")
    }
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
    pub(crate) fn renew(&mut self, server: &Server, metrics: Option<&Certificate>) {
        self.note();
        match load(&self.settings) {
            Ok(secured) if secured.is_nothing() => {
                info!("TLS is not served, so there are no certificates to read")
            }
            Ok(secured) => secured.serve(server, metrics),
            Err(error) => error!("the old TLS certificates are kept: {error:#}"),
        }
    }
}

/// The files that TLS is made of, where each is read.
fn files(settings: &Settings) -> Vec<PathBuf> {
    let sets = file_sets(settings).into_iter();
    sets.flat_map(|tls| {
        originals(tls)
            .into_iter()
            .map(|path| place(path, &tls.copies))
    })
    .collect()
}

/// What is served with files of its own: clients, and metrics.
pub(crate) fn file_sets(settings: &Settings) -> Vec<&settings::Tls> {
    let of_clients = settings.tls.as_ref().or(settings.dtls.as_ref());
    let of_metrics = of_metrics(settings).map(|named| named.tls);
    of_clients.into_iter().chain(of_metrics).collect()
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
