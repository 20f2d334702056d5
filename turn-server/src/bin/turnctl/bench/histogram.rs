//! Latencies counted in buckets of about 1.6 % width: constant time to record, no allocation while packets flow.

/// Sub-buckets per power of two.
const SUB_BITS: u32 = 6;
const SUB: usize = 1 << SUB_BITS;
const BUCKETS: usize = (64 - SUB_BITS as usize + 1) * SUB;

/// A log-linear histogram over all of `u64`; the unit is the caller's (nanoseconds here).
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
        }
    }

    pub(crate) fn record(&mut self, value: u64) {
        if let Some(count) = self.counts.get_mut(bucket(value)) {
            *count += 1;
            self.total += 1;
        }
    }

    /// The value that the fraction `q` of all values does not exceed, to the width of a bucket; `None` when empty.
    pub(crate) fn quantile(&self, q: f64) -> Option<u64> {
        if self.total == 0 {
            return None;
        }
        let rank = ((self.total as f64 * q.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Some(lowest(index));
            }
        }
        None
    }
}

fn bucket(value: u64) -> usize {
    if value < SUB as u64 {
        return value as usize;
    }
    let exponent = value.ilog2();
    let shift = exponent - SUB_BITS;
    let sub = (value >> shift) as usize - SUB;
    (shift as usize + 1) * SUB + sub
}

/// The smallest value that falls into the bucket.
fn lowest(index: usize) -> u64 {
    if index < SUB {
        return index as u64;
    }
    let shift = index / SUB - 1;
    ((SUB + index % SUB) as u64) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_starts_in_itself() {
        for index in 0..BUCKETS {
            assert_eq!(bucket(lowest(index)), index);
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn buckets_are_narrow() {
        for value in [100_u64, 12_345, 999_999, 7_000_000_000] {
            let start = lowest(bucket(value));
            assert!(start <= value);
            assert!(
                (value - start) as f64 / (value as f64) < 0.016,
                "{value} reported as {start}"
            );
        }
    }

    #[test]
    fn quantiles_count_from_below() {
        let mut histogram = Histogram::new();
        for value in 1..=50 {
            histogram.record(value);
        }
        assert_eq!(histogram.quantile(0.5), Some(25));
        assert_eq!(histogram.quantile(1.0), Some(50));
        assert_eq!(histogram.quantile(0.0), Some(1));
    }

    #[test]
    fn an_empty_histogram_has_no_quantile() {
        assert_eq!(Histogram::new().quantile(0.5), None);
    }
}
