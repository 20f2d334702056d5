//! What a packet costs in counts (`work-counts`): system calls, instructions in user space, heap allocations.
//!
//! Packets go in step: the next one is sent when the last has arrived, so that each wakes the server by itself. Each count is made
//! in two runs of different length: what they differ by is the packets'.

use super::measurement::{Measurement, Metric};
use super::relay::{Load, Stage};
use super::target::Running;
use anyhow::Result;
use std::time::Duration;
use work_counts::callgrind::{self, When, Work};
use work_counts::signal;
use work_counts::strace::Strace;

/// A server under callgrind is fifty times as slow, and ends as slowly.
const ENDING: Duration = Duration::from_secs(20);
/// Packets of a short and of a long run; both multiples of a burst of eight.
const RUNS: [u64; 2] = [800, 2_400];
/// When a packet has not arrived by then, another is sent.
const LOST_AFTER: Duration = Duration::from_secs(2);

/// Counts per packet delivered.
///
/// # Errors
/// A tool is missing, or the server does not run under it.
pub(crate) fn measure(server: &Running, load: &Load) -> Result<Measurement> {
    let [calls] = per_packet(|packets| system_calls(server, load, packets))?;
    let [instructions, allocations] =
        per_packet(|packets| instructions_and_allocations(server, load, packets))?;
    Ok(Measurement::default()
        .with(Metric::SystemCalls, calls)
        .with(Metric::Instructions, instructions)
        .with(Metric::HeapAllocations, allocations))
}

fn per_packet<const N: usize>(count: impl Fn(u64) -> Result<[u64; N]>) -> Result<[f64; N]> {
    let [few, many] = RUNS;
    let (before, after) = (count(few)?, count(many)?);
    let packets = (many - few) as f64;
    let mut differences = before.map(|count| -(count as f64));
    for (difference, count) in differences.iter_mut().zip(after) {
        *difference = (*difference + count as f64) / packets;
    }
    Ok(differences)
}

fn system_calls(server: &Running, load: &Load, packets: u64) -> Result<[u64; 1]> {
    let stage = Stage::set(server, load)?;
    let strace = Strace::attach(server.pid(), server.scratch_file("strace"))?;
    let delivered = stage.in_step(packets, LOST_AFTER);
    let total = strace.total();
    stage.close();
    delivered?;
    Ok([total?])
}

fn instructions_and_allocations(server: &Running, load: &Load, packets: u64) -> Result<[u64; 2]> {
    let profile = server.scratch_file("callgrind");
    let slow = server.again_under(&callgrind::runner(&profile, When::Throughout))?;
    let stage = Stage::set(&slow, load)?;
    let delivered = stage.in_step(packets, LOST_AFTER);
    stage.close();
    signal(slow.pid(), "-TERM")?;
    slow.wait_for_end(ENDING)?;
    let work = Work::take(&profile)?;
    delivered?;
    Ok([work.instructions, work.heap_allocations])
}
