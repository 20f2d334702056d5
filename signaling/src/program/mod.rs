//! The program `signaling`: the service with its own listening sockets.
//!
//! In: options, settings, the life of the process. Not in: the service itself (the crate's root).

mod doors;
mod endpoint;
mod fleet;
mod ice;
mod identity;
mod monitor;
mod options;
mod records;
mod serve;
mod settings;

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::net::{IpAddr, ToSocketAddrs};
use std::process::ExitCode;

use tracing::level_filters::LevelFilter;
use tracing::{info, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use turn_config::{Environment, Severity};

pub use endpoint::Endpoint;
pub use ice::IceSettings;
pub use identity::IdentitySettings;
pub use options::{SIGNALING, generated_files};
pub use records::{RecordSettings, StoreSettings};
pub use settings::{Invocation, Settings, parse};

/// Does what the arguments (without the program's name) ask for. Exit codes: 0 end, 1 cannot start, 2 usage, 3 failed
/// while running.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let resolve =
        |host: &str| -> Option<IpAddr> { Some((host, 0).to_socket_addrs().ok()?.next()?.ip()) };
    match parse(args, &Environment::new(&resolve)) {
        Ok(Invocation::Run(settings)) => run(*settings),
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

fn run(settings: Settings) -> ExitCode {
    log(settings.verbose);
    for warning in &settings.warnings {
        match warning.severity {
            Severity::Note => info!("{warning}"),
            Severity::Warning => warn!("{warning}"),
        }
    }
    let served = tokio::runtime::Runtime::new().map_err(|error| serve::Failure(1, error.into()));
    match served.and_then(|runtime| runtime.block_on(serve::run(settings))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(serve::Failure(code, error)) => {
            eprintln!("signaling: {error:#}");
            ExitCode::from(code)
        }
    }
}

/// Writes our own lines to standard output, and of what lies below only what hurts: messages are nobody's business.
fn log(verbose: bool) {
    let level = if verbose {
        LevelFilter::DEBUG
    } else {
        LevelFilter::INFO
    };
    let ours = Targets::new()
        .with_target("signaling", level)
        .with_default(LevelFilter::WARN);
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(io::stdout().is_terminal())
        .with_target(false);
    // A host program may have set its own.
    let _ = tracing_subscriber::registry()
        .with(lines)
        .with(ours)
        .try_init();
}
