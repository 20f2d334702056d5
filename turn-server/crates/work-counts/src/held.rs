//! Figures that must not grow, held by a file that goes down with them.
//!
//! ```text
//! # row         figure            at most
//! counts        system_calls         3.00
//! ```

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

/// Compares what was measured of each row and figure with what the file allows; each complaint is a sentence.
///
/// # Errors
/// The file cannot be read, or holds what was not measured.
pub fn complaints(
    path: &Path,
    measured: impl Fn(&str, &str) -> Option<f64>,
) -> Result<Vec<String>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut complaints = Vec::new();
    for held in parse(&text)? {
        let Held {
            row,
            figure,
            at_most,
        } = &held;
        let Some(measured) = measured(row, figure) else {
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
#[allow(
    clippy::unwrap_used,
    reason = "helpers of tests: a panic is the report"
)]
mod tests {
    use super::{complaints, parse};
    use anyhow::Result;

    /// Of the one row that was measured.
    fn complaints_of(text: &str) -> Result<Vec<String>> {
        let name = format!("work-counts-test-{}-{}", std::process::id(), text.len());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        let measured = |row: &str, figure: &str| {
            ((row, figure) == ("counts", "instructions")).then_some(1_000.0)
        };
        let complaints = complaints(&path, measured);
        std::fs::remove_file(&path).unwrap();
        complaints
    }

    #[test]
    fn a_figure_above_its_line_is_named_and_one_within_two_hundredths_is_not() {
        let text = |at_most: u32| format!("# a comment\ncounts instructions {at_most}\n");
        assert!(complaints_of(&text(985)).unwrap().is_empty());
        assert!(complaints_of(&text(2_000)).unwrap().is_empty());
        let grown = complaints_of(&text(975)).unwrap();
        assert!(grown[0].contains("counts instructions"), "{grown:?}");
    }

    #[test]
    fn what_was_not_measured_or_cannot_be_read_is_an_error() {
        assert!(complaints_of("counts system_calls 1").is_err());
        assert!(complaints_of("voice-1 instructions 1").is_err());
        assert!(parse("voice-1 loss").is_err() && parse("voice-1 loss much").is_err());
    }
}
