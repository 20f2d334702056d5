//! What becomes of an Allocate request once the driver has tried to bind its relay sockets (RFC 8656 §7.2).

use std::{mem, net::SocketAddr, time::Duration};

use turn_wire::Method;

use crate::{
    Action, BindFailure, Event, Now, RelayId, allocation::Allocation, external, ports::Want,
    reject::Reject, relay::Relay, relayed::Version, slab::Key,
};

/// How many ports are given up, the two of a pair counted singly, before a range is taken to be other programs'.
const BIND_TRIES: usize = 16;

impl Relay {
    /// Asks the driver for the socket of one relayed address, if the allocation has it and does not share it.
    pub(crate) fn ask_to_bind(&mut self, now: Now, key: Key, version: Version) {
        let Some(allocation) = self.allocations.get_mut(key) else {
            return;
        };
        let with_next = allocation.binding().is_some_and(|held| held.next.is_some());
        let is_udp = allocation.is_udp();
        if let Some(relayed) = allocation.relays.of(version) {
            let (relay, local) = (RelayId::new(key, version), relayed.local);
            if relayed.claim.place().is_some() {
                return self.bound(now, relay);
            }
            self.act(if is_udp {
                Action::Bind {
                    relay,
                    local,
                    with_next,
                }
            } else {
                Action::Listen { relay, local }
            });
        }
    }

    /// A relay socket is bound.
    pub(crate) fn bound(&mut self, now: Now, relay: RelayId) {
        let Some(key) = self.allocations.key_at(relay.index()) else {
            return;
        };
        let Some(allocation) = self.allocations.get_mut(key) else {
            return;
        };
        if let Some(relayed) = allocation.relays.of(relay.version()) {
            relayed.claim.go_live();
            self.answered(now, key);
        }
    }

    /// A relay socket is bound where the driver chose. It may be another place than the client asked for (RFC 8656 §18.6,
    /// REQUESTED-ADDRESS-FAMILY).
    pub(crate) fn bound_at(
        &mut self,
        now: Now,
        relay: RelayId,
        local: SocketAddr,
        told: SocketAddr,
    ) {
        let Some(allocation) = self.by_relay(relay) else {
            return;
        };
        let Some(binding) = allocation.binding() else {
            return;
        };
        let even = binding.may_move.is_some_and(|want| want != Want::Any);
        let wrong = if Version::of(told.ip()) != relay.version() {
            Some(BindFailure::NoSuchFamily)
        } else {
            (even && !told.port().is_multiple_of(2)).then_some(BindFailure::InUse)
        };
        if let Some(cause) = wrong {
            self.act(Action::Unbind { relay });
            return self.bind_failed(now, relay, cause);
        }
        if let Some(relayed) = allocation.relays.of_mut(relay.version()) {
            (relayed.local, relayed.told) = (local, told);
        }
        self.bound(now, relay);
    }

    /// A relay socket could not be bound: another port may do, else the allocation has to do without.
    pub(crate) fn bind_failed(&mut self, now: Now, relay: RelayId, cause: BindFailure) {
        let Some(key) = self.allocations.key_at(relay.index()) else {
            return;
        };
        if cause == BindFailure::InUse && self.move_port(key, relay.version()) {
            return self.ask_to_bind(now, key, relay.version());
        }
        let Some(allocation) = self.allocations.get_mut(key) else {
            return;
        };
        let Some(binding) = allocation.binding() else {
            return;
        };
        let why = match cause {
            BindFailure::NoSuchFamily => Reject::UnsupportedFamily,
            _ => Reject::InsufficientCapacity,
        };
        binding.lacking = Some((relay.version(), why));
        if let Some(relayed) = allocation.relays.take(relay.version()) {
            let local = relayed.local;
            self.act(Action::Event(Event::BindFailed { local, cause }));
            self.answered(now, key);
        }
    }

    /// Claims another port of the same kind in place of one that another program holds.
    fn move_port(&mut self, key: Key, version: Version) -> bool {
        let random = self.rng.next_u32();
        let Some(allocation) = self.allocations.get_mut(key) else {
            return false;
        };
        let (Some(binding), Some(relayed)) = (
            allocation.phase.binding(),
            allocation.relays.of_mut(version),
        ) else {
            return false;
        };
        let want = binding
            .may_move
            .filter(|_| binding.tried.len() < BIND_TRIES);
        let claimed = want.and_then(|want| {
            let ip = relayed.local.ip();
            self.shared.ports.claim(ip, want, random)
        });
        let Some((claim, next)) = claimed else {
            return false;
        };
        let Some(local) = claim.address() else {
            return false;
        };
        // The old ports are returned when all is over, so that none is tried twice.
        binding.tried.push(mem::replace(&mut relayed.claim, claim));
        if let (Some(next), Some((held, _))) = (next, &mut binding.next) {
            binding.tried.push(mem::replace(held, next));
        }
        relayed.local = local;
        relayed.told = external::advertised(&self.config.externals, local);
        true
    }

    /// One bind is answered: when it was the last, the client is.
    fn answered(&mut self, now: Now, key: Key) {
        let Some(allocation) = self.allocations.get_mut(key) else {
            return;
        };
        let Some(binding) = allocation.binding() else {
            return;
        };
        binding.waiting = binding.waiting.saturating_sub(1);
        if binding.waiting > 0 {
        } else if allocation.relays.is_empty() {
            self.allocate_in_vain(key);
        } else {
            self.begin(now, key);
        }
    }

    /// The allocation begins and its client is told.
    fn begin(&mut self, now: Now, key: Key) {
        let Some(allocation) = self.allocations.get_mut(key) else {
            return;
        };
        let (begun, user) = (allocation.begin(), allocation.user.clone());
        let Some(binding) = begun else {
            return;
        };
        let reserve = |(claim, ticket)| self.reserve(now, user, claim, ticket);
        let token = binding.next.map(reserve);
        let ticket = binding.mobile.then(|| self.first_ticket(key));
        let Some(allocation) = self.allocations.get_mut(key) else {
            return;
        };
        let mut answer = self
            .responder
            .success(Method::ALLOCATE, allocation.created_by);
        for relayed in allocation.relays.iter() {
            answer = answer.xor_relayed_address(relayed.told);
        }
        answer = answer
            .lifetime(u32::try_from(binding.lifetime.as_secs()).unwrap_or(u32::MAX))
            .xor_mapped_address(allocation.path.client);
        if let Some(token) = token {
            answer = answer.reservation_token(token);
        }
        if let Some(ticket) = ticket {
            answer = answer.mobility_ticket(&ticket);
        }
        if let Some((version, why)) = binding.lacking {
            answer = answer.address_error_code(version.family(), why.code());
        }
        if let Some(software) = &self.config.software {
            answer = answer.software(software);
        }
        let bytes = answer.finish(allocation.integrity(), binding.fingerprint);
        allocation.created_reply = bytes.into();
        let (path, bytes) = (allocation.path, bytes.to_vec());
        let started = started(allocation, binding.lifetime);
        self.stats.successes += 1;
        self.stats.allocations_created += 1;
        self.act(Action::Send { path, bytes });
        if let Some(started) = started {
            self.act(Action::Event(started));
        }
    }

    /// No relay socket could be bound: the client is told so, and nothing is left of its request.
    fn allocate_in_vain(&mut self, key: Key) {
        let Some(mut allocation) = self.abandon(key) else {
            return;
        };
        let Some(binding) = allocation.begin() else {
            return;
        };
        let why = binding.lacking.map(|(_, why)| why);
        let (reject, fingerprint) = (
            why.unwrap_or(Reject::InsufficientCapacity),
            binding.fingerprint,
        );
        self.count(&reject);
        let id = allocation.created_by;
        let reason = self.reason(&reject);
        let answer = (self.responder).error(Method::ALLOCATE, id, reject.code(), reason);
        let bytes = answer.finish(allocation.integrity(), fingerprint).to_vec();
        let path = allocation.path;
        self.act(Action::Send { path, bytes });
    }
}

fn started(allocation: &Allocation, lifetime: Duration) -> Option<Event> {
    let mut relays = allocation.relays.iter().map(|relayed| relayed.told);
    Some(Event::Started {
        session: allocation.session,
        path: allocation.path,
        user: allocation.user.clone(),
        relayed: relays.next()?,
        second: relays.next(),
        lifetime,
        secured: None,
    })
}
