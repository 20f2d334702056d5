//! Allocate (RFC 8656 §7): makes an allocation once its relay socket is bound.

use std::{mem, net::SocketAddr, time::Duration};

use turn_wire::{MessageView, Request};

use crate::{
    Action, BindFailure, Event, Now, Path, RelayId,
    allocation::{Allocation, Binding, Phase},
    auth::Requester,
    external,
    ports::Want,
    reject::Reject,
    relay::Relay,
    respond::Done,
    slab::Key,
};

/// UDP's protocol number, the only transport of relay sockets here.
const UDP: u8 = 17;

/// How many ports are given up, the two of a pair counted singly, before a range is taken to be other programs'.
const BIND_TRIES: usize = 16;

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
        // Step 3: REQUESTED-TRANSPORT.
        match request.requested_transport()?.ok_or(Reject::BadRequest)? {
            UDP => {}
            _ => return Err(Reject::UnsupportedTransport),
        }
        // Steps 5 to 10: which address and port, and whether the quota allows it.
        let port = self.choose_port(now, path, request, requester)?;
        let local = port.claim.address().ok_or(Reject::InsufficientCapacity)?;
        let lifetime = self.grant(request.lifetime()?);
        let binding = Binding {
            may_move: port.may_move,
            tried: Vec::new(),
            next: port.next,
            fingerprint: self.wants_fingerprint(view),
        };
        let with_next = binding.next.is_some();
        let allocation = Allocation {
            session: self.next_session(),
            path: *path,
            username: requester.username.clone(),
            user: requester.user.clone(),
            key: requester.key.clone(),
            phase: Phase::Binding(binding),
            relay: RelayId(u32::MAX),
            claim: port.claim,
            _ticket: port.ticket,
            local,
            relayed: external::advertised(&self.config.externals, local),
            lifetime,
            expires_at: now.mono + lifetime,
            wake_at: now.mono + lifetime,
            permissions: Default::default(),
            channels: Default::default(),
            numbers: Default::default(),
            created_by: view.transaction_id(),
            created_reply: Box::default(),
            traffic: Default::default(),
        };
        let key = self.adopt(allocation).ok_or(Reject::InsufficientCapacity)?;
        let relay = Self::relay_of(key);
        if let Some(allocation) = self.allocations.get_mut(key) {
            allocation.relay = relay;
        }
        self.act(Action::Bind {
            relay,
            local,
            with_next,
        });
        Ok(Done::Later)
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

    /// The lifetime to grant (RFC 8656 §7.2): at least the default, at most the maximum.
    pub(crate) fn grant(&self, asked: Option<u32>) -> Duration {
        let lifetimes = &self.config.lifetimes;
        let asked = asked.map_or(lifetimes.allocation_default, |seconds| {
            Duration::from_secs(seconds.into())
        });
        asked
            .max(lifetimes.allocation_default)
            .min(lifetimes.allocation_max)
    }

    /// The relay socket is bound: the allocation begins and its client is told.
    pub(crate) fn bound(&mut self, now: Now, relay: RelayId) {
        let Some(key) = self.allocations.key_at(relay.0 >> 1) else {
            return;
        };
        let Some((binding, user)) = self.allocations.get_mut(key).and_then(Allocation::begin)
        else {
            return;
        };
        let reserve = |(claim, ticket)| self.reserve(now, user, claim, ticket);
        let token = binding.next.map(reserve);
        let Some(allocation) = self.allocations.get_mut(key) else {
            return;
        };
        let seconds = u32::try_from(allocation.lifetime.as_secs()).unwrap_or(u32::MAX);
        let mut answer = self
            .responder
            .success(turn_wire::Method::ALLOCATE, allocation.created_by)
            .xor_relayed_address(allocation.relayed)
            .lifetime(seconds)
            .xor_mapped_address(allocation.path.client);
        if let Some(token) = token {
            answer = answer.reservation_token(token);
        }
        if let Some(software) = &self.config.software {
            answer = answer.software(software);
        }
        let bytes = answer.finish(allocation.integrity(), binding.fingerprint);
        allocation.created_reply = bytes.into();
        let (path, bytes) = (allocation.path, bytes.to_vec());
        let started = Event::Started {
            session: allocation.session,
            path,
            user: allocation.user.clone(),
            relayed: allocation.relayed,
            lifetime: allocation.lifetime,
        };
        self.stats.successes += 1;
        self.stats.allocations_created += 1;
        self.act(Action::Send { path, bytes });
        self.act(Action::Event(started));
    }

    /// The relay socket is bound where the driver chose. It may be another place than the client asked for (RFC 8656 §18.6,
    /// REQUESTED-ADDRESS-FAMILY).
    pub(crate) fn bound_at(
        &mut self,
        now: Now,
        relay: RelayId,
        local: SocketAddr,
        relayed: SocketAddr,
    ) {
        let Some(allocation) = self.by_relay(relay) else {
            return;
        };
        let Phase::Binding(binding) = &allocation.phase else {
            return;
        };
        let odd = !relayed.port().is_multiple_of(2);
        let wrong = if relayed.is_ipv4() != allocation.local.is_ipv4() {
            Some(BindFailure::NoSuchFamily)
        } else {
            let even = binding.may_move.is_some_and(|want| want != Want::Any);
            (even && odd).then_some(BindFailure::InUse)
        };
        if let Some(cause) = wrong {
            self.act(Action::Unbind { relay });
            return self.bind_failed(relay, cause);
        }
        (allocation.local, allocation.relayed) = (local, relayed);
        self.bound(now, relay);
    }

    /// The relay socket could not be bound: another port may do, or the client is told that none does.
    pub(crate) fn bind_failed(&mut self, relay: RelayId, cause: BindFailure) {
        let Some(key) = self.allocations.key_at(relay.0 >> 1) else {
            return;
        };
        let random = self.rng.next_u32();
        let Some(allocation) = self.allocations.get_mut(key) else {
            return;
        };
        let Phase::Binding(binding) = &mut allocation.phase else {
            return;
        };
        let elsewhere = cause == BindFailure::InUse && binding.tried.len() < BIND_TRIES;
        let want = binding.may_move.filter(|_| elsewhere);
        let claim =
            want.and_then(|want| self.shared.ports.claim(allocation.local.ip(), want, random));
        if let Some((claim, next)) = claim
            && let Some(local) = claim.address()
        {
            // The old ports are returned when all is over, so that none is tried twice.
            binding
                .tried
                .push(mem::replace(&mut allocation.claim, claim));
            if let (Some(next), Some((held, _))) = (next, &mut binding.next) {
                binding.tried.push(mem::replace(held, next));
            }
            let with_next = binding.next.is_some();
            allocation.local = local;
            allocation.relayed = external::advertised(&self.config.externals, local);
            return self.act(Action::Bind {
                relay,
                local,
                with_next,
            });
        }
        let fingerprint =
            matches!(&allocation.phase, Phase::Binding(binding) if binding.fingerprint);
        let Some(allocation) = self.abandon(key) else {
            return;
        };
        let reject = match cause {
            BindFailure::NoSuchFamily => Reject::UnsupportedFamily,
            _ => Reject::InsufficientCapacity,
        };
        self.count(&reject);
        let answer = self.responder.error(
            turn_wire::Method::ALLOCATE,
            allocation.created_by,
            reject.code(),
            "",
        );
        let bytes = answer.finish(allocation.integrity(), fingerprint).to_vec();
        self.act(Action::Send {
            path: allocation.path,
            bytes,
        });
        self.act(Action::Event(Event::BindFailed {
            local: allocation.local,
            cause,
        }));
    }
}
