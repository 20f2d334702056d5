//! What must not be mixed: the hub stays pure.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests: a panic is the report"
)]

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

/// The files of `src/` that use one of `names`, by their paths below it.
fn users_of(names: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let uses = |file: &PathBuf| {
        let text = fs::read_to_string(file).unwrap();
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        code.into_iter()
            .any(|line| names.iter().any(|name| line.contains(name)))
    };
    let mut users: Vec<String> = files
        .iter()
        .filter(|file| uses(file))
        .map(|file| file.strip_prefix(&root).unwrap().display().to_string())
        .collect();
    users.sort();
    users
}

#[test]
fn the_hub_knows_no_runtime_socket_clock_or_chance() {
    let names = [
        "tokio",
        "axum",
        "ice_api",
        "rand::",
        "Instant",
        "SystemTime",
        "std::net",
        "std::thread",
        "crate::",
    ];
    let users: Vec<String> = users_of(&names)
        .into_iter()
        .filter(|file| file.starts_with("hub"))
        .collect();
    assert_eq!(users, Vec::<String>::new());
}

#[test]
fn clocks_and_chance_have_one_place_each() {
    assert_eq!(users_of(&["Instant::now", "SystemTime::now"]), ["clock.rs"]);
    assert_eq!(users_of(&["rand::"]), ["chance.rs"]);
}
