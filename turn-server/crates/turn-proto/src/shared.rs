//! What all workers of one server share: ports, quotas, reservations and the names of connections.

use std::{net::IpAddr, ops::RangeInclusive, sync::Arc};

use crate::{PortPool, Quotas, connections::Names, reservation::Reservations};

/// What all workers share. None of it is touched by a relayed packet, apart from reading one word of the port map when
/// a peer is one of our own addresses.
#[derive(Debug)]
pub struct Shared {
    /// The relay ports.
    pub ports: Arc<PortPool>,
    /// Allocations per user and in total.
    pub quotas: Arc<Quotas>,
    pub(crate) reservations: Reservations,
    pub(crate) connections: Arc<Names>,
}

impl Shared {
    /// Makes the shared part for these relay addresses, ports and limits (zero is unlimited).
    pub fn new(
        relays: &[IpAddr],
        ports: RangeInclusive<u16>,
        user_quota: u32,
        total_quota: u32,
    ) -> Arc<Self> {
        Arc::new(Self {
            ports: PortPool::new(relays, ports),
            quotas: Quotas::new(user_quota, total_quota),
            reservations: Reservations::default(),
            connections: Arc::default(),
        })
    }
}
