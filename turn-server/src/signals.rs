//! Signals: what each of them asks for.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

/// What a signal asks for.
pub(crate) enum Asked {
    /// To end.
    End,
    /// To read the configuration and its files again: SIGUSR2, as coturn does with certificates, and SIGHUP, as everywhere else.
    Reload,
    /// To take no new allocations, and to end when the old ones are gone: SIGUSR1, as in coturn.
    Drain,
}

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

    /// Waits for a signal.
    pub(crate) async fn next(&mut self) -> Asked {
        let (name, asked) = tokio::select! {
            _ = self.terminate.recv() => ("SIGTERM", Asked::End),
            _ = self.interrupt.recv() => ("SIGINT", Asked::End),
            _ = self.hangup.recv() => ("SIGHUP", Asked::Reload),
            _ = self.second.recv() => ("SIGUSR2", Asked::Reload),
            _ = self.first.recv() => ("SIGUSR1", Asked::Drain),
        };
        match asked {
            Asked::End => info!("ending on {name}"),
            Asked::Reload => info!("{name}: settings and certificates are read again"),
            Asked::Drain => info!("{name}: the server is to run dry"),
        }
        asked
    }
}
