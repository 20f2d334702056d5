//! One listening conn: what its tasks share, and what they do once the lock is open.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use turn_proto::{LinkId, Now, Path, Relay, Transport};

use super::{
    clients,
    core::{Core, Job, SharedConn},
    keys::Keys,
    notices::Notices,
    places::{self, SharedGenerator},
    relays,
};

pub(super) struct Listener {
    pub(super) conn: SharedConn,
    pub(super) server: SocketAddr,
    pub(super) generator: SharedGenerator,
    pub(super) keys: Option<Arc<Keys>>,
    notices: Notices,
    core: Mutex<Core>,
    origin: Instant,
    /// Wakes the task of time-outs when one is due earlier than it thinks.
    rearm: Notify,
}

impl Listener {
    pub(super) fn new(
        conn: SharedConn,
        server: SocketAddr,
        generator: SharedGenerator,
        keys: Option<Arc<Keys>>,
        notices: Notices,
        relay: Relay,
    ) -> Arc<Self> {
        Arc::new(Self {
            conn,
            server,
            generator,
            keys,
            notices,
            core: Mutex::new(Core::new(relay)),
            origin: Instant::now(),
            rearm: Notify::new(),
        })
    }

    /// Serves until the conn is closed or the server ends; then leaves nothing open.
    pub(super) async fn run(self: Arc<Self>, mut end: watch::Receiver<bool>) {
        tokio::select! {
            () = clients::serve(&self) => tracing::info!(server = %self.server, "the conn is closed"),
            () = self.serve_timeouts() => {}
            // That the server is dropped is an end as well.
            _ = end.wait_for(|end| *end) => {}
        }
        let (conns, infos) = self.with(|core, now| core.shut(now));
        for conn in conns.iter().chain([&self.conn]) {
            places::close(conn).await;
        }
        for info in infos {
            self.notices.tell(info);
        }
        // Whoever waits for the end waits for this receiver.
        drop(end);
    }

    /// Works under the lock.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Core, Now) -> T) -> T {
        let mut core = self.lock();
        // The clock is read under the lock, so that the state machine never sees it go back.
        let now = self.now();
        let result = work(&mut core, now);
        let next = core.relay.poll_timeout();
        let earlier = match (next, core.armed) {
            (Some(next), Some(armed)) => next < armed,
            (next, None) => next.is_some(),
            (None, Some(_)) => false,
        };
        if earlier {
            core.armed = next;
            self.rearm.notify_one();
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Both clocks; the monotonic one is the runtime's, so that tests may pause it.
    fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH);
        Now {
            mono: self.origin.elapsed(),
            unix: unix.map_or(0, |since| since.as_secs()),
        }
    }

    /// The way to a client.
    pub(super) fn path(&self, client: SocketAddr) -> Path {
        Path {
            transport: Transport::Udp,
            link: LinkId(0),
            client,
            server: self.server,
        }
    }

    /// Does what the state machine has asked for.
    pub(super) async fn perform(self: &Arc<Self>, jobs: Vec<Job>) {
        for job in jobs {
            match job {
                Job::Send { to, bytes } => self.answer(&bytes, to).await,
                Job::Bind(bind) => relays::start(Arc::clone(self), bind, None),
                Job::Attach { bind, place } => relays::start(Arc::clone(self), bind, Some(place)),
                Job::Close(conn) => {
                    tokio::spawn(async move { places::close(&conn).await });
                }
                Job::Tell(info) => self.notices.tell(info),
            }
        }
    }

    /// Sends to a client; what cannot be sent is lost, as datagrams are.
    pub(super) async fn answer(&self, bytes: &[u8], to: SocketAddr) {
        if let Err(error) = self.conn.send_to(bytes, to).await {
            tracing::trace!(%error, %to, "not sent to a client");
        }
    }

    async fn serve_timeouts(self: &Arc<Self>) {
        loop {
            let at = self.with(|core, _| {
                core.armed = core.relay.poll_timeout();
                core.armed
            });
            tokio::select! {
                () = self.sleep_until(at) => {}
                () = self.rearm.notified() => continue,
            }
            let jobs = self.with(|core, now| {
                core.relay.on_timeout(now);
                core.jobs()
            });
            self.perform(jobs).await;
        }
    }

    async fn sleep_until(&self, at: Option<Duration>) {
        match at {
            Some(at) => tokio::time::sleep_until(self.origin + at).await,
            None => std::future::pending().await,
        }
    }
}
