//! NAT behaviour discovery (RFC 5780): the four places that an answer to Binding can come from.
//!
//! ```text
//!                 port   other port        A client that asks here ●, and gets answers from all four, learns
//!   address        ●         ○             how its NAT maps and what it lets in.
//!   other address  ○         ○
//! ```

use std::net::{IpAddr, SocketAddr};

use turn_wire::ChangeRequest;

use crate::LinkId;

/// The listening sockets that take part in NAT behaviour discovery.
#[derive(Clone, Debug)]
pub struct NatDiscovery {
    ports: [u16; 2],
    addresses: Vec<DiscoveryAddress>,
}

/// One listening address that is open on both ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiscoveryAddress {
    /// The address that sockets are bound to.
    pub local: IpAddr,
    /// The address under which clients know it.
    pub public: IpAddr,
    /// The driver's names for its datagram sockets, in the order of the ports.
    pub links: [LinkId; 2],
}

/// One place that an answer can come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) link: LinkId,
    pub(crate) local: SocketAddr,
    /// What clients are told of it.
    pub(crate) public: SocketAddr,
}

impl NatDiscovery {
    /// Puts the sockets together; `None` if the ports are the same or no address has a partner, for then nothing can be
    /// discovered (RFC 5780 §7.4: OTHER-ADDRESS is for servers with a second address).
    pub fn new(ports: [u16; 2], addresses: Vec<DiscoveryAddress>) -> Option<Self> {
        let [port, other_port] = ports;
        let discovery = Self { ports, addresses };
        let mut pairs = discovery.pairs();
        (port != other_port && pairs.next().is_some()).then_some(())?;
        drop(pairs);
        Some(discovery)
    }

    /// The addresses that have a partner, each with its own, as clients know them.
    pub fn pairs(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> + '_ {
        (0..self.addresses.len()).filter_map(|place| {
            let address = self.addresses.get(place)?;
            Some((address.public, self.partner(place)?.public))
        })
    }

    /// Where the answer to a request that came to `server` leaves from, and what OTHER-ADDRESS says there.
    ///
    /// `None` when `server` takes no part.
    pub(crate) fn origin(
        &self,
        server: SocketAddr,
        change: ChangeRequest,
    ) -> Option<(Origin, SocketAddr)> {
        let place = (self.addresses.iter()).position(|held| held.local == server.ip())?;
        let port = self.ports.iter().position(|port| *port == server.port())?;
        let (own, partner) = (self.addresses.get(place)?, self.partner(place)?);
        let other = SocketAddr::new(partner.public, *self.ports.get(1 - port)?);
        let address = if change.ip { partner } else { own };
        let port = if change.port { 1 - port } else { port };
        let number = *self.ports.get(port)?;
        let origin = Origin {
            link: *address.links.get(port)?,
            local: SocketAddr::new(address.local, number),
            public: SocketAddr::new(address.public, number),
        };
        Some((origin, other))
    }

    /// The next address of the same family that the same clients can reach.
    fn partner(&self, place: usize) -> Option<&DiscoveryAddress> {
        let own = self.addresses.get(place)?;
        let after = self.addresses.iter().cycle().skip(place + 1);
        after.take(self.addresses.len()).find(|other| {
            other.public != own.public
                && other.local.is_ipv4() == own.local.is_ipv4()
                && other.local.is_loopback() == own.local.is_loopback()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{ChangeRequest, DiscoveryAddress, LinkId, NatDiscovery};

    fn addresses(texts: &[(&str, &str)]) -> Vec<DiscoveryAddress> {
        let one = |(place, (local, public)): (u32, &(&str, &str))| DiscoveryAddress {
            local: local.parse().unwrap(),
            public: public.parse().unwrap(),
            links: [LinkId(2 * place), LinkId(2 * place + 1)],
        };
        (0..).zip(texts).map(one).collect()
    }

    #[test]
    fn the_four_places_of_an_address() {
        let texts = [("10.0.0.1", "9.9.9.1"), ("10.0.0.2", "9.9.9.2")];
        let discovery = NatDiscovery::new([3478, 3479], addresses(&texts)).unwrap();
        let from = |server: &str, ip, port| {
            let change = ChangeRequest { ip, port };
            let (origin, other) = discovery.origin(server.parse().unwrap(), change).unwrap();
            assert_eq!(origin.local.port(), origin.public.port());
            (
                origin.link.0,
                origin.public.to_string(),
                other.to_string(),
                origin.local.ip().to_string(),
            )
        };
        let expect = |link, public: &str, other: &str, local: &str| {
            (link, public.into(), other.into(), local.into())
        };
        assert_eq!(
            from("10.0.0.1:3478", false, false),
            expect(0, "9.9.9.1:3478", "9.9.9.2:3479", "10.0.0.1")
        );
        assert_eq!(
            from("10.0.0.1:3478", false, true),
            expect(1, "9.9.9.1:3479", "9.9.9.2:3479", "10.0.0.1")
        );
        assert_eq!(
            from("10.0.0.1:3478", true, false),
            expect(2, "9.9.9.2:3478", "9.9.9.2:3479", "10.0.0.2")
        );
        assert_eq!(
            from("10.0.0.2:3479", true, true),
            expect(0, "9.9.9.1:3478", "9.9.9.1:3478", "10.0.0.1")
        );
        assert!(
            discovery
                .origin("10.0.0.1:5349".parse().unwrap(), ChangeRequest::default())
                .is_none()
        );
    }

    #[test]
    fn an_address_without_a_partner_takes_no_part() {
        let alone = [
            ("10.0.0.1", "10.0.0.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("127.0.0.1", "127.0.0.1"),
        ];
        assert!(NatDiscovery::new([3478, 3479], addresses(&alone)).is_none());
        // Two addresses that clients know by one name are one.
        let one = [("10.0.0.1", "9.9.9.9"), ("10.0.0.2", "9.9.9.9")];
        assert!(NatDiscovery::new([3478, 3479], addresses(&one)).is_none());
        let two = [("10.0.0.1", "10.0.0.1"), ("10.0.0.2", "10.0.0.2")];
        assert!(NatDiscovery::new([3478, 3478], addresses(&two)).is_none());
        assert!(NatDiscovery::new([3478, 3479], addresses(&two)).is_some());
    }

    #[test]
    fn three_addresses_go_round() {
        let texts = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|ip| (ip, ip));
        let discovery = NatDiscovery::new([1, 2], addresses(&texts)).unwrap();
        let pairs: Vec<String> = discovery
            .pairs()
            .map(|(one, other)| format!("{one} {other}"))
            .collect();
        assert_eq!(
            pairs,
            [
                "10.0.0.1 10.0.0.2",
                "10.0.0.2 10.0.0.3",
                "10.0.0.3 10.0.0.1"
            ]
        );
    }
}
