//! From arguments and a file to settings that can be run.
//!
//! In: what is asked for, and the files that options name. Not in: declarations (`options.rs`), what the options of one matter make
//! of each other (`doors.rs`, `ice.rs`, `identity.rs`, `records.rs`, `fleet.rs`), sockets (`serve.rs`).

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use ice_api::Origins;
use turn_auth::Secret;
use turn_config::{
    Environment, Error, Origin, Raw, Report, Values, Warning, read_command_line, read_file,
};

use super::ice::IceSettings;
use super::identity::IdentitySettings;
use super::options::SIGNALING;
use super::records::RecordSettings;
use crate::{Doors, Fleet, Trust};

/// What the command line asks for.
pub enum Invocation {
    /// Run with these settings.
    Run(Box<Settings>),
    /// Print this text and end.
    Help(String),
    /// Print the version number and end.
    Version,
}

/// What the program runs with.
pub struct Settings {
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
    /// Pages of other hosts that may connect.
    pub origins: Origins,
    /// How users become known.
    pub identity: IdentitySettings,
    /// What clients on other machines must show.
    pub join_key: Option<Secret<String>>,
    /// Members of a room, and of a call.
    pub room_size: usize,
    /// Which protocols are spoken.
    pub doors: Doors,
    /// Where ICE servers come from.
    pub ice: IceSettings,
    /// Where calls are recorded.
    pub records: RecordSettings,
    /// The other processes of the service, if there are any.
    pub fleet: Option<Fleet>,
    /// Where it is watched.
    pub metrics_listen: Option<SocketAddr>,
    /// How long a drain may take.
    pub drain_timeout: Duration,
    /// Whether connections are logged.
    pub verbose: bool,
    /// What the operator should know.
    pub warnings: Vec<Warning>,
}

/// Reads the arguments, without the program's name, and the file that they name.
///
/// # Errors
/// [`Error::Usage`] for flags that are not understood, [`Error::Config`] for values that cannot be used.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    environment: &Environment<'_>,
) -> Result<Invocation, Error> {
    let flags = read_command_line(&SIGNALING, args)?;
    if flags.asks_for("help") {
        return Ok(Invocation::Help(SIGNALING.help_text()));
    }
    if flags.asks_for("version") {
        return Ok(Invocation::Version);
    }
    let mut problems = Report::default();
    let file = configuration_file(&flags, environment, &mut problems);
    let (values, mut report) = Values::read(&SIGNALING, file.then(flags), environment.resolve);
    report.append(problems);
    let settings = Reader {
        values: &values,
        environment,
        report: &mut report,
        trust: None,
    }
    .settings();
    let warnings = report.finish()?;
    Ok(Invocation::Run(Box::new(Settings {
        warnings,
        ..settings
    })))
}

fn configuration_file(flags: &Raw, environment: &Environment<'_>, report: &mut Report) -> Raw {
    let Some(name) = flags.last_text("config-file") else {
        return Raw::default();
    };
    match (environment.read)(Path::new(name)) {
        Ok(bytes) => read_file(&SIGNALING, name, &bytes),
        Err(error) => {
            let origin = Origin::CommandLine { flag: "-c".into() };
            report.problem(
                origin,
                format!("{name} cannot be read: {error}"),
                "Name a file that this user may read.",
            );
            Raw::default()
        }
    }
}

pub(super) struct Reader<'a> {
    pub(super) values: &'a Values,
    environment: &'a Environment<'a>,
    pub(super) report: &'a mut Report,
    trust: Option<Trust>,
}

impl Reader<'_> {
    fn settings(mut self) -> Settings {
        let mut listen = self.values.endpoints("listen");
        if listen.is_empty() {
            listen.push((Ipv4Addr::UNSPECIFIED, 8080).into());
        }
        // Also where nothing is reached with TLS: a file that is named has to be one.
        self.trust();
        let fleet = self.fleet(&listen);
        Settings {
            listen,
            origins: self.origins(),
            identity: self.identity(),
            join_key: self.join_key(),
            room_size: self
                .values
                .number("room-size")
                .and_then(|size| size.try_into().ok())
                .unwrap_or(6),
            doors: self.doors(),
            ice: self.ice(),
            records: self.records(),
            fleet,
            metrics_listen: self.values.endpoints("metrics-listen").pop(),
            drain_timeout: Duration::from_secs(
                self.values.number("drain-timeout").unwrap_or(3_600),
            ),
            verbose: self.values.flag("verbose"),
            warnings: Vec::new(),
        }
    }

    /// Who is believed to be the server that we ask.
    pub(super) fn trust(&mut self) -> Trust {
        if let Some(read) = &self.trust {
            return read.clone();
        }
        let trust = self.named_authorities().unwrap_or_default();
        self.trust.insert(trust).clone()
    }

    fn named_authorities(&mut self) -> Option<Trust> {
        let (name, bytes) = self.file("ca-file")?;
        let trust = Trust::with_authorities(&bytes);
        if let Err(error) = &trust {
            let remedy = "Name a file with certificates of authorities, each from -----BEGIN CERTIFICATE----- on.";
            self.problem("ca-file", format!("{name}: {error}"), remedy);
        }
        trust.ok()
    }

    /// The name and the bytes of the file that an option names.
    fn file(&mut self, long: &str) -> Option<(String, Vec<u8>)> {
        let name = self.values.text(long)?;
        match (self.environment.read)(Path::new(&name)) {
            Ok(bytes) => Some((name, bytes)),
            Err(error) => {
                let text = format!("{name} cannot be read: {error}");
                self.problem(long, text, "Name a file that this user may read.");
                None
            }
        }
    }

    /// The lines of the file that an option names; it must have one.
    pub(super) fn lines(&mut self, long: &str) -> Vec<String> {
        let Some((name, bytes)) = self.file(long) else {
            return Vec::new();
        };
        let lines = lines_of(&bytes);
        if lines.is_empty() {
            self.problem(
                long,
                format!("{name} is empty"),
                "Put the secret on its first line, for example from `openssl rand -hex 32`.",
            );
        }
        lines
    }

    pub(super) fn problem(&mut self, long: &str, text: impl std::fmt::Display, remedy: &str) {
        self.report
            .problem(self.values.origin(long), format!("{long}: {text}"), remedy);
    }
}

/// What a file of secrets holds: one per line.
pub(super) fn lines_of(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

#[cfg(test)]
pub(super) mod tests;
