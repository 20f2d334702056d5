//! A port that two listeners of this program would want: the second one would fail, and blame another program for it.
//!
//! Not in: listeners for clients among each other, which share a port where they can (`turn-server/src/endpoints.rs`).

use std::net::IpAddr;

use super::Settings;
use crate::diagnostics::Report;
use crate::origin::Origin;

/// What listens for TCP, and by which option.
struct Wanted {
    option: &'static str,
    origin: Origin,
    /// Empty: all of this machine.
    addresses: Vec<IpAddr>,
    port: u16,
}

/// Reports pages that would be served on a port of clients, or two on one.
pub(super) fn check(settings: &Settings, report: &mut Report) {
    let pages = pages(settings);
    let clients = clients(settings);
    for (place, page) in pages.iter().enumerate() {
        let others = clients.iter().chain(pages.iter().take(place));
        for other in others.filter(|other| other.collides(page)) {
            // It stands where somebody has written it.
            let origin = match &page.origin {
                Origin::Default => &other.origin,
                given => given,
            };
            report.problem(
                origin.clone(),
                format!(
                    "{} and {} are the same port for TCP, {}",
                    page.option, other.option, page.port
                ),
                "Write another port for one of them.",
            );
        }
    }
}

impl Wanted {
    /// Whether both cannot have it. A page's listener for all IPv6 addresses leaves those of IPv4 alone.
    fn collides(&self, page: &Wanted) -> bool {
        let shared = |wanted: &IpAddr, ours: &IpAddr| {
            let any = wanted.is_unspecified() || ours.is_unspecified();
            wanted == ours || any && wanted.is_ipv4() == ours.is_ipv4()
        };
        self.port == page.port
            // 0 is any port that is free.
            && page.port != 0
            && (self.addresses.is_empty()
                || page.addresses.is_empty()
                || (page.addresses.iter())
                    .any(|page| self.addresses.iter().any(|ours| shared(page, ours))))
    }
}

/// Where clients and their proxies are listened to.
fn clients(settings: &Settings) -> Vec<Wanted> {
    let listening = &settings.listening;
    let mut ports = Vec::new();
    match listening.proxy_port {
        // Nobody comes past it.
        Some(port) => ports.push(("tcp-proxy-port", port)),
        None => {
            ports.extend(listening.tcp.then_some(("listening-port", listening.port)));
            ports.extend((settings.tls.iter()).map(|tls| ("tls-listening-port", tls.port)));
        }
    }
    let wanted = ports.into_iter().map(|(option, port)| Wanted {
        option,
        origin: settings.origin(option),
        addresses: listening.addresses.clone(),
        port,
    });
    wanted.collect()
}

/// Where pages are served.
fn pages(settings: &Settings) -> Vec<Wanted> {
    let metrics = settings.metrics.iter().map(|metrics| Wanted {
        option: "prometheus-port",
        origin: settings.origin("prometheus-port"),
        addresses: metrics.address.into_iter().collect(),
        port: metrics.port,
    });
    let http = settings.http.listen.iter().map(|at| Wanted {
        option: "http-listen",
        origin: settings.origin_of("http-listen", at),
        addresses: vec![at.ip()],
        port: at.port(),
    });
    metrics.chain(http).collect()
}
