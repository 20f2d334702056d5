//! Counts in rows: by a place, or by how large a value is. Plain numbers, so that workers' counts can be added.

use std::{ops::AddAssign, time::Duration};

/// Counts by place; what the places mean is known by whoever counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally<const N: usize>([u64; N]);

impl<const N: usize> Default for Tally<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Tally<N> {
    /// Counts one more at a place.
    pub fn count(&mut self, place: usize) {
        if let Some(count) = self.0.get_mut(place) {
            *count += 1;
        }
    }

    /// The counts in their order.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        self.0.iter().copied()
    }
}

impl<const N: usize> AddAssign for Tally<N> {
    fn add_assign(&mut self, other: Self) {
        for (ours, theirs) in self.0.iter_mut().zip(other.0) {
            *ours += theirs;
        }
    }
}

/// The upper ends of a histogram's buckets, each included; one more bucket is for what is larger.
pub type Bounds = [u64; 12];

/// How many values were how large.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    buckets: Tally<13>,
    sum: u64,
}

impl Histogram {
    /// Counts a value.
    pub fn record(&mut self, bounds: &Bounds, value: u64) {
        self.buckets
            .count(bounds.partition_point(|bound| *bound < value));
        self.sum = self.sum.saturating_add(value);
    }

    /// Counts a time, in microseconds.
    pub fn record_time(&mut self, bounds: &Bounds, time: Duration) {
        self.record(bounds, u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// The counts of the buckets, from the smallest values to the largest.
    pub fn buckets(&self) -> impl Iterator<Item = u64> {
        self.buckets.iter()
    }

    /// The sum of all values.
    pub fn sum(&self) -> u64 {
        self.sum
    }
}

impl AddAssign for Histogram {
    fn add_assign(&mut self, other: Self) {
        self.buckets += other.buckets;
        self.sum = self.sum.saturating_add(other.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounds, Histogram};

    const BOUNDS: Bounds = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048];

    #[test]
    fn a_bound_belongs_to_its_bucket_and_nothing_is_lost() {
        let mut histogram = Histogram::default();
        for value in [0, 1, 2, 3, 2048, 2049, u64::MAX] {
            histogram.record(&BOUNDS, value);
        }
        let counts: Vec<u64> = histogram.buckets().collect();
        assert_eq!(counts, [2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(histogram.sum(), u64::MAX, "the sum stays at its end");
        histogram += histogram;
        assert_eq!(histogram.buckets().sum::<u64>(), 14);
    }
}
