//! Start, stop, refusals to start, several workers, failures of one, and what operators are told.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::sync_channel,
    },
};

use rand::{CryptoRng, RngCore, SeedableRng, rngs::StdRng};
use support::{LOOPBACKS, PATIENCE, Server, Setup, ip, peer};
use turn_io::{Config, StartError};
use turn_proto::{BindFailure, Event, Transport};

const ON: &str = LOOPBACKS[0];

/// An address that tests running at the same time do not use, for tests to which it matters that a port is free.
const QUIET: &str = "127.0.77.1:0";

fn setup(change: impl FnOnce(&mut Config)) -> Setup {
    let mut setup = Setup::default();
    change(&mut setup.config);
    setup
}

fn refused(change: impl FnOnce(&mut Config)) -> StartError {
    let result = Server::try_with(setup(change), |_| StdRng::seed_from_u64(1));
    result.err().unwrap()
}

#[test]
fn every_worker_shares_the_ports_that_are_told() {
    let server = Server::with(setup(|config| config.workers = 3));
    let listening: Vec<_> = server
        .workers
        .listening()
        .iter()
        .map(|l| (l.transport, l.address))
        .collect();
    let transports = [
        Transport::Udp,
        Transport::Udp,
        Transport::Tcp,
        Transport::Tcp,
    ];
    assert!(
        listening
            .iter()
            .map(|(transport, _)| *transport)
            .eq(transports)
    );
    assert!(listening.iter().all(|(_, address)| address.port() != 0));
    assert_eq!(server.workers.count(), 3);
}

#[test]
fn clients_are_spread_over_the_workers_and_all_are_served() {
    let (sink, events) = sync_channel(1024);
    let server = Server::with(setup(|config| {
        config.workers = 3;
        config.events = Some(sink);
    }));
    let transports = [Transport::Udp, Transport::Tcp];
    let mut clients: Vec<_> = (0..60)
        .map(|number| server.client(transports[number % 2], LOOPBACKS[number / 2 % 2]))
        .collect();
    for client in &mut clients {
        client.allocate();
    }
    // The worker's number stands in the first digits of a session's.
    let mut workers: Vec<_> = events
        .try_iter()
        .filter_map(|event| match event {
            Event::Started { session, .. } => Some(session.to_string()[..3].to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(workers.len(), 60);
    workers.sort();
    workers.dedup();
    assert_eq!(workers, ["000", "001", "002"]);
    assert_eq!(server.workers.stats().relay.allocations_created, 60);
}

#[test]
fn stopping_frees_every_port() {
    let quiet = vec![QUIET.parse().unwrap()];
    let setup =
        setup(|config| (config.workers, config.udp, config.tcp) = (2, quiet.clone(), quiet));
    let server = Server::with(Setup {
        relays: vec![ip(QUIET)],
        ..setup
    });
    let listening = server.workers.listening();
    let mut clients: Vec<_> = [Transport::Udp, Transport::Tcp]
        .map(|transport| server.client(transport, ON))
        .into();
    let relayed: Vec<_> = clients.iter_mut().map(support::Client::allocate).collect();
    for address in &relayed {
        assert!(UdpSocket::bind(address).is_err());
    }
    let shared = Arc::clone(&server.shared);
    server.workers.stop();
    for address in relayed {
        UdpSocket::bind(address).unwrap();
    }
    for there in listening {
        match there.transport {
            Transport::Udp => drop(UdpSocket::bind(there.address).unwrap()),
            // As the server itself does: its old connections linger.
            _ => drop(TcpListener::bind(there.address).unwrap()),
        }
    }
    assert_eq!(shared.ports.claimed(), 0);
}

#[test]
fn a_stopped_server_starts_again_on_its_ports() {
    let quiet = vec![QUIET.parse().unwrap()];
    let first = Server::with(setup(|config| {
        (config.workers, config.udp, config.tcp) = (2, quiet.clone(), quiet)
    }));
    let mut client = first.client(Transport::Tcp, ON);
    client.allocate();
    let addresses = [Transport::Udp, Transport::Tcp].map(|transport| first.address(transport, ON));
    drop(first);
    let second = Server::with(setup(|config| {
        config.workers = 2;
        config.udp = vec![addresses[0]];
        config.tcp = vec![addresses[1]];
    }));
    let mut client = second.client(Transport::Tcp, ON);
    assert_eq!(client.binding(), client.local());
}

#[test]
fn a_port_of_another_program_is_refused_with_the_option_that_changes_it() {
    let udp = UdpSocket::bind(ON).unwrap();
    let tcp = TcpListener::bind(ON).unwrap();
    let (udp, tcp) = (
        udp.local_addr().map(|at| (udp, at)).unwrap(),
        tcp.local_addr().map(|at| (tcp, at)).unwrap(),
    );
    for workers in [1, 2] {
        let errors = [
            (
                refused(|config| (config.workers, config.udp) = (workers, vec![udp.1])),
                format!("udp {}", udp.1),
            ),
            (
                refused(|config| (config.workers, config.tcp) = (workers, vec![tcp.1])),
                format!("tcp {}", tcp.1),
            ),
        ];
        for (error, there) in errors {
            assert!(matches!(error, StartError::InUse(_)), "{error:?}");
            let text = error.to_string();
            assert!(
                text.contains(&there) && text.contains("--listening-port"),
                "{text}"
            );
        }
    }
}

#[test]
fn a_second_server_never_shares_the_ports_of_a_running_one() {
    // Both ask for SO_REUSEPORT and belong to the same user, so the kernel would let them.
    for workers in [1, 2] {
        let first = Server::with(setup(|config| config.workers = workers));
        for transport in [Transport::Udp, Transport::Tcp] {
            let address = first.address(transport, ON);
            let error = refused(|config| {
                config.workers = workers;
                match transport {
                    Transport::Udp => config.udp = vec![address],
                    _ => config.tcp = vec![address],
                }
            });
            assert!(
                matches!(error, StartError::InUse(_)),
                "{transport} {error:?}"
            );
        }
    }
}

#[test]
fn a_wildcard_does_not_hide_a_busy_port_either() {
    let first = Server::with(setup(|config| config.workers = 2));
    let port = first.address(Transport::Udp, ON).port();
    let error = refused(|config| {
        config.workers = 2;
        config.udp = vec![SocketAddr::from(([0, 0, 0, 0], port))];
    });
    assert!(matches!(error, StartError::InUse(_)), "{error:?}");
}

#[test]
fn a_foreign_address_is_refused_with_the_remedy_behind_a_nat() {
    let foreign: SocketAddr = "192.0.2.1:3478".parse().unwrap();
    let errors = [
        (
            refused(|config| config.udp = vec![foreign]),
            "--listening-ip",
        ),
        (
            refused(|config| config.tcp = vec![foreign]),
            "--listening-ip",
        ),
        (
            refused(|config| config.relay_addresses = vec![foreign.ip()]),
            "--relay-ip",
        ),
    ];
    for (error, option) in errors {
        let text = error.to_string();
        for part in ["192.0.2.1", option, "--external-ip=PUBLIC/PRIVATE"] {
            assert!(text.contains(part), "{text}");
        }
    }
}

#[test]
fn a_failed_start_leaves_nothing_bound() {
    let busy = TcpListener::bind(ON).unwrap();
    let free = UdpSocket::bind(QUIET).unwrap().local_addr().unwrap();
    refused(|config| {
        config.workers = 2;
        config.udp = vec![free];
        config.tcp = vec![busy.local_addr().unwrap()];
    });
    UdpSocket::bind(free).unwrap();
}

#[test]
fn a_taken_relay_port_is_passed_over() {
    let taken = UdpSocket::bind(QUIET).unwrap();
    let port = taken.local_addr().unwrap().port();
    // Of two ports one is taken, whichever is tried first.
    let ports = if port == u16::MAX {
        port - 1..=port
    } else {
        port..=port + 1
    };
    let server = Server::with(Setup {
        relays: vec![ip(QUIET)],
        relay_ports: ports,
        ..Setup::default()
    });
    let relayed = server.client(Transport::Udp, ON).allocate();
    assert_ne!(relayed.port(), port);
}

#[test]
fn when_no_relay_port_can_be_bound_the_client_and_the_operator_are_told() {
    let taken = UdpSocket::bind(QUIET).unwrap();
    let local = taken.local_addr().unwrap();
    let server = Server::with(Setup {
        relays: vec![ip(QUIET)],
        relay_ports: local.port()..=local.port(),
        ..Setup::default()
    });
    let mut client = server.client(Transport::Udp, ON);
    assert_eq!(client.request_allocation().error(), Some(508));
    let told = server.events.try_iter().any(
        |event| matches!(event, Event::BindFailed { local: at, cause: BindFailure::InUse } if at == local),
    );
    assert!(told);
    drop(taken);
    assert!(client.request_allocation().is_success());
}

#[test]
fn events_that_nobody_reads_are_dropped_and_counted() {
    let (sink, events) = sync_channel(1);
    let server = Server::with(setup(|config| config.events = Some(sink)));
    let mut client = server.client(Transport::Udp, ON);
    client.allocate();
    client.release();
    client.allocate();
    let stats = server.workers.stats();
    assert!(stats.io.events_dropped >= 1, "{stats:?}");
    assert_eq!(events.try_iter().count(), 1);
}

#[test]
fn a_command_reaches_every_worker() {
    let server = Server::with(setup(|config| config.workers = 2));
    let mut clients: Vec<_> = (0..20).map(|_| server.client(Transport::Udp, ON)).collect();
    assert_eq!(clients[0].binding(), clients[0].local());
    let mut rules = support::rules(LOOPBACKS.map(ip).to_vec());
    rules.binding_needs_credentials = true;
    server
        .workers
        .command(turn_proto::Admin::Configure(Arc::new(rules)));
    // A later command of the same channel: once it is answered, the first was obeyed.
    server.workers.stats();
    for client in &mut clients {
        let answer = client.request(turn_wire::Method::BINDING, |request| request);
        assert_eq!(answer.error(), Some(401));
    }
}

/// Chance that panics when told to.
struct Brittle(StdRng, Arc<AtomicBool>);

impl RngCore for Brittle {
    fn next_u32(&mut self) -> u32 {
        assert!(!self.1.load(Ordering::SeqCst), "out of luck");
        self.0.next_u32()
    }
    fn next_u64(&mut self) -> u64 {
        assert!(!self.1.load(Ordering::SeqCst), "out of luck");
        self.0.next_u64()
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        assert!(!self.1.load(Ordering::SeqCst), "out of luck");
        self.0.fill_bytes(bytes);
    }
}

impl CryptoRng for Brittle {}

#[test]
fn a_worker_that_panics_is_noticed_and_the_others_serve_on() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let (notes, broken) = (Arc::clone(&told), Arc::new(AtomicBool::new(false)));
    let setup = setup(|config| {
        config.workers = 2;
        config.on_failure = Some(Arc::new(move |failure| {
            notes.lock().unwrap().push(failure.clone())
        }));
    });
    let server = Server::try_with(setup, |number| {
        let flag = if number == 1 {
            Arc::clone(&broken)
        } else {
            Arc::default()
        };
        Brittle(StdRng::seed_from_u64(number as u64), flag)
    })
    .unwrap();
    assert_eq!(server.workers.failed(), None);
    broken.store(true, Ordering::SeqCst);
    // Sooner or later one of them meets the brittle worker, and gets no answer.
    let (peer, peer_address) = peer(ON);
    let deadline = std::time::Instant::now() + PATIENCE;
    while server.workers.failed().is_none() {
        assert!(std::time::Instant::now() < deadline, "no worker failed");
        let mut client = server.client(Transport::Udp, ON);
        client.try_allocate();
    }
    let failure = server.workers.failed().unwrap();
    assert_eq!(
        (failure.worker, failure.reason.contains("out of luck")),
        (1, true),
        "{failure}"
    );
    server.wait_for("the hook", |_| {
        told.lock().unwrap().as_slice() == [failure.clone()]
    });
    // New clients all come to the worker that is left.
    for _ in 0..20 {
        let mut client = server.client(Transport::Udp, ON);
        let relayed = client.allocate();
        client.permit(peer_address);
        peer.send_to(b"x", relayed).unwrap();
        client.receive();
    }
    server.workers.stop();
}
