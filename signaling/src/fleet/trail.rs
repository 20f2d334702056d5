//! How much of the log is worth keeping: what a node that was cut off for a moment still has to read.
//!
//! In: where the log may be cut off at its beginning; pure. Not in: cutting (`link.rs`).
//!
//! An entry has 50 bytes or 300,000, by what clients say: a log of so many entries could be larger than Redis's memory. So it is cut
//! by time and by bytes.

use std::collections::VecDeque;
use std::time::Duration;

use super::LogId;

/// Longer than any node reads on where it was, instead of coming in anew.
const KEPT: Duration = Duration::from_secs(30);

/// Bytes that a node may be behind.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// The entries that were read lately.
#[derive(Default)]
pub(crate) struct Trail {
    entries: VecDeque<(LogId, usize)>,
    bytes: usize,
}

impl Trail {
    /// Notes an entry that was read.
    pub(crate) fn note(&mut self, at: LogId, bytes: usize) {
        self.entries.push_back((at, bytes));
        self.bytes += bytes;
        while let Some((first, bytes)) = self.entries.front()
            && (self.bytes > MOST_BYTES || first.time() + KEPT < at.time())
        {
            self.bytes -= bytes;
            self.entries.pop_front();
        }
    }

    /// From where on the log is kept; everything, before anything was read.
    pub(crate) fn begins_at(&self) -> LogId {
        self.entries.front().map(|(at, _)| *at).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> LogId {
        LogId { millis, number: 0 }
    }

    #[test]
    fn the_log_is_kept_for_a_time() {
        let mut trail = Trail::default();
        assert_eq!(trail.begins_at(), LogId::default());
        for second in 0..100 {
            trail.note(at(second * 1_000), 50);
        }
        assert_eq!(trail.begins_at(), at(69_000));
        assert_eq!(trail.bytes, 31 * 50);
    }

    #[test]
    fn the_log_is_not_larger_than_it_may_be_however_much_is_said() {
        let mut trail = Trail::default();
        for entry in 0..10_000 {
            trail.note(at(entry), 300_000);
            assert!(trail.bytes <= MOST_BYTES);
        }
        // Not even the last one, if that alone were too much.
        trail.note(at(10_000), MOST_BYTES + 1);
        assert_eq!((trail.bytes, trail.entries.len()), (0, 0));
    }
}
