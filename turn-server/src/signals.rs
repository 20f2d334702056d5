//! Signals: which of them end the daemon, and what is said about the others.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

/// Caught signals. From [`Signals::catch`] on, none of them ends the process by itself.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    first: Signal,
    second: Signal,
}

impl Signals {
    /// Catches them. Must be called inside a tokio runtime, and before anybody is told that the server is ready.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn catch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            first: signal(SignalKind::user_defined1())?,
            second: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for the signal to end. Those that coturn's operators send for other reasons do not end the daemon.
    pub(crate) async fn end(&mut self) {
        loop {
            let (name, end) = tokio::select! {
                _ = self.terminate.recv() => ("SIGTERM", true),
                _ = self.interrupt.recv() => ("SIGINT", true),
                _ = self.hangup.recv() => ("SIGHUP", false),
                _ = self.first.recv() => ("SIGUSR1", false),
                _ = self.second.recv() => ("SIGUSR2", false),
            };
            if end {
                return info!("ending on {name}");
            }
            warn!("{name} changes nothing: settings and certificates are read at the start only");
        }
    }
}
