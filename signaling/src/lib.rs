//! Brings WebRTC clients together: rooms, calls and presence over WebSockets, and the pages that use them.
//!
//! In: one [`hub`] with all rules, thin adapters that translate protocols (`PROTOCOL.md`), the router that serves them. Not in:
//! listening sockets (the binary, or `turnserver` in quickstart), credentials (`ice-api`), media.

#![forbid(unsafe_code)]

mod adapters;
pub mod calllog;
mod chance;
mod clock;
mod doors;
mod fleet;
mod gate;
pub mod hub;
mod ice;
mod identity;
mod metrics;
mod outbox;
mod pages;
mod places;
pub mod program;
mod router;
pub mod server;
mod session;
mod switchboard;
mod trust;
mod web;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use ice_api::ApiState;

pub use calllog::http::HistoryKeys;
pub use doors::{Doors, PeerJsDoor};
pub use fleet::{Fleet, RedisAddress};
pub use gate::Gate;
pub use ice::{Asker, IceFuture, IceSource, IceUnavailable};
pub use identity::{CallOut, Expected, Freshness, Identification, KeySource, SecretKeys, Tokens};
pub use trust::{BadAuthorities, Trust};
pub use web::{BadWebUrl, WebUrl};

use adapters::socketio::engine::Engines;
use calllog::CallLog;
use hub::{Census, Limits};
use metrics::Metrics;
use switchboard::Switchboard;

/// What a signaling service is made of.
pub struct Config {
    /// How much of everything there may be.
    pub limits: Limits,
    /// Who may connect.
    pub gate: Gate,
    /// How users become known.
    pub identification: Identification,
    /// Where members get their ICE servers.
    pub ice: Arc<dyn IceSource>,
    /// Which protocols are spoken.
    pub doors: Doors,
    /// Where calls are recorded, if anywhere.
    pub call_log: Option<CallLog>,
    /// Who may ask for everybody's calls.
    pub history_keys: HistoryKeys,
    /// Served at `/v1/ice` and `/?service=turn`, if there is one.
    pub api: Option<ApiState>,
    /// The other processes of the service, if there are any.
    pub fleet: Option<Fleet>,
}

/// How often a service that drains looks who has become idle.
const DRAIN_STEP: Duration = Duration::from_millis(250);

/// A running signaling service; cheap to clone.
#[derive(Clone)]
pub struct Signaling(Arc<Shared>);

/// What all connections share.
pub(crate) struct Shared {
    board: Switchboard,
    gate: Gate,
    identification: Identification,
    ice: Arc<dyn IceSource>,
    api: Option<ApiState>,
    doors: Doors,
    engines: Engines,
    history_keys: HistoryKeys,
    metrics: Arc<Metrics>,
    draining: AtomicBool,
}

impl Signaling {
    /// Starts a service. Must be called inside a tokio runtime.
    pub fn start(config: Config) -> Signaling {
        let Config {
            limits,
            gate,
            identification,
            ice,
            call_log,
            history_keys,
            api,
            doors,
            fleet,
        } = config;
        let metrics = Arc::<Metrics>::default();
        Signaling(Arc::new(Shared {
            board: Switchboard::start(limits, call_log, Arc::clone(&metrics), fleet),
            gate,
            identification,
            ice,
            api,
            doors,
            engines: Engines::new(limits.connections),
            history_keys,
            metrics,
            draining: AtomicBool::new(false),
        }))
    }

    /// Its paths. They want to be served with the client's address (`ConnectInfo<SocketAddr>`), without which nobody counts as local.
    pub fn router(&self) -> Router {
        router::router(Arc::clone(&self.0))
    }

    /// Counts connections, rooms and calls.
    pub fn census(&self) -> Census {
        self.0.board.census()
    }

    /// Counts the nodes of the fleet, as far as they can be reached: 0 in a process of its own, and in one that is alone.
    pub fn nodes(&self) -> usize {
        self.0.board.nodes()
    }

    /// What it has done since the start, in Prometheus' text format.
    pub fn metrics(&self) -> String {
        let Shared { board, metrics, .. } = &*self.0;
        metrics.page(
            board.census(),
            self.is_draining(),
            board.recorder().as_ref(),
        )
    }

    /// Says whether clients are sent elsewhere.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// Lets nobody in any more, and sends everybody elsewhere (close code 1012): those in no room and no call at once, the others when
    /// they are out of it. Returns when nobody is left, or after `limit`.
    pub async fn drain(&self, limit: Duration) {
        self.0.draining.store(true, Ordering::Relaxed);
        let empty = async {
            while self.0.board.dismiss_idle() > 0 {
                tokio::time::sleep(DRAIN_STEP).await;
            }
        };
        // Whoever is left is told when the process ends.
        let _ = tokio::time::timeout(limit, empty).await;
    }

    /// Closes all connections with 1001 and returns when they are gone.
    pub async fn stop(&self) {
        self.0.board.stop().await;
    }
}

/// Starts a service and returns its paths, for those who never stop it. Must be called inside a tokio runtime.
pub fn router(config: Config) -> Router {
    Signaling::start(config).router()
}
