//! Each option that works moves exactly the setting it is meant to move.

use std::fmt::Write;

use turn_config::option::{Default, Kind, OptionSpec};
use turn_config::settings::{Password, Settings};
use turn_config::{Invocation, TURNSERVER};

use super::support::{lines, parse, run, usage};

/// What stands before an option so that the start is not refused: a secret that no case uses.
pub(super) const BASE: [&str; 2] = ["-n", "--static-auth-secret=base"];

/// (option, arguments, what the settings then say and did not say before)
pub(super) const CASES: &[(&str, &[&str], &str)] = &[
    (
        "listening-ip",
        &["-L", "192.0.2.1", "--listening-ip=::1"],
        "addresses: [192.0.2.1, ::1], port: 3478",
    ),
    ("listening-port", &["-p", "3500"], "port: 3500"),
    ("rfc5780", &["--rfc5780"], "alternate_port: Some(3479)"),
    (
        "alt-listening-port",
        &["--rfc5780", "--alt-listening-port=3500"],
        "alternate_port: Some(3500)",
    ),
    (
        "tcp-proxy-port",
        &["--tcp-proxy-port=5555"],
        "proxy_port: Some(5555)",
    ),
    (
        "proxy-protocol-from",
        &["--proxy-protocol-from=10.0.0.0/31"],
        "proxies: [IpRange { first: 10.0.0.0, last: 10.0.0.1 }]",
    ),
    (
        "aux-server",
        &[
            "--aux-server=192.0.2.9:443",
            "--aux-server=[2001:db8::9]:443",
        ],
        "aux: [192.0.2.9:443, [2001:db8::9]:443]",
    ),
    (
        "alt-tls-listening-port",
        &[
            "--rfc5780",
            "--cert=/c.pem",
            "--pkey=/k.pem",
            "--alt-tls-listening-port=5400",
        ],
        "alternate_port: Some(5400)",
    ),
    (
        "stateless-nonce-secret",
        &["--stateless-nonce-secret=shared"],
        "nonce secret: shared",
    ),
    ("no-udp", &["--no-udp"], "udp: false"),
    ("no-tcp", &["--no-tcp"], "tcp: false"),
    ("no-stun", &["--no-stun"], "binding: false"),
    ("stun-only", &["-S"], "relaying: false"),
    (
        "secure-stun",
        &["--secure-stun"],
        "binding_needs_auth: true",
    ),
    (
        "sock-buf-size",
        &["--sock-buf-size=4096"],
        "socket_buffer: 4096",
    ),
    (
        "relay-ip",
        &["-E", "192.0.2.1", "-E", "192.0.2.2"],
        "Relay { addresses: [192.0.2.1, 192.0.2.2]",
    ),
    (
        "external-ip",
        &["-X", "203.0.113.1", "--external-ip=203.0.113.2/10.0.0.2"],
        "external: [External { public: 203.0.113.1, private: None }, External { public: 203.0.113.2, private: Some(10.0.0.2) }]",
    ),
    (
        "cert",
        &["--cert=/c.pem", "--pkey=/k.pem"],
        "Tls { port: 5349, certificate: \"/c.pem\"",
    ),
    (
        "pkey",
        &["--cert=/c.pem", "--pkey=/k2.pem"],
        "key: \"/k2.pem\"",
    ),
    (
        "tls-listening-port",
        &["--cert=/c.pem", "--pkey=/k.pem", "--tls-listening-port=443"],
        "Tls { port: 443",
    ),
    (
        "no-tls",
        &["--cert=/c.pem", "--pkey=/k.pem", "--no-tls"],
        "no-tls = yes",
    ),
    (
        "dtls",
        &["--cert=/c.pem", "--pkey=/k.pem", "--dtls"],
        "dtls: Some(Tls { port: 5349",
    ),
    (
        "no-dtls",
        &["--cert=/c.pem", "--pkey=/k.pem", "--dtls", "--no-dtls"],
        "no-dtls = yes",
    ),
    (
        "CA-file",
        &["--cert=/c.pem", "--pkey=/k.pem", "--CA-file=/ca.pem"],
        "client_authorities: Some(\"/ca.pem\")",
    ),
    (
        "cipher-list",
        &["--cert=/c.pem", "--pkey=/k.pem", "--cipher-list=HIGH"],
        "ciphers: Some(\"HIGH\")",
    ),
    (
        "ec-curve-name",
        &["--cert=/c.pem", "--pkey=/k.pem", "--ec-curve-name=X25519"],
        "groups: Some(\"X25519\")",
    ),
    (
        "no-tlsv1_2",
        &["--cert=/c.pem", "--pkey=/k.pem", "--no-tlsv1_2"],
        "tls12: false",
    ),
    ("min-port", &["--min-port=50000"], "min_port: 50000"),
    ("max-port", &["--max-port=60000"], "max_port: 60000"),
    (
        "allowed-peer-ip",
        &[
            "--allowed-peer-ip=10.0.0.1",
            "--allowed-peer-ip=fc00::1-fc00::9",
        ],
        "allowed: [IpRange { first: 10.0.0.1, last: 10.0.0.1 }, IpRange { first: fc00::1, last: fc00::9 }]",
    ),
    (
        "denied-peer-ip",
        &["--denied-peer-ip=10.0.0.0/30"],
        "denied: [IpRange { first: 10.0.0.0, last: 10.0.0.3 }]",
    ),
    (
        "nat64-prefix",
        &["--nat64-prefix=2001:db8:64::/96"],
        "nat64: [(2001:db8:64::, 96)]",
    ),
    (
        "no-multicast-peers",
        &["--no-multicast-peers=no"],
        "no-multicast-peers cannot be turned off",
    ),
    (
        "allow-loopback-peers",
        &["--allow-loopback-peers"],
        "loopback: true",
    ),
    (
        "allow-private-peers",
        &["--allow-private-peers=no"],
        "private: false",
    ),
    (
        "allocation-default-address-family",
        &["-A", "ipv6"],
        "default_family: V6",
    ),
    ("keep-address-family", &["-K"], "default_family: Client"),
    (
        "multiplex-peer",
        &["--multiplex-peer"],
        "multiplex: Some(Multiplex { first_port: 3480, ports: None, max_peers: 256 })",
    ),
    (
        "multiplex-peer-port",
        &["--multiplex-peer", "--multiplex-peer-port=4000"],
        "first_port: 4000",
    ),
    (
        "multiplex-peer-ports",
        &["--multiplex-peer", "--multiplex-peer-ports=4"],
        "ports: Some(4)",
    ),
    (
        "multiplex-peer-max-peers",
        &["--multiplex-peer", "--multiplex-peer-max-peers=9"],
        "max_peers: 9",
    ),
    ("no-udp-relay", &["--no-udp-relay"], "udp: false, tcp: true"),
    (
        "external-ip-from",
        &["--external-ip-from=stun:stun.example.org:99"],
        r#"source: Some(Stun { host: "stun.example.org", port: 99 })"#,
    ),
    (
        "external-ip-check",
        &["--external-ip-check=7"],
        "ask_every: 7s",
    ),
    (
        "key-copies",
        &["--cert=/c.pem", "--pkey=/k.pem", "--key-copies=/copies"],
        "copies: \"/copies\"",
    ),
    ("mobility", &["--mobility"], "mobility: true"),
    ("no-tcp-relay", &["--no-tcp-relay"], "udp: true, tcp: false"),
    (
        "use-auth-secret",
        &["--use-auth-secret=no", "--user=a:b"],
        "secrets: []",
    ),
    (
        "static-auth-secret",
        &["--static-auth-secret=new"],
        "secrets: [base, new]",
    ),
    ("rest-api-separator", &["-C", "|"], "rest_separator: '|'"),
    (
        "lt-cred-mech",
        &["--lt-cred-mech=no", "--user=a:b"],
        "user is ignored: lt-cred-mech is turned off",
    ),
    (
        "user",
        &["-u", "a:b:c", "--user=d:0x00112233445566778899aabbccddeeff"],
        "users: [a:b:c, d:[0, 17, 34, 51, 68, 85, 102, 119, 136, 153, 170, 187, 204, 221, 238, 255]]",
    ),
    ("realm", &["-r", "example.org"], "realm: example.org"),
    ("stale-nonce", &["--stale-nonce=0"], "nonce_lifetime: None"),
    (
        "allowed-client-ip",
        &["--allowed-client-ip=10.0.0.1"],
        "Clients { allowed: [ClientRange { range: IpRange { first: 10.0.0.1, last: 10.0.0.1 }, listeners: All }], denied: [] }",
    ),
    (
        "denied-client-ip",
        &["--denied-client-ip=10.0.0.0/30@3478"],
        "Clients { allowed: [], denied: [ClientRange { range: IpRange { first: 10.0.0.0, last: 10.0.0.3 }, listeners: OnPort(3478) }] }",
    ),
    (
        "unauth-reply-rate",
        &["--unauth-reply-rate=7"],
        "unauth_replies_per_second: Some(7)",
    ),
    (
        "unauthorized-ratelimit",
        &["--unauthorized-ratelimit"],
        "unauth_replies_per_second: Some(10)",
    ),
    (
        "unauthorized-ratelimit-rps",
        &["--unauthorized-ratelimit", "--unauthorized-ratelimit-rps=9"],
        "unauth_replies_per_second: Some(9)",
    ),
    (
        "limit",
        &["--limit=network.connections=9", "--limit=user.channels=8"],
        r#"[Cap { holder: "network", good: "connections", amount: 9 }, Cap { holder: "user", good: "channels", amount: 8 }]"#,
    ),
    (
        "max-bps",
        &["-s", "1000"],
        r#"[Cap { holder: "session", good: "bytes-per-second", amount: 1000 }]"#,
    ),
    (
        "bps-capacity",
        &["-B", "2000"],
        r#"[Cap { holder: "total", good: "bytes-per-second", amount: 2000 }]"#,
    ),
    (
        "max-allocate-timeout",
        &["--max-allocate-timeout=0"],
        "connection: None",
    ),
    (
        "handshake-timeout",
        &["--handshake-timeout=3"],
        "handshake: 3s",
    ),
    (
        "credential-expiry",
        &["--credential-expiry=end-session"],
        "credential_expiry: EndSession",
    ),
    ("user-quota", &["-q", "12"], "per_user: Some(12)"),
    ("total-quota", &["-Q", "1200"], "total: Some(1200)"),
    (
        "max-allocate-lifetime",
        &["--max-allocate-lifetime=700"],
        "max_allocation: 700s",
    ),
    ("channel-lifetime", &["--channel-lifetime=7"], "channel: 7s"),
    (
        "permission-lifetime",
        &["--permission-lifetime=8"],
        "permission: 8s",
    ),
    (
        "http-listen",
        &["--http-listen=127.0.0.1:8080", "--http-listen=[::1]:81"],
        "http_listen: [127.0.0.1:8080, [::1]:81]",
    ),
    (
        "https",
        &["--cert=/c.pem", "--pkey=/k.pem", "--https"],
        "https: true",
    ),
    (
        "http-api-key",
        &["--http-api-key=k1", "--http-api-key=k2"],
        "api_keys: [k1, k2]",
    ),
    (
        "http-advertise",
        &["--http-advertise=turn.example.org"],
        "advertise: Some(\"turn.example.org\")",
    ),
    (
        "http-allowed-origin",
        &["--http-allowed-origin=http://localhost:5173"],
        "allowed_origins: [\"http://localhost:5173\"]",
    ),
    (
        "log-file",
        &["-l", "/var/log/t.log"],
        "target: File(\"/var/log/t.log\"), stdout_copy: true",
    ),
    (
        "no-stdout-log",
        &["-l", "/var/log/t.log", "--no-stdout-log"],
        "target: File(\"/var/log/t.log\"), stdout_copy: false",
    ),
    (
        "new-log-timestamp",
        &["--new-log-timestamp=no"],
        "time_of_day: None",
    ),
    (
        "new-log-timestamp-format",
        &["--new-log-timestamp-format=%F %T"],
        "time_of_day: Some(\"%F %T\")",
    ),
    ("log-format", &["--log-format=json"], "shape: Json"),
    (
        "pkey-pwd",
        &["--cert=/c.pem", "--pkey=/k.pem", "--pkey-pwd=open"],
        "has_key_password: true",
    ),
    (
        "respond-http-unsupported",
        &["--respond-http-unsupported"],
        "http_unsupported: true",
    ),
    (
        "acme-redirect",
        &["--acme-redirect=http://acme.example.org/"],
        "acme_redirect: Some(\"http://acme.example.org/\")",
    ),
    (
        "prometheus-username-labels",
        &["--prometheus", "--prometheus-username-labels"],
        "by_user: true",
    ),
    ("daemon", &["-o"], "daemon: true"),
    (
        "listening-device",
        &["-d", "eth7"],
        "device: Some(\"eth7\"), http_unsupported",
    ),
    (
        "relay-device",
        &["-i", "eth8"],
        "device: Some(\"eth8\"), min_port",
    ),
    ("proc-user", &["--proc-user=turn"], "user: Some(\"turn\")"),
    (
        "proc-group",
        &["--proc-group=turn"],
        "group: Some(\"turn\")",
    ),
    ("log-privacy", &["--log-privacy=hashed"], "privacy: Hashed"),
    (
        "log-min-level",
        &["--log-min-level=warning"],
        "min_level: Warning",
    ),
    ("log-binding", &["-v", "--log-binding"], "bindings: true"),
    (
        "syslog",
        &["--syslog"],
        "target: Syslog { socket: \"/dev/log\", facility: 1 }, stdout_copy: true",
    ),
    (
        "syslog-facility",
        &["--log-file=syslog", "--syslog-facility=log_local1"],
        "facility: 17",
    ),
    (
        "syslog-socket",
        &["--syslog", "--syslog-socket=/run/log"],
        "socket: \"/run/log\"",
    ),
    (
        "simple-log",
        &["--log-file=/var/log/t.log", "--simple-log=no"],
        "daily: true",
    ),
    ("verbose", &["-v"], "verbosity: Sessions"),
    ("Verbose", &["-V", "--verbose"], "verbosity: Everything"),
    ("relay-threads", &["-m", "3"], "workers: Some(3)"),
    ("cpus", &["--cpus=2"], "workers: Some(2)"),
    (
        "pidfile",
        &["--pidfile=/run/t.pid"],
        "pid_file: Some(\"/run/t.pid\")",
    ),
    (
        "drain-min-allocations",
        &["--drain-min-allocations=3"],
        "drain_min_allocations: 3",
    ),
    (
        "latency-budget",
        &["--latency-budget=500us"],
        "latency_budget: Some(500µs)",
    ),
    (
        "drain-timeout",
        &["--drain-timeout=60"],
        "drain_timeout: Some(60s)",
    ),
    ("fingerprint", &["-f"], "fingerprint: true"),
    (
        "stun-backward-compatibility",
        &["--stun-backward-compatibility"],
        "mapped_address: true",
    ),
    (
        "rfc3489-compatibility",
        &["--rfc3489-compatibility"],
        "classic_stun: true",
    ),
    (
        "include-reason-string",
        &["--include-reason-string"],
        "reasons: true",
    ),
    (
        "alternate-server",
        &[
            "--alternate-server=198.51.100.7",
            "--alternate-server=[2001:db8::7]:1234",
        ],
        "any: [Alternate { server: 198.51.100.7:3478, domain: None }, Alternate { server: [2001:db8::7]:1234, domain: None }]",
    ),
    (
        "udp-alternate-server",
        &["--udp-alternate-server=2001:db8::7"],
        "udp: [Alternate { server: [2001:db8::7]:3478, domain: None }]",
    ),
    (
        "tcp-alternate-server",
        &["--tcp-alternate-server=198.51.100.7:80"],
        "tcp: [Alternate { server: 198.51.100.7:80, domain: None }]",
    ),
    (
        "tls-alternate-server",
        &["--tls-alternate-server=relay.example.org"],
        "tls: [Alternate { server: 192.0.2.77:5349, domain: Some(\"relay.example.org\") }]",
    ),
    (
        "oauth",
        &["--oauth"],
        "oauth has no effect without oauth-keys-file",
    ),
    (
        "software-attribute",
        &["--software-attribute"],
        "software: true",
    ),
    (
        "control-socket",
        &["--control-socket=/tmp/control.sock"],
        "control: At(\"/tmp/control.sock\")",
    ),
    (
        "prometheus",
        &["--prometheus"],
        "Metrics { address: None, port: 9641, path: \"/metrics\", by_user: false, tls: None }",
    ),
    (
        "prometheus-port",
        &["--prometheus", "--prometheus-port=1"],
        "Metrics { address: None, port: 1,",
    ),
    (
        "prometheus-address",
        &["--prometheus", "--prometheus-address=::1"],
        "Metrics { address: Some(::1)",
    ),
    (
        "prometheus-tls",
        &[
            "--prometheus",
            "--cert=/c.pem",
            "--pkey=/k.pem",
            "--prometheus-tls",
        ],
        "tls: Some(Tls { port: 9641, certificate: \"/c.pem\", key: \"/k.pem\"",
    ),
    (
        "prometheus-cert",
        &[
            "--prometheus",
            "--prometheus-tls",
            "--prometheus-cert=/m.pem",
            "--prometheus-key=/n.pem",
        ],
        "tls: Some(Tls { port: 9641, certificate: \"/m.pem\"",
    ),
    (
        "prometheus-key",
        &[
            "--prometheus",
            "--prometheus-tls",
            "--prometheus-cert=/m.pem",
            "--prometheus-key=/n2.pem",
        ],
        "key: \"/n2.pem\"",
    ),
    (
        "prometheus-path",
        &["--prometheus", "--prometheus-path=/m"],
        "path: \"/m\"",
    ),
];

#[test]
fn each_case_moves_its_setting() {
    let before = picture(&run(&BASE));
    for (option, args, expected) in CASES {
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
        .filter(|long| {
            !ELSEWHERE.contains(long) && !CASES.iter().any(|(option, ..)| option == long)
        })
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

/// Everything the settings say, secrets too, one group per line.
pub(super) fn picture(settings: &Settings) -> String {
    let mut text = picture_without_warnings(settings);
    for warning in &settings.warnings {
        writeln!(text, "{warning}").unwrap();
    }
    text
}

fn picture_without_warnings(settings: &Settings) -> String {
    let mut text = String::new();
    let mut line = |content: String| writeln!(text, "{content}").unwrap();
    line(format!("{:?} {:?}", settings.listening, settings.clients));
    line(format!("{:?} {:?}", settings.stun, settings.redirect));
    line(format!("{:?}", settings.relay));
    let auth = &settings.auth;
    let users: Vec<String> = auth
        .users
        .iter()
        .map(|user| match &user.password {
            Password::Plain(password) => format!("{}:{}", user.name, password.expose()),
            Password::Key(key) => format!("{}:{:?}", user.name, key.expose()),
        })
        .collect();
    line(format!(
        "anonymous: {}, realm: {}, users: [{}]",
        auth.anonymous,
        auth.realm,
        users.join(", ")
    ));
    let secrets: Vec<&str> = auth
        .secrets
        .iter()
        .map(|secret| std::str::from_utf8(secret.expose()).unwrap())
        .collect();
    line(format!("secrets: [{}]", secrets.join(", ")));
    let shared = auth.nonce_secret.as_ref().map(|secret| secret.expose());
    line(format!(
        "nonce secret: {}",
        shared.map_or("", String::as_str)
    ));
    line(format!(
        "rest_separator: {:?}, nonce_lifetime: {:?}",
        auth.rest_separator, auth.nonce_lifetime
    ));
    line(format!("{:?} {:?}", settings.quotas, settings.lifetimes));
    line(format!("{:?}", settings.caps));
    line(format!("tls: {:?}", settings.tls));
    line(format!("dtls: {:?}", settings.dtls));
    line(format!("{:?}", settings.wire));
    line(format!("{:?}", settings.logging));
    line(format!("{:?} {:?}", settings.process, settings.metrics));
    let http = &settings.http;
    let keys: Vec<&str> = http
        .api_keys
        .iter()
        .map(|key| key.expose().as_str())
        .collect();
    line(format!(
        "http_listen: {:?}, api_keys: [{}]",
        http.listen,
        keys.join(", ")
    ));
    line(format!(
        "https: {}, advertise: {:?}, allowed_origins: {:?}",
        http.https, http.advertise, http.allowed_origins
    ));
    for effective in &settings.effective {
        line(format!("{} = {}", effective.option, effective.value));
    }
    text
}
