//! Prometheus' text format, version 0.0.4, by the registry of `metrics`. Histograms stand behind what it writes: the workers have
//! counted them already, and a registry takes single values only.

use std::fmt::Write as _;

use metrics::{Key, Label, Level, Metadata, Recorder as _, SharedString};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use turn_proto::{Bounds, Histogram};

/// What is known of all metrics; nothing here asks for it.
const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

/// Whether a number only grows.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

/// A page being written. Every metric is written once, with all of its series, so that those stand on the page from the
/// start and not after their first use.
pub(super) struct Text {
    registry: PrometheusRecorder,
    histograms: String,
}

impl Text {
    pub(super) fn new() -> Self {
        Self {
            registry: PrometheusBuilder::new().build_recorder(),
            histograms: String::new(),
        }
    }

    /// Writes a counter.
    pub(super) fn counter(
        &mut self,
        name: impl Into<SharedString>,
        help: impl Into<SharedString>,
        value: u64,
    ) {
        self.family(name, Kind::Counter, help, [([], value)]);
    }

    /// Writes a gauge.
    pub(super) fn gauge(
        &mut self,
        name: impl Into<SharedString>,
        help: impl Into<SharedString>,
        value: u64,
    ) {
        self.family(name, Kind::Gauge, help, [([], value)]);
    }

    /// Writes a counter or gauge that has a series for each value of a label.
    pub(super) fn by<'a>(
        &mut self,
        (name, kind): (impl Into<SharedString>, Kind),
        help: impl Into<SharedString>,
        label: &'static str,
        series: impl IntoIterator<Item = (&'a str, u64)>,
    ) {
        let series = series.into_iter();
        self.family(
            name,
            kind,
            help,
            series.map(|(value, count)| ([(label, value)], count)),
        );
    }

    /// Writes a metric with as many labels as it has.
    pub(super) fn family<'a, const N: usize>(
        &mut self,
        name: impl Into<SharedString>,
        kind: Kind,
        help: impl Into<SharedString>,
        series: impl IntoIterator<Item = ([(&'static str, &'a str); N], u64)>,
    ) {
        let (name, help) = (name.into(), help.into());
        match kind {
            Kind::Counter => (self.registry).describe_counter(name.clone().into(), None, help),
            Kind::Gauge => (self.registry).describe_gauge(name.clone().into(), None, help),
        }
        for (labels, value) in series {
            let labels = labels.map(|(label, text)| Label::new(label, text.to_owned()));
            let key = Key::from_parts(name.clone(), labels.to_vec());
            match kind {
                Kind::Counter => (self.registry)
                    .register_counter(&key, &METADATA)
                    .absolute(value),
                // Exact up to 2^53, beyond which no gauge of ours comes.
                Kind::Gauge => (self.registry)
                    .register_gauge(&key, &METADATA)
                    .set(value as f64),
            }
        }
    }

    /// Writes a histogram of values that are counted in `unit`s of what the name says.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        (histogram, bounds): (&Histogram, &Bounds),
        unit: Unit,
    ) {
        // Writing to a string cannot fail.
        let out = &mut self.histograms;
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} histogram");
        let ends = bounds.iter().map(|bound| unit.write(*bound));
        let ends = ends.chain(["+Inf".to_owned()]);
        let mut count = 0;
        for (end, more) in ends.zip(histogram.buckets()) {
            count += more;
            let _ = writeln!(out, "{name}_bucket{{le=\"{end}\"}} {count}");
        }
        let _ = writeln!(out, "{name}_sum {}", unit.write(histogram.sum()));
        let _ = writeln!(out, "{name}_count {count}");
    }

    /// The page.
    pub(super) fn finish(self) -> String {
        self.registry.handle().render() + &self.histograms
    }
}

/// What the numbers of a histogram count.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    /// The unit itself.
    One,
    /// Millionths of it.
    Micro,
}

impl Unit {
    fn write(self, number: u64) -> String {
        const MILLION: u64 = 1_000_000;
        match self {
            Self::One => number.to_string(),
            Self::Micro if number.is_multiple_of(MILLION) => (number / MILLION).to_string(),
            Self::Micro => {
                let text = format!("{}.{:06}", number / MILLION, number % MILLION);
                text.trim_end_matches('0').to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use turn_proto::{Bounds, Histogram};

    use super::{Kind, Text, Unit};

    #[test]
    fn a_histogram_adds_up_and_is_in_base_units() {
        const BOUNDS: Bounds = [
            50, 100, 1_000, 10_000, 100_000, 1_000_000, 1_500_000, 2_000_000, 3_000_000, 4_000_000,
            5_000_000, 6_000_000,
        ];
        let mut histogram = Histogram::default();
        for micros in [50, 51, 1_500_000, 9_000_000] {
            histogram.record(&BOUNDS, micros);
        }
        let mut text = Text::new();
        text.histogram("a_seconds", "A.", (&histogram, &BOUNDS), Unit::Micro);
        let page = text.finish();
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(
            lines[..2],
            ["# HELP a_seconds A.", "# TYPE a_seconds histogram"]
        );
        assert_eq!(lines[2], "a_seconds_bucket{le=\"0.00005\"} 1");
        assert_eq!(lines[3], "a_seconds_bucket{le=\"0.0001\"} 2");
        assert_eq!(lines[8], "a_seconds_bucket{le=\"1.5\"} 3");
        assert_eq!(
            lines[14..],
            [
                "a_seconds_bucket{le=\"+Inf\"} 4",
                "a_seconds_sum 10.500101",
                "a_seconds_count 4"
            ]
        );
    }

    #[test]
    fn a_label_cannot_leave_its_quotes() {
        let mut text = Text::new();
        let series = [([("realm", "a\"b\\c\nd"), ("x", "y")], 7)];
        text.family("m", Kind::Counter, "M.", series);
        let page = text.finish();
        assert!(
            page.contains("\nm{realm=\"a\\\"b\\\\c\\nd\",x=\"y\"} 7\n"),
            "{page}"
        );
    }
}
