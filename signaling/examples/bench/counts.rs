//! What a message costs in counts (`work-counts`), which no neighbour can disturb and the processor's cache does not change.
//!
//! In: the row `counts`, and a file that holds its figures. Not in: the tools.
//!
//! Messages go in step: the next one is said when the last has arrived, so that each wakes the server by itself, or the next few at
//! once; and by turns, so that they come from another pair. What is counted is a server with all its pairs there, between the first message of
//! each, for which buffers grow, and the pings that an idle connection is sent.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use work_counts::callgrind::{self, When, Work};
use work_counts::held;
use work_counts::strace::Strace;

use crate::contender::{Dialect, Running};
use crate::pair::{Pair, SIGNAL};
use crate::table::Block;

/// Messages that are counted; with ten pairs, each says fewer than the pace lets pass at once.
const MESSAGES: usize = 900;

/// Messages that are said at once, as a browser says its candidates, to see what they share.
const BURST: usize = 6;

/// When the service pings whoever connected first, which is not to be counted.
const QUIET: Duration = Duration::from_secs(25);

/// How often it is tried to be done by then. Beyond that, what there is counts: with few pairs pings are few.
const TRIES: usize = 3;

/// What is told apart, as the file calls it.
const FIGURES: [&str; 3] = ["instructions", "system_calls", "heap_allocations"];

/// The protocols in which two can tell each other so much, as the file calls them.
const DIALECTS: [(&str, Dialect); 3] = [
    ("native", Dialect::Native),
    ("peerjs", Dialect::PeerJs),
    ("socketio", Dialect::SocketIo),
];

/// What is counted.
pub(crate) struct Plan {
    /// A `signaling` instead of the one that is built in here.
    pub(crate) program: Option<PathBuf>,
    /// So many rooms, of so many pairs.
    pub(crate) rooms: Vec<(usize, usize)>,
    /// What must not grow.
    pub(crate) hold: Option<PathBuf>,
}

/// How a server is loaded.
#[derive(Clone, Copy)]
struct Load {
    rooms: usize,
    pairs: usize,
    at_once: usize,
}

/// What one message needs of each of [`FIGURES`], as rooms grow in number and in size, and in bursts.
pub(crate) async fn counts(plan: &Plan) -> Block {
    let title = format!("counts: of one message of {SIGNAL} bytes, by callgrind and strace");
    let sizes = plan.rooms.iter();
    let headings: Vec<String> = sizes
        .map(|(rooms, pairs)| format!("{rooms} of {}", 2 * pairs))
        .chain(["largest ÷ smallest".to_owned(), format!("{BURST} at once")])
        .collect();
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    let mut block = Block::new(&title, "flat: at most 1.1", &headings);
    let mut measured = Vec::new();
    for (name, dialect) in DIALECTS {
        let program = plan.program.as_deref();
        let load = |&(rooms, pairs): &(usize, usize), at_once| Load {
            rooms,
            pairs,
            at_once,
        };
        let mut counted = Vec::new();
        for size in &plan.rooms {
            counted.push(count(program, dialect, load(size, 1)).await);
        }
        let bursts = count(program, dialect, load(&plan.rooms[0], BURST)).await;
        for (index, figure) in FIGURES.into_iter().enumerate() {
            let each: Vec<f64> = counted.iter().map(|counts| counts[index]).collect();
            let largest = each.iter().copied().fold(0.0, f64::max);
            let growth = largest / each.iter().copied().fold(f64::INFINITY, f64::min);
            let cells = each.iter().chain([&growth, &bursts[index]]);
            let cells: Vec<String> = cells.map(|count| format!("{count:.2}")).collect();
            block.line(&format!("{name} {figure}"), &cells);
            block.reached(growth <= 1.1);
            measured.extend([
                (name.to_owned(), figure, each[0]),
                (format!("{name}-growth"), figure, growth),
                (format!("{name}-bursts"), figure, bursts[index]),
            ]);
        }
    }
    if let Some(path) = &plan.hold {
        hold(path, &measured);
    }
    block
}

/// Compares what was measured with what a file allows.
fn hold(path: &Path, measured: &[(String, &str, f64)]) {
    let complaints = held::complaints(path, |row, figure| {
        let mut found = measured.iter();
        let found = found.find(|(name, known, _)| (name.as_str(), *known) == (row, figure));
        found.map(|(.., count)| *count)
    });
    let complaints = complaints.unwrap();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Counts one message's instructions, system calls and heap allocations.
async fn count(program: Option<&Path>, dialect: Dialect, load: Load) -> [f64; 3] {
    let scratch = |tool: &str| {
        std::env::temp_dir().join(format!("signaling-bench-{}.{tool}", std::process::id()))
    };
    let mut calls = 0;
    for _ in 0..TRIES {
        let server = Running::start_under(&[], program).await;
        let (mut all, begun) = gather(&server, dialect, load).await;
        let strace = Strace::attach(server.pid(), scratch("strace")).unwrap();
        in_step(&mut all, MESSAGES, load.at_once).await;
        calls = strace.total().unwrap();
        if begun.elapsed() < QUIET {
            break;
        }
    }
    let (profile, mut work) = (scratch("callgrind"), None);
    for _ in 0..TRIES {
        let runner = callgrind::runner(&profile, When::Switched);
        let server = Running::start_under(&runner, program).await;
        let (mut all, begun) = gather(&server, dialect, load).await;
        callgrind::switch(server.pid(), true).unwrap();
        in_step(&mut all, MESSAGES, load.at_once).await;
        callgrind::switch(server.pid(), false).unwrap();
        let quiet = begun.elapsed() < QUIET;
        server.end().await;
        work = Some(Work::take(&profile).unwrap());
        if quiet {
            break;
        }
    }
    let work = work.unwrap();
    let each = |count: u64| count as f64 / MESSAGES as f64;
    [
        each(work.instructions),
        each(calls),
        each(work.heap_allocations),
    ]
}

/// All pairs, each of which has said something, and when the first of them connected.
async fn gather(server: &Running, dialect: Dialect, load: Load) -> (Vec<Pair>, Instant) {
    let begun = Instant::now();
    let mut all = Vec::new();
    for room in 0..load.rooms {
        let place = format!("r{room}");
        all.extend(Pair::gather(server.address, dialect, &place, load.pairs).await);
    }
    let once_each = all.len();
    in_step(&mut all, once_each, 1).await;
    (all, begun)
}

async fn in_step(pairs: &mut [Pair], messages: usize, at_once: usize) {
    let all = pairs.len();
    for number in 0..messages / at_once {
        pairs[number % all].pass(at_once).await;
    }
}
