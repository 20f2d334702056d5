//! What the command line asks for, and which file is read.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use turn_config::settings::Settings;
use turn_config::{Environment, Error, Invocation, Severity, TURNSERVER};

use super::support::{assert_warns, lines, parse, parse_in, parse_with, problems, settings};

fn quickstart(outcome: Result<Invocation, Error>) -> Settings {
    match outcome {
        Ok(Invocation::Quickstart(settings)) => *settings,
        Ok(_) => panic!("another outcome"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn no_arguments_are_a_quickstart_that_reads_no_file_and_says_nothing() {
    let read = |path: &Path| -> io::Result<Vec<u8>> { panic!("{} was read", path.display()) };
    let environment = Environment {
        resolve: &|_| None,
        read: &read,
        variables: Vec::new(),
        program_folder: None,
    };
    let settings = quickstart(turn_config::parse([], &environment));
    assert_eq!(settings.warnings, []);
    assert_eq!(
        (
            settings.listening.port,
            settings.listening.udp,
            settings.listening.tcp
        ),
        (3478, true, true)
    );
    assert_eq!(settings.quotas.per_user, Some(100));
    assert!(!settings.relay.peers.private && !settings.auth.anonymous);
    assert!(settings.auth.secrets.is_empty() && settings.http.listen.is_empty());
}

#[test]
fn quickstart_can_be_adjusted() {
    let settings = quickstart(parse(&[
        "--quickstart",
        "-p",
        "3500",
        "--user-quota=3",
        "--http-listen=127.0.0.1:9000",
    ]));
    assert_eq!(
        (settings.listening.port, settings.quotas.per_user),
        (3500, Some(3))
    );
    assert_eq!(settings.http.listen, ["127.0.0.1:9000".parse().unwrap()]);
    assert!(!settings.relay.peers.private);
    assert_eq!(settings.warnings, []);
    assert_warns(
        &quickstart(parse(&["--quickstart", "-c", "/f"])),
        &["the configuration file is not read"],
    );
}

#[test]
fn help_and_version_win_over_a_bad_configuration() {
    for args in [&["-h"][..], &["--help"], &["-n", "-h", "--min-port=0"]] {
        let Ok(Invocation::Help(text)) = parse(args) else {
            panic!("{args:?}")
        };
        assert!(
            text.contains("--listening-port=PORT") && text.contains("turnserver"),
            "{text}"
        );
    }
    assert!(matches!(parse(&["--version"]), Ok(Invocation::Version)));
    assert!(matches!(parse(&["--vers", "-n"]), Ok(Invocation::Version)));
}

/// Each way in, at once: a file in TOML, a credential of systemd's, a variable, a flag, and what nobody has given.
#[test]
fn check_config_names_every_kind_of_origin() {
    let files = [
        ("/f.toml", "realm = \"r\"\n\nuser-quota = 3\n"),
        ("/credentials/static-auth-secret", "s3cret"),
    ];
    let variables = [
        ("CREDENTIALS_DIRECTORY", "/credentials"),
        ("TURNSERVER_MIN_PORT", "50000"),
    ];
    let args = ["--check-config", "-c", "/f.toml", "--max-port", "51000"];
    let Ok(Invocation::CheckConfig(settings)) = parse_in(&args, &files, &variables) else {
        panic!("not checked")
    };
    let text = settings.explain(&[]);
    for line in [
        "user-quota = 3  [/f.toml:3]",
        "static-auth-secret-file = /credentials/static-auth-secret  [environment, CREDENTIALS_DIRECTORY/static-auth-secret]",
        "min-port = 50000  [environment, TURNSERVER_MIN_PORT]",
        "max-port = 51000  [command line, --max-port]",
        "listening-port = 3478  [default]",
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
    // Every option that works has a line, and so an origin.
    for option in TURNSERVER.options() {
        if option.works() && !option.command_line_only {
            let begin = format!("\n{} = ", option.long);
            assert!(text.contains(&begin), "{}", option.long);
        }
    }
}

#[test]
fn check_config_explains_each_value_with_its_origin_and_hides_secrets() {
    let content = "static-auth-secret=s3cret\nuser=alice:s3cret\nmin-port=50000\nno-tlsv1\n";
    let Ok(Invocation::CheckConfig(settings)) = parse_with(
        &["--check-config", "-c", "/f", "-p", "1"],
        &[("/f", content)],
    ) else {
        panic!("not checked")
    };
    let text = settings.explain(&["it is late".to_owned()]);
    for line in [
        "min-port = 50000  [/f:3]",
        "max-port = 65535  [default]",
        "listening-port = 1  [command line, -p]",
        "static-auth-secret = (hidden)  [/f:1]",
        "user = alice:(hidden)  [/f:2]",
        "relay-ip = (the address that the client came to)  [default]",
        "note: /f:4: no-tlsv1 is gone and has no effect",
        "warning: it is late",
        "note: log lines name addresses and users in full",
        "use-auth-secret = yes, by static-auth-secret  [default]",
        "lt-cred-mech = yes, by user  [default]",
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
    assert!(!text.contains("s3cret"));
    // What hurts comes first, then what somebody has set, and the long list of the rest last.
    let place = |words: &str| text.find(words).unwrap();
    let order = [
        "warning: it is late",
        "Given:",
        "min-port = 50000",
        "By default:",
        "max-port",
    ];
    let places = order.map(place);
    assert!(places.is_sorted(), "{places:?} of {order:?} in\n{text}");
}

#[test]
fn a_file_that_is_not_there_is_no_error() {
    let named = settings(parse(&["-c", "/nowhere.conf", "-z"]));
    assert_warns(&named, &["there is no configuration file /nowhere.conf"]);
    let default = settings(parse(&["-z"]));
    let note = default
        .warnings
        .iter()
        .find(|warning| warning.text.contains("turnserver.conf"))
        .unwrap();
    assert_eq!(note.severity, Severity::Note);
    assert!(
        !lines(&settings(parse(&["-n", "-z"])).warnings)
            .concat()
            .contains("turnserver.conf")
    );
}

#[test]
fn the_default_file_is_searched_as_in_coturn() {
    let content = "no-auth\nlistening-port=77";
    for place in [
        "turnserver.conf",
        "etc/coturn/turnserver.conf",
        "../etc/turnserver.conf",
        "/etc/turnserver.conf",
        "/etc/coturn/turnserver.conf",
        "/usr/local/etc/turnserver/turnserver.conf",
    ] {
        let here = if place.starts_with(['/', '.']) || place.contains('/') {
            place.to_owned()
        } else {
            format!("./{place}")
        };
        let settings = settings(parse_with(&["-v"], &[(&here, content)]));
        assert_eq!(settings.listening.port, 77, "{place}");
    }
}

#[test]
fn the_working_folder_wins_and_an_etc_in_front_is_optional() {
    let files = [
        ("/etc/turnserver.conf", "no-auth\nlistening-port=1"),
        ("./turnserver.conf", "no-auth\nlistening-port=2"),
    ];
    assert_eq!(settings(parse_with(&["-v"], &files)).listening.port, 2);
    assert_eq!(
        settings(parse_with(&["-c", "etc/turnserver.conf"], &files[..1]))
            .listening
            .port,
        1
    );
    // Both words of -c in one, and the last one counts.
    assert_eq!(
        settings(parse_with(
            &["-c", "/nowhere", "-c./turnserver.conf"],
            &files
        ))
        .listening
        .port,
        2
    );
}

#[test]
fn the_search_goes_on_beside_the_program() {
    let asked: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    let read = |path: &Path| {
        asked.lock().unwrap().push(path.to_owned());
        Err(io::Error::from(io::ErrorKind::NotFound))
    };
    let environment = Environment {
        resolve: &|_| None,
        read: &read,
        variables: Vec::new(),
        program_folder: Some("/opt/t/bin".into()),
    };
    assert!(turn_config::parse(["-z".into()], &environment).is_ok());
    let asked = asked.into_inner().unwrap();
    assert_eq!(asked[0], Path::new("./turnserver.conf"));
    assert!(asked.contains(&PathBuf::from("/opt/t/bin/../etc/turnserver.conf")));
    let in_etc = |path: &&PathBuf| path.starts_with("/etc") && path.ends_with("turnserver.conf");
    assert_eq!(asked.iter().filter(in_etc).count(), 3);
}

#[test]
fn a_file_that_may_not_be_read_is_refused_when_named_and_left_out_otherwise() {
    let read = |_: &Path| Err(io::Error::from(io::ErrorKind::PermissionDenied));
    let environment = Environment {
        resolve: &|_| None,
        read: &read,
        variables: Vec::new(),
        program_folder: None,
    };
    let args = |words: &[&str]| {
        words
            .iter()
            .map(std::ffi::OsString::from)
            .collect::<Vec<_>>()
    };
    let text = problems(turn_config::parse(
        args(&["-c", "/etc/turnserver.conf", "-z"]),
        &environment,
    ))[0]
        .to_string();
    assert!(
        text.contains("/etc/turnserver.conf cannot be read: permission denied")
            && text.contains("-n"),
        "{text}"
    );
    let settings = settings(turn_config::parse(args(&["-z"]), &environment));
    assert_warns(
        &settings,
        &["turnserver.conf is left out", "permission denied"],
    );
}
