//! Medians and paired ratios: what is claimed from repeated rounds, and how sure one may be.
//!
//! Nothing here assumes a distribution: intervals are order statistics, because the noise of a shared machine is one-sided and heavy.

use serde::Serialize;

/// The coverage below which an interval is not worth its name; with fewer rounds the whole range is given instead.
const WANTED_COVERAGE: f64 = 0.90;

/// A median with the interval that holds the true one with the stated probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Estimate {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Probability that the true median lies in `low..=high`, if rounds are independent.
    pub(crate) coverage: f64,
}

impl Estimate {
    /// Summarises the values of all clean rounds; `None` when there are none.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let sorted = sorted_finite(values);
        let median = median_of_sorted(&sorted)?;
        let (skip, coverage) = interval_rank(sorted.len());
        let low = sorted.get(skip).copied()?;
        let high = sorted.get(sorted.len() - 1 - skip).copied()?;
        Some(Self {
            median,
            low,
            high,
            coverage,
        })
    }
}

/// The median; `None` for no values.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    median_of_sorted(&sorted_finite(values))
}

/// Ratios of two servers in those rounds where both were measured cleanly: what drifts from round to round cancels out.
pub(crate) fn paired_ratios(subject: &[Option<f64>], base: &[Option<f64>]) -> Vec<f64> {
    subject
        .iter()
        .zip(base)
        .filter_map(|(subject, base)| match (subject, base) {
            (Some(subject), Some(base)) if *base > 0.0 => Some(subject / base),
            _ => None,
        })
        .collect()
}

fn sorted_finite(values: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values
        .iter()
        .copied()
        .filter(|value| value.is_finite())
        .collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(middle.checked_sub(1)?)?;
    Some(f64::midpoint(lower, upper))
}

/// How many values to leave off at each end, and the coverage of what remains.
///
/// The true median lies outside `[x(k+1), x(n-k)]` when at most k of n values fall on one side of it: a sign test,
/// twice the lower tail of a fair binomial.
fn interval_rank(count: usize) -> (usize, f64) {
    let mut best = (0, coverage(count, 0));
    for skip in 1..count.div_ceil(2) {
        let candidate = coverage(count, skip);
        if candidate < WANTED_COVERAGE {
            break;
        }
        best = (skip, candidate);
    }
    best
}

fn coverage(count: usize, skip: usize) -> f64 {
    let mut term = 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
    let mut tail = term;
    for below in 1..=skip {
        term *= (count - below + 1) as f64 / below as f64;
        tail += term;
    }
    (1.0 - 2.0 * tail).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_count_is_the_middle() {
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
    }

    #[test]
    fn median_of_even_count_is_between() {
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), Some(3.0));
    }

    #[test]
    fn no_values_have_no_median() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[f64::NAN]), None);
        assert_eq!(Estimate::of(&[]), None);
    }

    #[test]
    fn few_rounds_give_the_whole_range() {
        let estimate = Estimate::of(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!(
            (estimate.low, estimate.median, estimate.high),
            (1.0, 2.0, 3.0)
        );
        assert!((estimate.coverage - 0.75).abs() < 1e-12, "1 - 2 / 2^3");
    }

    #[test]
    fn eight_rounds_leave_off_one_at_each_end() {
        let values: Vec<f64> = (1..=8).map(f64::from).collect();
        let estimate = Estimate::of(&values).unwrap();
        assert_eq!((estimate.low, estimate.high), (2.0, 7.0));
        assert!((estimate.coverage - (1.0 - 2.0 * 9.0 / 256.0)).abs() < 1e-12);
    }

    #[test]
    fn one_wild_round_does_not_widen_a_long_run() {
        let mut values = vec![1.0; 15];
        values.push(50.0);
        let estimate = Estimate::of(&values).unwrap();
        assert_eq!(
            (estimate.low, estimate.median, estimate.high),
            (1.0, 1.0, 1.0)
        );
    }

    #[test]
    fn one_round_claims_nothing() {
        let estimate = Estimate::of(&[2.0]).unwrap();
        assert_eq!(
            (estimate.low, estimate.high, estimate.coverage),
            (2.0, 2.0, 0.0)
        );
    }

    #[test]
    fn ratios_pair_only_rounds_where_both_were_clean() {
        let ours = [Some(2.0), None, Some(3.0), Some(1.0)];
        let theirs = [Some(4.0), Some(4.0), None, Some(2.0)];
        assert_eq!(paired_ratios(&ours, &theirs), vec![0.5, 0.5]);
    }

    #[test]
    fn a_base_of_zero_gives_no_ratio() {
        assert!(paired_ratios(&[Some(1.0)], &[Some(0.0)]).is_empty());
    }
}
