//! What all workers of one server share: ports, quotas, reservations, the names of connections and the tickets of sessions.

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    Multiplex, PortClaim, PortPool, Quotas, connections::Names, mobility::Tickets,
    reservation::Reservations,
};

/// What all workers share. None of it is touched by a relayed packet, apart from reading one word of the port map when
/// a peer is one of our own addresses, and from counting packets where the operator limits rates.
#[derive(Debug)]
pub struct Shared {
    /// The relay ports.
    pub ports: Arc<PortPool>,
    /// Allocations per user and in total.
    pub quotas: Arc<Quotas>,
    pub(crate) reservations: Reservations,
    pub(crate) connections: Arc<Names>,
    pub(crate) tickets: Arc<Tickets>,
    /// The relay ports that allocations share, instead of each having its own.
    pub multiplex: Option<Multiplex>,
    draining: AtomicBool,
}

impl Shared {
    /// Makes the shared part for these relay addresses, ports and limits (zero is unlimited).
    pub fn new(
        relays: &[IpAddr],
        ports: RangeInclusive<u16>,
        user_quota: u32,
        total_quota: u32,
    ) -> Arc<Self> {
        Self::with(relays, ports, [user_quota, total_quota], None)
    }

    /// The same with relay ports that allocations share; of `ports` none is used.
    pub fn multiplexed(
        relays: &[IpAddr],
        ports: RangeInclusive<u16>,
        [user_quota, total_quota]: [u32; 2],
        multiplex: Multiplex,
    ) -> Arc<Self> {
        Self::with(relays, ports, [user_quota, total_quota], Some(multiplex))
    }

    fn with(
        relays: &[IpAddr],
        ports: RangeInclusive<u16>,
        [user_quota, total_quota]: [u32; 2],
        multiplex: Option<Multiplex>,
    ) -> Arc<Self> {
        let shared = multiplex.as_ref().map(Multiplex::ports);
        Arc::new(Self {
            ports: PortPool::with_shared(relays, ports, shared),
            quotas: Quotas::new(user_quota, total_quota),
            reservations: Reservations::default(),
            connections: Arc::default(),
            tickets: Arc::default(),
            multiplex,
            draining: AtomicBool::new(false),
        })
    }

    /// Refuses new allocations from now on, or takes them again. Those that there are go on.
    pub fn drain(&self, on: bool) {
        self.draining.store(on, Ordering::Relaxed);
    }

    /// Whether new allocations are refused.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Claims a share of one of the shared ports of an address, for an allocation of this worker.
    pub(crate) fn share(&self, ip: IpAddr, worker: u16, even: bool) -> Option<PortClaim> {
        let at = self.multiplex.as_ref()?.choose(ip, worker, even)?;
        self.claim_exactly(at)
    }

    /// Claims exactly this address and port: its own if it is free, or a share of a shared one.
    pub(crate) fn claim_exactly(&self, at: SocketAddr) -> Option<PortClaim> {
        let multiplex = self.multiplex.as_ref();
        match multiplex.and_then(|multiplex| multiplex.place_of(at)) {
            Some(place) => self.ports.share(at, place),
            None => self.ports.claim_exactly(at),
        }
    }
}
