//! Options of `options/redirect.rs`.

use super::Case;

pub(super) const CASES: &[Case] = &[
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
];
