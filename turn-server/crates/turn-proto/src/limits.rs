//! Where limits take hold: before a permission or a channel is entered, and before a packet is relayed.

use crate::{Capped, Good, Holder, Now, meter::Direction, reject::Reject, relay::Relay, slab::Key};

impl Relay {
    /// Takes room for more permissions or channels of an allocation, for all of them or none.
    pub(crate) fn make_room(&mut self, key: Key, good: Good, more: usize) -> Result<(), Reject> {
        let (permissions, channels) = (self.permission_limit(), self.config.limits.channels);
        let allocation = self
            .allocations
            .get_mut(key)
            .ok_or(Reject::AllocationMismatch)?;
        let (held, most) = match good {
            Good::Channels => (allocation.channels.len(), channels),
            _ => (allocation.permissions.len(), permissions),
        };
        if more > 0 && held + more > most {
            let holder = Holder::Session;
            return Err(Reject::LimitReached(Capped { holder, good }));
        }
        let caps = &self.config.guard.caps;
        (allocation.ticket.grow(caps, good, more)).map_err(Reject::LimitReached)
    }

    /// Counts a packet, as long as `message` on the client's side and as `payload` on the peer's; `false` when it is more than
    /// may be relayed.
    // Each caller knows the direction: always inlined, nobody asks for it at run time.
    #[inline(always)]
    pub(crate) fn spend(
        &mut self,
        now: Now,
        key: Key,
        direction: Direction,
        message: usize,
        payload: usize,
    ) -> bool {
        if let Some(allocation) = self.allocations.get_mut(key) {
            if let Some(meter) = &allocation.meter {
                let caps = &self.config.guard.caps;
                if let Err(capped) = meter.take(caps, now.mono, direction, message) {
                    self.stats.limits.count(capped);
                    return false;
                }
            }
            allocation.traffic.add(direction, message, payload);
        }
        self.stats.traffic.add(direction, message, payload);
        true
    }
}
