//! Rows that relay packets: processor time, loss and latency at a given rate, and the highest rate without loss.

use super::arrivals::{Receiver, Role};
use super::disturbance::Watch;
use super::load::{self, Flow, Idle, Outcome, Plan};
use super::measurement::{Measurement, Metric};
use super::placement::Placement;
use super::proc::{self, ProcessTime};
use super::search::{self, Trial};
use super::session::{self, Framing, Line, Session};
use super::socket;
use super::target::Running;
use anyhow::Result;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// Loss that still counts as none in the search for the highest rate.
const LOSS_LIMIT: f64 = 0.001;
/// Share of the asked rate below which the generator, not the server, has reached its end.
const GENERATOR_LIMIT: f64 = 0.97;
/// A trial of the search that failed and was disturbed is repeated this often.
const REPEATS: usize = 2;
/// Silence after which no packet is expected any more.
const DRAIN: Duration = Duration::from_millis(50);

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToPeer,
    ToClient,
}

/// What is sent, between clients and one peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) sessions: usize,
    /// Packets per second over all sessions; where the search begins in a search.
    pub(crate) rate: u64,
    pub(crate) burst: u64,
    pub(crate) payload: usize,
    pub(crate) framing: Framing,
    pub(crate) line: Line,
    pub(crate) way: Way,
}

/// How long and on which cores.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
    /// Trials after which a search for the highest rate ends.
    pub(crate) trials: usize,
    pub(crate) placement: Placement,
}

/// Measures at the rate of the row.
///
/// # Errors
/// The sessions cannot be opened, or the server is gone.
pub(crate) fn at_rate(server: &Running, load: &Load, scale: &Scale) -> Result<Measurement> {
    Stage::set(server, load)?.strike(|stage| stage.run(load.rate, scale))
}

/// Measures both loads one after the other: what a packet of the second costs in packets of the first, with the figures of the second.
///
/// # Errors
/// The sessions cannot be opened, or the server is gone.
pub(crate) fn beside(
    server: &Running,
    first: &Load,
    second: &Load,
    scale: &Scale,
) -> Result<Measurement> {
    let [first, second] = [first, second].map(|load| at_rate(server, load, scale));
    let (first, mut second) = (first?, second?);
    let cost = |measured: &Measurement| measured.figure(Metric::CpuPerPacket);
    if let (Some(one), Some(other)) = (cost(&first), cost(&second))
        && one > 0.0
    {
        second = second.with(Metric::Beside, other / one);
    }
    // One that was disturbed spoils the pair.
    if second.disturbance().is_none() {
        second.surroundings = first.surroundings;
    }
    Ok(second)
}

/// Searches the highest rate that loses less than 0.1 %; `known` is what an earlier round found.
///
/// # Errors
/// The sessions cannot be opened, or the server is gone.
pub(crate) fn highest_rate(
    server: &Running,
    load: &Load,
    scale: &Scale,
    known: Option<u64>,
) -> Result<Measurement> {
    let range = match known {
        Some(known) if known > 0 => search::Range::around(known, scale.trials),
        _ => search::Range::from(load.rate, scale.trials),
    };
    // Many trials: each need not be as long as the one measurement of another row.
    let scale = &Scale {
        window: scale.window / 2,
        ..*scale
    };
    Stage::set(server, load)?.strike(|stage| {
        let mut best = Best::default();
        let found = search::highest_rate(range, |rate| -> Result<Trial> {
            let (measured, verdict) = stage.judge(rate, scale)?;
            if verdict != Trial::Failed {
                best.offer(measured);
            }
            Ok(verdict)
        })?;
        let mut measured = match best.0 {
            Some(best) => stage.clean(best, scale)?,
            // Nothing passed: a rate of zero, with the figures of the row's own rate.
            None => stage.run(load.rate, scale)?.with(Metric::HighestRate, 0.0),
        };
        measured.generator_limited = found.generator_limited;
        Ok(measured)
    })
}

/// The lossless trial that delivered most.
#[derive(Default)]
struct Best(Option<Measurement>);

impl Best {
    fn offer(&mut self, measured: Measurement) {
        let rate = delivered(&measured);
        if is_lossless(&measured) && self.0.as_ref().is_none_or(|best| delivered(best) < rate) {
            self.0 = Some(measured.with(Metric::HighestRate, rate));
        }
    }
}

fn delivered(measured: &Measurement) -> f64 {
    measured.figure(Metric::DeliveredRate).unwrap_or(0.0)
}

fn is_lossless(measured: &Measurement) -> bool {
    measured
        .figure(Metric::Loss)
        .is_some_and(|loss| loss < LOSS_LIMIT)
}

/// Open sessions and their peer.
pub(super) struct Stage<'s> {
    server: &'s Running,
    load: Load,
    peer: UdpSocket,
    peer_address: SocketAddr,
    sessions: Vec<Session>,
}

impl<'s> Stage<'s> {
    pub(super) fn set(server: &'s Running, load: &Load) -> Result<Self> {
        let (peer, peer_address) = socket::peer(server.listen.ip())?;
        let sessions = Session::open_many(server, load, peer_address)?;
        Ok(Self {
            server,
            load: *load,
            peer,
            peer_address,
            sessions,
        })
    }

    /// Measures, then gives the allocations back, so that the next server has the machine for itself.
    pub(super) fn strike(
        self,
        measure: impl FnOnce(&Self) -> Result<Measurement>,
    ) -> Result<Measurement> {
        let measured = measure(&self);
        self.close();
        measured
    }

    /// Gives the allocations back.
    pub(super) fn close(self) {
        session::close_all(self.sessions);
    }

    /// Tries one rate. To pass in spite of a disturbance is to pass; a loss is the server's only when nothing else is to blame.
    fn judge(&self, rate: u64, scale: &Scale) -> Result<(Measurement, Trial)> {
        let mut measured = self.run(rate, scale)?;
        for _ in 0..REPEATS {
            if is_lossless(&measured) || measured.disturbance().is_none() {
                break;
            }
            measured = self.run(rate, scale)?;
        }
        let verdict = match (measured.generator_limited, is_lossless(&measured)) {
            (true, _) => Trial::BeyondGenerator,
            (false, true) => Trial::Passed,
            (false, false) => Trial::Failed,
        };
        Ok((measured, verdict))
    }

    /// A rate found under a disturbance stands, but what it cost does not: it is run again for that.
    fn clean(&self, best: Measurement, scale: &Scale) -> Result<Measurement> {
        let Some(rate) = best.figure(Metric::HighestRate) else {
            return Ok(best);
        };
        for _ in 0..REPEATS {
            if best.disturbance().is_none() {
                break;
            }
            let again = self.run(rate as u64, scale)?;
            if again.disturbance().is_none() && is_lossless(&again) {
                return Ok(again.with(Metric::HighestRate, rate));
            }
        }
        Ok(best)
    }

    fn flows(&self) -> Vec<Flow<'_>> {
        let sessions = self.sessions.iter();
        sessions
            .map(|session| match self.load.way {
                Way::ToPeer => session.flow(self.load.framing, self.load.payload),
                Way::ToClient => session.flow_back(&self.peer, self.load.payload),
            })
            .collect()
    }

    fn receivers(&self) -> Vec<Receiver<'_>> {
        match self.load.way {
            Way::ToPeer => vec![Receiver {
                socket: &self.peer,
                role: Role::Peer,
            }],
            Way::ToClient => (self.sessions.iter())
                .filter_map(Session::socket)
                .map(|socket| Receiver {
                    socket,
                    role: Role::Client,
                })
                .collect(),
        }
    }

    /// Sends so many packets in bursts, the next burst when the last has arrived, or is lost.
    pub(super) fn in_step(&self, packets: u64, lost_after: Duration) -> Result<()> {
        let plan = Plan {
            drain: lost_after,
            ..self.plan(0, Duration::ZERO, Duration::ZERO)
        };
        load::run_in_step(self.flows(), self.receivers(), &plan, packets)
    }

    fn plan(&self, rate: u64, warm_up: Duration, window: Duration) -> Plan {
        Plan {
            rate,
            burst: self.load.burst,
            payload: self.load.payload,
            warm_up,
            window,
            drain: DRAIN,
            idle: Idle::Spin,
        }
    }

    fn run(&self, rate: u64, scale: &Scale) -> Result<Measurement> {
        let plan = self.plan(rate, scale.warm_up, scale.window);
        let (flows, receivers) = (self.flows(), self.receivers());
        let drops_before = proc::socket_drops(self.peer_address);
        let watch = Watch::begin(scale.placement, self.server.pid());
        let mut readings = Vec::with_capacity(2);
        let outcome = load::run(flows, receivers, &plan, || {
            readings.push(ProcessTime::of(self.server.pid()))
        })?;
        let own_drops = proc::socket_drops(self.peer_address).saturating_sub(drops_before);
        let mut readings = readings.into_iter();
        let (Some(before), Some(after)) =
            (readings.next().transpose()?, readings.next().transpose()?)
        else {
            anyhow::bail!("the processor time was not read");
        };
        let surroundings = watch.end(outcome.given_up, own_drops);
        Ok(judged(
            &outcome,
            after.since(&before).run_ns,
            Measurement::new(surroundings),
            rate,
        ))
    }
}

fn judged(outcome: &Outcome, cpu_ns: u64, measured: Measurement, rate: u64) -> Measurement {
    let ledger = &outcome.ledger;
    let drops = measured.surroundings.server_drops;
    let seconds = |ns: u64| ns as f64 / 1e9;
    let mut measured = measured
        .with(Metric::Loss, ledger.loss())
        .with(Metric::DeliveredRate, outcome.arrived_rate())
        .with(Metric::ServerDrops, drops as f64)
        .with(Metric::Duplicates, ledger.duplicates as f64)
        .with(Metric::Reordered, ledger.reordered as f64)
        .with(Metric::Foreign, ledger.foreign as f64);
    if outcome.arrived_in_window > 0 {
        measured = measured.with(
            Metric::CpuPerPacket,
            seconds(cpu_ns) / outcome.arrived_in_window as f64,
        );
    }
    for (metric, quantile) in [(Metric::LatencyMedian, 0.5), (Metric::LatencyHigh, 0.99)] {
        if let Some(ns) = ledger.latency.quantile(quantile) {
            measured = measured.with(metric, seconds(ns));
        }
    }
    let sent_rate = ledger.sent as f64 / outcome.window.as_secs_f64().max(f64::EPSILON);
    measured.generator_limited = sent_rate < rate as f64 * GENERATOR_LIMIT;
    measured
}
