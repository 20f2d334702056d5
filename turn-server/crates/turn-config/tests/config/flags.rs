//! coturn's rules for the command line, and what is mended.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use turn_config::settings::DefaultFamily;
use turn_config::{Environment, Error, Invocation, Settings};

use super::support::{assert_warns, parse, run, usage};

fn with(args: &[&str]) -> Settings {
    let base = [
        "-n",
        "--static-auth-secret=base",
        "--realm=r",
        "--allow-private-peers",
    ];
    run(&base.iter().chain(args).copied().collect::<Vec<_>>())
}

#[test]
fn values_stand_behind_an_equals_sign_or_in_the_next_word() {
    for args in [
        &["--listening-port=3500"][..],
        &["--listening-port", "3500"],
        &["-p", "3500"],
        &["-p3500"],
    ] {
        let settings = with(args);
        assert_eq!(
            (settings.listening.port, settings.warnings.len()),
            (3500, 0),
            "{args:?}"
        );
    }
}

#[test]
fn a_short_flag_with_an_equals_sign_is_understood_with_a_warning() {
    let settings = with(&["-p=3500"]);
    assert_eq!(settings.listening.port, 3500);
    assert_warns(&settings, &["-p", "the \"=\" is ignored", "-p VALUE"]);
}

#[test]
fn flags_without_values_can_share_a_dash() {
    let settings = with(&["-vfp3500"]);
    assert!(settings.wire.fingerprint);
    assert_eq!(settings.listening.port, 3500);
    assert_eq!(
        settings.logging.verbosity,
        turn_config::settings::Verbosity::Sessions
    );
}

#[test]
fn a_unique_beginning_of_a_long_flag_is_enough() {
    let settings = with(&["--external=203.0.113.9"]);
    assert_eq!(settings.relay.external.len(), 1);
}

#[test]
fn an_ambiguous_beginning_is_a_usage_error_that_lists_them() {
    let text = usage(parse(&["--listening=1"]));
    assert!(
        text.contains(
            "--listening could be --listening-ip or --listening-port or --listening-device"
        ),
        "{text}"
    );
}

#[test]
fn an_unknown_flag_is_a_usage_error_with_a_suggestion_and_without_its_value() {
    let text = usage(parse(&["--static-auth-secrte=s3cret"]));
    assert!(
        text.contains("unknown flag --static-auth-secrte; did you mean --static-auth-secret?"),
        "{text}"
    );
    assert!(
        text.contains("turnserver --help") && !text.contains("s3cret"),
        "{text}"
    );
    assert!(usage(parse(&["-Y"])).contains("unknown flag -Y"));
    assert!(usage(parse(&["-vY"])).contains("unknown flag -Y"));
}

#[test]
fn a_flag_without_its_value_is_a_usage_error() {
    assert!(usage(parse(&["-p"])).contains("-p needs a value, for example --listening-port=3478"));
    assert!(usage(parse(&["--realm"])).contains("--realm needs a value"));
    assert!(!usage(parse(&["--user"])).contains("replace-this"));
}

#[test]
fn an_argument_that_is_not_utf8_is_a_usage_error_that_names_its_place() {
    let environment = Environment {
        resolve: &|_| None,
        read: &|_| Ok(Vec::new()),
        variables: Vec::new(),
        program_folder: None,
    };
    let args = [
        OsString::from("-n"),
        OsString::from_vec(b"--realm=caf\xe9".to_vec()),
    ];
    let Err(Error::Usage(text)) = turn_config::parse(args, &environment) else {
        panic!("accepted")
    };
    assert!(text.contains("argument 2 is not UTF-8"), "{text}");
}

#[test]
fn a_value_may_begin_with_a_dash_but_a_swallowed_flag_is_pointed_out() {
    let settings = with(&["--http-listen", "127.0.0.1:1", "--http-api-key", "--no-udp"]);
    assert!(settings.listening.udp);
    assert_warns(
        &settings,
        &["--http-api-key", "the flag --no-udp is taken as the value"],
    );
}

#[test]
fn stray_words_warn_and_the_rest_counts() {
    let settings = with(&["hello", "-p", "3500", "--", "--no-udp"]);
    assert_eq!(
        (settings.listening.port, settings.listening.udp),
        (3500, true)
    );
    assert_warns(&settings, &["\"hello\"", "belongs to no flag"]);
    assert_warns(&settings, &["\"--no-udp\"", "belongs to no flag"]);
}

#[test]
fn a_stray_truth_behind_a_flag_gets_the_right_spelling() {
    let settings = with(&["--fingerprint", "false"]);
    assert!(settings.wire.fingerprint);
    assert_warns(&settings, &["\"false\"", "write --fingerprint=VALUE"]);
}

#[test]
fn a_stray_word_behind_a_secret_is_not_shown() {
    let settings = with(&["--user", "alice:my", "s3cret"]);
    assert_warns(&settings, &["the word behind --user belongs to no flag"]);
    assert!(!format!("{:?}", settings.warnings).contains("s3cret"));
}

/// coturn would use the default and drop the number.
#[test]
fn a_number_behind_a_flag_that_may_stand_alone_is_taken() {
    assert_eq!(
        with(&["--max-allocate-lifetime", "700"])
            .lifetimes
            .max_allocation
            .as_secs(),
        700
    );
    let nonce_lifetime = |args| with(args).auth.nonce_lifetime.unwrap().as_secs();
    assert_eq!(nonce_lifetime(&["--stale-nonce", "900"]), 900);
    assert_eq!(nonce_lifetime(&["--stale-nonce", "-v"]), 600);
}

/// coturn's -K swallows the next word, whatever it is.
#[test]
fn the_letter_k_takes_a_truth_and_leaves_flags_alone() {
    assert_eq!(
        with(&["-K", "-v"]).relay.default_family,
        DefaultFamily::Client
    );
    assert_eq!(
        with(&["-K", "yes"]).relay.default_family,
        DefaultFamily::Client
    );
    assert_eq!(with(&["-K", "no"]).relay.default_family, DefaultFamily::V4);
}

#[test]
fn flags_that_coturn_lost_are_accepted() {
    let settings = with(&[
        "--no-tlsv1",
        "--no-tlsv1_1",
        "--no-cli",
        "--no-loopback-peers",
        "--dh2066",
        "--prod",
    ]);
    assert_eq!(settings.warnings.len(), 6);
}

#[test]
fn the_same_scalar_twice_is_pointed_out() {
    let settings = with(&["-p", "1", "--listening-port=2"]);
    assert_eq!(settings.listening.port, 2);
    assert_warns(
        &settings,
        &["--listening-port", "replaces the value at command line, -p"],
    );
}

#[test]
fn every_flag_has_a_no_form_unless_an_option_is_called_so() {
    for option in turn_config::TURNSERVER.options() {
        let long = option.long;
        let no_form = option.kind == turn_config::option::Kind::Flag
            && !option.command_line_only
            && !long.starts_with("no-")
            && turn_config::TURNSERVER
                .find(&format!("no-{long}"))
                .is_none();
        if !no_form {
            continue;
        }
        let (written, short) = (format!("--{long}=no"), format!("--no-{long}"));
        // Each line without its origin: that is what differs.
        let explained = |flag: &str| -> Vec<String> {
            let Ok(Invocation::CheckConfig(settings)) = parse(&[
                "--check-config",
                "-n",
                "-ua:b",
                "--static-auth-secret=c",
                flag,
            ]) else {
                panic!("{flag}")
            };
            let text = settings.explain(&[]).replace(&format!("--no-{long}"), "--");
            let text = text.replace(&format!("--{long}"), "--");
            text.lines().map(str::to_owned).collect()
        };
        assert_eq!(explained(&short), explained(&written), "{long}");
    }
    assert!(run(&["-n", "-z", "--no-fingerprint=no"]).wire.fingerprint);
    assert!(usage(parse(&["--no-fingerprint=perhaps", "-z"])).contains("yes or no"));
    // Those are options of their own, or no flags.
    for unknown in ["--no-no-udp", "--no-realm", "--no-help", "--no-fingerpr"] {
        assert!(
            usage(parse(&["-z", unknown])).contains("unknown flag"),
            "{unknown}"
        );
    }
}
