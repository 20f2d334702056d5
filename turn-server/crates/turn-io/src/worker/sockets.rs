//! All sockets of one worker: which of them are ready, and what is queued for each.
//!
//! Not in here: reading and writing them, and the state machine.

use std::{collections::VecDeque, net::SocketAddr, ops::Range};

use mio::net::TcpListener;
use turn_proto::{LinkId, Output, Path, RelayId, ToClient, Transport};
use udp_batch::Arena;

use crate::{
    Counters,
    data::{DataConnections, PeerListeners},
    dtls::Associations,
    listener::Listener,
    outbox::{Exit, IpHeader, Outbox, Pending},
    relay_sockets::RelaySockets,
    source::Source,
    streams::Streams,
};

/// A listening stream socket.
pub(crate) struct Acceptor {
    pub(crate) listener: TcpListener,
    /// Whether only proxies connect here.
    pub(crate) behind_proxy: bool,
    /// Whether it stands on the list of ready sources.
    pub(crate) ready: bool,
}

/// The sockets and what is queued for them.
pub(super) struct Sockets {
    pub(super) listeners: Vec<Listener>,
    /// By place; what is shut leaves its place empty.
    pub(super) acceptors: Vec<Option<Acceptor>>,
    pub(super) relays: RelaySockets,
    pub(super) streams: Streams,
    pub(super) associations: Associations,
    /// Associations that the engine gave up while a message was sealed: to be told of when nothing else is under way.
    pub(super) broken_associations: Vec<LinkId>,
    pub(super) peer_listeners: PeerListeners,
    pub(super) data: DataConnections,
    pub(super) outbox: Outbox,
    pub(super) counters: Counters,
    /// Sources that may have more to read, each at most once.
    ready: VecDeque<Source>,
}

impl Sockets {
    pub(super) fn new(
        relays: RelaySockets,
        (streams, associations): (Streams, Associations),
        (data, peer_listeners): (DataConnections, PeerListeners),
    ) -> Self {
        Self {
            listeners: Vec::new(),
            acceptors: Vec::new(),
            relays,
            streams,
            associations,
            broken_associations: Vec::new(),
            peer_listeners,
            data,
            outbox: Outbox::default(),
            counters: Counters::default(),
            ready: VecDeque::new(),
        }
    }

    /// How many sources stand on the list of ready ones.
    pub(super) fn ready_count(&self) -> usize {
        self.ready.len()
    }

    /// Puts a source at the end of the list of ready ones, unless it stands there already or is gone.
    pub(super) fn enlist(&mut self, source: Source) {
        if let Some(ready) = self.ready_flag(source).filter(|ready| !**ready) {
            *ready = true;
            self.ready.push_back(source);
        }
    }

    /// Takes a source off the list of ready ones.
    pub(super) fn strike(&mut self, source: Source) {
        if let Some(ready) = self.ready_flag(source) {
            *ready = false;
        }
        self.ready.retain(|listed| *listed != source);
    }

    /// Takes the source that has been ready for longest.
    pub(super) fn next_ready(&mut self) -> Option<Source> {
        let source = self.ready.pop_front()?;
        if let Some(ready) = self.ready_flag(source) {
            *ready = false;
        }
        Some(source)
    }

    /// Queues what a client's packet led to. The packet lies in `slot`, from `start` on, and came with this traffic class.
    pub(super) fn queue_output(
        &mut self,
        output: Output<'_>,
        path: &Path,
        (slot, start): (usize, usize),
        traffic_class: u8,
    ) {
        match output {
            // Workers never ask: their credentials are all that there are.
            Output::Nothing | Output::NeedsKey { .. } => {}
            Output::Reply(bytes) => self.queue_answer(path, bytes),
            Output::ToPeer {
                relay,
                to,
                range,
                dont_fragment,
            } => {
                let header = IpHeader {
                    traffic_class,
                    dont_fragment,
                };
                let range = start + range.start..start + range.end;
                self.queue_to_peer(relay, to, header, (slot, range));
            }
        }
    }

    /// Queues an answer to a client.
    pub(super) fn queue_answer(&mut self, path: &Path, bytes: &[u8]) {
        if path.transport == Transport::Dtls {
            return self.seal(path, IpHeader::default(), bytes);
        }
        match towards_client(&mut self.listeners, &mut self.streams, path) {
            Some((pending, exit)) => self.outbox.push_answer(pending, exit, path.client, bytes),
            None => self.counters.undeliverable += 1,
        }
    }

    /// Queues a peer's data for a client; the message lies in `slot`, and came with this traffic class.
    pub(super) fn queue_to_client(
        &mut self,
        message: ToClient,
        (arena, slot): (&Arena, usize),
        traffic_class: u8,
    ) {
        let ToClient { path, range } = message;
        let header = IpHeader {
            traffic_class,
            dont_fragment: false,
        };
        if path.transport == Transport::Dtls {
            return match arena.bytes(slot, range) {
                Some(message) => self.seal(&path, header, message),
                None => self.counters.undeliverable += 1,
            };
        }
        match towards_client(&mut self.listeners, &mut self.streams, &path) {
            Some((pending, exit)) => {
                self.outbox
                    .push_slot(pending, exit, path.client, header, (slot, range))
            }
            None => self.counters.undeliverable += 1,
        }
    }

    fn queue_to_peer(
        &mut self,
        relay: RelayId,
        to: SocketAddr,
        header: IpHeader,
        place: (usize, Range<usize>),
    ) {
        match self.relays.at_mut(relay) {
            Some(socket) => {
                let exit = Exit::Relay(relay);
                self.outbox
                    .push_slot(&mut socket.pending, exit, to, header, place)
            }
            None => self.counters.undeliverable += 1,
        }
    }

    fn ready_flag(&mut self, source: Source) -> Option<&mut bool> {
        Some(match source {
            Source::Waker => return None,
            Source::Listener(place) => &mut self.listeners.get_mut(place as usize)?.ready,
            Source::Retired(place) => &mut self.listeners.get_mut(place as usize)?.ready,
            Source::Acceptor(place) => &mut self.acceptors.get_mut(place as usize)?.as_mut()?.ready,
            Source::Relay(relay) => &mut self.relays.at_mut(relay)?.ready,
            Source::Stream(link) => &mut self.streams.at_mut(link)?.ready,
            Source::PeerListener(relay) => &mut self.peer_listeners.at_mut(relay)?.ready,
            Source::Data(place, _) => &mut self.data.at_mut(place)?.ready,
        })
    }
}

/// The socket that leads to a client without an association, if it is still open.
fn towards_client<'a>(
    listeners: &'a mut [Listener],
    streams: &'a mut Streams,
    path: &Path,
) -> Option<(&'a mut Pending, Exit)> {
    if path.transport.is_stream() {
        Some((
            &mut streams.at_mut(path.link)?.pending,
            Exit::Stream(path.link),
        ))
    } else {
        Some((
            &mut listeners.get_mut(path.link.0 as usize)?.pending,
            Exit::Listener(path.link.0),
        ))
    }
}
