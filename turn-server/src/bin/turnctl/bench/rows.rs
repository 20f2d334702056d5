//! The rows of the table: what is loaded onto the servers, and which figure of it is compared.
//!
//! A new row is one entry here. A row that loads in a new way is a new [`Kind`] and a module that measures it.

use super::measurement::{Measurement, Metric};
use super::relay::{Load, Scale, Way};
use super::session::{Framing, Line};
use super::target::{Contender, Running};
use super::{binding, counts, cycles, memory, relay};
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
    /// What is to be reached, of the first figure and of others named.
    pub(crate) reach: &'static str,
    /// Who the others are compared with.
    pub(crate) base: Contender,
    pub(crate) kind: Kind,
    /// Arguments of ours, and of the forwarder, for this row alone.
    pub(crate) special: &'static [(Contender, &'static str)],
}

/// How a row loads the servers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Packets at a given rate.
    Relay(Load),
    /// What a packet of the second load costs beside one of the first.
    Beside(Load, Load),
    /// The highest rate without loss, searched from the load's rate.
    HighestRate(Load),
    /// Allocate and give back, as fast as answers come.
    Cycles,
    /// STUN Binding, as fast as answers come.
    Binding,
    /// Memory of so many idle allocations.
    Memory(usize),
    /// System calls, instructions and heap allocations per packet.
    Counts(Load),
}

/// A load that others differ from in a point or two.
const VOICE_LOAD: Load = Load {
    sessions: 1,
    rate: 20_000,
    burst: 1,
    payload: VOICE,
    framing: Framing::Channel,
    line: Line::Udp,
    way: Way::ToPeer,
};
const HUNDRED: Load = Load {
    sessions: 100,
    rate: 50_000,
    ..VOICE_LOAD
};
const THOUSAND: Load = Load {
    sessions: 1_000,
    rate: 100_000,
    ..VOICE_LOAD
};
const BURSTS: Load = Load {
    rate: 200_000,
    burst: 8,
    ..VOICE_LOAD
};
const ROW: Row = Row {
    name: "",
    what: "",
    reach: "",
    base: Contender::Coturn,
    kind: Kind::Relay(VOICE_LOAD),
    special: &[],
};

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "voice-1",
        what: "1 session, 20,000 packets/s, 160-byte ChannelData, client to peer",
        reach: "≤ 0.92",
        ..ROW
    },
    Row {
        name: "budget",
        what: "the same, ours with --latency-budget=500us, the forwarder resting 450 µs after each turn",
        reach: "≤ 0.50",
        special: &[
            (Contender::Ours, "--latency-budget=500us"),
            (Contender::Forwarder, "450"),
        ],
        ..ROW
    },
    Row {
        name: "voice-1000",
        what: "1,000 sessions, 100,000 packets/s in all, 160-byte ChannelData, client to peer",
        reach: "≤ 0.75, or ≤ 1.10 of the forwarder; none lost",
        kind: Kind::Relay(THOUSAND),
        ..ROW
    },
    Row {
        name: "growth",
        what: "50,000 packets/s, 160-byte ChannelData, client to peer: what one costs with 10,000 sessions, beside 100 sessions",
        reach: "≤ 1.10 of the forwarder's",
        base: Contender::Forwarder,
        kind: Kind::Beside(
            HUNDRED,
            Load {
                sessions: 10_000,
                ..HUNDRED
            },
        ),
        ..ROW
    },
    Row {
        name: "max-rate",
        what: "1,000 sessions, highest rate that loses less than 0.1 %, 160-byte ChannelData, client to peer",
        reach: "≥ 1.25",
        kind: Kind::HighestRate(Load {
            rate: 120_000,
            ..THOUSAND
        }),
        ..ROW
    },
    Row {
        name: "bursts",
        what: "1 session, bursts of 8, 200,000 packets/s, 160-byte ChannelData, client to peer",
        reach: "≤ 0.35 (saturated: see bursts-max)",
        kind: Kind::Relay(BURSTS),
        ..ROW
    },
    Row {
        name: "bursts-max",
        what: "1 session, bursts of 8, highest rate that loses less than 0.1 %, 160-byte ChannelData, client to peer",
        reach: "≥ 3.5; CPU ≤ 0.35",
        kind: Kind::HighestRate(BURSTS),
        ..ROW
    },
    Row {
        name: "send",
        what: "100 sessions, 50,000 packets/s in all, 160 bytes, client to peer: a Send indication beside ChannelData",
        reach: "ours ≤ 1.10",
        kind: Kind::Beside(
            HUNDRED,
            Load {
                framing: Framing::Indication,
                ..HUNDRED
            },
        ),
        ..ROW
    },
    Row {
        name: "data",
        what: "100 sessions, 50,000 packets/s in all, 160 bytes, peer to client: a Data indication beside ChannelData",
        reach: "ours ≤ 1.10",
        kind: Kind::Beside(
            Load {
                way: Way::ToClient,
                ..HUNDRED
            },
            Load {
                way: Way::ToClient,
                framing: Framing::Indication,
                ..HUNDRED
            },
        ),
        ..ROW
    },
    Row {
        name: "tcp",
        what: "100 sessions over TCP, 50,000 packets/s in all, 160-byte ChannelData, client to UDP peer",
        reach: "≤ 0.85",
        kind: Kind::Relay(Load {
            line: Line::Tcp,
            ..HUNDRED
        }),
        ..ROW
    },
    Row {
        name: "tls",
        what: "the same over TLS",
        reach: "printed",
        kind: Kind::Relay(Load {
            line: Line::Tls,
            ..HUNDRED
        }),
        ..ROW
    },
    Row {
        name: "alloc",
        what: "fresh clients, 32 at a time: 401, Allocate, Refresh(0)",
        reach: "≥ 3.0",
        kind: Kind::Cycles,
        ..ROW
    },
    Row {
        name: "binding",
        what: "STUN Binding, saturated: 256 requests under way",
        reach: "≤ 0.75",
        kind: Kind::Binding,
        ..ROW
    },
    Row {
        name: "memory",
        what: "10,000 idle allocations on a server just started",
        reach: "ours ≤ 2 KiB",
        kind: Kind::Memory(10_000),
        ..ROW
    },
    Row {
        name: "counts",
        what: "1 session, 160-byte ChannelData, client to peer, one packet per wake-up: counted by strace and callgrind",
        reach: "no heap allocation",
        kind: Kind::Counts(VOICE_LOAD),
        ..ROW
    },
    Row {
        name: "counts-back",
        what: "the same, peer to client",
        reach: "no heap allocation",
        kind: Kind::Counts(Load {
            way: Way::ToClient,
            ..VOICE_LOAD
        }),
        ..ROW
    },
    Row {
        name: "counts-send",
        what: "the same in Send indications, client to peer",
        reach: "no heap allocation",
        kind: Kind::Counts(Load {
            framing: Framing::Indication,
            ..VOICE_LOAD
        }),
        ..ROW
    },
    Row {
        name: "counts-tcp",
        what: "the same in ChannelData over TCP",
        reach: "no heap allocation",
        kind: Kind::Counts(Load {
            line: Line::Tcp,
            ..VOICE_LOAD
        }),
        ..ROW
    },
    Row {
        name: "counts-bursts",
        what: "the same in ChannelData over UDP, bursts of 8",
        reach: "no heap allocation",
        kind: Kind::Counts(BURSTS),
        ..ROW
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
            Kind::Beside(..) => &[
                Metric::Beside,
                Metric::CpuPerPacket,
                Metric::Loss,
                Metric::LatencyMedian,
                Metric::LatencyHigh,
                Metric::ServerDrops,
            ],
            Kind::Counts(_) => &[
                Metric::Instructions,
                Metric::SystemCalls,
                Metric::HeapAllocations,
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

    /// How many of the figures are compared, from the first on.
    pub(crate) fn compared(&self) -> usize {
        match self.kind {
            Kind::HighestRate(_) => 2,
            _ => 1,
        }
    }

    /// Whether a contender can take part: the forwarder knows no protocol, and webrtc-rs no streams.
    pub(crate) fn takes(&self, contender: Contender) -> bool {
        let needs_turn = match self.kind {
            Kind::Cycles | Kind::Memory(_) => true,
            // The forwarder knows one kind of data towards clients.
            Kind::Beside(first, second) => {
                first.way == Way::ToClient && first.framing != second.framing
            }
            _ => false,
        };
        let over_stream = matches!(
            self.kind,
            Kind::Relay(Load { line, .. }) | Kind::Counts(Load { line, .. }) if line != Line::Udp
        );
        match contender {
            Contender::Ours | Contender::Coturn => true,
            Contender::WebrtcRs => !over_stream,
            Contender::Forwarder => !over_stream && !needs_turn,
        }
    }

    /// Arguments of a contender for this row alone.
    pub(crate) fn arguments(&self, contender: Contender) -> impl Iterator<Item = &'static str> {
        let own = self.special.iter().filter(move |(of, _)| *of == contender);
        own.map(|(_, argument)| *argument)
    }

    /// Whether each measurement needs a server that has done nothing before.
    pub(crate) fn needs_fresh_server(&self) -> bool {
        matches!(self.kind, Kind::Memory(_) | Kind::Counts(_))
    }

    /// Rounds after which more would teach nothing.
    pub(crate) fn rounds(&self, asked: usize) -> usize {
        match self.kind {
            Kind::Memory(_) => asked.min(2),
            Kind::Counts(_) => 1,
            _ => asked,
        }
    }

    /// The row as a smoke run loads it; `None` where nothing can be made less of.
    pub(crate) fn for_smoke(mut self) -> Option<Self> {
        self.kind = match self.kind {
            Kind::Relay(load) => Kind::Relay(gentle(load)),
            Kind::Beside(first, second) => Kind::Beside(gentle(first), gentle(second)),
            Kind::HighestRate(load) => Kind::HighestRate(gentle(load)),
            Kind::Memory(sessions) => Kind::Memory(sessions.min(SMOKE_SESSIONS)),
            bounded @ (Kind::Cycles | Kind::Binding) => bounded,
            Kind::Counts(_) => return None,
        };
        Some(self)
    }

    /// How often a disturbed measurement is made again at once, so that a round stays close in time; a search sees to that itself, trial by trial.
    pub(crate) fn repeats(&self) -> usize {
        match self.kind {
            Kind::HighestRate(_) | Kind::Counts(_) => 0,
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
            Kind::Beside(first, second) => relay::beside(server, first, second, scale),
            Kind::HighestRate(load) => {
                relay::highest_rate(server, load, scale, known.map(|rate| rate as u64))
            }
            Kind::Cycles => cycles::measure(server, scale),
            Kind::Binding => binding::measure(server, scale),
            Kind::Memory(sessions) => memory::measure(server, *sessions),
            Kind::Counts(load) => counts::measure(server, load),
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
                "budget",
                "voice-1000",
                "growth",
                "max-rate",
                "bursts",
                "bursts-max",
                "send",
                "binding",
                "counts",
                "counts-back",
                "counts-send",
                "counts-bursts"
            ]
        );
        for contender in [Contender::Ours, Contender::Coturn] {
            assert_eq!(rows(contender).len(), ROWS.len());
        }
    }

    #[test]
    fn a_smoke_run_is_gentle() {
        for row in ROWS {
            if let Some(Kind::Relay(load) | Kind::HighestRate(load) | Kind::Beside(_, load)) =
                row.for_smoke().map(|row| row.kind)
            {
                assert!(
                    load.rate <= SMOKE_RATE && load.sessions <= SMOKE_SESSIONS,
                    "{}",
                    row.name
                );
            }
        }
    }
}
