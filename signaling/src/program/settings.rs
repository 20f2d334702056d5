//! From arguments and a file to settings that can be run.
//!
//! In: how options depend on each other, and the files they name. Not in: declarations (`options.rs`), sockets (`serve.rs`).

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use ice_api::{IceUrl, Origins};
use turn_auth::Secret;
use turn_config::{
    Environment, Error, Origin, Raw, Report, Values, Warning, read_command_line, read_file,
};

use super::identity::IdentitySettings;
use super::options::SIGNALING;
use super::records::RecordSettings;
use crate::{Doors, Fleet, PeerJsDoor, Trust, WebUrl};

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

/// Where ICE servers come from.
pub enum IceSettings {
    /// These, with credentials minted here.
    Fixed {
        /// The servers.
        urls: Vec<IceUrl>,
        /// The secrets shared with the relays among them, newest first.
        secrets: Vec<Secret<Vec<u8>>>,
    },
    /// A `turnserver` is asked.
    Endpoint {
        /// Its address.
        url: WebUrl,
        /// The API key.
        key: Option<Secret<String>>,
    },
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
    report: &'a mut Report,
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

    fn doors(&mut self) -> Doors {
        let closed = self.values.texts("without");
        let is_open = |name: &str| !closed.iter().any(|closed| closed == name);
        Doors {
            native: is_open("native"),
            stream: is_open("stream"),
            peerjs: is_open("peerjs").then(|| self.peerjs()),
            socket_io: is_open("socket.io"),
        }
    }

    fn peerjs(&mut self) -> PeerJsDoor {
        let path = self.values.text("peerjs-path").unwrap_or_default();
        let key = self.values.text("peerjs-key").unwrap_or_default();
        if path == "/web" || path.starts_with("/web/") {
            let remedy = "Choose another path.";
            self.problem("peerjs-path", "the pages' own files are there", remedy);
        }
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.~".contains(letter);
        if key.is_empty() || !key.chars().all(is_plain) {
            let remedy = "Write letters, digits and dashes, as in the client's option `key`.";
            self.problem("peerjs-key", format!("{key:?} cannot be used"), remedy);
        }
        let path = path.trim_matches('/');
        PeerJsDoor {
            path: if path.is_empty() {
                "/".to_owned()
            } else {
                format!("/{path}/")
            },
            key,
            discovery: self.values.flag("peerjs-discovery"),
        }
    }

    fn origins(&mut self) -> Origins {
        Origins::new(self.values.texts("allowed-origin")).unwrap_or_else(|error| {
            self.problem(
                "allowed-origin",
                error.to_string(),
                "Write what the browser sends, for example https://app.example.org.",
            );
            Origins::default()
        })
    }

    fn join_key(&mut self) -> Option<Secret<String>> {
        let key = self
            .lines("join-key-file")
            .into_iter()
            .next()
            .map(Secret::new);
        let proves = self
            .values
            .text("auth")
            .is_some_and(|auth| auth != "anonymous");
        if key.is_none() && !proves {
            let text = "join-key-file: not given, so everybody who reaches this service may use it and the ICE servers it hands out";
            self.report.warn(Origin::Default, text);
        }
        key
    }

    fn ice(&mut self) -> IceSettings {
        if let Some(url) = self.service("ice-endpoint") {
            if self.values.is_given("ice-url") {
                self.problem(
                    "ice-url",
                    "cannot stand beside ice-endpoint",
                    "Remove one of the two.",
                );
            }
            let key = self
                .lines("ice-endpoint-key-file")
                .into_iter()
                .next()
                .map(Secret::new);
            let url = url.with_path("/v1/ice");
            return IceSettings::Endpoint { url, key };
        }
        let mut urls = Vec::new();
        for text in self.values.texts("ice-url") {
            match text.parse::<IceUrl>() {
                Ok(url) => urls.push(url),
                Err(error) => self.problem(
                    "ice-url",
                    format!("{text:?} is {error}"),
                    "Write one of these forms.",
                ),
            }
        }
        let secrets: Vec<_> = self
            .lines("ice-secret-file")
            .into_iter()
            .map(|line| Secret::new(line.into_bytes()))
            .collect();
        if secrets.is_empty() && urls.iter().any(|url| url.scheme.is_turn()) {
            self.problem(
                "ice-url",
                "names a relay, for which clients need credentials",
                "Write --ice-secret-file=FILE with its static-auth-secret.",
            );
        }
        if urls.is_empty() {
            self.report.note(
                Origin::Default,
                "ice-url: none given; clients behind NATs will not reach each other",
            );
        }
        IceSettings::Fixed { urls, secrets }
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
mod tests {
    use std::io;

    use super::super::records::StoreSettings;
    use super::*;

    fn authority() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let made = rcgen::CertificateParams::default().self_signed(&key);
        made.unwrap().pem()
    }

    /// Parses with files that hold their own names, but `empty`, which is, `missing`, which is not there, and `authority`.
    fn try_parse(args: &[&str]) -> Result<Invocation, Error> {
        let read = |path: &Path| match path.to_str() {
            Some("missing") => Err(io::ErrorKind::NotFound.into()),
            Some("empty") => Ok(b"\n \n".to_vec()),
            Some("authority") => Ok(authority().into_bytes()),
            Some("0123456789abcdef0123456789abcdef") => {
                Ok(format!("{0}\n{0}\n", "x".repeat(64)).into_bytes())
            }
            Some("conf") => Ok(b"listen=127.0.0.1:9000\nroom-size=4\nunknown=1\n".to_vec()),
            name => Ok(format!("{}\nolder\n", name.unwrap_or_default()).into_bytes()),
        };
        let environment = Environment {
            resolve: &|_| None,
            read: &read,
            variables: Vec::new(),
            program_folder: None,
        };
        parse(args.iter().map(OsString::from), &environment)
    }

    fn settings(args: &[&str]) -> Settings {
        match try_parse(args) {
            Ok(Invocation::Run(settings)) => *settings,
            Ok(_) => panic!("not to be run"),
            Err(error) => panic!("{error}"),
        }
    }

    fn error(args: &[&str]) -> (u8, String) {
        let error = try_parse(args).err().expect("a mistake");
        (error.exit_code(), error.to_string())
    }

    #[test]
    fn without_arguments_it_listens_on_8080_and_says_what_is_open() {
        let settings = settings(&[]);
        assert_eq!(settings.listen, ["0.0.0.0:8080".parse().unwrap()]);
        assert_eq!(settings.room_size, 6);
        assert_eq!(settings.doors, Doors::default());
        assert!(settings.join_key.is_none());
        assert!(
            settings
                .warnings
                .iter()
                .any(|warning| warning.text.contains("join-key-file"))
        );
        assert!(
            settings
                .warnings
                .iter()
                .any(|warning| warning.text.contains("ice-url"))
        );
    }

    #[test]
    fn every_option_is_read() {
        let settings = settings(&[
            "--listen=127.0.0.1:1",
            "--listen=[::1]:2",
            "--auth=anonymous",
            "--allowed-origin=https://app.example.org",
            "--join-key-file=key",
            "--room-size=3",
            "--without=stream",
            "--peerjs-path=/myapp/",
            "--peerjs-key=k",
            "--peerjs-discovery",
            "--ice-url=stun:s.example.org",
            "--ice-url=turn:t.example.org:3478?transport=tcp",
            "--ice-secret-file=secret",
            "--redis-url=redis://r.example.org/2",
            "--redis-password-file=word",
            "--node-name=n1",
            "--metrics-listen=127.0.0.1:9642",
            "--drain-timeout=7",
            "-v",
        ]);
        assert_eq!(
            settings.metrics_listen,
            Some("127.0.0.1:9642".parse().unwrap())
        );
        assert_eq!(settings.drain_timeout, Duration::from_secs(7));
        assert_eq!(settings.listen.len(), 2);
        assert!(settings.origins.allows("https://app.example.org"));
        assert_eq!(
            settings.join_key.map(|key| key.expose().clone()).as_deref(),
            Some("key")
        );
        assert_eq!(settings.room_size, 3);
        assert!(settings.verbose);
        let peerjs = PeerJsDoor {
            path: "/myapp/".to_owned(),
            key: "k".to_owned(),
            discovery: true,
        };
        assert_eq!(
            settings.doors,
            Doors {
                stream: false,
                peerjs: Some(peerjs),
                ..Doors::default()
            }
        );
        let IceSettings::Fixed { urls, secrets } = settings.ice else {
            panic!("not fixed")
        };
        assert_eq!(urls.len(), 2);
        let secrets: Vec<&[u8]> = secrets
            .iter()
            .map(|secret| secret.expose().as_slice())
            .collect();
        assert_eq!(secrets, [b"secret", b"older".as_slice()]);
        let fleet = settings.fleet.unwrap();
        assert_eq!((fleet.redis.database, fleet.node.as_str()), (2, "n1"));
        let password = fleet.redis.password.map(|word| word.expose().clone());
        assert_eq!(password.as_deref(), Some("word"));
    }

    #[test]
    fn named_authorities_count_wherever_tls_is_spoken() {
        let settings = settings(&[
            "--ca-file=authority",
            "--redis-url=rediss://r.example.org",
            "--call-log-postgres-file=postgres",
            "--webhook-url=https://h/calls",
            "--webhook-secret-file=secret",
            "--ice-endpoint=https://turn.example.org/v1/ice",
        ]);
        let redis = settings.fleet.unwrap().redis.tls.unwrap();
        assert_ne!(redis, Trust::default());
        let Some(StoreSettings::Postgres(_, postgres)) = settings.records.store else {
            panic!("no server")
        };
        assert_eq!(postgres, redis);
        let url: WebUrl = "https://h/calls".parse().unwrap();
        let (webhook, _) = settings.records.webhook.unwrap();
        assert_eq!(webhook, url.trusting(redis.clone()));
        let url: WebUrl = "https://turn.example.org/v1/ice".parse().unwrap();
        let IceSettings::Endpoint { url: endpoint, .. } = settings.ice else {
            panic!("no endpoint")
        };
        assert_eq!(endpoint, url.trusting(redis));
    }

    #[test]
    fn what_belongs_to_redis_is_of_no_use_without_it() {
        for args in [
            &["--node-name=n1"][..],
            &["--redis-password-file=word"],
            &["--redis-url=redis://u:p@host"],
            &["--redis-url=redis://host", "--node-name="],
        ] {
            assert!(try_parse(args).is_err(), "{args:?}");
        }
    }

    #[test]
    fn the_ways_to_know_users_are_read() {
        let long = "0123456789abcdef0123456789abcdef";
        let file = format!("--jwt-secret-file={long}");
        let jwt = settings(&[
            "--auth=jwt",
            &file,
            "--jwks-url=https://auth.example.org/jwks.json",
            "--jwt-issuer=i",
            "--jwt-audience=a",
        ]);
        let IdentitySettings::Tokens {
            secrets,
            keys,
            expected,
        } = jwt.identity
        else {
            panic!("no tokens")
        };
        assert_eq!(secrets.unwrap().1.len(), 2);
        assert_eq!(
            keys.unwrap().to_string(),
            "https://auth.example.org:443/jwks.json"
        );
        assert_eq!(expected.issuer.as_deref(), Some("i"));
        assert_eq!(expected.audience.as_deref(), Some("a"));
        let callout = settings(&[
            "--auth=callout",
            "--auth-url=http://h/who",
            "--auth-key-file=key",
        ]);
        let IdentitySettings::CallOut { url, key } = callout.identity else {
            panic!("nobody is called")
        };
        assert_eq!(
            (url.to_string().as_str(), key.is_some()),
            ("http://h:80/who", true)
        );
        assert!(
            !callout
                .warnings
                .iter()
                .any(|warning| warning.text.contains("join-key-file"))
        );
    }

    #[test]
    fn the_call_log_is_read() {
        let records = settings(&[
            "--call-log=calls.sqlite",
            "--call-log-days=7",
            "--call-log-key-file=key",
            "--webhook-url=https://h/calls",
            "--webhook-secret-file=secret",
        ])
        .records;
        assert!(
            matches!(records.store, Some(StoreSettings::Sqlite(file)) if file == Path::new("calls.sqlite"))
        );
        assert_eq!(
            (records.retention.as_secs(), records.keys.len()),
            (604_800, 2)
        );
        let (url, secrets) = records.webhook.unwrap();
        assert_eq!(
            (url.to_string().as_str(), secrets.len()),
            ("https://h:443/calls", 2)
        );
        let records = settings(&["--call-log-postgres-file=postgres"]).records;
        let Some(StoreSettings::Postgres(server, _)) = records.store else {
            panic!("no server")
        };
        assert_eq!(server.expose(), "postgres");
        let records = settings(&[]).records;
        assert!(records.store.is_none() && records.webhook.is_none());
    }

    #[test]
    fn an_endpoint_is_read_with_its_key() {
        let settings = settings(&[
            "--ice-endpoint=http://127.0.0.1:8081/v1/ice",
            "--ice-endpoint-key-file=key",
        ]);
        let IceSettings::Endpoint { url, key } = settings.ice else {
            panic!("no endpoint")
        };
        assert_eq!(url.to_string(), "http://127.0.0.1:8081/v1/ice");
        assert!(key.is_some());
    }

    #[test]
    fn each_protocol_can_be_turned_off() {
        let doors = settings(&[
            "--without=native",
            "--without=peerjs",
            "--without=socket.io",
        ])
        .doors;
        assert_eq!(
            (doors.native, doors.stream, doors.peerjs, doors.socket_io),
            (false, true, None, false)
        );
    }

    #[test]
    fn a_file_is_read_and_flags_override_it() {
        let settings = settings(&["-c", "conf", "--room-size=5"]);
        assert_eq!(settings.listen, ["127.0.0.1:9000".parse().unwrap()]);
        assert_eq!(settings.room_size, 5);
        assert!(
            settings
                .warnings
                .iter()
                .any(|warning| warning.to_string().starts_with("conf:3:"))
        );
    }

    #[test]
    fn unusable_values_end_the_start_with_a_remedy() {
        for (args, words) in [
            (
                &["--auth=jwt"][..],
                "--jwt-secret-file=FILE or --jwks-url=URL",
            ),
            (&["--auth=callout"], "Write --auth-url=URL"),
            (&["--auth=jwt", "--jwks-url=h/keys"], "http[s]://"),
            (&["--ca-file=key"], "BEGIN CERTIFICATE"),
            (&["--ca-file=missing"], "cannot be read"),
            (&["--auth=jwt", "--jwt-secret-file=short"], "openssl rand"),
            (&["--jwks-url=https://h/"], "Write --auth=jwt, or remove"),
            (
                &["--auth=jwt", "--jwt-secret-file=missing"],
                "cannot be read",
            ),
            (
                &["--ice-url=turn:t.example.org"],
                "Write --ice-secret-file=FILE",
            ),
            (
                &["--ice-url=t.example.org"],
                "turn:192.0.2.1:3478?transport=udp",
            ),
            (
                &["--ice-url=stun:s", "--ice-endpoint=http://h/"],
                "Remove one of the two",
            ),
            (
                &["--ice-endpoint=h/v1/ice"],
                "not http[s]://HOST[:PORT]/PATH",
            ),
            (&["--join-key-file=missing"], "cannot be read"),
            (
                &["--call-log=f", "--call-log-postgres-file=p"],
                "Remove one of the two",
            ),
            (&["--call-log-key-file=key"], "Write --call-log=FILE"),
            (&["--webhook-url=https://h/"], "--webhook-secret-file=FILE"),
            (&["--peerjs-path=/web"], "Choose another path"),
            (&["--peerjs-path=/{x}"], "begins with a slash"),
            (&["--peerjs-key=a/b"], "client's option `key`"),
            (&["--without=rooms"], "without"),
            (&["--join-key-file=empty"], "openssl rand -hex 32"),
            (
                &["--allowed-origin=app.example.org"],
                "https://app.example.org",
            ),
            (&["--listen=8080"], "listen"),
            (&["--room-size=1"], "room-size"),
            (&["-c", "missing"], "cannot be read"),
        ] {
            let (code, text) = error(args);
            assert_eq!(code, 1, "{args:?}");
            assert!(text.contains(words), "{args:?}: {text}");
        }
    }

    #[test]
    fn an_unknown_flag_is_a_usage_error() {
        assert_eq!(error(&["--lisen=1"]).0, 2);
    }

    #[test]
    fn help_names_every_option() {
        let Ok(Invocation::Help(text)) = try_parse(&["--help"]) else {
            panic!("no help")
        };
        for option in SIGNALING.options() {
            assert!(text.contains(option.long), "{}", option.long);
        }
    }
}
