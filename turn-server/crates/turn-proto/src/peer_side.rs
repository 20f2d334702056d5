//! Datagrams from peers (RFC 8656 §11.3, §12.7): ChannelData where a channel is bound, else a Data indication where the
//! address has a permission, else nothing.

use std::{net::SocketAddr, ops::Range, sync::Arc};

use crate::{
    Now, PeerAddr, RelayId, ToClient, external, meter::Direction, relay::Relay, slab::Key,
};

impl Relay {
    #[inline]
    pub(crate) fn peer_datagram(
        &mut self,
        now: Now,
        relay: RelayId,
        from: SocketAddr,
        buf: &mut [u8],
        payload: Range<usize>,
    ) -> Option<ToClient> {
        let Some(from) = PeerAddr::of(from) else {
            self.stats.dropped_peer += 1;
            return None;
        };
        let key = match relay.place_if_shared() {
            Some(place) => self.shared_receiver(place, from, buf.get(payload.clone())?)?,
            None => self.allocations.key_at(relay.index()).or_else(|| {
                self.stats.dropped_peer += 1;
                None
            })?,
        };
        self.deliver(now, key, from, buf, payload)
    }

    /// Writes a peer's data for the client of an allocation, if that may hear it.
    #[inline]
    pub(crate) fn deliver(
        &mut self,
        now: Now,
        key: Key,
        from: PeerAddr,
        buf: &mut [u8],
        payload: Range<usize>,
    ) -> Option<ToClient> {
        let length = payload.len();
        let framed = if self.config.externals.is_empty() {
            self.frame(now, key, from, buf, payload)
        } else {
            self.frame_by_name(now, key, from, buf, payload)
        };
        let Some((path, range)) = framed else {
            self.stats.dropped_peer += 1;
            return None;
        };
        self.spend(now, key, Direction::ToClient, range.len(), length)
            .then_some(ToClient { path, range })
    }

    /// The same where peers may be relays of ours, which clients know by other addresses.
    #[inline(never)]
    fn frame_by_name(
        &mut self,
        now: Now,
        key: Key,
        from: PeerAddr,
        buf: &mut [u8],
        payload: Range<usize>,
    ) -> Option<(crate::Path, Range<usize>)> {
        let named = external::outside(&self.config.externals, &self.shared.ports, from);
        let framed = self.frame(now, key, named, buf, payload.clone());
        if framed.is_some() || named == from {
            return framed;
        }
        // One of our own relays: its client may be known here by an earlier public address or the inside one instead.
        let config = Arc::clone(&self.config);
        external::other_names(&config.externals, from)
            .find_map(|named| self.frame(now, key, named, buf, payload.clone()))
    }

    #[inline]
    fn frame(
        &mut self,
        now: Now,
        key: Key,
        from: PeerAddr,
        buf: &mut [u8],
        payload: Range<usize>,
    ) -> Option<(crate::Path, Range<usize>)> {
        let allocation = self
            .allocations
            .get(key)
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
