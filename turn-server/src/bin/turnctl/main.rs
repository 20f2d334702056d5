//! `turnctl`: what an operator asks of a relay: of a running one over its control socket, or by measuring.
#![forbid(unsafe_code)]

mod bench;
mod control;

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use turn_server::control::protocol::SOCKET;

const HELP: &str = "\
Usage: turnctl [--socket=PATH] COMMAND [OPTION]...

Ask a running server:
  status       how it is
  sessions     whom it serves
  kill         end sessions; their clients are told at their next request (error 437)
  drain        take no new sessions, and go on serving those that there are
  undrain      take new sessions again
  reload       read the configuration again, as on SIGHUP
  log-level    show the log level, or set it: error, warn, info, sessions or debug
  metrics      the page that Prometheus reads

Which sessions (sessions, kill): those for which all that is given is true
  --user=NAME              with or without the timestamp of a time-limited name
  --id=NUMBER              as in the log
  --client=ADDRESS[:PORT]  --relayed=ADDRESS[:PORT]  --peer=ADDRESS[:PORT]
  --transport=udp|tcp|tls|dtls

Without a server:
  bench        measure TURN servers side by side on this machine, or one anywhere (turnctl bench --help)

Options:
  --socket=PATH      where the server listens (its --control-socket; /run/turnserver/control.sock)
  --json             the server's answer as it is, one line of JSON for each thing
  --watch[=SECONDS]  (sessions) then what changes: + is new, - has ended, ~ has moved
  --help             this text
  --version          the version

Exit codes: 0 done, 1 nobody to end, 2 usage, 3 failed.
";

/// The command line cannot be used.
const USAGE: u8 = 2;
/// Something failed while running.
const FAILED: u8 = 3;

fn main() -> ExitCode {
    let mut words = env::args();
    let called_as = words.next().unwrap_or_default();
    if Path::new(&called_as)
        .file_name()
        .is_some_and(|name| name == "turnadmin")
    {
        eprintln!(
            "turnadmin: the administration commands are not there yet; users and secrets are configured in turnserver.conf"
        );
        return ExitCode::from(USAGE);
    }
    let mut words: Vec<String> = words.collect();
    let socket = match control::take_socket(&mut words) {
        Ok(socket) => socket.unwrap_or_else(|| PathBuf::from(SOCKET)),
        Err(wrong) => {
            eprintln!("turnctl: {wrong}; see turnctl --help");
            return ExitCode::from(USAGE);
        }
    };
    let mut arguments = words.into_iter();
    match arguments.next().as_deref() {
        Some(command) if control::has(command) => {
            let arguments: Vec<String> = arguments.collect();
            if arguments
                .iter()
                .any(|word| word == "--help" || word == "-h")
            {
                print!("{HELP}");
                return ExitCode::SUCCESS;
            }
            control::run(&socket, command, &arguments)
        }
        Some("bench") => bench::run(arguments.collect()),
        Some(bench::OWN_SESSION) => bench::run_session(arguments.collect()),
        // The two servers that `bench` compares with; for its own use.
        Some("baseline-forwarder") => {
            let (listen, rest) = (arguments.next(), arguments.next());
            let rest = rest.and_then(|micros| micros.parse().ok()).unwrap_or(0);
            baseline(listen, |listen| {
                bench::forwarder::serve(listen, Duration::from_micros(rest))
            })
        }
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

fn baseline(
    listen: Option<String>,
    serve: impl FnOnce(SocketAddr) -> anyhow::Result<()>,
) -> ExitCode {
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
