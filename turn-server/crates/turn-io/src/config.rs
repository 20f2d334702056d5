//! What the drivers are told once, at start.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, mpsc::SyncSender},
    time::Duration,
};

use turn_proto::{Event, IpRange, Transport};

use crate::{Backend, Device, Dtls, GuestHook, HttpAnswers, Inherited, Tls, WorkerFailure};

/// Called on the thread of a worker that has failed, after its sockets are closed. It must not drop the [`crate::Workers`],
/// which would wait for this very thread.
pub type FailureHook = Arc<dyn Fn(&WorkerFailure) + Send + Sync>;

/// Which sockets to open and how to drive them.
#[derive(Clone)]
pub struct Config {
    /// Where to listen for datagrams; port 0 takes a free one.
    pub udp: Vec<SocketAddr>,
    /// Where to listen for connections; port 0 takes a free one.
    pub tcp: Vec<SocketAddr>,
    /// Where to listen for connections that are announced as TLS. What a connection may begin with is the same on all.
    pub tls: Vec<SocketAddr>,
    /// Where to listen for connections that all begin with a PROXY header.
    pub behind_proxy: Vec<SocketAddr>,
    /// Proxies: connections from these addresses begin with a PROXY header on every port, and where there are any, no others
    /// are served on the ports behind a proxy.
    pub proxies: Vec<IpRange>,
    /// Where to listen for datagrams besides, announced as DTLS. What a datagram may be is the same on all.
    pub dtls: Vec<SocketAddr>,
    /// How DTLS is served; without it, it is not. DTLS and plain datagrams are told apart by their first byte (RFC 7983).
    pub secure_datagrams: Option<Dtls>,
    /// Whether plain datagrams are served.
    pub plain_datagrams: bool,
    /// How TLS is served; without it, it is not. TLS and plain connections are told apart by their first byte.
    pub security: Option<Tls>,
    /// Who takes connections over that speak HTTP inside TLS; without it, they are closed.
    pub guests: Option<GuestHook>,
    /// What those are told who speak HTTP elsewhere.
    pub http: HttpAnswers,
    /// Whether plain connections are served.
    pub plain_streams: bool,
    /// TLS handshakes that one worker has under way at most, and DTLS handshakes; who begins one more takes the place of the
    /// oldest.
    pub max_handshakes: usize,
    /// How long a handshake may take, and a PROXY header.
    pub handshake_patience: Duration,
    /// Addresses that relay sockets will be bound to: tried once at start, so that a foreign one is an error there and not a
    /// failure of every allocation.
    pub relay_addresses: Vec<IpAddr>,
    /// Relay sockets that allocations share, by place, and the worker that reads each ([`turn_proto::Multiplex::sockets`]).
    pub shared_relays: Vec<(SocketAddr, usize)>,
    /// Sockets that are bound already. Where one stands for an address above, none is opened; of a datagram address, there must
    /// be one for each worker.
    pub inherited: Vec<Inherited>,
    /// The interface that clients come by.
    pub listening_device: Device,
    /// The interface that peers are behind.
    pub relay_device: Device,
    /// How many threads; zero counts as one.
    pub workers: usize,
    /// Bytes of receive and of send buffer to ask the kernel for per datagram socket; zero leaves its default.
    ///
    /// It must hold what arrives while a worker is kept from its core: 2 MiB are 5 ms at 300,000 small packets per second,
    /// counted as the kernel counts them.
    pub socket_buffer: usize,
    /// Which system calls move datagrams.
    pub backend: Backend,
    /// How long a packet may wait for others to be served with; without it, none ever does. Up to 20 ms.
    pub latency_budget: Option<Duration>,
    /// TCP connections that one worker holds at most; more are closed as they come.
    pub max_streams: usize,
    /// TCP connections without an allocation that one worker holds at most; for one more, the oldest is closed.
    pub max_strangers: usize,
    /// DTLS associations that one worker holds at most; for one more, the oldest without an allocation is closed.
    pub max_associations: usize,
    /// Connections with peers that one worker holds at most (RFC 6062), each with a client's connection besides; more fail.
    pub max_peer_connections: usize,
    /// How long a TCP connection or a DTLS association may be without an allocation; it is closed within twice that time.
    pub stream_patience: Duration,
    /// Who is told of sessions. A full channel loses events, which are counted; a worker never waits for it.
    pub events: Option<SyncSender<Event>>,
    /// Who is told when a worker fails.
    pub on_failure: Option<FailureHook>,
}

/// How patient workers are, which may change while they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// [`Config::stream_patience`].
    pub stream_patience: Duration,
    /// [`Config::handshake_patience`].
    pub handshake_patience: Duration,
}

/// What is spoken on all sockets, which may change while workers run. Connections and associations that are open go on as
/// they are, and so do sessions over UDP.
#[derive(Clone)]
pub struct Spoken {
    /// [`Config::plain_datagrams`].
    pub plain_datagrams: bool,
    /// [`Config::plain_streams`].
    pub plain_streams: bool,
    /// [`Config::security`].
    pub tls: Option<Tls>,
    /// [`Config::secure_datagrams`].
    pub dtls: Option<Dtls>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            udp: Vec::new(),
            tcp: Vec::new(),
            tls: Vec::new(),
            behind_proxy: Vec::new(),
            proxies: Vec::new(),
            dtls: Vec::new(),
            secure_datagrams: None,
            plain_datagrams: true,
            security: None,
            guests: None,
            http: HttpAnswers::default(),
            plain_streams: true,
            // With 64 KiB each, the most that a handshake may hold, 64 MiB.
            max_handshakes: 1024,
            // Three round trips over a bad mobile link, with a retransmission in each.
            handshake_patience: Duration::from_secs(10),
            relay_addresses: Vec::new(),
            shared_relays: Vec::new(),
            inherited: Vec::new(),
            listening_device: Device::default(),
            relay_device: Device::default(),
            workers: 1,
            socket_buffer: 2 << 20,
            backend: Backend::detect(),
            latency_budget: None,
            max_streams: 65_536,
            // With 8 KiB each, the most that one may make us keep, 64 MiB. A thousand that come each second have eight seconds.
            max_strangers: 8192,
            // With 10 KiB each, 160 MiB.
            max_associations: 16_384,
            max_peer_connections: 16_384,
            // Long enough for a person to type a password in between.
            stream_patience: Duration::from_secs(60),
            events: None,
            on_failure: None,
        }
    }
}

/// An address that is listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// What is spoken there.
    pub transport: Transport,
    /// Where, with the real port.
    pub address: SocketAddr,
    /// Whether connections there begin with a PROXY header.
    pub behind_proxy: bool,
}

impl Listening {
    /// The option that chooses its port.
    pub fn port_option(&self) -> &'static str {
        match self.transport {
            _ if self.behind_proxy => "tcp-proxy-port",
            Transport::Udp | Transport::Tcp => "listening-port",
            Transport::Tls | Transport::Dtls => "tls-listening-port",
        }
    }
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Dtls => "dtls",
        };
        write!(f, "{transport} {}", self.address)?;
        if self.behind_proxy {
            f.write_str(" behind a proxy")?;
        }
        Ok(())
    }
}
