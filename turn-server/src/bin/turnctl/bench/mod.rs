//! `turnctl bench`: loads TURN servers side by side on this machine, or one anywhere, and prints what it found.
//!
//! ```text
//!  args ─► compare ─► target        starts a server on its core        operator   one server elsewhere
//!            │        rows          what is measured: relay, cycles, binding, memory, counts
//!            │                        │ session, client, stream   allocations
//!            │                        │ load              paced probes out, arrivals in, a ledger of both
//!            │                        └ disturbance       was it the server or the machine?
//!            ├──────► resume        rows of an earlier run that need not be made again
//!            └──────► report, stats ─► table
//! ```
//!
//! Not in here: the servers themselves, apart from the two baselines (`webrtc`, `forwarder`) that this program can be.

mod args;
mod arrivals;
mod binding;
mod client;
mod compare;
mod counts;
mod cycles;
mod disturbance;
pub(crate) mod forwarder;
mod histogram;
mod hold;
mod load;
mod lock;
mod machine;
mod measurement;
mod memory;
mod operator;
mod pacing;
mod placement;
mod probe;
mod proc;
mod relay;
mod report;
mod resume;
mod rows;
mod search;
mod session;
mod socket;
mod stats;
mod stream;
mod table;
mod target;
pub(crate) mod webrtc;

use args::Command;
use std::process::{ExitCode, ExitStatus};

/// The command line cannot be used.
const USAGE: u8 = 2;
/// Something failed while running.
const FAILED: u8 = 3;

/// The hidden command by which the side-by-side bench runs in a session of its own.
pub(crate) const OWN_SESSION: &str = "bench-session";

/// Runs `turnctl bench` with the arguments behind it.
pub(crate) fn run(arguments: Vec<String>) -> ExitCode {
    match args::parse(arguments.clone()) {
        Ok(Command::Help) => {
            print!("{}", args::help());
            ExitCode::SUCCESS
        }
        Ok(Command::Compare(_)) => {
            let arguments = std::iter::once(OWN_SESSION.to_owned()).chain(arguments);
            match placement::in_own_session(arguments) {
                Ok(status) => exit_code(status),
                Err(error) => failed(&error),
            }
        }
        Ok(Command::Against(against)) => finished(operator::run(&against)),
        Err(problem) => misused(&problem),
    }
}

/// Runs the side-by-side bench; called in its own session.
pub(crate) fn run_session(arguments: Vec<String>) -> ExitCode {
    match args::parse(arguments) {
        Ok(Command::Compare(options)) => finished(compare::run(&options)),
        Ok(Command::Help | Command::Against(_)) => ExitCode::from(USAGE),
        Err(problem) => misused(&problem),
    }
}

/// Passes on how the session ended; one that was killed could not say so itself.
fn exit_code(status: ExitStatus) -> ExitCode {
    if let Some(code) = status.code().and_then(|code| u8::try_from(code).ok()) {
        return ExitCode::from(code);
    }
    eprintln!("turnctl bench: ended from outside ({status})");
    ExitCode::from(FAILED)
}

fn finished(outcome: anyhow::Result<bool>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("turnctl bench: {error:#}");
    ExitCode::from(FAILED)
}

fn misused(args::UsageError(problem): &args::UsageError) -> ExitCode {
    eprintln!("turnctl bench: {problem}");
    ExitCode::from(USAGE)
}
