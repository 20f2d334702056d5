//! ChannelData from the client (RFC 8656 §12.6): the shortest way to a peer.

use turn_wire::ChannelData;

use crate::{Now, Output, Path, relay::Relay, sharing::Sending};

impl Relay {
    pub(crate) fn channel_data(
        &mut self,
        now: Now,
        path: &Path,
        packet: &[u8],
        frame: &ChannelData,
    ) -> Output<'_> {
        let key = self.find_for_data(path);
        let bound = key.and_then(|key| {
            let allocation = self.allocations.get(key)?;
            let channel = allocation.channel(frame.number, now.mono)?;
            Some((key, allocation.relay(key, channel.to)?, channel))
        });
        let Some((key, relay, channel)) = bound else {
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
}
