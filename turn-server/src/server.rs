//! A running relay as a value: for the daemon, and for programs that start one in-process.

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::Context as _;
use rand::{SeedableRng, rngs::StdRng};
use turn_auth::{Credentials, NonceKey, Secret};
use turn_io::{Listening, Opening, Spoken, Stats, Workers};
use turn_proto::{
    Access, Admin, Alternates, Config, DefaultFamily, Guard, IpRange, Lifetimes, Limits,
    PeerPolicy, Relay, RelayAddresses, RelayChoice, Reported, Shared, Transport,
};

use crate::{
    embed::{Embedding, Engine},
    endpoints::Endpoints,
    relay_config::{Plan, random_bytes},
};

/// How long a worker may keep a question waiting. It answers between two turns, which take some milliseconds at most.
const PATIENCE: Duration = Duration::from_secs(3);

/// A TURN server that runs until it is stopped or dropped.
///
/// ```
/// let server = turn_server::Server::builder().user("ann", "secret").start()?;
/// let address = server.udp_address().expect("it listens on UDP");
/// assert!(address.port() != 0);
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct Server {
    pub(crate) drive: Drive,
    shared: Arc<Shared>,
    /// Some worker has not answered lately.
    unwell: AtomicBool,
}

/// What moves the packets.
pub(crate) enum Drive {
    /// Threads with sockets of their own; `None` once they are stopped.
    Workers(Mutex<Option<Workers>>),
    /// Tasks with conns of the program's.
    Conns(Engine),
}

impl Server {
    /// Begins a server for tests and tools: on free ports of 127.0.0.1, with nobody believed yet.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Starts workers on a plan.
    ///
    /// # Errors
    /// When an address cannot be listened on or relayed from; when the system gives no random numbers.
    pub(crate) fn start(plan: &Plan, io: turn_io::Config) -> anyhow::Result<Self> {
        let mut seeds = (0..io.workers.max(1))
            .map(|_| random_bytes())
            .collect::<anyhow::Result<Vec<_>>>()?
            .into_iter();
        let shared_relays = (plan.shared.multiplex.iter()).flat_map(|shared| shared.sockets());
        let io = turn_io::Config {
            shared_relays: shared_relays.collect(),
            ..io
        };
        let workers = turn_io::start(io, |number| {
            let rng = StdRng::from_seed(seeds.next().unwrap_or_default());
            let worker = u16::try_from(number).unwrap_or(u16::MAX);
            Relay::new(
                Arc::clone(&plan.relay),
                Arc::clone(&plan.shared),
                worker,
                rng,
            )
        })?;
        Ok(Self {
            drive: Drive::Workers(Mutex::new(Some(workers))),
            shared: Arc::clone(&plan.shared),
            unwell: AtomicBool::new(false),
        })
    }

    /// Takes over a running engine.
    pub(crate) fn with_conns(engine: Engine, shared: Arc<Shared>) -> Self {
        Self {
            drive: Drive::Conns(engine),
            shared,
            unwell: AtomicBool::new(false),
        }
    }

    /// What is listened on, with real ports.
    pub fn listening(&self) -> Vec<Listening> {
        match &self.drive {
            Drive::Workers(workers) => {
                (lock(workers).as_ref()).map_or_else(Vec::new, Workers::listening)
            }
            Drive::Conns(engine) => {
                let listening = engine.addresses().iter().map(|&address| Listening {
                    transport: Transport::Udp,
                    address,
                    behind_proxy: false,
                });
                listening.collect()
            }
        }
    }

    /// The first address for UDP clients.
    pub fn udp_address(&self) -> Option<SocketAddr> {
        self.address(Transport::Udp)
    }

    /// The first address for TCP clients.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.address(Transport::Tcp)
    }

    /// The first address for TLS clients.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.address(Transport::Tls)
    }

    /// What has been counted since the start.
    pub fn stats(&self) -> Stats {
        match &self.drive {
            Drive::Workers(workers) => lock(workers)
                .as_ref()
                .map_or_else(Stats::default, Workers::stats),
            Drive::Conns(engine) => Stats {
                relay: engine.stats(),
                ..Stats::default()
            },
        }
    }

    /// The workers that give no sign of life within that time.
    pub(crate) fn silent_workers(&self, within: Duration) -> Vec<usize> {
        match &self.drive {
            Drive::Workers(workers) => {
                (lock(workers).as_ref()).map_or_else(Vec::new, |workers| workers.silent(within))
            }
            Drive::Conns(_) => Vec::new(),
        }
    }

    /// Notes whether every worker has answered lately.
    pub(crate) fn note_health(&self, well: bool) {
        self.unwell.store(!well, Relaxed);
    }

    /// Whether every worker has answered when it was last asked.
    pub(crate) fn is_well(&self) -> bool {
        !self.unwell.load(Relaxed)
    }

    /// Says which workers hang, if any do. Whoever asks all workers for something asks this before, or else waits for as long
    /// as they hang.
    pub(crate) fn hanging(&self) -> Option<String> {
        let silent = self.silent_workers(PATIENCE);
        (!silent.is_empty()).then(|| format!("workers {silent:?} do not answer: look at the log"))
    }

    /// Serves TLS connections that come from now on with these settings, for one with a renewed certificate. Open ones go on
    /// as they are.
    pub fn secure_with(&self, tls: &turn_io::Tls) {
        if let Drive::Workers(workers) = &self.drive
            && let Some(workers) = lock(workers).as_ref()
        {
            workers.secure_with(tls);
        }
    }

    /// Believes these proxies from now on, and no others. Open connections go on as they are.
    pub fn trust_proxies(&self, proxies: &[IpRange]) {
        if let Drive::Workers(workers) = &self.drive
            && let Some(workers) = lock(workers).as_ref()
        {
            workers.trust_proxies(proxies);
        }
    }

    /// The same for DTLS associations.
    pub fn secure_datagrams_with(&self, dtls: &turn_io::Dtls) {
        if let Drive::Workers(workers) = &self.drive
            && let Some(workers) = lock(workers).as_ref()
        {
            workers.secure_datagrams_with(dtls);
        }
    }

    /// Goes by other settings from now on, in each worker from its next turn.
    pub(crate) fn configure(&self, config: &Arc<Config>) {
        if let Drive::Workers(workers) = &self.drive
            && let Some(workers) = lock(workers).as_ref()
        {
            workers.command(Admin::Configure(Arc::clone(config)));
        }
    }

    /// Is as patient with connections as this from now on.
    pub(crate) fn tune(&self, tuning: turn_io::Tuning) {
        if let Drive::Workers(workers) = &self.drive
            && let Some(workers) = lock(workers).as_ref()
        {
            workers.tune(tuning);
        }
    }

    /// Opens sockets for other addresses; nobody is served there before [`Server::turn_to`].
    ///
    /// # Errors
    /// When one of the addresses cannot be had, or relayed from; everything goes on as it was then.
    pub(crate) fn open(
        &self,
        endpoints: &turn_io::Endpoints,
        relays: &[IpAddr],
    ) -> anyhow::Result<Opening> {
        let Drive::Workers(workers) = &self.drive else {
            anyhow::bail!("who has brought the conns listens");
        };
        let workers = lock(workers);
        let workers = workers.as_ref().context("the server has stopped")?;
        Ok(workers.open(endpoints, relays)?)
    }

    /// Listens on what has been opened, and on nothing else, and speaks this there. Sessions go on.
    pub(crate) fn turn_to(&self, opening: Opening, spoken: &Spoken) {
        if let Drive::Workers(workers) = &self.drive
            && let Some(workers) = lock(workers).as_mut()
        {
            workers.turn_to(opening, spoken);
        }
    }

    /// What is not listened on any more and still has sessions, with their number.
    pub fn retired(&self) -> Vec<(Listening, usize)> {
        match &self.drive {
            Drive::Workers(workers) => {
                (lock(workers).as_ref()).map_or_else(Vec::new, Workers::retired)
            }
            Drive::Conns(_) => Vec::new(),
        }
    }

    /// As [`Server::shared`], to keep.
    pub(crate) fn shared_arc(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// The ports and quotas of all workers; those of a server over conns are its conns' own, and not here.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Stops all workers and closes their sockets; dropping the server does the same. Over conns, its tasks end as soon as
    /// the runtime comes to them; [`Server::close`] waits for that.
    pub fn stop(self) {
        drop(self);
    }

    fn address(&self, transport: Transport) -> Option<SocketAddr> {
        first_of(transport, &self.listening())
    }
}

/// The first of these addresses that a transport has.
pub(crate) fn first_of(transport: Transport, listening: &[Listening]) -> Option<SocketAddr> {
    let mut listening = listening.iter();
    let found = listening.find(|at| at.transport == transport);
    found.map(|at| at.address)
}

/// The workers, if they still run.
pub(crate) fn lock(workers: &Mutex<Option<Workers>>) -> MutexGuard<'_, Option<Workers>> {
    workers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a [`Server`] in a program or test is made of.
pub struct Builder {
    pub(crate) listen: SocketAddr,
    pub(crate) realm: String,
    users: Vec<(String, String)>,
    secrets: Vec<Vec<u8>>,
    pub(crate) ports: RangeInclusive<u16>,
    max_lifetime: Duration,
    pub(crate) channel_lifetime: Duration,
    nonce_lifetime: Duration,
    workers: usize,
    pub(crate) allow_loopback: bool,
    /// What a program brings along, if it does.
    pub(crate) embedding: Embedding,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            realm: "turnpike".to_owned(),
            users: Vec::new(),
            secrets: Vec::new(),
            ports: 49_152..=65_535,
            max_lifetime: Lifetimes::default().allocation_max,
            channel_lifetime: Lifetimes::default().channel,
            nonce_lifetime: Duration::from_secs(600),
            workers: 1,
            allow_loopback: false,
            embedding: Embedding::default(),
        }
    }
}

impl Builder {
    /// Listens here, on UDP and TCP, and relays from the same address; port 0 is a free one.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Sets the realm.
    #[must_use]
    pub fn realm(mut self, realm: &str) -> Self {
        self.realm = realm.to_owned();
        self
    }

    /// Believes a user.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.push((name.to_owned(), password.to_owned()));
        self
    }

    /// Believes time-limited credentials made with this secret.
    #[must_use]
    pub fn secret(mut self, secret: &str) -> Self {
        self.secrets.push(secret.as_bytes().to_vec());
        self
    }

    /// Takes relay ports from this range.
    #[must_use]
    pub fn relay_ports(mut self, ports: RangeInclusive<u16>) -> Self {
        self.ports = ports;
        self
    }

    /// Grants no longer lifetime than this.
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = lifetime;
        self
    }

    /// Takes nonces for stale after this time.
    #[must_use]
    pub fn nonce_lifetime(mut self, lifetime: Duration) -> Self {
        self.nonce_lifetime = lifetime;
        self
    }

    /// Runs so many workers.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    /// When nobody would be believed, or the address cannot be listened on; with conns or handlers also outside a tokio runtime.
    pub fn start(self) -> anyhow::Result<Server> {
        if self.embedding.is_wanted() {
            return self.start_embedded();
        }
        let plan = self.plan()?;
        let io = turn_io::Config {
            udp: vec![self.listen],
            tcp: vec![self.listen],
            relay_addresses: vec![self.listen.ip()],
            workers: self.workers,
            ..turn_io::Config::default()
        };
        Server::start(&plan, io)
    }

    /// Makes the plan of workers; that of conns differs from it in a few points.
    pub(crate) fn plan(&self) -> anyhow::Result<Plan> {
        let mut credentials = Credentials::new(&self.realm);
        for (name, password) in &self.users {
            credentials = credentials.with_user(name, password);
        }
        for secret in &self.secrets {
            credentials = credentials.with_secret(Secret::new(secret.clone()));
        }
        anyhow::ensure!(
            !credentials.is_empty() || self.embedding.handler.is_some(),
            "nobody would be believed: add a user(), a secret() or an auth_handler()"
        );
        let ip = self.listen.ip();
        let relay = Config {
            credentials: Arc::new(credentials),
            access: Access::Authenticated,
            nonce_key: NonceKey::new(random_bytes()?),
            nonce_lifetime: self.nonce_lifetime,
            relays: RelayAddresses {
                addresses: vec![ip],
                choice: RelayChoice::SameAsServer,
            },
            externals: Vec::new(),
            default_family: DefaultFamily::V4,
            lifetimes: Lifetimes {
                allocation_max: self.max_lifetime,
                channel: self.channel_lifetime,
                ..Lifetimes::default()
            },
            limits: Limits::default(),
            peers: PeerPolicy {
                allow_loopback: self.allow_loopback,
                allow_private: true,
                own: vec![ip],
                relays: vec![ip],
                ..PeerPolicy::default()
            },
            guard: Guard::default(),
            channel_numbers: crate::relay_config::CHANNEL_NUMBERS,
            binding: true,
            binding_needs_credentials: false,
            discovery: None,
            turn: true,
            udp_relay: true,
            mobility: false,
            tcp_relay: false,
            alternates: Alternates::default(),
            reasons: false,
            mapped_address: false,
            classic_stun: false,
            always_fingerprint: false,
            software: None,
            reported: Reported::default(),
        };
        let shared = Shared::new(&[ip], self.ports.clone(), 0, 0);
        Ok(Plan {
            relay: Arc::new(relay),
            shared,
            listening: vec![ip],
            endpoints: Endpoints {
                plain: vec![self.listen],
                tls: Vec::new(),
                proxied: Vec::new(),
                open: turn_io::Endpoints {
                    udp: vec![self.listen],
                    tcp: vec![self.listen],
                    ..turn_io::Endpoints::default()
                },
            },
            links: Vec::new(),
            control: Vec::new(),
            is_inherited: false,
        })
    }
}

/// Settings that open a machine to its clients; for tests.
pub mod danger {
    use super::Builder;

    /// Lets clients reach this machine's own services through the relay.
    #[must_use]
    pub fn allow_loopback_peers(mut builder: Builder) -> Builder {
        builder.allow_loopback = true;
        builder
    }
}

#[cfg(test)]
mod tests {
    use super::Server;

    #[test]
    fn a_server_takes_free_ports_and_gives_them_back() {
        let server = Server::builder().user("ann", "secret").start().unwrap();
        let (udp, tcp) = (server.udp_address().unwrap(), server.tcp_address().unwrap());
        assert!(udp.port() != 0 && tcp.port() != 0);
        server.stop();
        std::net::UdpSocket::bind(udp).unwrap();
    }

    #[test]
    fn a_server_that_believes_nobody_does_not_start() {
        assert!(Server::builder().start().is_err());
    }
}
