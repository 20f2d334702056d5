//! What a listener's lock guards: the state machine and the conns that it has names for. No `await` in here.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use tokio::task::AbortHandle;
use turn::allocation::AllocationInfo;
use turn_proto::{
    Action, Event, Now, Path, Relay, RelayId, Reply, SessionId, SessionRecord, Traffic,
};
use webrtc_util::Conn;

use super::places::Place;

/// A conn of the program's.
pub(super) type SharedConn = Arc<dyn Conn + Send + Sync>;

pub(super) struct Core {
    pub(super) relay: Relay,
    /// By relay, whose numbers are small.
    sockets: Vec<Option<Socket>>,
    /// Conns kept for reservations, by the name that the state machine has for their place.
    kept: HashMap<SocketAddr, Place>,
    /// What clients were told, for the news of their end.
    relayed: HashMap<SessionId, SocketAddr>,
    tickets: u64,
    /// When the task of time-outs will wake up.
    pub(super) armed: Option<Duration>,
    pub(super) closed: bool,
}

/// The conn of one relay. The ticket tells it from an earlier one of the same name.
struct Socket {
    ticket: u64,
    bound: Option<Bound>,
}

struct Bound {
    conn: SharedConn,
    reader: AbortHandle,
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// What is to be done once the lock is open.
pub(super) enum Job {
    Send { to: SocketAddr, bytes: Vec<u8> },
    Bind(Bind),
    Attach { bind: Bind, place: Place },
    Close(SharedConn),
    Tell(AllocationInfo),
}

/// A relay that wants a conn.
pub(super) struct Bind {
    pub(super) ticket: u64,
    pub(super) relay: RelayId,
    /// The state machine's name for the place: its family, and which reservation it is.
    pub(super) name: SocketAddr,
    pub(super) with_next: bool,
}

impl Core {
    pub(super) fn new(relay: Relay) -> Self {
        Self {
            relay,
            sockets: Vec::new(),
            kept: HashMap::new(),
            relayed: HashMap::new(),
            tickets: 0,
            armed: None,
            closed: false,
        }
    }

    /// Takes what the state machine asks for; called after every input. Without anything asked for, nothing is allocated.
    pub(super) fn jobs(&mut self) -> Vec<Job> {
        let mut jobs = Vec::new();
        while let Some(action) = self.relay.poll() {
            jobs.extend(self.job(action));
        }
        jobs
    }

    /// Feeds an answer to the state machine and takes what it asks for then.
    pub(super) fn reply(&mut self, now: Now, reply: Reply) -> Vec<Job> {
        self.relay.on_reply(now, reply);
        self.jobs()
    }

    fn job(&mut self, action: Action) -> Option<Job> {
        match action {
            Action::Send { path, bytes } => Some(Job::Send {
                to: path.client,
                bytes,
            }),
            Action::Bind {
                relay,
                local: name,
                with_next,
            } => Some(self.bind(relay, name, with_next)),
            Action::Release { claim } => {
                let place = claim.address().and_then(|name| self.kept.remove(&name))?;
                Some(Job::Close(place.conn))
            }
            Action::Unbind { relay } => {
                let socket = self.sockets.get_mut(relay.0 as usize)?.take()?;
                Some(Job::Close(Arc::clone(&socket.bound.as_ref()?.conn)))
            }
            // There is one worker, and mobility is off.
            Action::Occupied { .. }
            | Action::Post { .. }
            | Action::HandOver { .. }
            | Action::Serve { .. } => None,
            // Conns are no streams, and only those have relays over TCP (RFC 6062 §4.1). Each relay has a Conn of its own.
            Action::PassOn(_)
            | Action::CloseLink { .. }
            | Action::Listen { .. }
            | Action::Connect { .. }
            | Action::Join { .. }
            | Action::Disconnect { .. } => None,
            Action::Event(event) => self.event(event),
        }
    }

    fn bind(&mut self, relay: RelayId, name: SocketAddr, with_next: bool) -> Job {
        self.tickets += 1;
        let ticket = self.tickets;
        let index = relay.0 as usize;
        if self.sockets.len() <= index {
            self.sockets.resize_with(index + 1, || None);
        }
        if let Some(slot) = self.sockets.get_mut(index) {
            *slot = Some(Socket {
                ticket,
                bound: None,
            });
        }
        let bind = Bind {
            ticket,
            relay,
            name,
            with_next,
        };
        match self.kept.remove(&name) {
            Some(place) => Job::Attach { bind, place },
            None => Job::Bind(bind),
        }
    }

    fn event(&mut self, event: Event) -> Option<Job> {
        match event {
            Event::Started {
                session,
                path,
                user,
                relayed,
                ..
            } => {
                tracing::debug!(%session, client = %path.client, %user, %relayed, "allocation made");
                self.relayed.insert(session, relayed);
                None
            }
            Event::Ended {
                session,
                path,
                user,
                reason,
                traffic,
            } => {
                tracing::debug!(%session, client = %path.client, %user, %reason, "allocation ended");
                let relayed = self.relayed.remove(&session)?;
                Some(Job::Tell(info(&path, &user, relayed, &traffic)))
            }
            _ => None,
        }
    }

    /// Tells whether a relay still waits for this conn; none does once everything has ended.
    pub(super) fn waits(&self, bind: &Bind) -> bool {
        self.is_current(bind.relay, bind.ticket)
    }

    /// Gives a waiting relay its conn, and the reader that serves it.
    pub(super) fn attach(&mut self, bind: &Bind, conn: SharedConn, reader: AbortHandle) {
        let socket = self.sockets.get_mut(bind.relay.0 as usize);
        if let Some(socket) = socket.and_then(Option::as_mut) {
            socket.bound = Some(Bound { conn, reader });
        }
    }

    /// Keeps a conn for a reservation; the one that it replaces, if there is one, is to be closed.
    pub(super) fn keep(&mut self, name: SocketAddr, place: Place) -> Option<Place> {
        self.kept.insert(name, place)
    }

    /// The conn of a relay, for packets to peers.
    pub(super) fn conn(&self, relay: RelayId) -> Option<SharedConn> {
        let bound = self.socket(relay)?.bound.as_ref()?;
        Some(Arc::clone(&bound.conn))
    }

    /// Tells whether a reader still serves the relay that it was made for.
    pub(super) fn is_current(&self, relay: RelayId, ticket: u64) -> bool {
        self.socket(relay).is_some_and(|held| held.ticket == ticket)
    }

    fn socket(&self, relay: RelayId) -> Option<&Socket> {
        self.sockets.get(relay.0 as usize)?.as_ref()
    }

    /// What is known of all allocations.
    pub(super) fn infos(&self, now: Now) -> Vec<AllocationInfo> {
        let records = self.relay.export(now);
        records.iter().filter_map(info_of).collect()
    }

    /// Ends everything: what is left to close, and the news of what has ended.
    pub(super) fn shut(&mut self, now: Now) -> (Vec<SharedConn>, Vec<AllocationInfo>) {
        self.closed = true;
        let infos = self.infos(now);
        let bound = self.sockets.drain(..).flatten();
        let bound = bound.filter_map(|socket| Some(Arc::clone(&socket.bound.as_ref()?.conn)));
        let kept = self.kept.drain().map(|(_, place)| place.conn);
        (bound.chain(kept).collect(), infos)
    }
}

/// The crate's words for an allocation that lives. It knows one relay address of each, so of two it is the first.
pub(crate) fn info_of(held: &SessionRecord) -> Option<AllocationInfo> {
    let told = held.relays.first()?.told;
    Some(info(&held.path, &held.username, told, &held.traffic))
}

/// The crate's words for one allocation. Its count of bytes is that of payloads from the client to peers, as in the crate.
fn info(path: &Path, username: &str, relayed: SocketAddr, traffic: &Traffic) -> AllocationInfo {
    let five_tuple = turn::allocation::five_tuple::FiveTuple {
        protocol: if path.transport.is_stream() {
            turn::proto::PROTO_TCP
        } else {
            turn::proto::PROTO_UDP
        },
        src_addr: path.client,
        dst_addr: path.server,
    };
    let bytes = usize::try_from(traffic.peer_sent_bytes).unwrap_or(usize::MAX);
    AllocationInfo::new(five_tuple, username.to_owned(), relayed, bytes)
}
