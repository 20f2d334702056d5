//! A refusal takes the same instructions, to the last one, whatever was wrong with the request: nobody learns from the time it
//! takes whether a user exists, or how much of a guess was right.
//!
//! They are counted by valgrind, so that no clock and no other program has a say. The same by the clock is printed by
//! `tests/run promises`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

use std::process::Command;

use e2e::process::{run, scratch_file};
use e2e::server::program;

/// Says what the two kinds of each pair of requests are, by number.
fn pairs() -> Vec<String> {
    let names = run(Command::new(program("REFUSALS", "refusals").unwrap()).arg("names")).unwrap();
    names.lines().map(str::to_owned).collect()
}

/// The instructions of each kind of a pair, with all that they call.
fn counted(pair: usize) -> [u64; 2] {
    let file = scratch_file("callgrind").unwrap();
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind"]);
    valgrind.arg(format!("--callgrind-out-file={}", file.display()));
    valgrind.arg(program("REFUSALS", "refusals").unwrap());
    run(valgrind.args(["count", &pair.to_string()])).unwrap();
    let mut annotate = Command::new("callgrind_annotate");
    annotate.args(["--inclusive=yes", "--threshold=100", "--auto=no"]);
    let report = run(annotate.arg(&file)).unwrap();
    ["refusals.rs:refusals::one ", "refusals.rs:refusals::other "].map(|name| {
        let line = report.lines().find(|line| line.contains(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in {report}"));
        let number = line.split_whitespace().next().unwrap();
        number.replace(',', "").parse().unwrap()
    })
}

#[test]
fn refusals_take_the_same_instructions_whatever_was_wrong() {
    let pairs = pairs();
    assert!(!pairs.is_empty());
    for (number, name) in pairs.iter().enumerate() {
        let [one, other] = counted(number);
        println!("\npromise: instructions of 512 refusals: {name} | alike | {one} and {other} | -");
        assert!(one > 1_000_000, "{name}: nothing was counted");
        assert_eq!(one, other, "{name}");
    }
}
