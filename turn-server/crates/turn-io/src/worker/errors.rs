//! ICMP errors about datagrams to peers (RFC 8656 §11.5), from the error queues of relay sockets.
//!
//! Read when the poller reports an error, so relaying pays nothing for it.

use std::os::fd::AsFd;

use turn_proto::{IcmpReport, RelayId};

use super::Worker;

/// Errors read from one socket at once. More than its queue holds of small packets, unless they come as fast as they are read:
/// then the rest is announced by the next of them.
const ERRORS: usize = 1024;

impl Worker {
    /// Hands the errors of a relay socket to the state machine. Reading them also takes the pending error off the socket.
    pub(super) fn serve_errors(&mut self, relay: RelayId) {
        for _ in 0..ERRORS {
            let Some(socket) = self.sockets.relays.at_mut(relay) else {
                return;
            };
            let Ok(Some(error)) = udp_batch::next_icmp_error(socket.socket.as_fd()) else {
                return;
            };
            self.sockets.counters.icmp_errors += 1;
            let report = IcmpReport {
                to: error.to,
                kind: error.kind,
                code: error.code,
                mtu: error.info,
            };
            self.relay.on_icmp(self.now, relay, report);
            self.serve_actions();
        }
    }
}
