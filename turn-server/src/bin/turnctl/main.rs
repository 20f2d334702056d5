//! `turnctl`: what an operator asks of a relay from outside. So far: `bench`.
#![forbid(unsafe_code)]

mod bench;

use std::env;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

const HELP: &str = "\
Usage: turnctl COMMAND [OPTION]...

Commands:
  bench        measure TURN servers side by side on this machine, or one anywhere (turnctl bench --help)

Options:
  --help       this text
  --version    the version
";

/// The command line cannot be used.
const USAGE: u8 = 2;
/// Something failed while running.
const FAILED: u8 = 3;

fn main() -> ExitCode {
    let mut arguments = env::args();
    let called_as = arguments.next().unwrap_or_default();
    if Path::new(&called_as)
        .file_name()
        .is_some_and(|name| name == "turnadmin")
    {
        eprintln!(
            "turnadmin: the administration commands are not there yet; users and secrets are configured in turnserver.conf"
        );
        return ExitCode::from(USAGE);
    }
    match arguments.next().as_deref() {
        Some("bench") => bench::run(arguments.collect()),
        Some(bench::OWN_SESSION) => bench::run_session(arguments.collect()),
        // The two servers that `bench` compares with; for its own use.
        Some("baseline-forwarder") => baseline(arguments.next(), bench::forwarder::serve),
        Some("baseline-webrtc") => baseline(arguments.next(), bench::webrtc::serve),
        Some("--help" | "-h" | "help") => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Some("--version" | "-V") => {
            println!("turnctl {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Some(unknown) => {
            eprintln!("turnctl: {unknown}: unknown command; see turnctl --help");
            ExitCode::from(USAGE)
        }
        None => {
            eprint!("{HELP}");
            ExitCode::from(USAGE)
        }
    }
}

fn baseline(listen: Option<String>, serve: fn(SocketAddr) -> anyhow::Result<()>) -> ExitCode {
    let Some(listen) = listen.and_then(|listen| listen.parse().ok()) else {
        eprintln!("turnctl: a baseline needs the address to listen on, such as 127.0.0.1:3478");
        return ExitCode::from(USAGE);
    };
    match serve(listen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("turnctl: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}
