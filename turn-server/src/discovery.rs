//! Where plain clients are listened to, and which of those sockets take part in NAT behaviour discovery (RFC 5780).
//!
//! Not in: the answers (`turn-proto`).

use std::net::{IpAddr, SocketAddr};

use tracing::{info, warn};
use turn_config::settings::Settings;
use turn_proto::{DiscoveryAddress, External, LinkId, NatDiscovery};

use crate::addresses;

/// Every address and port for plain clients: all addresses on the first port, then all on the second if discovery can be had.
pub(crate) fn endpoints(settings: &Settings, listening: &[IpAddr]) -> Vec<SocketAddr> {
    let on = |port: u16| listening.iter().map(move |ip| SocketAddr::new(*ip, port));
    let first: Vec<_> = on(settings.listening.port).collect();
    let second = settings.listening.alternate_port.into_iter().flat_map(on);
    let both: Vec<_> = first.iter().copied().chain(second).collect();
    match find(settings, listening, &in_order(&both)) {
        Some(_) => both,
        None => first,
    }
}

/// These endpoints with the links that they have at the start.
pub(crate) fn in_order(open: &[SocketAddr]) -> Vec<(SocketAddr, LinkId)> {
    let open = open.iter().copied();
    open.zip((0..).map(LinkId)).collect()
}

/// Pairs the listening addresses for discovery, as far as they are among these endpoints, and tells which; `None` if the
/// operator has not asked for it or it cannot be had.
pub(crate) fn pair(
    settings: &Settings,
    listening: &[IpAddr],
    open: &[(SocketAddr, LinkId)],
) -> Option<NatDiscovery> {
    let ports = [settings.listening.port, settings.listening.alternate_port?];
    let discovery = find(settings, listening, open);
    match &discovery {
        None => warn!(
            "rfc5780: NAT discovery is off: it needs two addresses of one family that clients know by different names, open on \
             both ports; see --listening-ip and --external-ip"
        ),
        Some(discovery) => {
            for (one, other) in discovery.pairs() {
                info!("NAT discovery (RFC 5780): {one} with {other}, ports {ports:?}");
            }
        }
    }
    discovery
}

fn find(
    settings: &Settings,
    listening: &[IpAddr],
    open: &[(SocketAddr, LinkId)],
) -> Option<NatDiscovery> {
    let ports = [settings.listening.port, settings.listening.alternate_port?];
    let externals = addresses::externals(&settings.relay.externals(), listening);
    NatDiscovery::new(ports, on_both(ports, listening, open, &externals))
}

/// The addresses that are open on both ports. Each socket is looked up: what else is open, and when it was opened, is the
/// operator's business.
fn on_both(
    ports: [u16; 2],
    listening: &[IpAddr],
    open: &[(SocketAddr, LinkId)],
    externals: &[External],
) -> Vec<DiscoveryAddress> {
    let link = |ip, port| {
        let at = SocketAddr::new(ip, port);
        let found = open.iter().find(|(open, _)| *open == at);
        found.map(|(_, link)| *link)
    };
    let one = |local: &IpAddr| {
        let known_as = externals.iter().find(|pair| pair.local == *local);
        Some(DiscoveryAddress {
            local: *local,
            public: known_as.map_or(*local, |pair| pair.public),
            links: [link(*local, ports[0])?, link(*local, ports[1])?],
        })
    };
    listening.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use turn_proto::LinkId;

    use super::{in_order, on_both};

    fn links(listening: &[&str], open: &[&str]) -> Vec<(String, [u32; 2])> {
        let listening: Vec<IpAddr> = listening.iter().map(|ip| ip.parse().unwrap()).collect();
        let open: Vec<SocketAddr> = open.iter().map(|at| at.parse().unwrap()).collect();
        let found = on_both([3478, 3479], &listening, &in_order(&open), &[]);
        let one = |held: &super::DiscoveryAddress| {
            (
                held.local.to_string(),
                held.links.map(|LinkId(place)| place),
            )
        };
        found.iter().map(one).collect()
    }

    #[test]
    fn each_link_is_the_socket_of_its_address_and_port() {
        let listening = ["10.0.0.1", "10.0.0.2"];
        let both = [
            "10.0.0.1:3478",
            "10.0.0.2:3478",
            "10.0.0.1:3479",
            "10.0.0.2:3479",
        ];
        let expected =
            |one, other| vec![("10.0.0.1".to_owned(), one), ("10.0.0.2".to_owned(), other)];
        assert_eq!(links(&listening, &both), expected([0, 2], [1, 3]));
        // As an endpoint of its own, the second port of one address comes before that of the other, or far behind it.
        let apart = [
            "10.0.0.1:3478",
            "10.0.0.2:3478",
            "10.0.0.9:9",
            "10.0.0.2:3479",
            "10.0.0.1:3479",
        ];
        assert_eq!(links(&listening, &apart), expected([0, 4], [1, 3]));
    }

    #[test]
    fn an_address_that_is_not_open_on_both_ports_takes_no_part() {
        let open = ["10.0.0.1:3478", "10.0.0.2:3478", "10.0.0.2:3479"];
        let expected = vec![("10.0.0.2".to_owned(), [1, 2])];
        assert_eq!(links(&["10.0.0.1", "10.0.0.2"], &open), expected);
    }
}
