//! The running program: listens, serves, and ends when it is told to.
//!
//! In: sockets, signals. Not in: what is served (`router.rs`).

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ice_api::{Admission, ApiState, Issuer};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{info, warn};
use turn_auth::Secret;

use super::endpoint::Endpoint;
use super::ice::IceSettings;
use super::identity::Identity;
use super::monitor;
use super::records::call_log;
use super::settings::Settings;
use crate::hub::Limits;
use crate::{Config, Gate, HistoryKeys, IceSource, Signaling, server};

/// How long connections may take to end once they are told to.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Connections of those who watch; there are few, and they must never take clients' places.
const MONITORS: usize = 64;

/// Why the program ended badly, with the exit code.
pub(super) struct Failure(pub(super) u8, pub(super) anyhow::Error);

/// Runs until a signal ends it.
pub(super) async fn run(settings: Settings) -> Result<(), Failure> {
    let Settings {
        listen,
        origins,
        identity,
        join_key,
        room_size,
        doors,
        ice,
        mut records,
        fleet,
        metrics_listen,
        drain_timeout,
        ..
    } = settings;
    let cannot_start = |error| Failure(1, error);
    // First of all: whoever sees us listen may send a signal.
    let mut told = Told::catch().map_err(cannot_start)?;
    let mut listeners = Vec::new();
    for address in listen {
        listeners.push(bind(address, "http").await.map_err(cannot_start)?);
    }
    let monitor = match metrics_listen {
        Some(address) => Some(bind(address, "metrics").await.map_err(cannot_start)?),
        None => None,
    };
    let (source, issuer) = ice_source(ice);
    // Whoever may join may as well fetch: with the same key, and from the machine itself without.
    let api = join_key.as_ref().zip(issuer).map(|(key, issuer)| {
        let admission = Admission::default().with_quickstart(Secret::new(key.expose().clone()));
        ApiState::new(issuer, admission, origins.clone())
    });
    let mut gate = Gate::new(origins);
    if let Some(key) = join_key {
        gate = gate.with_join_key(key);
    }
    let identity = Identity::new(identity);
    let history_keys = HistoryKeys::new(std::mem::take(&mut records.keys));
    let call_log = call_log(records).map_err(cannot_start)?;
    let limits = Limits {
        members: room_size,
        ..Limits::default()
    };
    let signaling = Signaling::start(Config {
        limits,
        gate,
        identification: identity.identification.clone(),
        ice: source,
        call_log: call_log.clone(),
        history_keys,
        api,
        doors,
        fleet,
    });
    let running = Running {
        signaling,
        identity,
        drain_timeout,
    };
    let served = running.serve(listeners, monitor, &mut told).await;
    if let Some(call_log) = call_log {
        call_log.close(STOP_LIMIT).await;
    }
    served.map_err(|error| Failure(3, error))
}

async fn bind(address: SocketAddr, what: &str) -> anyhow::Result<TcpListener> {
    let flag = if what == "http" {
        "listen"
    } else {
        "metrics-listen"
    };
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| {
        format!("cannot listen on {address}; choose another with --{flag}=ADDRESS:PORT")
    })?;
    info!("listening {what} {}", listener.local_addr()?);
    Ok(listener)
}

fn ice_source(settings: IceSettings) -> (Arc<dyn IceSource>, Option<Arc<Issuer>>) {
    match settings {
        IceSettings::Fixed { urls, secrets } => {
            let issuer = Arc::new(Issuer::fixed(urls).with_secrets(secrets));
            (Arc::clone(&issuer) as Arc<dyn IceSource>, Some(issuer))
        }
        IceSettings::Endpoint { url, key } => (Arc::new(Endpoint::new(url, key)), None),
    }
}

/// The service while it runs.
struct Running {
    signaling: Signaling,
    identity: Identity,
    drain_timeout: Duration,
}

impl Running {
    async fn serve(
        &self,
        listeners: Vec<TcpListener>,
        monitor: Option<TcpListener>,
        told: &mut Told,
    ) -> anyhow::Result<()> {
        let stop = watch::Sender::new(false);
        let health = monitor::health(self.signaling.clone());
        let routes = self.signaling.router().merge(health);
        let mut servers = JoinSet::new();
        // All listeners share the descriptors.
        let max_connections = (server::affordable_connections() / listeners.len().max(1)).max(1);
        for listener in listeners {
            let (routes, stop) = (routes.clone(), stop.subscribe());
            servers.spawn(server::serve(listener, routes, max_connections, stop));
        }
        if let Some(listener) = monitor {
            let routes = monitor::monitor(self.signaling.clone());
            let stop = stop.subscribe();
            servers.spawn(server::serve(listener, routes, MONITORS, stop));
        }
        // Without systemd there is nobody to tell.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        self.until_the_end(&mut servers, told).await?;
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        stop.send_replace(true);
        let ended = timeout(STOP_LIMIT, async {
            self.signaling.stop().await;
            while servers.join_next().await.is_some() {}
        });
        if ended.await.is_err() {
            warn!("some connections did not end in time and are cut");
        }
        Ok(())
    }

    /// Does as it is told, until that is to end, or until everybody has gone elsewhere.
    async fn until_the_end(
        &self,
        servers: &mut JoinSet<io::Result<()>>,
        told: &mut Told,
    ) -> anyhow::Result<()> {
        let (mut draining, mut drained) = (false, pin!(self.signaling.drain(self.drain_timeout)));
        loop {
            tokio::select! {
                order = told.next() => match order {
                    Order::Reload => self.identity.reload(),
                    Order::Drain => draining = true,
                    Order::End => return Ok(()),
                },
                () = &mut drained, if draining => {
                    info!("everybody has gone elsewhere, or had the time to");
                    return Ok(());
                }
                Some(ended) = servers.join_next() => {
                    ended.context("a listener's task failed")?.context("a listener failed")?;
                }
            }
        }
    }
}

/// What the program can be told.
enum Order {
    /// To read its secrets again.
    Reload,
    /// To send everybody elsewhere, and to end then.
    Drain,
    /// To end.
    End,
}

/// The signals by which it is told, caught: from here on they do not kill it.
struct Told {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user: Signal,
}

impl Told {
    fn catch() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined1())?,
        })
    }

    async fn next(&mut self) -> Order {
        let name = tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.hang_up.recv() => return Order::Reload,
            _ = self.user.recv() => {
                info!("draining on SIGUSR1");
                return Order::Drain;
            }
        };
        info!("ending on {name}");
        Order::End
    }
}
