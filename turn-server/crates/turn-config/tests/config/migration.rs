//! The page for those who come from coturn: each of its claims names the test that proves it.

use std::fs;
use std::path::Path;

use turn_config::TURNSERVER;

fn page() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    fs::read_to_string(root.join("docs/migrate-from-coturn.md")).unwrap()
}

/// All test sources of the workspace, as one text.
fn sources() -> String {
    fn collect(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let mut text = String::new();
    for folder in ["turn-server", "signaling", "tests/tests"] {
        collect(&root.join(folder), &mut text);
    }
    text
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

#[test]
fn each_claim_of_the_migration_page_names_a_test_that_is_there() {
    let (page, sources) = (page(), sources());
    let rows = rows(&page);
    assert!(rows.len() > 30, "{}", rows.len());
    for row in rows {
        assert_eq!(row.len(), 4, "{row:?}");
        let mut some = false;
        for test in names(&row[3]) {
            assert!(
                sources.contains(&format!("fn {test}(")),
                "no test {test}, for {:?}",
                row[0]
            );
            some = true;
        }
        assert!(some, "no test for {:?}", row[0]);
    }
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
