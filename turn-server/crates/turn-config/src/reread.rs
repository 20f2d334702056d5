//! The configuration, read again while the program runs: what of it counts at once, and what needs a restart.
//!
//! In: old and new values side by side, option by option; the registry says which of them may change ([`Change`]). An option
//! that may not keeps its old value in the new settings, so that nothing that runs can disagree with them. Not in: what a
//! program does with its new settings.

use std::ffi::OsString;

use crate::diagnostics::{Error, Report};
use crate::environment::Environment;
use crate::option::Change;
use crate::options::TURNSERVER;
use crate::origin::Origin;
use crate::settings::{Settings, Tls};
use crate::turnserver::{Invocation, parse};
use crate::values::Values;

/// The files without which there is no TLS.
const CERTIFICATE: [&str; 2] = ["cert", "pkey"];

/// Whoever waits for a restart with this one has the listeners that it will have.
const LISTENERS: &str = "listening-ip";

/// Holds what came of reading the configuration again.
pub struct Reread {
    /// The settings to run on from now on.
    pub settings: Box<Settings>,
    /// Options that count from now on with another value than before, or whose file has another content.
    pub changed: Vec<&'static str>,
    /// Options that were changed as well, and keep their old value until the next start.
    pub restart: Vec<&'static str>,
}

/// Reads the arguments and the configuration file of `turnserver` again, for a program that runs on `running`.
///
/// # Errors
/// As [`parse`], when the new configuration cannot be used; when its file is gone; and when what may change at once contradicts
/// what may not.
pub fn reread(
    args: impl IntoIterator<Item = OsString>,
    running: &Settings,
    environment: &Environment<'_>,
) -> Result<Reread, Error> {
    let fresh = match parse(args, environment)? {
        Invocation::Quickstart(settings)
        | Invocation::Run(settings)
        | Invocation::CheckConfig(settings)
        | Invocation::PrepareFor(_, settings) => settings,
        Invocation::Help(_) | Invocation::Version => {
            return Err(Error::Usage("these arguments start no server".into()));
        }
    };
    if let Some(gone) = missing_file(running, &fresh) {
        return Err(gone);
    }
    let (mut changed, mut restart) = (Vec::new(), Vec::new());
    let mut values = fresh.values.clone();
    for spec in TURNSERVER.options() {
        if !spec.works() || spec.command_line_only || !values.differs(&running.values, spec) {
            continue;
        }
        let waits = running.waiting.contains(&spec.long);
        match spec.change {
            Change::Reload if !waits => changed.push(spec.long),
            Change::Reload | Change::Restart => {
                restart.push(spec.long);
                values.take_from(&running.values, spec.long);
            }
        }
    }
    let mut settings = rebuilt(&values, &fresh, environment, &restart)?;
    // TLS on or off is a matter of listeners; the files of a TLS that is there may change.
    let begins_or_ends = |old: &Option<Tls>, new: &Option<Tls>| old.is_some() != new.is_some();
    let changes_listeners = begins_or_ends(&running.tls, &settings.tls)
        || begins_or_ends(&running.dtls, &settings.dtls);
    if changes_listeners && running.waiting.contains(&LISTENERS) {
        for option in CERTIFICATE {
            values.take_from(&running.values, option);
            changed.retain(|changed| *changed != option);
            restart.push(option);
        }
        settings = rebuilt(&values, &fresh, environment, &restart)?;
        settings.tls.clone_from(&running.tls);
        settings.dtls.clone_from(&running.dtls);
    }
    settings.waiting.clone_from(&running.waiting);
    if settings.is_quickstart() && settings.auth.secrets.is_empty() {
        // It was made up for this run, and is written nowhere.
        (settings.auth.secrets).clone_from(&running.auth.secrets);
    }
    note_files(running, &settings, &mut changed);
    Ok(Reread {
        settings,
        changed,
        restart,
    })
}

/// Makes settings of old and new values together. Each was good alone, so they contradict each other if they are not good.
fn rebuilt(
    values: &Values,
    fresh: &Settings,
    environment: &Environment<'_>,
    restart: &[&str],
) -> Result<Box<Settings>, Error> {
    let mut report = Report::default();
    let settings = Settings::build(&TURNSERVER, values, fresh.profile, environment, &mut report);
    if let Err(Error::Config { mut problems, .. }) = report.finish()
        && let Some(first) = problems.first_mut()
    {
        first.text = format!(
            "{}: that is so because {} cannot change before a restart",
            first.text,
            restart.join(", ")
        );
        first.remedy = "Restart the server, or change back what needs a restart.".to_owned();
        return Err(Error::Config {
            problems,
            warnings: Vec::new(),
        });
    }
    Ok(Box::new(Settings {
        warnings: fresh.warnings.clone(),
        file: fresh.file.clone(),
        ..settings
    }))
}

/// At a start, a file that is not there is no error, as in coturn. A running server would forget everything it was told.
fn missing_file(running: &Settings, fresh: &Settings) -> Option<Error> {
    if fresh.file.is_some() {
        return None;
    }
    let file = running.file.as_ref()?;
    let mut report = Report::default();
    report.problem(
        Origin::Default,
        format!("the configuration file {file} is not there any more, or cannot be read"),
        "Put it back, or let this user read it.",
    );
    report.finish().err()
}

/// Adds options that name the same files as before, with another content.
fn note_files(running: &Settings, settings: &Settings, changed: &mut Vec<&'static str>) {
    let keys = |settings: &Settings| settings.auth.oauth.as_ref().map(|oauth| oauth.keys.clone());
    let (old, new) = (&running.auth, &settings.auth);
    // The option, whether what it leads to differs, and which others could be the reason.
    let files: [(_, _, &[&str]); 4] = [
        (
            "static-auth-secret-file",
            old.secrets != new.secrets,
            &["static-auth-secret", "use-auth-secret"],
        ),
        (
            "static-users-file",
            old.users != new.users,
            &["user", "lt-cred-mech"],
        ),
        (
            "oauth-keys-file",
            keys(running) != keys(settings),
            &["oauth"],
        ),
        (
            "http-api-key-file",
            running.http.api_keys != settings.http.api_keys,
            &["http-api-key"],
        ),
    ];
    for (option, differs, others) in files {
        let is_explained = changed
            .iter()
            .any(|known| *known == option || others.contains(known));
        if differs && !is_explained {
            changed.push(option);
        }
    }
}
