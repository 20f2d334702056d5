//! A peer's address in its one form, and the IPv4 addresses that an IPv6 address leads to. Made once, where an address comes
//! in; nothing behind that handles a peer as a bare `IpAddr`.
//!
//! Not in: which of them may be reached (`peers`), and what kind of place an address is (`scope`).

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// A peer's IP address, never an IPv4 address in IPv6 clothes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerIp(IpAddr);

/// A peer's transport address: a [`PeerIp`], a port, and nothing else (no scope, no flow label).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddr {
    ip: PeerIp,
    port: u16,
}

impl PeerIp {
    /// Takes an address as it was named. `None` for an IPv4-mapped address (RFC 4291 §2.5.5.2): an IPv6 socket that is only
    /// IPv6 cannot reach it, and under its other name it would be of another family than the client has said.
    #[inline]
    pub fn of(named: IpAddr) -> Option<Self> {
        (named == named.to_canonical()).then_some(Self(named))
    }

    /// The address, to be judged or compared.
    #[inline]
    pub fn ip(self) -> IpAddr {
        self.0
    }

    /// This address with a port.
    pub(crate) fn at(self, port: u16) -> PeerAddr {
        PeerAddr { ip: self, port }
    }

    /// Every IPv4 address that a packet to this address may arrive at, by translation or through a tunnel.
    ///
    /// An address can carry several: the interface identifier of a 6to4 address may be one of ISATAP.
    pub(crate) fn leads_to(self, nat64: &[Nat64Prefix]) -> impl Iterator<Item = Ipv4Addr> {
        let bits = match self.0 {
            IpAddr::V4(_) => None,
            IpAddr::V6(ip) => Some(ip.to_bits()),
        };
        bits.into_iter().flat_map(move |bits| {
            let site = move || nat64.iter().filter_map(move |prefix| prefix.decode(bits));
            let guessed = if site().next().is_none() {
                local_nat64(bits)
            } else {
                [None; 4]
            };
            let known = well_known(bits).into_iter().chain(guessed);
            known.flatten().chain(site())
        })
    }
}

impl PeerAddr {
    /// Takes an address as it was named; `None` as for [`PeerIp::of`].
    #[inline]
    pub fn of(named: SocketAddr) -> Option<Self> {
        let (ip, port) = (PeerIp::of(named.ip())?, named.port());
        Some(Self { ip, port })
    }

    /// The IP address.
    #[inline]
    pub fn ip(self) -> PeerIp {
        self.ip
    }

    /// The port.
    #[inline]
    pub fn port(self) -> u16 {
        self.port
    }

    /// The address as sockets and wire formats want it.
    #[inline]
    pub fn socket(self) -> SocketAddr {
        SocketAddr::new(self.ip.0, self.port)
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket().fmt(f)
    }
}

/// A prefix under which a site's translator reaches IPv4 (RFC 6052 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nat64Prefix {
    prefix: u128,
    length: u32,
}

impl Nat64Prefix {
    /// Makes a prefix; `None` unless its length is one that RFC 6052 §2.2 allows.
    pub fn new(prefix: Ipv6Addr, length: u8) -> Option<Self> {
        let length = u32::from(length);
        let allowed = [32, 40, 48, 56, 64, 96].contains(&length);
        let prefix = prefix.to_bits() >> (128 - length.clamp(1, 128));
        allowed.then_some(Self { prefix, length })
    }

    fn decode(&self, bits: u128) -> Option<Ipv4Addr> {
        (bits >> (128 - self.length) == self.prefix).then(|| behind_prefix(bits, self.length))
    }
}

/// The IPv4 address behind a NAT64 prefix of `length` bits (RFC 6052 §2.2): bits 64 to 71 are no part of it.
fn behind_prefix(bits: u128, length: u32) -> Ipv4Addr {
    if length >= 96 {
        return low(bits);
    }
    let without_u = bits >> 64 << 56 | (bits & ((1 << 56) - 1));
    low(without_u >> (88 - length))
}

/// The lowest 32 bits as an address.
fn low(bits: u128) -> Ipv4Addr {
    let [.., a, b, c, d] = bits.to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}

/// What NAT64's prefix for local use (RFC 8215) may lead to: a site cuts it as it likes, so every cut is looked at, unless the
/// operator has said which one it is. One that gives 0.x.y.z was not the site's.
fn local_nat64(bits: u128) -> [Option<Ipv4Addr>; 4] {
    if bits >> 80 != 0x64_ff9b_0001 {
        return [None; 4];
    }
    let cuts = [48, 56, 64, 96].map(|length| behind_prefix(bits, length));
    let found = cuts.map(|ip| Some(ip).filter(|ip| ip.octets()[0] != 0));
    if found == [None; 4] {
        [Some(low(bits)), None, None, None]
    } else {
        found
    }
}

/// What the prefixes and interface identifiers that everybody knows lead to: two at a prefix, one behind it.
fn well_known(bits: u128) -> [Option<Ipv4Addr>; 3] {
    let parts = Ipv6Addr::from_bits(bits).segments();
    let (first, second) = match parts {
        // IPv4-compatible (RFC 4291 §2.5.5.1), but not :: and ::1.
        [0, 0, 0, 0, 0, 0, high, last] if (high, last) > (0, 1) => (Some(low(bits)), None),
        // IPv4-translated (SIIT, RFC 2765 §2.1), and NAT64's well-known prefix (RFC 6052 §2.1).
        [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => (Some(low(bits)), None),
        // 6to4 (RFC 3056 §2): behind the first 16 bits.
        [0x2002, ..] => (Some(low(bits >> 80)), None),
        // Teredo (RFC 4380 §4): the server, and the client with every bit turned.
        [0x2001, 0, ..] => (Some(low(bits >> 64)), Some(low(!bits))),
        _ => (None, None),
    };
    // ISATAP (RFC 5214 §6.1): the u and g bits of the interface identifier say nothing about where it leads.
    let isatap = parts[4] & !0x0300 == 0 && parts[5] == 0x5efe;
    [first, second, isatap.then(|| low(bits))]
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::{Nat64Prefix, PeerAddr, PeerIp};

    fn leads(text: &str, nat64: &[Nat64Prefix]) -> Vec<Ipv4Addr> {
        PeerIp::of(text.parse().unwrap())
            .unwrap()
            .leads_to(nat64)
            .collect()
    }

    #[test]
    fn every_form_gives_its_ipv4_address() {
        let v4: Ipv4Addr = "192.0.2.33".parse().unwrap();
        for form in [
            "::192.0.2.33",
            "::ffff:0:192.0.2.33",
            "64:ff9b::192.0.2.33",
            "64:ff9b:1:c000:2:2100::",
            "64:ff9b:1:c0:0:221::",
            "64:ff9b:1::c0:2:2100:0",
            "64:ff9b:1:abcd::192.0.2.33",
            "2002:c000:221::1",
            "2001:0:102:304:8000:1:3fff:fdde",
            "2001:0:c000:221:8000:1:fefd:fcfb",
            "2a00:1::5efe:192.0.2.33",
            "2a00:1::200:5efe:192.0.2.33",
            "2a00:1::300:5efe:192.0.2.33",
            "2002:102:304:1:0:5efe:c000:221",
        ] {
            assert!(
                leads(form, &[]).contains(&v4),
                "{form}: {:?}",
                leads(form, &[])
            );
        }
        for plain in [
            "::",
            "::1",
            "2a00::1:5efe:192.0.2.33",
            "64:ff9c::1.2.3.4",
            "192.0.2.33",
        ] {
            assert_eq!(leads(plain, &[]), [] as [Ipv4Addr; 0], "{plain}");
        }
    }

    #[test]
    fn a_sites_prefix_is_cut_as_the_rfc_draws_it() {
        // RFC 6052 §2.4, its whole table.
        for (length, prefix, form) in [
            (32, "2001:db8::", "2001:db8:c000:221::"),
            (40, "2001:db8:100::", "2001:db8:1c0:2:21::"),
            (48, "2001:db8:122::", "2001:db8:122:c000:2:2100::"),
            (56, "2001:db8:122:300::", "2001:db8:122:3c0:0:221::"),
            (64, "2001:db8:122:344::", "2001:db8:122:344:c0:2:2100::"),
            (96, "2001:db8:122:344::", "2001:db8:122:344::192.0.2.33"),
        ] {
            let site = Nat64Prefix::new(prefix.parse().unwrap(), length).unwrap();
            let v4: Ipv4Addr = "192.0.2.33".parse().unwrap();
            assert_eq!(leads(form, &[site]), [v4], "/{length}");
            assert_eq!(leads("2a00::1", &[site]), [] as [Ipv4Addr; 0]);
        }
        for length in [0, 31, 72, 80, 97, 128, 255] {
            assert_eq!(
                Nat64Prefix::new("2001:db8::".parse().unwrap(), length),
                None
            );
        }
    }

    #[test]
    fn a_mapped_address_is_no_peer_and_a_scope_makes_no_difference() {
        assert_eq!(PeerIp::of("::ffff:8.8.8.8".parse().unwrap()), None);
        assert_eq!(PeerAddr::of("[::ffff:8.8.8.8]:53".parse().unwrap()), None);
        let scoped = PeerAddr::of("[fe80::1%3]:53".parse().unwrap());
        assert_eq!(scoped, PeerAddr::of("[fe80::1]:53".parse().unwrap()));
        assert_eq!(scoped.unwrap().to_string(), "[fe80::1]:53");
    }
}
