//! The page for those who come from coturn speaks of options that there are.

use std::fs;
use std::path::Path;

use turn_config::TURNSERVER;

/// What stands in backquotes in the first column of its tables.
fn written(page: &str) -> impl Iterator<Item = &str> {
    let rows = page.lines().filter(|line| line.starts_with("| "));
    rows.filter_map(|row| row.split(" | ").next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
}

#[test]
fn the_migration_page_speaks_of_options_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let page = fs::read_to_string(root.join("docs/migrate-from-coturn.md")).unwrap();
    assert!(written(&page).count() > 70);
    for name in written(&page) {
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
