//! What the state machine asks for, beyond the packets it answers directly.

use std::sync::mpsc::SyncSender;

use turn_proto::{Action, Event, LinkId, Path, RelayId, Secured, Transport};

use super::Worker;
use crate::mailbox::Mail;

impl Worker {
    /// Does what the state machine asks for, until it asks for nothing more. Called after every input.
    #[inline]
    pub(super) fn serve_actions(&mut self) {
        // Relaying asks for nothing, and is what is done most.
        if self.relay.wants_nothing() && self.replies.is_empty() {
            return;
        }
        self.serve_all_actions();
    }

    fn serve_all_actions(&mut self) {
        self.timers_moved = true;
        loop {
            while let Some(action) = self.relay.poll() {
                self.serve_action(action);
            }
            // An answer is an input, so it waits until the last input's actions are done.
            let Some(reply) = self.replies.pop_front() else {
                return;
            };
            self.relay.on_reply(self.now, reply);
        }
    }

    fn serve_action(&mut self, action: Action) {
        match action {
            Action::Send { path, bytes } => self.sockets.queue_answer(&path, &bytes),
            Action::Bind {
                relay,
                local,
                with_next,
            } => {
                let registry = self.poll.registry();
                let reply = (self.sockets.relays).bind(registry, relay, local, with_next);
                self.replies.push_back(reply);
            }
            Action::Release { claim } => {
                if let Some(local) = claim.address() {
                    self.sockets.relays.release(local);
                }
            }
            Action::Unbind { relay } => self.unbind(relay),
            Action::Listen { relay, local } => {
                let registry = self.poll.registry();
                let reply = (self.sockets.peer_listeners).listen(registry, relay, local);
                self.replies.push_back(reply);
            }
            Action::Connect {
                connection,
                local,
                peer,
                ..
            } => self.connect_peer(connection, local, peer),
            Action::Join {
                link,
                connection,
                worker,
            } => self.leave(link, connection, worker),
            Action::Disconnect { connection } => {
                self.sockets.data.remove(connection);
            }
            Action::Occupied { link, occupied } => self.occupy(link, occupied),
            Action::Post { worker, message } => {
                let from = self.number;
                self.mailboxes.post(worker, Mail::Message { from, message });
            }
            Action::HandOver {
                worker,
                relays,
                parcel,
            } => self.send_parcel(worker, &relays, parcel),
            Action::Serve { path, packet } => self.returned.push_back((path, packet)),
            Action::CloseLink { link } => {
                if !self.close_stream(link) {
                    self.close_association(link);
                }
            }
            Action::PassOn(passed) => self.pass_on(passed),
            Action::Event(event) => self.tell(event),
        }
    }

    fn unbind(&mut self, relay: RelayId) {
        // Packets that came before the end are sent before it.
        if self
            .sockets
            .relays
            .at_mut(relay)
            .is_some_and(|socket| socket.pending.is_some())
        {
            self.flush();
        }
        self.sockets.relays.unbind(relay);
        self.sockets.peer_listeners.close(relay);
    }

    fn tell(&mut self, mut event: Event) {
        if let Event::Started { path, secured, .. } | Event::Refreshed { path, secured, .. } =
            &mut event
        {
            *secured = self.secured(path);
        }
        match &event {
            Event::Started { path, .. } => self.mark(path, true),
            Event::Ended { path, .. } => self.mark(path, false),
            _ => {}
        }
        let told = self
            .events
            .as_ref()
            .is_none_or(|events: &SyncSender<Event>| events.try_send(event).is_ok());
        if !told {
            self.sockets.counters.events_dropped += 1;
        }
    }

    /// How a way to a client is secured, if it is.
    fn secured(&mut self, path: &Path) -> Option<Secured> {
        match path.transport {
            Transport::Tls => self.sockets.streams.at_mut(path.link)?.secured(),
            Transport::Dtls => self.sockets.associations.at_mut(path.link)?.secured(),
            Transport::Udp | Transport::Tcp => None,
        }
    }

    /// Remembers whether a connection has an allocation: without one it may hold little memory, and not for long.
    fn mark(&mut self, path: &Path, allocated: bool) {
        if path.transport.is_connection() {
            self.occupy(path.link, allocated);
        }
    }

    fn occupy(&mut self, link: LinkId, allocated: bool) {
        if self.sockets.streams.mark(link, allocated) {
            return;
        }
        if let Some(association) = self.sockets.associations.at_mut(link) {
            association.allocated = allocated;
        }
    }
}
