//! coturn's rules for a file, and what is mended.

use std::net::IpAddr;

use turn_config::settings::{DefaultFamily, Verbosity};
use turn_config::{TURNSERVER, Values, read_file};

use super::support::{FILE, assert_warns, file_problems, lines, parse_with, run_file, settings};

/// A file that starts quietly with `content` in it.
fn with(content: &str) -> String {
    format!("static-auth-secret=base\nrealm=r\nallow-private-peers\n{content}\n")
}

#[test]
fn any_run_of_blanks_and_equals_signs_separates() {
    for line in [
        "listening-port=3500",
        "listening-port 3500",
        "listening-port\t3500",
        "listening-port == \t 3500",
        "  listening-port = 3500  \r",
    ] {
        let settings = run_file(&with(line));
        assert_eq!(settings.listening.port, 3500, "{line:?}");
        assert_eq!(settings.warnings, [], "{line:?}");
    }
}

#[test]
fn a_later_equals_sign_belongs_to_the_value() {
    assert_eq!(
        run_file(&with("static-auth-secret=a=b==")).auth.secrets[1].expose(),
        b"a=b=="
    );
}

#[test]
fn one_double_quote_is_taken_off_each_end() {
    for (line, secret) in [
        ("static-auth-secret=\"quoted\"", "quoted"),
        ("static-auth-secret=\"quoted\"  ", "quoted"),
        ("static-auth-secret=\"\"two\"\"", "\"two\""),
        ("static-auth-secret=\"open", "open"),
        ("static-auth-secret=shut\"", "shut\""),
        ("static-auth-secret=\"with blank \"", "with blank "),
    ] {
        assert_eq!(
            run_file(&with(line)).auth.secrets[1].expose(),
            secret.as_bytes(),
            "{line}"
        );
    }
}

#[test]
fn other_quotes_belong_to_the_value_and_are_pointed_out() {
    for quoted in ["'secret'", "\u{201c}secret\u{201d}"] {
        let settings = run_file(&with(&format!("static-auth-secret={quoted}")));
        assert_eq!(settings.auth.secrets[1].expose(), quoted.as_bytes());
        assert_warns(
            &settings,
            &[
                "/etc/turnserver.conf:4",
                "static-auth-secret",
                "only straight double quotes",
            ],
        );
    }
}

#[test]
fn a_comment_has_its_own_line() {
    let settings = run_file(&with("# listening-port=1\n   # listening-port=2\n\n\t\n#"));
    assert_eq!(
        (settings.listening.port, settings.warnings.len()),
        (3478, 0)
    );
}

/// Synapse's documentation has the first, guides for Nextcloud the second; coturn dies of the second.
#[test]
fn a_comment_behind_a_number_or_flag_is_left_out_with_a_warning() {
    let settings = run_file(&with(
        "user-quota=12 # 4 streams per video call, so 12 streams = 3 simultaneous relayed calls\nlt-cred-mech # Only on coTURN below v4.5.0.8!\nfingerprint\t#yes\nlistening-ip=192.0.2.1 # public\nmin-port=50000 #",
    ));
    assert_eq!(settings.quotas.per_user, Some(12));
    assert!(settings.wire.fingerprint);
    assert_eq!(
        settings.listening.addresses,
        ["192.0.2.1".parse::<IpAddr>().unwrap()]
    );
    assert_eq!(settings.relay.min_port, 50_000);
    for (line, option) in [
        (4, "user-quota"),
        (5, "lt-cred-mech"),
        (6, "fingerprint"),
        (7, "listening-ip"),
        (8, "min-port"),
    ] {
        assert_warns(&settings, &[&format!("{FILE}:{line}"), option, "comment"]);
    }
}

#[test]
fn a_hash_inside_a_secret_belongs_to_it() {
    let settings = run_file(&with("static-auth-secret=ab#cd"));
    assert_eq!(settings.auth.secrets[1].expose(), b"ab#cd");
    assert_eq!(settings.warnings, []);
    let settings = run_file(&with("static-auth-secret=ab # not a comment"));
    assert_eq!(settings.auth.secrets[1].expose(), b"ab # not a comment");
    assert_warns(
        &settings,
        &["static-auth-secret", "\"#\" does not begin a comment"],
    );
    assert!(!lines(&settings.warnings).concat().contains("not a comment"));
}

#[test]
fn a_number_ends_where_its_digits_end() {
    let settings = run_file(&with(
        "user-quota=12abc\ntotal-quota= +7,5\nmax-allocate-lifetime=2h",
    ));
    assert_eq!(
        (settings.quotas.per_user, settings.quotas.total),
        (Some(12), Some(7))
    );
    assert_eq!(settings.lifetimes.max_allocation.as_secs(), 2);
    assert_warns(
        &settings,
        &["user-quota", "\"12abc\" is read as 12 allocations"],
    );
    assert_warns(
        &settings,
        &["max-allocate-lifetime", "\"2h\" is read as 2 seconds"],
    );
}

#[test]
fn a_flag_is_decided_by_its_first_letter() {
    for (text, on) in [
        ("", true),
        ("=yes", true),
        ("=1", true),
        ("=True", true),
        ("=on", true),
        ("=ON", true),
        (" 9", true),
        ("=no", false),
        ("=0", false),
        ("=False", false),
        ("=off", false),
        ("=Off", false),
        ("=never", false),
    ] {
        let settings = run_file(&with(&format!("fingerprint{text}")));
        assert_eq!(settings.wire.fingerprint, on, "{text:?}");
    }
}

/// coturn ignores the value of these and turns them on.
#[test]
fn no_is_honoured_where_coturn_ignores_it() {
    let settings = run_file(&with(
        "user=a:b\nuse-auth-secret=false\nprometheus=false\nkeep-address-family=no\nVerbose=0",
    ));
    assert!(settings.auth.secrets.is_empty() && settings.metrics.is_none());
    assert_eq!(settings.relay.default_family, DefaultFamily::V4);
    assert_eq!(settings.logging.verbosity, Verbosity::Normal);
}

#[test]
fn an_unknown_key_warns_and_the_rest_counts() {
    let settings = run_file(&with(
        "frobnicate=yes\nlistening_port=1\n--min-port=1\np 1\nhelp\nlistening-port=3500",
    ));
    assert_eq!(settings.listening.port, 3500);
    assert_warns(
        &settings,
        &["turnserver.conf:4: unknown key \"frobnicate\", the line is ignored"],
    );
    assert_warns(
        &settings,
        &[
            "turnserver.conf:5: unknown key \"listening_port\"",
            "did you mean listening-port?",
        ],
    );
    assert_warns(
        &settings,
        &[
            "turnserver.conf:6: unknown key \"--min-port\"",
            "without dashes: min-port",
        ],
    );
    assert_warns(
        &settings,
        &[
            "turnserver.conf:7: unknown key \"p\"",
            "write listening-port",
        ],
    );
    assert_warns(
        &settings,
        &["turnserver.conf:8: \"help\" belongs on the command line"],
    );
    assert_eq!(settings.warnings.len(), 5);
}

#[test]
fn names_are_case_sensitive_and_never_shortened() {
    let settings = run_file(&with("Listening-port=1\nlistening-por=1\nverbose"));
    assert_eq!(
        (settings.listening.port, settings.logging.verbosity),
        (3478, Verbosity::Sessions)
    );
    assert_eq!(settings.warnings.len(), 2);
}

#[test]
fn the_last_scalar_counts_and_lists_grow() {
    let settings = run_file(&with(
        "listening-port=1\nlistening-port=2\nrelay-ip=192.0.2.1\nrelay-ip=192.0.2.2",
    ));
    assert_eq!(settings.listening.port, 2);
    assert_eq!(settings.relay.addresses.len(), 2);
    assert_warns(
        &settings,
        &[
            "turnserver.conf:5",
            "listening-port: replaces the value at /etc/turnserver.conf:4",
        ],
    );
}

#[test]
fn the_realm_may_follow_the_users() {
    let settings = run_file("user=a:b\nlt-cred-mech\nrealm=later.example\nallow-private-peers");
    assert_eq!(
        (settings.auth.realm.as_str(), settings.auth.users.len()),
        ("later.example", 1)
    );
}

#[test]
fn a_semicolon_at_the_end_is_pointed_out() {
    let settings = run_file(&with(
        "listening-port=3500;\nlistening-ip=192.0.2.1;\nstatic-auth-secret=abc;",
    ));
    assert_eq!(
        (settings.listening.port, settings.listening.addresses.len()),
        (3500, 1)
    );
    assert_eq!(settings.auth.secrets[1].expose(), b"abc;");
    for line in [4, 5, 6] {
        assert_warns(&settings, &[&format!("{FILE}:{line}"), "semicolon"]);
    }
}

/// coturn splits it and reads the tail as a line of its own.
#[test]
fn a_long_line_is_read_whole_with_a_warning() {
    let secret = "s".repeat(2000);
    let settings = run_file(&with(&format!("static-auth-secret={secret}")));
    assert_eq!(settings.auth.secrets[1].expose(), secret.as_bytes());
    assert_warns(&settings, &["turnserver.conf:4", "read whole"]);
    let comment = format!("#{}", "x".repeat(5000));
    assert_eq!(run_file(&with(&comment)).warnings, []);
}

/// A hundred thousand ranges: a second, where each line is looked for once; minutes, where it is compared with all before it.
#[test]
fn a_block_list_may_be_as_long_as_the_list_of_a_countrys_networks() {
    let line = |place: u32| {
        let [_, a, b, c] = place.to_be_bytes();
        format!("denied-peer-ip=20{a}.{b}.{c}.0/24\n")
    };
    let content: String = (0..100_000).chain([77]).map(line).collect();
    let settings = run_file(&format!("no-auth\n{content}"));
    assert_eq!(settings.relay.peers.denied.len(), 100_000);
    assert_warns(&settings, &["100002", "the same value as at", ":79"]);
}

/// To coturn, none of its lines means anything: it starts with its defaults.
#[test]
fn a_file_in_utf16_is_refused_in_words() {
    for bytes in [&b"\xff\xfen\0o\0"[..], b"\xfe\xff\0n\0o"] {
        let raw = read_file(&TURNSERVER, "t.conf", bytes);
        let (_, report) = Values::read(&TURNSERVER, raw, &|_| None);
        let error = report.finish().err().map(|error| error.to_string());
        let said =
            "t.conf:1: the file is UTF-16, as some editors of Windows write it. Save it as UTF-8.";
        assert_eq!(error.as_deref(), Some(said));
    }
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_do_not_matter() {
    let settings = run_file(
        "\u{feff}listening-port=3500\r\nstatic-auth-secret=base\r\nrealm=r\r\nallow-private-peers\r\n",
    );
    assert_eq!(
        (settings.listening.port, settings.warnings.len()),
        (3500, 0)
    );
    assert_eq!(settings.auth.secrets[0].expose(), b"base");
}

#[test]
fn a_value_that_is_not_utf8_is_refused_and_a_comment_is_not() {
    let read = |path: &std::path::Path| {
        if path != std::path::Path::new(FILE) {
            return Err(std::io::ErrorKind::NotFound.into());
        }
        Ok(b"# caf\xe9\nrealm=caf\xe9\nno-auth\n".to_vec())
    };
    let environment = turn_config::Environment {
        resolve: &|_| None,
        read: &read,
        variables: Vec::new(),
        program_folder: None,
    };
    let args = ["-c", FILE].map(std::ffi::OsString::from);
    let Err(error) = turn_config::parse(args, &environment) else {
        panic!("accepted")
    };
    assert!(
        error
            .to_string()
            .starts_with("/etc/turnserver.conf:2: realm: the value is not UTF-8"),
        "{error}"
    );
}

#[test]
fn host_names_are_resolved_once() {
    let settings = run_file(&with(
        "external-ip=relay.example.org/10.0.0.1\nrelay-ip=relay6.example.org\nrelay-ip=10.0.0.1",
    ));
    assert_eq!(
        settings.relay.external[0].public,
        "192.0.2.77".parse::<IpAddr>().unwrap()
    );
    assert_eq!(
        settings.relay.addresses[0],
        "2001:db8::77".parse::<IpAddr>().unwrap()
    );
    let problems = file_problems(&with("external-ip=YOUR_PUBLIC_IP"));
    assert_eq!(
        problems[0].to_string(),
        "/etc/turnserver.conf:4: external-ip: the host name \"YOUR_PUBLIC_IP\" has no address. Write the IP address \
         itself, or make the name resolve."
    );
}

#[test]
fn flags_override_the_file_and_extend_its_lists() {
    let content = with("listening-port=1\nrelay-ip=192.0.2.1\nlog-file=/var/log/a\nverbose");
    let args = [
        "-c",
        FILE,
        "-p",
        "2",
        "-E",
        "192.0.2.2",
        "--log-file=stdout",
        "--verbose=no",
    ];
    let settings = settings(parse_with(&args, &[(FILE, &content)]));
    assert_eq!(settings.listening.port, 2);
    assert_eq!(
        settings.relay.addresses,
        ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse::<IpAddr>().unwrap())
    );
    assert_eq!(
        settings.logging.target,
        turn_config::settings::LogTarget::Stdout
    );
    assert_eq!(settings.logging.verbosity, Verbosity::Normal);
    assert_eq!(settings.warnings, []);
    assert_eq!(
        settings.origin("listening-port").to_string(),
        "command line, -p"
    );
    assert_eq!(
        settings.origin("relay-ip").to_string(),
        "/etc/turnserver.conf:5"
    );
    assert_eq!(settings.origin("max-port").to_string(), "default");
}

/// coturn looks for a certificate of that name, and tells clients a realm of that name.
#[test]
fn a_comment_behind_a_path_or_a_name_is_left_out_with_a_warning() {
    let settings = run_file(&with(
        "pidfile=/run/t.pid # here\nserver-name=turn.example.org\t# and there\nno-cli",
    ));
    assert_eq!(
        settings.process.pid_file.as_deref(),
        Some(std::path::Path::new("/run/t.pid"))
    );
    assert_warns(&settings, &["turnserver.conf:4: pidfile: the comment"]);
    assert_warns(&settings, &["turnserver.conf:5: server-name: the comment"]);
    // No blank before it, no comment.
    let settings = run_file(&with("pidfile=/run/a#b"));
    assert_eq!(
        settings.process.pid_file.as_deref(),
        Some(std::path::Path::new("/run/a#b"))
    );
    assert_eq!(settings.warnings, []);
}

#[test]
fn docker_and_others_write_ranges_as_prefixes() {
    let settings = run_file(&with(
        "denied-peer-ip=10.0.0.0/8\nallowed-peer-ip=2001:db8::/32",
    ));
    let last = settings.relay.peers.denied[0].last().to_string();
    assert_eq!(last, "10.255.255.255");
    assert_eq!(
        settings.relay.peers.allowed[0].first().to_string(),
        "2001:db8::"
    );
}

#[test]
fn multicast_peers_cannot_be_allowed() {
    let settings = run_file(&with("no-multicast-peers=no"));
    assert_warns(
        &settings,
        &[
            "turnserver.conf:4",
            "no-multicast-peers cannot be turned off",
        ],
    );
}
