//! ChannelData from the client (RFC 8656 §12.6): the shortest way to a peer.

use turn_wire::ChannelData;

use crate::{
    Now, Output, Path, RelayId, allocation::Channel, relay::Relay, sharing::Sending, slab::Key,
};

impl Relay {
    #[inline]
    pub(crate) fn channel_data(
        &mut self,
        now: Now,
        path: &Path,
        packet: &[u8],
        frame: &ChannelData,
    ) -> Output<'_> {
        let Some((key, relay, channel)) = self.bound_channel(now, path, frame.number) else {
            self.stats.dropped_client += 1;
            return Output::Nothing;
        };
        if !self.admits(channel.to, channel.standing) {
            self.stats.dropped_policy += 1;
            return Output::Nothing;
        }
        let sending = Sending {
            relay,
            to: channel.to,
            named: channel.peer,
            range: frame.payload.clone(),
            // §14: the DF bit that the client's packet had is taken to be 0.
            dont_fragment: false,
        };
        self.forward(now, key, packet, sending)
    }
    #[inline]
    fn bound_channel(
        &mut self,
        now: Now,
        path: &Path,
        number: u16,
    ) -> Option<(Key, RelayId, Channel)> {
        let key = self.find_for_data(path)?;
        let allocation = self.allocations.get(key)?;
        let channel = allocation.channel(number, now.mono)?;
        Some((key, allocation.relay(key, channel.to)?, channel))
    }
}
