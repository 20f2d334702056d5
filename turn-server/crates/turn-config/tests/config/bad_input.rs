//! Every option × every way to get it wrong: a message with its place and a remedy, no panic, no silent default.

use turn_config::option::{Kind, Number, OptionSpec, Status};
use turn_config::{Error, Problem, TURNSERVER, Warning};

use super::support::{FILE, file_problems, parse, parse_with};

/// What was said about one line of a file.
enum Said {
    Problems(Vec<Problem>),
    Warnings(Vec<Warning>),
}

/// The line stands at 3; everything else in the file is good.
fn in_file(line: &str) -> Said {
    let content = format!("static-auth-secret=base\n\n{line}\nrealm=r\nallow-private-peers\n");
    match parse_with(&["-c", FILE], &[(FILE, &content)]) {
        Ok(turn_config::Invocation::Run(settings)) => Said::Warnings(settings.warnings),
        Ok(_) => panic!("{line}: not a run"),
        Err(Error::Config { problems, .. }) => Said::Problems(problems),
        Err(error) => panic!("{line}: {error}"),
    }
}

fn in_files() -> impl Iterator<Item = &'static OptionSpec> {
    TURNSERVER
        .options()
        .filter(|option| !option.command_line_only)
}

/// Fails unless `line` ends the start with its place and a remedy; an option without effect may say just that.
#[track_caller]
fn assert_refused(option: &OptionSpec, line: &str) {
    match in_file(line) {
        Said::Problems(problems) => {
            let [problem] = problems.as_slice() else {
                panic!("{line}: {problems:?}")
            };
            let text = problem.to_string();
            assert!(
                text.starts_with("/etc/turnserver.conf:3: ") && text.contains(option.long),
                "{line}: {text}"
            );
            assert!(
                problem.remedy.ends_with('.') && problem.remedy.len() > 8,
                "{line}: no remedy in {text}"
            );
        }
        Said::Warnings(warnings) => {
            assert!(
                matches!(option.status, Status::NoEffect(_) | Status::Removed(_)),
                "{line} was accepted: {warnings:?}"
            );
            assert_warned(option, line, &warnings);
        }
    }
}

#[track_caller]
fn assert_warned(option: &OptionSpec, line: &str, warnings: &[Warning]) {
    let found = warnings.iter().map(Warning::to_string).find(|text| {
        text.starts_with("/etc/turnserver.conf:")
            && text.contains(option.long)
            && !text.contains("unknown")
    });
    assert!(found.is_some(), "{line}: nothing was said in {warnings:?}");
}

#[test]
fn a_missing_value() {
    for option in in_files() {
        let alone_is_fine = match option.kind {
            Kind::Flag => true,
            Kind::Number(number) => number.optional,
            // A template filled with nothing, for an option that does nothing.
            Kind::Path | Kind::Text | Kind::Secret => !option.works() || option.may_be_empty,
            _ => false,
        };
        for line in [
            option.long.to_owned(),
            format!("{}=", option.long),
            format!("{}=\"\"", option.long),
        ] {
            if alone_is_fine {
                assert!(
                    matches!(in_file(&line), Said::Warnings(_)) || contradicts(option),
                    "{line} was refused"
                );
            } else {
                assert_refused(option, &line);
            }
        }
    }
}

/// Alone it contradicts the secret of the file.
fn contradicts(option: &OptionSpec) -> bool {
    // The latter two need a certificate.
    ["no-auth", "dtls", "prometheus-tls"].contains(&option.long)
}

/// Texts that are no value of an option.
pub(super) fn of_the_wrong_type(option: &OptionSpec) -> &'static [&'static str] {
    match option.kind {
        Kind::Flag => &["maybe", "x", "?", "\u{fffd}"],
        Kind::Number(_) => &["many", "-", "+", "x10"],
        Kind::Port { .. } => &["http", "34 78", "3478x", "-1", "+-1"],
        Kind::Address => &[
            "1.2.3",
            "300.1.1.1",
            "::g",
            "fe80::1%eth0",
            "no.such.host.example",
            "1.2.3.4:80",
            "-",
        ],
        Kind::External => &[
            "1.2.3",
            "1.2.3.4/",
            "/1.2.3.4",
            "1.2.3.4/::1",
            "0.0.0.0",
            "224.0.0.1/10.0.0.1",
            "1.1.1.1/2.2.2.2/3.3.3.3",
        ],
        Kind::Range => &[
            "1.2.3",
            "10.0.0.9-10.0.0.1",
            "10.0.0.0/33",
            "10.0.0.1-::1",
            "host.example",
            "-",
        ],
        Kind::Clients => &[
            "1.2.3",
            "10.0.0.0/33@3478",
            "10.0.0.1@",
            "10.0.0.1@0",
            "10.0.0.1@99999",
            "10.0.0.1@192.0.2.1",
            "10.0.0.1@::1:3478",
            "10.0.0.1@host.example:3478",
            "@3478",
        ],
        Kind::Endpoint => &[
            "8080",
            "127.0.0.1",
            "::1",
            "::1:8080",
            "127.0.0.1:99999",
            "127.0.0.1:x",
            "[::1]",
            "no.such.host.example:1",
        ],
        Kind::Server => &[
            "",
            "198.51.100.7:0",
            "198.51.100.7:99999",
            "198.51.100.7:x",
            "0.0.0.0:3478",
            "[::]",
            "224.0.0.1",
            "[2001:db8::7]:x",
            "no.such.host.example",
            "turn:198.51.100.7",
        ],
        Kind::Account => &[
            "alice",
            ":password",
            "alice:",
            "alice:0x12",
            "alice:0xzz112233445566778899aabbccddeeff",
            "alice:replace-this",
        ],
        Kind::Character => &["a", "7", "é"],
        Kind::Choice(_) => &["ipv5", "loud"],
        Kind::Duration => &[
            "5",
            "ms",
            "5 minutes",
            "-1ms",
            "99999999999999999999s",
            "61s",
        ],
        Kind::WebOrigin => &[
            "app.example.org",
            "https://",
            "https://a/b",
            "ftp://a",
            "https://a, https://b",
            "null",
        ],
        Kind::Host => &[
            "https://turn.example.org",
            "turn.example.org:3478",
            "a b",
            "a/b",
        ],
        Kind::UrlPath => &["metrics", "/a b", "/a?b"],
        Kind::Path | Kind::Text | Kind::Secret => &["a\0b"],
    }
}

#[test]
fn a_value_of_the_wrong_type() {
    for option in in_files() {
        for text in of_the_wrong_type(option) {
            let line = format!("{}={text}", option.long);
            assert_refused(option, &line);
        }
    }
}

/// Numbers that an option does not take.
pub(super) fn out_of_range(option: &OptionSpec) -> Vec<String> {
    match option.kind {
        Kind::Number(Number {
            min, max, clamp, ..
        }) => {
            let mut outside = vec![
                "-1".to_owned(),
                "-99999999999999999999999999999999999999999999".to_owned(),
            ];
            if min > 0 {
                outside.push((min - 1).to_string());
            }
            if !clamp {
                outside.push((u128::from(max) + 1).to_string());
                outside.push("99999999999999999999999999999999999999999999".to_owned());
            }
            outside
        }
        Kind::Port { lowest: 0 } => vec!["65536".into(), "99999999999999999999".into()],
        Kind::Port { .. } => vec!["0".into(), "65536".into(), "70000".into()],
        _ => Vec::new(),
    }
}

#[test]
fn a_value_out_of_range() {
    for option in in_files() {
        for text in out_of_range(option) {
            assert_refused(option, &format!("{}={text}", option.long));
        }
    }
}

#[test]
fn a_number_that_coturn_lowers_is_lowered_with_a_warning() {
    for option in in_files() {
        let Kind::Number(Number {
            max, clamp: true, ..
        }) = option.kind
        else {
            continue;
        };
        let line = format!("{}={}", option.long, max + 1);
        let Said::Warnings(warnings) = in_file(&line) else {
            panic!("{line} was refused")
        };
        assert!(
            warnings.iter().any(|warning| warning
                .text
                .contains(&format!("lowered from {} to", max + 1))),
            "{warnings:?}"
        );
    }
}

/// A list keeps different values without a word; the same value twice, and any scalar twice, is pointed out.
#[test]
fn a_duplicate() {
    for option in in_files() {
        let value = match option.kind {
            Kind::Secret => "s3cret".to_owned(),
            Kind::Account => "alice:pw".to_owned(),
            Kind::Flag if contradicts(option) => "=no".to_owned(),
            _ => option.example.to_owned(),
        };
        let line = if value.is_empty() {
            option.long.to_owned()
        } else {
            format!("{}={value}", option.long)
        };
        let said = in_file(&format!("{line}\n{line}"));
        let Said::Warnings(warnings) = said else {
            // These end the start once already.
            let ending = [
                "http-api-key-file",
                "oauth-keys-file",
                "static-auth-secret-file",
                "static-users-file",
                "cert",
                "pkey",
            ];
            assert!(ending.contains(&option.long), "{}", option.long);
            continue;
        };
        if option.works() {
            let place = "/etc/turnserver.conf:4: ";
            let text = warnings
                .iter()
                .map(Warning::to_string)
                .find(|text| text.starts_with(place) && text.contains("remove one"));
            let text = text
                .unwrap_or_else(|| panic!("{line}: nothing about the duplicate in {warnings:?}"));
            assert!(
                text.contains(option.long) && text.contains("/etc/turnserver.conf:3"),
                "{text}"
            );
            assert!(
                !text.contains("s3cret") && !text.contains("alice:pw"),
                "{text}"
            );
        } else {
            let about = warnings
                .iter()
                .filter(|warning| warning.text.contains(option.long))
                .count();
            assert!(about <= 1, "{line}: said {about} times: {warnings:?}");
        }
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let content = "listening-port=x\nmin-port=0\nfingerprint=perhaps\n";
    let Err(Error::Config { problems, .. }) = parse_with(&["-c", FILE], &[(FILE, content)]) else {
        panic!("accepted")
    };
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| problem.origin.to_string())
        .collect();
    assert_eq!(
        lines,
        [
            "/etc/turnserver.conf:1",
            "/etc/turnserver.conf:2",
            "/etc/turnserver.conf:3",
            "default"
        ]
    );
}

/// Where a remedy that fits all options of a kind would mislead, it fits the one.
#[test]
fn a_remedy_is_one_for_this_option_and_shows_what_was_written() {
    for (line, said) in [
        (
            "total-quota=99999999999",
            "99999999999 is above 4294967295. Write a whole number (allocations) from 0 to 4294967295.",
        ),
        (
            "denied-peer-ip=/8",
            "\"/8\" is not an IP address. Write IP, FIRST-LAST or NETWORK/PREFIX, for example 10.0.0.0-10.255.255.255.",
        ),
        (
            "nat64-prefix=nonsense",
            "\"nonsense\" is not an IP address. Write IP, FIRST-LAST or NETWORK/PREFIX, for example 2001:db8:64::/96.",
        ),
        (
            "alternate-server=",
            "a server is missing. Write ADDRESS:PORT or NAME:PORT, for example 198.51.100.7:3478 or [2001:db8::7]:3478.",
        ),
        (
            "alternate-server=1.2.3.4.5",
            "\"1.2.3.4.5\" is not an IP address. Write ADDRESS:PORT or NAME:PORT, for example 198.51.100.7:3478 or [2001:db8::7]:3478.",
        ),
        (
            "latency-budget=",
            "a time is missing. Write digits and a unit: 200us, 5ms or 1s, up to 60s.",
        ),
    ] {
        let problems = file_problems(&format!("no-auth\n{line}\n"));
        let option = line.split('=').next().unwrap();
        let expected = format!("{FILE}:2: {option}: {said}");
        assert_eq!(problems[0].to_string(), expected);
    }
}

#[test]
fn a_bad_value_on_the_command_line_is_a_configuration_error_and_names_the_flag() {
    let Err(error) = parse(&["-n", "-z", "-p", "70000"]) else {
        panic!("accepted")
    };
    assert_eq!(error.exit_code(), 1);
    assert_eq!(
        error.to_string(),
        "command line, -p: listening-port: 70000 is above 65535. Write a port from 0 to 65535."
    );
}

#[test]
fn no_message_shows_a_secret() {
    for line in [
        "user=alice:0xsecret",
        "user=s3cret",
        "user=:s3cret",
        "static-auth-secret=s3cret\nstatic-auth-secret=s3cret",
    ] {
        let text = match in_file(line) {
            Said::Problems(problems) => format!("{problems:?}"),
            Said::Warnings(warnings) => format!("{warnings:?}"),
        };
        assert!(
            !text.contains("s3cret") && !text.contains("0xsecret"),
            "{line}: {text}"
        );
    }
}

#[test]
fn long_and_odd_values_are_shown_short_and_on_one_line() {
    let Said::Problems(problems) = in_file(&format!("listening-ip={}\x1b[31m", "x!".repeat(400)))
    else {
        panic!("accepted")
    };
    let text = problems[0].to_string();
    assert!(text.len() < 250 && !text.contains('\x1b'), "{text}");
}

#[test]
fn an_error_is_preceded_by_the_warnings_that_may_be_its_cause() {
    let misspelt = parse_with(&["-c", FILE], &[(FILE, "static-auth-secrt=abc")]);
    let Err(error) = misspelt else {
        panic!("it was accepted")
    };
    let text = error.to_string();
    let (cause, effect) = (
        text.find("static-auth-secrt"),
        text.find("no authentication"),
    );
    assert!(cause.is_some() && cause < effect, "{text}");
    let Err(error) = parse_with(&["-c", "/nowhere.conf"], &[]) else {
        panic!("it was accepted")
    };
    assert!(error.to_string().contains("/nowhere.conf"), "{error}");
}
