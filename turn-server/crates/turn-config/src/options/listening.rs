//! Options: where clients reach the server, and what it answers without an allocation.

use crate::option::{Group, Kind, flag, number, option, port};

pub(super) static GROUP: Group = Group {
    title: "Listening",
    options: &[
        option(
            "listening-ip",
            Kind::Address,
            "Address to listen on; repeat it for several.",
        )
        .short('L')
        .list()
        .unset("all addresses of this machine")
        .example("192.0.2.10")
        .reloads(),
        port(
            "listening-port",
            0,
            "Port for clients over UDP and TCP; 0 lets the system choose.",
        )
        .short('p')
        .default("3478")
        .example("3478")
        .reloads(),
        option(
            "allowed-client-ip",
            Kind::Clients,
            "Clients that are served even if denied-client-ip says no; where that says nothing, nobody else is: IP, IP-IP or CIDR for \
             every listener, with @PORT or @ADDRESS:PORT behind it for those of that port or for that one (IPv6 in brackets); \
             repeatable.",
        )
        .list()
        .unset("all")
        .example("192.0.2.0/24")
        .ours()
            .reloads(),
        option(
            "denied-client-ip",
            Kind::Clients,
            "Clients whose datagrams are dropped and whose connections are closed: IP, IP-IP or CIDR for every listener, with @PORT or \
             @ADDRESS:PORT behind it for those of that port or for that one (IPv6 in brackets); repeatable.",
        )
        .list()
        .unset("none")
        .example("198.51.100.0/24")
        .ours()
            .reloads(),
        flag("no-udp", "Do not serve clients over UDP.").reloads(),
        flag("no-tcp", "Do not serve clients over TCP.").reloads(),
        flag("no-stun", "Do not answer Binding requests.")
            .reloads(),
        flag(
            "stun-only",
            "Answer Binding requests only, and relay nothing.",
        )
        .short('S')
            .reloads(),
        flag(
            "secure-stun",
            "Answer Binding requests only with valid credentials.",
        )
            .reloads(),
        number(
            "sock-buf-size",
            1,
            i32::MAX as u64,
            "bytes",
            "Size in bytes of the receive and of the send buffer of each UDP socket.",
        )
        .default("2097152")
        .example("4194304"),
        port(
            "tls-listening-port",
            0,
            "Port for clients over TLS and DTLS; TLS and plain TCP are told apart on this port and on listening-port, and so are DTLS and \
             plain UDP.",
        )
        .default("5349")
        .example("5349")
        .reloads(),
        port(
            "alt-listening-port",
            0,
            "Second port for UDP and TCP, opened with rfc5780 only; 0 is listening-port + 1.",
        )
        .default("0")
        .example("3479")
        .reloads(),
        port(
            "alt-tls-listening-port",
            0,
            "Second port for TLS, opened with rfc5780 only; 0 is tls-listening-port + 1.",
        )
        .default("0")
        .example("5350")
        .reloads(),
        option(
            "listening-device",
            Kind::Text,
            "Network interface that clients come by (SO_BINDTODEVICE): what comes by another is not heard.",
        )
        .short('d')
        .unset("any")
        .example("eth0"),
        port(
            "tcp-proxy-port",
            0,
            "Port for TCP and TLS clients behind a proxy that speaks the PROXY protocol; no other TCP port is opened then.",
        )
        .unset("off")
        .example("5555")
        .reloads(),
        option(
            "proxy-protocol-from",
            Kind::Range,
            "Proxies: what they connect to, on any TCP port, must begin with a PROXY header (version 1 or 2); repeatable.",
        )
        .list()
        .unset("none; on tcp-proxy-port, everybody is a proxy")
        .example("192.0.2.80")
        .ours()
            .reloads(),
        option(
            "aux-server",
            Kind::Endpoint,
            "Further ADDRESS:PORT for clients over UDP, TCP and TLS, without NAT discovery; repeatable.",
        )
        .list()
        .unset("none")
        .example("192.0.2.10:443")
        .reloads(),
        flag(
            "udp-self-balance",
            "Spread UDP clients over the aux-server addresses.",
        )
        .no_effect("the kernel spreads clients over all workers on every port"),
        flag("no-tls", "Do not serve clients over TLS.").reloads(),
        flag(
            "dtls",
            "Serve clients over DTLS 1.2 as well, on tls-listening-port and on listening-port; it needs a certificate with an \
             ECDSA key, and clients are shown the certificate without its chain.",
        )
        .reloads(),
        flag("no-dtls", "Do not serve clients over DTLS, whatever dtls says.").reloads(),
        flag(
            "rfc5780",
            "Answer NAT discovery (RFC 5780) with two addresses of one family and alt-listening-port; a bare Binding request of \
             20 bytes is then answered with 56 over IPv4 and 92 over IPv6 instead of 32 and 44.",
        )
        .reloads(),
        flag("no-rfc5780", "Do not answer NAT discovery.")
            .no_effect("NAT discovery is off unless asked for"),
        option(
            "acme-redirect",
            Kind::Text,
            "URL to which ACME challenges over HTTP (RFC 8555 §8.3) on a port for TCP are sent, with the token behind it.",
        )
        .unset("they are not answered")
        .example("http://acme.example.org/.well-known/acme-challenge/"),
        flag(
            "respond-http-unsupported",
            "Answer HTTP on a port for TCP or TLS with status 400 instead of closing the connection.",
        ),
    ],
};
