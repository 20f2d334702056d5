//! The connection to a server: a request, and the lines of its answer.

use std::{
    io::{BufRead as _, BufReader, ErrorKind, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, bail};
use turn_server::control::{answer::Answer, protocol::Request};

/// How long a server may take for one line.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to a server.
pub(super) struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When no server listens there, or not for us.
    pub(super) fn connect(socket: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(socket).map_err(|error| {
            let help = match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                    "no server listens there; start it with --control-socket=PATH and say turnctl --socket=PATH"
                }
                ErrorKind::PermissionDenied => {
                    "it is open to the server's user and group, and to root"
                }
                _ => "",
            };
            anyhow::anyhow!("{}: {error}: {help}", socket.display())
        })?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let stream = BufReader::new(stream);
        Ok(Self { stream })
    }

    /// Sends a request and takes each line of its answer, as it came and as what it means.
    ///
    /// # Errors
    /// When the server says no, or something else than an answer.
    pub(super) fn ask(
        &mut self,
        request: &Request,
        mut take: impl FnMut(&str, Answer) -> std::io::Result<()>,
    ) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec(request)?;
        text.push(b'\n');
        self.stream
            .get_mut()
            .write_all(&text)
            .context("the server has closed the connection")?;
        loop {
            let mut line = String::new();
            let length = self.stream.read_line(&mut line);
            if length.context("the server does not answer")? == 0 {
                bail!("the server has closed the connection; it serves a few clients at a time");
            }
            let line = line.trim_end();
            let answer = serde_json::from_str(line)
                .with_context(|| format!("the server's answer is not understood: {line}"))?;
            if let Answer::Error(error) = answer {
                bail!("{error}");
            }
            let more = matches!(answer, Answer::Session(_));
            take(line, answer)?;
            if !more {
                return Ok(());
            }
        }
    }
}
