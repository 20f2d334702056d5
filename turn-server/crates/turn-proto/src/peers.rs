//! Which peers a client may reach: the operator's lists over the scope of an address (`scope`) and of all that it leads to (`peer`).
//!
//! Order: never (unspecified, multicast, broadcast, cloud metadata, control ports) → own addresses, loopback among them (live
//! relays, or opened by name) → explicit allow → explicit deny → private ranges → allowed. Explicit allow beats explicit deny, as in coturn.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use crate::{
    Scope,
    peer::{Nat64Prefix, PeerAddr, PeerIp},
};

/// An inclusive range of addresses of one family.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IpRange {
    first: IpAddr,
    last: IpAddr,
}

impl IpRange {
    /// Makes a range; `None` when the ends are of two families or in the wrong order. A range of IPv4-mapped addresses is
    /// one of IPv4 addresses.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        let plain = (first.to_canonical(), last.to_canonical());
        let (first, last) = if plain.0.is_ipv4() && plain.1.is_ipv4() {
            plain
        } else {
            (first, last)
        };
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Self { first, last })
    }

    /// The first and the last address.
    pub(crate) fn ends(&self) -> (IpAddr, IpAddr) {
        (self.first, self.last)
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
    /// Prefixes of NAT64 translators that this machine's IPv6 packets may meet, besides the well-known ones.
    pub nat64: Vec<Nat64Prefix>,
}

impl PeerPolicy {
    /// Decides about one packet to a peer; `live` tells whether that is a live relay of this server.
    ///
    /// # Errors
    /// Why not.
    pub fn verdict(&self, peer: PeerAddr, live: bool) -> Result<(), PeerDenied> {
        match self.judge(peer.ip())? {
            Standing::Free => Ok(()),
            Standing::ByPort if self.admits(peer, || live) => Ok(()),
            Standing::ByPort => Err(PeerDenied::Own),
        }
    }

    /// Judges an address when a permission is asked for it, before any port is known.
    pub(crate) fn judge(&self, peer: PeerIp) -> Result<Standing, PeerDenied> {
        let carried = || peer.leads_to(&self.nat64).map(IpAddr::from);
        for ip in carried().chain([peer.ip()]) {
            let scope = Scope::of(ip);
            if scope.is_never() {
                return Err(PeerDenied::Never(scope));
            }
        }
        for ip in carried() {
            // An address that carries another one reaches what that one names: both have to be allowed, and our own
            // addresses are not reached by a detour.
            if self.judge_itself(ip)? == Standing::ByPort {
                return Err(PeerDenied::Own);
            }
        }
        self.judge_itself(peer.ip())
    }

    /// Judges an address that is not [`Scope::is_never`], whatever it leads to.
    fn judge_itself(&self, ip: IpAddr) -> Result<Standing, PeerDenied> {
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
            let scope = Scope::of(ip);
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
    pub(crate) fn admits(&self, peer: PeerAddr, live: impl FnOnce() -> bool) -> bool {
        let ip = peer.ip().ip();
        let own = self.is_own(ip);
        let control = |control: &SocketAddr| {
            control.port() == peer.port()
                && (control.ip() == ip || (own && control.ip().is_unspecified()))
        };
        if self.control.iter().any(control) {
            return false;
        }
        let opened = if ip.is_loopback() {
            self.allow_loopback
        } else {
            !own || self.allows_exactly(ip)
        };
        opened || live()
    }

    fn is_own(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.own.contains(&ip)
    }

    fn allows_exactly(&self, ip: IpAddr) -> bool {
        self.allow.iter().any(|range| range.is_exactly(ip))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::{IpRange, PeerAddr, PeerDenied, PeerIp, PeerPolicy, Scope, Standing};

    fn judge(policy: &PeerPolicy, ip: &str) -> Result<Standing, PeerDenied> {
        policy.judge(PeerIp::of(ip.parse().unwrap()).unwrap())
    }

    fn at(text: &str) -> PeerAddr {
        PeerAddr::of(text.parse().unwrap()).unwrap()
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
            "169.254.169.254",
            "168.63.129.16",
            "fd00:ec2::254",
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
        for ip in ["127.0.0.1", "127.255.255.254", "::1"] {
            assert_eq!(judge(&open(), ip), Err(PeerDenied::Own), "{ip}");
            let peer = |ip: &str| PeerAddr::of(SocketAddr::new(ip.parse().unwrap(), 80)).unwrap();
            assert!(!open().admits(peer(ip), || false), "{ip}");
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
                .admits(peer(ip), || false),
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
        let peer = at("198.51.100.1:22");
        let own = PeerPolicy {
            own: vec![peer.ip().ip()],
            ..open()
        };
        assert_eq!(own.judge(peer.ip()), Err(PeerDenied::Own));
        let relaying = PeerPolicy {
            relays: vec![peer.ip().ip()],
            ..own.clone()
        };
        assert_eq!(relaying.judge(peer.ip()), Ok(Standing::ByPort));
        assert!(!relaying.admits(peer, || false));
        assert!(relaying.admits(peer, || true));
        for wide in [
            range("198.51.100.0", "198.51.100.255"),
            range("198.51.100.1", "198.51.100.255"),
            range("198.51.100.0", "198.51.100.1"),
        ] {
            let allow = vec![wide];
            let policy = PeerPolicy {
                allow,
                ..own.clone()
            };
            assert_eq!(policy.judge(peer.ip()), Err(PeerDenied::Own), "{wide:?}");
        }
        let exact = PeerPolicy {
            allow: vec![range("198.51.100.1", "198.51.100.1")],
            ..own
        };
        assert_eq!(exact.judge(peer.ip()), Ok(Standing::ByPort));
        assert!(exact.admits(peer, || false));
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
        assert!(!policy.admits(at("127.0.0.1:8080"), || true));
        assert!(policy.admits(at("127.0.0.1:8081"), || false));
        assert_eq!(judge(&policy, "9.9.9.9"), Ok(Standing::ByPort));
        assert!(!policy.admits(at("9.9.9.9:6379"), || false));
        assert!(policy.admits(at("9.9.9.9:80"), || false));
        // Each port is closed where it is: a backend's is not ours, and ours is not everybody's.
        assert!(policy.admits(at("127.0.0.1:6379"), || false));
        assert!(policy.admits(at("9.9.9.9:8080"), || false));
    }

    #[test]
    fn a_range_of_two_families_or_backwards_is_none() {
        let new = |a: &str, b: &str| IpRange::new(a.parse().unwrap(), b.parse().unwrap());
        assert!(new("1.1.1.1", "::1").is_none());
        assert!(new("1.1.1.2", "1.1.1.1").is_none());
        assert!(!range("1.1.1.1", "1.1.1.3").contains("::ffff:1.1.1.2".parse().unwrap()));
        assert_eq!(Scope::of("198.19.0.1".parse().unwrap()), Scope::Private);
        assert_eq!(
            format!("{:?}", range("1.1.1.1", "1.1.1.3")),
            "1.1.1.1-1.1.1.3"
        );
        let mapped = range("::ffff:10.0.0.0", "::ffff:10.255.255.255");
        assert!(mapped.contains("10.9.8.7".parse().unwrap()));
    }
}
