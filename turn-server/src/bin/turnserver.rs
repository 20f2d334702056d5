//! The daemon: coturn's flags and files, Turnpike's relay.
#![forbid(unsafe_code)]

use std::{
    ffi::OsString,
    net::{IpAddr, ToSocketAddrs},
    process::ExitCode,
};

use anyhow::Context as _;
use turn_config::{Environment, Invocation, Reread, settings::Settings};
use turn_server::{
    background, check,
    daemon::{self, Mode},
    prepare,
};

fn main() -> ExitCode {
    let environment = Environment::new(&resolve);
    match turn_config::parse(arguments(), &environment) {
        Ok(Invocation::Quickstart(settings)) => run(*settings, &Mode::Quickstart),
        Ok(Invocation::Run(settings)) => run(*settings, &Mode::Configured),
        Ok(Invocation::PrepareFor(user, settings)) => prepare_for(&user, &settings),
        Ok(Invocation::CheckConfig(settings)) => check(&settings),
        Ok(Invocation::Help(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Invocation::Version) => {
            println!("{}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Explains the settings and what will hurt. Fails where a start would.
fn check(settings: &Settings) -> ExitCode {
    let outcome = check::report(settings)
        .context("cannot list this machine's addresses")
        .and_then(|text| {
            print!("{text}");
            daemon::check(settings)
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("turnserver: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does what only root can, and tells what that was.
fn prepare_for(user: &str, settings: &Settings) -> ExitCode {
    match prepare::for_user(user, settings) {
        Ok(done) => {
            print!("{done}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("turnserver: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> impl Iterator<Item = OsString> {
    std::env::args_os().skip(1)
}

fn resolve(host: &str) -> Option<IpAddr> {
    Some((host, 0).to_socket_addrs().ok()?.next()?.ip())
}

fn read_again(running: &Settings) -> Result<Reread, turn_config::Error> {
    turn_config::reread(arguments(), running, &Environment::new(&resolve))
}

fn run(settings: Settings, mode: &Mode) -> ExitCode {
    if background::is_here() {
        background::leave_terminal();
    } else if settings.process.daemon {
        return background::detach().unwrap_or_else(|error| {
            eprintln!("turnserver: {error:#}");
            ExitCode::FAILURE
        });
    }
    match daemon::run(settings, mode, Box::new(read_again)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => {
            eprintln!("turnserver: {:#}", fatal.error);
            ExitCode::from(fatal.exit_code)
        }
    }
}
