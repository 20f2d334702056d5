//! Socket activation: sockets that systemd has bound and hands over (sd_listen_fds(3)), so that the server needs no right to
//! its ports, and clients that come while it starts wait instead of being refused.
//!
//! They take the place of all listeners for clients that the settings ask for. `FileDescriptorName=` says what they are for:
//! `tls` (over UDP: DTLS), `proxy` (behind a proxy, with the PROXY protocol), `http` (the control plane); any other name is for
//! plain clients.

use std::{
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
};

use anyhow::{Context as _, bail, ensure};
use tracing::{info, warn};
use turn_config::{Origin, settings::Settings};
use turn_io::{Endpoints, Inherited as Socket};

/// Options that count from the next start on where the service manager has bound the sockets: what it has not handed over cannot
/// be listened on.
const HELD: [&str; 13] = [
    "listening-ip",
    "listening-port",
    "alt-listening-port",
    "tls-listening-port",
    "alt-tls-listening-port",
    "tcp-proxy-port",
    "aux-server",
    "no-udp",
    "no-tcp",
    "no-tls",
    "dtls",
    "no-dtls",
    "rfc5780",
];

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Plain,
    Secure,
    Proxied,
    Http,
}

impl Purpose {
    fn of(name: &str) -> Self {
        match name {
            "tls" | "dtls" => Self::Secure,
            "proxy" => Self::Proxied,
            "http" => Self::Http,
            _ => Self::Plain,
        }
    }
}

/// The sockets that this process was started with.
#[derive(Default)]
pub(crate) struct Inherited(Vec<(Purpose, Socket)>);

impl Inherited {
    /// Takes them; without a service manager there are none.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub(crate) fn take() -> anyhow::Result<Self> {
        let handed = sd_notify::listen_fds_with_names();
        let handed = handed.context("socket activation: LISTEN_FDS and LISTEN_FDNAMES")?;
        let mut sockets = Vec::new();
        for (number, name) in handed {
            let socket = Socket::take(number)
                .with_context(|| format!("socket activation: descriptor {number} ({name})"))?;
            let (at, purpose) = (socket.address(), Purpose::of(&name));
            info!("listening socket of the service manager ({name}): {at}");
            ensure!(
                !at.ip().is_unspecified() || purpose == Purpose::Http,
                "socket activation: {at} ({name}) is all addresses, and the server answers and relays from the one that a \
                 client came to: write a socket for each address, ListenDatagram=192.0.2.10:{port} and \
                 ListenStream=192.0.2.10:{port}",
                port = at.port()
            );
            sockets.push((purpose, socket));
        }
        Ok(Self(sockets))
    }

    /// Whether clients come by these sockets.
    pub(crate) fn has_clients(&self) -> bool {
        self.0.iter().any(|(purpose, _)| *purpose != Purpose::Http)
    }

    /// Adapts the settings to sockets that are there already.
    ///
    /// # Errors
    /// When they contradict each other.
    pub(crate) fn shape(&self, settings: &mut Settings) -> anyhow::Result<()> {
        if !self.has_clients() {
            return Ok(());
        }
        let Endpoints {
            udp,
            tcp,
            tls,
            dtls,
            behind_proxy,
        } = self.endpoints();
        for (named, served) in [(&tls, &settings.tls), (&dtls, &settings.dtls)] {
            if let (Some(at), None) = (named.first(), served) {
                bail!(
                    "socket activation: {at} is called tls, and there is no TLS (over UDP: dtls) to serve; add cert=FILE and \
                     pkey=FILE"
                );
            }
        }
        let all = [udp, tcp, tls, dtls, behind_proxy].concat();
        let mut addresses: Vec<_> = all.iter().map(SocketAddr::ip).collect();
        addresses.sort_unstable();
        addresses.dedup();
        settings.waiting.extend(HELD);
        settings.listening.addresses = addresses;
        settings.listening.aux.clear();
        if settings.listening.alternate_port.take().is_some() {
            warn!("rfc5780: NAT discovery is off: it opens its sockets itself");
        }
        if let Some(sockets) = self.sockets_of_each_address()? {
            let wanted = settings.process.workers.replace(sockets);
            if wanted.is_some_and(|wanted| wanted != sockets)
                && settings.origin("relay-threads") != Origin::Default
            {
                warn!(
                    "relay-threads: there are {sockets} sockets of each UDP address, and so many worker threads"
                );
            }
        }
        Ok(())
    }

    /// Where clients come, each address once.
    pub(crate) fn endpoints(&self) -> Endpoints {
        let of = |wanted: Purpose, is_stream: bool| {
            let mut found: Vec<SocketAddr> = Vec::new();
            for (purpose, socket) in &self.0 {
                let at = socket.address();
                if *purpose == wanted && socket.is_stream() == is_stream && !found.contains(&at) {
                    found.push(at);
                }
            }
            found
        };
        Endpoints {
            udp: of(Purpose::Plain, false),
            tcp: of(Purpose::Plain, true),
            tls: of(Purpose::Secure, true),
            dtls: of(Purpose::Secure, false),
            behind_proxy: of(Purpose::Proxied, true),
        }
    }

    /// How many sockets there are of each address for datagrams; `None` where there is no such address.
    fn sockets_of_each_address(&self) -> anyhow::Result<Option<NonZeroUsize>> {
        let datagrams = self.clients().filter(|socket| !socket.is_stream());
        let addresses: Vec<_> = datagrams.map(|socket| socket.address()).collect();
        let count = |at: &SocketAddr| addresses.iter().filter(|other| *other == at).count();
        let Some(first) = addresses.first() else {
            return Ok(None);
        };
        if let Some(other) = addresses.iter().find(|at| count(at) != count(first)) {
            // Nobody would read a socket too many, and the kernel would go on giving it its share of the clients.
            bail!(
                "socket activation: {first} has {} UDP sockets and {other} has {}; write as many ListenDatagram= lines for \
                 each address (with ReusePort=yes), one for each worker thread",
                count(first),
                count(other)
            );
        }
        Ok(NonZeroUsize::new(count(first)))
    }

    fn clients(&self) -> impl Iterator<Item = &Socket> {
        let clients = self
            .0
            .iter()
            .filter(|(purpose, _)| *purpose != Purpose::Http);
        clients.map(|(_, socket)| socket)
    }

    /// The sockets for workers.
    pub(crate) fn sockets(&self) -> Vec<Socket> {
        self.clients().cloned().collect()
    }

    /// The listeners for the control plane.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub(crate) fn http(&self) -> std::io::Result<Vec<TcpListener>> {
        let named = self
            .0
            .iter()
            .filter(|(purpose, socket)| *purpose == Purpose::Http && socket.is_stream());
        let listener = |(_, socket): &(Purpose, Socket)| {
            let listener = TcpListener::from(socket.descriptor()?);
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        named.map(listener).collect()
    }
}
