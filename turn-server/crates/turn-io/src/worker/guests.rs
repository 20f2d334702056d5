//! Handing over connections that speak HTTP (`guest.rs`).

use tracing::debug;
use turn_proto::LinkId;

use super::Worker;

impl Worker {
    /// Takes a connection out of all tables and hands it over, with the bytes that were read from it.
    pub(super) fn hand_over_guest(&mut self, link: LinkId, ahead: Vec<u8>) {
        // Nothing is queued for it: it has not said anything that would be answered.
        let Some(mut connection) = self.sockets.streams.remove(link) else {
            return;
        };
        let _ = self.poll.registry().deregister(connection.socket_mut());
        let Some((guest, hook)) = connection.into_guest(ahead).zip(self.guests.as_ref()) else {
            return;
        };
        let client = guest.client;
        if hook(guest) {
            self.sockets.counters.streams_handed_over += 1;
        } else {
            self.sockets.counters.streams_refused += 1;
            debug!(%client, "connection closed: too many speak HTTP");
        }
    }
}
