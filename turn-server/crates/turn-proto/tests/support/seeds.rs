//! Seeds of random tests: other ones in every run, and the one that fails is named.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    panic::{RefUnwindSafe, catch_unwind},
};

/// A seed that no run before had: the hasher's keys are the randomness at hand.
pub fn seed_of_today() -> u64 {
    RandomState::new().build_hasher().finish() >> 1
}

/// Runs a test with the seed that `SEED` says, or with as many as `SEEDS` says, and returns what each has counted.
pub fn each_seed<T>(usual: u64, run: impl Fn(u64) -> T + RefUnwindSafe) -> Vec<T> {
    let number = |text: String| text.parse::<u64>().expect("SEED and SEEDS are numbers");
    let (first, count) = match std::env::var("SEED") {
        Ok(seed) => (number(seed), 1),
        Err(_) => (
            seed_of_today(),
            std::env::var("SEEDS").map_or(usual, number),
        ),
    };
    let checked = |seed| {
        catch_unwind(|| run(seed)).unwrap_or_else(|_| panic!("failed; repeat with SEED={seed}"))
    };
    (first..).take(count as usize).map(checked).collect()
}
