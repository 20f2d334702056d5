//! The relay ports that all workers share: a bitmap per relay address, claimed and returned by atomic operations.
//!
//! A claim returns its port when dropped, so a port can neither leak nor be returned twice.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// Which port is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Any free port.
    Any,
    /// An even one (EVEN-PORT, RFC 8656 §18.6).
    Even,
    /// An even one whose neighbour above is free too, to be reserved (EVEN-PORT with its R bit set).
    Pair,
    /// A share of one that all allocations share.
    Shared,
    /// A share of an even one.
    SharedEven,
}

/// Relay addresses that may come besides those of the start. None is ever forgotten: sessions may have ports of it.
const SPARE: usize = 64;

/// The ports of all relay addresses.
#[derive(Debug)]
pub struct PortPool {
    range: RangeInclusive<u16>,
    /// Ports of all addresses that allocations share: always live, and nobody's own.
    shared: Option<RangeInclusive<u16>>,
    /// Filled from the front, as addresses come.
    addresses: Box<[OnceLock<AddressPorts>]>,
}

#[derive(Debug)]
struct AddressPorts {
    ip: IpAddr,
    /// Whether the operator relays from it.
    offered: AtomicBool,
    /// Bit `port % 64` of word `port / 64 - first / 64`: set while claimed.
    claimed: Box<[AtomicU64]>,
    /// The same for ports whose socket is bound. A claimed port may still be another program's: only a bound one is ours.
    live: Box<[AtomicU64]>,
}

/// One claimed port; dropping it returns the port.
pub struct PortClaim {
    pool: Arc<PortPool>,
    address: usize,
    port: u16,
    /// The place of a shared port, which is claimed by any number.
    place: Option<u32>,
}

impl PortPool {
    /// Makes a pool of the same port range for each of the relay addresses.
    pub fn new(addresses: &[IpAddr], range: RangeInclusive<u16>) -> Arc<Self> {
        Self::with_shared(addresses, range, None)
    }

    /// Makes a pool that knows of shared ports besides.
    pub(crate) fn with_shared(
        addresses: &[IpAddr],
        range: RangeInclusive<u16>,
        shared: Option<RangeInclusive<u16>>,
    ) -> Arc<Self> {
        let places = (0..addresses.len() + SPARE).map(|_| OnceLock::new());
        let pool = Self {
            range,
            shared,
            addresses: places.collect(),
        };
        // There is room for all of them.
        let _ = pool.admit(addresses);
        pool.offer(addresses);
        Arc::new(pool)
    }

    /// Makes room for ports of further addresses; false if there is none. For one caller at a time.
    #[must_use]
    pub fn admit(&self, addresses: &[IpAddr]) -> bool {
        addresses.iter().all(|ip| {
            let known = self.held().any(|held| held.ip == *ip);
            known
                || self
                    .addresses
                    .iter()
                    .any(|place| place.set(self.new_address(*ip)).is_ok())
        })
    }

    /// Counts these addresses, and no others, as those that allocations are made on. Ports of others that are claimed stay so.
    pub fn offer(&self, addresses: &[IpAddr]) {
        for held in self.held() {
            let offered = addresses.contains(&held.ip);
            held.offered.store(offered, Ordering::Relaxed);
        }
    }

    /// All addresses that allocations may have ports of.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.held().map(|held| held.ip)
    }

    fn held(&self) -> impl Iterator<Item = &AddressPorts> {
        self.addresses.iter().map_while(OnceLock::get)
    }

    fn at(&self, place: usize) -> Option<&AddressPorts> {
        self.addresses.get(place)?.get()
    }

    fn new_address(&self, ip: IpAddr) -> AddressPorts {
        let range = &self.range;
        let words = if range.is_empty() {
            0
        } else {
            usize::from(range.end() / 64 - range.start() / 64) + 1
        };
        let bits = || (0..words).map(|_| AtomicU64::new(0)).collect();
        AddressPorts {
            ip,
            offered: AtomicBool::new(false),
            claimed: bits(),
            live: bits(),
        }
    }

    /// Claims a port of `ip`, searching upwards from a place that `random` chooses; the next one too if a pair is wanted.
    pub(crate) fn claim(
        self: &Arc<Self>,
        ip: IpAddr,
        want: Want,
        random: u32,
    ) -> Option<(PortClaim, Option<PortClaim>)> {
        let address = self.held().position(|held| held.ip == ip)?;
        let count = u32::from(*self.range.end()).checked_sub(u32::from(*self.range.start()))? + 1;
        let start = random % count;
        let ports = (0..count).map(|step| u32::from(*self.range.start()) + (start + step) % count);
        for port in ports.filter_map(|port| u16::try_from(port).ok()) {
            if want != Want::Any && port % 2 != 0 {
                continue;
            }
            let Some(first) = self.claim_at(address, port) else {
                continue;
            };
            if want != Want::Pair {
                return Some((first, None));
            }
            let next = port.checked_add(1);
            if let Some(next) = next.and_then(|next| self.claim_at(address, next)) {
                return Some((first, Some(next)));
            }
        }
        None
    }

    /// Claims exactly this address and port, if it is free.
    pub(crate) fn claim_exactly(self: &Arc<Self>, at: SocketAddr) -> Option<PortClaim> {
        let address = self.held().position(|held| held.ip == at.ip())?;
        self.claim_at(address, at.port())
    }

    /// A share of a port that allocations share, whose place is `place`.
    pub(crate) fn share(self: &Arc<Self>, at: SocketAddr, place: u32) -> Option<PortClaim> {
        let address = self.held().position(|held| held.ip == at.ip())?;
        Some(PortClaim {
            pool: Arc::clone(self),
            address,
            port: at.port(),
            place: Some(place),
        })
    }

    fn claim_at(self: &Arc<Self>, address: usize, port: u16) -> Option<PortClaim> {
        let free = !self.is_shared(port) && self.take(address, port);
        free.then(|| PortClaim {
            pool: Arc::clone(self),
            address,
            port,
            place: None,
        })
    }

    fn is_shared(&self, port: u16) -> bool {
        let shared = self.shared.as_ref();
        shared.is_some_and(|shared| shared.contains(&port))
    }

    /// Tells whether an address is a live relay of this server: claimed and bound.
    pub(crate) fn is_live(&self, address: SocketAddr) -> bool {
        let held = self.held().find(|held| held.ip == address.ip());
        if self.is_shared(address.port()) {
            return held.is_some();
        }
        held.and_then(|held| self.bit(&held.live, address.port()))
            .is_some_and(|(word, mask)| word.load(Ordering::Relaxed) & mask != 0)
    }

    /// How many ports are claimed on all addresses.
    pub fn claimed(&self) -> usize {
        let words = self.held().flat_map(|held| held.claimed.iter());
        words
            .map(|word| word.load(Ordering::Relaxed).count_ones() as usize)
            .sum()
    }

    /// How many ports there are on all addresses that the operator relays from.
    pub fn capacity(&self) -> usize {
        let offered = |held: &&AddressPorts| held.offered.load(Ordering::Relaxed);
        self.range.len() * self.held().filter(offered).count()
    }

    fn take(&self, address: usize, port: u16) -> bool {
        let held = self.at(address);
        let bit = held.and_then(|held| self.bit(&held.claimed, port));
        bit.is_some_and(|(word, mask)| {
            // A look before the write: a full range is searched without bouncing the line between cores.
            word.load(Ordering::Relaxed) & mask == 0
                && word.fetch_or(mask, Ordering::AcqRel) & mask == 0
        })
    }

    fn bit<'a>(&self, words: &'a [AtomicU64], port: u16) -> Option<(&'a AtomicU64, u64)> {
        if !self.range.contains(&port) {
            return None;
        }
        let word = words.get(usize::from(port / 64 - self.range.start() / 64))?;
        Some((word, 1 << (port % 64)))
    }
}

impl PortClaim {
    /// Marks the address as a live relay: its socket is bound.
    pub(crate) fn go_live(&self) {
        if self.place.is_some() {
            return;
        }
        let held = self.pool.at(self.address);
        if let Some((word, mask)) = held.and_then(|held| self.pool.bit(&held.live, self.port)) {
            word.fetch_or(mask, Ordering::AcqRel);
        }
    }

    /// The place of the port, if it is a shared one.
    pub(crate) fn place(&self) -> Option<u32> {
        self.place
    }

    /// The claimed address and port.
    pub fn address(&self) -> Option<SocketAddr> {
        let held = self.pool.at(self.address)?;
        Some(SocketAddr::new(held.ip, self.port))
    }
}

impl Drop for PortClaim {
    fn drop(&mut self) {
        if self.place.is_some() {
            return;
        }
        let Some(held) = self.pool.at(self.address) else {
            return;
        };
        // Not live any more before it is free: the next claim must not inherit it.
        for words in [&held.live, &held.claimed] {
            if let Some((word, mask)) = self.pool.bit(words, self.port) {
                word.fetch_and(!mask, Ordering::AcqRel);
            }
        }
    }
}

impl fmt::Debug for PortClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PortClaim({:?})", self.address())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::{PortPool, Want};

    const IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn every_port_is_claimed_once_and_comes_back() {
        let pool = PortPool::new(&[IP], 50_001..=50_130);
        let claims: Vec<_> = (0..130)
            .map(|i| pool.claim(IP, Want::Any, i * 7919).unwrap().0)
            .collect();
        let mut ports: Vec<_> = claims
            .iter()
            .map(|claim| claim.address().unwrap().port())
            .collect();
        ports.sort_unstable();
        assert!(ports.iter().copied().eq(50_001..=50_130));
        assert!(pool.claim(IP, Want::Any, 3).is_none());
        assert_eq!((pool.claimed(), pool.capacity()), (130, 130));
        drop(claims);
        assert_eq!(pool.claimed(), 0);
    }

    #[test]
    fn a_pair_is_even_then_odd_and_a_half_claimed_pair_is_returned() {
        let pool = PortPool::new(&[IP], 50_000..=50_003);
        let (odd, _) = pool.claim(IP, Want::Any, 1).unwrap();
        assert_eq!(odd.address().unwrap().port(), 50_001);
        let (even, next) = pool.claim(IP, Want::Pair, 0).unwrap();
        let next = next.unwrap();
        assert_eq!(
            (
                even.address().unwrap().port(),
                next.address().unwrap().port()
            ),
            (50_002, 50_003)
        );
        assert!(pool.claim(IP, Want::Pair, 0).is_none());
        assert_eq!(pool.claimed(), 3);
    }

    #[test]
    fn the_last_port_of_all_has_no_successor() {
        let pool = PortPool::new(&[IP], 65_534..=65_535);
        assert!(pool.claim(IP, Want::Pair, 1).is_some());
        let pool = PortPool::new(&[IP], 65_535..=65_535);
        assert!(pool.claim(IP, Want::Pair, 0).is_none());
        assert!(pool.claim(IP, Want::Even, 0).is_none());
        assert_eq!(pool.claimed(), 0);
    }

    #[test]
    fn a_claimed_port_is_live_only_while_it_is_bound() {
        let pool = PortPool::new(&[IP], 50_000..=50_010);
        let (claim, _) = pool.claim(IP, Want::Any, 0).unwrap();
        let address = claim.address().unwrap();
        assert!(!pool.is_live(address));
        claim.go_live();
        assert!(pool.is_live(address));
        drop(claim);
        let (again, _) = pool.claim(IP, Want::Any, 0).unwrap();
        assert_eq!(again.address(), Some(address));
        assert!(!pool.is_live(address));
    }

    #[test]
    fn addresses_come_and_go_and_claimed_ports_stay() {
        let other: IpAddr = "127.0.0.2".parse().unwrap();
        let pool = PortPool::new(&[IP], 50_000..=50_009);
        let (first, _) = pool.claim(IP, Want::Any, 0).unwrap();
        first.go_live();
        assert!(pool.admit(&[IP, other]));
        pool.offer(&[other]);
        assert_eq!((pool.claimed(), pool.capacity()), (1, 10));
        let (second, _) = pool.claim(other, Want::Any, 0).unwrap();
        assert_eq!(second.address().unwrap().ip(), other);
        assert!(pool.is_live(first.address().unwrap()));
        // What comes back is what went: its ports are still claimed.
        assert!(pool.admit(&[IP]));
        pool.offer(&[IP, other]);
        assert_eq!((pool.claimed(), pool.capacity()), (2, 20));
        assert!(pool.claim_exactly(first.address().unwrap()).is_none());
        assert!(pool.addresses().eq([IP, other]));
    }

    #[test]
    fn there_is_room_for_so_many_addresses_and_no_more() {
        let pool = PortPool::new(&[IP], 50_000..=50_009);
        let many: Vec<IpAddr> = (2..=u8::MAX).map(|last| [127, 0, 0, last].into()).collect();
        assert!(pool.admit(&many[..super::SPARE]));
        assert!(!pool.admit(&many[..=super::SPARE]));
        assert!(pool.admit(&many[..super::SPARE]));
    }

    #[test]
    fn foreign_addresses_have_no_ports() {
        let pool = PortPool::new(&[IP], 50_000..=50_010);
        assert!(
            pool.claim("127.0.0.2".parse().unwrap(), Want::Any, 0)
                .is_none()
        );
        assert!(!pool.is_live("127.0.0.2:50000".parse().unwrap()));
        assert!(!pool.is_live("127.0.0.1:1".parse().unwrap()));
    }
}
