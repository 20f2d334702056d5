//! Rules that every declaration keeps.

use std::collections::{HashMap, HashSet};

use turn_config::option::{Default, Kind, Status};
use turn_config::{Raw, TURNSERVER, Values, read_command_line, read_file};

/// Every long name in coturn 4.5 to 4.18, and what forks and packagers write in its files.
const COTURN: &str = "
    listening-ip listening-port tls-listening-port alt-listening-port alt-tls-listening-port listening-device
    tcp-proxy-port aux-server udp-self-balance no-udp no-tcp no-tls dtls no-dtls no-stun stun-only secure-stun rfc5780
    no-rfc5780 sock-buf-size acme-redirect respond-http-unsupported web-admin web-admin-ip web-admin-port
    web-admin-listen-on-workers
    relay-ip external-ip relay-device min-port max-port no-udp-relay no-tcp-relay allowed-peer-ip denied-peer-ip
    no-multicast-peers allow-loopback-peers no-loopback-peers allocation-default-address-family keep-address-family
    server-relay mobility multiplex-peer multiplex-peer-port multiplex-peer-max-peers rfc5766-channel-numbers
    use-auth-secret static-auth-secret rest-api-separator lt-cred-mech user no-auth realm server-name oauth
    check-origin-consistency stale-nonce stateless-nonce stateless-nonce-secret unauthorized-ratelimit
    unauthorized-ratelimit-rps user-quota total-quota max-bps bps-capacity max-allocate-lifetime channel-lifetime
    permission-lifetime max-allocate-timeout no-auth-pings no-dynamic-ip-list no-dynamic-realms
    cert pkey pkey-pwd cipher-list CA-file dh-file dh566 dh1066 dh2066 ec-curve-name tlsv1 tlsv1_1 no-tlsv1_2 no-tlsv1
    no-tlsv1_1 no-sslv2 no-sslv3 raw-public-keys
    log-file no-stdout-log syslog syslog-facility simple-log log-min-level new-log-timestamp new-log-timestamp-format
    verbose Verbose log-binding help pidfile daemon proc-user proc-group relay-threads cpus drain-min-allocations version
    fingerprint software-attribute no-software-attribute prod secret-ts-exp-time ne udp-relay-servers
    stun-backward-compatibility no-stun-backward-compatibility rfc3489-compatibility response-origin-only-with-rfc5780
    include-reason-string drop-invalid-packets drop-invalid-packets-log udp-recvmmsg udp-recvmmsg-log udp-sendmmsg-log
    udp-gso userdb db psql-userdb sql-userdb mysql-userdb secret-key-file mongo-userdb redis-userdb redis-statsdb
    prometheus prometheus-port prometheus-address prometheus-path prometheus-username-labels prometheus-tls
    prometheus-cert prometheus-key prometheus-ip prometheus-no-username-labels no-prometheus
    alternate-server tls-alternate-server tcp-alternate-server udp-alternate-server cli no-cli cli-ip cli-port
    cli-password cli-max-output-sessions zrest
    no-http sha256 sha384 sha512 st-cred-mech";

/// coturn's short flags: the letter and the option it stands for.
const SHORTS: &str = "L listening-ip p listening-port d listening-device E relay-ip X external-ip i relay-device f fingerprint \
    v verbose V Verbose o daemon a lt-cred-mech z no-auth u user r realm e psql-userdb q user-quota Q total-quota s max-bps \
    B bps-capacity A allocation-default-address-family K keep-address-family C rest-api-separator O redis-statsdb \
    N redis-userdb M mysql-userdb J mongo-userdb b userdb c config-file n no-config-file h help S stun-only m relay-threads \
    l log-file";

#[test]
fn every_option_of_coturn_is_known_and_nothing_else_is_called_its() {
    let expected: HashSet<&str> = COTURN.split_whitespace().collect();
    let known: HashSet<&str> = TURNSERVER
        .options()
        .filter(|option| !option.ours)
        .flat_map(|option| std::iter::once(option.long).chain(option.aliases.iter().copied()))
        .collect();
    let missing: Vec<_> = expected.difference(&known).collect();
    let invented: Vec<_> = known.difference(&expected).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "missing {missing:?}, invented {invented:?}"
    );
}

/// Those of [`COTURN`] that coturn 4.17 has no more, or never had.
const NOT_IN_4_17: &str = "
    no-loopback-peers udp-relay-servers ne secret-ts-exp-time st-cred-mech sha256 sha384 sha512 no-tlsv1 no-tlsv1_1
    no-sslv2 no-sslv3 dh2066 prod no-stun-backward-compatibility no-http prometheus-ip prometheus-no-username-labels
    no-prometheus zrest";

/// What `getopt_long` finds with the table of coturn 4.17 is found with ours, although ours is longer.
#[test]
fn whatever_is_a_unique_beginning_in_coturn_is_one_here() {
    let gone: HashSet<&str> = NOT_IN_4_17.split_whitespace().collect();
    let names: Vec<&str> = COTURN
        .split_whitespace()
        .filter(|name| !gone.contains(name))
        .collect();
    for name in &names {
        for beginning in (1..name.len()).filter_map(|end| name.get(..end)) {
            let fits = names.iter().filter(|name| name.starts_with(beginning));
            if fits.count() > 1 || gone.contains(beginning) {
                continue;
            }
            let flag = format!("--{beginning}=1");
            if let Err(error) = read_command_line(&TURNSERVER, [flag.into()]) {
                panic!("{beginning} is {name} in coturn, but here: {error}");
            }
        }
    }
}

#[test]
fn short_flags_are_those_of_coturn() {
    let words: Vec<&str> = SHORTS.split_whitespace().collect();
    let expected: HashMap<char, &str> = words
        .chunks(2)
        .map(|pair| (pair[0].chars().next().unwrap(), pair[1]))
        .collect();
    let known: HashMap<char, &str> = TURNSERVER
        .options()
        .filter_map(|option| Some((option.short?, option.long)))
        .collect();
    assert_eq!(known, expected);
}

#[test]
fn no_name_and_no_short_flag_means_two_options() {
    let mut names = HashSet::new();
    let mut shorts = HashSet::new();
    for option in TURNSERVER.options() {
        for name in std::iter::once(option.long).chain(option.aliases.iter().copied()) {
            assert!(names.insert(name), "{name} is declared twice");
        }
        if let Some(short) = option.short {
            assert!(
                shorts.insert(short),
                "-{short} is declared twice ({})",
                option.long
            );
        }
    }
}

#[test]
fn names_can_be_typed() {
    for option in TURNSERVER.options() {
        let good = |name: &str| {
            name.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
                && !name.starts_with('-')
        };
        assert!(
            good(option.long) && option.aliases.iter().all(|alias| good(alias)),
            "{}",
            option.long
        );
    }
}

#[test]
fn numbers_have_a_range_a_unit_and_a_default_inside() {
    for option in TURNSERVER.options() {
        let Kind::Number(number) = option.kind else {
            continue;
        };
        assert!(number.min < number.max, "{}: an empty range", option.long);
        assert!(!number.unit.is_empty(), "{}: no unit", option.long);
        if let Default::Value(text) = option.default {
            let value: u64 = text.parse().unwrap();
            assert!(
                (number.min..=number.max).contains(&value),
                "{}: the default is out of range",
                option.long
            );
        }
        let unset = matches!(option.default, Default::Unset(_));
        assert!(
            !(number.optional && unset),
            "{}: alone it would mean nothing",
            option.long
        );
    }
}

#[test]
fn help_is_one_sentence_and_reasons_are_none() {
    for option in TURNSERVER.options() {
        let name = option.long;
        assert!(
            option.help.ends_with('.'),
            "{name}: help ends without a full stop"
        );
        assert!(
            option.help.starts_with(char::is_uppercase),
            "{name}: help begins in the middle"
        );
        assert!(
            !option.help.contains('\n') && !option.help.contains(". "),
            "{name}: help is more than one sentence"
        );
        let (Status::NoEffect(reason) | Status::NotYet(reason) | Status::Removed(reason)) =
            option.status
        else {
            continue;
        };
        assert!(
            !reason.is_empty() && !reason.ends_with('.') && !reason.contains('\n'),
            "{name}: reason"
        );
    }
}

#[test]
fn flags_have_a_default_and_no_example_and_all_else_has_an_example() {
    for option in TURNSERVER.options() {
        match option.kind {
            Kind::Flag => {
                assert!(
                    matches!(option.default, Default::Value("yes" | "no")),
                    "{}",
                    option.long
                );
                assert!(option.example.is_empty(), "{}", option.long);
            }
            _ => assert!(!option.example.is_empty(), "{} has no example", option.long),
        }
    }
}

/// Except secrets: their examples are placeholders, which are refused.
#[test]
fn every_example_and_every_default_is_a_good_value() {
    for option in TURNSERVER
        .options()
        .filter(|option| option.works() && !option.command_line_only)
    {
        if matches!(option.kind, Kind::Secret | Kind::Account) {
            continue;
        }
        let mut texts = vec![option.example];
        if let Default::Value(text) = option.default {
            texts.push(text);
        }
        for text in texts {
            let raw: Raw = read_file(
                &TURNSERVER,
                "t",
                format!("{}={text}", option.long).as_bytes(),
            );
            let (values, report) = Values::read(&TURNSERVER, raw, &|_| None);
            let warnings = report
                .finish()
                .unwrap_or_else(|error| panic!("{}={text}: {error}", option.long));
            assert!(warnings.is_empty(), "{}={text}: {warnings:?}", option.long);
            assert!(values.is_given(option.long));
        }
    }
}

#[test]
fn ours_are_the_documented_doors() {
    let ours: Vec<_> = TURNSERVER
        .options()
        .filter(|option| option.ours && !option.command_line_only)
        .map(|option| option.long)
        .collect();
    assert_eq!(
        ours,
        [
            "allowed-client-ip",
            "denied-client-ip",
            "proxy-protocol-from",
            "external-ip-from",
            "external-ip-check",
            "allow-private-peers",
            "nat64-prefix",
            "multiplex-peer-ports",
            "oauth-keys-file",
            "static-auth-secret-file",
            "static-users-file",
            "http-listen",
            "https",
            "http-api-key",
            "http-api-key-file",
            "http-advertise",
            "http-allowed-origin",
            "log-format",
            "log-privacy",
            "syslog-socket",
            "control-socket",
            "drain-timeout",
            "latency-budget",
            "unauth-reply-rate",
            "limit",
            "handshake-timeout",
            "credential-expiry",
            "key-copies",
        ]
    );
}

#[test]
fn a_list_is_never_a_flag_or_a_number() {
    for option in TURNSERVER.options().filter(|option| option.list) {
        assert!(
            !matches!(
                option.kind,
                Kind::Flag | Kind::Number(_) | Kind::Port { .. }
            ),
            "{}",
            option.long
        );
    }
}
