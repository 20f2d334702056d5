//! Options of `options/process.rs`.

use super::Case;

pub(super) const CASES: &[Case] = &[
    ("daemon", &["-o"], "daemon: true"),
    ("proc-user", &["--proc-user=turn"], "user: Some(\"turn\")"),
    (
        "proc-group",
        &["--proc-group=turn"],
        "group: Some(\"turn\")",
    ),
    ("relay-threads", &["-m", "3"], "workers: Some(3)"),
    ("cpus", &["--cpus=2"], "workers: Some(2)"),
    (
        "pidfile",
        &["--pidfile=/run/t.pid"],
        "pid_file: Some(\"/run/t.pid\")",
    ),
    (
        "drain-min-allocations",
        &["--drain-min-allocations=3"],
        "drain_min_allocations: 3",
    ),
    (
        "drain-timeout",
        &["--drain-timeout=60"],
        "drain_timeout: Some(60s)",
    ),
    (
        "control-socket",
        &["--control-socket=/tmp/control.sock"],
        "control: At(\"/tmp/control.sock\")",
    ),
];
