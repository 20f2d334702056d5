//! Where clients are listened to, by what is spoken there.
//!
//! Not in here: which addresses those are of (`addresses.rs`), and which of them take part in NAT discovery (`discovery.rs`).

use std::net::{IpAddr, SocketAddr};

use turn_config::settings::{Settings, Tls};
use turn_proto::NatDiscovery;

use crate::{discovery, inherited::Inherited};

/// The endpoints of a server.
pub(crate) struct Endpoints {
    /// For plain clients, over UDP and over TCP.
    pub(crate) plain: Vec<SocketAddr>,
    /// For clients over TLS, besides those.
    pub(crate) tls: Vec<SocketAddr>,
    /// For clients over DTLS, besides where those over UDP come.
    pub(crate) dtls: Vec<SocketAddr>,
    /// For proxies.
    pub(crate) proxied: Vec<SocketAddr>,
    /// What is opened of all these, each once.
    pub(crate) open: Vec<SocketAddr>,
}

impl Endpoints {
    /// Those that the settings ask for on these addresses, or those that are there already; and who takes part in discovery.
    pub(crate) fn of(
        settings: &Settings,
        listening: &[IpAddr],
        inherited: &Inherited,
    ) -> (Self, Option<NatDiscovery>) {
        let (mut plain, discovery) = discovery::endpoints(settings, listening);
        for aux in &settings.listening.aux {
            if !plain.contains(aux) {
                plain.push(*aux);
            }
        }
        let mut endpoints = Self {
            tls: tls(settings, listening, &plain),
            dtls: dtls(settings, listening, &plain),
            proxied: proxied(settings, listening),
            plain,
            open: Vec::new(),
        };
        let (udp, mut tcp) = (settings.listening.udp, settings.listening.tcp);
        let (mut secure, mut behind_proxy) = (true, tcp || settings.tls.is_some());
        if inherited.has_clients() {
            let there = inherited.endpoints();
            endpoints.plain = [there.udp, there.tcp].concat();
            (endpoints.tls, endpoints.dtls) = (there.tls, there.dtls);
            endpoints.proxied = there.proxied;
            (tcp, behind_proxy) = (true, true);
        } else if !endpoints.proxied.is_empty() {
            // As in coturn: behind a proxy, nobody comes past it.
            (tcp, secure) = (false, false);
        }
        for (is_open, at) in [
            (udp || tcp, &endpoints.plain),
            (secure, &endpoints.tls),
            (true, &endpoints.dtls),
            (behind_proxy, &endpoints.proxied),
        ] {
            for at in at.iter().filter(|_| is_open) {
                if !endpoints.open.contains(at) {
                    endpoints.open.push(*at);
                }
            }
        }
        (endpoints, discovery)
    }
}

/// The port behind a proxy on each address, where there is one.
fn proxied(settings: &Settings, listening: &[IpAddr]) -> Vec<SocketAddr> {
    let port = settings.listening.proxy_port.into_iter();
    port.flat_map(|port| listening.iter().map(move |ip| SocketAddr::new(*ip, port)))
        .collect()
}

/// The port for TLS on each address. Where a plain listener is open already, TLS is told apart there.
fn tls(settings: &Settings, listening: &[IpAddr], plain: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(tls) = &settings.tls else {
        return Vec::new();
    };
    secure_ports(tls, listening)
        .filter(|at| !settings.listening.tcp || tls.port == 0 || !plain.contains(at))
        .collect()
}

/// Where datagrams are listened to for DTLS: on the plain ports, if they are not open for plain clients already, and on the
/// ports for TLS on each address.
fn dtls(settings: &Settings, listening: &[IpAddr], plain: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(dtls) = &settings.dtls else {
        return Vec::new();
    };
    let secure = secure_ports(dtls, listening);
    let secure = secure.filter(|at| dtls.port == 0 || !plain.contains(at));
    let plain = plain.iter().copied().filter(|_| !settings.listening.udp);
    plain.chain(secure).collect()
}

/// The ports for TLS and DTLS, on each address.
fn secure_ports(tls: &Tls, listening: &[IpAddr]) -> impl Iterator<Item = SocketAddr> {
    let ports = [Some(tls.port), tls.alternate_port].into_iter().flatten();
    ports.flat_map(|port| listening.iter().map(move |ip| SocketAddr::new(*ip, port)))
}
