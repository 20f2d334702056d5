//! The page for those who come from coturn: each of its claims names the test that proves it, and that test is run.
//!
//! A row of a table names its tests in the last column, a paragraph or a point in a comment behind it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use turn_config::TURNSERVER;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

fn page() -> String {
    fs::read_to_string(root().join("docs/migrate-from-coturn.md")).unwrap()
}

/// All files below a folder whose names end so.
fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, end));
        } else if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    found
}

/// The functions of a source that the test harness runs.
fn tests_in(source: &str) -> impl Iterator<Item = &str> {
    let mut marked = false;
    source.lines().filter_map(move |line| {
        let line = line.trim_start();
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if line.starts_with("#[ignore") {
            marked = false;
        }
        let line = line.strip_prefix("async ").unwrap_or(line);
        let name = line.strip_prefix("fn ")?.split(['(', '<']).next()?;
        std::mem::take(&mut marked).then_some(name)
    })
}

/// Every test that a run of all tests runs: those of the crates, and of the end-to-end tests those that a stage names.
fn tests() -> BTreeSet<String> {
    let (root, mut tests) = (root(), BTreeSet::new());
    for folder in ["turn-server", "signaling"] {
        for file in files(&root.join(folder), ".rs") {
            tests.extend(tests_in(&fs::read_to_string(file).unwrap()).map(str::to_owned));
        }
    }
    let stages = files(&root.join("tests/stages"), ".sh").into_iter();
    let stages: String = stages
        .map(|stage| fs::read_to_string(stage).unwrap())
        .collect();
    let staged: BTreeSet<&str> = stages
        .split("--test ")
        .skip(1)
        .filter_map(|rest| rest.split_whitespace().next())
        .collect();
    let folder = root.join("tests/tests");
    for file in files(&folder, ".rs") {
        let part = file.strip_prefix(&folder).unwrap().iter().next().unwrap();
        let target = part.to_string_lossy();
        if staged.contains(target.trim_end_matches(".rs")) {
            tests.extend(tests_in(&fs::read_to_string(&file).unwrap()).map(str::to_owned));
        }
    }
    tests
}

/// The cells of the tables' rows, without heads and rules.
fn rows(page: &str) -> Vec<Vec<String>> {
    page.lines()
        .filter(|line| {
            line.starts_with('|') && !line.starts_with("|--") && !line.ends_with("| Test |")
        })
        .map(|line| {
            line.trim_matches('|')
                .split(" | ")
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect()
}

fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Paragraphs and points, each with the tests of the comment behind it. The runbook is run line by line, as its head says.
fn claims(page: &str) -> Vec<(String, Vec<String>)> {
    let (tables, runbook) = page.split_once("## The move, step by step").unwrap();
    assert!(runbook.contains("(`the_runbook_of_this_page_moves_a_host_and_back`)"));
    let text = tables.replace("\n- ", "\n\n- ");
    let blocks = text
        .split("\n\n")
        .map(str::trim)
        .filter(|block| !block.is_empty());
    let prose = blocks.filter(|block| !block.starts_with(['#', '|']));
    prose
        .map(|block| {
            let (claim, tests) = block.split_once("<!-- test:").unwrap_or((block, ""));
            let tests = tests.trim_end_matches("-->").split([',', '\n']);
            let tests = tests.map(str::trim).filter(|test| !test.is_empty());
            (claim.to_owned(), tests.map(str::to_owned).collect())
        })
        .collect()
}

#[test]
fn each_claim_of_the_migration_page_names_a_test_that_is_run() {
    let (page, tests) = (page(), tests());
    let mut claims = claims(&page);
    assert!(claims.len() > 8, "{}", claims.len());
    let rows = rows(&page);
    assert!(rows.len() > 70, "{}", rows.len());
    claims.extend(rows.iter().map(|row| {
        assert_eq!(row.len(), 4, "{row:?}");
        (row[0].clone(), names(&row[3]).map(str::to_owned).collect())
    }));
    for (claim, named) in claims {
        assert!(!named.is_empty(), "no test for {claim:?}");
        for test in named {
            assert!(tests.contains(&test), "no test {test}, for {claim:?}");
        }
    }
}

#[test]
fn a_test_is_what_the_harness_runs() {
    let source = "#[test]\n#[cfg(unix)]\nfn one() {}\nfn two() {}\n#[test]\n#[ignore = \"x\"]\nfn three() {}\n\
                  #[tokio::test(flavor = \"x\")]\nasync fn four() {}\n";
    assert_eq!(tests_in(source).collect::<Vec<_>>(), ["one", "four"]);
}

#[test]
fn the_migration_page_speaks_of_options_that_are_there() {
    for row in rows(&page()) {
        for name in names(&row[0]) {
            let name = name
                .trim_start_matches('-')
                .split(['=', ' '])
                .next()
                .unwrap();
            let short = name.chars().next().filter(|_| name.len() == 1);
            // Beginnings and no-forms are written there as well.
            let positive = name.strip_prefix("no-").unwrap_or(name);
            let known = TURNSERVER.options().any(|option| {
                option.long.starts_with(name)
                    || option.long == positive
                    || option.short == short && short.is_some()
            });
            assert!(known, "{name}");
        }
    }
}
