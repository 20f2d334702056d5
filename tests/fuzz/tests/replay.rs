//! Every committed input is run again: a crash that was found once is never found twice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use std::{fs, path::Path};

fn replay(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let inputs: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(
        inputs.len() >= 20,
        "only {} inputs in {}",
        inputs.len(),
        folder.display()
    );
    let count = inputs.len();
    for input in inputs {
        let bytes = fs::read(&input).unwrap();
        let run = std::panic::catch_unwind(|| fuzz::run(name, &bytes));
        assert!(run.is_ok(), "{} breaks its promise", input.display());
    }
    println!(
        "\npromise: committed inputs of the fuzz target {name} | none breaks it | 0 of {count} | -"
    );
}

#[test]
fn codec() {
    replay("codec");
}

#[test]
fn view() {
    replay("view");
}

#[test]
fn framing() {
    replay("framing");
}

#[test]
fn proxy() {
    replay("proxy");
}

#[test]
fn authentication() {
    replay("authentication");
}

#[test]
fn sessions() {
    replay("sessions");
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let corpora = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")).unwrap();
    let mut corpora: Vec<_> = corpora.map(|entry| entry.unwrap().file_name()).collect();
    let mut targets: Vec<_> = fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
    corpora.sort();
    targets.sort_unstable();
    assert_eq!(corpora, targets);
}
