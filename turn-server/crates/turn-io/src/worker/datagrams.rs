//! Datagrams in: a batch from a listening or a relay socket, packet by packet through the state machine. Those that came as a
//! train are packets like others: each is judged, limited and counted by itself.

use std::{io, ops::Range, os::fd::AsFd};

use turn_proto::{Output, RelayId, Transport};
use udp_batch::{Arena, Datagrams};

use super::{BATCH, Served, Worker};

impl Worker {
    /// Receives a batch from clients; of a retired socket, from those only who have a session there.
    // One function for both: with a second caller the way of a packet is not inlined any more, which costs it 50 instructions.
    pub(super) fn serve_listener(&mut self, place: u32, retired: bool) -> Served {
        let first = self.free_slots();
        let listener = self.sockets.listeners.get(place as usize);
        let Some(socket) = listener.and_then(|listener| listener.socket.as_ref()) else {
            return Served::NOTHING;
        };
        let received = self.arena.receive(socket.as_fd(), first, BATCH);
        self.serve_batch(
            (first, received),
            |arena, index| arena.datagrams(index),
            |worker, index, datagram| {
                if retired && !worker.has_session(place, index, datagram.clone()) {
                    worker.sockets.counters.datagrams_unwanted += 1;
                    return None;
                }
                worker.serve_client(place, index, datagram)
            },
        )
    }

    /// Receives a batch from peers.
    pub(super) fn serve_relay(&mut self, relay: RelayId) -> Served {
        let first = self.free_slots();
        let Some(socket) = self.sockets.relays.at_mut(relay) else {
            return Served::NOTHING;
        };
        let received = self.arena.receive(socket.socket.as_fd(), first, BATCH);
        // What goes to a client gets a header in front, and may get padding behind.
        self.serve_batch(
            (first, received),
            Arena::move_apart,
            |worker, index, data| worker.serve_peer(relay, index, data),
        )
    }

    fn serve_batch(
        &mut self,
        (first, received): (usize, io::Result<usize>),
        datagrams: impl Fn(&mut Arena, usize) -> Datagrams,
        mut serve: impl FnMut(&mut Self, usize, Range<usize>) -> Option<()>,
    ) -> Served {
        self.sockets.counters.receive_calls += 1;
        let Ok(slots) = received else {
            // ICMP about an earlier packet, or the like: it is taken off the socket by being reported, and packets may wait
            // behind it. No such error closes a socket: peers come and go.
            self.sockets.counters.receive_errors += 1;
            return Served {
                // Counts as work, so that an error that stays cannot hold the worker for ever.
                packets: 1,
                more: true,
            };
        };
        self.used_slots = first + slots;
        let mut packets = 0;
        for index in first..first + slots {
            for datagram in datagrams(&mut self.arena, index) {
                packets += 1;
                serve(self, index, datagram);
                self.serve_actions();
            }
        }
        self.sockets.counters.datagrams_received += packets as u64;
        Served {
            packets: packets + self.handshake_cost(),
            more: slots == BATCH,
        }
    }

    fn serve_client(&mut self, place: u32, index: usize, datagram: Range<usize>) -> Option<()> {
        if !self.plain_only && !self.is_plain(place, index, datagram.clone()) {
            return self.serve_dtls(place, index, datagram);
        }
        let slot = self.arena.slot_mut(index)?;
        let path = self.sockets.listeners.get(place as usize)?.path(slot.from);
        let (start, traffic_class) = (datagram.start, slot.traffic_class);
        let output = self
            .relay
            .on_client(self.now, &path, slot.buf.get(datagram)?);
        self.timers_moved |= !matches!(output, Output::ToPeer { .. });
        (self.sockets).queue_output(output, &path, (index, start), traffic_class);
        Some(())
    }

    fn serve_peer(&mut self, relay: RelayId, index: usize, data: Range<usize>) -> Option<()> {
        let slot = self.arena.slot_mut(index)?;
        let traffic_class = slot.traffic_class;
        let message = self
            .relay
            .on_peer(self.now, relay, slot.from, slot.buf, data)?;
        self.timers_moved |= message.path.transport == Transport::Dtls;
        self.sockets
            .queue_to_client(message, (&self.arena, index), traffic_class);
        Some(())
    }
}
