//! ICMP errors about datagrams to peers (RFC 8656 §11.5): the client is told in a Data indication.

use std::time::Duration;

use turn_wire::Method;

use crate::{Action, IcmpReport, Now, PeerAddr, RelayId, external, relay::Relay, relayed::Version};

/// How many errors a client is told within [`WINDOW`]. One for each peer that it may be checking at once is enough to act on;
/// a peer that sends errors as fast as it can must not fill the way to the client.
const TOLD: u8 = 16;

/// The time in which they are counted.
const WINDOW: Duration = Duration::from_secs(1);

/// How many errors a client has been told lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    since: Duration,
    count: u8,
}

impl Told {
    fn one_more(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.since) >= WINDOW {
            *self = Self {
                since: now,
                count: 0,
            };
        }
        self.count = self.count.saturating_add(1);
        self.count <= TOLD
    }
}

impl Relay {
    pub(crate) fn peer_error(&mut self, now: Now, relay: RelayId, report: IcmpReport) {
        if self.tell_error(now, relay, report).is_none() {
            self.stats.dropped_peer += 1;
        }
    }

    fn tell_error(&mut self, now: Now, relay: RelayId, report: IcmpReport) -> Option<()> {
        let to = PeerAddr::of(report.to)?;
        let mtu = told_mtu(Version::of(to.ip().ip()), report)?;
        let named = external::outside(&self.config.externals, &self.shared.ports, to);
        let key = match relay.place_if_shared() {
            // Whoever has sent there last has most likely caused it.
            Some(place) => self.shared_sender(place, to)?,
            None => self.allocations.key_at(relay.index())?,
        };
        let allocation = self.allocations.get_mut(key)?;
        // The address that the datagram was going to counts, not the one that the error comes from. It is either of the
        // names that the client may know one of our own relays by.
        let permitted = |peer: &PeerAddr| allocation.permission(peer.ip(), now.mono).is_some();
        let peer = [named, to].into_iter().find(permitted)?;
        if !allocation.told.one_more(now.mono) {
            return None;
        }
        let path = allocation.path;
        let mut id = turn_wire::TransactionId::default();
        self.rng.fill_bytes(&mut id);
        let indication = self.responder.indication(Method::DATA, id);
        let indication = indication.xor_peer_address(peer.socket());
        let indication = indication.icmp(report.kind, report.code, mtu);
        let bytes = indication
            .finish(None, self.config.always_fingerprint)
            .to_vec();
        self.act(Action::Send { path, bytes });
        Some(())
    }
}

/// What the attribute says besides type and code: the next MTU where there is one, else zero (§18.13). `None` for a type that
/// clients are not told (§11.5): other than Destination Unreachable, Time Exceeded and ICMPv6's Packet Too Big.
fn told_mtu(version: Version, report: IcmpReport) -> Option<u32> {
    match (version, report.kind, report.code) {
        (Version::V4, 3, 4) | (Version::V6, 2, _) => Some(report.mtu),
        (Version::V4, 3 | 11, _) | (Version::V6, 1 | 3, _) => Some(0),
        _ => None,
    }
}
