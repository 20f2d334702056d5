//! The hand-written files in `config/` mean what they say they mean.

use std::net::IpAddr;
use std::path::Path;

use turn_config::Settings;
use turn_config::settings::{External, LogTarget, Password};

use super::support::{file_problems, names, run_file};

const SAMPLES: [&str; 5] = [
    "minimal-secret.conf",
    "static-users.conf",
    "behind-nat.conf",
    "docker-small-range.conf",
    "docker-one-port.conf",
];

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../config")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}

/// The sample as an operator leaves it: with a secret of his own.
fn sample(name: &str) -> Settings {
    let settings = run_file(&text(name).replace("replace-this", "my-own"));
    assert_eq!(settings.warnings, [], "{name}");
    settings
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn each_sample_is_refused_until_its_placeholder_is_replaced() {
    for name in SAMPLES {
        let problems = file_problems(&text(name));
        assert!(
            problems
                .iter()
                .any(|problem| problem.text.contains("placeholder")),
            "{name}: {problems:?}"
        );
    }
}

#[test]
fn minimal_secret() {
    let settings = sample("minimal-secret.conf");
    assert_eq!(
        settings.auth.secrets[0].expose(),
        b"my-own-by-the-output-of-openssl-rand-hex-32"
    );
    assert_eq!(
        (settings.auth.realm.as_str(), settings.auth.users.len()),
        ("example.org", 0)
    );
    assert_eq!(
        (settings.listening.port, settings.listening.addresses.len()),
        (3478, 0)
    );
    assert!(!settings.relay.peers.private);
}

#[test]
fn static_users() {
    let settings = sample("static-users.conf");
    assert_eq!(names(&settings), ["alice", "bob"]);
    let Password::Plain(password) = &settings.auth.users[0].password else {
        panic!("a key")
    };
    assert_eq!(password.expose(), "my-own-password-of-alice");
    assert!(settings.auth.secrets.is_empty());
    assert_eq!(settings.quotas.per_user, Some(10));
}

#[test]
fn behind_nat() {
    let settings = sample("behind-nat.conf");
    assert_eq!(settings.listening.addresses, [ip("10.0.0.5")]);
    assert_eq!(settings.relay.addresses, [ip("10.0.0.5")]);
    assert_eq!(
        settings.relay.external,
        [External {
            public: ip("203.0.113.10"),
            private: Some(ip("10.0.0.5"))
        }]
    );
}

#[test]
fn docker_small_range() {
    let settings = sample("docker-small-range.conf");
    assert_eq!(
        (settings.relay.min_port, settings.relay.max_port),
        (49_160, 49_200)
    );
    assert_eq!(
        (settings.quotas.per_user, settings.quotas.total),
        (Some(10), Some(41))
    );
    assert_eq!(
        settings.relay.external,
        [External {
            public: ip("203.0.113.10"),
            private: None
        }]
    );
    assert_eq!(settings.logging.target, LogTarget::Stdout);
}

#[test]
fn docker_one_port() {
    let settings = sample("docker-one-port.conf");
    let multiplex = settings.relay.multiplex.unwrap();
    assert_eq!((multiplex.first_port, multiplex.ports), (3480, Some(2)));
    assert!(settings.relay.udp && !settings.relay.tcp);
    assert_eq!(settings.quotas.total, Some(2000));
}
