//! Many clients come, talk and go, round after round, over every transport and method: between rounds nothing of them is left.
//!
//! Part of `tests/run --deep`, for 20 minutes. `SOAK_MINUTES` makes it longer; each round's figures are printed as it ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic is how a test fails"
)]

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::certificate::{Algorithm, Certificate};
use e2e::http::Metrics;
use e2e::netns::Namespace;
use e2e::process::until;
use e2e::server::Server;
use e2e::strangers::{HERE, TURN, anonymous_bytes};
use e2e::turn_client::{Answer, TurnClient};
use e2e::uclient::{Peer, uclient_within};
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

const METRICS: SocketAddr = SocketAddr::new(HERE, 9641);

/// An allocation lives for 60 seconds here, so that even those that nobody gives back are gone by then.
const EXPIRED: Duration = Duration::from_secs(180);

/// Clients of a round, on each of two transports, and those that ask for a relay and are never heard of again.
const CLIENTS: &str = "200";
const VANISHING: u32 = 300;

/// TLS sessions that a server remembers, so that clients may resume them; it makes room for new ones then.
const REMEMBERED: u32 = 4096;

/// What a server holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    kib: u64,
    descriptors: usize,
    ports: usize,
}

impl Held {
    fn by(process: u32) -> Result<Self> {
        Ok(Self {
            kib: anonymous_bytes(process)? / 1024,
            descriptors: fs::read_dir(format!("/proc/{process}/fd"))?.count(),
            ports: relay_ports(process)?,
        })
    }
}

/// The sockets on relay ports in the namespace of a process.
fn relay_ports(process: u32) -> Result<usize> {
    let mut count = 0;
    for table in ["udp", "udp6", "tcp", "tcp6"] {
        let lines = match fs::read_to_string(format!("/proc/{process}/net/{table}")) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            lines => lines?,
        };
        // "sl local_address rem_address": the port is hexadecimal, behind the last colon.
        let ports = lines.lines().skip(1).filter_map(|line| {
            let (_, port) = line.split_whitespace().nth(1)?.rsplit_once(':')?;
            u16::from_str_radix(port, 16).ok()
        });
        count += ports
            .filter(|port| (20_000..=30_000).contains(port))
            .count();
    }
    Ok(count)
}

/// The slope of the line that lies best between samples that were taken at these hours (least squares).
fn slope(samples: &[(f64, f64)]) -> f64 {
    let count = samples.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|sample| sample.0), mean(|sample| sample.1));
    let above: f64 = samples.iter().map(|(at, held)| (at - x) * (held - y)).sum();
    let below: f64 = samples.iter().map(|(at, _)| (at - x) * (at - x)).sum();
    above / below
}

/// One load of coturn's client.
fn load(space: &Namespace, peer_port: &str, options: &[&str]) -> Result<()> {
    let mut arguments = vec!["-c", "-m", CLIENTS, "-n", "200", "-z", "20"];
    arguments.extend(["-u", "guest", "-w", "secret"]);
    arguments.extend(["-e", "127.0.0.1", "-r", peer_port]);
    arguments.extend(options);
    arguments.push("127.0.0.1");
    let totals = uclient_within(Some(space), &arguments, Duration::from_secs(180))?;
    // What a busy machine loses is counted elsewhere: here they only have to be at work.
    ensure!(totals.received > totals.sent / 2, "{options:?}: {totals:?}");
    Ok(())
}

/// Clients with a password that make an allocation, with a permission and a channel, and vanish.
fn vanish(space: &Namespace) -> Result<()> {
    for number in 0..VANISHING {
        let mut client = space.inside(|| TurnClient::new(TURN, "guest", "secret"))?;
        let allocated = client.allocate(None)?;
        if allocated == Answer::Refused(437) {
            // The port was another's who has vanished, and whose allocation is still there.
            continue;
        }
        ensure!(matches!(allocated, Answer::Success { .. }), "{allocated:?}");
        client.permit(SocketAddr::new(HERE, 9))?;
        client.bind(0x4000, SocketAddr::new(HERE, 10))?;
        if number % 3 == 0 {
            client.refresh(0)?;
        }
    }
    Ok(())
}

/// Clients that shake hands and go, until the server remembers as many of their sessions as it ever will: no growth, but a table
/// that is being filled.
fn be_remembered(space: &Namespace, certificate: &Certificate) -> Result<()> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&certificate.certificate)?)?;
    let config = ClientConfig::builder().with_root_certificates(roots);
    let mut config = config.with_no_client_auth();
    config.resumption = Resumption::disabled();
    let config = Arc::new(config);
    space.inside(move || {
        for _ in 0..REMEMBERED {
            let mut tls = ClientConnection::new(Arc::clone(&config), ServerName::from(HERE))?;
            let mut socket = TcpStream::connect(TURN)?;
            tls.complete_io(&mut socket)?;
        }
        Ok(())
    })
}

/// Clients over two transports at once, by channels and by indications in turn, and those that vanish.
fn round(space: &Namespace, peer_port: &str, number: usize) -> Result<()> {
    let streams = [&["-t"][..], &["-t", "-S"]][number % 2];
    let method: &[&str] = [&[][..], &["-s"]][number / 2 % 2];
    thread::scope(|scope| {
        let datagrams = scope.spawn(|| load(space, peer_port, method));
        load(space, peer_port, &[streams, method].concat())?;
        datagrams.join().expect("no panic")
    })?;
    // Behind the others: one that gets the port of another who has vanished is refused, and coturn's client gives up then.
    vanish(space)
}

#[test]
fn clients_that_come_and_go_leave_nothing_behind() {
    let minutes: u64 = std::env::var("SOAK_MINUTES").map_or(20, |all| all.parse().unwrap());
    let space = Namespace::new("soak").unwrap();
    // What clients bind is away from relay ports.
    space
        .sysctl("net.ipv4.ip_local_port_range=32768 65535")
        .unwrap();
    let certificate = Certificate::make(Algorithm::Ecdsa, HERE).unwrap();
    let files = certificate.flags();
    let mut flags = vec![
        "--listening-ip=127.0.0.1",
        "--relay-ip=127.0.0.1",
        "--allow-loopback-peers",
        "--prometheus",
        "--no-tls=no",
        "--min-port=20000",
        "--max-port=30000",
        "--realm=example.org",
        "--lt-cred-mech",
        "--user=guest:secret",
        "--max-allocate-lifetime=60",
    ];
    flags.extend(files.iter().map(String::as_str));
    let server = Server::start(Some(&space), &flags).unwrap();
    let peer = Peer::start(Some(&space), HERE).unwrap();
    let empty = || {
        let metrics = space.inside(|| Metrics::scrape(METRICS)).unwrap();
        let held = Held::by(server.id()).unwrap();
        (metrics.sum("turn_total_allocations") == Some(0.0) && held.ports == 0).then_some(held)
    };

    be_remembered(&space, &certificate).unwrap();
    let begun = Instant::now();
    let mut samples: Vec<(f64, Held)> = Vec::new();
    while begun.elapsed() < Duration::from_secs(minutes * 60) || samples.len() < 5 {
        round(&space, &peer.port.to_string(), samples.len()).unwrap();
        let held = until("all allocations and their ports are gone", EXPIRED, empty).unwrap();
        let hours = begun.elapsed().as_secs_f64() / 3600.0;
        println!(
            "\nround {}: after {hours:.3} hours {held:?}",
            samples.len() + 1
        );
        samples.push((hours, held));
    }
    // The first rounds, one of each kind, bring every buffer to its size.
    let settled = &samples[3..];
    let of = |what: fn(&Held) -> f64| settled.iter().map(move |(at, held)| (*at, what(held)));
    let memory = slope(&of(|held| held.kib as f64).collect::<Vec<_>>());
    let descriptors = slope(&of(|held| held.descriptors as f64).collect::<Vec<_>>());
    let ports = slope(&of(|held| held.ports as f64).collect::<Vec<_>>());
    println!(
        "\nsay: {} rounds in {} minutes; an hour adds {memory:.0} KiB, {descriptors:.1} descriptors, {ports:.1} ports",
        samples.len(),
        begun.elapsed().as_secs() / 60
    );
    let (first, last) = (settled[0].1, samples[samples.len() - 1].1);
    assert_eq!(first.descriptors, last.descriptors, "{samples:?}");
    assert!(last.kib < first.kib + first.kib / 10 + 1024, "{samples:?}");
}
