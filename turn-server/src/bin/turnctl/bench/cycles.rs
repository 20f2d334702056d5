//! Allocations per second: fresh clients, many at a time, each meets the challenge, allocates, and gives the allocation back.

use super::client::{
    Account, Answer, Credentials, allocate_request, connected_socket_from, refresh_request,
};
use super::disturbance::Watch;
use super::histogram::Histogram;
use super::measurement::{Measurement, Metric};
use super::proc::ProcessTime;
use super::relay::Scale;
use super::target::Running;
use anyhow::Result;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use turn_wire::TransactionId;

/// Clients under way at once: enough that the server never waits for one of them.
const AT_ONCE: usize = 32;
/// A request unanswered for so long is sent again; loopback answers within a millisecond.
const RETRANSMIT_AFTER: Duration = Duration::from_millis(200);
/// A client that was not answered so often is given up.
const SENDINGS: u32 = 4;

/// Measures cycles of 401, Allocate, Refresh(0).
///
/// # Errors
/// No socket can be had, or the server is gone.
pub(crate) fn measure(server: &Running, scale: &Scale) -> Result<Measurement> {
    let mut crowd = Crowd::new(server.listen, server.account())?;
    let watch = Watch::begin(scale.placement, server.pid());
    crowd.run_for(scale.warm_up)?;
    crowd.forget();
    let before = ProcessTime::of(server.pid())?;
    let began = Instant::now();
    crowd.run_for(scale.window)?;
    let window = began.elapsed();
    let cpu_ns = ProcessTime::of(server.pid())?.since(&before).run_ns;
    let cpu = cpu_ns as f64 / 1e9;
    let (done, failed) = (crowd.done, crowd.failed);
    crowd.finish()?;
    let mut measured = Measurement::new(watch.end(0.0, 0))
        .with(
            Metric::CycleRate,
            done as f64 / window.as_secs_f64().max(f64::EPSILON),
        )
        .with(Metric::Loss, failed as f64 / (done + failed).max(1) as f64);
    if done > 0 && cpu > 0.0 {
        measured = measured
            .with(Metric::CyclesPerCpuSecond, done as f64 / cpu)
            .with(Metric::CpuPerCycle, cpu / done as f64);
    }
    for (metric, quantile) in [(Metric::LatencyMedian, 0.5), (Metric::LatencyHigh, 0.99)] {
        if let Some(ns) = crowd.took.quantile(quantile) {
            measured = measured.with(metric, ns as f64 / 1e9);
        }
    }
    Ok(measured)
}

struct Crowd {
    server: SocketAddr,
    account: Account,
    /// Keeps the derived key from cycle to cycle: deriving it is the client's cost and not the server's.
    known: Option<Credentials>,
    clients: Vec<Cycle>,
    homes: Homes,
    done: u64,
    failed: u64,
    took: Histogram,
}

/// The addresses that fresh clients come from, each another one of 127.1.0.0/16.
///
/// From one address the ports would soon come round again, and coturn, which keeps a freed client for a while, would
/// answer its successor on the same port by 437.
struct Homes(u16);

impl Homes {
    fn next(&mut self) -> Ipv4Addr {
        self.0 = self.0.wrapping_add(1);
        let [high, low] = self.0.to_be_bytes();
        Ipv4Addr::new(127, 1, high, low)
    }
}

/// One client on its way through a cycle.
struct Cycle {
    socket: UdpSocket,
    step: Step,
    id: TransactionId,
    request: Vec<u8>,
    credentials: Option<Credentials>,
    began: Instant,
    sent_at: Instant,
    sendings: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Challenge,
    Allocate,
    Release,
}

impl Crowd {
    fn new(server: SocketAddr, account: Account) -> Result<Self> {
        let mut homes = Homes(rand::random());
        let clients = (0..AT_ONCE)
            .map(|_| Cycle::begin(homes.next(), server))
            .collect::<Result<_>>()?;
        Ok(Self {
            server,
            account,
            known: None,
            clients,
            homes,
            done: 0,
            failed: 0,
            took: Histogram::new(),
        })
    }

    fn forget(&mut self) {
        (self.done, self.failed, self.took) = (0, 0, Histogram::new());
    }

    fn run_for(&mut self, span: Duration) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < span {
            for index in 0..self.clients.len() {
                if self.turn(index)? {
                    let fresh = Cycle::begin(self.homes.next(), self.server)?;
                    self.clients.splice(index..=index, [fresh]);
                }
            }
        }
        Ok(())
    }

    /// Lets the cycles under way end, so that no allocation stays behind.
    fn finish(&mut self) -> Result<()> {
        let deadline = Instant::now() + RETRANSMIT_AFTER * SENDINGS;
        while !self.clients.is_empty() && Instant::now() < deadline {
            let mut index = 0;
            while index < self.clients.len() {
                if self.turn(index)? {
                    self.clients.swap_remove(index);
                } else {
                    index += 1;
                }
            }
        }
        Ok(())
    }

    /// Takes one client further if its answer is there; true when its cycle has ended.
    fn turn(&mut self, index: usize) -> Result<bool> {
        let Some(cycle) = self.clients.get_mut(index) else {
            return Ok(true);
        };
        let Some(answer) = cycle.answer() else {
            if cycle.sent_at.elapsed() < RETRANSMIT_AFTER {
                return Ok(false);
            }
            if cycle.sendings < SENDINGS {
                cycle.send();
                return Ok(false);
            }
            self.failed += 1;
            return Ok(true);
        };
        match (cycle.step, answer.error) {
            (Step::Challenge, Some(_)) if answer.is_challenge() => {
                cycle.credentials =
                    Credentials::from_challenge(&self.account, &answer, self.known.as_ref());
                self.known.clone_from(&cycle.credentials);
                cycle.go(Step::Allocate);
                Ok(false)
            }
            (Step::Allocate, None) => {
                cycle.go(Step::Release);
                Ok(false)
            }
            (Step::Release, None) => {
                self.done += 1;
                self.took
                    .record(u64::try_from(cycle.began.elapsed().as_nanos()).unwrap_or(u64::MAX));
                Ok(true)
            }
            _ => {
                self.failed += 1;
                Ok(true)
            }
        }
    }
}

impl Cycle {
    /// A fresh client: a port of its own, and no nonce.
    fn begin(home: Ipv4Addr, server: SocketAddr) -> Result<Self> {
        let socket = connected_socket_from(home.into(), server)?;
        socket.set_nonblocking(true)?;
        let now = Instant::now();
        let mut cycle = Self {
            socket,
            step: Step::Challenge,
            id: [0; 12],
            request: Vec::new(),
            credentials: None,
            began: now,
            sent_at: now,
            sendings: 0,
        };
        cycle.go(Step::Challenge);
        Ok(cycle)
    }

    fn go(&mut self, step: Step) {
        self.step = step;
        self.id = rand::random();
        let request = match step {
            Step::Challenge | Step::Allocate => allocate_request(self.id),
            Step::Release => refresh_request(self.id, 0),
        };
        self.request = match &self.credentials {
            Some(credentials) => credentials.sign(request),
            None => request.finish(None, false),
        };
        self.sendings = 0;
        self.send();
    }

    fn send(&mut self) {
        self.sendings += 1;
        self.sent_at = Instant::now();
        // What is not sent is not answered, and comes again by the timer.
        let _ = self.socket.send(&self.request);
    }

    fn answer(&self) -> Option<Answer> {
        let mut buffer = [0; 2048];
        let len = self.socket.recv(&mut buffer).ok()?;
        let (id, answer) = Answer::read(buffer.get(..len)?)?;
        (id == self.id).then_some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn fresh_clients_come_from_ever_new_loopback_addresses() {
        let mut homes = Homes(u16::MAX - 5);
        let seen: HashSet<Ipv4Addr> = (0..1_000).map(|_| homes.next()).collect();
        assert_eq!(seen.len(), 1_000);
        assert!(seen.iter().all(Ipv4Addr::is_loopback));
    }
}
