//! Where clients are listened to, by what is spoken there.
//!
//! Not in here: which addresses those are of (`addresses.rs`), and which of them take part in NAT discovery (`discovery.rs`).

use std::net::{IpAddr, SocketAddr};

use turn_config::settings::{Settings, Tls};

use crate::{discovery, inherited::Inherited};

/// The endpoints of a server.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// For plain clients, over UDP and over TCP.
    pub plain: Vec<SocketAddr>,
    /// For clients over TLS, besides those.
    pub tls: Vec<SocketAddr>,
    /// For proxies.
    pub proxied: Vec<SocketAddr>,
    /// What is opened of all these, by what is spoken there, and for clients over DTLS.
    pub open: turn_io::Endpoints,
}

impl Endpoints {
    /// Those that the settings ask for on these addresses, or those that are there already.
    pub(crate) fn of(settings: &Settings, listening: &[IpAddr], inherited: &Inherited) -> Self {
        if inherited.has_clients() {
            return Self::there(inherited);
        }
        let mut plain = discovery::endpoints(settings, listening);
        for aux in &settings.listening.aux {
            if !plain.contains(aux) {
                plain.push(*aux);
            }
        }
        let (tls, proxied) = (
            tls(settings, listening, &plain),
            proxied(settings, listening),
        );
        let (udp, tcp) = (settings.listening.udp, settings.listening.tcp);
        let when = |on: bool, at: &[SocketAddr]| if on { at.to_vec() } else { Vec::new() };
        // As in coturn: behind a proxy, nobody comes past it.
        let direct = proxied.is_empty();
        let open = turn_io::Endpoints {
            udp: when(udp, &plain),
            tcp: when(tcp && direct, &plain),
            tls: when(direct, &tls),
            behind_proxy: when(tcp || settings.tls.is_some(), &proxied),
            dtls: dtls(settings, listening, &plain),
        };
        Self {
            plain,
            tls,
            proxied,
            open,
        }
    }

    fn there(inherited: &Inherited) -> Self {
        let open = inherited.endpoints();
        Self {
            plain: [open.udp.clone(), open.tcp.clone()].concat(),
            tls: open.tls.clone(),
            proxied: open.behind_proxy.clone(),
            open,
        }
    }

    /// What is opened, each address once.
    pub fn listeners(&self) -> Vec<SocketAddr> {
        let open = &self.open;
        let all = [
            &open.udp,
            &open.tcp,
            &open.tls,
            &open.dtls,
            &open.behind_proxy,
        ];
        let mut listeners = Vec::new();
        for at in all.into_iter().flatten() {
            if !listeners.contains(at) {
                listeners.push(*at);
            }
        }
        listeners
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
