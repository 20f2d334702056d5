//! A made-up machine: files from a list, names from a table.

use std::ffi::OsString;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use turn_config::{Environment, Error, Invocation, Problem, Reread, Settings, Warning};

/// Files by path.
pub(crate) type Files<'f> = &'f [(&'f str, &'f str)];

/// Knows `relay.example.org` (IPv4) and `relay6.example.org` (IPv6).
fn resolve(name: &str) -> Option<IpAddr> {
    match name {
        "relay.example.org" => "192.0.2.77".parse().ok(),
        "relay6.example.org" => "2001:db8::77".parse().ok(),
        _ => None,
    }
}

/// Parses `args` on a machine that has `files`.
pub(crate) fn parse_with(args: &[&str], files: Files<'_>) -> Result<Invocation, Error> {
    parse_in(args, files, &[])
}

/// Parses `args` on a machine that has `files`, in a process that has `variables`.
pub(crate) fn parse_in(
    args: &[&str],
    files: Files<'_>,
    variables: Files<'_>,
) -> Result<Invocation, Error> {
    on_machine(files, variables, |environment| {
        turn_config::parse(args.iter().map(OsString::from), environment)
    })
}

/// Reads `args` again on a machine that has `files`, while a server runs on other settings.
pub(crate) fn reread_with(
    args: &[&str],
    files: Files<'_>,
    running: &Settings,
) -> Result<Reread, Error> {
    on_machine(files, &[], |environment| {
        turn_config::reread(args.iter().map(OsString::from), running, environment)
    })
}

fn on_machine<T>(
    files: Files<'_>,
    variables: Files<'_>,
    work: impl FnOnce(&Environment<'_>) -> T,
) -> T {
    let read = |path: &Path| {
        files
            .iter()
            .find(|(name, _)| Path::new(name) == path)
            .map(|(_, content)| content.as_bytes().to_vec())
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    };
    let environment = Environment {
        resolve: &resolve,
        read: &read,
        variables: (variables.iter())
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        program_folder: None,
    };
    work(&environment)
}

/// Parses `args` on a machine without files.
pub(crate) fn parse(args: &[&str]) -> Result<Invocation, Error> {
    parse_with(args, &[])
}

/// The settings of a run with `args`, which must be good.
pub(crate) fn run(args: &[&str]) -> Settings {
    settings(parse(args))
}

/// The settings of a run with this file as `/etc/turnserver.conf`, which must be good.
pub(crate) fn run_file(content: &str) -> Settings {
    settings(parse_with(&["-c", FILE], &[(FILE, content)]))
}

/// What ends the start with this file as `/etc/turnserver.conf`.
pub(crate) fn file_problems(content: &str) -> Vec<Problem> {
    problems(parse_with(&["-c", FILE], &[(FILE, content)]))
}

pub(crate) const FILE: &str = "/etc/turnserver.conf";

pub(crate) fn settings(outcome: Result<Invocation, Error>) -> Settings {
    match outcome {
        Ok(Invocation::Run(settings)) => *settings,
        Ok(_) => panic!("it is not a run"),
        Err(error) => panic!("it was refused: {error}"),
    }
}

pub(crate) fn problems(outcome: Result<Invocation, Error>) -> Vec<Problem> {
    match outcome {
        Err(Error::Config { problems, .. }) => problems,
        Err(Error::Usage(text)) => panic!("a usage error: {text}"),
        Ok(_) => panic!("it was accepted"),
    }
}

pub(crate) fn usage(outcome: Result<Invocation, Error>) -> String {
    match outcome {
        Err(error @ Error::Usage(_)) => {
            assert_eq!(error.exit_code(), 2);
            error.to_string()
        }
        Err(error) => panic!("no usage error: {error}"),
        Ok(_) => panic!("it was accepted"),
    }
}

/// The names of the accounts, in their order.
pub(crate) fn names(settings: &Settings) -> Vec<&str> {
    let users = settings.auth.users.iter();
    users.map(|user| user.name.as_str()).collect()
}

/// The warnings as lines.
pub(crate) fn lines(warnings: &[Warning]) -> Vec<String> {
    warnings.iter().map(Warning::to_string).collect()
}

/// Fails unless one warning contains all `parts`.
#[track_caller]
pub(crate) fn assert_warns(settings: &Settings, parts: &[&str]) {
    let lines = lines(&settings.warnings);
    assert!(
        lines
            .iter()
            .any(|line| parts.iter().all(|part| line.contains(part))),
        "no warning with {parts:?} in {lines:#?}"
    );
}
