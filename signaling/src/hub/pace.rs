//! How fast one connection may talk: a token bucket that delays and never drops.
//!
//! A message too many waits in the client's own socket, so that a mesh of browsers gathering candidates at once loses
//! none of them, their order stays, and whoever floods only slows itself down.

use std::time::Duration;

use super::Limits;

/// The pace of one connection, as the time at which its bucket will be full again (GCRA).
#[derive(Debug)]
pub struct Pace {
    full_at: Duration,
    /// What one message costs.
    interval: Duration,
    /// What the bucket holds.
    burst: Duration,
}

impl Pace {
    /// Starts with a full bucket.
    pub fn new(limits: &Limits) -> Pace {
        let interval = Duration::from_secs(1) / limits.rate.max(1);
        Pace {
            full_at: Duration::ZERO,
            interval,
            burst: interval * limits.burst.max(1),
        }
    }

    /// Counts one message at `now` and returns how long to wait before the next may be read.
    pub fn take(&mut self, now: Duration) -> Duration {
        self.full_at = self.full_at.max(now) + self.interval;
        // The next message costs an interval as well: it may come when there is room for that one too.
        (self.full_at + self.interval)
            .saturating_sub(self.burst)
            .saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times at which a client that always has something to say is read.
    fn flood(messages: usize) -> Vec<Duration> {
        let mut pace = Pace::new(&Limits::default());
        let mut now = Duration::from_secs(7);
        (0..messages)
            .map(|_| {
                let read_at = now;
                now += pace.take(now);
                read_at - Duration::from_secs(7)
            })
            .collect()
    }

    #[test]
    fn a_burst_of_a_hundred_passes_at_once_and_the_next_waits() {
        let times = flood(102);
        assert_eq!(times[99], Duration::ZERO);
        assert_eq!(times[100], Duration::from_millis(50));
        assert_eq!(times[101], Duration::from_millis(100));
    }

    #[test]
    fn beyond_the_burst_twenty_pass_per_second() {
        let times = flood(1_100);
        assert_eq!(times[1_099], Duration::from_secs(50));
    }

    #[test]
    fn silence_fills_the_bucket_again() {
        let mut pace = Pace::new(&Limits::default());
        let mut now = Duration::ZERO;
        for _ in 0..200 {
            now += pace.take(now);
        }
        now += Duration::from_secs(5);
        for message in 0..99 {
            assert_eq!(
                pace.take(now),
                Duration::ZERO,
                "message {message} after the pause"
            );
        }
        assert!(pace.take(now) > Duration::ZERO);
    }
}
