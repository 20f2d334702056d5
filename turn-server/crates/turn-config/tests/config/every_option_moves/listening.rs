//! Options of `options/listening.rs`.

use super::Case;

pub(super) const CASES: &[Case] = &[
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
        "listening-device",
        &["-d", "eth7"],
        "device: Some(\"eth7\"), http_unsupported",
    ),
];
