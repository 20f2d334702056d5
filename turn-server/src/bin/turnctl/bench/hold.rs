//! Figures that must not grow: counts of the row `counts` and its kin, held by a file that goes down with them.
//!
//! ```text
//! # row         figure            at most
//! counts        system_calls         3.00
//! ```

use super::measurement::Metric;
use super::report::{Report, metric_name};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

/// Counts are the same from run to run, apart from a timer or a hash's luck.
const ALLOWANCE: f64 = 0.02;
/// The same of figures near zero: no allocation in a thousand packets is none.
const LITTLE: f64 = 0.01;

/// A line of the file.
#[derive(Debug, PartialEq)]
struct Held {
    row: String,
    figure: String,
    at_most: f64,
}

/// Compares what the servers named first in each row need with what the file allows; each complaint is a sentence.
///
/// # Errors
/// The file cannot be read, or holds what was not measured.
pub(crate) fn complaints(report: &Report, path: &Path) -> Result<Vec<String>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut complaints = Vec::new();
    for held in parse(&text)? {
        let Held {
            row,
            figure,
            at_most,
        } = &held;
        let Some(measured) = measured(report, &held) else {
            bail!("{}: {row} {figure} was not measured", path.display());
        };
        let limit = at_most * (1.0 + ALLOWANCE) + LITTLE;
        if measured > limit {
            complaints.push(format!(
                "{row} {figure}: {measured:.2} is more than the {at_most:.2} of {}",
                path.display()
            ));
        } else if measured < at_most * (1.0 - 2.0 * ALLOWANCE) - LITTLE {
            eprintln!("{row} {figure}: {measured:.2} is less than {at_most:.2}; lower it");
        }
    }
    Ok(complaints)
}

fn measured(report: &Report, held: &Held) -> Option<f64> {
    let row = report.rows.iter().find(|row| row.row.name == held.row)?;
    let named = |metric: &&Metric| metric_name(**metric) == held.figure;
    let metric = row.row.metrics().iter().find(named)?;
    Some(row.servers.first()?.estimate(*metric)?.median)
}

fn parse(text: &str) -> Result<Vec<Held>> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [row, figure, at_most] = words[..] else {
                bail!("{line}: a row, a figure and a number are needed");
            };
            Ok(Held {
                row: row.to_owned(),
                figure: figure.to_owned(),
                at_most: at_most.parse().with_context(|| line.to_owned())?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{complaints, parse};
    use crate::bench::compare::tests::report;
    use crate::bench::report::tests::example;

    fn complaints_of(text: &str) -> anyhow::Result<Vec<String>> {
        let name = format!("turnctl-hold-test-{}-{}", std::process::id(), text.len());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        let complaints = complaints(&report(example()), &path);
        std::fs::remove_file(&path).unwrap();
        complaints
    }

    #[test]
    fn a_figure_above_its_line_is_named_and_one_below_is_not() {
        // The example's first server has needed 13 µs, which is less than the allowance for zero: so far below one are counts never.
        assert!(complaints_of("voice-1 loss 0.5").unwrap().is_empty());
        let grown = complaints_of("# a comment\nvoice-1 loss -0.5\n").unwrap();
        assert!(grown[0].contains("voice-1 loss"), "{grown:?}");
    }

    #[test]
    fn what_was_not_measured_or_cannot_be_read_is_an_error() {
        assert!(complaints_of("tcp loss 1").is_err());
        assert!(complaints_of("voice-1 beside 1").is_err());
        assert!(parse("voice-1 loss").is_err() && parse("voice-1 loss much").is_err());
    }
}
