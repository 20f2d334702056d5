//! The README's first screen, done as a newcomer does it: its two commands, and its proof. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::netns::Namespace;
use e2e::process::Process;

/// `cargo run` may have to link once more.
const GENEROUS: Duration = Duration::from_secs(300);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// The lines of the first code block of a language.
fn block(language: &str) -> String {
    let readme = readme();
    let (_, rest) = readme.split_once(&format!("\n```{language}\n")).unwrap();
    rest.split_once("\n```").unwrap().0.to_owned()
}

/// The commands of a block, without their remarks.
fn commands(block: &str) -> Vec<String> {
    let command = |line: &str| line.split(" #").next().unwrap().trim().to_owned();
    block.lines().map(command).collect()
}

#[test]
fn the_first_command_starts_everything_and_the_proof_proves_it() {
    let two = commands(&block("sh"));
    assert_eq!(two, ["cargo run --release", "tests/run"]);
    assert!(root().join(&two[1]).is_file());

    let space = Namespace::new("readme").unwrap();
    let mut words = two[0].split(' ');
    let mut start = space.command(words.next().unwrap());
    start.args(words).current_dir(root());
    let mut running = Process::start(&mut start, "quickstart").unwrap();
    running
        .wait_for_output(&["Total auth threads:"], GENEROUS)
        .unwrap();

    let proof = block("bash");
    let output = space.command("bash").args(["-c", &proof]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("Total lost packets 0 (0.000000%)"), "{text}");
    assert!(
        !text.contains("tot_recv_msgs=0\n"),
        "nothing was relayed: {text}"
    );
}

#[test]
fn every_link_into_the_tree_leads_somewhere() {
    let readme = readme();
    let targets = readme
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let mut seen = 0;
    for target in targets.filter(|target| !target.contains("://")) {
        let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
        assert!(root().join(file).exists(), "{target}");
        let heading = |line: &str| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .replace(' ', "-")
        };
        if file.is_empty() {
            let found = readme
                .lines()
                .any(|line| line.starts_with('#') && heading(line) == anchor);
            assert!(found, "no heading for #{anchor}");
        }
        seen += 1;
    }
    assert!(seen > 10, "{seen} links");
}
