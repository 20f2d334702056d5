//! Where clients reach the server, and what it answers without an allocation.

use std::net::{IpAddr, SocketAddr};

use crate::diagnostics::{Report, quote};
use crate::ip_range::IpRange;
use crate::values::Values;

/// Says where clients reach the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// Addresses to listen on; empty: all of this machine.
    pub addresses: Vec<IpAddr>,
    /// The port for UDP and TCP; 0: the system chooses.
    pub port: u16,
    /// The second port, which NAT discovery needs (RFC 5780); `None` where discovery is off.
    pub alternate_port: Option<u16>,
    /// Further addresses and ports for UDP and TCP, which take no part in NAT discovery.
    pub aux: Vec<SocketAddr>,
    /// Whether clients are served over UDP.
    pub udp: bool,
    /// Whether clients are served over TCP.
    pub tcp: bool,
    /// The port for connections that all come through a proxy; the other ports are not opened for streams then.
    pub proxy_port: Option<u16>,
    /// Proxies, whose connections begin with a PROXY header on every port.
    pub proxies: Vec<IpRange>,
    /// The network interface that clients come by; `None`: any.
    pub device: Option<String>,
    /// HTTP among plain or TLS clients is answered with status 400.
    pub http_unsupported: bool,
    /// Where challenges of ACME are sent.
    pub acme_redirect: Option<String>,
    /// Socket buffers in bytes, each direction.
    pub socket_buffer: usize,
}

/// Says which requests are answered at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stun {
    /// Binding requests are answered.
    pub binding: bool,
    /// Binding requests need credentials.
    pub binding_needs_auth: bool,
    /// TURN requests are answered.
    pub relaying: bool,
}

impl Listening {
    pub(super) fn build(values: &Values, report: &mut Report) -> Listening {
        Listening {
            addresses: values
                .list("listening-ip")
                .into_iter()
                .map(|given| given.value)
                .collect(),
            device: values.text("listening-device"),
            http_unsupported: values.flag("respond-http-unsupported"),
            acme_redirect: acme_redirect(values, report),
            port: values.port("listening-port").unwrap_or_default(),
            alternate_port: alternate_port(values, report),
            aux: values.endpoints("aux-server"),
            proxy_port: proxy_port(values, report),
            proxies: values
                .list("proxy-protocol-from")
                .into_iter()
                .map(|given| given.value)
                .collect(),
            udp: !values.flag("no-udp"),
            tcp: !values.flag("no-tcp"),
            socket_buffer: usize::try_from(values.number("sock-buf-size").unwrap_or_default())
                .unwrap_or(usize::MAX),
        }
    }
}

/// The port behind a proxy. Whoever reaches it can claim any address.
fn proxy_port(values: &Values, report: &mut Report) -> Option<u16> {
    let port = values.port("tcp-proxy-port")?;
    if !values.is_given("proxy-protocol-from") {
        report.warn(
            values.origin("tcp-proxy-port"),
            "tcp-proxy-port believes whoever connects there; add proxy-protocol-from=ADDRESS of your proxy",
        );
    }
    Some(port)
}

/// The second port of NAT discovery, which is off unless it has two ports to answer from.
fn alternate_port(values: &Values, report: &mut Report) -> Option<u16> {
    let (port, given) = (
        values.port("listening-port")?,
        values.port("alt-listening-port")?,
    );
    if !values.flag("rfc5780") {
        if values.is_given("alt-listening-port") && given != 0 {
            report.warn(
                values.origin("alt-listening-port"),
                "alt-listening-port is opened only with rfc5780",
            );
        }
        return None;
    }
    let alternate = match (port, given) {
        (0, _) => None,
        (_, 0) => port.checked_add(1),
        (_, given) => Some(given).filter(|given| *given != port),
    };
    if alternate.is_none() {
        report.problem(
            values.origin("rfc5780"),
            "rfc5780 needs two different ports that are known beforehand",
            "Write listening-port and alt-listening-port.",
        );
    }
    alternate
}

impl Stun {
    pub(super) fn build(values: &Values, report: &mut Report) -> Stun {
        let stun = Stun {
            binding: !values.flag("no-stun"),
            binding_needs_auth: values.flag("secure-stun"),
            relaying: !values.flag("stun-only"),
        };
        if !stun.binding && !stun.relaying {
            report.problem(
                values.origin("no-stun"),
                "no-stun and stun-only leave nothing to answer",
                "Remove one of them.",
            );
        }
        if stun.relaying && values.flag("no-udp-relay") && values.flag("no-tcp-relay") {
            report.problem(
                values.origin("no-udp-relay"),
                "no-udp-relay and no-tcp-relay leave nothing to relay",
                "Remove one of them, or write stun-only to answer Binding requests only.",
            );
        }
        stun
    }
}

/// The URL, which goes into the head of an answer as it is.
fn acme_redirect(values: &Values, report: &mut Report) -> Option<String> {
    const OPTION: &str = "acme-redirect";
    let url = values.text(OPTION)?;
    let has_scheme = url.starts_with("http://") || url.starts_with("https://");
    if !has_scheme || url.bytes().any(|byte| !byte.is_ascii_graphic()) {
        report.problem(
            values.origin(OPTION),
            format!("{OPTION}: {} is no URL", quote(&url)),
            "Write http:// or https://, a host and a path, to which the token is added.",
        );
        return None;
    }
    Some(url)
}
