//! Where an allocation's relay sockets will be (RFC 8656 §7.2 steps 5 to 10): address, port, reservation, quota.

use std::{net::IpAddr, sync::Arc};

use turn_wire::{Family, Request};

use super::allocate::UDP;
use crate::{
    DefaultFamily, Now, Path, PortClaim, RelayChoice,
    auth::Requester,
    ports::Want,
    quota::Ticket,
    reject::Reject,
    relay::Relay,
    relayed::{Lacking, Version},
    reservation::{Reservation, Token},
    timers::Due,
};

/// The ports for a new allocation.
pub(crate) struct Ports {
    /// One, or one of each IP version.
    pub(crate) claims: Vec<PortClaim>,
    /// The half of a dual allocation that cannot be had, and why.
    pub(crate) lacking: Option<Lacking>,
    /// The allocation's place in the quota.
    pub(crate) ticket: Ticket,
    /// Which other port would do as well.
    pub(crate) may_move: Option<Want>,
    /// The next port, to be reserved once both are bound. It counts like the allocation that it may become.
    pub(crate) next: Option<(PortClaim, Ticket)>,
}

impl Relay {
    pub(crate) fn choose_ports(
        &mut self,
        now: Now,
        path: &Path,
        request: &Request,
        requester: &Requester,
    ) -> Result<Ports, Reject> {
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
        // Steps 8 and 9: a second address is an IPv6 one beside IPv4, and there are no two reserved ports.
        match additional {
            Some(Family::V4) => return Err(Reject::BadRequest),
            Some(_) if even == Some(true) => return Err(Reject::BadRequest),
            Some(Family::Other(_)) => return Err(Reject::UnsupportedFamily),
            Some(Family::V6) | None => {}
        }
        let version = self.choose_version(path, family)?;
        // Step 10, before the range is searched: somebody over quota is not worth it.
        let ticket = self.ticket(now, path, requester)?;
        // Step 8: EVEN-PORT, and whether the next port is reserved.
        let shares = self.shares_ports(request)?;
        let (want, second) = match even {
            // Where all share a few ports, an even one may be among them, but none can be reserved for one client.
            Some(true) if shares => return Err(Reject::InsufficientCapacity),
            Some(false) if shares => (Want::SharedEven, None),
            None if shares => (Want::Shared, None),
            None => (Want::Any, None),
            Some(false) => (Want::Even, None),
            Some(true) => (Want::Pair, Some(self.ticket(now, path, requester)?)),
        };
        let (claims, next, lacking) = if additional.is_some() {
            let (claims, lacking) = self.dual_ports(path, want)?;
            (claims, None, lacking)
        } else {
            let (claim, next) = self.claim_port(path, version, want)?;
            (vec![claim], next, None)
        };
        Ok(Ports {
            claims,
            lacking,
            ticket,
            may_move: Some(want).filter(|_| !shares),
            next: next.zip(second),
        })
    }

    /// Whether an allocation gets a share of a port: only datagrams can be told apart there.
    fn shares_ports(&self, request: &Request) -> Result<bool, Reject> {
        let udp = request.requested_transport()? == Some(UDP);
        Ok(udp && self.shared.multiplex.is_some())
    }

    /// Step 9: an address of each version, or of one and the reason why not of the other.
    fn dual_ports(
        &mut self,
        path: &Path,
        want: Want,
    ) -> Result<(Vec<PortClaim>, Option<Lacking>), Reject> {
        let [v4, v6] = Version::BOTH.map(|version| self.claim_port(path, version, want));
        match (v4, v6) {
            (Ok((v4, _)), Ok((v6, _))) => Ok((vec![v4, v6], None)),
            (Ok((v4, _)), Err(why)) => Ok((vec![v4], Some((Version::V6, why)))),
            (Err(why), Ok((v6, _))) => Ok((vec![v6], Some((Version::V4, why)))),
            (Err(_), Err(_)) => Err(Reject::InsufficientCapacity),
        }
    }

    /// Claims a port of a version: 440 without an address of it, 508 without a free port.
    fn claim_port(
        &mut self,
        path: &Path,
        version: Version,
        want: Want,
    ) -> Result<(PortClaim, Option<PortClaim>), Reject> {
        let ip = self.choose_address(path, version)?;
        let claim = match want {
            Want::Shared | Want::SharedEven => {
                let even = want == Want::SharedEven;
                let claim = self.shared.share(ip, self.worker, even);
                claim.map(|claim| (claim, None))
            }
            _ => (self.shared.ports).claim(ip, want, self.rng.next_u32()),
        };
        claim.ok_or(Reject::InsufficientCapacity)
    }

    fn reserved_port(
        &mut self,
        now: Now,
        token: Token,
        requester: &Requester,
    ) -> Result<Ports, Reject> {
        let taken = self
            .shared
            .reservations
            .take(token, &requester.user, now.mono);
        let Reservation { claim, ticket, .. } = taken.ok_or(Reject::InsufficientCapacity)?;
        Ok(Ports {
            claims: vec![claim],
            lacking: None,
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

    fn ticket(&self, now: Now, path: &Path, requester: &Requester) -> Result<Ticket, Reject> {
        let (caps, client) = (&self.config.guard.caps, path.client.ip());
        self.shared
            .quotas
            .claim(caps, &requester.counted_user(), client, now.mono)
            .map_err(Reject::QuotaReached)
    }

    /// Chooses the IP version of the relayed address (RFC 8656 §7.2 step 7).
    ///
    /// Without a family the RFC knows IPv4 alone, and 440 where there is none. A server of IPv6 alone serves such clients
    /// all the same: browsers name no family.
    fn choose_version(&self, path: &Path, family: Option<Family>) -> Result<Version, Reject> {
        let relays = &self.config.relays.addresses;
        let has = |version| relays.iter().any(|ip| Version::of(*ip) == version);
        let client = Version::of(path.client.ip());
        let preferred = match (family, self.config.default_family) {
            (Some(Family::V4), _) => return Ok(Version::V4),
            (Some(Family::V6), _) => return Ok(Version::V6),
            (Some(Family::Other(_)), _) => return Err(Reject::UnsupportedFamily),
            (None, DefaultFamily::Keep) if has(client) => client,
            (None, DefaultFamily::V6) => Version::V6,
            (None, DefaultFamily::V4 | DefaultFamily::Keep) => Version::V4,
        };
        let other = match preferred {
            Version::V4 => Version::V6,
            Version::V6 => Version::V4,
        };
        Ok(if has(preferred) { preferred } else { other })
    }

    /// Chooses the relay address of a version.
    fn choose_address(&mut self, path: &Path, version: Version) -> Result<IpAddr, Reject> {
        let relays = &self.config.relays;
        let of_version = |ip: &&IpAddr| Version::of(**ip) == version;
        let candidates = relays.addresses.iter().filter(of_version);
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
