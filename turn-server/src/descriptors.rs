//! How many descriptors the process may have, and who gets how many: strangers' connections must not take those that relays
//! need.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for everything else: log, listeners, timers, databases.
const KEPT: u64 = 64;

/// TCP connections of one worker are not limited below this.
const FEW: usize = 16;

/// Raises the limit of open descriptors as far as the system allows, and returns it. Shells start with 1,024 mostly.
pub(crate) fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Where that is forbidden, the old limit stays.
    let _ = setrlimit(Resource::Nofile, raised);
    allowed()
}

/// Client connections that each worker may hold: half of the descriptors for all of them, the other half for relay sockets.
pub(crate) fn streams_per_worker(workers: usize) -> usize {
    share(allowed(), 2, workers)
}

/// Connections with peers that each worker may hold (RFC 6062): with a client's each, an eighth of the descriptors.
pub(crate) fn peer_connections_per_worker(workers: usize) -> usize {
    share(allowed(), 16, workers)
}

/// Connections that an HTTP listener may hold.
pub(crate) fn http_connections() -> usize {
    share(allowed(), 8, 1).min(10_000)
}

fn allowed() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

fn share(limit: u64, part: u64, among: usize) -> usize {
    let each = limit.saturating_sub(KEPT) / part / among.max(1) as u64;
    usize::try_from(each).unwrap_or(usize::MAX).max(FEW)
}

#[cfg(test)]
mod tests {
    use super::{FEW, share};

    #[test]
    fn connections_leave_descriptors_to_relays() {
        for limit in [256, 1024, 20_000, 1 << 20] {
            for workers in [1, 2, 8] {
                let peers = 2 * share(limit, 16, workers);
                let connections =
                    ((share(limit, 2, workers) + peers) * workers + share(limit, 8, 1)) as u64;
                assert!(
                    connections < limit * 7 / 8 + (FEW * (3 * workers + 1)) as u64,
                    "{limit} {workers}: {connections}"
                );
            }
        }
        assert_eq!(share(1024, 2, 2), 240);
        assert_eq!(share(10, 2, 4), 16);
    }
}
