//! Options of `options/logging.rs`.

use super::Case;

pub(super) const CASES: &[Case] = &[
    (
        "log-file",
        &["-l", "/var/log/t.log"],
        "target: File(\"/var/log/t.log\"), stdout_copy: true",
    ),
    (
        "no-stdout-log",
        &["-l", "/var/log/t.log", "--no-stdout-log"],
        "target: File(\"/var/log/t.log\"), stdout_copy: false",
    ),
    (
        "new-log-timestamp",
        &["--new-log-timestamp=no"],
        "time_of_day: None",
    ),
    (
        "new-log-timestamp-format",
        &["--new-log-timestamp-format=%F %T"],
        "time_of_day: Some(\"%F %T\")",
    ),
    ("log-format", &["--log-format=json"], "shape: Json"),
    ("log-privacy", &["--log-privacy=hashed"], "privacy: Hashed"),
    (
        "log-min-level",
        &["--log-min-level=warning"],
        "min_level: Warning",
    ),
    ("log-binding", &["-v", "--log-binding"], "bindings: true"),
    (
        "syslog",
        &["--syslog"],
        "target: Syslog { socket: \"/dev/log\", facility: 1 }, stdout_copy: true",
    ),
    (
        "syslog-facility",
        &["--log-file=syslog", "--syslog-facility=log_local1"],
        "facility: 17",
    ),
    (
        "syslog-socket",
        &["--syslog", "--syslog-socket=/run/log"],
        "socket: \"/run/log\"",
    ),
    (
        "simple-log",
        &["--log-file=/var/log/t.log", "--simple-log=no"],
        "daily: true",
    ),
    ("verbose", &["-v"], "verbosity: Sessions"),
    ("Verbose", &["-V", "--verbose"], "verbosity: Everything"),
];
