//! Options of `options/relay.rs`.

use super::Case;

pub(super) const CASES: &[Case] = &[
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
    ("mobility", &["--mobility"], "mobility: true"),
    ("no-tcp-relay", &["--no-tcp-relay"], "udp: true, tcp: false"),
    (
        "relay-device",
        &["-i", "eth8"],
        "device: Some(\"eth8\"), min_port",
    ),
];
