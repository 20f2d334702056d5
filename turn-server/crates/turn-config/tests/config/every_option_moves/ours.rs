//! Options of `options/ours.rs`.

use super::Case;

pub(super) const CASES: &[Case] = &[
    (
        "unauth-reply-rate",
        &["--unauth-reply-rate=7"],
        "unauth_replies_per_second: Some(7)",
    ),
    (
        "limit",
        &["--limit=network.connections=9", "--limit=user.channels=8"],
        r#"[Cap { holder: "network", good: "connections", amount: 9 }, Cap { holder: "user", good: "channels", amount: 8 }]"#,
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
    (
        "latency-budget",
        &["--latency-budget=500us"],
        "latency_budget: Some(500µs)",
    ),
];
