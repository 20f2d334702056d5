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
        // A clock set before 1970 reads as 1970: credentials then expire later than they should, and nothing breaks.
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        Now {
            mono: self.origin.elapsed(),
            unix,
        }
    }
}
