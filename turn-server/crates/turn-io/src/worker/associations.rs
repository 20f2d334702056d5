//! DTLS: datagrams of clients into associations, messages out of them, and their ends.

use std::{net::SocketAddr, ops::Range};

use tracing::debug;
use turn_proto::{LinkId, Path};

use super::{Worker, sockets::Sockets};
use crate::{
    dtls::{Begun, Broken, Polled, Refused, Routed, Stage, Ticket, is_dtls},
    outbox::{Exit, IpHeader},
};

/// What the beginning of an association counts for in a turn, in packets: keys, and a signature, which take 200 µs.
const HANDSHAKE_COST: usize = 64;

/// Records of one datagram, of which each carries a message. The engine takes no more.
const MESSAGES: usize = 8;

/// What a datagram has led to besides datagrams.
#[derive(Default)]
struct Came {
    messages: [Range<usize>; MESSAGES],
    opened: bool,
    closed: bool,
}

impl Worker {
    /// Whether a datagram from a client is for the state machine as it is, where not all are. Where plain ones are not served
    /// any more, those of sessions still are.
    pub(super) fn is_plain(&mut self, place: u32, index: usize, datagram: Range<usize>) -> bool {
        let first = self.arena.bytes(index, datagram);
        let first = first.and_then(|bytes| bytes.first().copied());
        !first.is_some_and(is_dtls) && (self.plain_datagrams || self.has_path(place, index))
    }

    /// Whether a datagram belongs to a session that lives on a listener, or to an association that has one.
    #[inline(never)]
    pub(super) fn has_session(&mut self, place: u32, index: usize, datagram: Range<usize>) -> bool {
        let first = self.arena.bytes(index, datagram);
        if !first.is_some_and(|bytes| bytes.first().copied().is_some_and(is_dtls)) {
            return self.has_path(place, index);
        }
        let slot = self.arena.slot_mut(index);
        slot.is_some_and(|slot| self.sockets.associations.knows(place, slot.from))
    }

    fn has_path(&mut self, place: u32, index: usize) -> bool {
        let listener = self.sockets.listeners.get(place as usize);
        let path = listener.zip(self.arena.slot_mut(index));
        path.is_some_and(|(listener, slot)| self.relay.knows(&listener.path(slot.from)))
    }

    /// Serves a datagram in a slot that is of DTLS or of nothing.
    #[inline(never)]
    pub(super) fn serve_dtls(
        &mut self,
        place: u32,
        index: usize,
        payload: Range<usize>,
    ) -> Option<()> {
        self.timers_moved = true;
        let slot = self.arena.slot_mut(index)?;
        let path = self.sockets.listeners.get(place as usize)?.path(slot.from);
        let traffic_class = slot.traffic_class;
        if !self.relay.admits_client(path.client.ip(), path.server) {
            self.sockets.counters.streams_denied += 1;
            return None;
        }
        let datagram = slot.buf.get(payload.clone())?;
        let associations = &mut self.sockets.associations;
        let link = match associations.route(self.now, &path, place, datagram) {
            Routed::To(link) => link,
            Routed::Begin => self.begin_association(&path, place, index, payload.clone())?,
            Routed::Ask(request) => {
                self.sockets.counters.dtls_asked += 1;
                self.sockets.queue_plain(place, path.client, &request);
                return Some(());
            }
            Routed::Stray => {
                self.sockets.counters.dtls_stray += 1;
                return None;
            }
        };
        let datagram = self.arena.slot_mut(index)?.buf.get(payload.clone())?;
        let received = (self.sockets.associations).receive(self.now, link, datagram);
        if received.is_err() {
            self.break_association(link);
            return None;
        }
        self.serve_association(link, (index, payload.start), traffic_class);
        Some(())
    }

    /// Does what is due for associations by now.
    pub(super) fn serve_association_timers(&mut self) {
        while let Some((link, woken)) = self.sockets.associations.wake(self.now) {
            let woken = woken.and_then(|()| self.sockets.drain(link, IpHeader::default()));
            if woken.is_err() {
                self.break_association(link);
            }
        }
        while let Some(link) = self.sockets.associations.slow_to_open(self.now.mono) {
            self.break_association(link);
        }
        while let Some(link) = self.sockets.associations.overdue(self.now.mono) {
            self.sockets.counters.dtls_idle += 1;
            self.lose_association(link);
        }
    }

    /// Ends an association from our side or after its client's good-bye, and tells the state machine.
    pub(super) fn lose_association(&mut self, link: LinkId) {
        self.close_association(link);
        self.relay.on_link_closed(self.now, link);
        self.serve_actions();
    }

    /// Says good-bye on an association, and forgets it.
    pub(super) fn close_association(&mut self, link: LinkId) {
        let Some(association) = self.sockets.associations.at_mut(link) else {
            return;
        };
        if association.stage() == Stage::Open && association.close().is_ok() {
            let _ = self.sockets.drain(link, IpHeader::default());
        }
        self.sockets.associations.remove(link);
    }

    /// Forgets an association that the engine has given up, or that is replaced, and tells the state machine.
    pub(super) fn break_association(&mut self, link: LinkId) {
        let Some(association) = self.sockets.associations.remove(link) else {
            return;
        };
        if association.stage() == Stage::Handshake {
            self.sockets.counters.dtls_unopened += 1;
            let client = association.path.client;
            debug!(%client, "association ended before its first message");
        }
        self.relay.on_link_closed(self.now, link);
        self.serve_actions();
    }

    /// What the handshakes begun in this batch count for in a turn.
    pub(super) fn handshake_cost(&mut self) -> usize {
        std::mem::take(&mut self.handshakes_begun) * HANDSHAKE_COST
    }

    fn begin_association(
        &mut self,
        path: &Path,
        place: u32,
        index: usize,
        payload: Range<usize>,
    ) -> Option<LinkId> {
        let datagram = self.arena.slot_mut(index)?.buf.get(payload)?;
        let (relay, associations) = (&mut self.relay, &mut self.sockets.associations);
        let ticket = || Some(Box::new(relay.admit_connection(path.client.ip())?) as Ticket);
        self.handshakes_begun += 1;
        match associations.begin(self.now, (path, place), datagram, ticket) {
            Ok(Begun { link, displaced }) => {
                if let Some(oldest) = displaced {
                    self.sockets.counters.dtls_displaced += 1;
                    self.lose_association(oldest);
                }
                Some(link)
            }
            Err(refused) => {
                self.sockets.counters.dtls_refused += 1;
                if let Refused::Unfit(answer) = refused {
                    self.sockets.queue_plain(place, path.client, &answer);
                }
                None
            }
        }
    }

    /// Serves what an association has for the outside. Messages are laid where their datagram was, from `start` on, so that
    /// relayed data leaves from there.
    fn serve_association(
        &mut self,
        link: LinkId,
        (index, start): (usize, usize),
        traffic_class: u8,
    ) -> Option<()> {
        let Ok(came) = self.poll_association(link, (index, start)) else {
            self.break_association(link);
            return None;
        };
        if came.opened {
            self.sockets.counters.dtls_handshakes += 1;
            if let Some(earlier) = self.sockets.associations.opened(link) {
                self.break_association(earlier);
            }
        }
        for range in came.messages.into_iter().filter(|range| !range.is_empty()) {
            // The one before may have ended it.
            let path = self.sockets.associations.at_mut(link)?.path;
            let message = self.arena.bytes(index, range.clone())?;
            let output = self.relay.on_client(self.now, &path, message);
            (self.sockets).queue_output(output, &path, (index, range.start), traffic_class);
            self.serve_actions();
        }
        if came.closed {
            self.lose_association(link);
        }
        Some(())
    }

    fn poll_association(
        &mut self,
        link: LinkId,
        (index, start): (usize, usize),
    ) -> Result<Came, Broken> {
        let (mut came, mut count, mut end) = (Came::default(), 0, start);
        let arena = &mut self.arena;
        self.sockets
            .drain_with(link, IpHeader::default(), |polled, bytes| {
                match polled {
                    Polled::Opened => came.opened = true,
                    Polled::Closed => came.closed = true,
                    Polled::Datagram(_) | Polled::Nothing(_) => {}
                    Polled::Data(_) => {
                        // Shorter together than the datagram that they were in.
                        let range = end..end + bytes.len();
                        let room = arena
                            .slot_mut(index)
                            .and_then(|slot| slot.buf.get_mut(range.clone()));
                        if let (Some(room), Some(message)) = (room, came.messages.get_mut(count)) {
                            room.copy_from_slice(bytes);
                            (end, *message) = (range.end, range);
                            count += 1;
                        }
                    }
                }
            })?;
        Ok(came)
    }
}

impl Sockets {
    /// Seals a message for a client and queues it; what cannot be sealed is lost, as datagrams are.
    pub(super) fn seal(&mut self, path: &Path, header: IpHeader, message: &[u8]) {
        let association = self.associations.at_mut(path.link);
        let sent = association.map_or(Ok(false), |association| association.send(message));
        let drained = sent.and_then(|sent| {
            if sent {
                self.drain(path.link, header)?;
            } else {
                self.counters.undeliverable += 1;
            }
            Ok(())
        });
        if drained.is_err() {
            self.counters.undeliverable += 1;
            self.broken_associations.push(path.link);
        }
    }

    /// Queues all datagrams that an association has for its client.
    fn drain(&mut self, link: LinkId, header: IpHeader) -> Result<(), Broken> {
        self.drain_with(link, header, |_, _| {})
    }

    /// The same, and tells of everything else that it has.
    fn drain_with(
        &mut self,
        link: LinkId,
        header: IpHeader,
        mut tell: impl FnMut(Polled, &[u8]),
    ) -> Result<(), Broken> {
        loop {
            match self.associations.poll(link)? {
                Polled::Nothing(_) => return Ok(()),
                Polled::Datagram(length) => self.queue_sealed(link, header, length),
                polled @ Polled::Data(length) => tell(polled, self.associations.bytes(length)),
                polled => tell(polled, &[]),
            }
        }
    }

    fn queue_sealed(&mut self, link: LinkId, header: IpHeader, length: usize) {
        let Some(association) = self.associations.at_mut(link) else {
            return;
        };
        let (place, to) = (association.place, association.path.client);
        if let Some(listener) = self.listeners.get_mut(place as usize) {
            let (exit, bytes) = (Exit::Listener(place), self.associations.bytes(length));
            self.outbox
                .push_copy(&mut listener.pending, exit, to, header, bytes);
        }
    }

    /// Queues an answer to whoever has no association.
    fn queue_plain(&mut self, place: u32, to: SocketAddr, bytes: &[u8]) {
        if let Some(listener) = self.listeners.get_mut(place as usize) {
            let exit = Exit::Listener(place);
            self.outbox
                .push_answer(&mut listener.pending, exit, to, bytes);
        }
    }
}
