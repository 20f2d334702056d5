//! Allocate (RFC 8656 §7): checks the request and asks for the relay sockets. How it goes on is in `bound`.

use std::time::Duration;

use turn_wire::{MessageView, Request};

use crate::{
    CredentialExpiry, Now, Path,
    allocation::{Allocation, Binding, Phase},
    auth::Requester,
    external,
    reject::Reject,
    relay::Relay,
    relayed::{Relayed, RelayedAddresses, Version},
    respond::Done,
    slab::Key,
    sorted_map::SortedMap,
};

/// UDP's protocol number.
pub(super) const UDP: u8 = 17;

/// TCP's protocol number (RFC 6062 §4.1).
const TCP: u8 = 6;

impl Relay {
    /// Answers an Allocate request (RFC 8656 §7.2).
    pub(crate) fn allocate(
        &mut self,
        now: Now,
        path: &Path,
        view: &MessageView<'_>,
        request: &Request,
        requester: &Requester,
    ) -> Result<Done, Reject> {
        // §7.2 step 2: one allocation per 5-tuple; the same transaction gets the same answer.
        if let Some(key) = requester.allocation {
            return self.allocate_again(key, view);
        }
        // At any point (§7.2): another server is to be asked.
        if self.redirects(path) {
            return Err(Reject::TryAlternate);
        }
        if self.shared.is_draining() {
            return Err(Reject::Draining);
        }
        // Step 3: REQUESTED-TRANSPORT.
        let connections = match request.requested_transport()?.ok_or(Reject::BadRequest)? {
            UDP if self.config.udp_relay => None,
            TCP if self.config.tcp_relay => {
                may_relay_tcp(path, request)?;
                Some(SortedMap::default())
            }
            _ => return Err(Reject::UnsupportedTransport),
        };
        let mobile = self.wants_mobility(request, connections.is_none())?;
        // Steps 5 to 10: which addresses and ports, and whether the quota allows it.
        let lifetime = self.grant(now, request.lifetime()?, requester);
        let ports = self.choose_ports(now, path, request, requester)?;
        let mut relays = RelayedAddresses::default();
        for claim in ports.claims {
            let local = claim.address().ok_or(Reject::InsufficientCapacity)?;
            relays.put(Relayed {
                claim,
                local,
                told: external::advertised(&self.config.externals, local),
                expires_at: now.mono + lifetime,
            });
        }
        let binding = Binding {
            mobile,
            waiting: relays.iter().count(),
            lifetime,
            may_move: ports.may_move,
            tried: Vec::new(),
            next: ports.next,
            lacking: ports.lacking,
            fingerprint: self.wants_fingerprint(view),
        };
        let allocation = Allocation {
            session: self.next_session(),
            path: *path,
            username: requester.username.clone(),
            user: requester.user.clone(),
            key: requester.key.clone(),
            credential_until: requester.expires_at,
            started_at: now.mono,
            phase: Phase::Binding(binding),
            relays,
            meter: ports.ticket.meter(&self.config.guard.caps),
            ticket: ports.ticket,
            wake_at: now.mono + lifetime,
            permissions: Default::default(),
            channels: Default::default(),
            numbers: Default::default(),
            connections,
            mobility: None,
            created_by: view.transaction_id(),
            created_reply: Box::default(),
            traffic: Default::default(),
            told: Default::default(),
        };
        let key = self.adopt(allocation).ok_or(Reject::InsufficientCapacity)?;
        self.enter_shared(key);
        for version in Version::BOTH {
            self.ask_to_bind(now, key, version);
        }
        Ok(Done::Later)
    }

    /// Whether a ticket is asked for (RFC 8016 §3.1.2), which may be forbidden. Connections with peers cannot move, so an
    /// allocation that makes them cannot either.
    fn wants_mobility(&self, request: &Request, is_udp: bool) -> Result<bool, Reject> {
        match request.mobility_ticket() {
            None => Ok(false),
            Some([]) if self.config.mobility && is_udp => Ok(true),
            Some([]) => Err(Reject::MobilityForbidden),
            Some(_) => Err(Reject::BadRequest),
        }
    }

    /// Answers an Allocate request on a 5-tuple that has an allocation.
    fn allocate_again(&self, key: Key, view: &MessageView<'_>) -> Result<Done, Reject> {
        let allocation = self
            .allocations
            .get(key)
            .ok_or(Reject::AllocationMismatch)?;
        if allocation.created_by != view.transaction_id() {
            return Err(Reject::AllocationMismatch);
        }
        match allocation.phase {
            Phase::Active => Ok(Done::Again(allocation.created_reply.clone())),
            Phase::Binding(_) => Ok(Done::Later),
        }
    }

    /// The lifetime to grant (RFC 8656 §7.2): at least the default, at most the maximum, and no longer than a token counts (RFC 7635 §10).
    pub(crate) fn grant(&self, now: Now, asked: Option<u32>, requester: &Requester) -> Duration {
        let lifetimes = &self.config.lifetimes;
        let asked = asked.map_or(lifetimes.allocation_default, |seconds| {
            Duration::from_secs(seconds.into())
        });
        let token = requester.token_expires_at().map_or(Duration::MAX, |end| {
            Duration::from_secs(end.saturating_sub(now.unix).max(1))
        });
        asked
            .max(lifetimes.allocation_default)
            .min(lifetimes.allocation_max)
            .min(token)
            .min(self.outlook(now, requester))
    }

    /// How much longer a credential lets its allocation live.
    fn outlook(&self, now: Now, requester: &Requester) -> Duration {
        match (self.config.guard.expiry, requester.expires_at) {
            (CredentialExpiry::EndSession, Some(at)) => {
                // Never none: a lifetime of zero would say that it is gone.
                Duration::from_secs(at.saturating_sub(now.unix).max(1))
            }
            _ => Duration::MAX,
        }
    }
}

/// Checks what a request for a TCP allocation must not say (RFC 6062 §5.1).
fn may_relay_tcp(path: &Path, request: &Request) -> Result<(), Reject> {
    let contradicts = request.dont_fragment()
        || request.even_port()?.is_some()
        || request.reservation_token()?.is_some();
    if contradicts || !path.transport.is_stream() {
        return Err(Reject::BadRequest);
    }
    Ok(())
}
