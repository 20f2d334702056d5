//! Was this measurement the server's doing or the machine's? A disturbed one is dropped and counted, never averaged in.

use super::placement::Placement;
use super::proc::{self, ProcessTime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

/// Share of a core that others may use meanwhile: a few per cent cost caches and wake-ups no more than rounds differ anyway.
const OTHERS_LIMIT: f64 = 0.05;
/// Share of time the host may take: an idle virtual machine was seen to lose 1.2 % all the time, in gaps of up to 5 ms.
const STEAL_LIMIT: f64 = 0.04;
/// Share of time the generator may be without its core.
const STARVED_LIMIT: f64 = 0.04;
/// Share of packets that may be given up for lack of processor time.
const GIVEN_UP_LIMIT: f64 = 0.02;
/// Length of a kernel tick in `/proc/stat` (USER_HZ is 100 on every Linux ABI).
const TICK: Duration = Duration::from_millis(10);

/// Watches the machine from `begin` to [`Watch::end`].
pub(crate) struct Watch {
    placement: Placement,
    pids: [u32; 2],
    began: Instant,
    generator: ProcessTime,
    others: BTreeMap<u32, ProcessTime>,
    stolen: BTreeMap<usize, u64>,
    buffer_errors: u64,
}

/// What went on beside the measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Surroundings {
    /// Others on the server's core, the host's share of it, the generator's time without its core: shares of the time watched.
    pub(crate) others: f64,
    pub(crate) stolen: f64,
    pub(crate) starved: f64,
    /// Packets the generator should have sent and could not, as a share of those it should have sent.
    pub(crate) given_up: f64,
    /// Datagrams that did not fit the generator's own receive buffer.
    pub(crate) generator_drops: u64,
    /// Datagrams that did not fit any other receive buffer: the server's.
    pub(crate) server_drops: u64,
}

impl Watch {
    /// Begins watching; takes some milliseconds, so it belongs outside the measured window.
    pub(crate) fn begin(placement: Placement, server_pid: u32) -> Self {
        let pids = [server_pid, std::process::id()];
        Self {
            placement,
            pids,
            began: Instant::now(),
            generator: ProcessTime::of(pids[1]).unwrap_or_default(),
            others: proc::everybody_but(&pids),
            stolen: proc::stolen_ticks(),
            buffer_errors: proc::receive_buffer_errors(),
        }
    }

    /// Ends watching. `given_up` and `generator_drops` are the generator's own account.
    pub(crate) fn end(self, given_up: f64, generator_drops: u64) -> Surroundings {
        let watched = self.began.elapsed();
        let starved_ns =
            ProcessTime::of(self.pids[1]).map_or(0, |now| now.since(&self.generator).wait_ns);
        let others_ns = proc::ran_between(&self.others, &proc::everybody_but(&self.pids));
        let stolen = proc::stolen_ticks();
        let ticks = |core| {
            stolen
                .get(&core)
                .copied()
                .unwrap_or(0)
                .saturating_sub(self.stolen.get(&core).copied().unwrap_or(0))
        };
        let worst = ticks(self.placement.server_core).max(ticks(self.placement.generator_core));
        let errors = proc::receive_buffer_errors().saturating_sub(self.buffer_errors);
        Surroundings {
            // The generator never sleeps: whatever kept it waiting ran on its core, the rest on the server's.
            others: share(others_ns.saturating_sub(starved_ns), watched),
            stolen: worst as f64 * TICK.as_secs_f64() / watched.as_secs_f64().max(f64::EPSILON),
            starved: share(starved_ns, watched),
            given_up,
            generator_drops,
            server_drops: errors.saturating_sub(generator_drops),
        }
    }
}

fn share(ns: u64, of: Duration) -> f64 {
    ns as f64 / (of.as_nanos() as f64).max(1.0)
}

/// The first reason to drop a measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Disturbance {
    GeneratorDrops(u64),
    GivenUp(f64),
    Others(f64),
    Starved(f64),
    Stolen(f64),
}

impl Surroundings {
    /// Why the measurement must not be used, if so.
    pub(crate) fn disturbance(&self) -> Option<Disturbance> {
        if self.generator_drops > 0 {
            return Some(Disturbance::GeneratorDrops(self.generator_drops));
        }
        if self.given_up > GIVEN_UP_LIMIT {
            return Some(Disturbance::GivenUp(self.given_up));
        }
        if self.starved > STARVED_LIMIT {
            return Some(Disturbance::Starved(self.starved));
        }
        if self.others > OTHERS_LIMIT {
            return Some(Disturbance::Others(self.others));
        }
        (self.stolen > STEAL_LIMIT).then_some(Disturbance::Stolen(self.stolen))
    }
}

impl Disturbance {
    /// How bad it is, comparable among disturbances of one kind.
    pub(crate) fn size(&self) -> f64 {
        match *self {
            Self::GeneratorDrops(count) => count as f64,
            Self::GivenUp(share)
            | Self::Others(share)
            | Self::Starved(share)
            | Self::Stolen(share) => share,
        }
    }
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| share * 100.0;
        match *self {
            Self::GeneratorDrops(count) => {
                write!(f, "{count} datagrams lost in the generator's own buffer")
            }
            Self::GivenUp(share) => write!(
                f,
                "the generator could not send {:.1} % in time",
                percent(share)
            ),
            Self::Others(share) => write!(
                f,
                "others used {:.1} % of the server's core",
                percent(share)
            ),
            Self::Starved(share) => write!(
                f,
                "the generator was without its core for {:.1} %",
                percent(share)
            ),
            Self::Stolen(share) => write!(f, "the host took {:.1} % of a core", percent(share)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_machine_disturbs_nothing() {
        let quiet = Surroundings {
            others: 0.01,
            stolen: 0.012,
            starved: 0.002,
            ..Surroundings::default()
        };
        assert_eq!(quiet.disturbance(), None);
    }

    #[test]
    fn each_kind_of_trouble_is_noticed() {
        let trouble = [
            Surroundings {
                others: 0.5,
                ..Surroundings::default()
            },
            Surroundings {
                stolen: 0.5,
                ..Surroundings::default()
            },
            Surroundings {
                starved: 0.5,
                ..Surroundings::default()
            },
            Surroundings {
                given_up: 0.5,
                ..Surroundings::default()
            },
            Surroundings {
                generator_drops: 1,
                ..Surroundings::default()
            },
        ];
        for surroundings in trouble {
            assert!(surroundings.disturbance().is_some(), "{surroundings:?}");
        }
    }

    #[test]
    fn the_servers_own_drops_are_its_result_and_no_disturbance() {
        let lossy = Surroundings {
            server_drops: 10_000,
            ..Surroundings::default()
        };
        assert_eq!(lossy.disturbance(), None);
    }
}
