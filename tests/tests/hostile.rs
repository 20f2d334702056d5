//! What strangers can do to a running server: nothing is kept of them, and their flood hurts nobody.
//!
//! Every server is alone in a namespace of its own, where all of 10.0.0.0/8 is this machine's: as many clients as are needed, each
//! with an address of its own. Needs root.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::http::Metrics;
use e2e::netns::Namespace;
use e2e::process::{Process, until};
use e2e::server::Server;
use e2e::turn_client::{Answer, TurnClient};
use e2e::uclient::{Peer, Totals, uclient_within};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const TURN: SocketAddr = SocketAddr::new(HERE, 3478);
const METRICS: SocketAddr = SocketAddr::new(HERE, 9641);

/// Sources of one round, and how many rounds are measured.
const SOURCES: u32 = 200_000;
const ROUNDS: u32 = 3;

/// What a round may leave behind.
const KEPT: u64 = 64 * 1024;

/// Makes this test program the server that the measurement is tried on, and says whether that keeps something of its clients.
const CONTROL: &str = "TURNPIKE_TEST_CONTROL";

fn space() -> Result<Namespace> {
    let space = Namespace::new("hostile")?;
    space.ip("route add local 10.0.0.0/8 dev lo")?;
    Ok(space)
}

/// A server on 127.0.0.1 with one user, as it is configured by default otherwise.
fn server(space: &Namespace, more: &[&str]) -> Result<Server> {
    let mut flags = vec![
        "--listening-ip=127.0.0.1",
        "--relay-ip=127.0.0.1",
        "--allow-loopback-peers",
        "--realm=example.org",
        "--lt-cred-mech",
        "--user=guest:secret",
        "--prometheus",
        "--min-port=20000",
        "--max-port=21999",
    ];
    flags.extend(more);
    Server::start(Some(space), &flags)
}

/// An Allocate request as a browser sends it first, 28 bytes.
fn allocate(number: u32) -> Vec<u8> {
    let mut request = vec![0, 3, 0, 8, 0x21, 0x12, 0xa4, 0x42];
    request.extend([0; 8]);
    request.extend(number.to_be_bytes());
    request.extend([0, 0x19, 0, 4, 17, 0, 0, 0]);
    request
}

/// The address of a stranger. Neighbours are in different networks of 256 addresses, so that no network is answered less.
fn stranger(number: u32) -> IpAddr {
    let [_, high, middle, low] = number.to_be_bytes();
    Ipv4Addr::new(10, low, middle, high + 1).into()
}

fn answered(socket: &UdpSocket) -> Result<bool> {
    match socket.recv(&mut [0; 256]) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Sends one request from each of `SOURCES` addresses, and tells how many were answered.
fn many_strangers(space: &Namespace, round: u32) -> Result<u32> {
    space.inside(|| {
        let mut heard = 0;
        let numbers: Vec<u32> = (round * SOURCES..(round + 1) * SOURCES).collect();
        // So many at a time that nothing overflows.
        for batch in numbers.chunks(64) {
            let mut sockets = Vec::new();
            for number in batch {
                let socket = UdpSocket::bind((stranger(*number), 0))?;
                socket.set_read_timeout(Some(Duration::from_secs(2)))?;
                socket.send_to(&allocate(*number), TURN)?;
                sockets.push(socket);
            }
            for socket in sockets {
                heard += u32::from(answered(&socket)?);
            }
        }
        Ok(heard)
    })
}

/// Sends as much from a single address. Most of it is not answered; now and then somebody else asks, to keep in step.
fn one_stranger(space: &Namespace) -> Result<()> {
    space.inside(|| {
        let socket = UdpSocket::bind((HERE, 0))?;
        socket.set_nonblocking(true)?;
        for number in 0..SOURCES {
            socket.send_to(&allocate(number), TURN)?;
            while matches!(answered(&socket), Ok(true)) {}
            if number % 64 == 0 {
                let other = UdpSocket::bind((stranger(number % 64 + 0x00F0_0000), 0))?;
                other.set_read_timeout(Some(Duration::from_millis(20)))?;
                other.send_to(&allocate(number), TURN)?;
                answered(&other)?;
            }
        }
        Ok(())
    })
}

fn anonymous_bytes(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib: u64 = line
        .context("no RssAnon")?
        .trim()
        .trim_end_matches(" kB")
        .parse()?;
    Ok(kib * 1024)
}

/// By how much each round of strangers makes a process grow, after as much from one of them.
fn growth(space: &Namespace, process: u32) -> Result<Vec<u64>> {
    one_stranger(space)?;
    let mut growth = Vec::new();
    for round in 0..ROUNDS {
        let before = anonymous_bytes(process)?;
        let heard = many_strangers(space, round)?;
        ensure!(
            heard > SOURCES - SOURCES / 100,
            "only {heard} of {SOURCES} strangers were answered: they were not all there"
        );
        growth.push(anonymous_bytes(process)?.saturating_sub(before));
    }
    growth.sort_unstable();
    println!("\nsay: {SOURCES} strangers each made it grow by {growth:?} bytes");
    Ok(growth)
}

fn median(sorted: &[u64]) -> u64 {
    sorted[sorted.len() / 2]
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
    let totals = load(&space, 500, 3).unwrap();
    assert!(totals.all_returned(), "{totals:?}");
    let metrics = space.inside(|| Metrics::scrape(METRICS)).unwrap();
    let withheld = metrics.sum("turnpike_unauthenticated_replies_withheld_total");
    assert_eq!(withheld, Some(0.0));
}

/// So many clients of coturn's, each sending so many messages to a peer that sends them back.
fn load(space: &Namespace, clients: u32, messages: u32) -> Result<Totals> {
    let peer = Peer::start(Some(space), HERE)?;
    let (clients, messages, port) = (
        clients.to_string(),
        messages.to_string(),
        peer.port.to_string(),
    );
    let mut arguments = vec![
        "-c", "-m", &clients, "-n", &messages, "-l", "160", "-z", "20",
    ];
    arguments.extend(["-u", "guest", "-w", "secret"]);
    arguments.extend(["-e", "127.0.0.1", "-r", &port, "127.0.0.1"]);
    uclient_within(Some(space), &arguments, Duration::from_secs(150))
}

#[test]
fn a_flood_of_strangers_hurts_neither_relays_nor_newcomers() {
    let space = space().unwrap();
    let _server = server(&space, &["--relay-threads=2"]).unwrap();
    // 20 calls of 50 packets a second, for some six seconds.
    let quiet = load(&space, 20, 300).unwrap();
    let (flooding, sent) = (AtomicBool::new(true), AtomicU64::new(0));
    let (loud, newcomers, took) = thread::scope(|scope| {
        let flood = scope.spawn(|| space.inside(|| flood(&flooding, &sent)));
        let newcomers = scope.spawn(|| newcomers(&space));
        let begun = Instant::now();
        let loud = load(&space, 20, 300);
        let took = begun.elapsed();
        flooding.store(false, Ordering::Relaxed);
        flood.join().unwrap().unwrap();
        (loud.unwrap(), newcomers.join().unwrap().unwrap(), took)
    });
    let lost = |totals: Totals| totals.sent.saturating_sub(totals.received);
    let rate = sent.load(Ordering::Relaxed) as f64 / took.as_secs_f64();
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
    assert_eq!(newcomers, NEWCOMERS);
}

/// Unauthenticated requests from many addresses, as fast as one thread sends them, until told to stop.
fn flood(flooding: &AtomicBool, sent: &AtomicU64) -> Result<()> {
    let sockets: Vec<UdpSocket> = (0..256)
        .map(|number| {
            let socket = UdpSocket::bind((stranger(number), 0))?;
            socket.set_nonblocking(true)?;
            socket.connect(TURN)?;
            Ok(socket)
        })
        .collect::<Result<_>>()?;
    let deadline = Instant::now() + Duration::from_secs(60);
    let request = allocate(7);
    while flooding.load(Ordering::Relaxed) && Instant::now() < deadline {
        for socket in &sockets {
            sent.fetch_add(u64::from(socket.send(&request).is_ok()), Ordering::Relaxed);
        }
    }
    Ok(())
}

const NEWCOMERS: u32 = 10;

/// How many of some newcomers get their allocation. Where an answer is lost, one begins anew from another port.
fn newcomers(space: &Namespace) -> Result<u32> {
    let allocates = || {
        let mut client = space.inside(|| TurnClient::new(TURN, "guest", "secret"))?;
        client.allocate(None)
    };
    let mut welcome = 0;
    for _ in 0..NEWCOMERS {
        let allocated = until(
            "a newcomer has its allocation",
            Duration::from_secs(20),
            || matches!(allocates(), Ok(Answer::Success { .. })).then_some(()),
        );
        welcome += u32::from(allocated.is_ok());
    }
    Ok(welcome)
}
