//! The one place that reads clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use turn_proto::Now;

/// Both clocks, the monotonic one counted from a common origin so that all workers agree.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// The instant that monotonic time is counted from.
    pub(crate) fn origin(self) -> Instant {
        self.origin
    }

    /// The monotonic one alone.
    pub(crate) fn mono(self) -> Duration {
        self.origin.elapsed()
    }

    pub(crate) fn read(self) -> Now {
        Now {
            mono: self.mono(),
            unix: unix(),
        }
    }

    /// The same after a turn that began at `last`. The Unix clock, which tells whole seconds, is read again only now and then, so that
    /// a turn costs one reading.
    pub(crate) fn read_after(self, last: Now) -> Now {
        let mono = self.mono();
        let unix = if slice(mono) == slice(last.mono) {
            last.unix
        } else {
            unix()
        };
        Now { mono, unix }
    }
}

/// Seconds since 1970. A clock set before reads as 1970: credentials then expire later than they should, and nothing breaks.
fn unix() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// For how long a reading of the Unix clock serves: 2^26 ns, 67 ms.
const SLICE_BITS: u32 = 26;

/// In which part of which second a moment lies.
fn slice(mono: Duration) -> (u64, u32) {
    (mono.as_secs(), mono.subsec_nanos() >> SLICE_BITS)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::slice;

    #[test]
    fn a_reading_of_the_unix_clock_serves_for_a_fraction_of_a_second_and_never_a_second_later() {
        let at = Duration::from_millis;
        assert_eq!(slice(at(5_000)), slice(at(5_067)));
        for later in [5_068, 5_999, 6_000, 6_001, 4_000] {
            assert_ne!(slice(at(5_000)), slice(at(later)), "{later}");
        }
    }
}
