//! The relayed transport addresses of an allocation: one, or one of each IP version (a dual allocation, RFC 8656 §7.2 step 9).

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use turn_wire::Family;

use crate::{PortClaim, RelayId, reject::Reject, slab::Key};

/// The IP version of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V4,
    V6,
}

/// One relayed transport address.
pub(crate) struct Relayed {
    pub(crate) claim: PortClaim,
    /// The address that is bound.
    pub(crate) local: SocketAddr,
    /// The address that the client is told.
    pub(crate) told: SocketAddr,
    /// Each address of a dual allocation is refreshed by itself (RFC 8656 §8).
    pub(crate) expires_at: Duration,
}

/// The half of a dual allocation that cannot be had, and why.
pub(crate) type Lacking = (Version, Reject);

/// At most one relayed address of each version.
#[derive(Default)]
pub(crate) struct RelayedAddresses([Option<Relayed>; 2]);

impl Version {
    pub(crate) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    #[inline]
    pub(crate) fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// The family as messages name it.
    pub(crate) fn family(self) -> Family {
        match self {
            Self::V4 => Family::V4,
            Self::V6 => Family::V6,
        }
    }
}

impl RelayId {
    /// The relay socket of an allocation for one version: the lowest bit tells which.
    pub(crate) fn new(key: Key, version: Version) -> Self {
        Self(key.index() << 1 | version as u32)
    }

    /// The allocation's place.
    pub(crate) fn index(self) -> u32 {
        self.0 >> 1
    }

    pub(crate) fn version(self) -> Version {
        if self.0 & 1 == 0 {
            Version::V4
        } else {
            Version::V6
        }
    }
}

impl RelayedAddresses {
    #[inline]
    pub(crate) fn of(&self, version: Version) -> Option<&Relayed> {
        self.0[version as usize].as_ref()
    }

    pub(crate) fn of_mut(&mut self, version: Version) -> Option<&mut Relayed> {
        self.0[version as usize].as_mut()
    }

    /// Adds an address; the one that was there is dropped.
    pub(crate) fn put(&mut self, relayed: Relayed) {
        let version = Version::of(relayed.local.ip());
        self.0[version as usize] = Some(relayed);
    }

    pub(crate) fn take(&mut self, version: Version) -> Option<Relayed> {
        self.0[version as usize].take()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// All addresses, IPv4 first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Relayed> {
        self.0.iter().flatten()
    }

    /// Which versions there are.
    pub(crate) fn versions(&self) -> impl Iterator<Item = Version> + use<> {
        let held = Version::BOTH.map(|version| self.of(version).map(|_| version));
        held.into_iter().flatten()
    }

    /// When the first of them expires.
    pub(crate) fn next_expiry(&self) -> Option<Duration> {
        self.iter().map(|relayed| relayed.expires_at).min()
    }
}
