//! Hours of ordinary use in a few minutes: many clients come, talk and go, round after round, and nothing stays behind.
//!
//! Part of `tests/run --deep`. `SOAK_ROUNDS` makes it longer.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::http::Metrics;
use e2e::netns::Namespace;
use e2e::process::until;
use e2e::server::Server;
use e2e::uclient::{Peer, uclient};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const METRICS: SocketAddr = SocketAddr::new(HERE, 9641);

/// An allocation lives for 60 seconds here, so that even those that nobody gives back are gone by then.
const EXPIRED: Duration = Duration::from_secs(120);

fn resident_kib(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

#[test]
fn clients_that_come_and_go_leave_neither_allocations_nor_memory_behind() {
    let rounds: u32 = std::env::var("SOAK_ROUNDS").map_or(10, |rounds| rounds.parse().unwrap());
    let space = Namespace::new("soak").unwrap();
    let mut flags = vec![
        "--listening-ip=127.0.0.1",
        "--relay-ip=127.0.0.1",
        "--allow-loopback-peers",
        "--prometheus",
    ];
    // Away from the ports that the clients' own sockets get.
    flags.extend(["--min-port=20000", "--max-port=30000"]);
    flags.extend([
        "--realm=example.org",
        "--lt-cred-mech",
        "--user=guest:secret",
        "--max-allocate-lifetime=60",
    ]);
    let server = Server::start(Some(&space), &flags).unwrap();
    let peer = Peer::start(Some(&space), HERE).unwrap();
    let peer_port = peer.port.to_string();
    let allocations = || {
        space
            .inside(|| Metrics::scrape(METRICS))
            .unwrap()
            .sum("turn_total_allocations")
    };

    let mut resident = Vec::new();
    for round in 0..rounds {
        let transport: &[&str] = if round % 2 == 0 { &[] } else { &["-t"] };
        let method: &[&str] = if round / 2 % 2 == 0 { &[] } else { &["-s"] };
        let mut arguments = vec!["-c", "-m", "200", "-n", "200", "-z", "20"];
        arguments.extend(["-u", "guest", "-w", "secret"]);
        arguments.extend(["-e", "127.0.0.1", "-r", &peer_port]);
        arguments.extend(transport.iter().chain(method));
        arguments.push("127.0.0.1");
        let totals = uclient(Some(&space), &arguments).unwrap();
        assert!(totals.all_returned(), "round {round}: {totals:?}");
        until("all allocations are gone", EXPIRED, || {
            (allocations() == Some(0.0)).then_some(())
        })
        .unwrap();
        resident.push(resident_kib(server.id()).unwrap());
    }
    // The first rounds, one of each kind, bring every buffer to its size.
    let (settled, last) = (
        resident[resident.len().min(4) - 1],
        resident[resident.len() - 1],
    );
    assert!(
        last < settled + settled / 10 + 1024,
        "resident KiB, round by round: {resident:?}"
    );
}
