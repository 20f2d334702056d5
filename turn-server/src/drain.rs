//! Running dry: no new allocations, and an end when the old ones are gone (coturn's drain).
//!
//! In: whether it is so, since when, and when it is over. Not in: who asks for it (`signals.rs`, `control`), and how an
//! Allocate request is refused (`turn-proto`).

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::Notify, time};
use tracing::{info, warn};
use turn_config::settings;
use turn_proto::Shared;

/// How often allocations are counted while there may be the last of them.
const LOOK: Duration = Duration::from_millis(200);

/// Whether the server takes new allocations, and when it ends if it does not.
pub struct Drain {
    shared: Arc<Shared>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    since: Option<Instant>,
    least: u32,
    timeout: Option<Duration>,
}

/// How far a drain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainState {
    /// For how long new allocations have been refused; `None` when they are not.
    pub draining_for: Option<Duration>,
    /// How long it may still take; `None` when it may take as long as it does.
    pub time_left: Option<Duration>,
    /// Allocations that there are.
    pub allocations: u32,
    /// At how many the server ends.
    pub least: u32,
}

impl Drain {
    pub(crate) fn new(shared: Arc<Shared>, process: &settings::Process) -> Arc<Self> {
        let drain = Self {
            shared,
            state: Mutex::default(),
            changed: Notify::new(),
        };
        drain.configure(process);
        Arc::new(drain)
    }

    /// Refuses new allocations from now on; the server ends when the old ones are gone. Says what came of it, in the log too.
    pub fn begin(&self) -> String {
        let begins = self.with(|state| {
            let begins = state.since.is_none();
            state.since.get_or_insert_with(Instant::now);
            begins
        });
        self.shared.drain(true);
        self.changed.notify_waiters();
        let state = self.state();
        let said = match (begins, state.time_left) {
            (false, _) => format!("the server runs dry already: {state}"),
            (true, None) => format!("no new allocations are taken: {state}"),
            (true, Some(left)) => {
                let seconds = left.as_secs_f32().ceil();
                format!(
                    "no new allocations are taken: {state}, and the end comes in {seconds} s at the latest"
                )
            }
        };
        info!("{said}");
        said
    }

    /// Takes new allocations again, and says what came of it.
    pub fn cancel(&self) -> String {
        let ends = self.with(|state| state.since.take().is_some());
        self.shared.drain(false);
        let said = if ends {
            "new allocations are taken again"
        } else {
            "new allocations are taken: there was no drain to undo"
        };
        info!("{said}");
        said.to_owned()
    }

    /// How far it is.
    pub fn state(&self) -> DrainState {
        let allocations = self.shared.quotas.count();
        self.with(|state| {
            let draining_for = state.since.map(|since| since.elapsed());
            let left = |passed: Duration| Some(state.timeout?.saturating_sub(passed));
            DrainState {
                draining_for,
                time_left: draining_for.and_then(left),
                allocations,
                least: state.least,
            }
        })
    }

    /// Sets when it is over; this counts for one that has begun, too.
    pub(crate) fn configure(&self, process: &settings::Process) {
        self.with(|state| {
            state.least = process.drain_min_allocations;
            state.timeout = process.drain_timeout;
        });
    }

    /// Waits until a drain is over, which may be for ever. May be dropped at any time.
    pub(crate) async fn is_over(&self) {
        loop {
            let changed = self.changed.notified();
            let state = self.state();
            if state.draining_for.is_none() {
                changed.await;
                continue;
            }
            if state.allocations <= state.least {
                return info!("Drain complete ({state})");
            }
            if state.time_left == Some(Duration::ZERO) {
                return warn!(
                    "the drain is over by drain-timeout ({state}): they end with the server"
                );
            }
            time::sleep(LOOK).await;
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Display for DrainState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.allocations == 1 { "" } else { "s" };
        write!(f, "{} allocation{plural} left", self.allocations)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{sync::Arc, time::Duration};

    use turn_config::settings;
    use turn_proto::Shared;

    use super::Drain;

    pub(crate) fn drain(least: u32, timeout: Option<Duration>) -> (Arc<Shared>, Arc<Drain>) {
        let shared = Shared::new(&[], 50_000..=50_009, 0, 0);
        let process = settings::Process {
            daemon: false,
            user: None,
            group: None,
            workers: None,
            pid_file: None,
            latency_budget: None,
            control: settings::Control::Off,
            drain_min_allocations: least,
            drain_timeout: timeout,
        };
        (Arc::clone(&shared), Drain::new(shared, &process))
    }

    #[test]
    fn it_begins_once_and_can_be_undone() {
        let (shared, drain) = drain(0, Some(Duration::from_secs(60)));
        assert!(drain.cancel().contains("no drain to undo") && !shared.is_draining());
        assert_eq!(drain.state().draining_for, None);
        assert!(drain.begin().contains("at the latest") && drain.begin().contains("already"));
        assert!(shared.is_draining());
        let state = drain.state();
        assert!(state.draining_for.is_some() && state.time_left > Some(Duration::ZERO));
        assert_eq!(drain.cancel(), "new allocations are taken again");
        assert!(!shared.is_draining());
        assert_eq!(drain.state().draining_for, None);
    }

    #[tokio::test]
    async fn without_allocations_it_is_over_as_it_begins() {
        let (_, drain) = drain(0, None);
        let waiting = drain.is_over();
        tokio::pin!(waiting);
        assert!(futures_pending(&mut waiting).await);
        drain.begin();
        waiting.await;
    }

    /// Whether it still waits after everything that is ready has run.
    async fn futures_pending(waiting: &mut (impl Future<Output = ()> + Unpin)) -> bool {
        tokio::select! {
            biased;
            () = waiting => false,
            () = tokio::task::yield_now() => true,
        }
    }
}
