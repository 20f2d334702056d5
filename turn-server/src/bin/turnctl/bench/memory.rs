//! Memory of idle sessions: the server's own, and the kernel's for its sockets.

use super::client::Client;
use super::measurement::{Measurement, Metric};
use super::proc;
use super::target::Running;
use anyhow::{Context, Result};

/// Descriptors left for everything that is not a session.
const SPARE_DESCRIPTORS: u64 = 100;

/// Measures what `sessions` allocations add to a server that was just started.
///
/// Nothing is given back: the server ends after this. One allocation is made before, so that what the first one costs for ever is not divided among the others.
///
/// # Errors
/// An allocation fails, or the server is gone.
pub(crate) fn measure(server: &Running, sessions: usize) -> Result<Measurement> {
    let sessions = sessions.min(affordable());
    let account = server.account();
    let mut first = Client::open(server.listen, &account)?;
    first.allocate()?;
    // The clients' sockets are kernel memory too, and not the server's.
    let mut clients = (0..sessions)
        .map(|_| Client::open(server.listen, &account))
        .collect::<Result<Vec<_>>>()?;
    let (resident_before, slab_before) = (resident(server)?, proc::slab_kib().unwrap_or(0));
    for (index, client) in clients.iter_mut().enumerate() {
        client
            .allocate()
            .with_context(|| format!("allocation {} of {sessions}", index + 1))?;
    }
    let (resident_after, slab_after) = (resident(server)?, proc::slab_kib().unwrap_or(0));
    let per_session =
        |before: u64, after: u64| after.saturating_sub(before) as f64 / sessions.max(1) as f64;
    Ok(Measurement::default()
        .with(
            Metric::ResidentPerSession,
            per_session(resident_before, resident_after),
        )
        .with(Metric::SlabPerSession, per_session(slab_before, slab_after))
        .with(Metric::Sessions, sessions as f64))
}

/// Sessions that the descriptor limit allows; the server lives under the same one.
fn affordable() -> usize {
    let limit = proc::open_file_limit().unwrap_or(1024);
    usize::try_from(limit.saturating_sub(SPARE_DESCRIPTORS)).unwrap_or(usize::MAX)
}

fn resident(server: &Running) -> Result<u64> {
    proc::resident_kib(server.pid()).context("the server is gone")
}
