//! Measures this service beside the npm servers `peer` and `socket.io` doing the same work, in one run on one machine.
//!
//! ```text
//! cargo run --release -p signaling --example bench            the whole comparison
//! cargo run --release -p signaling --example bench -- idle    one row: idle, relay, rooms, counts, neighbours
//! cargo run --release -p signaling --example bench -- --rounds=1  each figure once, and not the median of three
//! cargo run --release -p signaling --example bench -- --rooms=10,100,1000   other rooms than 10, 1000 and 5000
//! cargo run --release -p signaling --example bench -- --smoke a moment of each; what arrives is checked, times mean nothing
//! cargo run -p signaling --example bench -- counts --server=target/release/signaling --hold=tests/signaling_counts.txt
//!                         counts of a program that is built, in fewer rooms, and a failure where they are more than a file allows
//! ```
//!
//! A contender is a process of its own on the last core; the load is this one, on the first. What is said about processor time is
//! the contender's own as the kernel counts it: messages per second and core are messages per second of that time. The npm packages
//! are those of `tests/clients`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a bench measures time, and a panic is its report"
)]

mod contender;
mod counts;
mod line;
mod pair;
mod rows;
mod table;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use counts::Plan;
use ice_api::{Endpoint, Issuer};
use rows::Size;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signaling::hub::Limits;
use signaling::{Config, Doors, Gate, HistoryKeys, Identification, Signaling};
use tokio::net::TcpListener;
use tokio::sync::watch;

const SMOKE: Size = Size {
    idle: 50,
    pairs: 5,
    messages: 40,
    rate: 500.0,
    paced: Duration::from_millis(200),
    rooms: [2, 5, 10],
    in_rooms: 100,
    rounds: 1,
};

const FULL: Size = Size {
    idle: 15_000,
    pairs: 200,
    messages: 1_000,
    rate: 25_000.0,
    paced: Duration::from_secs(5),
    rooms: [10, 1_000, 5_000],
    in_rooms: 40_000,
    rounds: 3,
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    match arguments.first().map(String::as_str) {
        Some(serving @ ("serve" | "serve-paced")) => {
            let limits = match serving {
                "serve" => without_pace(),
                _ => Limits::default(),
            };
            // One core's worth: messages per second and core are to be seen as they are.
            let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(serve(arguments[1].parse().unwrap(), limits));
        }
        _ => {
            raise_descriptors();
            stay_on_first_core();
            let smoke = arguments.iter().any(|argument| argument == "--smoke");
            let mut size = if smoke { SMOKE } else { FULL };
            let option = |name: &str| {
                arguments
                    .iter()
                    .find_map(|argument| argument.strip_prefix(name))
            };
            let rounds = option("--rounds=");
            size.rounds = rounds.map_or(size.rounds, |rounds| rounds.parse().expect("a number"));
            let hold = option("--hold=").map(PathBuf::from);
            if let Some(rooms) = option("--rooms=") {
                let mut rooms = rooms
                    .split(',')
                    .map(|rooms| rooms.parse().expect("a number"));
                size.rooms = std::array::from_fn(|_| rooms.next().expect("three numbers"));
            }
            let plan = Plan {
                rooms: rooms_to_count(&size, hold.is_some()),
                program: option("--server=").map(PathBuf::from),
                hold,
            };
            let rows = arguments
                .iter()
                .filter(|argument| !argument.starts_with("--"));
            let rows: Vec<&str> = rows.map(String::as_str).collect();
            let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(compare(&rows, &size, &plan, !smoke));
        }
    }
}

/// Rooms and pairs in each; a file of figures is held by as few as show growth.
fn rooms_to_count(size: &Size, held: bool) -> Vec<(usize, usize)> {
    let [few, some, many] = size.rooms;
    match held {
        true => vec![(few, 1), (some, 1)],
        false => vec![(few, 1), (some, 1), (many, 1), (some, 3)],
    }
}

/// The default limits, but of the pace that one connection is held to.
fn without_pace() -> Limits {
    Limits {
        rate: 1_000_000,
        burst: 1_000_000,
        outbox: 4_096,
        outbox_bytes: 4_194_304,
        ..Limits::default()
    }
}

/// Our own service.
async fn serve(port: u16, limits: Limits) {
    let signaling = Signaling::start(Config {
        limits,
        gate: Gate::default(),
        identification: Identification::Anonymous,
        ice: Arc::new(Issuer::here(Endpoint::plain(3478))),
        call_log: None,
        history_keys: HistoryKeys::default(),
        doors: Doors::default(),
        api: None,
        fleet: None,
    });
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    println!("ready");
    let (_stop, stopping) = watch::channel(false);
    signaling::server::serve(listener, signaling.router(), 20_000, stopping)
        .await
        .unwrap();
}

/// Idle connections need a descriptor each, here and in the contender, which inherits the limit.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

fn stay_on_first_core() {
    let own = std::process::id().to_string();
    let moved = Command::new("taskset")
        .args(["--pid", "--cpu-list", "0", &own])
        .output();
    assert!(
        moved.unwrap().status.success(),
        "taskset: apt-get install util-linux"
    );
}

async fn compare(rows: &[&str], size: &Size, plan: &Plan, judged: bool) {
    let wanted = |row: &str| rows.is_empty() || rows.contains(&row);
    if wanted("idle") {
        rows::idle(size).await.print(judged);
    }
    if wanted("relay") {
        rows::relay(size).await.print(judged);
    }
    if wanted("rooms") {
        rows::rooms(size).await.print(judged);
    }
    // In a smoke run the stage that holds them has them.
    if wanted("counts") && (judged || !rows.is_empty()) {
        counts::counts(plan).await.print(judged);
    }
    if wanted("neighbours") {
        rows::neighbours(size).await.print(judged);
    }
}
