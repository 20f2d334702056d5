//! The start of the daemon: check → bind → announce. How it goes on is in `serve.rs`.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
};

use anyhow::Context as _;
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc as async_mpsc,
};
use tracing::{info, warn};
use turn_config::Origin;
use turn_config::settings::{LogTarget, Settings};
use turn_io::{Backend, Device, GuestHook, HttpAnswers, Listening, StartError, WorkerFailure};
use turn_proto::{Event, Transport};

use crate::{
    Server, addresses,
    certificates::{self, Renewal, Secured},
    control::ControlSocket,
    descriptors,
    drain::Drain,
    external::Finder,
    http::RelayPorts,
    inherited::Inherited,
    logging,
    metrics_page::MetricsPage,
    pid_file::PidFile,
    privileges::Identity,
    quickstart,
    relay_config::{self, Plan},
    reload::{Reader, Reload},
    secure_listener::Certificate,
    server::first_of,
    session_log::SessionLog,
    signals::Signals,
    sites::{Listeners, Sites},
};

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

/// Runs a server with these settings until a signal stops it; `reader` reads them again.
///
/// # Errors
/// [`Fatal`] when it cannot start, or when a part of it fails.
pub fn run(settings: Settings, mode: &Mode, reader: Reader) -> Result<(), Fatal> {
    let started = start(settings, mode, reader).map_err(|error| Fatal {
        exit_code: 1,
        error,
    })?;
    started.serve().map_err(|error| Fatal {
        exit_code: 3,
        error,
    })
}

/// Everything that has been bound and started.
pub(crate) struct Started {
    pub(crate) sites: Sites,
    pub(crate) failures: Failures,
    pub(crate) runtime: Runtime,
    pub(crate) pid_file: Option<PidFile>,
    pub(crate) control: Option<ControlSocket>,
    /// The metrics, whose labels stay what they were at the start.
    pub(crate) page: MetricsPage,
    pub(crate) signals: Signals,
    pub(crate) renewal: Renewal,
    pub(crate) finder: Finder,
    pub(crate) reload: Reload,
}

fn start(mut settings: Settings, mode: &Mode, reader: Reader) -> anyhow::Result<Started> {
    let made = match mode {
        Mode::Quickstart => Some(quickstart::fill(&mut settings)?),
        Mode::Configured => None,
    };
    let log = logging::init(&settings.logging)
        .map_err(|error| error.context(format!("{}log-file", settings.place("log-file"))))?;
    warn_of(&settings.warnings);
    let inherited = Inherited::take()?;
    inherited.shape(&mut settings)?;
    if settings.relay.multiplex.is_some() {
        // The ports that allocations share are bound on each address at the start.
        settings.waiting.push("relay-ip");
    }
    // Whoever is misspelt is told of before anything is bound.
    let identity = Identity::wanted(&settings)?;
    descriptors::raise();
    let machine = addresses::of_this_machine().context("cannot list this machine's addresses")?;
    let listeners = Listeners::bind(&settings, &inherited, made.is_some())?;
    let mut plan =
        relay_config::plan_with(&settings, &machine, listeners.addresses()?, &inherited)?;
    anyhow::ensure!(
        !plan.listening.is_empty(),
        "this machine has no address to listen on; see --listening-ip"
    );
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let finder = {
        let _inside = runtime.enter();
        Finder::begin(&settings.relay, &plan.relay.relays.addresses)
    };
    if !finder.found().is_empty() {
        settings.relay.found = finder.found().to_vec();
        let relays = plan.relay.relays.clone();
        let relay = relay_config::reconfigured(&settings, &plan, relays, &machine)?;
        plan.relay = Arc::new(relay);
    }
    let settings = settings;
    let guests = listeners.guest_hook();
    let (sessions, events) = SessionLog::start(&settings)?;
    let mut secured = certificates::load(&settings)?;
    let certificate = secured.metrics.take().as_ref().map(Certificate::new);
    let started = start_workers(&settings, &plan, &inherited, (guests, events), secured);
    let (server, failures) = started.map_err(|error| match mode {
        // A flag alone would end quickstart.
        Mode::Quickstart => {
            error.context("quickstart: turnserver --quickstart takes flags beside it")
        }
        Mode::Configured => error,
    })?;
    let server = Arc::new(server);
    let (realm, users) = (settings.auth.realm.clone(), sessions.users());
    let drain = Drain::new(server.shared_arc(), &settings.process);
    let ports = relay_ports(&settings, &server.listening());
    let http = listeners.addresses()?;
    let banner = match &made {
        Some(made) => {
            let port = listeners.http_port()?;
            let pages = listeners.pages()?;
            let elsewhere = quickstart::elsewhere(&settings, &pages, ports.tls, &plan.listening);
            quickstart::banner(made, port, ports.plain, &elsewhere)
        }
        None => String::new(),
    };
    let (mut sites, signals, renewal) = {
        let _inside = runtime.enter();
        // Before anybody is told that we are ready: from then on, signals may come.
        let signals = Signals::catch().context("cannot catch signals")?;
        (
            listeners.with_routes(
                &settings,
                made,
                ports,
                (&server, &drain),
                (
                    MetricsPage::new(&realm).by_user(users.clone()),
                    certificate.as_ref(),
                ),
            )?,
            signals,
            Renewal::new(&settings),
        )
    };
    let pid_file = settings.process.pid_file.as_deref();
    let pid_file = pid_file.and_then(PidFile::write);
    let control = ControlSocket::bind(&settings.process.control).with_context(|| {
        let place = settings.place("control-socket");
        format!("{place}control-socket")
    })?;
    if let Some(identity) = &identity {
        let files = [&settings.process.pid_file, &log_file(&settings)];
        let files = files.into_iter().flatten().map(PathBuf::as_path);
        identity.own(files.chain(control.as_ref().map(ControlSocket::path)));
        identity.become_it()?;
        info!("it is {identity} from here on (proc-user, proc-group)");
    }
    // Last of all: whoever waits for these lines may count on everything that could have failed.
    print!("{banner}");
    announce(&server, &http, settings.http.https);
    let reload = Reload {
        reader,
        api: sites.api.take(),
        metrics_certificate: certificate,
        running: settings,
        plan,
        server,
        drain,
        log,
        sessions,
    };
    Ok(Started {
        sites,
        failures,
        runtime,
        pid_file,
        control,
        page: MetricsPage::new(&realm).by_user(users),
        signals,
        renewal,
        finder,
        reload,
    })
}

/// The ports that clients are told: where the system has chosen them, the real ones. Behind a proxy, clients come to the
/// configured ones, of the proxy.
pub(crate) fn relay_ports(settings: &Settings, listening: &[Listening]) -> RelayPorts {
    let port = |transport, configured| {
        first_of(transport, listening).map_or(configured, |address| address.port())
    };
    let proxied = settings.listening.proxy_port.is_some();
    let configured = settings.listening.port;
    let tcp = match proxied {
        true => configured,
        false => port(Transport::Tcp, configured),
    };
    RelayPorts {
        plain: port(Transport::Udp, tcp),
        // Where it has no listener of its own, it is told apart on the plain ones.
        tls: (settings.tls.as_ref()).map(|tls| port(Transport::Tls, tls.port)),
    }
}

/// Looks at what the settings name and the configuration does not show: the files of TLS and DTLS.
///
/// # Errors
/// What would end the start.
pub fn check(settings: &Settings) -> anyhow::Result<()> {
    Identity::wanted(settings)?;
    certificates::load(settings).map(|_| ())
}

pub(crate) fn log_file(settings: &Settings) -> Option<PathBuf> {
    match &settings.logging.target {
        LogTarget::File(path) if settings.logging.daily => Some(logging::file_of_today(path)),
        LogTarget::File(path) => Some(path.clone()),
        LogTarget::Stdout | LogTarget::Syslog { .. } => None,
    }
}

/// Logs what the operator should know of the settings.
pub(crate) fn warn_of<'a>(warnings: impl IntoIterator<Item = &'a turn_config::Warning>) {
    for warning in warnings {
        match warning.severity {
            turn_config::Severity::Note => info!("{warning}"),
            turn_config::Severity::Warning => warn!("{warning}"),
        }
    }
}

pub(crate) type Failures = async_mpsc::UnboundedReceiver<WorkerFailure>;

fn start_workers(
    settings: &Settings,
    plan: &Plan,
    inherited: &Inherited,
    (guests, events): (Option<GuestHook>, mpsc::SyncSender<Event>),
    secured: Secured,
) -> anyhow::Result<(Server, Failures)> {
    let (failed, failures) = async_mpsc::unbounded_channel();
    let workers = relay_config::workers(settings);
    let turn_io::Endpoints {
        udp,
        tcp,
        tls,
        behind_proxy,
        dtls,
    } = plan.endpoints.open.clone();
    let tuning = relay_config::tuning(settings);
    let device = |option, name| find_device(settings, option, name);
    let io = turn_io::Config {
        udp,
        tcp,
        tls,
        dtls,
        behind_proxy,
        proxies: relay_config::ranges(&settings.listening.proxies),
        security: secured.tls,
        secure_datagrams: secured.dtls,
        listening_device: device("listening-device", &settings.listening.device)?,
        relay_device: device("relay-device", &settings.relay.device)?,
        plain_datagrams: settings.listening.udp,
        guests,
        http: HttpAnswers {
            unsupported: settings.listening.http_unsupported,
            acme_redirect: settings.listening.acme_redirect.as_deref().map(Into::into),
        },
        plain_streams: settings.listening.tcp,
        relay_addresses: plan.relay.relays.addresses.clone(),
        workers,
        socket_buffer: settings.listening.socket_buffer,
        backend: Backend::detect(),
        latency_budget: settings.process.latency_budget,
        stream_patience: tuning.stream_patience,
        handshake_patience: tuning.handshake_patience,
        max_streams: descriptors::streams_per_worker(workers),
        max_peer_connections: descriptors::peer_connections_per_worker(workers),
        events: Some(events),
        on_failure: Some(Arc::new(move |failure: &WorkerFailure| {
            // Nobody listens any more when the daemon is stopping.
            let _ = failed.send(failure.clone());
        })),
        inherited: inherited.sockets(),
        ..turn_io::Config::default()
    };
    let server = Server::start(plan, io).map_err(|error| located(settings, error))?;
    Ok((server, failures))
}

/// The network interface that an option names, if it names one.
fn find_device(settings: &Settings, option: &str, name: &Option<String>) -> anyhow::Result<Device> {
    let Some(name) = name else {
        return Ok(Device::default());
    };
    Device::find(name).map_err(|error| {
        let place = settings.place(option);
        let wrong = match error.kind() {
            io::ErrorKind::NotFound => "this machine has no such network interface; ip link lists them".to_owned(),
            io::ErrorKind::PermissionDenied => {
                "this user may not hold sockets to it; give it the capability CAP_NET_RAW, or use addresses instead".to_owned()
            }
            _ => error.to_string(),
        };
        anyhow::anyhow!("{place}{option}={name}: {wrong}")
    })
}

/// Adds to an address that cannot be used where it was configured.
pub(crate) fn located(settings: &Settings, error: anyhow::Error) -> anyhow::Error {
    let further = |at: &Listening| settings.listening.aux.contains(&at.address);
    // Of a list, the value that is meant.
    let (option, value) = match error.downcast_ref::<StartError>() {
        Some(StartError::NotLocal(at) | StartError::InUse(at) | StartError::Denied(at))
            if further(at) =>
        {
            ("aux-server", at.address.to_string())
        }
        Some(StartError::NotLocal(at)) => ("listening-ip", at.address.ip().to_string()),
        Some(StartError::InUse(at) | StartError::Denied(at)) => {
            (at.port_option(), at.address.port().to_string())
        }
        Some(StartError::SharedRelay { .. }) => ("multiplex-peer-port", String::new()),
        Some(StartError::RelayNotLocal(ip) | StartError::Relay { address: ip, .. }) => {
            ("relay-ip", ip.to_string())
        }
        _ => return error,
    };
    let origin = match settings.origin_of(option, &value) {
        Origin::Default => settings.origin(option),
        origin => origin,
    };
    match origin {
        Origin::Default => error,
        origin => anyhow::anyhow!("{origin}: {option}: {error}"),
    }
}

/// Says what is listened on, one line each, and last the line that scripts written for coturn wait for.
fn announce(server: &Server, http: &[SocketAddr], https: bool) {
    for listening in server.listening() {
        info!("listening {listening}");
    }
    if https {
        for listening in server
            .listening()
            .into_iter()
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
