//! The start of `turnserver`: from its arguments to its settings.
//!
//! In: which file is read, what quickstart presumes, and the order of it all. Not in: the rules of each step.

use std::ffi::OsString;

use crate::command_line::read_command_line;
use crate::credentials::read_credentials;
use crate::diagnostics::{Error, Report};
use crate::environment::Environment;
use crate::file::read_file;
use crate::options::TURNSERVER;
use crate::origin::Origin;
use crate::raw::Raw;
use crate::search::{Found, find};
use crate::settings::{Profile, Settings};
use crate::toml_file::read_toml;
use crate::values::Values;
use crate::variables::read_variables;

/// The file that is searched when none is named.
const DEFAULT_FILE: &str = "turnserver.conf";

/// What quickstart presumes where a flag says nothing else.
const QUICKSTART: [(&str, &str); 4] = [
    ("user-quota", "100"),
    ("log-privacy", "truncated"),
    ("allow-private-peers", "no"),
    ("no-tcp-relay", "yes"),
];

/// What a file in TOML presumes: it was written for this server, and nobody relies on coturn's defaults there.
const TOML: [(&str, &str); 2] = [("allow-private-peers", "no"), ("log-privacy", "truncated")];

/// Says what the command line asks for.
pub enum Invocation {
    /// No arguments and no variables, or `--quickstart` with others beside it: a relay with a secret made for this run.
    ///
    /// The settings hold no secret and no HTTP address unless flags gave them; the program brings both.
    Quickstart(Box<Settings>),
    /// Run with these settings.
    Run(Box<Settings>),
    /// Do what only root can do before a start as this user, and end.
    PrepareFor(String, Box<Settings>),
    /// Explain these settings and end.
    CheckConfig(Box<Settings>),
    /// Print this text and end.
    Help(String),
    /// Print the bare version number and end.
    Version,
}

/// Reads the arguments of `turnserver`, without the program's name, the variables, and the configuration file that they name.
///
/// What is given later replaces what was given before, and follows it in lists: file, credentials, environment, command
/// line.
///
/// # Errors
/// [`Error::Usage`] for flags that are not understood, [`Error::Config`] for values that cannot be used.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    environment: &Environment<'_>,
) -> Result<Invocation, Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    let bare = args.is_empty();
    let flags = read_command_line(&TURNSERVER, args)?;
    if flags.asks_for("help") {
        return Ok(Invocation::Help(TURNSERVER.help_text()));
    }
    if flags.asks_for("version") {
        return Ok(Invocation::Version);
    }
    let check = flags.asks_for("check-config");
    let prepare = flags.last_text("prepare-for").map(str::to_owned);
    let mut given = read_credentials(&TURNSERVER, environment)
        .then(read_variables(&TURNSERVER, &environment.variables))
        .then(flags);
    // A variable is configuration as well as a flag: whoever sets one does not ask for presumptions.
    if (bare && given.is_empty()) || given.asks_for("quickstart") {
        if let Some(file) = given.last("config-file") {
            let origin = file.origin.clone();
            given.report.warn(
                origin,
                "the configuration file is not read: --quickstart starts without one",
            );
        }
        let presumed = presumed(&QUICKSTART);
        let settings = settle(presumed.then(given), Profile::Quickstart, environment)?;
        return Ok(if check {
            Invocation::CheckConfig(settings)
        } else {
            Invocation::Quickstart(settings)
        });
    }
    let file = if given.asks_for("no-config-file") {
        Raw::default()
    } else {
        configuration_file(&given, environment)
    };
    let settings = settle(file.then(given), Profile::Configured, environment)?;
    Ok(match prepare {
        Some(user) => Invocation::PrepareFor(user, settings),
        None if check => Invocation::CheckConfig(settings),
        None => Invocation::Run(settings),
    })
}

fn settle(
    mut raw: Raw,
    profile: Profile,
    environment: &Environment<'_>,
) -> Result<Box<Settings>, Error> {
    let file = raw.file.take();
    let (values, mut report) = Values::read(&TURNSERVER, raw, environment.resolve);
    let mut settings = Settings::build(&TURNSERVER, &values, profile, environment, &mut report);
    settings.warnings = report.finish()?;
    settings.file = file;
    Ok(Box::new(settings))
}

fn presumed(values: &[(&str, &str)]) -> Raw {
    let mut raw = Raw::default();
    for (option, text) in values {
        if let Some(spec) = TURNSERVER.find(option) {
            raw.push(spec, *text, Origin::Default);
        }
    }
    raw
}

/// Reads the file named by `-c`, or the default one. As in coturn, a file that is not there is no error.
fn configuration_file(given: &Raw, environment: &Environment<'_>) -> Raw {
    let entry = given.last("config-file");
    let named = entry.map(|entry| entry.text.as_str());
    let name = named.unwrap_or(DEFAULT_FILE);
    let origin = match entry.map(|entry| &entry.origin) {
        Some(origin @ Origin::Environment { .. }) => origin.clone(),
        Some(_) => Origin::CommandLine { flag: "-c".into() },
        None => Origin::CommandLine {
            flag: "no -c".into(),
        },
    };
    let mut nothing = Raw::default();
    match find(name, environment) {
        Found::File(path, bytes) => {
            let shown = path
                .strip_prefix(".")
                .unwrap_or(&path)
                .display()
                .to_string();
            let mut raw = if name.to_ascii_lowercase().ends_with(".toml") {
                presumed(&TOML).then(read_toml(&TURNSERVER, &shown, &bytes))
            } else {
                read_file(&TURNSERVER, &shown, &bytes)
            };
            raw.file = Some(shown);
            return raw;
        }
        Found::Unreadable(path, error) if named.is_some() => {
            let text = format!(
                "the configuration file {} cannot be read: {error}",
                path.display()
            );
            return refused(
                origin,
                text,
                "Let this user read it, or write -n to start without a file.",
            );
        }
        Found::Unreadable(path, error) => {
            nothing.report.warn(
                origin,
                format!("{} is left out: it cannot be read: {error}", path.display()),
            );
        }
        Found::Nothing if named.is_some() => {
            nothing.report.warn(
                origin,
                format!(
                    "there is no configuration file {name}, here, in /etc or in /usr/local/etc: as in coturn, defaults and flags \
                     are used instead"
                ),
            );
        }
        Found::Nothing => {
            nothing.report.note(
                origin,
                format!("there is no {name} anywhere; defaults and flags are used"),
            );
        }
    }
    nothing
}

fn refused(origin: Origin, text: String, remedy: &str) -> Raw {
    let mut report = Report::default();
    report.problem(origin, text, remedy);
    Raw {
        report,
        ..Raw::default()
    }
}
