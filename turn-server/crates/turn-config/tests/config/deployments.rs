//! Files as they stand in guides and packages for coturn: made anew from what they set, they start.

use std::net::IpAddr;

use turn_config::settings::{DefaultFamily, External, LogTarget, Verbosity};
use turn_config::{Severity, Warning};

use super::support::{assert_warns, lines, parse_with, run, run_file, settings};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A guide to WebRTC: everything set by hand, old TLS switches, a certificate without its chain.
const VIDEO_CALL_GUIDE: &str = "\
# /etc/turnserver.conf
listening-port=3478
tls-listening-port=5349

external-ip=203.0.113.10
relay-ip=203.0.113.10
min-port=49152
max-port=65535

lt-cred-mech
user=username:password
realm=turn.example.org

cert=/etc/letsencrypt/live/turn.example.org/cert.pem
pkey=/etc/letsencrypt/live/turn.example.org/privkey.pem

log-file=/var/log/turnserver.log
verbose

no-tlsv1
no-tlsv1_1
no-stdout-log
";

#[test]
fn the_file_of_a_video_call_guide_starts() {
    let settings = run_file(VIDEO_CALL_GUIDE);
    assert_eq!(
        (
            settings.listening.port,
            settings.relay.min_port,
            settings.relay.max_port
        ),
        (3478, 49_152, 65_535)
    );
    assert_eq!(settings.relay.addresses, [ip("203.0.113.10")]);
    assert_eq!(
        settings.relay.external,
        [External {
            public: ip("203.0.113.10"),
            private: None
        }]
    );
    assert_eq!(
        (settings.auth.realm.as_str(), settings.auth.users.len()),
        ("turn.example.org", 1)
    );
    assert_eq!(
        settings.logging.target,
        LogTarget::File("/var/log/turnserver.log".into())
    );
    assert!(!settings.logging.stdout_copy);
    assert_eq!(settings.logging.verbosity, Verbosity::Sessions);
    let tls = settings.tls.as_ref().unwrap();
    assert_eq!((tls.port, tls.tls12), (5349, true));
    assert!(tls.certificate.ends_with("cert.pem") && tls.key.ends_with("privkey.pem"));
    let loud: Vec<&Warning> = settings
        .warnings
        .iter()
        .filter(|warning| warning.severity == Severity::Warning)
        .collect();
    assert_eq!(loud.len(), 1, "{loud:?}");
    assert_warns(&settings, &["allow-private-peers"]);
    assert_eq!(
        settings.warnings.len(),
        3,
        "two notes about old TLS: {:?}",
        settings.warnings
    );
}

#[test]
fn synapse_sets_quotas_with_comments_and_two_external_addresses() {
    let settings = run_file(
        "use-auth-secret\nstatic-auth-secret=s\nrealm=turn.example.org\nsyslog\nno-tcp-relay\nno-multicast-peers\n\
         denied-peer-ip=10.0.0.0-10.255.255.255\ndenied-peer-ip=192.168.0.0-192.168.255.255\n\
         denied-peer-ip=172.16.0.0-172.31.255.255\ndenied-peer-ip=0.0.0.0-0.255.255.255\n\
         denied-peer-ip=::1\ndenied-peer-ip=64:ff9b::-64:ff9b::ffff:ffff\n\
         denied-peer-ip=fe80::-febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff\nallowed-peer-ip=10.0.0.1\n\
         user-quota=12 # 4 streams per video call, so 12 streams = 3 simultaneous relayed calls per user.\n\
         total-quota=1200\nexternal-ip=203.0.113.5\nexternal-ip=2001:db8::5\n\
         cert=/etc/ssl/turn.pem\npkey=/etc/ssl/turn.key\nlistening-ip=192.0.2.1\nlistening-ip=2001:db8::1\n",
    );
    assert_eq!(
        (settings.quotas.per_user, settings.quotas.total),
        (Some(12), Some(1200))
    );
    assert_eq!(
        (
            settings.relay.external.len(),
            settings.listening.addresses.len()
        ),
        (2, 2)
    );
    assert_eq!(
        (
            settings.relay.peers.denied.len(),
            settings.relay.peers.allowed.len()
        ),
        (7, 1)
    );
    let syslog = LogTarget::Syslog {
        socket: "/dev/log".into(),
        facility: 1,
    };
    assert_eq!(settings.logging.target, syslog);
    assert!(
        !lines(&settings.warnings)
            .concat()
            .contains("allow-private-peers"),
        "the private networks are denied"
    );
}

#[test]
fn jitsi_sets_four_options_that_coturn_lost() {
    let settings = run_file(
        "use-auth-secret\nkeep-address-family\nstatic-auth-secret=s\nrealm=meet.example.org\ncert=/c\npkey=/k\n\
         no-multicast-peers\nno-cli\nno-loopback-peers\nno-tcp-relay\nno-tcp\nlistening-port=3478\n\
         tls-listening-port=5349\nno-tlsv1\nno-tlsv1_1\n\
         cipher-list=ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256\ndh2066\n\
         denied-peer-ip=0.0.0.0-0.255.255.255\nsyslog\n",
    );
    assert_eq!(settings.relay.default_family, DefaultFamily::Client);
    assert!(!settings.listening.tcp && settings.listening.udp);
    assert!(
        settings
            .tls
            .clone()
            .is_some_and(|tls| tls.ciphers.unwrap().contains("ECDHE"))
    );
    for gone in ["no-loopback-peers", "no-tlsv1", "no-tlsv1_1", "dh2066"] {
        assert_warns(&settings, &[&format!("{gone} is gone")]);
    }
}

#[test]
fn nextcloud_talk_sets_a_capacity_of_nothing() {
    let settings = run_file(
        "listening-port=3478\nfingerprint\nuse-auth-secret\nstatic-auth-secret=s\nrealm=cloud.example.org\n\
         total-quota=0\nbps-capacity=0\nstale-nonce\nno-multicast-peers\nlt-cred-mech # Only on coTURN below v4.5.0.8!\n",
    );
    assert!(settings.wire.fingerprint);
    assert_eq!(settings.quotas.total, None);
    assert_eq!(settings.auth.nonce_lifetime.unwrap().as_secs(), 600);
    assert!(!lines(&settings.warnings).concat().contains("bps-capacity"));
}

#[test]
fn big_blue_button_sets_both_mechanisms_and_a_pair_of_addresses() {
    let settings = run_file(
        "listening-port=3478\nlistening-ip=10.0.0.5\nrelay-ip=10.0.0.5\nexternal-ip=203.0.113.5/10.0.0.5\n\
         min-port=32769\nmax-port=65535\nfingerprint\nlt-cred-mech\nuse-auth-secret\nstatic-auth-secret=s\n\
         realm=bbb.example.org\nkeep-address-family\nno-cli\nallowed-peer-ip=10.0.0.5\n\
         denied-peer-ip=0.0.0.0-255.255.255.255\ndenied-peer-ip=::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n",
    );
    assert_eq!(settings.relay.external[0].private, Some(ip("10.0.0.5")));
    assert_eq!(settings.auth.secrets.len(), 1);
    assert_eq!(
        settings.warnings.len(),
        1,
        "only no-cli: {:?}",
        settings.warnings
    );
}

#[test]
fn the_arguments_of_the_docker_image_start_with_credentials_beside_them() {
    let settings = run(&[
        "--log-file=stdout",
        "--external-ip=203.0.113.5",
        "--use-auth-secret",
        "--static-auth-secret=s",
        "--realm=r",
    ]);
    assert_eq!(settings.relay.external.len(), 1);
}

#[test]
fn charts_ask_for_metrics_and_a_pid_file_elsewhere_and_use_a_fork() {
    let args = [
        "-c",
        "/f",
        "--prometheus",
        "--prometheus-ip=10.0.0.1",
        "--zrest",
        "https://example.org",
        "--pidfile=/var/tmp/turnserver.pid",
        "--log-file=stdout",
    ];
    let settings = settings(parse_with(
        &args,
        &[("/f", "lt-cred-mech\nuser=a:b\nrealm=r\n")],
    ));
    assert_warns(
        &settings,
        &["prometheus-ip is gone", "use prometheus-address"],
    );
    assert_warns(&settings, &["zrest is gone"]);
    assert_eq!(settings.metrics.unwrap().port, 9641);
    assert_eq!(
        settings.process.pid_file.unwrap().to_str(),
        Some("/var/tmp/turnserver.pid")
    );
}

/// Debian's file has every line commented out; coturn would relay for anybody.
#[test]
fn debians_default_file_is_refused_with_the_remedies() {
    let problems = super::support::file_problems("#listening-port=3478\n#lt-cred-mech\n");
    assert!(
        problems[0]
            .to_string()
            .contains("Add static-auth-secret=SECRET"),
        "{problems:?}"
    );
}

#[test]
fn a_hardened_profile_starts() {
    let settings = run_file(
        "lt-cred-mech\nuse-auth-secret\nstatic-auth-secret=s\nrealm=r\nmax-bps=3000000\nbps-capacity=1000000000\n\
         user-quota=4\ntotal-quota=400\nmax-allocate-lifetime=1200\nno-rfc5780\nno-cli\nverbose\n\
         no-stun-backward-compatibility\nresponse-origin-only-with-rfc5780\nno-software-attribute\n",
    );
    assert_eq!(settings.lifetimes.max_allocation.as_secs(), 1200);
    let caps: Vec<_> = settings
        .caps
        .iter()
        .map(|cap| (cap.holder, cap.good, cap.amount))
        .collect();
    let rate = "bytes-per-second";
    assert_eq!(
        caps,
        [("session", rate, 3_000_000), ("total", rate, 1_000_000_000)]
    );
}
