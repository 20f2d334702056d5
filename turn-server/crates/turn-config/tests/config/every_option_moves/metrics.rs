//! Options of `options/metrics.rs`.

use super::Case;

pub(super) const CASES: &[Case] = &[
    (
        "prometheus-username-labels",
        &["--prometheus", "--prometheus-username-labels"],
        "by_user: true",
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
