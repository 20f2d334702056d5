//! Refresh (RFC 8656 §8): prolongs an allocation or ends it.

use turn_wire::{Family, MessageView, Request};

use crate::{
    Action, EndReason, Event, Now, Path, auth::Requester, reject::Reject, relay::Relay,
    respond::Done,
};

impl Relay {
    /// Answers a Refresh request (RFC 8656 §8.2).
    pub(crate) fn refresh(
        &mut self,
        now: Now,
        path: &Path,
        view: &MessageView<'_>,
        request: &Request,
        requester: &Requester,
    ) -> Result<Done, Reject> {
        if requester.allocation.is_none() {
            // The answer to the request that ended the allocation may have been lost.
            if let Some(answer) = self.recent.find(path, view.transaction_id()) {
                return Ok(Done::Again(answer.into()));
            }
        }
        let key = self.own_allocation(requester)?;
        let asked = request.lifetime()?;
        let allocation = self
            .allocations
            .get(key)
            .ok_or(Reject::AllocationMismatch)?;
        // A family that the allocation does not have.
        match request.requested_family()? {
            Some(Family::V4) if !allocation.local.is_ipv4() => {
                return Err(Reject::PeerFamilyMismatch);
            }
            Some(Family::V6) if !allocation.local.is_ipv6() => {
                return Err(Reject::PeerFamilyMismatch);
            }
            Some(Family::Other(_)) => return Err(Reject::PeerFamilyMismatch),
            _ => {}
        }
        if asked == Some(0) {
            self.end(key, EndReason::Deleted);
            return Ok(Done::Refreshed(0));
        }
        let lifetime = self.grant(asked);
        let allocation = self
            .allocations
            .get_mut(key)
            .ok_or(Reject::AllocationMismatch)?;
        allocation.lifetime = lifetime;
        allocation.expires_at = now.mono + lifetime;
        let refreshed = Event::Refreshed {
            session: allocation.session,
            user: allocation.user.clone(),
            lifetime,
        };
        self.rearm(key);
        self.act(Action::Event(refreshed));
        Ok(Done::Refreshed(
            u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX),
        ))
    }
}
