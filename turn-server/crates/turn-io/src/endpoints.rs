//! Where clients are listened to, by what is spoken there.

use std::net::SocketAddr;

use turn_proto::Transport;

use crate::{Config, Listening};

/// Where to listen, by what is spoken there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// For datagrams. What a datagram may be is the same on all sockets.
    pub udp: Vec<SocketAddr>,
    /// For connections. What a connection may begin with is the same on all sockets.
    pub tcp: Vec<SocketAddr>,
    /// For connections that are announced as TLS.
    pub tls: Vec<SocketAddr>,
    /// For connections that all begin with a PROXY header.
    pub behind_proxy: Vec<SocketAddr>,
    /// For datagrams that are announced as DTLS.
    pub dtls: Vec<SocketAddr>,
}

impl Endpoints {
    /// Those of the start.
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            udp: config.udp.clone(),
            tcp: config.tcp.clone(),
            tls: config.tls.clone(),
            behind_proxy: config.behind_proxy.clone(),
            dtls: config.dtls.clone(),
        }
    }

    /// All of them for datagrams, in the order of their places at the start.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = Listening> {
        let udp = on(Transport::Udp, &self.udp, false);
        udp.chain(on(Transport::Dtls, &self.dtls, false))
    }

    /// All of them for connections.
    pub(crate) fn streams(&self) -> impl Iterator<Item = Listening> {
        let open = on(Transport::Tcp, &self.tcp, false).chain(on(Transport::Tls, &self.tls, false));
        open.chain(on(Transport::Tcp, &self.behind_proxy, true))
    }
}

fn on(
    transport: Transport,
    addresses: &[SocketAddr],
    behind_proxy: bool,
) -> impl Iterator<Item = Listening> {
    addresses.iter().map(move |&address| Listening {
        transport,
        address,
        behind_proxy,
    })
}
