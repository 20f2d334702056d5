//! Refresh (RFC 8656 §8): prolongs an allocation or ends it, or one of the two relayed addresses of a dual allocation.

use std::sync::Arc;

use turn_wire::{Family, MessageView, Request};

use crate::{
    Action, CredentialExpiry, EndReason, Event, Now, Path,
    auth::Requester,
    reject::Reject,
    relay::Relay,
    relayed::{RelayedAddresses, Version},
    respond::Done,
    slab::Key,
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
        let asked = request.lifetime()?;
        if asked == Some(0) {
            // The answer to the request that ended the allocation, or half of it, may have been lost.
            if let Some(answer) = self.recent.find(path, view.transaction_id()) {
                return Ok(Done::Again(answer.into()));
            }
        }
        if let Some(again) = self.check_ticket(now, path, view, request, requester)? {
            return Ok(again);
        }
        let key = self.own_allocation(requester)?;
        let family = request.requested_family()?;
        let allocation = self
            .allocations
            .get(key)
            .ok_or(Reject::AllocationMismatch)?;
        let chosen = chosen(&allocation.relays, family)?;
        if asked == Some(0) {
            self.delete(now, key, &chosen);
            return Ok(Done::Refreshed(0));
        }
        if self.config.guard.expiry != CredentialExpiry::Ignored
            && requester.expires_at.is_some_and(|at| at <= now.unix)
        {
            return Err(Reject::Unauthorized);
        }
        let lifetime = self.grant(now, asked, requester);
        let allocation = self
            .allocations
            .get_mut(key)
            .ok_or(Reject::AllocationMismatch)?;
        for version in chosen {
            if let Some(relayed) = allocation.relays.of_mut(version) {
                relayed.expires_at = now.mono + lifetime;
            }
        }
        if requester.token_expires_at().is_some() {
            // RFC 7635 §10: requests without a token go on with the key of the last one.
            allocation.key = requester.key.clone();
            allocation.username = requester.username.clone();
            allocation.user = Arc::clone(&requester.user);
        }
        let refreshed = Event::Refreshed {
            session: allocation.session,
            path: allocation.path,
            user: allocation.user.clone(),
            lifetime,
            secured: None,
        };
        self.rearm(key);
        self.act(Action::Event(refreshed));
        let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
        if request.mobility_ticket().is_none() {
            return Ok(Done::Refreshed(seconds));
        }
        let home = self.visitor;
        let ticket = self.appear(now, key, path, home, view.transaction_id());
        let ticket = ticket.ok_or(Reject::AllocationMismatch)?;
        Ok(Done::Moved(seconds, ticket))
    }

    /// Deletes an allocation, or one of its two relayed addresses.
    fn delete(&mut self, now: Now, key: Key, chosen: &[Version]) {
        let held = self.allocations.get(key);
        let all = held.is_none_or(|held| held.relays.versions().count() == chosen.len());
        if all {
            return self.end(now, key, EndReason::Deleted);
        }
        for version in chosen {
            self.end_relayed(key, *version, EndReason::Deleted);
        }
    }
}

/// Which relayed addresses a request is about: those of the family that it names, else all (RFC 8656 §8.1, §8.2).
fn chosen(relays: &RelayedAddresses, family: Option<Family>) -> Result<Vec<Version>, Reject> {
    let named = |version: &Version| family.is_none_or(|family| version.family() == family);
    let chosen: Vec<_> = relays.versions().filter(named).collect();
    if chosen.is_empty() {
        return Err(Reject::PeerFamilyMismatch);
    }
    Ok(chosen)
}
