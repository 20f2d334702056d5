//! Running out of descriptors. A test program of its own: its limit must not trouble other tests.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use std::{env, fs::File, process::Command};

use support::{LOOPBACKS, Server};
use turn_proto::Transport;

/// Set in the run that has the low limit.
const LIMITED: &str = "TURN_IO_TEST_LIMITED";
const NAME: &str = "a_worker_survives_running_out_of_descriptors_and_accepts_again";

#[test]
fn a_worker_survives_running_out_of_descriptors_and_accepts_again() {
    if env::var_os(LIMITED).is_some() {
        return run_out_of_descriptors();
    }
    // The limit is a process's own, so the test runs itself under a shell that lowers it.
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 128 && exec \"$0\" --exact \"$1\""]);
    let test = shell.arg(env::current_exe().unwrap()).arg(NAME);
    let output = test.env(LIMITED, "1").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn run_out_of_descriptors() {
    let server = Server::new();
    let on = LOOPBACKS[0];
    let mut before = server.client(Transport::Tcp, on);
    assert_eq!(before.binding(), before.local());
    let mut hoard: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    // One descriptor for the client, none for the server's end.
    hoard.pop();
    let mut during = server.client(Transport::Tcp, on);
    server.wait_for("a failure to accept", |stats| stats.io.accept_errors > 0);
    assert_eq!(before.binding(), before.local());
    // A relay socket cannot be had either, which the client is told.
    assert_eq!(before.request_allocation().error(), Some(508));
    drop(hoard);
    assert_eq!(during.binding(), during.local());
    before.allocate();
}
