//! ChannelBind (RFC 8656 §12): gives a peer a number, and a permission.

use turn_wire::Request;

use crate::{
    Good, Now,
    allocation::{Allocation, Channel},
    auth::Requester,
    reject::Reject,
    relay::Relay,
    respond::Done,
};

impl Relay {
    /// Answers a ChannelBind request (RFC 8656 §12.2).
    pub(crate) fn channel_bind(
        &mut self,
        now: Now,
        request: &Request,
        requester: &Requester,
    ) -> Result<Done, Reject> {
        let key = self.own_allocation(requester)?;
        // Channels carry datagrams (RFC 6062 §3).
        if !self.allocations.get(key).is_some_and(|held| held.is_udp()) {
            return Err(Reject::BadRequest);
        }
        let (Some(number), Some(named)) = (request.channel_number()?, request.peer()?) else {
            return Err(Reject::BadRequest);
        };
        if !self.config.channel_numbers.contains(&number) || named.port() == 0 {
            return Err(Reject::BadRequest);
        }
        let reachable = self.reachable(key, named)?;
        let peer = reachable.peer;
        if !self.admits(reachable.to, reachable.standing) {
            return Err(Reject::Forbidden(crate::PeerDenied::Own));
        }
        let has_shared_room = self.has_shared_room(key, reachable.to);
        self.tell_of_forgotten(key, |permission| permission.expires_at <= now.mono);
        let allocation = self
            .allocations
            .get_mut(key)
            .ok_or(Reject::AllocationMismatch)?;
        // What has expired binds nobody, whether or not the timer has come round to it.
        let (permissions, channels) = allocation.forget_expired(now.mono);
        self.stats.permissions -= permissions as u64;
        self.stats.channels -= channels as u64;
        // A number is bound to one peer, a peer to one number; the pair may be bound again.
        let (by_number, by_peer) = (
            allocation.channels.get(&number),
            allocation.numbers.get(&peer),
        );
        if by_number.is_some_and(|held| held.peer != peer)
            || by_peer.is_some_and(|held| *held != number)
        {
            return Err(Reject::BadRequest);
        }
        if !has_shared_room {
            return Err(Reject::InsufficientCapacity);
        }
        let permitted = allocation.permissions.get(&peer.ip()).is_some();
        let (new_channel, new_permission) = (by_number.is_none(), !permitted);
        self.make_room(key, Good::Channels, new_channel.into())?;
        if let Err(reject) = self.make_room(key, Good::Permissions, new_permission.into()) {
            self.allocations.get_mut(key).map(Allocation::settle);
            return Err(reject);
        }
        let allocation = self
            .allocations
            .get_mut(key)
            .ok_or(Reject::AllocationMismatch)?;
        let (to, standing) = (reachable.to, reachable.standing);
        let expires_at = now.mono + self.config.lifetimes.channel;
        if allocation.channels.insert(
            number,
            Channel {
                peer,
                to,
                expires_at,
                standing,
            },
        ) {
            self.stats.channels += 1;
        }
        allocation.numbers.insert(peer, number);
        self.permit(now, key, peer.ip(), standing);
        self.restrict_shared(key);
        self.note_shared(key, to, peer.ip(), b"");
        self.rearm(key);
        let lifetime = self.config.lifetimes.channel;
        self.tell_of_peer(key, peer, lifetime);
        Ok(Done::Success)
    }
}
