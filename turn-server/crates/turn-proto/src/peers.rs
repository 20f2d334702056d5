//! Which peers a client may reach: the canonical form of an address, its scope, and the operator's lists.
//!
//! Order: never (unspecified, multicast, broadcast, cloud metadata, control ports) → own addresses, loopback among them (live
//! relays, or opened by name) → explicit allow → explicit deny → private ranges → allowed. Explicit allow beats explicit deny, as in coturn.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// An inclusive range of addresses of one family.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IpRange {
    first: IpAddr,
    last: IpAddr,
}

impl IpRange {
    /// Makes a range; `None` when the ends are of two families or in the wrong order.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Self { first, last })
    }

    /// Tells whether an address lies within, ends included.
    pub fn contains(&self, ip: IpAddr) -> bool {
        ip.is_ipv4() == self.first.is_ipv4() && self.first <= ip && ip <= self.last
    }

    /// Tells whether the range is exactly this one address.
    pub fn is_exactly(&self, ip: IpAddr) -> bool {
        self.first == ip && self.last == ip
    }
}

impl fmt::Debug for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

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

/// Why a peer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerDenied {
    /// The address is never relayed to.
    Never(Scope),
    /// One of the server's own addresses, and no live relay.
    Own,
    /// The operator's deny list names it.
    Listed,
    /// Private addresses are not allowed here.
    Private,
}

/// How an allowed peer is to be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Whatever the port.
    Free,
    /// The port is examined before each packet: one of our own addresses, or a machine with one of our backends.
    ByPort,
}

/// The operator's decisions about peers.
#[derive(Clone, Debug, Default)]
pub struct PeerPolicy {
    /// Ranges allowed although another rule would deny them.
    pub allow: Vec<IpRange>,
    /// Ranges denied.
    pub deny: Vec<IpRange>,
    /// Whether loopback addresses are peers. Dangerous outside tests.
    pub allow_loopback: bool,
    /// Whether private and special-purpose ranges are peers.
    pub allow_private: bool,
    /// The addresses of this machine, as it knows them itself.
    pub own: Vec<IpAddr>,
    /// Those of them that relays of ours are bound to: clients reach each other there.
    pub relays: Vec<IpAddr>,
    /// Addresses of our control plane and backends; an unspecified address stands for all of `own`.
    pub control: Vec<SocketAddr>,
}

impl PeerPolicy {
    /// Judges an address when a permission is asked for it, before any port is known.
    pub(crate) fn judge(&self, ip: IpAddr) -> Result<Standing, PeerDenied> {
        let ip = canonical(ip);
        let (scope, inner) = (scope(ip), embedded(ip));
        for scope in [Some(scope), inner.map(|inner| self::scope(inner.into()))]
            .into_iter()
            .flatten()
        {
            if matches!(scope, Scope::Nobody | Scope::Metadata) {
                return Err(PeerDenied::Never(scope));
            }
        }
        if let Some(inner) = inner {
            // An address that carries another one reaches what that one names: both have to be allowed, and our own
            // addresses are not reached by a detour.
            if self.judge(inner.into())? == Standing::ByPort {
                return Err(PeerDenied::Own);
            }
        }
        if self.is_own(ip) {
            let opened = if ip.is_loopback() {
                self.allow_loopback
            } else {
                self.allows_exactly(ip)
            };
            return if opened || self.relays.contains(&ip) {
                Ok(Standing::ByPort)
            } else {
                Err(PeerDenied::Own)
            };
        }
        let listed = |list: &[IpRange]| list.iter().any(|range| range.contains(ip));
        if !listed(&self.allow) {
            if listed(&self.deny) {
                return Err(PeerDenied::Listed);
            }
            if scope == Scope::LinkLocal || (scope == Scope::Private && !self.allow_private) {
                return Err(PeerDenied::Private);
            }
        }
        let backend = self.control.iter().any(|control| control.ip() == ip);
        Ok(if backend {
            Standing::ByPort
        } else {
            Standing::Free
        })
    }

    /// Judges a whole peer address whose IP address stands [`Standing::ByPort`]; `live` tells whether it is a live relay.
    pub(crate) fn admits(&self, peer: SocketAddr, live: bool) -> bool {
        let ip = canonical(peer.ip());
        let own = self.is_own(ip);
        let control = |control: &SocketAddr| {
            control.port() == peer.port()
                && (control.ip() == ip || (own && control.ip().is_unspecified()))
        };
        if self.control.iter().any(control) {
            return false;
        }
        !own || live
            || if ip.is_loopback() {
                self.allow_loopback
            } else {
                self.allows_exactly(ip)
            }
    }

    fn is_own(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.own.contains(&ip)
    }

    fn allows_exactly(&self, ip: IpAddr) -> bool {
        self.allow.iter().any(|range| range.is_exactly(ip))
    }
}

/// The one form of an address that rules are written for: an IPv4 address in IPv6 clothes becomes IPv4.
pub(crate) fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// The IPv4 address that an IPv6 address leads to by translation or a tunnel (RFC 6052, 3056, 4380, 5214, 2765).
fn embedded(ip: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(ip) = ip else { return None };
    let parts = ip.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match parts {
        // IPv4-compatible, but not :: and ::1.
        [0, 0, 0, 0, 0, 0, high, low] if (high, low) > (0, 1) => Some(v4(high, low)),
        // IPv4-translated (SIIT).
        [0, 0, 0, 0, 0xffff, 0, high, low] => Some(v4(high, low)),
        // NAT64, well-known prefix, and the /96 of the local-use prefix.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] => {
            Some(v4(high, low))
        }
        // 6to4.
        [0x2002, high, low, ..] => Some(v4(high, low)),
        // Teredo: the client's address is stored inverted.
        [0x2001, 0, _, _, _, _, high, low] => Some(v4(!high, !low)),
        // ISATAP interface identifiers.
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => Some(v4(high, low)),
        _ => None,
    }
}

fn scope(ip: IpAddr) -> Scope {
    match ip {
        IpAddr::V4(ip) => scope_v4(ip),
        IpAddr::V6(ip) => scope_v6(ip),
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
    use std::net::SocketAddr;

    use super::{IpRange, PeerDenied, PeerPolicy, Scope, Standing};

    fn judge(policy: &PeerPolicy, ip: &str) -> Result<Standing, PeerDenied> {
        policy.judge(ip.parse().unwrap())
    }

    fn open() -> PeerPolicy {
        PeerPolicy {
            allow_private: true,
            ..PeerPolicy::default()
        }
    }

    fn range(first: &str, last: &str) -> IpRange {
        IpRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap()
    }

    #[test]
    fn nobody_and_metadata_are_never_peers_in_any_clothes() {
        let all = PeerPolicy {
            allow: vec![
                range("169.254.169.254", "169.254.169.254"),
                range("0.0.0.0", "255.255.255.255"),
                range("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ],
            allow_loopback: true,
            ..open()
        };
        for ip in [
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "::ffff:0.0.0.0",
            "169.254.169.254",
            "168.63.129.16",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "::a9fe:a9fe",
            "::ffff:0:a9fe:a9fe",
            "2001:0:1:2:3:4:5601:5601",
            "2a00::200:5efe:a9fe:a9fe",
        ] {
            assert!(matches!(judge(&all, ip), Err(PeerDenied::Never(_))), "{ip}");
        }
    }

    #[test]
    fn loopback_is_a_peer_only_by_its_own_switch() {
        for ip in ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(judge(&open(), ip), Err(PeerDenied::Own), "{ip}");
            let peer = |ip: &str| std::net::SocketAddr::new(ip.parse().unwrap(), 80);
            assert!(!open().admits(peer(ip), false), "{ip}");
            let switched = PeerPolicy {
                allow_loopback: true,
                ..open()
            };
            assert_eq!(judge(&switched, ip), Ok(Standing::ByPort), "{ip}");
            assert!(
                PeerPolicy {
                    allow_loopback: true,
                    ..open()
                }
                .admits(peer(ip), false),
                "{ip}"
            );
        }
    }

    #[test]
    fn private_ranges_follow_the_setting_and_embedded_ones_too() {
        for ip in [
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "198.51.100.7",
            "fc00::1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
            "fec0::1",
            "5f00::1",
            "240.0.0.1",
        ] {
            assert_eq!(
                judge(&PeerPolicy::default(), ip),
                Err(PeerDenied::Private),
                "{ip}"
            );
        }
        for ip in ["10.1.2.3", "192.168.1.1", "fc00::1"] {
            assert_eq!(judge(&open(), ip), Ok(Standing::Free), "{ip}");
        }
        for ip in [
            "8.8.8.8",
            "2a00:1450:4001::1",
            "172.32.0.1",
            "100.128.0.1",
            "198.20.0.1",
        ] {
            assert_eq!(
                judge(&PeerPolicy::default(), ip),
                Ok(Standing::Free),
                "{ip}"
            );
        }
        assert_eq!(judge(&open(), "169.254.1.1"), Err(PeerDenied::Private));
        assert_eq!(judge(&open(), "fe80::1"), Err(PeerDenied::Private));
    }

    #[test]
    fn own_addresses_are_not_reached_by_a_detour() {
        let policy = PeerPolicy {
            allow_loopback: true,
            ..open()
        };
        for ip in [
            "2002:7f00:1::",
            "64:ff9b::7f00:1",
            "::127.0.0.1",
            "2001:0:1:2:3:4:80ff:fffe",
        ] {
            assert_eq!(judge(&policy, ip), Err(PeerDenied::Own), "{ip}");
        }
    }

    #[test]
    fn explicit_allow_beats_explicit_deny() {
        let policy = PeerPolicy {
            allow: vec![range("10.0.0.5", "10.0.0.5")],
            deny: vec![range("10.0.0.0", "10.0.0.255"), range("9.9.9.9", "9.9.9.9")],
            ..PeerPolicy::default()
        };
        assert_eq!(judge(&policy, "10.0.0.5"), Ok(Standing::Free));
        assert_eq!(judge(&policy, "10.0.0.6"), Err(PeerDenied::Listed));
        assert_eq!(judge(&policy, "9.9.9.9"), Err(PeerDenied::Listed));
    }

    #[test]
    fn own_addresses_are_live_relays_or_exactly_allowed() {
        let peer: SocketAddr = "198.51.100.1:22".parse().unwrap();
        let own = PeerPolicy {
            own: vec![peer.ip()],
            ..open()
        };
        assert_eq!(own.judge(peer.ip()), Err(PeerDenied::Own));
        let relaying = PeerPolicy {
            relays: vec![peer.ip()],
            ..own.clone()
        };
        assert_eq!(relaying.judge(peer.ip()), Ok(Standing::ByPort));
        assert!(!relaying.admits(peer, false));
        assert!(relaying.admits(peer, true));
        let wide = vec![range("198.51.100.0", "198.51.100.255")];
        assert_eq!(
            PeerPolicy {
                allow: wide,
                ..own.clone()
            }
            .judge(peer.ip()),
            Err(PeerDenied::Own)
        );
        let exact = PeerPolicy {
            allow: vec![range("198.51.100.1", "198.51.100.1")],
            ..own
        };
        assert_eq!(exact.judge(peer.ip()), Ok(Standing::ByPort));
        assert!(exact.admits(peer, false));
    }

    #[test]
    fn control_ports_are_closed_even_where_the_address_is_open() {
        let policy = PeerPolicy {
            allow_loopback: true,
            control: vec![
                "0.0.0.0:8080".parse().unwrap(),
                "9.9.9.9:6379".parse().unwrap(),
            ],
            ..open()
        };
        assert!(!policy.admits("127.0.0.1:8080".parse().unwrap(), true));
        assert!(policy.admits("127.0.0.1:8081".parse().unwrap(), false));
        assert_eq!(judge(&policy, "9.9.9.9"), Ok(Standing::ByPort));
        assert!(!policy.admits("9.9.9.9:6379".parse().unwrap(), false));
        assert!(policy.admits("9.9.9.9:80".parse().unwrap(), false));
    }

    #[test]
    fn a_range_of_two_families_or_backwards_is_none() {
        let new = |a: &str, b: &str| IpRange::new(a.parse().unwrap(), b.parse().unwrap());
        assert!(new("1.1.1.1", "::1").is_none());
        assert!(new("1.1.1.2", "1.1.1.1").is_none());
        assert!(!range("1.1.1.1", "1.1.1.3").contains("::ffff:1.1.1.2".parse().unwrap()));
        assert_eq!(super::scope("198.19.0.1".parse().unwrap()), Scope::Private);
    }
}
