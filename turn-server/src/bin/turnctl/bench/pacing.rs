//! When the next packets are due: arithmetic only, the clock is the caller's.

/// Releases packets in bursts at a steady rate.
///
/// A sender that lost its processor for a while must not flood the server afterwards to catch up: what is owed beyond
/// `backlog` is given up and counted, so that the round can be judged by it.
#[derive(Clone, Debug)]
pub(crate) struct Pacer {
    /// Packets per second.
    rate: u64,
    burst: u64,
    backlog: u64,
    released: u64,
    given_up: u64,
}

impl Pacer {
    pub(crate) fn new(rate: u64, burst: u64, backlog: u64) -> Self {
        let burst = burst.max(1);
        Self {
            rate: rate.max(1),
            burst,
            backlog: backlog.max(burst),
            released: 0,
            given_up: 0,
        }
    }

    /// Packets to send now, at `elapsed_ns` after the start; the caller sends all of them.
    pub(crate) fn take(&mut self, elapsed_ns: u64) -> u64 {
        let owed = self
            .scheduled(elapsed_ns)
            .saturating_sub(self.released + self.given_up);
        let kept = owed.min(self.backlog);
        self.given_up += owed - kept;
        self.released += kept;
        kept
    }

    /// Nanoseconds after the start at which the next burst is due.
    pub(crate) fn next_due_ns(&self) -> u64 {
        let bursts = (self.released + self.given_up) / self.burst;
        let due = u128::from(bursts) * u128::from(self.burst) * 1_000_000_000;
        u64::try_from(due.div_ceil(u128::from(self.rate))).unwrap_or(u64::MAX)
    }

    /// Packets that were due and never sent.
    pub(crate) fn given_up(&self) -> u64 {
        self.given_up
    }

    /// Packets due in `0..=elapsed`: whole bursts, the first at once.
    fn scheduled(&self, elapsed_ns: u64) -> u64 {
        let packets = u128::from(elapsed_ns) * u128::from(self.rate) / 1_000_000_000;
        let bursts = packets / u128::from(self.burst) + 1;
        u64::try_from(bursts * u128::from(self.burst)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn first_packet_goes_at_once_and_the_next_after_the_interval() {
        let mut pacer = Pacer::new(1_000, 1, 8);
        assert_eq!(pacer.take(0), 1);
        assert_eq!(pacer.take(999_999), 0);
        assert_eq!(pacer.take(1_000_000), 1);
    }

    #[test]
    fn a_second_of_steady_calls_releases_the_rate() {
        let mut pacer = Pacer::new(20_000, 1, 8);
        let sent: u64 = (0..SECOND / 10_000)
            .map(|step| pacer.take(step * 10_000))
            .sum();
        assert_eq!(sent, 20_000);
        assert_eq!(pacer.given_up(), 0);
    }

    #[test]
    fn bursts_are_whole_and_keep_the_average() {
        let mut pacer = Pacer::new(8_000, 8, 64);
        assert_eq!(pacer.take(0), 8);
        assert_eq!(pacer.take(500_000), 0);
        assert_eq!(pacer.take(1_000_000), 8);
        let rest: u64 = (2..1_000).map(|ms| pacer.take(ms * 1_000_000)).sum();
        assert_eq!(rest, 998 * 8);
    }

    #[test]
    fn a_stall_is_given_up_beyond_the_backlog() {
        let mut pacer = Pacer::new(100_000, 1, 32);
        assert_eq!(pacer.take(0), 1);
        assert_eq!(pacer.take(5_000_000), 32);
        assert_eq!(pacer.given_up(), 500 - 32);
        assert_eq!(pacer.take(5_000_000), 0);
        assert_eq!(pacer.take(5_010_000), 1);
    }

    #[test]
    fn next_due_matches_the_release() {
        let mut pacer = Pacer::new(3, 1, 8);
        pacer.take(0);
        let due = pacer.next_due_ns();
        assert_eq!(pacer.take(due - 1), 0);
        assert_eq!(pacer.take(due), 1);
    }

    #[test]
    fn a_year_at_a_million_packets_does_not_overflow() {
        let mut pacer = Pacer::new(1_000_000, 1, 4);
        assert_eq!(pacer.take(365 * 86_400 * SECOND), 4);
    }
}
