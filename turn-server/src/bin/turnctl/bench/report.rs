//! What a run found: every round of every server, and the estimates drawn from them; printed by `table`, or as JSON here.

use super::machine::Machine;
use super::measurement::{Measurement, Metric};
use super::rows::Row;
use super::stats::{self, Estimate};
use super::target::Contender;
use serde_json::{Map, Value, json};

/// Everything one run found.
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// Rows were loaded lightly and once: the figures only show that everything works.
    pub(crate) smoke: bool,
    /// Programs compared, with their versions; or why one is missing.
    pub(crate) programs: Vec<(Contender, Result<String, String>)>,
    pub(crate) rows: Vec<RowReport>,
}

/// One row.
pub(crate) struct RowReport {
    pub(crate) row: Row,
    pub(crate) servers: Vec<ServerReport>,
}

/// One server in one row.
pub(crate) struct ServerReport {
    pub(crate) contender: Contender,
    /// Per round the clean measurement, if there was one.
    pub(crate) rounds: Vec<Option<Measurement>>,
    /// Per round without a clean measurement the last that was dropped in it.
    pub(crate) fallbacks: Vec<Option<Measurement>>,
    /// Measurements that were dropped, in the order they were made.
    pub(crate) dropped: Vec<Measurement>,
}

impl ServerReport {
    pub(crate) fn new(contender: Contender) -> Self {
        Self {
            contender,
            rounds: Vec::new(),
            fallbacks: Vec::new(),
            dropped: Vec::new(),
        }
    }

    /// Whether no round was clean, so that only disturbed figures exist.
    pub(crate) fn only_disturbed(&self) -> bool {
        self.clean().next().is_none() && !self.dropped.is_empty()
    }

    pub(crate) fn clean(&self) -> impl Iterator<Item = &Measurement> {
        self.rounds.iter().flatten()
    }

    /// The figure over all clean rounds; over the disturbed ones when there is nothing better.
    pub(crate) fn estimate(&self, metric: Metric) -> Option<Estimate> {
        let figures = |measurements: &mut dyn Iterator<Item = &Measurement>| -> Vec<f64> {
            measurements
                .filter_map(|measured| measured.figure(metric))
                .collect()
        };
        Estimate::of(&figures(&mut self.clean()))
            .or_else(|| Estimate::of(&figures(&mut self.dropped.iter())))
    }

    /// Whether the generator was the limit in any round that counts.
    pub(crate) fn generator_limited(&self) -> bool {
        self.clean().any(|measured| measured.generator_limited)
    }

    /// The figure of each round: the clean one, or else the last that was dropped in it.
    fn any_by_round(&self, metric: Metric) -> Vec<Option<f64>> {
        let rounds = self.rounds.iter().zip(&self.fallbacks);
        rounds
            .map(|(clean, fallback)| clean.as_ref().or(fallback.as_ref())?.figure(metric))
            .collect()
    }

    fn by_round(&self, metric: Metric) -> Vec<Option<f64>> {
        self.rounds
            .iter()
            .map(|round| round.as_ref().and_then(|measured| measured.figure(metric)))
            .collect()
    }
}

impl RowReport {
    /// The server that others are compared with: the row's own base, or else the first.
    pub(crate) fn base(&self) -> Option<&ServerReport> {
        self.servers
            .iter()
            .find(|server| server.contender == self.row.base)
            .or_else(|| self.servers.first())
    }

    /// The ratio of a server's first figure to the base's, round by round.
    pub(crate) fn ratio(&self, server: &ServerReport) -> Option<Estimate> {
        self.ratio_of(*self.row.metrics().first()?, server)
    }

    /// The same of any figure. Where not one round was clean on both sides, disturbed ones will do: the pairs were close in time.
    pub(crate) fn ratio_of(&self, metric: Metric, server: &ServerReport) -> Option<Estimate> {
        let base = self.base()?;
        if base.contender == server.contender {
            return None;
        }
        let clean = stats::paired_ratios(&server.by_round(metric), &base.by_round(metric));
        Estimate::of(&clean).or_else(|| {
            let (ours, theirs) = (server.any_by_round(metric), base.any_by_round(metric));
            Estimate::of(&stats::paired_ratios(&ours, &theirs))
        })
    }

    /// Whether the ratio is one of disturbed rounds.
    pub(crate) fn ratio_is_disturbed(&self, server: &ServerReport) -> bool {
        let clean = |server: &ServerReport| -> Vec<bool> {
            server.rounds.iter().map(Option::is_some).collect()
        };
        let base = self.base().map(clean).unwrap_or_default();
        !clean(server)
            .into_iter()
            .zip(base)
            .any(|(ours, theirs)| ours && theirs)
    }

    pub(crate) fn to_json(&self) -> Value {
        let servers: Vec<Value> = self
            .servers
            .iter()
            .map(|server| self.server_json(server))
            .collect();
        json!({
            "row": self.row.name,
            "what": self.row.what,
            "compared_with": self.base().map(|base| base.contender),
            "servers": servers,
        })
    }

    fn server_json(&self, server: &ServerReport) -> Value {
        let estimates: Map<String, Value> = self
            .row
            .metrics()
            .iter()
            .filter_map(|metric| Some((metric_name(*metric), json!(server.estimate(*metric)?))))
            .collect();
        let rounds: Vec<Value> = server
            .rounds
            .iter()
            .map(|round| round.as_ref().map_or(Value::Null, figures_json))
            .collect();
        let dropped: Vec<Value> = server
            .dropped
            .iter()
            .map(|measured| json!({ "because": measured.disturbance().map(|why| why.to_string()), "figures": figures_json(measured) }))
            .collect();
        json!({
            "server": server.contender,
            "ratio": self.ratio(server),
            "estimates": estimates,
            "generator_limited": server.generator_limited(),
            "only_disturbed": server.only_disturbed(),
            "rounds": rounds,
            "dropped": dropped,
        })
    }
}

impl Report {
    /// The whole run with every round: times in seconds, shares as fractions of one.
    pub(crate) fn to_json(&self) -> Value {
        let programs: Map<String, Value> = self
            .programs
            .iter()
            .map(|(contender, version)| {
                let found = match version {
                    Ok(version) => json!({ "version": version }),
                    Err(missing) => json!({ "missing": missing }),
                };
                (contender.name().to_owned(), found)
            })
            .collect();
        let rows: Vec<Value> = self.rows.iter().map(RowReport::to_json).collect();
        json!({ "machine": self.machine, "smoke": self.smoke, "programs": programs, "rows": rows })
    }
}

fn figures_json(measured: &Measurement) -> Value {
    measured
        .figures()
        .iter()
        .map(|(metric, value)| (metric_name(*metric), json!(value)))
        .collect::<Map<_, _>>()
        .into()
}

/// The name under which serde writes it.
pub(crate) fn metric_name(metric: Metric) -> String {
    match json!(metric) {
        Value::String(name) => name,
        other => other.to_string(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::bench::disturbance::Surroundings;

    /// A row with two clean rounds of ours, and one clean and one dropped of coturn.
    pub(crate) fn example() -> RowReport {
        let measured = |cpu| {
            Measurement::new(Surroundings::default())
                .with(Metric::CpuPerPacket, cpu)
                .with(Metric::Loss, 0.0)
        };
        let noisy = Measurement::new(Surroundings {
            others: 0.4,
            ..Surroundings::default()
        })
        .with(Metric::CpuPerPacket, 99e-6);
        RowReport {
            row: Row::from_name("voice-1").unwrap(),
            servers: vec![
                ServerReport {
                    contender: Contender::Ours,
                    rounds: vec![Some(measured(12e-6)), Some(measured(14e-6))],
                    fallbacks: vec![None, None],
                    dropped: Vec::new(),
                },
                ServerReport {
                    contender: Contender::Coturn,
                    rounds: vec![Some(measured(16e-6)), None],
                    fallbacks: vec![None, Some(noisy.clone())],
                    dropped: vec![noisy],
                },
            ],
        }
    }

    #[test]
    fn ratios_use_only_rounds_clean_on_both_sides() {
        let row = example();
        assert_eq!(row.ratio(&row.servers[0]).unwrap().median, 0.75);
        assert_eq!(row.ratio(&row.servers[1]), None, "coturn is the base");
    }

    #[test]
    fn where_no_round_was_clean_on_both_sides_disturbed_ones_are_compared_and_it_is_said() {
        let mut row = example();
        assert!(!row.ratio_is_disturbed(&row.servers[0]));
        row.servers[1].rounds[0] = None;
        let ratio = row.ratio(&row.servers[0]).unwrap();
        assert_eq!(ratio.median, 14.0 / 99.0);
        assert!(row.ratio_is_disturbed(&row.servers[0]));
    }

    #[test]
    fn dropped_measurements_do_not_enter_the_estimate() {
        let row = example();
        assert_eq!(
            row.servers[1]
                .estimate(Metric::CpuPerPacket)
                .unwrap()
                .median,
            16e-6
        );
    }

    #[test]
    fn with_nothing_clean_the_disturbed_figures_show_and_are_marked() {
        let mut row = example();
        row.servers[1].rounds = vec![None, None];
        assert!(row.servers[1].only_disturbed());
        assert_eq!(
            row.servers[1]
                .estimate(Metric::CpuPerPacket)
                .unwrap()
                .median,
            99e-6
        );
    }

    #[test]
    fn json_has_every_round_and_the_reason_of_each_drop() {
        let json = example().to_json();
        assert_eq!(json["servers"][0]["rounds"][1]["cpu_per_packet"], 14e-6);
        assert_eq!(json["servers"][1]["rounds"][1], Value::Null);
        assert!(
            json["servers"][1]["dropped"][0]["because"]
                .as_str()
                .unwrap()
                .contains("40.0 %")
        );
    }
}
