//! What does not fit together.

use turn_config::settings::LogTarget;

use super::support::{
    assert_warns, file_problems, lines, names, parse, parse_with, problems, run, run_file, settings,
};

#[test]
fn without_a_mechanism_it_refuses_and_names_the_remedies() {
    for args in [
        &["-n"][..],
        &["-n", "-p", "3500"],
        &["-n", "--secure-stun", "--stun-only"],
    ] {
        let problems = problems(parse(args));
        let text = problems[0].to_string();
        assert!(
            text.starts_with("no authentication is configured"),
            "{text}"
        );
        for remedy in [
            "static-auth-secret=SECRET",
            "lt-cred-mech with user=NAME:PASSWORD",
            "no-auth",
        ] {
            assert!(text.contains(remedy), "{text}");
        }
    }
}

#[test]
fn what_follows_from_a_bad_value_is_not_told_as_well() {
    for content in [
        "static-auth-secret=",
        "user=alice",
        "no-auth\nmin-port=70000\nmax-port=40000",
    ] {
        assert_eq!(file_problems(content).len(), 1, "{content}");
    }
}

#[test]
fn a_mechanism_nobody_could_use_is_refused() {
    assert!(
        file_problems("use-auth-secret")[0]
            .to_string()
            .contains("Add static-auth-secret=SECRET")
    );
    assert!(
        file_problems("lt-cred-mech")[0]
            .to_string()
            .contains("Add user=NAME:PASSWORD")
    );
    assert!(
        file_problems("lt-cred-mech\nuserdb=/var/lib/turn/turndb")[0]
            .to_string()
            .contains("databases")
    );
}

#[test]
fn a_server_that_relays_nothing_needs_no_mechanism() {
    assert!(!run(&["-n", "--stun-only"]).stun.relaying);
}

#[test]
fn no_auth_and_a_mechanism_contradict_each_other() {
    for mechanism in ["lt-cred-mech", "use-auth-secret", "static-auth-secret=s"] {
        let problems = file_problems(&format!("no-auth\n{mechanism}"));
        let text = problems[0].to_string();
        let name = mechanism.split('=').next().unwrap();
        assert!(
            text.contains(&format!(
                "no-auth contradicts {name} (/etc/turnserver.conf:2)"
            )),
            "{text}"
        );
    }
}

#[test]
fn no_auth_ignores_accounts_as_coturn_does() {
    let settings = run_file("no-auth\nuser=a:b");
    assert!(settings.auth.anonymous && settings.auth.users.is_empty());
    assert_warns(&settings, &["turnserver.conf:2: user is ignored"]);
}

/// In coturn the secret wins and all accounts are ignored.
#[test]
fn accounts_and_secrets_count_together() {
    let settings = run_file(
        "lt-cred-mech\nuse-auth-secret\nstatic-auth-secret=s\nuser=a:b\nrealm=r\nallow-private-peers",
    );
    assert_eq!(
        (settings.auth.users.len(), settings.auth.secrets.len()),
        (1, 1)
    );
    assert_eq!(settings.warnings, []);
}

#[test]
fn an_account_alone_is_a_mechanism() {
    assert_eq!(run(&["-n", "-u", "a:b"]).auth.users.len(), 1);
}

#[test]
fn of_two_accounts_with_one_name_the_last_counts() {
    let settings = run(&["-n", "-u", "a:old", "-u", "b:x", "-u", "a:new"]);
    assert_eq!(names(&settings), ["b", "a"]);
    assert_warns(
        &settings,
        &["replaces an account of the same name", "\"a\""],
    );
    assert!(!format!("{:?}", settings.warnings).contains("new"));
}

/// coturn asks NIS, which nobody has any more, and then makes keys with an empty realm that its clients do not have.
#[test]
fn a_realm_that_is_missing_has_a_name_of_its_own() {
    assert_eq!(run(&["-n", "-u", "a:b"]).auth.realm, "turnpike");
}

#[test]
fn a_ready_key_without_realm_is_pointed_out() {
    let key = "a:0x00112233445566778899aabbccddeeff";
    assert_warns(
        &run(&["-n", "-u", key]),
        &["made for one realm", "\"turnpike\" is used"],
    );
    assert!(
        !lines(&run(&["-n", "-u", key, "-r", "x"]).warnings)
            .concat()
            .contains("realm")
    );
}

#[test]
fn the_port_range_must_not_be_empty() {
    let text = file_problems("no-auth\nmin-port=50000\nmax-port=49999")[0].to_string();
    assert!(
        text.starts_with("/etc/turnserver.conf:2: min-port 50000 is above max-port 49999"),
        "{text}"
    );
    // One end alone can be the mistake too.
    assert!(
        file_problems("no-auth\nmax-port=40000")[0]
            .to_string()
            .contains("49152 is above max-port 40000")
    );
    assert_eq!(
        run(&["-n", "-z", "--min-port=50000", "--max-port=50000"])
            .relay
            .max_port,
        50_000
    );
}

#[test]
fn a_listening_port_inside_the_relay_range_is_pointed_out() {
    assert_warns(
        &run(&["-n", "-z", "-p", "50000"]),
        &["-p: listening-port 50000 lies inside the relay range 49152-65535"],
    );
}

#[test]
fn nat_discovery_needs_two_ports_and_its_port_needs_discovery() {
    for ports in [
        ["-p", "0"],
        ["-p", "65535"],
        ["--alt-listening-port", "3478"],
    ] {
        let arguments = ["-n", "-z", "--rfc5780", ports[0], ports[1]];
        let problem = problems(parse(&arguments))[0].to_string();
        assert!(
            problem.contains("two different ports"),
            "{ports:?}: {problem}"
        );
    }
    let unused = run(&["-n", "-z", "--alt-listening-port=3500"]);
    assert_eq!(unused.listening.alternate_port, None);
    assert_warns(&unused, &["alt-listening-port is opened only with rfc5780"]);
    assert_warns(
        &run(&["-n", "-z", "--rfc5780", "--alt-listening-port=50000"]),
        &["alt-listening-port 50000 lies inside the relay range"],
    );
}

#[test]
fn shared_ports_are_free_ones_below_the_end() {
    let shared = ["-n", "-z", "--multiplex-peer"];
    let with = |more: &[&str]| problems(parse(&[&shared[..], more].concat()))[0].to_string();
    let clash = with(&["-p", "3481", "--multiplex-peer-ports=2"]);
    assert!(
        clash.contains("listening-port 3481 is one of the shared"),
        "{clash}"
    );
    let clash = with(&["-p", "3470", "--rfc5780", "--alt-listening-port=3480"]);
    assert!(
        clash.contains("alt-listening-port 3480 is one of the shared"),
        "{clash}"
    );
    let end = with(&["--multiplex-peer-port=65000", "--multiplex-peer-ports=600"]);
    assert!(end.contains("beyond port 65535"), "{end}");
    assert_warns(
        &run(&["-n", "-z", "--multiplex-peer-ports=2"]),
        &["multiplex-peer-ports is used only with multiplex-peer"],
    );
}

#[test]
fn a_server_that_nobody_can_reach_is_refused() {
    assert!(
        problems(parse(&["-n", "-z", "--no-udp", "--no-tcp"]))[0]
            .to_string()
            .contains("no way to reach the server")
    );
    assert!(
        problems(parse(&["-n", "-z", "--no-stun", "-S"]))[0]
            .to_string()
            .contains("nothing to answer")
    );
    assert!(
        problems(parse(&["-n", "-z", "--no-udp-relay", "--no-tcp-relay"]))[0]
            .to_string()
            .contains("nothing to relay")
    );
}

/// Synapse's documentation tells operators to; coturn keeps only the first.
#[test]
fn an_external_address_of_each_family_counts() {
    let settings = run_file("no-auth\nexternal-ip=203.0.113.5\nexternal-ip=2001:db8::5");
    let external: Vec<String> = settings
        .relay
        .external
        .iter()
        .map(|external| external.public.to_string())
        .collect();
    assert_eq!(external, ["203.0.113.5", "2001:db8::5"]);
    assert!(!lines(&settings.warnings).concat().contains("external-ip"));
}

/// The Docker image of coturn gives the address it detected as a flag behind the operator's file.
#[test]
fn of_two_external_addresses_of_one_family_the_first_counts() {
    let content = "no-auth\nexternal-ip=203.0.113.5";
    let outcome = parse_with(
        &["-c", "/f", "--external-ip=203.0.113.6"],
        &[("/f", content)],
    );
    let settings = settings(outcome);
    assert_eq!(settings.relay.external.len(), 1);
    assert_eq!(settings.relay.external[0].public.to_string(), "203.0.113.5");
    assert_warns(
        &settings,
        &[
            "--external-ip",
            "203.0.113.6 is ignored: 203.0.113.5 came first",
        ],
    );
}

#[test]
fn several_pairs_count_but_only_one_per_local_address() {
    let settings = run_file(
        "no-auth\nexternal-ip=203.0.113.5/10.0.0.5\nexternal-ip=203.0.113.6/10.0.0.6\nexternal-ip=203.0.113.7/10.0.0.6",
    );
    assert_eq!(settings.relay.external.len(), 2);
    assert_warns(
        &settings,
        &[
            "turnserver.conf:4",
            "203.0.113.7 is ignored: 203.0.113.6 came first",
        ],
    );
}

#[test]
fn an_external_address_that_matches_no_relay_address_is_pointed_out() {
    assert_warns(
        &run(&["-n", "-z", "-E", "10.0.0.5", "-X", "203.0.113.5/10.0.0.6"]),
        &["10.0.0.6 is not among the relay-ip addresses"],
    );
    assert_warns(
        &run(&["-n", "-z", "-E", "10.0.0.5", "-X", "2001:db8::1"]),
        &["no relay-ip is of the family of 2001:db8::1"],
    );
}

#[test]
fn open_private_networks_are_pointed_out_until_the_operator_decides() {
    let warned = |args: &[&str]| {
        lines(&run(args).warnings)
            .concat()
            .contains("allow-private-peers")
    };
    assert!(warned(&["-n", "-z"]));
    assert!(!warned(&["-n", "-z", "--allow-private-peers"]));
    assert!(!warned(&["-n", "-z", "--allow-private-peers=no"]));
    let denied = [
        "--denied-peer-ip=10.0.0.0-10.255.255.255",
        "--denied-peer-ip=172.16.0.0/12",
        "--denied-peer-ip=192.168.0.0/16",
    ];
    assert!(!warned(&["-n", "-z", denied[0], denied[1], denied[2]]));
    assert!(warned(&["-n", "-z", denied[0], denied[1]]));
}

#[test]
fn loopback_peers_are_pointed_out() {
    assert_warns(
        &run(&["-n", "-z", "--allow-loopback-peers"]),
        &["for tests only"],
    );
}

#[test]
fn log_lines_always_go_somewhere() {
    let settings = run(&["-n", "-z", "--no-stdout-log"]);
    assert_eq!(
        (&settings.logging.target, settings.logging.stdout_copy),
        (&LogTarget::Stdout, false)
    );
    assert_warns(&settings, &["no-stdout-log has no effect without log-file"]);
    for given in ["--log-file=syslog", "--syslog"] {
        let settings = run(&["-n", "-z", given]);
        let syslog = LogTarget::Syslog {
            socket: "/dev/log".into(),
            facility: 1,
        };
        assert_eq!(settings.logging.target, syslog, "{given}");
    }
    let settings = run(&["-n", "-z", "--syslog", "--log-file=/var/log/t.log"]);
    assert_warns(&settings, &["log-file=/var/log/t.log has no effect"]);
    let settings = run(&["-n", "-z", "--syslog-facility=LOG_MAIL"]);
    assert_warns(&settings, &["syslog-facility has no effect without syslog"]);
    assert_eq!(
        run(&["-n", "-z", "--log-file=-"]).logging.target,
        LogTarget::Stdout
    );
}

#[test]
fn a_daemon_logs_to_syslog_unless_a_file_is_named() {
    let target = |args: &[&str]| run(args).logging.target;
    let syslog = target(&["-n", "-z", "--daemon"]);
    assert!(matches!(syslog, LogTarget::Syslog { .. }), "{syslog:?}");
    let file = target(&["-n", "-z", "--daemon", "--log-file=/var/log/t.log"]);
    assert_eq!(file, LogTarget::File("/var/log/t.log".into()));
    assert_warns(
        &run(&["-n", "-z", "--daemon", "--log-file=stdout"]),
        &["a daemon has no standard output"],
    );
}

/// It goes into the head of an answer as it is.
#[test]
fn a_redirection_of_challenges_needs_a_url() {
    for wrong in [
        "acme.example.org",
        "ftp://acme.example.org/",
        "http://a/\u{e9}",
        "http://a b/",
    ] {
        let flag = format!("--acme-redirect={wrong}");
        let said = problems(parse(&["-n", "-z", &flag]))[0].to_string();
        assert!(
            said.contains("acme-redirect") && said.contains("http://"),
            "{said}"
        );
    }
}

#[test]
fn a_facility_that_is_none_is_refused() {
    let args = ["-n", "-z", "--syslog", "--syslog-facility=LOG_NONSENSE"];
    let said = problems(parse(&args))[0].to_string();
    for part in ["syslog-facility", "LOG_NONSENSE", "LOG_LOCAL0"] {
        assert!(said.contains(part), "no {part} in {said}");
    }
}

#[test]
fn threads_win_over_cpus_and_none_is_one() {
    let workers = |args: &[&str]| run(args).process.workers.map(usize::from);
    assert_eq!(workers(&["-n", "-z"]), None);
    assert_eq!(workers(&["-n", "-z", "-m", "0"]), Some(1));
    assert_eq!(workers(&["-n", "-z", "--cpus=8"]), Some(8));
    assert_eq!(workers(&["-n", "-z", "-m", "3", "--cpus=8"]), Some(3));
    assert_eq!(workers(&["-n", "-z", "-m", "500"]), Some(128));
}

#[test]
fn an_empty_pid_file_is_none() {
    assert_eq!(run(&["-n", "-z", "--pidfile="]).process.pid_file, None);
}

#[test]
fn keys_of_the_http_endpoint_come_from_flags_and_files() {
    let args = [
        "-n",
        "--static-auth-secret=s",
        "--http-listen=127.0.0.1:8080",
        "--http-api-key=k0",
        "--http-api-key-file=/keys",
    ];
    let settings = settings(parse_with(&args, &[("/keys", "# keys\n k1 \n\nk2\n")]));
    let keys: Vec<&str> = settings
        .http
        .api_keys
        .iter()
        .map(|key| key.expose().as_str())
        .collect();
    assert_eq!(keys, ["k0", "k1", "k2"]);
}

#[test]
fn a_key_file_that_holds_no_key_is_refused() {
    let args = [
        "-n",
        "-z",
        "--http-listen=127.0.0.1:8080",
        "--http-api-key-file=/keys",
    ];
    assert!(
        problems(parse(&args))[0]
            .to_string()
            .contains("/keys cannot be read")
    );
    assert!(
        problems(parse_with(&args, &[("/keys", "#\n\n")]))[0]
            .to_string()
            .contains("/keys holds no key")
    );
}

#[test]
fn an_endpoint_that_cannot_serve_anybody_is_pointed_out() {
    let settings = run(&["-n", "-u", "a:b", "--http-listen=127.0.0.1:8080"]);
    assert_warns(&settings, &["answers 401 to everybody"]);
    assert_warns(&settings, &["nothing to make credentials from"]);
    assert_warns(
        &run(&["-n", "-z", "--http-advertise=a.example"]),
        &["http-advertise has no effect without http-listen or https"],
    );
    let secure = ["-n", "-u", "a:b", "--cert=/c", "--pkey=/k", "--https"];
    assert_warns(&run(&secure), &["https: /v1/ice answers 401 to everybody"]);
    let plain = run(&["-n", "-z", "--https"]);
    assert_warns(&plain, &["https has no effect", "cert=FILE"]);
    assert!(!plain.http.https);
    assert_warns(
        &run(&["-n", "-z", "--prometheus-port=1"]),
        &["prometheus-port has no effect without prometheus"],
    );
}

#[test]
fn the_published_placeholders_are_no_secrets() {
    for line in [
        "static-auth-secret=replace-this-please",
        "user=alice:replace-this",
        "http-api-key=replace-this",
    ] {
        let text = file_problems(line)[0].to_string();
        assert!(text.contains("placeholder"), "{text}");
    }
}

#[test]
fn a_limit_that_means_nothing_is_refused() {
    for text in ["user.phones=7", "session.allocations=7", "user.channels"] {
        let problem = file_problems(&format!("no-auth\nlimit={text}"))[0].to_string();
        assert!(problem.contains("HOLDER.GOOD=NUMBER"), "{problem}");
    }
}

#[test]
fn a_nat64_prefix_has_a_length_of_the_rfc() {
    for text in [
        "10.0.0.0/8",
        "2001:db8::/33",
        "2001:db8::1-2001:db8::9",
        "64:ff9b::",
    ] {
        let problem = file_problems(&format!("no-auth\nnat64-prefix={text}"))[0].to_string();
        assert!(problem.contains("is not a prefix of NAT64"), "{problem}");
    }
    let args = [
        "-n",
        "--no-auth",
        "--nat64-prefix=64:ff9b:1:8000::/56",
        "--nat64-prefix=2a00::/32",
    ];
    assert_eq!(settings(parse(&args)).relay.peers.nat64.len(), 2);
}
