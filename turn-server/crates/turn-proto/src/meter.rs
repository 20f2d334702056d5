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

impl Pace {
    /// When all that has been relayed would have been within the limits; zero if nothing has.
    pub(crate) fn rests_at(&self) -> Duration {
        let words = self.bytes.iter().chain(&self.packets);
        let latest = words.map(|word| word.load(Ordering::Relaxed)).max();
        Duration::from_nanos(latest.unwrap_or(0))
    }
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
        let late = nanoseconds(now).saturating_add(SECOND);
        for word in self.words(caps, direction) {
            if word.held.load(Ordering::Relaxed) > late {
                return Err(word.capped);
            }
        }
        self.charge(caps, now, direction, length);
        Ok(())
    }

    /// How many bytes of a stream may pass at once: a quarter of a second's worth, and none while a second's worth and more is
    /// ahead of its time. Of a stream nothing can be dropped, so it waits where a packet would be.
    pub(crate) fn share(
        &self,
        caps: &Caps,
        now: Duration,
        direction: Direction,
    ) -> Result<usize, Wait> {
        let late = nanoseconds(now).saturating_add(SECOND);
        let mut share = u64::MAX;
        let mut wait: Option<(u64, Capped)> = None;
        for word in self.words(caps, direction) {
            let held = word.held.load(Ordering::Relaxed);
            if held > late && wait.is_none_or(|(latest, _)| held > latest) {
                wait = Some((held, word.capped));
            }
            if word.capped.good == Good::BytesPerSecond {
                share = share.min((word.limit / 4).max(1));
            }
        }
        if let Some((held, capped)) = wait {
            let until = Duration::from_nanos(held.saturating_sub(SECOND));
            return Err(Wait { until, capped });
        }
        Ok(usize::try_from(share).unwrap_or(usize::MAX))
    }

    /// Counts what has passed, as one packet of so many bytes.
    pub(crate) fn charge(&self, caps: &Caps, now: Duration, direction: Direction, length: usize) {
        let now = nanoseconds(now);
        let bytes = u64::try_from(length).unwrap_or(u64::MAX);
        for word in self.words(caps, direction) {
            let amount = match word.capped.good {
                Good::BytesPerSecond => bytes,
                _ => 1,
            };
            let cost = amount.saturating_mul(SECOND).div_ceil(word.limit);
            let charged = |held: u64| Some(held.max(now).saturating_add(cost));
            // The closure always gives a value, so this cannot fail.
            let _ = (word.held).fetch_update(Ordering::Relaxed, Ordering::Relaxed, charged);
        }
    }

    /// What is limited in a direction.
    fn words(&self, caps: &Caps, direction: Direction) -> impl Iterator<Item = Word<'_>> {
        self.paces.iter().flatten().flat_map(move |(holder, pace)| {
            let words = [
                (Good::BytesPerSecond, &pace.bytes),
                (Good::PacketsPerSecond, &pace.packets),
            ];
            words.into_iter().filter_map(move |(good, words)| {
                let (holder, limit) = (*holder, caps.of(*holder, good));
                let held = words.get(direction as usize)?;
                (limit > 0).then_some(Word {
                    capped: Capped { holder, good },
                    held,
                    limit,
                })
            })
        })
    }
}

/// Until when a stream has to wait, and for which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) until: Duration,
    pub(crate) capped: Capped,
}

/// One limit, and how far ahead of its time it is used.
struct Word<'m> {
    capped: Capped,
    held: &'m AtomicU64,
    limit: u64,
}

fn nanoseconds(now: Duration) -> u64 {
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{Direction, Meter, Pace, Wait};
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

    #[test]
    fn a_stream_waits_where_packets_are_dropped_and_keeps_to_the_same_rate() {
        for holder in Holder::ALL {
            let caps = Caps::default().with(holder, Good::BytesPerSecond, 100_000);
            let meter = meter();
            let (mut now, mut passed) = (Duration::from_secs(7), 0);
            let end = now + Duration::from_secs(10);
            while now < end {
                match meter.share(&caps, now, Direction::ToPeer) {
                    Ok(share) => {
                        assert_eq!(share, 25_000);
                        meter.charge(&caps, now, Direction::ToPeer, share);
                        passed += share;
                    }
                    Err(Wait { until, capped }) => {
                        assert!(until > now);
                        let good = Good::BytesPerSecond;
                        assert_eq!(capped, Capped { holder, good });
                        now = until;
                    }
                }
                // The other way is free.
                assert!(meter.share(&caps, now, Direction::ToClient).is_ok());
            }
            assert!(
                (1_100_000..=1_150_000).contains(&passed),
                "{holder:?}: {passed}"
            );
        }
        let tiny = Caps::default().with(Holder::User, Good::BytesPerSecond, 1);
        let share = meter().share(&tiny, Duration::MAX, Direction::ToPeer);
        assert_eq!(share, Ok(1));
        let share = meter().share(&Caps::default(), Duration::ZERO, Direction::ToPeer);
        assert_eq!(share, Ok(usize::MAX));
    }
}
