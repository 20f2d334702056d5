//! A flood of unauthenticated requests, and calls and newcomers that live through it.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::netns::Namespace;
use crate::process::until;
use crate::strangers::{HERE, TURN, allocate, stranger};
use crate::turn_client::{Answer, TurnClient};
use crate::uclient::{Peer, Totals, uclient_within};

/// How many newcomers there are.
pub const NEWCOMERS: u32 = 10;

/// What came of it.
#[derive(Debug)]
pub struct Flooded {
    /// What the calls moved without it.
    pub quiet: Totals,
    /// What as many moved meanwhile.
    pub loud: Totals,
    /// How many newcomers got their allocation.
    pub newcomers: u32,
    /// Unauthenticated requests a second.
    pub rate: f64,
}

/// 20 calls of 50 packets a second for some six seconds, without a flood and under one.
///
/// # Errors
/// When a client cannot be run, or gets nowhere.
pub fn live_through(space: &Namespace) -> Result<Flooded> {
    let quiet = load(space, 20, 300, &[])?;
    let (flooding, sent) = (AtomicBool::new(true), AtomicU64::new(0));
    thread::scope(|scope| {
        let flood = scope.spawn(|| space.inside(|| flood(&flooding, &sent)));
        let newcomers = scope.spawn(|| newcomers(space));
        let begun = Instant::now();
        let loud = load(space, 20, 300, &[]);
        let took = begun.elapsed();
        flooding.store(false, Ordering::Relaxed);
        let panicked = |_| anyhow!("a thread panicked");
        flood.join().map_err(panicked)??;
        Ok(Flooded {
            quiet,
            loud: loud?,
            newcomers: newcomers.join().map_err(panicked)??,
            rate: sent.load(Ordering::Relaxed) as f64 / took.as_secs_f64(),
        })
    })
}

/// So many clients of coturn's, each sending so many messages to a peer that sends them back, by channels or as `method` says.
///
/// Each binds two channels whose numbers it draws from 16,384, and ends with error 400 when both are the same: among many clients
/// there is one such soon, so they better send indications (`-s`).
///
/// # Errors
/// When they cannot be run, or do not end.
pub fn load(space: &Namespace, clients: u32, messages: u32, method: &[&str]) -> Result<Totals> {
    let peer = Peer::start(Some(space), HERE)?;
    let (clients, messages, port) = (
        clients.to_string(),
        messages.to_string(),
        peer.port.to_string(),
    );
    let mut arguments = vec![
        "-c", "-m", &clients, "-n", &messages, "-l", "160", "-z", "20",
    ];
    arguments.extend(method);
    arguments.extend(["-u", "guest", "-w", "secret"]);
    arguments.extend(["-e", "127.0.0.1", "-r", &port, "127.0.0.1"]);
    uclient_within(Some(space), &arguments, Duration::from_secs(150))
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
