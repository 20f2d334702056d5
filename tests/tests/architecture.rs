//! Which crate may know which: the README's table as a test, so that a new arrow is a decision and not an accident.
//!
//! Looked at are normal and build dependencies; what only tests use does not ship and may point anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use e2e::process::{run, tests_folder};
use serde::Deserialize;

/// Every crate of ours with the crates of ours that it may know.
const ALLOWED: &[(&str, &[&str])] = &[
    // level 0
    ("turn-wire", &[]),
    ("turn-auth", &[]),
    ("udp-batch", &[]),
    ("turn-config", &[]),
    ("work-counts", &[]),
    // level 1
    ("turn-proto", &["turn-wire", "turn-auth"]),
    ("ice-api", &["turn-auth"]),
    ("userdb", &["turn-auth"]),
    // level 2
    ("turn-io", &["turn-proto", "turn-wire", "udp-batch"]),
    // level 3
    ("signaling", &["ice-api", "turn-auth", "turn-config"]),
    // level 4
    (
        "turn-server",
        &[
            "turn-wire",
            "turn-auth",
            "udp-batch",
            "turn-config",
            "turn-proto",
            "ice-api",
            "userdb",
            "turn-io",
            "signaling",
            "work-counts",
        ],
    ),
];

/// Crates that wait, or that talk to the system's network, and those below `turn-io` that may use some of them after all.
const RUNTIMES_AND_SOCKETS: &[(&str, &[&str])] = &[
    ("async-io", &[]),
    ("async-std", &[]),
    ("axum", &["ice-api"]), // a router is a function; who listens is decided above
    ("hyper", &[]),
    ("libc", &["udp-batch"]),
    ("mio", &[]),
    ("nix", &[]),
    ("quinn-udp", &[]),
    ("reqwest", &[]),
    ("rustix", &[]),
    ("smol", &[]),
    ("socket2", &["udp-batch"]),
    ("tokio", &[]),
    ("tokio-util", &[]),
    ("webrtc-util", &[]),
];
const BELOW_THE_DRIVERS: &[&str] = &[
    "turn-wire",
    "turn-auth",
    "udp-batch",
    "turn-config",
    "turn-proto",
    "ice-api",
];

/// The packages that are no part of the product and may know everything.
const OUTSIDE: &[&str] = &["e2e", "fuzz"];

#[derive(Deserialize)]
struct Workspace {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

impl Package {
    fn ships_with(&self) -> BTreeSet<&str> {
        self.dependencies
            .iter()
            .filter(|dependency| dependency.kind.as_deref() != Some("dev"))
            .map(|dependency| dependency.name.as_str())
            .collect()
    }
}

fn packages() -> Result<Vec<Package>> {
    let manifest = tests_folder().join("../Cargo.toml");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version=1",
            "--manifest-path",
        ])
        .arg(manifest);
    let workspace: Workspace = serde_json::from_str(&run(&mut cargo)?)?;
    let shipped = workspace
        .packages
        .into_iter()
        .filter(|package| !OUTSIDE.contains(&package.name.as_str()))
        .collect();
    Ok(shipped)
}

#[test]
fn every_crate_knows_only_whom_it_may_know() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let packages = packages().unwrap();
    let ours: BTreeSet<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    for package in &packages {
        let Some(allowed) = allowed.get(package.name.as_str()) else {
            panic!(
                "{} is a new crate: give it a line in this table and in the README",
                package.name
            );
        };
        let known: BTreeSet<&str> = package.ships_with().intersection(&ours).copied().collect();
        let strangers: Vec<_> = known
            .iter()
            .filter(|name| !allowed.contains(name))
            .collect();
        assert!(
            strangers.is_empty(),
            "{} must not know {strangers:?}",
            package.name
        );
    }
}

#[test]
fn below_the_drivers_nobody_depends_on_a_runtime_or_a_socket() {
    for package in packages()
        .unwrap()
        .iter()
        .filter(|package| BELOW_THE_DRIVERS.contains(&package.name.as_str()))
    {
        let depends_on = package.ships_with();
        for (banned, excepted) in RUNTIMES_AND_SOCKETS {
            let allowed = excepted.contains(&package.name.as_str());
            assert!(
                allowed || !depends_on.contains(banned),
                "{} depends on {banned}",
                package.name
            );
        }
    }
}

#[test]
fn unsafe_code_is_forbidden_everywhere_but_in_udp_batch() {
    for package in packages()
        .unwrap()
        .iter()
        .filter(|package| package.name != "udp-batch")
    {
        let source = package.manifest_path.parent().unwrap().join("src");
        for root in crate_roots(&source) {
            let text = fs::read_to_string(&root).unwrap();
            assert!(
                text.contains("#![forbid(unsafe_code)]"),
                "{} lacks #![forbid(unsafe_code)]",
                root.display()
            );
        }
    }
}

/// The files that are crates of their own: the library, the program, and every program in `bin`.
fn crate_roots(source: &Path) -> Vec<PathBuf> {
    let programs = fs::read_dir(source.join("bin"))
        .into_iter()
        .flatten()
        .flatten();
    let programs = programs.flat_map(|entry| [entry.path(), entry.path().join("main.rs")]);
    [source.join("lib.rs"), source.join("main.rs")]
        .into_iter()
        .chain(programs)
        .filter(|path| path.is_file())
        .collect()
}

/// A stage that no tier lists is a test that nobody runs.
#[test]
fn every_stage_belongs_to_a_tier() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = std::fs::read_to_string(tests.join("run")).unwrap();
    let tiers: Vec<&str> = run
        .lines()
        .filter(|line| {
            ["quick=(", "full=(", "deep=("]
                .iter()
                .any(|tier| line.starts_with(tier))
        })
        .flat_map(|line| line.split(['(', ')', ' ']))
        .collect();
    for stage in std::fs::read_dir(tests.join("stages")).unwrap() {
        let path = stage.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(
            tiers.contains(&name.as_str()),
            "{name} is in no tier of tests/run"
        );
    }
}
