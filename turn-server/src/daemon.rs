//! The life of the daemon: check → bind → serve → stop.

use std::{
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc as async_mpsc, watch},
    task::JoinSet,
};
use tracing::{info, warn};
use turn_config::Origin;
use turn_config::settings::Settings;
use turn_io::{Backend, GuestHook, StartError, WorkerFailure};
use turn_proto::Event;

use crate::{
    Server, addresses,
    certificates::{self, Renewal, Secured},
    control::{self, ControlSocket, Desk, Order, What, protocol::Level},
    descriptors,
    http::RelayPorts,
    logging, quickstart,
    relay_config::{self, Plan},
    session_log::{SessionLine, level},
    signals::{Asked, Signals},
    sites::{Listeners, Sites},
};

/// Longer than any machine runs.
const FOR_EVER: Duration = Duration::from_secs(1 << 40);

/// Events that may wait for the log; more are dropped and counted.
const EVENT_QUEUE: usize = 4096;

/// How long open connections of the control plane may keep the daemon when it stops.
const FAREWELL: Duration = Duration::from_millis(500);

/// Why the daemon has ended, and with which exit code.
#[derive(Debug)]
pub struct Fatal {
    /// 1: it could not start. 3: it failed while running.
    pub exit_code: u8,
    /// What the operator reads.
    pub error: anyhow::Error,
}

/// Which kind of run this is.
pub enum Mode {
    /// Nothing is configured.
    Quickstart,
    /// By file and flags.
    Configured,
}

/// Runs a server with these settings until a signal stops it.
///
/// # Errors
/// [`Fatal`] when it cannot start, or when a part of it fails.
pub fn run(mut settings: Settings, mode: &Mode) -> Result<(), Fatal> {
    let started = start(&mut settings, mode).map_err(|error| Fatal {
        exit_code: 1,
        error,
    })?;
    started.serve().map_err(|error| Fatal {
        exit_code: 3,
        error,
    })
}

/// Everything that has been bound and started.
struct Started {
    server: Arc<Server>,
    sites: Sites,
    failures: Failures,
    runtime: Runtime,
    pid_file: Option<PidFile>,
    control: Option<ControlSocket>,
    realm: String,
    signals: Signals,
    renewal: Renewal,
}

fn start(settings: &mut Settings, mode: &Mode) -> anyhow::Result<Started> {
    let made = match mode {
        Mode::Quickstart => Some(quickstart::fill(settings)?),
        Mode::Configured => None,
    };
    logging::init(&settings.logging)?;
    warn_of(settings);
    descriptors::raise();
    let machine = addresses::of_this_machine().context("cannot list this machine's addresses")?;
    let listeners = Listeners::bind(settings, made.is_some())?;
    let plan = relay_config::plan(settings, &machine, listeners.addresses()?)?;
    anyhow::ensure!(
        !plan.listening.is_empty(),
        "this machine has no address to listen on; see --listening-ip"
    );
    let guests = listeners.guest_hook();
    let (server, failures) =
        start_workers(settings, &plan, guests).map_err(|error| match mode {
            // A flag alone would end quickstart.
            Mode::Quickstart => {
                error.context("quickstart: turnserver --quickstart takes flags beside it")
            }
            Mode::Configured => error,
        })?;
    let server = Arc::new(server);
    let ports = relay_ports(settings, &server);
    let http = listeners.addresses()?;
    let banner = match &made {
        Some(made) => {
            let port = listeners.http_port()?;
            let elsewhere = quickstart::elsewhere(settings, port, ports.tls, &plan.listening);
            quickstart::banner(made, port, ports.plain, &elsewhere)
        }
        None => String::new(),
    };
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let (sites, signals, renewal) = {
        let _inside = runtime.enter();
        // Before anybody is told that we are ready: from then on, signals may come.
        let signals = Signals::catch().context("cannot catch signals")?;
        (
            listeners.with_routes(settings, made, ports, &server)?,
            signals,
            Renewal::new(settings),
        )
    };
    let pid_file = settings.process.pid_file.as_deref();
    let pid_file = pid_file.map(PidFile::write).transpose()?;
    let control = ControlSocket::bind(&settings.process.control)?;
    // Last of all: whoever waits for these lines may count on everything that could have failed.
    print!("{banner}");
    announce(&server, &http, settings.http.https);
    Ok(Started {
        server,
        sites,
        failures,
        runtime,
        pid_file,
        control,
        realm: settings.auth.realm.clone(),
        signals,
        renewal,
    })
}

/// The ports that clients are told: where the system has chosen them, the real ones. Behind a proxy, clients come to the
/// configured ones, of the proxy.
fn relay_ports(settings: &Settings, server: &Server) -> RelayPorts {
    let port = |address: Option<SocketAddr>, configured| {
        address.map_or(configured, |address| address.port())
    };
    let proxied = settings.listening.proxy_port.is_some();
    let tcp = server.tcp_address().filter(|_| !proxied);
    let plain = server.udp_address().or(tcp);
    RelayPorts {
        plain: port(plain, settings.listening.port),
        // Where it has no listener of its own, it is told apart on the plain ones.
        tls: (settings.tls.as_ref()).map(|tls| port(server.tls_address(), tls.port)),
    }
}

/// Looks at what the settings name and the configuration does not show: the files of TLS and DTLS.
///
/// # Errors
/// What would end the start.
pub fn check(settings: &Settings) -> anyhow::Result<()> {
    certificates::load(settings).map(|_| ())
}

fn warn_of(settings: &Settings) {
    for warning in &settings.warnings {
        match warning.severity {
            turn_config::Severity::Note => info!("{warning}"),
            turn_config::Severity::Warning => warn!("{warning}"),
        }
    }
}

type Failures = async_mpsc::UnboundedReceiver<WorkerFailure>;

fn start_workers(
    settings: &Settings,
    plan: &Plan,
    guests: Option<GuestHook>,
) -> anyhow::Result<(Server, Failures)> {
    let (failed, failures) = async_mpsc::unbounded_channel();
    let workers = relay_config::workers(settings);
    let listen = |on: bool, at: &[SocketAddr]| -> Vec<SocketAddr> {
        if on { at.to_vec() } else { Vec::new() }
    };
    // As in coturn: behind a proxy, nobody comes past it.
    let proxied = !plan.proxy_endpoints.is_empty();
    let Secured { tls, dtls } = certificates::load(settings)?;
    let io = turn_io::Config {
        udp: listen(settings.listening.udp, &plan.endpoints),
        tcp: listen(settings.listening.tcp && !proxied, &plan.endpoints),
        tls: listen(!proxied, &plan.tls_endpoints),
        behind_proxy: listen(
            settings.listening.tcp || settings.tls.is_some(),
            &plan.proxy_endpoints,
        ),
        proxies: relay_config::ranges(&settings.listening.proxies),
        security: tls,
        dtls: plan.dtls_endpoints.clone(),
        secure_datagrams: dtls,
        plain_datagrams: settings.listening.udp,
        guests,
        plain_streams: settings.listening.tcp,
        relay_addresses: plan.relay.relays.addresses.clone(),
        workers,
        socket_buffer: settings.listening.socket_buffer,
        backend: Backend::detect(),
        stream_patience: settings.lifetimes.connection.unwrap_or(FOR_EVER),
        handshake_patience: settings.lifetimes.handshake,
        max_streams: descriptors::streams_per_worker(workers),
        max_peer_connections: descriptors::peer_connections_per_worker(workers),
        events: Some(log_events(settings)?),
        on_failure: Some(Arc::new(move |failure: &WorkerFailure| {
            // Nobody listens any more when the daemon is stopping.
            let _ = failed.send(failure.clone());
        })),
        ..turn_io::Config::default()
    };
    let server = Server::start(plan, io).map_err(|error| located(settings, error))?;
    Ok((server, failures))
}

/// Adds to an address that cannot be used where it was configured.
fn located(settings: &Settings, error: anyhow::Error) -> anyhow::Error {
    let further = |at: &turn_io::Listening| settings.listening.aux.contains(&at.address);
    let option = match error.downcast_ref::<StartError>() {
        Some(StartError::NotLocal(at) | StartError::InUse(at) | StartError::Denied(at))
            if further(at) =>
        {
            "aux-server"
        }
        Some(StartError::NotLocal(_)) => "listening-ip",
        Some(StartError::InUse(at) | StartError::Denied(at)) => at.port_option(),
        Some(StartError::SharedRelay { .. }) => "multiplex-peer-port",
        Some(StartError::RelayNotLocal(_) | StartError::Relay { .. }) => "relay-ip",
        _ => return error,
    };
    match settings.origin(option) {
        Origin::Default => error,
        origin => anyhow::anyhow!("{origin}: {option}: {error}"),
    }
}

/// Starts the thread that writes sessions to the log: a slow disk holds up that thread and no worker.
fn log_events(settings: &Settings) -> anyhow::Result<mpsc::SyncSender<Event>> {
    let (sender, events) = mpsc::sync_channel(EVENT_QUEUE);
    let realm = settings.auth.realm.clone();
    let write = move || {
        for event in events {
            let line = SessionLine {
                event: &event,
                realm: &realm,
            };
            let sessions = logging::level() >= Level::Sessions;
            match level(&event) {
                tracing::Level::WARN => warn!("{line}"),
                tracing::Level::INFO if sessions => info!("{line}"),
                tracing::Level::DEBUG if sessions => info!("{line}"),
                _ => {}
            }
        }
    };
    thread::Builder::new()
        .name("session-log".to_owned())
        .spawn(write)?;
    Ok(sender)
}

/// Says what is listened on, one line each, and last the line that scripts written for coturn wait for.
fn announce(server: &Server, http: &[SocketAddr], https: bool) {
    for listening in server.listening() {
        info!("listening {listening}");
    }
    if https {
        for listening in server
            .listening()
            .iter()
            .filter(|it| it.transport.is_stream())
        {
            info!("listening https {}", listening.address);
        }
    }
    for address in http {
        info!("listening http {address}");
    }
    let threads = thread::available_parallelism().map_or(1, usize::from);
    info!("Total auth threads: {threads}");
}

/// Does what an operator asks for over the control socket.
fn obey(order: Order, renewal: &mut Renewal, server: &Server) {
    let done = match order.what {
        What::Reload => {
            renewal.renew(server);
            Ok("certificates are read again; the log says what came of it".to_owned())
        }
        What::Drain | What::Undrain => Err("draining is not built yet".to_owned()),
    };
    // Who asked may have given up meanwhile.
    let _ = order.answer.send(done);
}

impl Started {
    fn serve(self) -> anyhow::Result<()> {
        let Self {
            server,
            mut sites,
            mut failures,
            runtime,
            pid_file,
            control,
            realm,
            mut signals,
            mut renewal,
        } = self;
        let served = runtime.block_on(async {
            let (stop, stopping) = watch::channel(false);
            let mut tasks = JoinSet::new();
            sites.serve(&mut tasks, &stopping);
            let (desk, mut orders) = Desk::new(Arc::clone(&server), &realm);
            if let Some(control) = control {
                tasks.spawn(control::serve(control, Arc::clone(&desk), stopping.clone()));
            }
            // Without systemd there is nobody to tell.
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
            let end = loop {
                tokio::select! {
                    asked = signals.next() => match asked {
                        Asked::End => break Ok(()),
                        Asked::Reload => renewal.renew(&server),
                    },
                    () = renewal.changed() => renewal.renew(&server),
                    Some(order) = orders.recv() => obey(order, &mut renewal, &server),
                    Some(failure) = failures.recv() => break Err(anyhow::anyhow!("{failure}")),
                    Some(ended) = tasks.join_next() => {
                        break Err(anyhow::anyhow!("an HTTP server has ended: {ended:?}"));
                    }
                }
            };
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
            let _ = stop.send(true);
            if let Some(signaling) = sites.signaling {
                // Clients are told before they notice; one that does not listen is not waited for.
                let _ = tokio::time::timeout(FAREWELL, signaling.stop()).await;
            }
            end
        });
        runtime.shutdown_timeout(FAREWELL);
        drop(pid_file);
        drop(server);
        served
    }
}

/// A file with the process id, removed at the end.
struct PidFile(std::path::PathBuf);

impl PidFile {
    fn write(path: &std::path::Path) -> anyhow::Result<Self> {
        std::fs::write(path, format!("{}\n", std::process::id())).with_context(|| {
            format!(
                "pidfile: cannot write {}; name a file that this user may write",
                path.display()
            )
        })?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Somebody else may have removed it; that is what is wanted.
        let _ = std::fs::remove_file(&self.0);
    }
}
