//! Pages that make promises: each claim names the test that proves it, and that test is run.
//!
//! A row of a table names its tests in the last column, a paragraph or a point of the migration page in a comment behind it.
// A panic in a test is its report, also in the helpers, which the lint does not recognise as tests.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use e2e::process::tests_folder;

fn root() -> PathBuf {
    tests_folder().join("..")
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).unwrap()
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

fn all_are_run(claims: &[(String, Vec<String>)]) {
    let tests = tests();
    for (claim, named) in claims {
        assert!(!named.is_empty(), "no test for {claim:?}");
        for test in named {
            assert!(tests.contains(test), "no test {test}, for {claim:?}");
        }
    }
}

#[test]
fn each_claim_of_the_migration_page_names_a_test_that_is_run() {
    let page = page("migrate-from-coturn.md");
    let mut claims = claims(&page);
    assert!(claims.len() > 8, "{}", claims.len());
    let rows = rows(&page);
    assert!(rows.len() > 70, "{}", rows.len());
    claims.extend(rows.iter().map(|row| {
        assert_eq!(row.len(), 4, "{row:?}");
        (row[0].clone(), names(&row[3]).map(str::to_owned).collect())
    }));
    all_are_run(&claims);
}

#[test]
fn each_row_of_the_page_of_calls_names_a_test_that_is_run() {
    let page = page("calls.md");
    let (proven, left_out) = page.split_once("\n## Left out").unwrap();
    assert!(left_out.contains("| Why |"));
    // The sizes of groups are no claims of ours but arithmetic, and held by the next test.
    let rows: Vec<_> = rows(proven)
        .into_iter()
        .filter(|row| row.len() == 3)
        .collect();
    assert!(rows.len() > 25, "{}", rows.len());
    let claims: Vec<_> = rows
        .iter()
        .map(|row| (row[0].clone(), names(&row[2]).map(str::to_owned).collect()))
        .collect();
    all_are_run(&claims);
}

/// The pictures of a group, as the page of calls has them, are what the served page asks its browser for.
#[test]
fn a_group_s_pictures_are_those_that_the_page_sends() {
    let script = fs::read_to_string(root().join("signaling/web/js/room.js")).unwrap();
    let list = script.split("VIDEO_BITRATES = [").nth(1).unwrap();
    let list = list.split(']').next().unwrap().replace('_', "");
    let rates: Vec<u32> = list.split(", ").map(|rate| rate.parse().unwrap()).collect();
    let page = page("calls.md");
    let table: Vec<_> = rows(&page)
        .into_iter()
        .filter(|row| row.len() == 4)
        .collect();
    assert_eq!(table[0][0], "members");
    assert_eq!(table.len(), 1 + 5);
    for (others, row) in (1..).zip(&table[1..]) {
        let (members, rate) = (others + 1, rates[others]);
        let tenths = (u32::try_from(others).unwrap() * rate + 50_000) / 100_000;
        let expected = [
            members.to_string(),
            (members * others / 2).to_string(),
            if rate < 1_000_000 {
                (rate / 1000).to_string()
            } else {
                format!("{},{:03}", rate / 1_000_000, rate / 1000 % 1000)
            },
            format!("{}.{}", tenths / 10, tenths % 10),
        ];
        assert_eq!(*row, expected);
    }
}

#[test]
fn a_test_is_what_the_harness_runs() {
    let source = "#[test]\n#[cfg(unix)]\nfn one() {}\nfn two() {}\n#[test]\n#[ignore = \"x\"]\nfn three() {}\n\
                  #[tokio::test(flavor = \"x\")]\nasync fn four() {}\n";
    assert_eq!(tests_in(source).collect::<Vec<_>>(), ["one", "four"]);
}
