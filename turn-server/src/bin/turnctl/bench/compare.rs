//! The side-by-side run: rows, rounds, servers in turn, and what is dropped on the way.

use super::args::Options;
use super::hold;
use super::lock::MachineLock;
use super::machine::Machine;
use super::measurement::{Measurement, Metric};
use super::placement::Placement;
use super::relay::Scale;
use super::report::{Report, RowReport, ServerReport};
use super::resume::Finished;
use super::rows::Row;
use super::table;
use super::target::{Contender, Installed, Running, Scratch};
use anyhow::{Context, Result, bail};
use std::time::Duration;

/// Loss above which a smoke run fails.
const SMOKE_LOSS: f64 = 0.05;
const SEARCH_TRIALS: usize = 14;

/// Measures and prints; false when a smoke run found something implausible, or a figure that is held has grown.
///
/// # Errors
/// The machine is taken, a server does not start, or dies under load.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let _lock = MachineLock::take(&MachineLock::path(), options.wait)?;
    let programs = find_programs(options)?;
    let placement = Placement::settle(options.server_core, options.generator_core)?;
    let scratch = Scratch::create()?;
    let mut report = Report {
        machine: Machine::look(&placement),
        smoke: options.smoke,
        programs: programs
            .iter()
            .map(|(contender, found)| (*contender, described(found)))
            .collect(),
        rows: Vec::new(),
    };
    let installed: Vec<Installed> = programs
        .into_iter()
        .filter_map(|(_, found)| found.ok())
        .collect();
    let mut finished = Finished::read(options, &installed)?;
    let bench = Bench {
        options,
        installed,
        placement,
        scratch,
    };
    let rows = options.rows.iter();
    for row in rows.filter_map(|row| {
        if options.smoke {
            row.for_smoke()
        } else {
            Some(*row)
        }
    }) {
        let row = match finished.take(&row) {
            Some(kept) => kept,
            None => {
                let measured = bench.row(row);
                let measured = measured.with_context(|| format!("row {}", row.name))?;
                finished.keep(&measured)?;
                measured
            }
        };
        report.rows.push(row);
    }
    let text = if options.json {
        format!("{:#}\n", report.to_json())
    } else {
        table::render(&report)
    };
    print!("{text}");
    let mut complaints = if options.smoke {
        implausible(&report)
    } else {
        Vec::new()
    };
    if let Some(path) = &options.hold {
        complaints.extend(hold::complaints(&report, path)?);
    }
    for complaint in &complaints {
        eprintln!("not as it should be: {complaint}");
    }
    Ok(complaints.is_empty())
}

/// Looks for every server asked for. One that was named, or that a smoke run relies on, must be there.
fn find_programs(options: &Options) -> Result<Vec<(Contender, Result<Installed>)>> {
    let programs: Vec<_> = options
        .servers
        .iter()
        .map(|&contender| (contender, Installed::find(contender, options)))
        .collect();
    for (contender, found) in &programs {
        if let Err(missing) = found
            && (options.servers_named || options.smoke)
        {
            bail!("{contender}: {missing:#}");
        }
    }
    if programs.iter().all(|(_, found)| found.is_err()) {
        bail!("there is no server to measure");
    }
    Ok(programs)
}

fn described(found: &Result<Installed>) -> Result<String, String> {
    match found {
        Ok(installed) => Ok(installed.version.clone()),
        Err(missing) => Err(format!("{missing:#}")),
    }
}

struct Bench<'o> {
    options: &'o Options,
    installed: Vec<Installed>,
    placement: Placement,
    scratch: Scratch,
}

/// One server's way through the rounds of a row.
struct Entrant<'b> {
    installed: &'b Installed,
    /// `None` where every measurement needs a server of its own.
    running: Option<Running>,
    report: ServerReport,
    latest: Option<Measurement>,
}

impl Bench<'_> {
    fn row(&self, row: Row) -> Result<RowReport> {
        let mut entrants = self.entrants(&row)?;
        let rounds = if self.options.smoke {
            1
        } else {
            row.rounds(self.options.rounds)
        };
        // The round before the first warms caches, allocators and the servers' own tables, and counts for nothing.
        let warm_up = usize::from(!self.options.smoke && !row.needs_fresh_server());
        for round in 0..rounds + warm_up {
            for index in turn_order(entrants.len(), round) {
                let Some(entrant) = entrants.get_mut(index) else {
                    continue;
                };
                let counted = round >= warm_up;
                let visit = self.visit(&row, entrant, counted)?;
                self.tell(&row, entrant.installed.contender, round, counted, &visit);
                entrant.latest = visit.clean.as_ref().or(visit.dropped.last()).cloned();
                if counted {
                    let fallback = visit.dropped.last().filter(|_| visit.clean.is_none());
                    entrant.report.fallbacks.push(fallback.cloned());
                    entrant.report.rounds.push(visit.clean);
                    entrant.report.dropped.extend(visit.dropped);
                }
            }
        }
        let servers = entrants.into_iter().map(|entrant| entrant.report).collect();
        Ok(RowReport { row, servers })
    }

    fn entrants(&self, row: &Row) -> Result<Vec<Entrant<'_>>> {
        let takes_part = |installed: &&Installed| row.takes(installed.contender);
        self.installed
            .iter()
            .filter(takes_part)
            .map(|installed| {
                let running = if row.needs_fresh_server() {
                    None
                } else {
                    Some(self.start(installed, row)?)
                };
                let report = ServerReport::new(installed.contender);
                Ok(Entrant {
                    installed,
                    running,
                    report,
                    latest: None,
                })
            })
            .collect()
    }

    /// Measures one server until a measurement was not disturbed, a few times at most.
    fn visit(&self, row: &Row, entrant: &Entrant<'_>, counted: bool) -> Result<Visit> {
        let repeats = if counted && !self.options.smoke {
            row.repeats()
        } else {
            0
        };
        let mut dropped = Vec::new();
        for _ in 0..=repeats {
            let fresh;
            let server = match &entrant.running {
                Some(server) => server,
                None => {
                    fresh = self.start(entrant.installed, row)?;
                    &fresh
                }
            };
            let measured = row
                .measure(server, &self.scale(), entrant.latest.as_ref())
                .with_context(|| format!("{} under load", entrant.installed.contender))?;
            if measured.disturbance().is_none() {
                return Ok(Visit {
                    clean: Some(measured),
                    dropped,
                });
            }
            dropped.push(measured);
        }
        Ok(Visit {
            clean: None,
            dropped,
        })
    }

    fn start(&self, installed: &Installed, row: &Row) -> Result<Running> {
        installed
            .start(&self.placement, self.scratch.path(), row)
            .with_context(|| format!("cannot start {}", installed.contender))
    }

    fn scale(&self) -> Scale {
        let smoke = self.options.smoke;
        Scale {
            warm_up: Duration::from_millis(if smoke { 50 } else { 200 }),
            window: if smoke {
                Duration::from_millis(250)
            } else {
                self.options.window
            },
            trials: if smoke { 3 } else { SEARCH_TRIALS },
            placement: self.placement,
        }
    }

    /// A line of progress on standard error: a full run takes minutes.
    fn tell(&self, row: &Row, contender: Contender, round: usize, counted: bool, visit: &Visit) {
        let Some(metric) = row.metrics().first() else {
            return;
        };
        let shown = metric.shown();
        let figure = match visit
            .clean
            .as_ref()
            .or(visit.dropped.last())
            .and_then(|measured| measured.figure(*metric))
        {
            Some(value) => format!(
                "{:.*} {}",
                shown.decimals,
                value * shown.scale,
                shown.heading
            ),
            None => "nothing".to_owned(),
        };
        let note = match (
            &visit.clean,
            visit.dropped.last().and_then(Measurement::disturbance),
        ) {
            (None, Some(why)) => format!(", dropped: {why}"),
            _ if !counted => ", warm-up".to_owned(),
            _ => String::new(),
        };
        eprintln!("{} round {round} {contender:<10} {figure}{note}", row.name);
    }
}

/// What one visit to a server brought.
struct Visit {
    clean: Option<Measurement>,
    dropped: Vec<Measurement>,
}

/// Each round begins with another server, so that none is always first.
fn turn_order(count: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |step| (step + round) % count)
}

/// What a smoke run cannot believe: nothing measured, or much lost. Disturbed figures will do, since only their presence is judged.
fn implausible(report: &Report) -> Vec<String> {
    let mut complaints = Vec::new();
    for row in &report.rows {
        for server in &row.servers {
            let name = format!("{} {}", row.row.name, server.contender);
            let first = row
                .row
                .metrics()
                .first()
                .and_then(|metric| server.estimate(*metric));
            if first.is_none_or(|estimate| estimate.median <= 0.0) {
                complaints.push(format!("{name}: nothing was measured"));
            }
            if let Some(loss) = server
                .estimate(Metric::Loss)
                .filter(|loss| loss.median > SMOKE_LOSS)
            {
                complaints.push(format!("{name}: {:.1} % were lost", loss.median * 100.0));
            }
        }
    }
    complaints
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::bench::report::tests::example;

    pub(crate) fn report(row: RowReport) -> Report {
        let placement = Placement {
            server_core: 0,
            generator_core: 1,
            raised: false,
        };
        Report {
            machine: Machine::look(&placement),
            smoke: true,
            programs: Vec::new(),
            rows: vec![row],
        }
    }

    #[test]
    fn every_server_is_first_once() {
        let orders: Vec<Vec<usize>> = (0..3).map(|round| turn_order(3, round).collect()).collect();
        assert_eq!(orders, [vec![0, 1, 2], vec![1, 2, 0], vec![2, 0, 1]]);
    }

    #[test]
    fn plausible_figures_pass() {
        assert_eq!(implausible(&report(example())), Vec::<String>::new());
    }

    #[test]
    fn loss_and_silence_are_implausible() {
        let mut row = example();
        row.servers[0].rounds = vec![Some(
            Measurement::default()
                .with(Metric::CpuPerPacket, 1e-6)
                .with(Metric::Loss, 0.2),
        )];
        row.servers[1].rounds = Vec::new();
        row.servers[1].dropped = Vec::new();
        let complaints = implausible(&report(row));
        assert_eq!(complaints.len(), 2, "{complaints:?}");
        assert!(
            complaints[0].contains("20.0 % were lost")
                && complaints[1].contains("nothing was measured")
        );
    }
}
