//! `tests/DIFFERENCES.md`: sections of a reason and a table, read back as the table that the test believes.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;

use anyhow::{Result, ensure};
use e2e::process::tests_folder;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) conversation: String,
    pub(crate) step: String,
    pub(crate) over: String,
    pub(crate) ours: String,
    pub(crate) coturn: String,
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            conversation,
            step,
            over,
            ours,
            coturn,
        } = self;
        write!(
            formatter,
            "| {conversation} | {step} | {over} | {ours} | {coturn} |"
        )
    }
}

/// Reads the page.
///
/// # Errors
/// When a table has no reason that names an RFC's section above it, a row has not five cells, or one stands there twice.
pub(crate) fn explained() -> Result<BTreeSet<Row>> {
    let page = fs::read_to_string(tests_folder().join("DIFFERENCES.md"))?;
    let mut rows = BTreeSet::new();
    for section in page.split("\n## ").skip(1) {
        let title = section.lines().next().unwrap_or_default();
        let (table, prose): (Vec<&str>, Vec<&str>) = section
            .lines()
            .skip(1)
            .partition(|line| line.starts_with('|'));
        let reason = prose.join(" ");
        ensure!(
            reason.contains("RFC ") && reason.contains('§') && reason.len() > 80,
            "'{title}' gives no reason with an RFC's section"
        );
        ensure!(table.len() > 2, "'{title}' explains nothing");
        // The first two lines are the table's head.
        for line in &table[2..] {
            let cells: Vec<String> = line
                .trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect();
            let [conversation, step, over, ours, coturn] = <[String; 5]>::try_from(cells)
                .map_err(|cells| anyhow::anyhow!("five cells are expected: {cells:?}"))?;
            let row = Row {
                conversation,
                step,
                over,
                ours,
                coturn,
            };
            ensure!(rows.insert(row), "twice on the page: {line}");
        }
    }
    Ok(rows)
}
