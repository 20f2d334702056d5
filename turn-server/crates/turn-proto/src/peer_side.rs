//! Datagrams from peers (RFC 8656 §11.3, §12.7): ChannelData where a channel is bound, else a Data indication where the
//! address has a permission, else nothing.

use std::{net::SocketAddr, ops::Range};

use crate::{Now, PeerAddr, RelayId, ToClient, external, relay::Relay};

impl Relay {
    pub(crate) fn peer_datagram(
        &mut self,
        now: Now,
        relay: RelayId,
        from: SocketAddr,
        buf: &mut [u8],
        payload: Range<usize>,
    ) -> Option<ToClient> {
        let length = payload.len();
        let framed = PeerAddr::of(from).and_then(|from| {
            let named = external::outside(&self.config.externals, &self.shared.ports, from);
            let framed = self.frame(now, relay, named, buf, payload.clone());
            // One of our own relays: its client may be known here by the inside address instead.
            let retry = framed.is_none() && named != from;
            if retry {
                self.frame(now, relay, from, buf, payload)
            } else {
                framed
            }
        });
        let Some((path, range)) = framed else {
            self.stats.dropped_peer += 1;
            return None;
        };
        self.stats.traffic.add_to_client(range.len(), length);
        if let Some(allocation) = self.by_relay(relay) {
            allocation.traffic.add_to_client(range.len(), length);
        }
        Some(ToClient { path, range })
    }

    fn frame(
        &mut self,
        now: Now,
        relay: RelayId,
        from: PeerAddr,
        buf: &mut [u8],
        payload: Range<usize>,
    ) -> Option<(crate::Path, Range<usize>)> {
        let allocation = self
            .by_relay(relay)
            .filter(|allocation| allocation.is_active())?;
        let path = allocation.path;
        if let Some((number, _)) = allocation.channel_of(from, now.mono) {
            let range =
                turn_wire::write_channel_data(buf, payload, number, path.transport.is_stream())?;
            return Some((path, range));
        }
        allocation.permission(from.ip(), now.mono)?;
        let mut id = turn_wire::TransactionId::default();
        self.rng.fill_bytes(&mut id);
        let range = turn_wire::write_data_indication(buf, payload, from.socket(), id)?;
        Some((path, range))
    }
}
