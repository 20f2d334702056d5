//! The report as text, side by side.

use super::disturbance::Disturbance;
use super::measurement::{Measurement, Metric};
use super::report::{Report, RowReport, ServerReport};
use super::rows::{SMOKE_RATE, SMOKE_SESSIONS};
use super::stats::Estimate;
use std::fmt::Write;
use std::mem;

/// Prints the whole report.
pub(crate) fn render(report: &Report) -> String {
    let mut text = String::new();
    head(&mut text, report);
    for row in &report.rows {
        render_row(&mut text, row);
    }
    legend(&mut text, report);
    text
}

fn head(text: &mut String, report: &Report) {
    let machine = &report.machine;
    line(
        text,
        &format!(
            "{}, {} cores, Linux {}, loopback; largest receive buffer {} bytes",
            machine.processor, machine.cores, machine.kernel, machine.rmem_max
        ),
    );
    let raised = if machine.raised {
        "both ahead of other processes"
    } else {
        "NOT ahead of other processes (needs root)"
    };
    line(
        text,
        &format!(
            "server on core {}, generator on core {}, {raised}",
            machine.server_core, machine.generator_core
        ),
    );
    for (contender, found) in &report.programs {
        match found {
            Ok(version) => line(text, &format!("  {contender:<10} {version}")),
            Err(missing) => line(text, &format!("  {contender:<10} missing: {missing}")),
        }
    }
    if report.smoke {
        line(
            text,
            &format!(
                "SMOKE RUN: at most {SMOKE_RATE} packets/s over {SMOKE_SESSIONS} sessions whatever the rows say; these figures compare nothing"
            ),
        );
    }
    if !machine.optimised {
        line(
            text,
            "UNOPTIMISED BUILD: these figures show that the bench works, and nothing else",
        );
    }
}

fn render_row(text: &mut String, row: &RowReport) {
    line(text, "");
    line(text, &format!("{}: {}", row.row.name, row.row.what));
    line(text, &format!("  reach: {}", row.row.reach));
    let metrics = row.row.metrics();
    let base = row.base().map_or("", |base| base.contender.name());
    let mut cells = vec![heading(metrics, row.row.compared(), base)];
    cells.extend(
        row.servers
            .iter()
            .map(|server| server_cells(row, server, metrics)),
    );
    for line_cells in &cells {
        let widths = (0..line_cells.len()).map(|column| width(&cells, column));
        let padded: Vec<String> = line_cells
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(column, (cell, width))| pad(cell, width, column == 0))
            .collect();
        line(text, &format!("  {}", padded.join("  ")));
    }
}

fn heading(metrics: &[Metric], compared: usize, base: &str) -> Vec<String> {
    let mut cells = vec!["server".to_owned()];
    for (index, metric) in metrics.iter().enumerate() {
        cells.push(metric.shown().heading.to_owned());
        if index < compared {
            cells.push(format!("÷ {base}"));
        }
    }
    cells.push("rounds".to_owned());
    cells
}

fn server_cells(row: &RowReport, server: &ServerReport, metrics: &[Metric]) -> Vec<String> {
    let mut cells = vec![server.contender.name().to_owned()];
    for (index, metric) in metrics.iter().enumerate() {
        let mut cell = server.estimate(*metric).map_or_else(
            || "–".to_owned(),
            |estimate| figure(*metric, estimate.median),
        );
        if index == 0 && server.only_disturbed() {
            cell.insert(0, '~');
        }
        if index == 0 && server.generator_limited() {
            cell.insert(0, '≥');
        }
        cells.push(cell);
        if index < row.row.compared() {
            cells.push(compared(row, server, *metric));
        }
    }
    cells.push(rounds(server));
    cells
}

fn compared(row: &RowReport, server: &ServerReport, metric: Metric) -> String {
    let mut bases = row.base().into_iter();
    if bases.any(|base| base.contender == server.contender) {
        return "1".to_owned();
    }
    let estimate = row.ratio_of(metric, server);
    let mark = if row.ratio_is_disturbed(server) {
        "~"
    } else {
        ""
    };
    estimate.map_or_else(
        || "–".to_owned(),
        |estimate| format!("{mark}{}", ratio(estimate)),
    )
}

fn figure(metric: Metric, value: f64) -> String {
    let shown = metric.shown();
    let number = format!("{:.*}", shown.decimals, value * shown.scale);
    match number.split_once('.') {
        Some((whole, fraction)) => format!("{}.{fraction}", grouped(whole)),
        None => grouped(&number),
    }
}

/// Groups of three digits, from 10,000 on.
fn grouped(whole: &str) -> String {
    if whole.len() < 5 {
        return whole.to_owned();
    }
    let mut text = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn ratio(estimate: Estimate) -> String {
    if estimate.coverage == 0.0 {
        return format!("{:.2}", estimate.median);
    }
    format!(
        "{:.2} [{:.2}–{:.2}]",
        estimate.median, estimate.low, estimate.high
    )
}

fn rounds(server: &ServerReport) -> String {
    match server.dropped.len() {
        0 => server.clean().count().to_string(),
        dropped => format!("{} ({dropped} dropped)", server.clean().count()),
    }
}

fn legend(text: &mut String, report: &Report) {
    line(text, "");
    line(
        text,
        "Medians over clean rounds; a ratio is the median of the rounds' own ratios [with its interval].",
    );
    let coverage = report
        .rows
        .iter()
        .flat_map(|row| row.servers.iter().filter_map(|server| row.ratio(server)))
        .map(|ratio| ratio.coverage)
        .filter(|coverage| *coverage > 0.0)
        .fold(None, |least: Option<f64>, coverage| {
            Some(least.map_or(coverage, |least| least.min(coverage)))
        });
    if let Some(coverage) = coverage {
        line(
            text,
            &format!(
                "The intervals hold the true median with {:.0} % or more; below 90 % they are the whole range seen.",
                coverage * 100.0
            ),
        );
    }
    line(
        text,
        "Send and Data indications: what one costs is given in packets of the server's own ChannelData, growth in packets among 100 sessions.",
    );
    line(
        text,
        "CPU is the server's alone, all threads, per packet delivered; loopback charges it the peer's receive path too.",
    );
    line(
        text,
        "~ only disturbed rounds;  ≥ the generator was the limit.",
    );
    let reasons = reasons(report);
    if !reasons.is_empty() {
        line(text, "Dropped:");
        for reason in reasons {
            line(text, &format!("  {reason}"));
        }
    }
}

/// One line for each row, server and kind of disturbance: how often, and the worst.
fn reasons(report: &Report) -> Vec<String> {
    let mut reasons = Vec::new();
    for row in &report.rows {
        for server in &row.servers {
            for (count, worst) in disturbances(server) {
                let often = if count == 1 {
                    String::new()
                } else {
                    format!("{count} times, at worst ")
                };
                reasons.push(format!(
                    "{} {}: {often}{worst}",
                    row.row.name, server.contender
                ));
            }
        }
    }
    reasons
}

fn disturbances(server: &ServerReport) -> Vec<(usize, Disturbance)> {
    let mut kinds: Vec<(usize, Disturbance)> = Vec::new();
    for why in server.dropped.iter().filter_map(Measurement::disturbance) {
        match kinds
            .iter_mut()
            .find(|(_, worst)| mem::discriminant(worst) == mem::discriminant(&why))
        {
            Some((count, worst)) => {
                *count += 1;
                if why.size() > worst.size() {
                    *worst = why;
                }
            }
            None => kinds.push((1, why)),
        }
    }
    kinds
}

fn width(cells: &[Vec<String>], column: usize) -> usize {
    cells
        .iter()
        .filter_map(|line| line.get(column))
        .map(|cell| cell.chars().count())
        .max()
        .unwrap_or(0)
}

fn pad(cell: &str, width: usize, left: bool) -> String {
    if left {
        format!("{cell:<width$}")
    } else {
        format!("{cell:>width$}")
    }
}

fn line(text: &mut String, content: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{}", content.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::disturbance::Surroundings;
    use crate::bench::report::tests::example;

    #[test]
    fn servers_stand_under_each_other_with_the_ratio_beside_the_figure() {
        let mut text = String::new();
        render_row(&mut text, &example());
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[3].contains("CPU µs/packet") && lines[3].contains("÷ coturn"),
            "{text}"
        );
        let ours: Vec<&str> = lines[4].split_whitespace().collect();
        assert_eq!(ours[..3], ["ours", "13.00", "0.75"], "{text}");
        let coturn: Vec<&str> = lines[5].split_whitespace().collect();
        assert_eq!(coturn[..3], ["coturn", "16.00", "1"], "{text}");
        assert!(lines[5].ends_with("1 (1 dropped)"), "{text}");
    }

    #[test]
    fn columns_are_aligned() {
        let mut text = String::new();
        render_row(&mut text, &example());
        let ends: Vec<usize> = text
            .lines()
            .skip(3)
            .map(|line| line.chars().count())
            .collect();
        assert!(ends.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
    }

    #[test]
    fn figures_have_the_units_of_their_heading() {
        assert_eq!(figure(Metric::CpuPerPacket, 12.346e-6), "12.35");
        assert_eq!(figure(Metric::Loss, 0.0123), "1.230");
        assert_eq!(figure(Metric::HighestRate, 273_456.7), "273,457");
        assert_eq!(figure(Metric::DeliveredRate, 999.0), "999");
    }

    #[test]
    fn drops_of_one_kind_are_one_line_with_the_worst() {
        let mut row = example();
        let noisy = |others| {
            Measurement::new(Surroundings {
                others,
                ..Surroundings::default()
            })
        };
        row.servers[1].dropped = vec![noisy(0.2), noisy(0.5), noisy(0.3)];
        let kinds = disturbances(&row.servers[1]);
        assert_eq!(kinds, [(3, Disturbance::Others(0.5))]);
    }

    #[test]
    fn only_disturbed_figures_are_marked() {
        let mut row = example();
        row.servers[1].rounds.clear();
        let mut text = String::new();
        render_row(&mut text, &row);
        assert!(text.contains("~99.00"), "{text}");
    }
}
