//! Prometheus' text format, version 0.0.4. The workers have counted and added already, histograms too, so that nothing is
//! left for a registry to do.

use std::fmt::Write as _;

use turn_proto::{Bounds, Histogram};

/// A label and its value.
type Label<'a> = (&'static str, &'a str);

/// A page being written. Every metric is written once, with all of its series, so that those stand on the page from the
/// start and not after their first use.
#[derive(Default)]
pub(super) struct Text(String);

impl Text {
    /// Writes a counter.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help, [([], value)]);
    }

    /// Writes a gauge.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "gauge", help, [([], value)]);
    }

    /// Writes a counter or gauge that has a series for each value of a label.
    pub(super) fn by<'a>(
        &mut self,
        (name, kind): (&str, &str),
        help: &str,
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
        name: &str,
        kind: &str,
        help: &str,
        series: impl IntoIterator<Item = ([Label<'a>; N], u64)>,
    ) {
        self.head(name, kind, help);
        for (labels, value) in series {
            self.line(name, "", &labels, &value.to_string());
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
        self.head(name, "histogram", help);
        let ends = bounds.iter().map(|bound| unit.write(*bound));
        let ends = ends.chain(["+Inf".to_owned()]);
        let mut count = 0;
        for (end, more) in ends.zip(histogram.buckets()) {
            count += more;
            self.line(name, "_bucket", &[("le", end.as_str())], &count.to_string());
        }
        self.line(name, "_sum", &[], &unit.write(histogram.sum()));
        self.line(name, "_count", &[], &count.to_string());
    }

    /// The page.
    pub(super) fn finish(self) -> String {
        self.0
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, suffix: &str, labels: &[Label<'_>], value: &str) {
        let _ = write!(self.0, "{name}{suffix}");
        for (place, (label, text)) in labels.iter().enumerate() {
            let open = if place == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{open}{label}=\"{}\"", escaped(text));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
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

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use turn_proto::{Bounds, Histogram};

    use super::{Text, Unit};

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
        let mut text = Text::default();
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
        let mut text = Text::default();
        let series = [([("realm", "a\"b\\c\nd"), ("x", "y")], 7)];
        text.family("m", "counter", "M.", series);
        assert!(
            text.finish()
                .ends_with("m{realm=\"a\\\"b\\\\c\\nd\",x=\"y\"} 7\n")
        );
    }
}
