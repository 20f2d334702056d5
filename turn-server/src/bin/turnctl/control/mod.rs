//! `turnctl COMMAND`: asks a running server over its control socket. What is said there is in `turn_server::control::protocol`.

mod ask;
mod client;
mod status;
mod table;
mod watch;

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

pub(crate) use self::ask::take_socket;
use self::{ask::Ask, client::Client};
use crate::{FAILED, USAGE};
use turn_server::control::{
    answer::{Answer, Session},
    protocol::{Request, Which},
};

/// Nobody was there to be ended.
const NOBODY: u8 = 1;

/// Whether this is a command for a running server.
pub(crate) fn has(command: &str) -> bool {
    ask::COMMANDS.contains(&command)
}

/// Runs a command to its end.
pub(crate) fn run(socket: &Path, command: &str, arguments: &[String]) -> ExitCode {
    let ask = match ask::read(command, arguments) {
        Ok(ask) => ask,
        Err(wrong) => {
            eprintln!("turnctl {command}: {wrong}; see turnctl --help");
            return ExitCode::from(USAGE);
        }
    };
    let outcome = Client::connect(socket).and_then(|mut client| obey(&mut client, &ask));
    match outcome {
        Ok(code) => code,
        // Whoever has read enough, as `head` does, is no failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("turnctl: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

fn obey(client: &mut Client, ask: &Ask) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    if let (Request::Sessions(which), Some(every)) = (&ask.request, ask.watch) {
        return watch::run(client, &mut out, which, every, ask.json);
    }
    if let (Request::Sessions(which), false) = (&ask.request, ask.json) {
        let sessions = sessions(client, which)?;
        table::write(&mut out, &sessions)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut code = ExitCode::SUCCESS;
    client.ask(&ask.request, |line, answer| {
        if ask.json {
            writeln!(out, "{line}")?;
        } else {
            show(&mut out, &answer)?;
        }
        if matches!(&answer, Answer::Killed(killed) if killed.is_empty()) {
            code = ExitCode::from(NOBODY);
        }
        Ok(())
    })?;
    Ok(code)
}

/// All selected sessions.
fn sessions(client: &mut Client, which: &Which) -> anyhow::Result<Vec<Session>> {
    let mut sessions = Vec::new();
    client.ask(&Request::Sessions(which.clone()), |_, answer| {
        if let Answer::Session(session) = answer {
            sessions.push(*session);
        }
        Ok(())
    })?;
    Ok(sessions)
}

fn show(out: &mut impl Write, answer: &Answer) -> io::Result<()> {
    match answer {
        Answer::Session(session) => table::write(out, std::slice::from_ref(&**session)),
        Answer::Status(held) => status::write(out, held),
        Answer::Killed(killed) => {
            for id in killed {
                writeln!(out, "ended {id}")?;
            }
            writeln!(out, "{} ended", killed.len())
        }
        Answer::LogLevel(level) => writeln!(out, "{}", level.name()),
        Answer::Metrics(page) => write!(out, "{page}"),
        Answer::Done(done) => writeln!(out, "{}", done.note.as_deref().unwrap_or("done")),
        // The client has made an error of it.
        Answer::Error(_) => Ok(()),
    }
}
