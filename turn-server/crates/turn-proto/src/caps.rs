//! Limits as the operator writes them: how much a session, a user, a network of clients and all together may have. Zero is
//! without limit, and so is the default.

use std::ops::AddAssign;

/// Whose share is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// One allocation.
    Session,
    /// One user, without the timestamp of a time-limited name.
    User,
    /// Clients of one network: /24 of IPv4, /56 of IPv6.
    Network,
    /// All together.
    Total,
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Good {
    /// Allocations at a time.
    Allocations,
    /// Permissions at a time.
    Permissions,
    /// Channels at a time.
    Channels,
    /// Bytes of messages to and from clients per second, each direction by itself.
    BytesPerSecond,
    /// Packets per second, each direction by itself.
    PacketsPerSecond,
    /// Connections at a time, with or without allocation.
    Connections,
}

/// A limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capped {
    /// Whose.
    pub holder: Holder,
    /// Of what.
    pub good: Good,
}

impl Holder {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Session, Self::User, Self::Network, Self::Total];

    /// Its name in options and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::User => "user",
            Self::Network => "network",
            Self::Total => "total",
        }
    }
}

impl Good {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Allocations,
        Self::Permissions,
        Self::Channels,
        Self::BytesPerSecond,
        Self::PacketsPerSecond,
        Self::Connections,
    ];

    /// Its name in options and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allocations => "allocations",
            Self::Permissions => "permissions",
            Self::Channels => "channels",
            Self::BytesPerSecond => "bytes-per-second",
            Self::PacketsPerSecond => "packets-per-second",
            Self::Connections => "connections",
        }
    }

    fn is_rate(self) -> bool {
        matches!(self, Self::BytesPerSecond | Self::PacketsPerSecond)
    }
}

/// The limits of all scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps(Table);

/// How often each limit was reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapCounters(Table);

type Table = [[u64; Good::ALL.len()]; Holder::ALL.len()];

impl Caps {
    /// The limit; zero is none.
    pub fn of(&self, holder: Holder, good: Good) -> u64 {
        read(&self.0, holder, good)
    }

    /// Sets a limit; of two the lower one counts.
    #[must_use]
    pub fn with(mut self, holder: Holder, good: Good, limit: u64) -> Self {
        if let Some(cell) = cell(&mut self.0, holder, good) {
            *cell = match (*cell, limit) {
                (0, limit) => limit,
                (held, 0) => held,
                (held, limit) => held.min(limit),
            };
        }
        self
    }

    /// Whether any rate is limited, so that packets have to be counted.
    pub(crate) fn has_rates(&self) -> bool {
        Holder::ALL.iter().any(|holder| {
            let rates = Good::ALL.iter().filter(|good| good.is_rate());
            rates.into_iter().any(|good| self.of(*holder, *good) > 0)
        })
    }

    /// Whether anything of networks is limited, so that they have to be told apart.
    pub(crate) fn has_networks(&self) -> bool {
        let of = |good: &Good| self.of(Holder::Network, *good) > 0;
        Good::ALL.iter().any(of)
    }
}

impl CapCounters {
    /// How often it was reached.
    pub fn of(&self, holder: Holder, good: Good) -> u64 {
        read(&self.0, holder, good)
    }

    /// Counts a refusal.
    pub fn count(&mut self, capped: Capped) {
        if let Some(cell) = cell(&mut self.0, capped.holder, capped.good) {
            *cell += 1;
        }
    }
}

impl AddAssign for CapCounters {
    fn add_assign(&mut self, other: Self) {
        let theirs = other.0.iter().flatten();
        for (ours, theirs) in self.0.iter_mut().flatten().zip(theirs) {
            *ours += theirs;
        }
    }
}

fn read(table: &Table, holder: Holder, good: Good) -> u64 {
    let row = table.get(holder as usize);
    row.and_then(|row| row.get(good as usize))
        .copied()
        .unwrap_or(0)
}

fn cell(table: &mut Table, holder: Holder, good: Good) -> Option<&mut u64> {
    table.get_mut(holder as usize)?.get_mut(good as usize)
}

#[cfg(test)]
mod tests {
    use super::{CapCounters, Capped, Caps, Good, Holder};

    #[test]
    fn the_lower_of_two_limits_counts_and_zero_is_none() {
        let caps = Caps::default()
            .with(Holder::User, Good::Channels, 7)
            .with(Holder::User, Good::Channels, 0)
            .with(Holder::User, Good::Channels, 9);
        assert_eq!(caps.of(Holder::User, Good::Channels), 7);
        assert_eq!(caps.of(Holder::Total, Good::Channels), 0);
        assert!(!caps.has_rates() && !caps.has_networks());
        assert!(
            caps.with(Holder::Total, Good::PacketsPerSecond, 1)
                .has_rates()
        );
        assert!(
            caps.with(Holder::Network, Good::Connections, 1)
                .has_networks()
        );
    }

    #[test]
    fn every_refusal_has_its_own_counter() {
        let mut counters = CapCounters::default();
        for (number, holder) in Holder::ALL.into_iter().enumerate() {
            for good in Good::ALL {
                for _ in 0..=number {
                    counters.count(Capped { holder, good });
                }
            }
        }
        counters += counters;
        for (number, holder) in Holder::ALL.into_iter().enumerate() {
            for good in Good::ALL {
                assert_eq!(counters.of(holder, good), 2 * (number as u64 + 1));
            }
        }
    }
}
