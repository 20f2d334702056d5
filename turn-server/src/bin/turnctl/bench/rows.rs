//! The rows of the table: what is loaded onto the servers, and which figure of it is compared.
//!
//! A new row is one entry here. A row that loads in a new way is a new [`Kind`] and a module that measures it.

use super::measurement::{Measurement, Metric};
use super::relay::{Load, Scale};
use super::session::Framing;
use super::target::{Contender, Running};
use super::{binding, cycles, memory, relay};
use anyhow::Result;

/// A voice packet of 20 ms Opus is about this long.
const VOICE: usize = 160;
/// What a smoke run keeps of a row: enough that every server answers, little enough for a busy machine.
pub(crate) const SMOKE_RATE: u64 = 10_000;
pub(crate) const SMOKE_SESSIONS: usize = 50;

/// One line of the comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) kind: Kind,
}

/// How a row loads the servers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Packets at a given rate.
    Relay(Load),
    /// The highest rate without loss, searched from the load's rate.
    HighestRate(Load),
    /// Allocate and give back, as fast as answers come.
    Cycles,
    /// STUN Binding, as fast as answers come.
    Binding,
    /// Memory of so many idle allocations.
    Memory(usize),
}

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "voice-1",
        what: "1 session, 20,000 packets/s, 160-byte ChannelData, client to peer",
        kind: Kind::Relay(Load {
            sessions: 1,
            rate: 20_000,
            burst: 1,
            payload: VOICE,
            framing: Framing::Channel,
        }),
    },
    Row {
        name: "voice-1000",
        what: "1,000 sessions, 100,000 packets/s in all, 160-byte ChannelData, client to peer",
        kind: Kind::Relay(Load {
            sessions: 1_000,
            rate: 100_000,
            burst: 1,
            payload: VOICE,
            framing: Framing::Channel,
        }),
    },
    Row {
        name: "indications",
        what: "100 sessions, 50,000 packets/s in all, 160-byte Send indications, client to peer",
        kind: Kind::Relay(Load {
            sessions: 100,
            rate: 50_000,
            burst: 1,
            payload: VOICE,
            framing: Framing::Indication,
        }),
    },
    Row {
        name: "max-rate",
        what: "1,000 sessions, highest rate that loses less than 0.1 %, 160-byte ChannelData, client to peer",
        kind: Kind::HighestRate(Load {
            sessions: 1_000,
            rate: 120_000,
            burst: 1,
            payload: VOICE,
            framing: Framing::Channel,
        }),
    },
    Row {
        name: "alloc",
        what: "fresh clients, 32 at a time: 401, Allocate, Refresh(0)",
        kind: Kind::Cycles,
    },
    Row {
        name: "binding",
        what: "STUN Binding, saturated: 256 requests under way",
        kind: Kind::Binding,
    },
    Row {
        name: "memory",
        what: "10,000 idle allocations on a server just started",
        kind: Kind::Memory(10_000),
    },
];

impl Row {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        ROWS.iter().find(|row| row.name == name).copied()
    }

    /// The figures of the row; the first is the one that is compared.
    pub(crate) fn metrics(&self) -> &'static [Metric] {
        match self.kind {
            Kind::Relay(_) => &[
                Metric::CpuPerPacket,
                Metric::Loss,
                Metric::LatencyMedian,
                Metric::LatencyHigh,
                Metric::DeliveredRate,
                Metric::ServerDrops,
            ],
            Kind::HighestRate(_) => &[
                Metric::HighestRate,
                Metric::CpuPerPacket,
                Metric::Loss,
                Metric::LatencyMedian,
                Metric::LatencyHigh,
                Metric::ServerDrops,
            ],
            Kind::Cycles => &[
                Metric::CyclesPerCpuSecond,
                Metric::CpuPerCycle,
                Metric::CycleRate,
                Metric::Loss,
                Metric::LatencyMedian,
                Metric::LatencyHigh,
            ],
            Kind::Binding => &[Metric::CpuPerAnswer, Metric::AnsweredRate, Metric::Loss],
            Kind::Memory(_) => &[
                Metric::ResidentPerSession,
                Metric::SlabPerSession,
                Metric::Sessions,
            ],
        }
    }

    /// Whether the forwarder, which knows no protocol, can show the floor of this row.
    pub(crate) fn takes(&self, contender: Contender) -> bool {
        contender.speaks_turn() || !matches!(self.kind, Kind::Cycles | Kind::Memory(_))
    }

    /// Whether each measurement needs a server that has done nothing before.
    pub(crate) fn needs_fresh_server(&self) -> bool {
        matches!(self.kind, Kind::Memory(_))
    }

    /// Rounds after which more would teach nothing.
    pub(crate) fn rounds(&self, asked: usize) -> usize {
        match self.kind {
            Kind::Memory(_) => asked.min(2),
            _ => asked,
        }
    }

    /// The row as a smoke run loads it.
    pub(crate) fn for_smoke(mut self) -> Self {
        self.kind = match self.kind {
            Kind::Relay(load) => Kind::Relay(gentle(load)),
            Kind::HighestRate(load) => Kind::HighestRate(gentle(load)),
            Kind::Memory(sessions) => Kind::Memory(sessions.min(SMOKE_SESSIONS)),
            unbounded @ (Kind::Cycles | Kind::Binding) => unbounded,
        };
        self
    }

    /// How often a disturbed measurement is made again at once, so that a round stays close in time; a search sees to that itself, trial by trial.
    pub(crate) fn repeats(&self) -> usize {
        match self.kind {
            Kind::HighestRate(_) => 0,
            _ => 2,
        }
    }

    /// Measures one server once; `before` is its measurement of an earlier round.
    ///
    /// # Errors
    /// The server is gone or refuses.
    pub(crate) fn measure(
        &self,
        server: &Running,
        scale: &Scale,
        before: Option<&Measurement>,
    ) -> Result<Measurement> {
        let known = before.and_then(|before| before.figure(Metric::HighestRate));
        match &self.kind {
            Kind::Relay(load) => relay::at_rate(server, load, scale),
            Kind::HighestRate(load) => {
                relay::highest_rate(server, load, scale, known.map(|rate| rate as u64))
            }
            Kind::Cycles => cycles::measure(server, scale),
            Kind::Binding => binding::measure(server, scale),
            Kind::Memory(sessions) => memory::measure(server, *sessions),
        }
    }
}

fn gentle(load: Load) -> Load {
    Load {
        sessions: load.sessions.min(SMOKE_SESSIONS),
        rate: load.rate.min(SMOKE_RATE),
        ..load
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_found() {
        let names: HashSet<_> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ROWS.len());
        for row in ROWS {
            assert_eq!(Row::from_name(row.name).map(|row| row.what), Some(row.what));
        }
    }

    #[test]
    fn the_forwarder_takes_part_where_no_protocol_is_needed() {
        let rows = |contender| {
            ROWS.iter()
                .filter(|row| row.takes(contender))
                .map(|row| row.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            rows(Contender::Forwarder),
            [
                "voice-1",
                "voice-1000",
                "indications",
                "max-rate",
                "binding"
            ]
        );
        assert_eq!(rows(Contender::Ours).len(), ROWS.len());
    }

    #[test]
    fn a_smoke_run_is_gentle() {
        for row in ROWS {
            if let Kind::Relay(load) | Kind::HighestRate(load) = row.for_smoke().kind {
                assert!(
                    load.rate <= SMOKE_RATE && load.sessions <= SMOKE_SESSIONS,
                    "{}",
                    row.name
                );
            }
        }
    }
}
