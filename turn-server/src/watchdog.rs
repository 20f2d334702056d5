//! Whether every worker takes its turns: for the service manager's watchdog, which is fed as long as that is so and no longer, and
//! for `/healthz`.
//!
//! A worker that hangs serves nobody, and the process that it belongs to looks alive all the same. So the question goes to each
//! worker, by the way that all commands take, and what is said outside depends on all answers.

use std::{sync::Arc, time::Duration};

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use crate::Server;

/// How long a worker may hang where there is no watchdog that says so: whoever asks `/healthz`, asks every ten seconds or so.
const WITHOUT_WATCHDOG: Duration = Duration::from_secs(20);

/// Looks after the workers for as long as it is polled, and feeds the watchdog if there is one.
pub(crate) async fn feed(server: Arc<Server>) {
    let watchdog = sd_notify::watchdog_enabled();
    // Two quarters between meals at most, where systemd wants no more than half of the limit.
    let quarter = watchdog.unwrap_or(WITHOUT_WATCHDOG) / 4;
    let mut ticks = interval(quarter.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let asked = Arc::clone(&server);
        let silent = tokio::task::spawn_blocking(move || asked.silent_workers(quarter)).await;
        let Ok(silent) = silent else {
            // The runtime is going down.
            return;
        };
        server.note_health(silent.is_empty());
        if !silent.is_empty() {
            let consequence = match watchdog {
                Some(_) => {
                    "so the watchdog is not fed: the service manager will start the server anew"
                }
                None => "and /healthz says so: start the server anew",
            };
            warn!("workers {silent:?} do not answer, {consequence}");
        } else if watchdog.is_some() {
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        }
    }
}
