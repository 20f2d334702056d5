//! The life of the daemon: check → bind → serve → stop.

use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    sync::{Arc, mpsc},
    thread,
};

use anyhow::Context as _;
use axum::Router;
use ice_api::{Admission, ApiState, Origins};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc as async_mpsc, watch},
    task::JoinSet,
};
use tracing::{info, warn};
use turn_auth::Secret;
use turn_config::settings::{self, Settings, Verbosity};
use turn_io::{Backend, WorkerFailure};
use turn_proto::Event;

use crate::{
    Server, addresses, http, listener, logging, quickstart,
    quickstart::Made,
    relay_config::{self, Plan},
    session_log::{SessionLine, level},
};

/// Events that may wait for the log; more are dropped and counted.
const EVENT_QUEUE: usize = 4096;

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
    sites: Vec<(TcpListener, Router)>,
    failures: async_mpsc::UnboundedReceiver<WorkerFailure>,
    runtime: tokio::runtime::Runtime,
    pid_file: Option<PidFile>,
    /// Tells long-lived connections to end.
    stop: watch::Sender<bool>,
}

fn start(settings: &mut Settings, mode: &Mode) -> anyhow::Result<Started> {
    let made = match mode {
        Mode::Quickstart => Some(quickstart::fill(settings)?),
        Mode::Configured => None,
    };
    logging::init(&settings.logging)?;
    for warning in &settings.warnings {
        match warning.severity {
            turn_config::Severity::Note => info!("{warning}"),
            turn_config::Severity::Warning => warn!("{warning}"),
        }
    }
    let machine = addresses::of_this_machine().context("cannot list this machine's addresses")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let sites = Sites::bind(settings, made.as_ref())?;
    let plan = relay_config::plan(settings, &machine, sites.addresses()?)?;
    anyhow::ensure!(
        !plan.listening.is_empty(),
        "this machine has no address to listen on; see --listening-ip"
    );
    let (server, failures) = start_workers(settings, &plan)?;
    announce(&server, &sites)?;
    let server = Arc::new(server);
    let (stop, stopping) = watch::channel(false);
    let relay_port = server
        .udp_address()
        .or(server.tcp_address())
        .map_or(settings.listening.port, |at| at.port());
    if let Some(made) = &made {
        print!(
            "{}",
            quickstart::banner(made, sites.http_port()?, relay_port, &machine)
        );
    }
    let sites = sites.with_routes(
        settings,
        made,
        relay_port,
        &server,
        &stopping,
        runtime.handle(),
    )?;
    let pid_file = settings
        .process
        .pid_file
        .as_deref()
        .map(PidFile::write)
        .transpose()?;
    Ok(Started {
        server,
        sites,
        failures,
        runtime,
        pid_file,
        stop,
    })
}

type Failures = async_mpsc::UnboundedReceiver<WorkerFailure>;

fn start_workers(settings: &Settings, plan: &Plan) -> anyhow::Result<(Server, Failures)> {
    let (failed, failures) = async_mpsc::unbounded_channel();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let listen = |on: bool| -> Vec<SocketAddr> {
        let at = |ip: &IpAddr| SocketAddr::new(*ip, settings.listening.port);
        if on {
            plan.listening.iter().map(at).collect()
        } else {
            Vec::new()
        }
    };
    let io = turn_io::Config {
        udp: listen(settings.listening.udp),
        tcp: listen(settings.listening.tcp),
        relay_addresses: plan.relay.relays.addresses.clone(),
        workers: settings.process.workers.map_or(cores, usize::from),
        socket_buffer: settings.listening.socket_buffer,
        backend: Backend::detect(),
        events: Some(log_events(settings)?),
        on_failure: Some(Arc::new(move |failure: &WorkerFailure| {
            // Nobody listens any more when the daemon is stopping.
            let _ = failed.send(failure.clone());
        })),
        ..turn_io::Config::default()
    };
    Ok((Server::start(plan, io)?, failures))
}

/// Starts the thread that writes sessions to the log: a slow disk holds up that thread and no worker.
fn log_events(settings: &Settings) -> anyhow::Result<mpsc::SyncSender<Event>> {
    let (sender, events) = mpsc::sync_channel(EVENT_QUEUE);
    let sessions = settings.logging.verbosity >= Verbosity::Sessions;
    let realm = settings.auth.realm.clone();
    let write = move || {
        for event in events {
            let line = SessionLine {
                event: &event,
                realm: &realm,
            };
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
fn announce(server: &Server, sites: &Sites) -> anyhow::Result<()> {
    for listening in server.listening() {
        info!("listening {listening}");
    }
    for address in sites.addresses()? {
        info!("listening http {address}");
    }
    info!(
        "Total auth threads: {}",
        thread::available_parallelism().map_or(1, usize::from)
    );
    Ok(())
}

/// Listeners of the control plane, bound and not yet served.
struct Sites {
    http: Vec<TcpListener>,
    metrics: Vec<TcpListener>,
}

impl Sites {
    fn bind(settings: &Settings, made: Option<&Made>) -> anyhow::Result<Self> {
        let listen = &settings.http.listen;
        let mut http = listen
            .iter()
            .map(|at| listener::bind(*at, "--http-listen"))
            .collect::<anyhow::Result<Vec<_>>>()?;
        if made.is_some() && listen.is_empty() {
            http = listener::bind_everywhere(
                quickstart::HTTP_PORT,
                "--quickstart --http-listen=ADDR:PORT",
            )?;
        }
        let metrics = match &settings.metrics {
            None => Vec::new(),
            Some(settings::Metrics {
                address: None,
                port,
                ..
            }) => listener::bind_everywhere(*port, "--prometheus-port")?,
            Some(settings::Metrics {
                address: Some(ip),
                port,
                ..
            }) => {
                vec![listener::bind(
                    SocketAddr::new(*ip, *port),
                    "--prometheus-port",
                )?]
            }
        };
        Ok(Self { http, metrics })
    }

    fn addresses(&self) -> anyhow::Result<Vec<SocketAddr>> {
        let all = self.http.iter().chain(&self.metrics);
        Ok(all
            .map(TcpListener::local_addr)
            .collect::<std::io::Result<_>>()?)
    }

    fn http_port(&self) -> anyhow::Result<u16> {
        let first = self
            .http
            .first()
            .context("quickstart has no HTTP listener")?;
        Ok(first.local_addr()?.port())
    }

    fn with_routes(
        self,
        settings: &Settings,
        made: Option<Made>,
        relay_port: u16,
        server: &Arc<Server>,
        stopping: &watch::Receiver<bool>,
        runtime: &tokio::runtime::Handle,
    ) -> anyhow::Result<Vec<(TcpListener, Router)>> {
        let mut sites = Vec::new();
        if !self.http.is_empty() {
            let routes = http_routes(settings, made, relay_port, stopping, runtime)?;
            sites.extend(
                self.http
                    .into_iter()
                    .map(|listener| (listener, routes.clone())),
            );
        }
        if let Some(metrics) = &settings.metrics {
            let routes = http::metrics_routes(&metrics.path, Arc::clone(server));
            sites.extend(
                self.metrics
                    .into_iter()
                    .map(|listener| (listener, routes.clone())),
            );
        }
        Ok(sites)
    }
}

/// What the HTTP listeners serve: the ICE endpoint, and in quickstart signaling and pages too.
fn http_routes(
    settings: &Settings,
    made: Option<Made>,
    relay_port: u16,
    _stopping: &watch::Receiver<bool>,
    _runtime: &tokio::runtime::Handle,
) -> anyhow::Result<Router> {
    let issuer = http::issuer(settings, relay_port)?;
    let keys = settings
        .http
        .api_keys
        .iter()
        .map(|key| Secret::new(key.expose().clone()));
    let mut admission = Admission::keys(keys);
    let mut origins = Origins::new(&settings.http.allowed_origins).map_err(|error| {
        anyhow::anyhow!("http-allowed-origin: {error}; write https://example.org")
    })?;
    if let Some(made) = &made {
        admission = admission.with_quickstart(Secret::new(made.token.clone()));
        origins = origins.with_localhost();
    }
    let api = ApiState::new(issuer, admission, origins);
    Ok(http::api_routes(&api))
}

impl Started {
    fn serve(mut self) -> anyhow::Result<()> {
        let runtime = self.runtime;
        let served = runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for (listener, routes) in self.sites {
                tasks.spawn(http::serve(listener, routes, self.stop.subscribe()));
            }
            // Without systemd there is nobody to tell.
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
            let end = tokio::select! {
                reason = wait_for_signal() => reason,
                Some(failure) = self.failures.recv() => Err(anyhow::anyhow!("{failure}")),
                Some(ended) = tasks.join_next() => Err(anyhow::anyhow!("an HTTP server has ended: {ended:?}")),
            };
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
            let _ = self.stop.send(true);
            end
        });
        // Connections that are open still do not keep the daemon: their clients find it gone or restarted.
        runtime.shutdown_timeout(std::time::Duration::from_millis(500));
        drop(self.pid_file);
        drop(self.server);
        served
    }
}

/// Waits for the signal to stop. Signals that coturn's operators send for other reasons do not end the daemon.
async fn wait_for_signal() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut others = [
        SignalKind::hangup(),
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
    ]
    .into_iter()
    .map(signal)
    .collect::<std::io::Result<Vec<_>>>()?
    .into_iter();
    let (Some(mut hangup), Some(mut first), Some(mut second)) =
        (others.next(), others.next(), others.next())
    else {
        anyhow::bail!("cannot wait for signals");
    };
    loop {
        let name = tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => "SIGHUP",
            _ = first.recv() => "SIGUSR1",
            _ = second.recv() => "SIGUSR2",
        };
        warn!("{name} changes nothing: settings and certificates are read at the start only");
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
