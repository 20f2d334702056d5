//! Counters by their names for the outside: coturn's, so that dashboards keep working, and our own beside them.
//!
//! All of it is live, and labels have fixed values, so that the page stays as long as it is.

mod coturn;
mod ours;
mod text;
mod users;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use turn_io::Stats;
use turn_proto::Shared;

use self::text::Text;
pub(crate) use self::{coturn::dropped, users::UserTraffic};

/// Renders what the workers have counted in Prometheus' text format.
pub(crate) struct MetricsPage {
    realm: String,
    /// Traffic by user, where it is counted so.
    users: Option<Arc<UserTraffic>>,
    started: u64,
}

impl MetricsPage {
    /// Makes the page of a server that starts now.
    pub(crate) fn new(realm: &str) -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            realm: realm.to_owned(),
            users: None,
            started: started.map_or(0, |since| since.as_secs()),
        }
    }

    /// Shows traffic by user too.
    pub(crate) fn by_user(self, users: Option<Arc<UserTraffic>>) -> Self {
        Self { users, ..self }
    }

    /// Renders the page for these counters.
    pub(crate) fn render(&self, stats: &Stats, shared: &Shared) -> String {
        let mut text = Text::new();
        coturn::write(&mut text, stats, &self.realm, self.users.as_deref());
        ours::write(&mut text, stats, shared, self.started);
        text.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

    use turn_io::Stats;
    use turn_proto::{Capped, Good, Histogram, Holder, Shared};

    use super::MetricsPage;

    fn shared() -> Arc<Shared> {
        Shared::new(&["127.0.0.1".parse().unwrap()], 50_000..=50_009, 0, 0)
    }

    fn render(stats: &Stats) -> String {
        MetricsPage::new("example.org").render(stats, &shared())
    }

    /// The first word of each line that begins so, without labels.
    fn names(page: &str, prefix: &str) -> BTreeSet<String> {
        let lines = page.lines().filter_map(|line| line.strip_prefix(prefix));
        lines
            .filter(|line| !line.is_empty())
            .filter_map(|line| line.split([' ', '{']).next().map(str::to_owned))
            .collect()
    }

    #[test]
    fn every_metric_is_described_once_and_has_values() {
        let page = render(&Stats::default());
        let described = names(&page, "# HELP ");
        assert_eq!(described, names(&page, "# TYPE "));
        let heads = page.lines().filter(|line| line.starts_with("# TYPE "));
        assert_eq!(heads.count(), described.len());
        let base = |name: &String| {
            let ends = ["_bucket", "_sum", "_count"];
            let cut = ends.iter().find_map(|end| name.strip_suffix(end));
            cut.filter(|cut| described.contains(*cut))
                .unwrap_or(name)
                .to_owned()
        };
        let values: String = page
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| format!("{line}\n"))
            .collect();
        let values: BTreeSet<String> = names(&values, "").iter().map(base).collect();
        assert_eq!(described, values);
    }

    #[test]
    fn every_number_that_workers_count_moves_the_page() {
        let still = render(&Stats::default());
        let mut all = Stats::default();
        let (relay, io) = (all.relay.numbers().len(), all.io.numbers().len());
        for place in 0..relay + io {
            let mut stats = Stats::default();
            // What is a part of another number is seen where that is larger.
            stats.relay.unauthorized = 50;
            let base = render(&stats);
            let numbers = stats.relay.numbers().into_iter();
            let mut numbers = numbers.collect::<Vec<_>>();
            numbers.extend(stats.io.numbers());
            let (name, number) = &mut numbers[place];
            let name = *name;
            **number += 7;
            assert_ne!(render(&stats), base, "{name} is not on the page");
        }
        for holder in Holder::ALL {
            for good in Good::ALL {
                let mut stats = Stats::default();
                stats.relay.limits.count(Capped { holder, good });
                assert_ne!(render(&stats), still, "{holder:?} {good:?}");
            }
        }
    }

    #[test]
    fn every_row_that_workers_count_moves_the_page() {
        let still = render(&Stats::default());
        let histograms: [fn(&mut Stats) -> &mut Histogram; 5] = [
            |stats| &mut stats.relay.session_times,
            |stats| &mut stats.relay.session_bytes,
            |stats| &mut stats.io.turn_times,
            |stats| &mut stats.io.outbox_depths,
            |stats| &mut stats.io.mailbox_depths,
        ];
        for histogram in histograms {
            let mut stats = Stats::default();
            histogram(&mut stats).record(&turn_io::DEPTHS, 3);
            assert_ne!(render(&stats), still);
        }
        let mut pages = BTreeSet::from([still]);
        for place in 0..turn_proto::ERROR_CODES.len() {
            let mut stats = Stats::default();
            stats.relay.errors_by_code.count(place);
            assert!(pages.insert(render(&stats)), "error {place}");
        }
        for place in 0..turn_proto::METHODS.len() {
            let mut stats = Stats::default();
            stats.relay.requests.count(place);
            assert!(pages.insert(render(&stats)), "method {place}");
        }
        for reason in turn_proto::EndReason::ALL {
            let mut stats = Stats::default();
            stats.relay.ended.count(reason as usize);
            assert!(pages.insert(render(&stats)), "{reason:?}");
        }
    }

    #[test]
    fn values_stand_under_their_names() {
        let mut stats = Stats::default();
        stats.relay.traffic.client_received_bytes = 1234;
        stats.relay.allocations_tcp = 7;
        stats.relay.errors_by_code.count(2);
        let page = render(&stats);
        for line in [
            "turn_total_traffic_rcvb 1234",
            "turn_traffic_rcvb{realm=\"example.org\"} 1234",
            "turnpike_received_bytes_total{side=\"client\"} 1234",
            "turn_total_allocations{type=\"TCP\"} 7",
            "turnpike_errors_total{code=\"401\"} 1",
            "turnpike_relay_ports 10",
            "turnpike_session_duration_seconds_count 0",
        ] {
            assert!(page.lines().any(|held| held == line), "{line}\n{page}");
        }
    }

    /// The dashboard and the alerts that an operator copies ask for nothing that is not there.
    #[test]
    fn monitoring_asks_for_metrics_that_exist() {
        let page = render(&Stats::default());
        let mut known = names(&page, "");
        known.remove("#");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/monitoring");
        let mut asked = BTreeSet::new();
        for file in fs::read_dir(folder).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let ours = words.filter(|word| {
                ["turn_", "stun_", "turnpike_"]
                    .iter()
                    .any(|prefix| word.starts_with(prefix))
            });
            asked.extend(ours.map(str::to_owned));
        }
        assert!(asked.len() > 15, "{asked:?}");
        let unknown: Vec<_> = asked.difference(&known).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
