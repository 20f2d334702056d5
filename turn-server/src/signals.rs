//! Signals: what each of them asks for.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

/// What a signal asks for.
pub(crate) enum Asked {
    /// To end.
    End,
    /// To read certificates again: SIGUSR2 as in coturn, and SIGHUP, as everywhere else.
    Reload,
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

    /// Waits for a signal that asks for something. Others that coturn's operators send do not end the daemon.
    pub(crate) async fn next(&mut self) -> Asked {
        loop {
            let (name, asked) = tokio::select! {
                _ = self.terminate.recv() => ("SIGTERM", Some(Asked::End)),
                _ = self.interrupt.recv() => ("SIGINT", Some(Asked::End)),
                _ = self.hangup.recv() => ("SIGHUP", Some(Asked::Reload)),
                _ = self.second.recv() => ("SIGUSR2", Some(Asked::Reload)),
                _ = self.first.recv() => ("SIGUSR1", None),
            };
            match asked {
                Some(Asked::End) => info!("ending on {name}"),
                Some(Asked::Reload) => {
                    info!("{name}: certificates are read again, settings are not")
                }
                None => warn!("{name} changes nothing"),
            }
            if let Some(asked) = asked {
                return asked;
            }
        }
    }
}
