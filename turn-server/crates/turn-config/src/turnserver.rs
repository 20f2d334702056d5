//! The start of `turnserver`: from its arguments to its settings.
//!
//! In: which file is read, what quickstart presumes, and the order of it all. Not in: the rules of each step.

use std::ffi::OsString;

use crate::command_line::read_command_line;
use crate::diagnostics::{Error, Report};
use crate::environment::Environment;
use crate::file::read_file;
use crate::options::TURNSERVER;
use crate::origin::Origin;
use crate::raw::Raw;
use crate::search::{Found, find};
use crate::settings::{Profile, Settings};
use crate::values::Values;

/// The file that is searched when none is named.
const DEFAULT_FILE: &str = "turnserver.conf";

/// What quickstart presumes where a flag says nothing else.
const QUICKSTART: [(&str, &str); 3] = [
    ("user-quota", "100"),
    ("allow-private-peers", "no"),
    ("no-tcp-relay", "yes"),
];

/// Says what the command line asks for.
pub enum Invocation {
    /// No arguments, or `--quickstart` with others beside it: a relay with a secret made for this run.
    ///
    /// The settings hold no secret and no HTTP address unless flags gave them; the program brings both.
    Quickstart(Box<Settings>),
    /// Run with these settings.
    Run(Box<Settings>),
    /// Explain these settings and end.
    CheckConfig(Box<Settings>),
    /// Print this text and end.
    Help(String),
    /// Print the bare version number and end.
    Version,
}

/// Reads the arguments of `turnserver`, without the program's name, and the configuration file that they name.
///
/// # Errors
/// [`Error::Usage`] for flags that are not understood, [`Error::Config`] for values that cannot be used.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    environment: &Environment<'_>,
) -> Result<Invocation, Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    let bare = args.is_empty();
    let mut flags = read_command_line(&TURNSERVER, args)?;
    if flags.asks_for("help") {
        return Ok(Invocation::Help(TURNSERVER.help_text()));
    }
    if flags.asks_for("version") {
        return Ok(Invocation::Version);
    }
    let check = flags.asks_for("check-config");
    if bare || flags.asks_for("quickstart") {
        if flags.last_text("config-file").is_some() {
            let origin = Origin::CommandLine { flag: "-c".into() };
            flags.report.warn(
                origin,
                "the configuration file is not read: --quickstart starts without one",
            );
        }
        let settings = settle(presumed().then(flags), Profile::Quickstart, environment)?;
        return Ok(if check {
            Invocation::CheckConfig(settings)
        } else {
            Invocation::Quickstart(settings)
        });
    }
    let file = if flags.asks_for("no-config-file") {
        Raw::default()
    } else {
        configuration_file(&flags, environment)
    };
    let settings = settle(file.then(flags), Profile::Configured, environment)?;
    Ok(if check {
        Invocation::CheckConfig(settings)
    } else {
        Invocation::Run(settings)
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

fn presumed() -> Raw {
    let mut raw = Raw::default();
    for (option, text) in QUICKSTART {
        if let Some(spec) = TURNSERVER.find(option) {
            raw.push(spec, text, Origin::Default);
        }
    }
    raw
}

/// Reads the file named by `-c`, or the default one. As in coturn, a file that is not there is no error.
fn configuration_file(flags: &Raw, environment: &Environment<'_>) -> Raw {
    let named = flags.last_text("config-file");
    let name = named.unwrap_or(DEFAULT_FILE);
    let origin = Origin::CommandLine {
        flag: if named.is_some() { "-c" } else { "no -c" }.into(),
    };
    if name.to_ascii_lowercase().ends_with(".toml") {
        return refused(
            origin,
            format!("{name}: TOML is not read yet"),
            "Name a file in the syntax of turnserver.conf.",
        );
    }
    let mut nothing = Raw::default();
    match find(name, environment) {
        Found::File(path, bytes) => {
            let shown = path
                .strip_prefix(".")
                .unwrap_or(&path)
                .display()
                .to_string();
            let mut raw = read_file(&TURNSERVER, &shown, &bytes);
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
                format!("there is no configuration file {name}; defaults and flags are used"),
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
