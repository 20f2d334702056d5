//! The daemon: coturn's flags and files, Turnpike's relay.
#![forbid(unsafe_code)]

use std::{
    net::{IpAddr, ToSocketAddrs},
    process::ExitCode,
};

use turn_config::{Environment, Invocation, settings::Settings};
use turn_server::daemon::{self, Mode};

fn main() -> ExitCode {
    let resolve =
        |host: &str| -> Option<IpAddr> { Some((host, 0).to_socket_addrs().ok()?.next()?.ip()) };
    let environment = Environment::new(&resolve);
    match turn_config::parse(std::env::args_os().skip(1), &environment) {
        Ok(Invocation::Quickstart(settings)) => run(*settings, &Mode::Quickstart),
        Ok(Invocation::Run(settings)) => run(*settings, &Mode::Configured),
        Ok(Invocation::CheckConfig(settings)) => {
            print!("{}", settings.explain());
            check(&settings)
        }
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

fn check(settings: &Settings) -> ExitCode {
    match daemon::check(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("turnserver: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(settings: Settings, mode: &Mode) -> ExitCode {
    match daemon::run(settings, mode) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => {
            eprintln!("turnserver: {:#}", fatal.error);
            ExitCode::from(fatal.exit_code)
        }
    }
}
