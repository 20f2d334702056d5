//! Mobile sessions (RFC 8016) that go over to another worker: messages between state machines, sessions with their sockets,
//! and packets that have made a detour.

use std::collections::VecDeque;

use turn_proto::{Parcel, Path, RelayId, Transport};

use super::Worker;
use crate::{mailbox::Mail, relay_sockets::RelaySocket};

/// Packets of clients that another worker has sent back.
pub(super) type Returned = VecDeque<(Path, Vec<u8>)>;

impl Worker {
    /// Passes a session and its relay sockets to another worker, after what is queued for its peers is sent.
    pub(super) fn send_parcel(&mut self, worker: u16, relays: &[RelayId], parcel: Box<Parcel>) {
        self.flush();
        let registry = self.poll.registry();
        let taken = relays
            .iter()
            .filter_map(|relay| self.sockets.relays.take(registry, *relay));
        let sockets: Vec<RelaySocket> = taken.collect();
        self.mailboxes
            .post(worker, Mail::Parcel { parcel, sockets });
    }

    /// Takes over a session of another worker.
    pub(super) fn take_parcel(&mut self, parcel: Parcel, sockets: Vec<RelaySocket>) {
        let path = parcel.path();
        let relays = self.relay.on_parcel(self.now, parcel).unwrap_or_default();
        for (relay, socket) in relays.into_iter().zip(sockets) {
            // Where the poller refuses it the session hears no peer, and ends with its lifetime.
            if self
                .sockets
                .relays
                .put(self.poll.registry(), relay, socket)
                .is_err()
            {
                self.sockets.counters.undeliverable += 1;
            }
            self.sockets.enlist(crate::source::Source::Relay(relay));
        }
        // Its client may have gone on meanwhile.
        if self.is_gone(&path) {
            self.relay.on_link_closed(self.now, path.link);
        }
        self.serve_actions();
    }

    /// Serves packets that have come back, each as if it had just come.
    pub(super) fn serve_returned(&mut self) {
        while let Some((path, packet)) = self.returned.pop_front() {
            // Nothing may begin on a stream that has ended: nobody would tell its end again.
            if self.is_gone(&path) {
                continue;
            }
            let slot = self.free_slots();
            let room = self.arena.buffer_mut(slot);
            let Some(room) = room.and_then(|buffer| buffer.get_mut(..packet.len())) else {
                continue;
            };
            room.copy_from_slice(&packet);
            self.used_slots = slot + 1;
            let output = self.relay.on_returned(self.now, &path, &packet);
            self.sockets.queue_output(output, &path, (slot, 0), 0);
            self.serve_actions();
        }
    }

    /// Whether a connection or an association has ended.
    fn is_gone(&mut self, path: &Path) -> bool {
        match path.transport {
            Transport::Udp => false,
            Transport::Dtls => self.sockets.associations.at_mut(path.link).is_none(),
            Transport::Tcp | Transport::Tls => self.sockets.streams.at_mut(path.link).is_none(),
        }
    }
}
