//! What one measurement of one server yields: named figures, and what went on around it.

use super::disturbance::{Disturbance, Surroundings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A figure that a row can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    CpuPerPacket,
    CpuPerAnswer,
    CpuPerCycle,
    CyclesPerCpuSecond,
    HighestRate,
    /// Cost of a packet of one load, in packets of another.
    Beside,
    Instructions,
    SystemCalls,
    HeapAllocations,
    ResidentPerSession,
    SlabPerSession,
    Loss,
    LatencyMedian,
    LatencyHigh,
    DeliveredRate,
    AnsweredRate,
    CycleRate,
    ServerDrops,
    Duplicates,
    Reordered,
    /// Payloads that were no probe of the run, or came from another session's relayed address.
    Foreign,
    Sessions,
}

/// How a figure is printed and judged.
pub(crate) struct Shown {
    /// Heading with unit.
    pub(crate) heading: &'static str,
    pub(crate) decimals: usize,
    /// Printed value per stored one: seconds as microseconds, shares as per cent.
    pub(crate) scale: f64,
}

impl Metric {
    pub(crate) fn shown(self) -> Shown {
        let (heading, decimals, scale) = match self {
            Self::CpuPerPacket => ("CPU µs/packet", 2, 1e6),
            Self::CpuPerAnswer => ("CPU µs/answer", 2, 1e6),
            Self::CpuPerCycle => ("CPU µs/cycle", 1, 1e6),
            Self::CyclesPerCpuSecond => ("cycles/CPU second", 0, 1.0),
            Self::Beside => ("beside", 2, 1.0),
            Self::Instructions => ("instructions/packet", 0, 1.0),
            Self::SystemCalls => ("calls/packet", 2, 1.0),
            Self::HeapAllocations => ("heap allocations/packet", 2, 1.0),
            Self::HighestRate => ("packets/s", 0, 1.0),
            Self::ResidentPerSession => ("KiB/session", 2, 1.0),
            Self::SlabPerSession => ("kernel KiB/session", 2, 1.0),
            Self::Loss => ("lost %", 3, 100.0),
            Self::LatencyMedian => ("p50 µs", 1, 1e6),
            Self::LatencyHigh => ("p99 µs", 1, 1e6),
            Self::DeliveredRate => ("delivered/s", 0, 1.0),
            Self::AnsweredRate => ("answered/s", 0, 1.0),
            Self::CycleRate => ("cycles/s", 0, 1.0),
            Self::ServerDrops => ("buffer drops", 0, 1.0),
            Self::Duplicates => ("twice", 0, 1.0),
            Self::Reordered => ("out of order", 0, 1.0),
            Self::Foreign => ("foreign", 0, 1.0),
            Self::Sessions => ("sessions", 0, 1.0),
        };
        Shown {
            heading,
            decimals,
            scale,
        }
    }
}

/// The figures of one server in one round.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Measurement {
    figures: BTreeMap<Metric, f64>,
    pub(crate) surroundings: Surroundings,
    /// The generator and not the server was the limit: the figure is a lower bound.
    pub(crate) generator_limited: bool,
}

impl Measurement {
    pub(crate) fn new(surroundings: Surroundings) -> Self {
        Self {
            figures: BTreeMap::new(),
            surroundings,
            generator_limited: false,
        }
    }

    #[must_use]
    pub(crate) fn with(mut self, metric: Metric, value: f64) -> Self {
        self.figures.insert(metric, value);
        self
    }

    pub(crate) fn figure(&self, metric: Metric) -> Option<f64> {
        self.figures.get(&metric).copied()
    }

    pub(crate) fn figures(&self) -> &BTreeMap<Metric, f64> {
        &self.figures
    }

    pub(crate) fn disturbance(&self) -> Option<Disturbance> {
        self.surroundings.disturbance()
    }
}
