//! Files in TOML: the same names, nothing guessed.

use turn_config::option::Kind;
use turn_config::settings::Settings;
use turn_config::{Origin, Problem, TURNSERVER};

use super::support::{assert_warns, parse_with, problems, settings};

const FILE: &str = "/etc/turnserver.toml";

fn run_toml(content: &str) -> Settings {
    settings(parse_with(&["-c", FILE], &[(FILE, content)]))
}

fn toml_problems(content: &str) -> Vec<Problem> {
    problems(parse_with(&["-c", FILE], &[(FILE, content)]))
}

#[test]
fn names_and_meanings_are_those_of_the_other_file() {
    let settings = run_toml(
        "# a comment\nlistening-port = 3500 # and another\nstatic-auth-secret = [\n  \"one\",\n  \"two # no comment\",\n]\n\
         realm = 'example.org'\nfingerprint = true\nverbose = false\nrelay-ip = \"192.0.2.1\"\nmax-bps = 3_000_000\n\
         user = [\"alice:pw\", \"bob:0x00112233445566778899aabbccddeeff\"]\nlatency-budget = \"5ms\"\nCA-file = \"/ca\"\n",
    );
    assert_eq!(settings.listening.port, 3500);
    let secrets: Vec<_> = settings
        .auth
        .secrets
        .iter()
        .map(|it| it.expose().clone())
        .collect();
    assert_eq!(secrets, [b"one".to_vec(), b"two # no comment".to_vec()]);
    assert_eq!(
        (settings.auth.realm.as_str(), settings.auth.users.len()),
        ("example.org", 2)
    );
    assert!(settings.wire.fingerprint);
    assert_eq!(settings.caps[0].amount, 3_000_000);
    assert_eq!(
        settings.origin("listening-port").to_string(),
        "/etc/turnserver.toml:2"
    );
    // An element of a list has its own line.
    let lines: Vec<Origin> = (settings.effective.into_iter())
        .filter(|row| row.option == "static-auth-secret")
        .map(|row| row.origin)
        .collect();
    assert_eq!(lines[1].to_string(), "/etc/turnserver.toml:5");
}

/// coturn's users rely on the other default; whoever writes TOML writes it for this server.
#[test]
fn private_networks_are_closed_unless_opened() {
    let secret = "static-auth-secret = \"s\"\nrealm = \"r\"\n";
    let closed = run_toml(secret);
    assert!(!closed.relay.peers.private);
    assert_eq!(closed.warnings, []);
    assert!(
        run_toml(&format!("{secret}allow-private-peers = true"))
            .relay
            .peers
            .private
    );
}

#[test]
fn flags_replace_what_the_file_says() {
    let args = ["-c", FILE, "-p", "9", "--relay-ip=192.0.2.2"];
    let content = "no-auth = true\nlistening-port = 1\nrelay-ip = [\"192.0.2.1\"]";
    let settings = settings(parse_with(&args, &[(FILE, content)]));
    assert_eq!(
        (settings.listening.port, settings.relay.addresses.len()),
        (9, 2)
    );
}

#[test]
fn what_is_not_known_ends_the_start() {
    for (line, says) in [
        ("listenig-port = 1", "Did you mean listening-port?"),
        ("frobnicate = true", "unknown key \"frobnicate\""),
        ("help = true", "belongs on the command line"),
        ("[relay]\nmin-port = 1", "do not stand in tables"),
        ("relay.min-port = 1", "do not stand in tables"),
        (
            "realm = \"a\"\nrealm = \"b\"",
            "this is no TOML: duplicate key",
        ),
        ("realm = example.org", "this is no TOML"),
        ("realm", "this is no TOML"),
        ("min-port = [1, 2]", "it takes one value and no list"),
        ("static-auth-secret = [[\"a\"]]", "a list inside a list"),
    ] {
        let problems = toml_problems(&format!("no-auth = true\n\n{line}\n"));
        let text = problems[0].to_string();
        let place = if line.starts_with("realm = \"a\"") {
            4
        } else {
            3
        };
        assert!(
            text.starts_with(&format!("{FILE}:{place}: "))
                && text.contains(says)
                && text.ends_with('.'),
            "{line}: {text}"
        );
    }
}

/// Each option × each type that is not its own.
#[test]
fn a_value_of_another_type_ends_the_start() {
    for option in TURNSERVER
        .options()
        .filter(|option| !option.command_line_only)
    {
        let wrong: &[&str] = match option.kind {
            Kind::Flag => &["\"yes\"", "1", "1.5", "1979-05-27", "{ a = 1 }", "[true]"],
            Kind::Number(_) | Kind::Port { .. } => {
                &["\"7\"", "true", "7.5", "1979-05-27", "{ a = 1 }", "[7]"]
            }
            _ => &[
                "7",
                "true",
                "7.5",
                "1979-05-27",
                "{ a = 1 }",
                "[7]",
                "[true, \"a\"]",
            ],
        };
        for value in wrong {
            let line = format!("{} = {value}", option.long);
            let problems = toml_problems(&format!("\n\n{line}\n"));
            let text = problems[0].to_string();
            assert!(
                text.starts_with(&format!("{FILE}:3: "))
                    && text.contains(option.long)
                    && text.ends_with('.'),
                "{line}: {text}"
            );
        }
    }
}

#[test]
fn numbers_out_of_range_are_named_as_they_are_meant() {
    for (line, says) in [
        ("min-port = 70000", "70000 is above 65535"),
        ("min-port = -1", "-1 is below 1"),
        ("min-port = 0x1_0000", "65536 is above 65535"),
        (
            "max-allocate-lifetime = 99999999999999999999999999999999999999999999999999",
            "is above",
        ),
    ] {
        let text = toml_problems(&format!("no-auth = true\n{line}"))[0].to_string();
        assert!(
            text.starts_with("/etc/turnserver.toml:2: ") && text.contains(says),
            "{text}"
        );
    }
}

#[test]
fn no_message_shows_a_secret() {
    for line in [
        "static-auth-secret = [\"s3cret\", 7]",
        "user = \"s3cret\"",
        "pkey-pwd = [\"s3cret\"]",
    ] {
        for problem in toml_problems(&format!("no-auth = true\n{line}")) {
            assert!(!problem.to_string().contains("s3cret"), "{problem}");
        }
    }
}

#[test]
fn bytes_that_are_no_text_end_the_start() {
    let raw = turn_config::read_toml(&TURNSERVER, "f", b"realm = \"caf\xe9\"");
    let (_, report) = turn_config::Values::read(&TURNSERVER, raw, &|_| None);
    let error = report.finish().unwrap_err().to_string();
    assert!(
        error.starts_with("f:1: the file is not UTF-8 text."),
        "{error}"
    );
}

#[test]
fn an_option_that_does_nothing_is_accepted_as_in_the_other_file() {
    let settings = run_toml("static-auth-secret = \"s\"\nno-tlsv1 = true\ncli-password = \"x\"\n");
    assert_warns(&settings, &["turnserver.toml:2", "no-tlsv1 is gone"]);
    assert_warns(
        &settings,
        &["turnserver.toml:3", "cli-password has no effect"],
    );
}
