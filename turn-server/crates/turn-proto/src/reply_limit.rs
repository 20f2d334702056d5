//! How often strangers are answered: a token bucket for each source network, in a table of a fixed size.
//!
//! It is the only thing that is kept of the unauthenticated, and all of it is allocated at the start. One table serves all
//! workers, because the kernel spreads one network's packets over all of them; a cell is one atomic word.
//!
//! A network (/24 of IPv4, /56 of IPv6, whatever the port) has a cell in each of two rows, found by a keyed hash that nobody
//! outside can compute. It is answered while either cell has a token, and every answer is charged to both. So a network that
//! shares one cell with a flood is served from its other one; two cells of 16,384 are both shared with the same flood once in
//! 134 million. Only floods from so many networks that most cells of both rows are empty, each by more than the rate, hit others: that is more than
//! the rate times 16,384 answers per second.
//!
//! A cell holds the theoretical arrival time of the generic cell rate algorithm: the time at which the bucket is full again.

use std::{
    fmt,
    hash::Hasher,
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use siphasher::sip::SipHasher13;

use crate::network::network;

/// Cells of one row; two rows of eight bytes each are 256 KiB.
const CELLS: usize = 1 << 14;

/// A burst is what the rate allows in this many seconds: an office behind one address connects at once, some day at nine.
const BURST_SECONDS: u64 = 10;

const SECOND: u64 = 1_000_000_000;

/// Limits the answers to strangers, by source network.
pub struct ReplyLimit {
    rows: [Box<[AtomicU64]>; 2],
    key: [u8; 16],
    per_second: u32,
    /// Nanoseconds of one token.
    interval: u64,
    /// How far ahead of now a cell may be and still have a token.
    tolerance: u64,
}

impl ReplyLimit {
    /// Makes a limit of so many answers per second and network, and bursts of ten times as many; `None` for zero, which is no
    /// limit. The key must be unpredictable.
    pub fn new(per_second: u32, key: [u8; 16]) -> Option<Self> {
        let interval = SECOND.checked_div(per_second.into())?.max(1);
        let row = || (0..CELLS).map(|_| AtomicU64::new(0)).collect();
        let tolerance = (BURST_SECONDS * u64::from(per_second) - 1) * interval;
        Some(Self {
            rows: [row(), row()],
            key,
            per_second,
            interval,
            tolerance,
        })
    }

    /// The rate that it was made with.
    pub fn per_second(&self) -> u32 {
        self.per_second
    }

    /// Takes a token for one answer to a source; `false` when there is none.
    pub fn take(&self, now: Duration, source: IpAddr) -> bool {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let cells = self.cells(network(source));
        let has_token =
            |cell: &&AtomicU64| cell.load(Ordering::Relaxed) <= now.saturating_add(self.tolerance);
        if !cells.iter().flatten().any(has_token) {
            return false;
        }
        // Another worker may take the last token at the same time: then one answer more goes out, once.
        for cell in cells.into_iter().flatten() {
            self.charge(cell, now);
        }
        true
    }

    /// Charges one token. Debt ends at one token, so that a flood does not outlast itself in a cell that others share.
    fn charge(&self, cell: &AtomicU64, now: u64) {
        let most = now
            .saturating_add(self.tolerance)
            .saturating_add(self.interval);
        let charged = |held: u64| {
            Some(
                held.max(now)
                    .saturating_add(self.interval)
                    .min(most.max(held)),
            )
        };
        // The closure always gives a value, so this cannot fail.
        let _ = cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, charged);
    }

    fn cells(&self, network: u64) -> [Option<&AtomicU64>; 2] {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write_u64(network);
        let hash = hasher.finish();
        let [first, second] = &self.rows;
        let place = |shift: u32| usize::try_from(hash >> shift).unwrap_or(0) % CELLS;
        [first.get(place(0)), second.get(place(32))]
    }
}

impl fmt::Debug for ReplyLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplyLimit({}/s)", self.per_second)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{IpAddr, Ipv4Addr},
        time::Duration,
    };

    use super::ReplyLimit;
    use crate::network::network;

    const KEY: [u8; 16] = [3; 16];

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Answers out of `asked` evenly spread questions per second, over `seconds`.
    fn answered(limit: &ReplyLimit, from: IpAddr, asked: u64, start: u64, seconds: u64) -> u64 {
        let at = |question: u64| {
            Duration::from_nanos(start * 1_000_000_000 + question * (1_000_000_000 / asked))
        };
        (0..asked * seconds)
            .filter(|question| limit.take(at(*question), from))
            .count() as u64
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let limit = ReplyLimit::new(200, KEY).unwrap();
        let source = ip("192.0.2.1");
        let burst = (0..10_000)
            .filter(|_| limit.take(Duration::from_secs(50), source))
            .count();
        assert_eq!(burst, 2_000);
        // At ten times the rate for ten seconds, the rate goes through.
        let sustained = answered(&limit, source, 2_000, 50, 10);
        assert!((1_990..=2_001).contains(&sustained), "{sustained}");
        // Below the rate, everything does; and a rest fills the bucket.
        assert_eq!(answered(&limit, source, 190, 70, 10), 1_900);
        assert_eq!(
            (0..10_000)
                .filter(|_| limit.take(Duration::from_secs(200), source))
                .count(),
            2_000
        );
    }

    #[test]
    fn ports_do_not_matter_and_networks_are_apart() {
        for (same, other) in [
            ([ip("192.0.2.1"), ip("192.0.2.255")], ip("192.0.3.1")),
            (
                [ip("2a00:1:2:300::1"), ip("2a00:1:2:3ff::9")],
                ip("2a00:1:2:400::1"),
            ),
        ] {
            assert_eq!(network(same[0]), network(same[1]));
            assert_ne!(network(same[0]), network(other));
            let limit = ReplyLimit::new(1, KEY).unwrap();
            let now = Duration::from_secs(9);
            let taken = (0..20).filter(|at| limit.take(now, same[at % 2])).count();
            assert_eq!(taken, 10);
            assert!(limit.take(now, other));
        }
    }

    #[test]
    fn a_flood_from_everywhere_leaves_others_their_answers() {
        let limit = ReplyLimit::new(200, KEY).unwrap();
        let now = Duration::from_secs(9);
        // A thousand networks are emptied, each by many more questions than it has tokens for.
        for flooded in 0..1_000_u32 {
            let from = Ipv4Addr::from(0x0A00_0000 | flooded << 8).into();
            while limit.take(now, from) {}
        }
        let bystanders =
            (0..10_000_u32).map(|other| IpAddr::from(Ipv4Addr::from(0x0B00_0000 | other << 8)));
        let hurt = bystanders.filter(|from| !limit.take(now, *from)).count();
        // Both cells emptied: (1000/16384)² of them, 37 of 10,000.
        assert!(hurt < 80, "{hurt} of 10,000");
    }

    #[test]
    fn zero_is_no_limit_and_the_highest_rate_does_not_overflow() {
        assert!(ReplyLimit::new(0, KEY).is_none());
        for now in [
            Duration::ZERO,
            Duration::from_secs(u64::MAX / 2),
            Duration::MAX,
        ] {
            let limit = ReplyLimit::new(u32::MAX, KEY).unwrap();
            assert!((0..10_000).all(|_| limit.take(now, ip("::1"))));
        }
    }

    #[test]
    fn the_clock_of_another_worker_may_be_a_little_behind() {
        let limit = ReplyLimit::new(200, KEY).unwrap();
        let source = ip("192.0.2.1");
        for turn in 0..4_000_u64 {
            limit.take(Duration::from_millis(50_000 + turn % 2), source);
        }
        assert!(!limit.take(Duration::from_millis(49_999), source));
        assert!(limit.take(Duration::from_millis(50_020), source));
    }
}
