//! The hub at work: its lock, its clock, its alarm, and everybody's outbox.
//!
//! In: what makes the pure hub run in a process. Not in: rules (`hub`), sockets (`session.rs`).
//!
//! Commands are done and their events put into outboxes under one lock, so that what two members tell each other keeps
//! its order whoever else talks. The lock is never held across an await, and nothing under it waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::sleep_until;

use crate::calllog::CallLog;
use crate::clock::Clock;
use crate::hub::{
    Census, CloseReason, Command, ConnectionId, Departure, Event, Hub, Identity, Limits, Outbound,
    PeerId,
};
use crate::outbox::Outbox;

/// The hub of one process; cheap to clone.
#[derive(Clone)]
pub(crate) struct Switchboard(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    clock: Clock,
    limits: Limits,
    /// An earlier deadline than the alarm waits for has come up.
    earlier: Arc<Notify>,
    /// Says `true` when the process stops; each session holds a receiver.
    stopping: watch::Sender<bool>,
}

struct State {
    hub: Hub,
    outboxes: HashMap<ConnectionId, Arc<Outbox>>,
    alarm: Option<Duration>,
    call_log: Option<CallLog>,
}

impl Switchboard {
    /// Starts an empty one, and the task that wakes it. Must be called inside a tokio runtime.
    pub(crate) fn start(limits: Limits, call_log: Option<CallLog>) -> Switchboard {
        let state = State {
            hub: Hub::new(limits),
            outboxes: HashMap::new(),
            alarm: None,
            call_log,
        };
        let inner = Arc::new(Inner {
            state: Mutex::new(state),
            clock: Clock::start(),
            limits,
            earlier: Arc::new(Notify::new()),
            stopping: watch::Sender::new(false),
        });
        tokio::spawn(ring_alarms(
            Arc::downgrade(&inner),
            Arc::clone(&inner.earlier),
            inner.clock,
        ));
        Switchboard(inner)
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
        let outbox = Arc::new(Outbox::new(self.0.limits.outbox));
        self.0.run(|state, now| {
            state.outboxes.insert(id, Arc::clone(&outbox));
            state.hub.connect(now, id, identity)
        });
        outbox
    }

    /// Does what a connection asks for.
    pub(crate) fn handle(&self, from: ConnectionId, command: Command) {
        self.0
            .run(|state, now| state.hub.handle(now, from, command));
    }

    /// Takes out a connection that ended.
    pub(crate) fn disconnect(&self, id: ConnectionId, departure: Departure) {
        self.0.run(|state, now| {
            state.outboxes.remove(&id);
            state.hub.disconnect(now, id, departure)
        });
    }

    /// The ids of the peers that are there, `most` of them.
    pub(crate) fn peer_ids(&self, most: usize) -> Vec<PeerId> {
        self.0.lock().hub.peer_ids(most)
    }

    /// Where calls are recorded, if they are kept.
    pub(crate) fn call_log(&self) -> Option<CallLog> {
        let state = self.0.lock();
        state.call_log.clone().filter(CallLog::keeps)
    }

    /// Counts what the hub holds.
    pub(crate) fn census(&self) -> Census {
        self.0.lock().hub.census()
    }

    /// What a session holds for as long as it lives.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.0.stopping.subscribe()
    }

    /// Has all sessions close, and waits until they have.
    pub(crate) async fn stop(&self) {
        self.0.stopping.send_replace(true);
        self.0.stopping.closed().await;
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one step of the hub, delivers what came of it and sets the alarm.
    fn run(&self, step: impl FnOnce(&mut State, Duration) -> Outbound) {
        let mut state = self.lock();
        // Read under the lock, so that the hub's time never goes back.
        let now = self.clock.now();
        let out = step(&mut state, now);
        state.deliver(now, out);
        let next = state.hub.poll_timeout();
        if next.is_some_and(|next| state.alarm.is_none_or(|alarm| next < alarm)) {
            self.earlier.notify_one();
        }
    }
}

impl State {
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
                .flat_map(|id| self.hub.disconnect(now, id, Departure::Lost))
                .collect();
        }
        for report in self.hub.take_reports() {
            if let Some(log) = &self.call_log {
                log.record(now, report);
            }
        }
    }
}

/// Wakes the hub when it wants to be woken, for as long as there is one.
async fn ring_alarms(inner: Weak<Inner>, earlier: Arc<Notify>, clock: Clock) {
    loop {
        let alarm = {
            let Some(inner) = inner.upgrade() else { return };
            let mut state = inner.lock();
            let now = clock.now();
            let out = state.hub.on_timeout(now);
            state.deliver(now, out);
            state.alarm = state.hub.poll_timeout();
            state.alarm
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
        self.earlier.notify_one();
    }
}
