//! What kind of place an address is: the tables of the IANA special-purpose registries (RFC 6890), and the addresses at which
//! clouds hand out credentials. The standard library's `is_global` is not used: it lags behind the registries.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Reachable by anybody.
    Public,
    /// Set aside for private or special use (IANA special-purpose registries).
    Private,
    /// Valid on one link only.
    LinkLocal,
    /// This machine.
    Loopback,
    /// Hands out credentials to whoever asks from inside a cloud.
    Metadata,
    /// No single machine: unspecified, multicast or broadcast.
    Nobody,
}

impl Scope {
    /// The kind of place that an address is, by itself: what it may carry is not looked at.
    pub(crate) fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => scope_v4(ip),
            IpAddr::V6(ip) => scope_v6(ip),
        }
    }

    /// Whether nothing that is configured makes it a peer.
    pub(crate) fn is_never(self) -> bool {
        matches!(self, Self::Nobody | Self::Metadata)
    }
}

fn scope_v4(ip: Ipv4Addr) -> Scope {
    const METADATA: [[u8; 4]; 6] = [
        [169, 254, 169, 254], // most clouds
        [169, 254, 170, 2],   // container credentials
        [169, 254, 170, 23],  // pod identities
        [100, 100, 100, 200],
        [168, 63, 129, 16], // looks public
        [192, 0, 0, 192],
    ];
    if METADATA.contains(&ip.octets()) {
        return Scope::Metadata;
    }
    match ip.octets() {
        [0, 0, 0, 0] | [224..=239, ..] | [255, 255, 255, 255] => Scope::Nobody,
        [127, ..] => Scope::Loopback,
        [169, 254, ..] => Scope::LinkLocal,
        [0 | 10 | 240..=255, ..]
        | [100, 64..=127, ..]
        | [172, 16..=31, ..]
        | [192, 0, 0 | 2, _]
        | [192, 31, 196, _]
        | [192, 52, 193, _]
        | [192, 88, 99, _]
        | [192, 168, ..]
        | [192, 175, 48, _]
        | [198, 18..=19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Scope::Private,
        _ => Scope::Public,
    }
}

fn scope_v6(ip: Ipv6Addr) -> Scope {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] | [0xff00..=0xffff, ..] => Scope::Nobody,
        [0, 0, 0, 0, 0, 0, 0, 1] => Scope::Loopback,
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => {
            Scope::Metadata
        }
        [0xfe80..=0xfebf, ..] => Scope::LinkLocal,
        // Within the one range of global unicast addresses these are set aside.
        [0x2001, 0..=0x1ff, ..]
        | [0x2001, 0xdb8, ..]
        | [0x2002, ..]
        | [0x2620, 0x4f, 0x8000, ..]
        | [0x3ffe, ..]
        | [0x3fff, 0..=0xfff, ..] => Scope::Private,
        [0x2000..=0x3fff, ..] => Scope::Public,
        _ => Scope::Private,
    }
}

#[cfg(test)]
mod tests {
    use super::Scope;

    /// The policy knows this machine by other means as well; a log or a message has to name the place right.
    #[test]
    fn loopback_addresses_are_this_machine() {
        for ip in ["127.0.0.1", "127.255.255.255", "::1"] {
            assert_eq!(Scope::of(ip.parse().unwrap()), Scope::Loopback, "{ip}");
        }
        for ip in ["126.255.255.255", "128.0.0.0"] {
            assert_eq!(Scope::of(ip.parse().unwrap()), Scope::Public, "{ip}");
        }
    }
}
