//! Where an allocation's relay socket will be (RFC 8656 §7.2 steps 5 to 10): address, port, reservation, quota.

use std::{net::IpAddr, sync::Arc};

use turn_wire::{Family, Request};

use crate::{
    DefaultFamily, Now, Path, PortClaim, RelayChoice,
    auth::Requester,
    ports::Want,
    quota::Ticket,
    reject::Reject,
    relay::Relay,
    reservation::{Reservation, Token},
    timers::Due,
};

/// A port for a new allocation.
pub(crate) struct Port {
    pub(crate) claim: PortClaim,
    /// Its place in the quota.
    pub(crate) ticket: Ticket,
    /// Which other port would do as well.
    pub(crate) may_move: Option<Want>,
    /// The next port, to be reserved once both are bound. It counts like the allocation that it may become.
    pub(crate) next: Option<(PortClaim, Ticket)>,
}

impl Relay {
    pub(crate) fn choose_port(
        &mut self,
        now: Now,
        path: &Path,
        request: &Request,
        requester: &Requester,
    ) -> Result<Port, Reject> {
        let (even, token) = (request.even_port()?, request.reservation_token()?);
        let (family, additional) = (request.requested_family()?, request.additional_family()?);
        // Step 5: a token says which address and port, so nothing else may.
        if let Some(token) = token {
            if even.is_some() || family.is_some() || additional.is_some() {
                return Err(Reject::BadRequest);
            }
            return self.reserved_port(now, token, requester);
        }
        // Step 6: both family attributes contradict each other.
        if family.is_some() && additional.is_some() {
            return Err(Reject::BadRequest);
        }
        let ip = self.choose_address(path, family)?;
        // Step 10, before the range is searched: somebody over quota is not worth it.
        let ticket = self.ticket(requester)?;
        // Step 9: EVEN-PORT, and whether the next port is reserved.
        let (want, second) = match even {
            None => (Want::Any, None),
            Some(false) => (Want::Even, None),
            Some(true) => (Want::Pair, Some(self.ticket(requester)?)),
        };
        let claim = self.shared.ports.claim(ip, want, self.rng.next_u32());
        let (claim, next) = claim.ok_or(Reject::InsufficientCapacity)?;
        Ok(Port {
            claim,
            ticket,
            may_move: Some(want),
            next: next.zip(second),
        })
    }

    fn reserved_port(
        &mut self,
        now: Now,
        token: Token,
        requester: &Requester,
    ) -> Result<Port, Reject> {
        let taken = self
            .shared
            .reservations
            .take(token, &requester.user, now.mono);
        let Reservation { claim, ticket, .. } = taken.ok_or(Reject::InsufficientCapacity)?;
        Ok(Port {
            claim,
            ticket,
            may_move: None,
            next: None,
        })
    }

    /// Reserves a port that is bound and kept, and names the reservation.
    pub(crate) fn reserve(
        &mut self,
        now: Now,
        user: Arc<str>,
        claim: PortClaim,
        ticket: Ticket,
    ) -> Token {
        let mut token = Token::default();
        self.rng.fill_bytes(&mut token);
        let expires_at = now.mono + self.config.lifetimes.reservation;
        let reservation = Reservation {
            user,
            claim,
            ticket,
            expires_at,
        };
        self.shared.reservations.hold(token, reservation);
        self.timers.arm(expires_at, Due::Reservation(token));
        token
    }

    fn ticket(&self, requester: &Requester) -> Result<Ticket, Reject> {
        self.shared
            .quotas
            .claim(&requester.user)
            .map_err(Reject::QuotaReached)
    }

    /// Chooses the relay address (RFC 8656 §7.2 steps 7 and 8).
    fn choose_address(&mut self, path: &Path, family: Option<Family>) -> Result<IpAddr, Reject> {
        let of = |v4: bool| move |ip: &&IpAddr| ip.is_ipv4() == v4;
        let relays = &self.config.relays;
        let has = |v4: bool| relays.addresses.iter().any(|ip| ip.is_ipv4() == v4);
        let v4 = match family {
            Some(Family::V4) => true,
            Some(Family::V6) => false,
            Some(Family::Other(_)) => return Err(Reject::UnsupportedFamily),
            None => match self.config.default_family {
                DefaultFamily::V4 => has(true),
                DefaultFamily::V6 => !has(false),
                DefaultFamily::Keep if has(path.client.is_ipv4()) => path.client.is_ipv4(),
                DefaultFamily::Keep => has(true),
            },
        };
        let candidates = relays.addresses.iter().filter(of(v4));
        let count = candidates.clone().count();
        if count == 0 {
            return Err(Reject::UnsupportedFamily);
        }
        let chosen = match relays.choice {
            RelayChoice::SameAsServer => candidates
                .clone()
                .find(|ip| **ip == path.server.ip())
                .or_else(|| candidates.clone().find(|ip| !ip.is_loopback()))
                .or_else(|| candidates.clone().next()),
            RelayChoice::RoundRobin => {
                self.next_relay = self.next_relay.wrapping_add(1);
                candidates.clone().nth(self.next_relay % count)
            }
        };
        chosen.copied().ok_or(Reject::UnsupportedFamily)
    }
}
