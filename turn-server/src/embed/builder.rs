//! What a program brings along: conns, relay addresses, users, in the words of the `turn` crate.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use tokio::sync::mpsc;
use turn::{
    allocation::AllocationInfo,
    auth::AuthHandler,
    relay::{RelayAddressGenerator, relay_range::RelayAddressGeneratorRanges},
    server::config::ServerConfig,
};
use turn_proto::{Access, Config, PeerPolicy, RelayAddresses, Shared};
use webrtc_util::{Conn, vnet::net::Net};

use super::{
    core::SharedConn,
    engine::{Engine, Parts},
    keys::SharedHandler,
    places::SharedGenerator,
};
use crate::{Builder, Server};

/// The names of places: a generator chooses addresses and ports by itself, and the state machine counts with these.
const NAMES: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
];

/// What a program brings along.
#[derive(Default)]
pub(crate) struct Embedding {
    conns: Vec<SharedConn>,
    /// Conns with generators of their own.
    pairs: Vec<(SharedConn, SharedGenerator)>,
    generator: Option<SharedGenerator>,
    pub(crate) handler: Option<SharedHandler>,
    notify: Option<mpsc::Sender<AllocationInfo>>,
}

impl Embedding {
    /// Tells whether anything of it needs tasks instead of threads.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.conns.is_empty()
            || !self.pairs.is_empty()
            || self.generator.is_some()
            || self.handler.is_some()
            || self.notify.is_some()
    }
}

/// With any of these the server runs as tasks of the tokio runtime around [`Builder::start`], over UDP-like conns: see
/// `EMBEDDING.md` in the package. Without a conn it listens on [`Builder::listen`].
impl Builder {
    /// Takes over all of a configuration that was made for the `turn` crate's server.
    ///
    /// Clients may then reach loopback addresses, because they may with that server.
    #[must_use]
    pub fn config(mut self, config: ServerConfig) -> Self {
        for conn in config.conn_configs {
            let generator = Arc::from(conn.relay_addr_generator);
            self.embedding.pairs.push((conn.conn, generator));
        }
        self.realm = config.realm;
        self.allow_loopback = true;
        self.embedding.handler = Some(config.auth_handler);
        self.embedding.notify = config.alloc_close_notify;
        if config.channel_bind_timeout.is_zero() {
            return self;
        }
        self.channel_bind_timeout(config.channel_bind_timeout)
    }

    /// Listens on a conn; several are served side by side.
    #[must_use]
    pub fn conn(mut self, conn: Arc<dyn Conn + Send + Sync>) -> Self {
        self.embedding.conns.push(conn);
        self
    }

    /// Takes relays from a generator, for every conn that [`Builder::config`] has brought none for.
    #[must_use]
    pub fn relay_address_generator(
        mut self,
        generator: impl RelayAddressGenerator + Send + Sync + 'static,
    ) -> Self {
        self.embedding.generator = Some(Arc::new(generator));
        self
    }

    /// Asks a handler for the keys of users that [`Builder::user`] and [`Builder::secret`] have not named.
    #[must_use]
    pub fn auth_handler(mut self, handler: Arc<dyn AuthHandler + Send + Sync>) -> Self {
        self.embedding.handler = Some(handler);
        self
    }

    /// Tells of every allocation that ends. A channel that nobody reads holds up nobody.
    #[must_use]
    pub fn alloc_close_notify(mut self, notify: mpsc::Sender<AllocationInfo>) -> Self {
        self.embedding.notify = Some(notify);
        self
    }

    /// Lets channel bindings live as long (RFC 8656 §12 says 600 s).
    #[must_use]
    pub fn channel_bind_timeout(mut self, lifetime: Duration) -> Self {
        self.channel_lifetime = lifetime;
        self
    }

    pub(crate) fn start_embedded(mut self) -> anyhow::Result<Server> {
        let config = self.embedded_config()?;
        let embedding = std::mem::take(&mut self.embedding);
        if embedding.conns.is_empty() && embedding.pairs.is_empty() {
            anyhow::ensure!(
                tokio::runtime::Handle::try_current().is_ok(),
                "handlers and generators need a tokio runtime around start()"
            );
        }
        let mut listeners = embedding.pairs;
        let mut conns = embedding.conns;
        if listeners.is_empty() && conns.is_empty() {
            conns.push(self.bind()?);
        }
        let generator = embedding.generator.unwrap_or_else(|| self.generator());
        let rest = conns.into_iter().map(|conn| (conn, Arc::clone(&generator)));
        listeners.extend(rest);
        for (_, generator) in &listeners {
            generator.validate()?;
        }
        let parts = Parts {
            listeners,
            config: Arc::new(config),
            handler: embedding.handler,
            notify: embedding.notify,
        };
        let shared = || Shared::new(&NAMES, 1..=u16::MAX, 0, 0);
        Ok(Server::with_conns(Engine::start(parts, shared)?, shared()))
    }

    /// What differs from workers: the driver knows users and places, and the machine's addresses are not known, because the
    /// conns may be of a virtual network.
    fn embedded_config(&self) -> anyhow::Result<Config> {
        let plan = self.plan()?;
        let Ok(config) = Arc::try_unwrap(plan.relay) else {
            anyhow::bail!("the plan is shared");
        };
        let access = match self.embedding.handler {
            Some(_) => Access::Asked,
            None => config.access,
        };
        let relays = RelayAddresses {
            addresses: NAMES.to_vec(),
            choice: config.relays.choice,
        };
        let peers = PeerPolicy {
            own: Vec::new(),
            relays: Vec::new(),
            ..config.peers
        };
        Ok(Config {
            access,
            relays,
            peers,
            ..config
        })
    }

    fn bind(&self) -> anyhow::Result<SharedConn> {
        let socket = std::net::UdpSocket::bind(self.listen)?;
        socket.set_nonblocking(true)?;
        Ok(Arc::new(tokio::net::UdpSocket::from_std(socket)?))
    }

    /// Relays from the address that is listened on.
    fn generator(&self) -> SharedGenerator {
        let ip = self.listen.ip();
        Arc::new(RelayAddressGeneratorRanges {
            relay_address: ip,
            min_port: *self.ports.start(),
            max_port: *self.ports.end(),
            max_retries: 100,
            // The crate puts the port behind a colon.
            address: match ip {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            },
            net: Arc::new(Net::new(None)),
        })
    }
}

impl From<ServerConfig> for Builder {
    fn from(config: ServerConfig) -> Self {
        Server::builder().config(config)
    }
}
