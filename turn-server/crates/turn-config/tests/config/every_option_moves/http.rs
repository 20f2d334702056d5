//! Options of `options/http.rs`.

use super::Case;

pub(super) const CASES: &[Case] = &[
    (
        "http-listen",
        &["--http-listen=127.0.0.1:8080", "--http-listen=[::1]:81"],
        "http_listen: [127.0.0.1:8080, [::1]:81]",
    ),
    (
        "https",
        &["--cert=/c.pem", "--pkey=/k.pem", "--https"],
        "https: true",
    ),
    (
        "http-api-key",
        &["--http-api-key=k1", "--http-api-key=k2"],
        "api_keys: [k1, k2]",
    ),
    (
        "http-advertise",
        &["--http-advertise=turn.example.org"],
        "advertise: Some(\"turn.example.org\")",
    ),
    (
        "http-allowed-origin",
        &["--http-allowed-origin=http://localhost:5173"],
        "allowed_origins: [\"http://localhost:5173\"]",
    ),
];
