//! The rows: what is measured of each contender, and what is to be reached.
//!
//! In: loads and their sizes. Not in: how a contender runs (`contender.rs`), how the table looks (`table.rs`).

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::contender::{CONTENDERS, Contender, Dialect, Pace, Running};
use crate::line::Line;
use crate::pair::{Envelope, Heard, Pair, SIGNAL, all_talk};
use crate::table::Block;

/// Messages per second in all rooms together.
const IN_ROOMS_RATE: f64 = 10_000.0;

/// How much of everything.
pub(crate) struct Size {
    /// Idle connections.
    pub(crate) idle: usize,
    /// Pairs that say so many messages each.
    pub(crate) pairs: usize,
    pub(crate) messages: usize,
    /// Messages per second where their latency is measured.
    pub(crate) rate: f64,
    /// How long what is paced lasts.
    pub(crate) paced: Duration,
    /// Rooms, and messages in all of them.
    pub(crate) rooms: [usize; 3],
    pub(crate) in_rooms: usize,
    /// Turns of all contenders; what is printed is the median.
    pub(crate) rounds: usize,
}

/// KiB that one idle connection costs in a server's own memory.
pub(crate) async fn idle(size: &Size) -> Block {
    let title = format!("idle: {} connections, greeted and silent", size.idle);
    let mut block = Block::new(&title, "ours at most 8 KiB", &["KiB each", "alive"]);
    for contender in &CONTENDERS {
        let server = Running::start(contender, Pace::Kept).await;
        let before = server.resident_kib();
        let mut lines = Vec::new();
        for number in 0..size.idle {
            let name = format!("idle-{number}");
            lines.push(Line::open(server.address, contender.dialect, &name).await);
        }
        sleep(Duration::from_millis(500)).await;
        let each = (server.resident_kib() - before) / size.idle as f64;
        let alive = lines.iter().filter(|line| line.is_open()).count();
        block.line(contender.name, &[format!("{each:.1}"), alive.to_string()]);
        if contender.is_ours() {
            block.reached(each <= 8.0);
        }
        assert_eq!(alive, size.idle, "{} lets go of some", contender.name);
    }
    block
}

/// Messages per second of the server's processor time; and how long they take at half of what is to be reached, evenly spread.
pub(crate) async fn relay(size: &Size) -> Block {
    let title = format!("relay: {} pairs, {SIGNAL} bytes", size.pairs);
    let reach = "ours at least 50,000 per core, none wrong, p99 under 5 ms";
    let at = |figure: &str| format!("{figure} at {:.0}/s", size.rate);
    let (p50, p99) = (at("p50"), at("p99"));
    let columns = ["per core", "at most", &p50, &p99, "wrong"];
    let mut block = Block::new(&title, reach, &columns);
    let mut rounds: Vec<Vec<[f64; 5]>> = CONTENDERS.iter().map(|_| Vec::new()).collect();
    for _ in 0..size.rounds {
        for (contender, rounds) in CONTENDERS.iter().zip(&mut rounds) {
            if contender.dialect != Dialect::Stream {
                rounds.push(relayed(contender, size).await);
            }
        }
    }
    for (contender, rounds) in CONTENDERS.iter().zip(rounds) {
        if rounds.is_empty() {
            continue;
        }
        let [per_core, at_most, p50, p99, wrong] = medians(&rounds);
        let cells = [
            format!("{per_core:.0}"),
            format!("{at_most:.0}"),
            format!("{p50:.2} ms"),
            format!("{p99:.2} ms"),
            format!("{wrong:.0}"),
        ];
        block.line(contender.name, &cells);
        assert!(wrong == 0.0, "{} loses or disorders", contender.name);
        if contender.is_ours() {
            block.reached(per_core >= 50_000.0 && p99 < 5.0);
        }
    }
    block
}

async fn relayed(contender: &Contender, size: &Size) -> [f64; 5] {
    let server = Running::start(contender, Pace::Lifted).await;
    let mut pairs = Vec::new();
    for number in 0..size.pairs {
        pairs.push(Pair::meet(server.address, contender.dialect, number).await);
    }
    let (cpu, begun) = (server.cpu(), Instant::now());
    let (pairs, flood) = all_talk(pairs, size.messages, None).await;
    let took = begun.elapsed().as_secs_f64();
    let total = (size.pairs * size.messages) as f64;
    let per_core = total / (server.cpu() - cpu).max(0.01);
    let at_most = total / took;

    let gap = Duration::from_secs_f64(size.pairs as f64 / size.rate);
    let messages = (size.paced.as_secs_f64() / gap.as_secs_f64()).max(5.0) as usize;
    let (_pairs, mut paced) = all_talk(pairs, messages, Some(gap)).await;
    let wrong = (flood.wrong + paced.wrong) as f64;
    [per_core, at_most, paced.at(0.5), paced.at(0.99), wrong]
}

/// The middle of each figure, on its own.
fn medians<const N: usize>(rounds: &[[f64; N]]) -> [f64; N] {
    std::array::from_fn(|figure| {
        let mut values: Vec<f64> = rounds.iter().map(|round| round[figure]).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    })
}

/// Microseconds of processor time per message, as rooms grow in number and in size.
pub(crate) async fn rooms(size: &Size) -> Block {
    let title = format!(
        "rooms: µs of processor time per message (and how often the server went to sleep for it), {} messages at {IN_ROOMS_RATE}/s in all",
        size.in_rooms
    );
    let headings: Vec<String> = [(size.rooms[0], 1), (size.rooms[1], 1), (size.rooms[2], 1)]
        .into_iter()
        .chain([(size.rooms[1], 3)])
        .map(|(rooms, pairs)| format!("{rooms} of {}", 2 * pairs))
        .chain(["largest ÷ smallest".to_owned()])
        .collect();
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    let mut block = Block::new(&title, "flat: ours at most 1.5", &headings);
    for contender in &CONTENDERS {
        if contender.dialect == Dialect::Stream {
            continue;
        }
        let [few, some, many] = size.rooms;
        let mut figures = Vec::new();
        for (rooms, pairs) in [(few, 1), (some, 1), (many, 1), (some, 3)] {
            figures.push(in_rooms(contender, rooms, pairs, size.in_rooms).await);
        }
        let times = figures.iter().map(|[time, _]| *time);
        let smallest = times.clone().fold(f64::INFINITY, f64::min);
        let spread = times.fold(0.0, f64::max) / smallest;
        let cells = figures
            .iter()
            .map(|[time, sleeps]| format!("{time:.1} ({sleeps:.2})"));
        let cells: Vec<String> = cells.chain([format!("{spread:.2}")]).collect();
        block.line(contender.name, &cells);
        if contender.is_ours() {
            block.reached(spread <= 1.5);
        }
    }
    block
}

/// What a message costs where so many rooms have so many pairs, and how often the server went to sleep for it: fewer than once
/// where messages share their wakings.
async fn in_rooms(contender: &Contender, rooms: usize, pairs: usize, messages: usize) -> [f64; 2] {
    let server = Running::start(contender, Pace::Lifted).await;
    let mut all = Vec::new();
    for room in 0..rooms {
        let place = format!("r{room}");
        all.extend(Pair::gather(server.address, contender.dialect, &place, pairs).await);
    }
    // What grows with a connection's first message is not what a message costs.
    let (all, _) = all_talk(all, 1, None).await;
    // So many a second whatever the number of rooms, evenly spread.
    let each = (messages / all.len()).max(1);
    let total = each * all.len();
    let gap = Duration::from_secs_f64(all.len() as f64 / IN_ROOMS_RATE);
    let (cpu, sleeps) = (server.cpu(), server.sleeps());
    let (_all, heard) = all_talk(all, each, Some(gap)).await;
    assert_eq!(heard.wrong, 0, "{} loses or disorders", contender.name);
    let time = (server.cpu() - cpu).max(0.01) * 1_000_000.0;
    let slept = (server.sleeps() - sleeps) as f64;
    [time / total as f64, slept / total as f64]
}

/// What somebody does to the others.
#[derive(Clone, Copy)]
enum Mischief {
    None,
    /// Says as much as it can to somebody who listens.
    Flood,
    /// Lets much be said to it, and does not listen.
    Deaf,
    /// Says what it says in frames of one byte.
    Crumbs,
}

/// Latency of well-behaved pairs while somebody else misbehaves, and how much the server grows by it.
pub(crate) async fn neighbours(size: &Size) -> Block {
    let title =
        "neighbours: p99 of 20 pairs at 20 messages/s each, alone and beside one hostile client";
    let headings = ["alone", "flood", "deaf", "crumbs", "grew MiB"];
    let mut block = Block::new(title, "ours: under 5 ms beside each", &headings);
    for contender in &CONTENDERS {
        if contender.dialect == Dialect::Stream {
            continue;
        }
        let (mut cells, mut worst, mut grew) = (Vec::new(), 0.0_f64, 0.0_f64);
        for mischief in [
            Mischief::None,
            Mischief::Flood,
            Mischief::Deaf,
            Mischief::Crumbs,
        ] {
            let mut rounds = Vec::new();
            for _ in 0..size.rounds {
                rounds.push(beside(contender, mischief, size.paced).await);
            }
            let [p99, mib] = medians(&rounds);
            worst = worst.max(p99);
            grew = grew.max(mib);
            cells.push(format!("{p99:.2} ms"));
        }
        cells.push(format!("{grew:.1}"));
        block.line(contender.name, &cells);
        if contender.is_ours() {
            block.reached(worst < 5.0);
        }
    }
    block
}

async fn beside(contender: &Contender, mischief: Mischief, paced: Duration) -> [f64; 2] {
    let server = Running::start(contender, Pace::Kept).await;
    let mut pairs = Vec::new();
    for number in 0..20 {
        pairs.push(Pair::meet(server.address, contender.dialect, number).await);
    }
    let hostile = Pair::meet(server.address, contender.dialect, 20).await;
    let before = server.resident_kib();
    let hostile = misbehave(mischief, hostile);
    let messages = (paced.as_secs_f64() * 20.0).max(5.0) as usize;
    let gap = Duration::from_millis(50);
    let (_pairs, mut heard): (_, Heard) = all_talk(pairs, messages, Some(gap)).await;
    let grew = (server.resident_kib() - before) / 1_024.0;
    for task in hostile {
        task.abort();
    }
    assert_eq!(heard.wrong, 0, "{} loses or disorders", contender.name);
    [heard.at(0.99), grew.max(0.0)]
}

/// 20,000 messages or 200,000 crumbs a second: bounded, so that they leave the load's own core to those who are measured.
fn misbehave(mischief: Mischief, pair: Pair) -> Vec<JoinHandle<()>> {
    let envelope = pair.envelope();
    let Pair {
        sender, receiver, ..
    } = pair;
    let Line {
        mut reading,
        mut writing,
    } = sender;
    // Refusals are read, as an ordinary client would.
    let refused = tokio::spawn(async move { while reading.skip().await {} });
    let saying = tokio::spawn(async move {
        let signal = signal(&envelope);
        loop {
            match mischief {
                Mischief::None => sleep(Duration::from_secs(1)).await,
                Mischief::Flood | Mischief::Deaf => writing.say_often(&signal, 200).await,
                Mischief::Crumbs => {
                    for _ in 0..4 {
                        writing.say_in_crumbs(&signal).await;
                    }
                }
            }
            sleep(Duration::from_millis(10)).await;
        }
    });
    let mut reading = receiver.reading;
    let keeps = receiver.writing;
    let listening = tokio::spawn(async move {
        let _open = keeps;
        match mischief {
            Mischief::Deaf => std::future::pending().await,
            _ => while reading.skip().await {},
        }
    });
    vec![refused, saying, listening]
}

fn signal(envelope: &Envelope) -> String {
    envelope.around(&"x".repeat(SIGNAL))
}
