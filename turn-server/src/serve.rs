//! The daemon's life after its start: it hears signals and others that ask, reloads, runs dry, and stops.

use std::{sync::Arc, time::Duration};

use sd_notify::NotifyState;
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
    time,
};

use tracing::warn;

use crate::{
    background,
    certificates::Renewal,
    control::{self, Desk, Order, What},
    daemon::Started,
    reload::{Reload, Reloaded},
    signals::Asked,
    watchdog,
};

/// How long open connections of the control plane may keep the daemon when it stops.
const FAREWELL: Duration = Duration::from_millis(500);

impl Started {
    /// Serves until a signal or a drain ends it, or a part of it fails.
    ///
    /// # Errors
    /// Names what has failed.
    pub(crate) fn serve(self) -> anyhow::Result<()> {
        let Self {
            mut sites,
            mut failures,
            runtime,
            pid_file,
            mut signals,
            mut renewal,
            mut finder,
            mut reload,
            control,
            page,
        } = self;
        let served = runtime.block_on(async {
            let (stop, stopping) = watch::channel(false);
            let mut tasks = JoinSet::new();
            sites.serve(&mut tasks, &stopping);
            let (desk, mut orders) = Desk::new(Arc::clone(&reload.server), page);
            let (farewell, told) = oneshot::channel();
            if let Some(control) = control {
                let serving = control::serve(control, Arc::clone(&desk), stopping.clone());
                tasks.spawn(async move {
                    let served = serving.await;
                    // Nobody waits for it unless the server ends.
                    let _ = farewell.send(());
                    served
                });
            }
            let fed = tokio::spawn(watchdog::feed(Arc::clone(&reload.server)));
            // Without systemd there is nobody to tell.
            let _ = sd_notify::notify(&[NotifyState::Ready]);
            if background::is_here()
                && let Err(error) = background::say_ready()
            {
                warn!("daemon: {error}");
            }
            let end = loop {
                tokio::select! {
                    asked = signals.next() => match asked {
                        Asked::End => break Ok(()),
                        // Whoever has sent a signal reads the answer in the log.
                        Asked::Reload => drop(read_again(&mut reload, &mut renewal)),
                        Asked::Drain => drop(reload.drain.begin()),
                    },
                    Some(order) = orders.recv() => obey(order, &mut reload, &mut renewal),
                    () = reload.drain.is_over() => break Ok(()),
                    () = finder.changed() => reload.adopt(finder.found()),
                    () = renewal.changed() => {
                        renewal.renew(&reload.server, reload.metrics_certificate.as_ref());
                    }
                    Some(failure) = failures.recv() => break Err(anyhow::anyhow!("{failure}")),
                    Some(ended) = tasks.join_next() => {
                        break Err(anyhow::anyhow!("an HTTP server has ended: {ended:?}"));
                    }
                }
            };
            let _ = sd_notify::notify(&[NotifyState::Stopping]);
            let _ = stop.send(true);
            // An error says that there was nobody to tell.
            let _ = time::timeout(FAREWELL, told).await;
            // systemd goes by TimeoutStopSec= from here on.
            fed.abort();
            if let Some(signaling) = sites.signaling {
                // Clients are told before they notice; one that does not listen is not waited for.
                let _ = time::timeout(FAREWELL, signaling.stop()).await;
            }
            end
        });
        runtime.shutdown_timeout(FAREWELL);
        drop(pid_file);
        drop(reload);
        served
    }
}

/// Does what an operator asks for over the control socket.
fn obey(order: Order, reload: &mut Reload, renewal: &mut Renewal) {
    let done = match order.what {
        What::Reload => read_again(reload, renewal).map(|reloaded| reloaded.in_full()),
        What::Drain => Ok(reload.drain.begin()),
        What::Undrain => Ok(reload.drain.cancel()),
    };
    // Who asked may have given up meanwhile.
    let _ = order.answer.send(done);
}

fn read_again(reload: &mut Reload, renewal: &mut Renewal) -> Result<Reloaded, String> {
    renewal.note();
    let reloaded = reload.reload();
    renewal.follow(&reload.running);
    reloaded
}
