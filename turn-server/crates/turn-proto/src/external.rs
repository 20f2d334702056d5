//! Relay addresses as the world knows them, where a 1:1 NAT stands before the server (coturn's `external-ip`).

use std::net::{IpAddr, SocketAddr};

use crate::{PeerAddr, PortPool};

/// One relay address and the address under which peers reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct External {
    /// The address that sockets are bound to.
    pub local: IpAddr,
    /// The address that clients are told.
    pub public: IpAddr,
}

/// What clients are told of a bound relay address.
pub(crate) fn advertised(map: &[External], local: SocketAddr) -> SocketAddr {
    let public = map
        .iter()
        .find(|pair| pair.local == local.ip())
        .map_or(local.ip(), |pair| pair.public);
    SocketAddr::new(public, local.port())
}

/// Where a packet for a peer really goes: our own public address is reached on the inside.
pub(crate) fn inside(map: &[External], ports: &PortPool, peer: PeerAddr) -> PeerAddr {
    let candidates = map.iter().filter(|pair| pair.public == peer.ip().ip());
    let mut local =
        candidates.filter_map(|pair| PeerAddr::of(SocketAddr::new(pair.local, peer.port())));
    let Some(first) = local.next() else {
        return peer;
    };
    // Several relay addresses may share one public address: the one that has this port is meant.
    if ports.is_live(first.socket()) {
        first
    } else {
        local
            .find(|address| ports.is_live(address.socket()))
            .unwrap_or(first)
    }
}

/// Whom a client believes to hear: a packet from one of our relays comes from its public address.
#[inline]
pub(crate) fn outside(map: &[External], ports: &PortPool, from: PeerAddr) -> PeerAddr {
    if map.is_empty() || !ports.is_live(from.socket()) {
        from
    } else {
        PeerAddr::of(advertised(map, from.socket())).unwrap_or(from)
    }
}

/// The names besides the first by which a client may know one of our relays: public addresses of earlier, and the inside one.
pub(crate) fn other_names(map: &[External], from: PeerAddr) -> impl Iterator<Item = PeerAddr> {
    let ip = from.ip().ip();
    let names = map.iter().filter(move |pair| pair.local == ip).skip(1);
    names
        .filter_map(move |pair| PeerAddr::of(SocketAddr::new(pair.public, from.port())))
        .chain([from])
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Arc};

    use super::{External, advertised, inside, other_names, outside};
    use crate::{PeerAddr, PortPool, ports::Want};

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn peer(text: &str) -> PeerAddr {
        PeerAddr::of(address(text)).unwrap()
    }

    #[test]
    fn a_shared_public_address_leads_to_the_relay_that_has_the_port() {
        let (first, second) = (address("10.0.0.1:0").ip(), address("10.0.0.2:0").ip());
        let public = address("9.9.9.9:0").ip();
        let map = [
            External {
                local: first,
                public,
            },
            External {
                local: second,
                public,
            },
        ];
        let pool: Arc<PortPool> = PortPool::new(&[first, second], 50_000..=50_001);
        let (claim, _) = pool.claim(second, Want::Even, 0).unwrap();
        claim.go_live();
        assert_eq!(claim.address(), Some(address("10.0.0.2:50000")));
        assert_eq!(
            inside(&map, &pool, peer("9.9.9.9:50000")),
            peer("10.0.0.2:50000")
        );
        assert_eq!(
            inside(&map, &pool, peer("9.9.9.9:50001")),
            peer("10.0.0.1:50001")
        );
        assert_eq!(
            inside(&map, &pool, peer("8.8.8.8:50000")),
            peer("8.8.8.8:50000")
        );
        assert_eq!(
            outside(&map, &pool, peer("10.0.0.2:50000")),
            peer("9.9.9.9:50000")
        );
        assert_eq!(
            outside(&map, &pool, peer("10.0.0.2:50001")),
            peer("10.0.0.2:50001")
        );
        assert_eq!(
            advertised(&map, address("10.0.0.1:7")),
            address("9.9.9.9:7")
        );
    }

    #[test]
    fn a_relay_has_the_names_of_earlier_public_addresses_and_its_own() {
        let pair = |local: &str, public: &str| External {
            local: local.parse().unwrap(),
            public: public.parse().unwrap(),
        };
        let map = [
            pair("10.0.0.1", "9.9.9.9"),
            pair("10.0.0.2", "7.7.7.7"),
            pair("10.0.0.1", "8.8.8.8"),
        ];
        let names: Vec<_> = other_names(&map, peer("10.0.0.1:50000")).collect();
        assert_eq!(names, [peer("8.8.8.8:50000"), peer("10.0.0.1:50000")]);
    }
}
