//! The service manager's watchdog: fed as long as every worker takes its turns, and no longer.
//!
//! A worker that hangs serves nobody, and the process that it belongs to looks alive all the same. So the question goes to each
//! worker, by the way that all commands take, and what is sent to the service manager depends on all answers.

use std::{sync::Arc, time::Duration};

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use crate::Server;

/// Feeds the watchdog, if there is one, for as long as it is polled.
pub(crate) async fn feed(server: Arc<Server>) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    // Two quarters between meals at most, where systemd wants no more than half of the limit.
    let quarter = limit / 4;
    let mut ticks = interval(quarter.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let asked = Arc::clone(&server);
        let silent = tokio::task::spawn_blocking(move || asked.silent_workers(quarter)).await;
        match silent {
            Ok(silent) if silent.is_empty() => {
                let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            }
            Ok(silent) => warn!(
                "workers {silent:?} do not answer, so the watchdog is not fed: the service manager will start the server anew"
            ),
            // The runtime is going down.
            Err(_) => return,
        }
    }
}
