//! The hub at work: its lock, its clock, its alarm, and everybody's outbox.
//!
//! In: what makes the pure hub run in a process. Not in: rules (`hub`), sockets (`session.rs`).
//!
//! Commands are done and their events put into outboxes under one lock, so that what two members tell each other keeps
//! its order whoever else talks. The lock is never held across an await, and nothing under it waits. In a fleet, commands are
//! noted to be written into its log, and done when they are read there (`fleet`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{sleep_until, timeout};

use crate::calllog::{CallLog, RecordId, millis};
use crate::clock::Clock;
use crate::fleet::desk::Desk;
use crate::fleet::entry::{Deed, Entry, NodeId};
use crate::fleet::post::Post;
use crate::fleet::replica::Read;
use crate::fleet::{Fleet, LogId, link};
use crate::hub::{
    Census, CloseReason, Command, ConnectionId, Departure, Event, Identity, Limits, Name, Outbound,
    PeerId,
};
use crate::metrics::{Metrics, outcome};
use crate::outbox::Outbox;
use crate::{chance, clock};

/// How long a node that ends may take to tell the others so.
const LEAVE_LIMIT: Duration = Duration::from_secs(1);

/// How long the log may take to pass on that a deadline has come, before it is told again.
const TICK: Duration = Duration::from_millis(20);

/// Calls that the others are told of at once.
const RECORDS: usize = 256;

/// The hub of one process, or its part of a fleet's; cheap to clone.
#[derive(Clone)]
pub(crate) struct Switchboard(Arc<Inner>);

pub(crate) struct Inner {
    state: Mutex<State>,
    clock: Clock,
    limits: Limits,
    /// An earlier deadline than the alarm waits for has come up.
    earlier: Arc<Notify>,
    /// Something is to be written into the fleet's log.
    to_send: Arc<Notify>,
    /// Says `true` when the process stops; each session holds a receiver.
    stopping: watch::Sender<bool>,
}

struct State {
    desk: Desk,
    outboxes: HashMap<ConnectionId, Arc<Outbox>, foldhash::fast::RandomState>,
    alarm: Option<Duration>,
    call_log: Option<CallLog>,
    /// Where the call log says what is recorded, in a fleet.
    recorded: Option<mpsc::UnboundedSender<RecordId>>,
    metrics: Arc<Metrics>,
    /// How far the hub's time is ahead of the clock's.
    ahead: Duration,
    /// When something of the log was read last, by the clock.
    read_at: Duration,
}

impl Switchboard {
    /// Starts an empty one, and the task that wakes it; in a fleet, also the one that keeps it in. Must be called inside a
    /// tokio runtime.
    pub(crate) fn start(
        limits: Limits,
        call_log: Option<CallLog>,
        metrics: Arc<Metrics>,
        fleet: Option<Fleet>,
    ) -> Switchboard {
        let (redis, node) = fleet.map(|fleet| (fleet.redis, fleet.node)).unzip();
        let board = Switchboard::node(limits, call_log, metrics, node);
        if let Some(redis) = redis {
            tokio::spawn(link::run(redis, board.post()));
        }
        board
    }

    /// Starts one that is a node, if it has a name, and is alone until somebody links it with others. Must be called inside a tokio
    /// runtime.
    pub(crate) fn node(
        limits: Limits,
        call_log: Option<CallLog>,
        metrics: Arc<Metrics>,
        name: Option<Name>,
    ) -> Switchboard {
        let clock = Clock::start();
        // Nodes agree on a time, and calls are told apart by when they began, also from those of before a restart.
        let ahead = Duration::from_secs(clock::unix_time()).saturating_sub(clock.now());
        // What one process can bear is counted here; the hub holds what all of them have.
        let of_all = Limits {
            connections: usize::MAX,
            ..limits
        };
        let (recorded, records) = name.is_some().then(mpsc::unbounded_channel).unzip();
        let life = chance::connection_id().0;
        let me = NodeId { name, life };
        let state = State {
            desk: Desk::new(me, of_all, clock.now() + ahead),
            outboxes: HashMap::default(),
            alarm: None,
            call_log,
            recorded,
            metrics,
            ahead,
            read_at: Duration::ZERO,
        };
        let inner = Arc::new(Inner {
            state: Mutex::new(state),
            clock,
            limits,
            earlier: Arc::new(Notify::new()),
            to_send: Arc::new(Notify::new()),
            stopping: watch::Sender::new(false),
        });
        tokio::spawn(ring_alarms(
            Arc::downgrade(&inner),
            Arc::clone(&inner.earlier),
            inner.clock,
        ));
        if let Some(records) = records {
            tokio::spawn(tell_recorded(Arc::downgrade(&inner), records));
        }
        Switchboard(inner)
    }

    /// What links it with the other nodes of a fleet.
    pub(crate) fn post(&self) -> Post {
        Post::new(Arc::downgrade(&self.0))
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(crate) fn now(&self) -> Duration {
        self.0.clock.now()
    }

    /// Sleeps until the hub's time is `at`.
    pub(crate) async fn sleep_until(&self, at: Duration) {
        sleep_until(self.0.clock.instant(at)).await;
    }

    /// Takes in a connection; what it is told comes out of the outbox.
    pub(crate) fn connect(&self, id: ConnectionId, identity: Identity) -> Arc<Outbox> {
        let Limits {
            outbox,
            outbox_bytes,
            ..
        } = self.0.limits;
        let outbox = Arc::new(Outbox::new(outbox, outbox_bytes));
        self.0.run(|state, now| {
            if state.outboxes.len() >= self.0.limits.connections {
                outbox.end(CloseReason::Full);
                return ((), Outbound::new());
            }
            state.outboxes.insert(id, Arc::clone(&outbox));
            ((), state.desk.happens(now, Deed::Connect(id, identity)))
        });
        outbox
    }

    /// Does what a connection asks for.
    pub(crate) fn handle(&self, from: ConnectionId, command: Command) {
        self.0.happens(Deed::Handle(from, command));
    }

    /// Takes out a connection that ended.
    pub(crate) fn disconnect(&self, id: ConnectionId, departure: Departure) {
        self.0.run(|state, now| {
            state.outboxes.remove(&id);
            let ended = Deed::Disconnect(id, departure);
            ((), state.desk.happens(now, ended))
        });
    }

    /// The ids of the peers that are there, `most` of them.
    pub(crate) fn peer_ids(&self, most: usize) -> Vec<PeerId> {
        self.0.lock().desk.hub().peer_ids(most)
    }

    /// Where calls are recorded, if they are kept.
    pub(crate) fn call_log(&self) -> Option<CallLog> {
        self.recorder().filter(CallLog::keeps)
    }

    /// Where calls are recorded, if anywhere.
    pub(crate) fn recorder(&self) -> Option<CallLog> {
        self.0.lock().call_log.clone()
    }

    /// Sends those elsewhere whom nobody would miss here; says how many others there are.
    pub(crate) fn dismiss_idle(&self) -> usize {
        self.0.run(|state, _| {
            let idle = state.desk.hub().idle_connections().into_iter();
            let here = idle.filter(|id| state.outboxes.contains_key(id));
            let elsewhere = |id| (id, Event::Closed(CloseReason::Elsewhere));
            ((), here.map(elsewhere).collect())
        });
        self.census().connections
    }

    /// Counts what the hub holds; of connections, those of this process.
    pub(crate) fn census(&self) -> Census {
        let state = self.0.lock();
        Census {
            connections: state.outboxes.len(),
            ..state.desk.hub().census()
        }
    }

    /// Counts the nodes of the fleet, as far as they can be reached: 0 in a process of its own, and in one that is alone.
    pub(crate) fn nodes(&self) -> usize {
        let state = self.0.lock();
        match state.desk.is_logging() {
            true => state.desk.nodes(),
            false => 0,
        }
    }

    /// What a session holds for as long as it lives.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.0.stopping.subscribe()
    }

    /// Has all sessions close, and waits until they have.
    pub(crate) async fn stop(&self) {
        self.0.stopping.send_replace(true);
        self.0.stopping.closed().await;
        self.leave_fleet().await;
    }

    /// Tells the other nodes that this one ends, so that they need not wait for it to be silent.
    async fn leave_fleet(&self) {
        if self.nodes() == 0 {
            return;
        }
        self.0.happens(Deed::Leave);
        let told = async {
            while self.nodes() > 0 && !self.0.lock().desk.is_buried() {
                tokio::time::sleep(TICK).await;
            }
        };
        // Whoever is not told finds out.
        let _ = timeout(LEAVE_LIMIT, told).await;
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one step, delivers what came of it and sets the alarm.
    fn run<R>(&self, step: impl FnOnce(&mut State, Duration) -> (R, Outbound)) -> R {
        let mut state = self.lock();
        // Read under the lock, so that the hub's time never goes back.
        let now = state.now(self.clock);
        let (result, out) = step(&mut state, now);
        state.deliver(now, out);
        let next = state.desk.hub().poll_timeout();
        if next.is_some_and(|next| state.alarm.is_none_or(|alarm| next < alarm)) {
            self.earlier.notify_one();
        }
        if state.desk.has_to_write() {
            self.to_send.notify_one();
        }
        result
    }

    /// Has something happen at this node.
    fn happens(&self, deed: Deed) {
        self.run(|state, now| ((), state.desk.happens(now, deed)));
    }

    /// Runs one step of the fleet's.
    pub(crate) fn desk<R>(&self, step: impl FnOnce(&mut Desk, Duration) -> (R, Outbound)) -> R {
        self.run(|state, now| step(&mut state.desk, now))
    }

    /// Reads an entry of the fleet's log, which tells the hub's time.
    pub(crate) fn read(&self, at: LogId, entry: Entry) -> Read {
        self.run(|state, _| {
            let now = self.clock.now();
            state.read_at = now;
            let read = state.desk.read(at, entry);
            state.ahead = state.desk.now().saturating_sub(now);
            read
        })
    }

    /// Notes that Redis can be heard, though nothing was read yet.
    pub(crate) fn is_heard(&self) {
        self.lock().read_at = self.clock.now();
    }

    /// How long nothing of the log was read.
    pub(crate) fn unread_for(&self) -> Duration {
        self.clock.now().saturating_sub(self.lock().read_at)
    }

    pub(crate) fn to_send(&self) -> Arc<Notify> {
        Arc::clone(&self.to_send)
    }
}

impl State {
    fn now(&self, clock: Clock) -> Duration {
        (clock.now() + self.ahead).max(self.desk.now())
    }

    /// Puts events into outboxes. Taking out whoever is too slow makes more events; each round takes out at least one.
    fn deliver(&mut self, now: Duration, mut out: Outbound) {
        while !out.is_empty() {
            let mut ended = Vec::new();
            for (id, event) in out {
                let Some(outbox) = self.outboxes.get(&id) else {
                    continue;
                };
                let end = match event {
                    Event::Closed(reason) => Some(reason),
                    event => (!outbox.push(event)).then_some(CloseReason::TooSlow),
                };
                if let Some(reason) = end {
                    outbox.end(reason);
                    self.outboxes.remove(&id);
                    ended.push(id);
                }
            }
            out = ended
                .into_iter()
                .flat_map(|id| {
                    let lost = Deed::Disconnect(id, Departure::Lost);
                    self.desk.happens(now, lost)
                })
                .collect();
        }
        self.record(now);
    }

    fn record(&mut self, now: Duration) {
        for ended in self.desk.take_ended() {
            let outcome = outcome(ended.report.outcome);
            self.metrics.calls_ended.count(outcome);
            let behind = match self.recorded {
                // The fleet's time is Redis's Unix time, for all of them.
                Some(_) => 0,
                // The machine's clock may have been set since we started.
                None => clock::unix_millis().saturating_sub(millis(now)),
            };
            if let Some(log) = &self.call_log {
                log.record(ended, behind, self.recorded.as_ref());
            }
        }
        if self.call_log.is_none() {
            self.desk.forget_ended();
        }
    }
}

/// Tells the others which calls they need not remember any more, many at once.
async fn tell_recorded(inner: Weak<Inner>, mut records: mpsc::UnboundedReceiver<RecordId>) {
    let mut ids = Vec::new();
    while records.recv_many(&mut ids, RECORDS).await > 0 {
        let Some(inner) = inner.upgrade() else { return };
        let ids = std::mem::take(&mut ids);
        inner.desk(|desk, now| ((), desk.recorded(now, ids)));
    }
}

/// Wakes the hub when it wants to be woken, for as long as there is one.
async fn ring_alarms(inner: Weak<Inner>, earlier: Arc<Notify>, clock: Clock) {
    loop {
        let alarm = {
            let Some(inner) = inner.upgrade() else { return };
            let mut state = inner.lock();
            let now = state.now(clock);
            let due = state.desk.hub().poll_timeout().is_some_and(|at| at <= now);
            if due {
                let out = state.desk.on_timeout(now);
                state.deliver(now, out);
                if state.desk.has_to_write() {
                    inner.to_send.notify_one();
                }
            }
            let next = state.desk.hub().poll_timeout();
            // What went into the log is not done yet.
            state.alarm = next.map(|at| if due { at.max(now + TICK) } else { at });
            let ahead = state.ahead;
            state.alarm.map(|at| at.saturating_sub(ahead))
        };
        match alarm {
            None => earlier.notified().await,
            Some(at) => tokio::select! {
                () = sleep_until(clock.instant(at)) => {}
                () = earlier.notified() => {}
            },
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.to_send.notify_one();
        self.earlier.notify_one();
    }
}
