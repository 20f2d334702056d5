//! Options of `options/wire.rs`.

use super::Case;

pub(super) const CASES: &[Case] = &[
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
        "software-attribute",
        &["--software-attribute"],
        "software: true",
    ),
];
