//! Where plain clients are listened to, and which of those sockets take part in NAT behaviour discovery (RFC 5780).
//!
//! Not in: the answers (`turn-proto`).

use std::net::{IpAddr, SocketAddr};

use tracing::{info, warn};
use turn_config::settings::Settings;
use turn_proto::{DiscoveryAddress, LinkId, NatDiscovery};

use crate::addresses;

/// Pairs the listening addresses for discovery; `None` if the operator has not asked for it or it cannot be had.
pub(crate) fn pair(settings: &Settings, listening: &[IpAddr]) -> Option<NatDiscovery> {
    let alternate = settings.listening.alternate_port?;
    let ports = [settings.listening.port, alternate];
    let externals = addresses::externals(&settings.relay.external, listening);
    let public = |local: IpAddr| {
        let found = externals.iter().find(|pair| pair.local == local);
        found.map_or(local, |pair| pair.public)
    };
    let one = |(place, local): (usize, &IpAddr)| DiscoveryAddress {
        local: *local,
        public: public(*local),
        links: [place, place + listening.len()].map(link),
    };
    let addresses = listening.iter().enumerate().map(one).collect();
    let discovery = NatDiscovery::new(ports, addresses);
    match &discovery {
        None => warn!(
            "rfc5780: NAT discovery is off: it needs two addresses of one family that clients know by different names; see \
             --listening-ip and --external-ip"
        ),
        Some(discovery) => {
            for (one, other) in discovery.pairs() {
                info!("NAT discovery (RFC 5780): {one} with {other}, ports {ports:?}");
            }
        }
    }
    discovery
}

/// Every address and port for plain clients: all addresses on the first port, then all on the second if discovery is on.
/// The drivers number datagram sockets in this order, and [`pair`] counts on it.
pub(crate) fn endpoints(
    settings: &Settings,
    listening: &[IpAddr],
    discovery: Option<&NatDiscovery>,
) -> Vec<SocketAddr> {
    let alternate = settings.listening.alternate_port;
    let ports = [
        Some(settings.listening.port),
        alternate.filter(|_| discovery.is_some()),
    ];
    let on = |port: u16| listening.iter().map(move |ip| SocketAddr::new(*ip, port));
    ports.into_iter().flatten().flat_map(on).collect()
}

fn link(place: usize) -> LinkId {
    LinkId(u32::try_from(place).unwrap_or(u32::MAX))
}
