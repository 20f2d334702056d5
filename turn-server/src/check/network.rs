//! What clients can reach: ports, addresses, and how much arrives at once.

use std::net::IpAddr;

use super::{Machine, Said};
use crate::{addresses, client_lists, endpoints::Endpoints, inherited::Inherited};

/// Ports below 1024 to which Chrome connects for TURN (`AllowedTurnPort` in WebRTC's `turn_port.cc`).
const CHROME_ALLOWS: [u16; 3] = [53, 80, 443];

/// Ports to which no browser speaks HTTP: the "bad ports" of the Fetch standard (§2.9, port blocking).
const BAD_PORTS: [u16; 82] = [
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102,
    103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465,
    512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993,
    995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668,
    6669, 6679, 6697, 10_080,
];

/// Names ports that a browser refuses.
pub(super) fn ports(said: &mut Said<'_>) {
    let settings = said.settings;
    let listening = &settings.listening;
    let mut ports = vec![("listening-port", listening.port)];
    ports.extend(
        settings
            .tls
            .iter()
            .map(|tls| ("tls-listening-port", tls.port)),
    );
    ports.extend(listening.proxy_port.map(|port| ("tcp-proxy-port", port)));
    for (option, port) in ports {
        if let Some(text) = refused_by_chrome(port) {
            said.of(option, text);
        }
    }
    for at in &listening.aux {
        if let Some(text) = refused_by_chrome(at.port()) {
            said.of_one("aux-server", at, text);
        }
    }
    for at in &settings.http.listen {
        let port = at.port();
        if BAD_PORTS.contains(&port) {
            let text =
                format!("browsers open no page and no fetch on port {port}; take 8080 or 8081");
            said.of_one("http-listen", at, text);
        }
    }
}

fn refused_by_chrome(port: u16) -> Option<String> {
    // 0 is any port that is free.
    let refused = (1..1024).contains(&port) && !CHROME_ALLOWS.contains(&port);
    refused.then(|| {
        format!("Chrome uses no TURN server on port {port}; take 443, 80, 53, or one from 1024 on")
    })
}

/// Names addresses to listen on or to relay from that this machine does not have, with which it will not start.
pub(super) fn foreign_addresses(machine: &Machine, said: &mut Said<'_>) {
    let settings = said.settings;
    for (option, wanted) in [
        ("listening-ip", &settings.listening.addresses),
        ("relay-ip", &settings.relay.addresses),
    ] {
        for ip in wanted {
            // All of 127.0.0.0/8 is here, although only one of it is listed.
            let of_the_loopback = ip.is_ipv4() && ip.is_loopback();
            if !machine.addresses.contains(ip) && !ip.is_unspecified() && !of_the_loopback {
                said.of_one(
                    option,
                    ip,
                    format!(
                        "this machine has no address {ip} now; behind a 1:1 NAT write the private one, with \
                         external-ip=PUBLIC/PRIVATE"
                    ),
                );
            }
        }
    }
}

/// Tells when clients would be sent to an address that they cannot reach.
pub(super) fn external_address(machine: &Machine, said: &mut Said<'_>) {
    let settings = said.settings;
    if !settings.stun.relaying {
        return;
    }
    for external in &settings.relay.external {
        if let Some(kind) = unreachable(external.public) {
            let public = external.public;
            said.of_one(
                "external-ip",
                external,
                format!("{public} is {kind}, which clients elsewhere cannot reach; write the public address"),
            );
        }
    }
    let listening = addresses::to_listen_on(&settings.listening, &machine.addresses);
    let relays = addresses::to_relay_from(settings, &listening).addresses;
    // Without IPv4, nobody expects an address behind a NAT.
    let of_ipv4: Vec<IpAddr> = relays.into_iter().filter(IpAddr::is_ipv4).collect();
    let is_given = settings.relay.external.iter().any(|it| it.public.is_ipv4());
    let known = is_given || settings.relay.source.is_some();
    let Some(first) = of_ipv4.first().filter(|_| !known) else {
        return;
    };
    if of_ipv4.iter().all(|ip| unreachable(*ip).is_some()) {
        said.at(
            settings.origin("relay-ip"),
            format!(
                "external-ip is not set, and clients are told {first}, which those elsewhere cannot reach; behind a NAT write \
                 external-ip=PUBLIC/{first}"
            ),
        );
    }
}

/// Why an address is no good outside its own network.
fn unreachable(ip: IpAddr) -> Option<&'static str> {
    match ip {
        _ if ip.is_loopback() => Some("a loopback address"),
        _ if ip.is_unspecified() => Some("no address"),
        IpAddr::V4(ip) if ip.is_private() => Some("a private address (RFC 1918)"),
        IpAddr::V4(ip) if ip.is_link_local() => Some("a link-local address"),
        // RFC 6598: between a provider and its customers.
        IpAddr::V4(ip) if ip.octets()[0] == 100 && ip.octets()[1] & 0xC0 == 64 => {
            Some("a carrier's shared address (RFC 6598)")
        }
        IpAddr::V6(ip) if ip.is_unique_local() => Some("a private address (RFC 4193)"),
        IpAddr::V6(ip) if ip.is_unicast_link_local() => Some("a link-local address"),
        _ => None,
    }
}

/// Names lists of clients that are for listeners that the start will not open.
pub(super) fn client_lists(machine: &Machine, said: &mut Said<'_>) {
    let settings = said.settings;
    let listening = addresses::to_listen_on(&settings.listening, &machine.addresses);
    // Those of a service manager are not here.
    let endpoints = Endpoints::of(settings, &listening, &Inherited::default());
    said.lines
        .extend(client_lists::lost(settings, &endpoints.listeners()));
}

/// Tells when the kernel gives less room than is asked for.
pub(super) fn receive_buffer(machine: &Machine, said: &mut Said<'_>) {
    let wanted = said.settings.listening.socket_buffer as u64;
    let Some(given) = machine
        .largest_receive_buffer
        .filter(|given| *given < wanted)
    else {
        return;
    };
    said.of(
        "sock-buf-size",
        format!(
            "the system gives receive buffers of {given} bytes and not of {wanted}, so bursts are lost; write \
             net.core.rmem_max={wanted} into /etc/sysctl.d/turnpike.conf"
        ),
    );
}
