//! What a packet costs in counts, which no other process on the machine can disturb: system calls by `strace`, instructions
//! in user space and heap allocations by `callgrind`.
//!
//! Packets go in step: the next one is sent when the last has arrived, so that each wakes the server by itself. Each count is made
//! in two runs of different length: what they differ by is the packets'.

use super::measurement::{Measurement, Metric};
use super::relay::{Load, Stage};
use super::target::Running;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What strace needs to take hold of every thread.
const ATTACHING: Duration = Duration::from_millis(500);
/// A server under callgrind is fifty times as slow, and ends as slowly.
const ENDING: Duration = Duration::from_secs(20);
/// Packets of a short and of a long run; both multiples of a burst of eight.
const RUNS: [u64; 2] = [800, 2_400];
/// When a packet has not arrived by then, another is sent.
const LOST_AFTER: Duration = Duration::from_secs(2);
/// What asks the heap for memory. Every server's own allocation ends here.
const ALLOCATORS: [&str; 6] = [
    "malloc",
    "calloc",
    "realloc",
    "posix_memalign",
    "aligned_alloc",
    "memalign",
];

/// Counts per packet delivered.
///
/// # Errors
/// A tool is missing, or the server does not run under it.
pub(crate) fn measure(server: &Running, load: &Load) -> Result<Measurement> {
    let [calls] = per_packet(|packets| system_calls(server, load, packets))?;
    let [instructions, allocations] = per_packet(|packets| callgrind(server, load, packets))?;
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
    let summary = server.scratch_file("strace");
    let stage = Stage::set(server, load)?;
    let mut tracer = Command::new("strace")
        .args(["-f", "-c", "-o"])
        .arg(&summary)
        .args(["-p", &server.pid().to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot run strace")?;
    std::thread::sleep(ATTACHING);
    let delivered = stage.in_step(packets, LOST_AFTER);
    interrupt(tracer.id(), "-INT")?;
    tracer.wait()?;
    stage.close();
    delivered?;
    Ok([total_calls(&fs::read_to_string(summary)?)?])
}

fn callgrind(server: &Running, load: &Load, packets: u64) -> Result<[u64; 2]> {
    let profile = server.scratch_file("callgrind");
    let runner = [
        "valgrind".to_owned(),
        "--quiet".to_owned(),
        "--tool=callgrind".to_owned(),
        format!("--callgrind-out-file={}", profile.display()),
    ];
    let slow = server.again_under(&runner)?;
    let stage = Stage::set(&slow, load)?;
    let delivered = stage.in_step(packets, LOST_AFTER);
    stage.close();
    interrupt(slow.pid(), "-TERM")?;
    slow.wait_for_end(ENDING)?;
    let counted = read_profile(&profile)?;
    fs::remove_file(&profile)?;
    delivered?;
    Ok(counted)
}

fn interrupt(pid: u32, signal: &str) -> Result<()> {
    let status = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status()
        .context("cannot run kill")?;
    if !status.success() {
        bail!("process {pid} is gone");
    }
    Ok(())
}

/// The calls in the last line of strace's summary: `100.00  0.1  3  1234  5 total`.
fn total_calls(summary: &str) -> Result<u64> {
    let line = summary.lines().rfind(|line| line.ends_with("total"));
    let calls = line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
    calls.context("strace's summary has no total")
}

fn read_profile(path: &Path) -> Result<[u64; 2]> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("callgrind wrote no {}", path.display()))?;
    let total = text.lines().find_map(|line| {
        let rest = line
            .strip_prefix("totals:")
            .or_else(|| line.strip_prefix("summary:"));
        rest?.trim().parse().ok()
    });
    let instructions = total.context("the profile has no total")?;
    Ok([instructions, allocations(&text)])
}

/// How often allocating functions were called: `calls=` lines behind their names. A name stands behind its number where it
/// occurs first, and the number alone afterwards. One allocator's call of another counts once.
fn allocations(profile: &str) -> u64 {
    let mut numbers = Vec::new();
    let (mut caller, mut callee) = (false, false);
    let mut count = 0;
    let mut allocates = |word: &str| {
        let (number, name) = word.split_once(' ').unwrap_or((word, ""));
        // Versions and clones of a function stand behind its name.
        let name = name.split(['@', '\'']).next().unwrap_or_default();
        if ALLOCATORS.contains(&name) {
            numbers.push(number.to_owned());
        }
        numbers.iter().any(|known| known == number)
    };
    for line in profile.lines() {
        if let Some(word) = line.strip_prefix("fn=") {
            caller = allocates(word);
        } else if let Some(word) = line.strip_prefix("cfn=") {
            callee = allocates(word);
        } else if let Some(word) = line.strip_prefix("calls=")
            && callee
            && !caller
        {
            let calls = word.split_whitespace().next();
            count += calls
                .and_then(|calls| calls.parse::<u64>().ok())
                .unwrap_or(0);
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::{allocations, total_calls};

    #[test]
    fn the_total_of_a_summary_is_its_calls() {
        let summary = "% time seconds usecs/call calls errors syscall\n 60 0.1 3 40 epoll_wait\n100.00 0.1 3 120 2 total\n";
        assert_eq!(total_calls(summary).unwrap(), 120);
        assert!(total_calls("nothing").is_err());
    }

    #[test]
    fn calls_of_allocators_are_counted_by_name_and_by_number() {
        let profile = "fn=(1) main\ncfn=(2) malloc\ncalls=3 0\n5 100\ncfn=(3) free\ncalls=3 0\n\
                       fn=(4) other\ncfn=(2)\ncalls=4 0\n6 7\nfn=(5) realloc\ncfn=(2)\ncalls=9 0\n";
        assert_eq!(allocations(profile), 7);
    }
}
