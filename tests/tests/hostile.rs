//! What strangers can do to a running server: nothing is kept of them, their flood hurts nobody, and what clients were given is
//! all given back.
//!
//! Every server is alone in a namespace of its own, where all of 10.0.0.0/8 is this machine's: as many clients as are needed, each
//! with an address of its own. Needs root.

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Result;
use e2e::flood::{NEWCOMERS, live_through, load};
use e2e::http::Metrics;
use e2e::netns::Namespace;
use e2e::process::{Process, until};
use e2e::server::Server;
use e2e::strangers::{FLAGS, HERE, TURN, median, space};
use e2e::turn_client::{Answer, TurnClient};
use e2e::uclient::Totals;

const METRICS: SocketAddr = SocketAddr::new(HERE, 9641);

/// Sources of one round, and how many rounds are measured.
const SOURCES: u32 = 200_000;
const ROUNDS: u32 = 3;

/// What a round may leave behind.
const KEPT: u64 = 64 * 1024;

/// Makes this test program the server that the measurement is tried on, and says whether that keeps something of its clients.
const CONTROL: &str = "TURNPIKE_TEST_CONTROL";

fn server(space: &Namespace, more: &[&str]) -> Result<Server> {
    let flags = [&FLAGS[..], &["--prometheus"], more].concat();
    Server::start(Some(space), &flags)
}

/// By how much each round of strangers makes a process grow.
fn growth(space: &Namespace, process: u32) -> Result<Vec<u64>> {
    let growth = e2e::strangers::growth(space, process, SOURCES, ROUNDS)?;
    println!("\nsay: {SOURCES} strangers each made it grow by {growth:?} bytes");
    Ok(growth)
}

#[test]
fn nothing_is_kept_of_two_hundred_thousand_strangers() {
    let space = space().unwrap();
    let server = server(&space, &[]).unwrap();
    let growth = growth(&space, server.id()).unwrap();
    assert!(median(&growth) <= KEPT, "{growth:?}");
    let metrics = space.inside(|| Metrics::scrape(METRICS)).unwrap();
    assert_eq!(metrics.sum("turn_total_allocations"), Some(0.0));
    // What came from one address was not all answered: the limit of answers was in force.
    let withheld = metrics.sum("turnpike_unauthenticated_replies_withheld_total");
    assert!(withheld.unwrap() > 100_000.0, "{withheld:?}");
}

/// The measurement sees sixteen bytes for each: a server that keeps them fails, and the same server without them does not.
#[test]
fn sixteen_bytes_of_each_stranger_would_be_seen() {
    if let Ok(control) = std::env::var(CONTROL) {
        return control_server(&control).unwrap();
    }
    for (control, fails) in [("keep", true), ("forget", false)] {
        let space = space().unwrap();
        let mut command = space.command(std::env::current_exe().unwrap());
        command
            .args([
                "--exact",
                "sixteen_bytes_of_each_stranger_would_be_seen",
                "--nocapture",
            ])
            .env(CONTROL, control)
            .stdin(Stdio::null());
        let mut process = Process::start(&mut command, "control").unwrap();
        process
            .wait_for_output(&["ready"], Duration::from_secs(20))
            .unwrap();
        let growth = growth(&space, process.id()).unwrap();
        assert_eq!(median(&growth) > KEPT, fails, "{control}: {growth:?}");
    }
}

/// Answers whatever comes, and keeps an address and a port of whom it has not seen before, or nothing.
fn control_server(control: &str) -> Result<()> {
    let socket = UdpSocket::bind(TURN)?;
    let mut seen: HashSet<[u8; 16]> = HashSet::new();
    println!("ready");
    let mut buffer = [0; 256];
    loop {
        let (length, from) = socket.recv_from(&mut buffer)?;
        if let (IpAddr::V4(ip), "keep") = (from.ip(), control) {
            let mut entry = [0; 16];
            entry[..4].copy_from_slice(&ip.octets());
            entry[4..6].copy_from_slice(&from.port().to_be_bytes());
            seen.insert(entry);
        }
        socket.send_to(&buffer[..length], from)?;
    }
}

#[test]
fn five_hundred_clients_at_one_address_connect_under_the_default_limit() {
    let space = space().unwrap();
    // Each client makes a first allocation and abandons it. Its port is soon another client's, who is told 437 then and tries
    // again a second later: the more ports there are, the less often.
    space
        .sysctl("net.ipv4.ip_local_reserved_ports=3478,9641,20000-21999")
        .unwrap();
    space
        .sysctl("net.ipv4.ip_local_port_range=1024 65535")
        .unwrap();
    let _server = server(&space, &[]).unwrap();
    let totals = load(&space, 500, 3, &["-s"]).unwrap();
    assert!(totals.all_returned(), "{totals:?}");
    let metrics = space.inside(|| Metrics::scrape(METRICS)).unwrap();
    let withheld = metrics.sum("turnpike_unauthenticated_replies_withheld_total");
    assert_eq!(withheld, Some(0.0));
}

#[test]
fn a_flood_of_strangers_hurts_neither_relays_nor_newcomers() {
    let space = space().unwrap();
    let _server = server(&space, &["--relay-threads=2"]).unwrap();
    let flooded = live_through(&space).unwrap();
    let (quiet, loud, rate) = (flooded.quiet, flooded.loud, flooded.rate);
    let lost = Totals::lost;
    println!(
        "\nsay: {rate:.0} unauthenticated requests a second: {} of {} lost, {} of {} without",
        lost(loud),
        loud.sent,
        lost(quiet),
        quiet.sent
    );
    assert!(rate > 20_000.0, "{rate:.0} requests a second are no flood");
    assert!(loud.sent >= quiet.sent, "{loud:?} {quiet:?}");
    assert!(
        lost(loud) <= lost(quiet) + loud.sent / 1_000,
        "{loud:?}, without the flood {quiet:?}"
    );
    assert_eq!(flooded.newcomers, NEWCOMERS);
}

/// Conservation: whatever clients were given is back to the last piece when they give it up, and can be given again.
#[test]
fn what_a_hundred_clients_give_back_is_all_there_again() {
    let space = space().unwrap();
    let server = server(&space, &["--user-quota=100"]).unwrap();
    let gauge = |name| {
        let metrics = space.inside(|| Metrics::scrape(METRICS)).unwrap();
        metrics.sum(name).unwrap_or(0.0)
    };
    let held = || {
        let gauges = ["turn_total_allocations", "turnpike_relay_ports_used"];
        let gauges = gauges
            .into_iter()
            .chain(["turnpike_permissions", "turnpike_channels"]);
        let gauges: Vec<f64> = gauges.map(gauge).collect();
        let descriptors = fs::read_dir(format!("/proc/{}/fd", server.id()));
        (gauges, descriptors.unwrap().count())
    };
    let comes_to = |gauges: [f64; 4], descriptors: usize| {
        let wanted = (gauges.to_vec(), descriptors);
        let equal = || (held() == wanted).then_some(());
        let waited = until("it holds what it should", Duration::from_secs(20), equal);
        assert!(waited.is_ok(), "{:?} and not {wanted:?}", held());
    };
    let (_, idle) = held();
    comes_to([0.0; 4], idle);
    for _ in 0..3 {
        let mut clients: Vec<TurnClient> = (0..100)
            .map(|_| {
                space
                    .inside(|| TurnClient::new(TURN, "guest", "secret"))
                    .unwrap()
            })
            .collect();
        for client in &mut clients {
            let success = |answer: Result<Answer>| matches!(answer, Ok(Answer::Success { .. }));
            assert!(success(client.allocate(None)));
            assert!(success(client.permit(SocketAddr::new(HERE, 9))));
            assert!(success(client.bind(0x4000, SocketAddr::new(HERE, 10))));
        }
        comes_to([100.0; 4], idle + 100);
        let mut one_more = space
            .inside(|| TurnClient::new(TURN, "guest", "secret"))
            .unwrap();
        assert_eq!(one_more.allocate(None).unwrap(), Answer::Refused(486));
        for client in &mut clients {
            client.refresh(0).unwrap();
        }
        comes_to([0.0; 4], idle);
    }
}
