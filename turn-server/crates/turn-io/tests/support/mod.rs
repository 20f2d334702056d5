//! Running workers on loopback, and a small client that speaks to them over real sockets.
#![allow(
    dead_code,
    unused_imports,
    reason = "shared by several test programs, each using a part"
)]

mod client;
pub(crate) mod dtls;
mod secure;

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    ops::RangeInclusive,
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    time::Duration,
};

pub(crate) use client::{Client, Got, Link, PATIENCE, TcpLink};
pub(crate) use dtls::DtlsLink;
use rand::{CryptoRng, SeedableRng, rngs::StdRng};
pub(crate) use secure::{IDENTITY, Identity, shake};
use turn_auth::{Credentials, NonceKey};
use turn_io::{Backend, Config, StartError, Stats, Workers, start};
use turn_proto::{
    Access, DefaultFamily, Event, Lifetimes, Limits, Multiplex, PeerPolicy, Relay, RelayAddresses,
    RelayChoice, Reported, Shared, Transport,
};

pub(crate) const REALM: &str = "test.org";
pub(crate) const USER: &str = "ann";
pub(crate) const PASSWORD: &str = "secret of ann";
pub(crate) const BACKENDS: [Backend; 2] = [Backend::Batched, Backend::Plain];
/// Peers of one allocation on a shared port.
pub(crate) const MAX_PEERS: usize = 256;
pub(crate) const LOOPBACKS: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

/// How a test's server differs from the common one.
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) relays: Vec<IpAddr>,
    pub(crate) relay_ports: RangeInclusive<u16>,
    /// Relay ports that allocations share.
    pub(crate) shared_ports: Option<RangeInclusive<u16>>,
    /// What is other than in [`rules`].
    pub(crate) adjust: fn(&mut turn_proto::Config),
}

impl Default for Setup {
    /// One worker, datagrams and streams, both families.
    fn default() -> Self {
        let addresses = LOOPBACKS.map(|text| text.parse().unwrap()).to_vec();
        let config = Config {
            udp: addresses.clone(),
            tcp: addresses,
            ..Config::default()
        };
        Self {
            config,
            relays: LOOPBACKS.map(ip).to_vec(),
            relay_ports: 20_000..=64_999,
            shared_ports: None,
            adjust: |_| {},
        }
    }
}

impl Setup {
    /// As the common one, and TLS.
    pub(crate) fn secure() -> Self {
        let mut setup = Self::default();
        setup.config.tls = setup.config.tcp.clone();
        setup.config.security = Some(IDENTITY.tls());
        setup
    }

    /// As the common one, and DTLS.
    pub(crate) fn secure_datagrams() -> Self {
        let mut setup = Self::default();
        setup.config.dtls = setup.config.udp.clone();
        setup.config.secure_datagrams = Some(IDENTITY.dtls());
        setup
    }
}

/// A running server and what it tells.
pub(crate) struct Server {
    pub(crate) workers: Workers,
    pub(crate) events: Receiver<Event>,
    pub(crate) shared: Arc<Shared>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self::with(Setup::default())
    }

    pub(crate) fn with_backend(backend: Backend) -> Self {
        let mut setup = Setup::default();
        setup.config.backend = backend;
        Self::with(setup)
    }

    pub(crate) fn with(setup: Setup) -> Self {
        Self::try_with(setup, |_| StdRng::from_os_rng()).unwrap()
    }

    pub(crate) fn try_with<R: CryptoRng + Send + 'static>(
        setup: Setup,
        mut rng: impl FnMut(usize) -> R,
    ) -> Result<Self, StartError> {
        let (workers, relays) = (setup.config.workers, &setup.relays);
        let multiplex =
            (setup.shared_ports).map(|ports| Multiplex::new(relays, ports, workers, MAX_PEERS));
        let shared = match multiplex {
            Some(multiplex) => Shared::multiplexed(relays, setup.relay_ports, [0, 0], multiplex),
            None => Shared::new(relays, setup.relay_ports, 0, 0),
        };
        let shared_relays = shared
            .multiplex
            .iter()
            .flat_map(Multiplex::sockets)
            .collect();
        let mut rules = rules(setup.relays);
        (setup.adjust)(&mut rules);
        let rules = Arc::new(rules);
        let (sink, events) = sync_channel(1024);
        let config = Config {
            events: setup.config.events.or(Some(sink)),
            shared_relays,
            ..setup.config
        };
        let workers = start(config, |number| {
            Relay::new(
                Arc::clone(&rules),
                Arc::clone(&shared),
                number as u16,
                rng(number),
            )
        })?;
        Ok(Self {
            workers,
            events,
            shared,
        })
    }

    /// Where the server listens for a transport, in the family of `like`.
    pub(crate) fn address(&self, transport: Transport, like: &str) -> SocketAddr {
        let like: SocketAddr = like.parse().unwrap();
        let mut listening = self.workers.listening().into_iter();
        let found = listening
            .find(|it| it.transport == transport && it.address.is_ipv4() == like.is_ipv4());
        found.unwrap().address
    }

    /// A server with TLS, on the ports of plain TCP too.
    pub(crate) fn secure() -> Self {
        Self::with(Setup::secure())
    }

    /// A client that has not sent anything yet.
    pub(crate) fn client(&self, transport: Transport, on: &str) -> Client {
        Client::connect(transport, self.address(transport, on))
    }

    /// A client whose allocation lives on this worker, and its relayed address.
    pub(crate) fn place(&self, transport: Transport, worker: u16) -> (Client, SocketAddr) {
        // The kernel deals clients to workers by their ports.
        for _ in 0..200 {
            let mut client = self.client(transport, LOOPBACKS[0]);
            let relayed = client.allocate();
            let session = self.events.iter().find_map(|event| match event {
                Event::Started { session, path, .. } if path.client == client.local() => {
                    Some(session)
                }
                _ => None,
            });
            // The session's number begins with its worker's.
            if session.unwrap().0 / 1_000_000_000_000_000 == u64::from(worker) {
                return (client, relayed);
            }
            client.release();
        }
        panic!("no client comes to worker {worker}");
    }

    /// Waits until the counters satisfy a condition, which others bring about.
    pub(crate) fn wait_for(&self, what: &str, mut condition: impl FnMut(&Stats) -> bool) -> Stats {
        for _ in 0..PATIENCE.as_millis() {
            let stats = self.workers.stats();
            if condition(&stats) {
                return stats;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("never: {what}: {:?}", self.workers.stats());
    }
}

/// A peer: a socket that answers nothing by itself.
pub(crate) fn peer(on: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(on).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// The next datagram of a peer.
pub(crate) fn receive(peer: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_535];
    let (length, from) = peer.recv_from(&mut buffer).unwrap();
    buffer.truncate(length);
    (buffer, from)
}

/// The state machine's settings: one user, loopback peers allowed.
pub(crate) fn rules(relays: Vec<IpAddr>) -> turn_proto::Config {
    turn_proto::Config {
        credentials: Arc::new(Credentials::new(REALM).with_user(USER, PASSWORD)),
        access: Access::Authenticated,
        nonce_key: NonceKey::new([7; 16]),
        nonce_lifetime: Duration::from_secs(600),
        relays: RelayAddresses {
            addresses: relays,
            choice: RelayChoice::SameAsServer,
        },
        externals: Vec::new(),
        default_family: DefaultFamily::Keep,
        lifetimes: Lifetimes::default(),
        limits: Limits::default(),
        peers: PeerPolicy {
            allow_loopback: true,
            ..PeerPolicy::default()
        },
        guard: Default::default(),
        channel_numbers: 0x4000..=0x4FFF,
        binding: true,
        binding_needs_credentials: false,
        discovery: None,
        turn: true,
        udp_relay: true,
        mobility: true,
        tcp_relay: true,
        alternates: Default::default(),
        reasons: false,
        mapped_address: false,
        classic_stun: false,
        always_fingerprint: false,
        software: None,
        reported: Reported::default(),
    }
}

/// The address of an address and port.
pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse::<SocketAddr>().unwrap().ip()
}

/// The memory of this process that is its own.
pub(crate) fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("RssAnon:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        * 1024
}
