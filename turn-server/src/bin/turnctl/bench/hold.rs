//! Counts of the row `counts` and its kin, held by a file (`work_counts::held`).

use super::measurement::Metric;
use super::report::{Report, metric_name};
use anyhow::Result;
use std::path::Path;
use work_counts::held;

/// Compares what the servers named first in each row need with what the file allows; each complaint is a sentence.
///
/// # Errors
/// The file cannot be read, or holds what was not measured.
pub(crate) fn complaints(report: &Report, path: &Path) -> Result<Vec<String>> {
    held::complaints(path, |row, figure| measured(report, row, figure))
}

fn measured(report: &Report, row: &str, figure: &str) -> Option<f64> {
    let row = report.rows.iter().find(|known| known.row.name == row)?;
    let named = |metric: &&Metric| metric_name(**metric) == figure;
    let metric = row.row.metrics().iter().find(named)?;
    Some(row.servers.first()?.estimate(*metric)?.median)
}

#[cfg(test)]
mod tests {
    use super::measured;
    use crate::bench::compare::tests::report;
    use crate::bench::report::tests::example;

    #[test]
    fn a_figure_is_found_by_its_row_and_name() {
        let report = report(example());
        assert_eq!(measured(&report, "voice-1", "loss"), Some(0.0));
        assert_eq!(measured(&report, "voice-1", "beside"), None);
        assert_eq!(measured(&report, "tcp", "loss"), None);
    }
}
