//! Going to the background (`daemon`): the command starts the server anew without a terminal, and ends when that one is ready,
//! or with its exit code when it is not.
//!
//! The server is a new process and no fork of this one, so that it begins with nothing of this one's; the way on which it says
//! that it is ready takes the place of its standard input.

use std::{
    env,
    fs::OpenOptions,
    io::{self, Read as _},
    process::{Command, ExitCode, Stdio},
};

use anyhow::Context as _;
use rustix::{process::setsid, stdio};

/// Set for the process in the background.
const MARK: &str = "TURNPIKE_IN_BACKGROUND";

/// What it says when it is ready.
const READY: &[u8] = b"ready\n";

/// Whether this process is the one in the background.
pub fn is_here() -> bool {
    env::var_os(MARK).is_some()
}

/// Starts this program once more with the same arguments, and waits until it is ready or has ended.
///
/// # Errors
/// When it cannot be started.
pub fn detach() -> anyhow::Result<ExitCode> {
    let program = env::current_exe().context("daemon: cannot find this program")?;
    let (mut said, say) = io::pipe().context("daemon")?;
    let mut command = Command::new(program);
    command
        .args(env::args_os().skip(1))
        .env(MARK, "1")
        .stdin(Stdio::from(say));
    let mut server = command
        .spawn()
        .context("daemon: cannot start in the background")?;
    // It holds the other end of the pipe, which would never end.
    drop(command);
    let mut words = Vec::new();
    said.read_to_end(&mut words)?;
    if words == READY {
        return Ok(ExitCode::SUCCESS);
    }
    let status = server.wait().context("daemon")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Leaves the terminal, in the process in the background: what happens to it there does not matter from now on.
pub fn leave_terminal() {
    // It fails for who leads a group of its own already.
    let _ = setsid();
}

/// Tells the waiting command that the server is ready, and lets go of what belongs to it: its standard streams.
///
/// # Errors
/// What the system says.
pub(crate) fn say_ready() -> io::Result<()> {
    let nothing = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    // A command that was ended meanwhile is not waiting any more.
    let _ = rustix::io::write(stdio::stdin(), READY);
    stdio::dup2_stdin(&nothing)?;
    stdio::dup2_stdout(&nothing)?;
    stdio::dup2_stderr(&nothing)?;
    Ok(())
}
