//! Options of `options/auth.rs`.

use super::Case;

pub(super) const CASES: &[Case] = &[
    (
        "stateless-nonce-secret",
        &["--stateless-nonce-secret=shared"],
        "nonce secret: shared",
    ),
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
        "oauth",
        &["--oauth"],
        "oauth has no effect without oauth-keys-file",
    ),
];
