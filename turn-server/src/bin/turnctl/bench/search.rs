//! The highest rate that still passes: up by steps, then halving between the last pass and the first failure.

/// Step upwards while everything passes and nothing is known.
const WIDE_STEP: f64 = 1.3;
/// Step around a rate that an earlier search found.
const NARROW_STEP: f64 = 1.06;
/// Close enough: rounds differ by more.
const PRECISION: f64 = 1.03;

/// Where a search begins and how it proceeds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    start: u64,
    step: f64,
    trials: usize,
}

impl Range {
    /// From a rate that is only a guess.
    pub(crate) fn from(start: u64, trials: usize) -> Self {
        Self {
            start,
            step: WIDE_STEP,
            trials,
        }
    }

    /// Around a rate that was found before.
    pub(crate) fn around(known: u64, trials: usize) -> Self {
        Self {
            start: known,
            step: NARROW_STEP,
            trials,
        }
    }
}

/// How one trial at a rate went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    Passed,
    Failed,
    /// The generator could not send that fast: nothing higher can be tried.
    BeyondGenerator,
}

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Found {
    /// Packets per second; zero when nothing passed.
    pub(crate) rate: u64,
    pub(crate) generator_limited: bool,
}

/// Searches upwards or downwards. A failure is believed when it happens twice.
///
/// # Errors
/// Those of `trial`.
pub(crate) fn highest_rate<E>(
    range: Range,
    mut trial: impl FnMut(u64) -> Result<Trial, E>,
) -> Result<Found, E> {
    // The lowest rate that failed, and whether it was the generator that failed.
    let (mut passed, mut failed) = (0_u64, None::<(u64, bool)>);
    let mut rate = range.start.max(1);
    for _ in 0..range.trials {
        let mut outcome = trial(rate)?;
        if outcome == Trial::Failed {
            outcome = trial(rate)?;
        }
        match outcome {
            Trial::Passed => passed = passed.max(rate),
            Trial::Failed => failed = Some((rate, false)),
            Trial::BeyondGenerator => failed = Some((rate, true)),
        }
        rate = match failed {
            Some((failed, _)) if passed > 0 && (failed as f64) <= passed as f64 * PRECISION => {
                break;
            }
            Some((failed, _)) if passed > 0 => u64::midpoint(passed, failed),
            Some((failed, _)) => (failed as f64 / range.step / range.step) as u64,
            None => (passed as f64 * range.step) as u64,
        }
        .max(1);
    }
    Ok(Found {
        rate: passed,
        generator_limited: failed.is_some_and(|(_, by_generator)| by_generator),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn search(start: u64, trial: impl FnMut(u64) -> Trial) -> Found {
        let mut trial = trial;
        let Ok(found) = highest_rate(Range::from(start, 16), |rate| {
            Ok::<_, Infallible>(trial(rate))
        });
        found
    }

    fn below(limit: u64) -> impl Fn(u64) -> Trial {
        move |rate| {
            if rate <= limit {
                Trial::Passed
            } else {
                Trial::Failed
            }
        }
    }

    #[test]
    fn finds_a_limit_above_the_start() {
        let found = search(100_000, below(273_000));
        assert!((265_000..=273_000).contains(&found.rate), "{found:?}");
        assert!(!found.generator_limited);
    }

    #[test]
    fn finds_a_limit_below_the_start() {
        let found = search(100_000, below(20_000));
        assert!((19_400..=20_000).contains(&found.rate), "{found:?}");
    }

    #[test]
    fn the_generators_limit_is_told_from_the_servers() {
        let found = search(100_000, |rate| {
            if rate < 280_000 {
                Trial::Passed
            } else {
                Trial::BeyondGenerator
            }
        });
        assert!((271_000..280_000).contains(&found.rate), "{found:?}");
        assert!(found.generator_limited);
    }

    #[test]
    fn a_server_that_fails_under_the_generators_limit_is_the_limit() {
        let found = search(250_000, |rate| match rate {
            0..200_000 => Trial::Passed,
            200_000..270_000 => Trial::Failed,
            _ => Trial::BeyondGenerator,
        });
        assert!(!found.generator_limited, "{found:?}");
    }

    #[test]
    fn one_unlucky_trial_is_repeated() {
        let mut first = true;
        let found = search(100_000, |rate| {
            if rate == 100_000 && std::mem::take(&mut first) {
                Trial::Failed
            } else {
                below(200_000)(rate)
            }
        });
        assert!(found.rate > 190_000, "{found:?}");
    }

    #[test]
    fn a_known_rate_takes_few_trials() {
        let mut trials = 0;
        let Ok(found) = highest_rate(Range::around(203_000, 16), |rate| {
            trials += 1;
            Ok::<_, Infallible>(below(206_000)(rate))
        });
        assert!((200_000..=206_000).contains(&found.rate), "{found:?}");
        assert!(trials <= 5, "{trials}");
    }

    #[test]
    fn a_known_rate_that_is_no_longer_reached_is_left() {
        let Ok(found) = highest_rate(Range::around(300_000, 16), |rate| {
            Ok::<_, Infallible>(below(200_000)(rate))
        });
        assert!((190_000..=200_000).contains(&found.rate), "{found:?}");
    }

    #[test]
    fn a_server_that_passes_nothing_ends_the_search() {
        assert_eq!(
            search(100_000, |_| Trial::Failed),
            Found {
                rate: 0,
                generator_limited: false
            }
        );
    }
}
