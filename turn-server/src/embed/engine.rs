//! All listeners of one server: their start, their end, and what is asked of them together.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rand::{SeedableRng, rngs::StdRng};
use tokio::{runtime::Handle, sync::watch};
use turn::{
    Error,
    allocation::{AllocationInfo, five_tuple::FiveTuple},
};
use turn_proto::{Admin, Config, Relay, Shared, Stats};

use super::{
    core::SharedConn,
    keys::{Keys, SharedHandler},
    listener::Listener,
    notices::Notices,
    places::SharedGenerator,
};
use crate::relay_config::random_bytes;

/// What an engine is made of.
pub(crate) struct Parts {
    /// Where clients come, and where their relays are.
    pub(crate) listeners: Vec<(SharedConn, SharedGenerator)>,
    pub(crate) config: Arc<Config>,
    /// Whom to ask for users that the configuration does not know.
    pub(crate) handler: Option<SharedHandler>,
    /// Whom to tell of ended allocations.
    pub(crate) notify: Option<tokio::sync::mpsc::Sender<AllocationInfo>>,
}

/// Running listeners. They end when it is dropped.
pub(crate) struct Engine {
    /// Empty once it is closed: the conns go with them.
    listeners: Mutex<Vec<Arc<Listener>>>,
    addresses: Vec<SocketAddr>,
    end: watch::Sender<bool>,
}

impl Engine {
    /// Starts the tasks; `shared` makes the ports of one listener.
    ///
    /// # Errors
    /// Outside a tokio runtime, for conns without an address, and when the system gives no random numbers.
    pub(crate) fn start(parts: Parts, shared: impl Fn() -> Arc<Shared>) -> anyhow::Result<Self> {
        let runtime = Handle::try_current().map_err(|_| {
            anyhow::anyhow!("conns and handlers need a tokio runtime around start()")
        })?;
        let realm = parts.config.credentials.realm.clone();
        let keys = parts
            .handler
            .map(|handler| Arc::new(Keys::new(handler, realm)));
        let notices = Notices::to(parts.notify);
        let mut listeners = Vec::with_capacity(parts.listeners.len());
        for (worker, (conn, generator)) in (0..).zip(parts.listeners) {
            let server = conn.local_addr()?;
            let rng = StdRng::from_seed(random_bytes()?);
            let relay = Relay::new(Arc::clone(&parts.config), shared(), worker, rng);
            let (keys, notices) = (keys.clone(), notices.clone());
            listeners.push(Listener::new(conn, server, generator, keys, notices, relay));
        }
        let (end, _) = watch::channel(false);
        for listener in &listeners {
            runtime.spawn(Arc::clone(listener).run(end.subscribe()));
        }
        Ok(Self {
            addresses: listeners.iter().map(|listener| listener.server).collect(),
            listeners: Mutex::new(listeners),
            end,
        })
    }

    /// Where clients come.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What all listeners have counted.
    pub(crate) fn stats(&self) -> Stats {
        let mut sum = Stats::default();
        for listener in self.listeners() {
            sum += listener.with(|core, _| core.relay.stats());
        }
        sum
    }

    /// Ends all listeners and waits until their conns are closed.
    pub(crate) async fn close(&self) {
        self.end.send_replace(true);
        self.lock().clear();
        self.end.closed().await;
    }

    /// Ends allocations by name.
    pub(crate) async fn end_user(&self, username: &str) -> Result<(), Error> {
        self.open()?;
        for listener in self.listeners() {
            let command = Admin::EndUser {
                username: username.into(),
            };
            let jobs = listener.with(|core, now| {
                core.relay.on_command(now, command);
                core.jobs()
            });
            listener.perform(jobs).await;
        }
        Ok(())
    }

    /// What is known of all allocations.
    pub(crate) fn infos(&self) -> Result<HashMap<FiveTuple, AllocationInfo>, Error> {
        self.open()?;
        let infos = self
            .listeners()
            .into_iter()
            .flat_map(|listener| listener.with(|core, now| core.infos(now)));
        Ok(infos.map(|info| (info.five_tuple, info)).collect())
    }

    fn listeners(&self) -> Vec<Arc<Listener>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Listener>>> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<(), Error> {
        if *self.end.borrow() {
            Err(Error::ErrClosed)
        } else {
            Ok(())
        }
    }
}
