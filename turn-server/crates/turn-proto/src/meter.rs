//! How fast sessions relay, where that is limited: bytes and packets per second, each direction by itself, of the session, its
//! user, its network, and all together. A second's worth may come at once. Without such a limit there is no meter.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{Capped, Caps, Good, Holder};

const SECOND: u64 = 1_000_000_000;

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the client to a peer.
    ToPeer,
    /// From a peer to the client.
    ToClient,
}

/// What has been relayed lately, of one holder, in both directions: theoretical arrival times of the generic cell rate
/// algorithm, in nanoseconds. Workers share those of users, networks and all; a word is updated alone, so that two packets at
/// the same instant may both take the last token.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    bytes: [AtomicU64; 2],
    packets: [AtomicU64; 2],
}

/// The paces that a session has to keep to.
#[derive(Debug)]
pub(crate) struct Meter {
    paces: [Option<(Holder, Arc<Pace>)>; 4],
}

impl Meter {
    pub(crate) fn new(user: Arc<Pace>, network: Option<Arc<Pace>>, total: Arc<Pace>) -> Self {
        Self {
            paces: [
                Some((Holder::Session, Arc::default())),
                Some((Holder::User, user)),
                network.map(|network| (Holder::Network, network)),
                Some((Holder::Total, total)),
            ],
        }
    }

    /// Takes the tokens for one packet of so many bytes, or none at all.
    pub(crate) fn take(
        &self,
        caps: &Caps,
        now: Duration,
        direction: Direction,
        length: usize,
    ) -> Result<(), Capped> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let bytes = u64::try_from(length).unwrap_or(u64::MAX);
        let each = || {
            self.paces.iter().flatten().flat_map(|(holder, pace)| {
                let words = [
                    (Good::BytesPerSecond, &pace.bytes, bytes),
                    (Good::PacketsPerSecond, &pace.packets, 1),
                ];
                words.into_iter().filter_map(move |(good, words, amount)| {
                    let limit = caps.of(*holder, good);
                    let word = words.get(direction as usize)?;
                    (limit > 0).then_some((*holder, good, word, limit, amount))
                })
            })
        };
        for (holder, good, word, ..) in each() {
            if word.load(Ordering::Relaxed) > now.saturating_add(SECOND) {
                return Err(Capped { holder, good });
            }
        }
        for (.., word, limit, amount) in each() {
            let cost = amount.saturating_mul(SECOND).div_ceil(limit);
            let charged = |held: u64| Some(held.max(now).saturating_add(cost));
            // The closure always gives a value, so this cannot fail.
            let _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, charged);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{Direction, Meter, Pace};
    use crate::{Capped, Caps, Good, Holder};

    fn meter() -> Meter {
        Meter::new(Arc::default(), Some(Arc::default()), Arc::default())
    }

    /// How many of `asked` packets a second pass in ten seconds, after the first burst.
    fn passed(meter: &Meter, caps: &Caps, asked: u64, length: usize) -> u64 {
        let pass = |packet: u64| {
            let now = Duration::from_nanos(packet * 1_000_000_000 / asked);
            meter.take(caps, now, Direction::ToPeer, length).is_ok()
        };
        (0..asked * 11)
            .filter(|packet| pass(*packet) && *packet >= asked)
            .count() as u64
    }

    #[test]
    fn bytes_and_packets_keep_to_their_rates_in_every_scope() {
        for holder in Holder::ALL {
            let bytes = Caps::default().with(holder, Good::BytesPerSecond, 100_000);
            let through = passed(&meter(), &bytes, 1_000, 1_000);
            assert!(
                (990..=1_102).contains(&through),
                "{holder:?}: {through} packets of 1,000 bytes"
            );
            let packets = Caps::default().with(holder, Good::PacketsPerSecond, 50);
            let through = passed(&meter(), &packets, 1_000, 1_000);
            assert!(
                (490..=551).contains(&through),
                "{holder:?}: {through} packets"
            );
            // Below the limit, nothing is lost.
            assert_eq!(passed(&meter(), &packets, 49, 1_000), 490);
        }
    }

    #[test]
    fn directions_are_counted_apart_and_a_refused_packet_costs_nobody() {
        let caps = Caps::default()
            .with(Holder::Session, Good::PacketsPerSecond, 1)
            .with(Holder::Total, Good::PacketsPerSecond, 3);
        let total = Arc::new(Pace::default());
        let of = || Meter::new(Arc::default(), None, Arc::clone(&total));
        let (first, second) = (of(), of());
        let now = Duration::from_secs(5);
        let session = Capped {
            holder: Holder::Session,
            good: Good::PacketsPerSecond,
        };
        let through = |meter: &Meter| {
            (0..10)
                .filter(|_| meter.take(&caps, now, Direction::ToPeer, 9).is_ok())
                .count()
        };
        assert_eq!(through(&first), 2);
        assert_eq!(first.take(&caps, now, Direction::ToPeer, 9), Err(session));
        assert_eq!(first.take(&caps, now, Direction::ToClient, 9), Ok(()));
        // The eight that were refused have taken nothing of the common share: one of three is left.
        assert_eq!(through(&second), 1);
        let all = Capped {
            holder: Holder::Total,
            ..session
        };
        assert_eq!(of().take(&caps, now, Direction::ToPeer, 9), Err(all));
    }

    #[test]
    fn the_highest_rates_and_latest_times_do_not_overflow() {
        let caps = Caps::default().with(Holder::User, Good::BytesPerSecond, u64::MAX);
        for now in [Duration::ZERO, Duration::MAX] {
            assert!(
                (0..1_000).all(|_| meter().take(&caps, now, Direction::ToPeer, 65_535).is_ok())
            );
        }
        let least = Caps::default().with(Holder::User, Good::BytesPerSecond, 1);
        let held = meter();
        assert_eq!(
            held.take(&least, Duration::ZERO, Direction::ToPeer, usize::MAX),
            Ok(())
        );
        assert!(
            held.take(&least, Duration::from_secs(60), Direction::ToPeer, 1)
                .is_err()
        );
    }
}
