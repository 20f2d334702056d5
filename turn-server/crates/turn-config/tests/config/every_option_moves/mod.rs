//! Each option that works moves exactly the setting it is meant to move.
//!
//! In: the rules. Not in: the cases, which stand by the groups of `options/`, and how settings are pictured (`picture.rs`).

mod auth;
mod http;
mod listening;
mod logging;
mod metrics;
mod ours;
mod picture;
mod process;
mod redirect;
mod relay;
mod tls;
mod wire;

use turn_config::option::{Default, Kind, OptionSpec};
use turn_config::{Invocation, TURNSERVER};

use self::picture::picture_without_warnings;
use super::support::{lines, parse, run, usage};

pub(super) use self::picture::picture;

/// What stands before an option so that the start is not refused: a secret that no case uses.
pub(super) const BASE: [&str; 2] = ["-n", "--static-auth-secret=base"];

/// (option, arguments, what the settings then say and did not say before)
pub(super) type Case = (&'static str, &'static [&'static str], &'static str);

/// Those of all groups.
pub(super) fn cases() -> impl Iterator<Item = &'static Case> {
    let groups = [
        listening::CASES,
        relay::CASES,
        auth::CASES,
        http::CASES,
        logging::CASES,
        process::CASES,
        wire::CASES,
        metrics::CASES,
        ours::CASES,
        tls::CASES,
        redirect::CASES,
    ];
    groups.into_iter().flatten()
}

#[test]
fn each_case_moves_its_setting() {
    let before = picture(&run(&BASE));
    for (option, args, expected) in cases() {
        assert!(
            !before.contains(expected),
            "{option}: {expected} holds without the option"
        );
        let args: Vec<&str> = BASE.iter().chain(args.iter()).copied().collect();
        let after = picture(&run(&args));
        assert!(
            after.contains(expected),
            "{option}: no {expected} in\n{after}"
        );
    }
}

#[test]
fn no_auth_makes_everybody_welcome() {
    let settings = run(&["-n", "-z"]);
    assert!(
        settings.auth.anonymous
            && settings.auth.users.is_empty()
            && settings.auth.secrets.is_empty()
    );
    assert!(!run(&BASE).auth.anonymous);
}

/// Some are tested elsewhere, where a file or another outcome is needed.
#[test]
fn every_working_option_has_a_case() {
    const ELSEWHERE: [&str; 13] = [
        "no-auth",                 // above
        "http-api-key-file",       // checks.rs
        "oauth-keys-file",         // oauth.rs
        "server-name",             // oauth.rs
        "static-auth-secret-file", // auth_files.rs
        "static-users-file",       // auth_files.rs
        "config-file",             // start.rs, from here on
        "no-config-file",
        "help",
        "version",
        "quickstart",
        "check-config",
        "prepare-for", // credentials.rs
    ];
    let untested: Vec<_> = TURNSERVER
        .options()
        .filter(|option| option.works())
        .map(|option| option.long)
        .filter(|long| !ELSEWHERE.contains(long) && !cases().any(|(option, ..)| option == long))
        .collect();
    assert!(untested.is_empty(), "{untested:?}");
}

#[test]
fn every_flag_can_be_turned_off_again() {
    let before = run(&BASE);
    let flags = TURNSERVER
        .options()
        .filter(|option| option.works() && option.kind == Kind::Flag && !option.command_line_only);
    for option in flags.filter(|option| option.default == Default::Value("no")) {
        // Turned off, these change what else counts; the table has them.
        if ["use-auth-secret", "no-multicast-peers"].contains(&option.long) {
            continue;
        }
        let off = format!("--{}=false", option.long);
        let after = run(&[BASE[0], BASE[1], &off]);
        assert_eq!(picture(&after), picture(&before), "{off}");
        assert_eq!(
            after.origin(option.long).to_string(),
            format!("command line, --{}", option.long)
        );
    }
}

#[test]
fn what_does_not_work_says_so_in_one_line_and_changes_nothing() {
    let before = run(&BASE);
    for option in TURNSERVER.options().filter(|option| !option.works()) {
        let flag = match option.kind {
            Kind::Flag => format!("--{}=yes", option.long),
            _ => format!("--{}={}", option.long, unlike_the_default(option)),
        };
        let after = run(&[BASE[0], BASE[1], &flag]);
        let said: Vec<String> = lines(&after.warnings)
            .into_iter()
            .filter(|line| line.contains("no effect"))
            .collect();
        let [said] = said.as_slice() else {
            panic!("{flag}: {said:?}")
        };
        assert!(
            said.starts_with(&format!("command line, --{0}: {0} ", option.long)),
            "{said}"
        );
        assert_eq!(
            after.warnings.len(),
            before.warnings.len() + 1,
            "{flag}: {:?}",
            after.warnings
        );
        assert_eq!(
            picture_without_warnings(&after),
            picture_without_warnings(&before),
            "{flag}"
        );
    }
}

/// An example, or a value beside the default where both are the same.
fn unlike_the_default(option: &OptionSpec) -> String {
    match (option.default, option.kind) {
        (Default::Value(text), Kind::Number(_) | Kind::Port { .. }) => {
            (text.parse::<u64>().unwrap() + 1).to_string()
        }
        (Default::Value("debug"), _) => "info".into(),
        _ => option.example.to_owned(),
    }
}

#[test]
fn an_option_that_is_not_built_is_quiet_while_it_asks_for_nothing() {
    let settings = run(&[
        "-n",
        "--static-auth-secret=base",
        "--realm=r",
        "--allow-private-peers",
        "--bps-capacity=0",
        "--dtls=false",
        "--drain-min-allocations",
    ]);
    assert_eq!(settings.warnings, []);
}

#[test]
fn flags_without_value_need_no_word_behind_them() {
    for option in TURNSERVER
        .options()
        .filter(|option| option.kind == Kind::Flag)
    {
        let flag = format!("--{}", option.long);
        let outcome = parse(&["-n", "--static-auth-secret=x", &flag, "--user-quota=3"]);
        match outcome {
            Ok(Invocation::Run(settings)) => {
                assert_eq!(settings.quotas.per_user, Some(3), "{flag}")
            }
            Ok(_) | Err(turn_config::Error::Config { .. }) => {}
            Err(error) => panic!("{flag}: {error}"),
        }
    }
}

#[test]
fn values_that_are_needed_are_asked_for() {
    for option in TURNSERVER.options() {
        let needs_word = !matches!(option.kind, Kind::Flag)
            && !matches!(option.kind, Kind::Number(number) if number.optional);
        if needs_word {
            let text = usage(parse(&[&format!("--{}", option.long)]));
            assert!(
                text.contains("needs a value") && text.contains(option.long),
                "{text}"
            );
        }
    }
}
