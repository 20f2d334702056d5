//! Running out of descriptors. A test program of its own: its limit must not trouble other tests.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use std::{
    env,
    fs::{self, File},
    process::Command,
};

use support::{LOOPBACKS, Server, Setup};
use turn_io::{Endpoints, Spoken};
use turn_proto::Transport;

/// Its own process counts only sockets, which the other test here opens in another one.
fn sockets() -> usize {
    let all = fs::read_dir("/proc/self/fd").unwrap();
    let targets = all.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    targets
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

#[test]
#[cfg(target_os = "linux")]
fn listening_elsewhere_again_and_again_leaks_no_socket() {
    if env::var_os(LIMITED).is_some() {
        return;
    }
    let mut setup = Setup::default();
    setup.config.workers = 2;
    let mut server = Server::with(setup);
    let spoken = Spoken {
        plain_datagrams: true,
        plain_streams: true,
        tls: None,
        dtls: None,
    };
    let mut counts = Vec::new();
    for round in 0..60 {
        // Both addresses or one of them, on other ports each time, and now and then one that cannot be had.
        let ports = LOOPBACKS[..1 + round % 2].iter();
        let on: Vec<_> = ports.map(|at| at.parse().unwrap()).collect();
        let foreign = Endpoints {
            tcp: vec![on[0], "192.0.2.1:3478".parse().unwrap()],
            udp: on.clone(),
            ..Endpoints::default()
        };
        assert!(server.workers.open(&foreign, &[]).is_err());
        let none = server.workers.open(&Endpoints::default(), &[]).unwrap();
        server.workers.turn_to(none, &spoken);
        let wanted = Endpoints {
            udp: on.clone(),
            tcp: on,
            ..Endpoints::default()
        };
        let opening = server.workers.open(&wanted, &[]).unwrap();
        server.workers.turn_to(opening, &spoken);
        let mut client = server.client(Transport::Udp, LOOPBACKS[0]);
        client.allocate();
        client.release();
        drop(client);
        server.workers.stats();
        counts.push(sockets());
    }
    // The one that had a session waits for a worker to look at it, so a few are left at a time.
    let (early, late) = (counts[..20].iter().max(), counts[40..].iter().max());
    assert!(late <= early, "{counts:?}");
}

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
