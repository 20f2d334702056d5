//! What settings arguments make; the helpers also serve the tests of single matters.

use std::io;

use super::super::records::StoreSettings;
use super::*;
use crate::{PeerJsDoor, WebUrl};

fn authority() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let made = rcgen::CertificateParams::default().self_signed(&key);
    made.unwrap().pem()
}

/// Parses with files that hold their own names, but `empty`, which is, `missing`, which is not there, and `authority`.
pub(in super::super) fn try_parse(args: &[&str]) -> Result<Invocation, Error> {
    let read = |path: &Path| match path.to_str() {
        Some("missing") => Err(io::ErrorKind::NotFound.into()),
        Some("empty") => Ok(b"\n \n".to_vec()),
        Some("authority") => Ok(authority().into_bytes()),
        Some("0123456789abcdef0123456789abcdef") => {
            Ok(format!("{0}\n{0}\n", "x".repeat(64)).into_bytes())
        }
        Some("conf") => Ok(b"listen=127.0.0.1:9000\nroom-size=4\n".to_vec()),
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

pub(in super::super) fn settings(args: &[&str]) -> Settings {
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
fn a_file_is_read_and_flags_override_it() {
    let settings = settings(&["-c", "conf", "--room-size=5"]);
    assert_eq!(settings.listen, ["127.0.0.1:9000".parse().unwrap()]);
    assert_eq!(settings.room_size, 5);
}

/// One that is misspelt may be the one that keeps strangers out.
#[test]
fn a_line_that_is_not_understood_ends_the_start() {
    let (code, text) = error(&["-c", "join_key_file"]);
    assert_eq!(code, 1);
    let expected =
        "join_key_file:1: unknown key \"join_key_file\". Write join-key-file, or remove the line.";
    assert!(text.contains(expected), "{text}");
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
