//! All connections with peers of one worker, by place and by name.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    time::Duration,
};

use foldhash::fast::RandomState;
use mio::event::Event as Readiness;
use turn_proto::ConnectionId;

use super::connection::DataConnection;

/// How long one direction may be silent after the other has come to its end.
///
/// RFC 6062 §5.5 closes both halves when one is closed. An end alone does not tell a side that has closed from one that has
/// only finished sending, so whoever still answers is heard out.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// Which half of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    /// The socket of the peer.
    Peer,
    /// That of the client.
    Client,
}

/// The connections. Places are used again; who comes too late for a place only looks at its next holder in vain.
pub(crate) struct DataConnections {
    places: Vec<Option<DataConnection>>,
    free: Vec<u32>,
    names: HashMap<ConnectionId, u32, RandomState>,
    /// Connections with one direction at its end, soonest first.
    lingering: VecDeque<(Duration, ConnectionId)>,
    /// Connections that wait because of a limit, each at most once.
    resting: BinaryHeap<Reverse<(Duration, ConnectionId)>>,
    limit: usize,
}

impl DataConnections {
    /// Makes an empty table for up to `limit` connections.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            names: HashMap::default(),
            lingering: VecDeque::new(),
            resting: BinaryHeap::new(),
            limit,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.names.len() >= self.limit
    }

    /// The place that the next connection will get.
    pub(crate) fn next_place(&self) -> u32 {
        let end = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.free.last().copied().unwrap_or(end)
    }

    /// Stores a connection at [`DataConnections::next_place`].
    pub(crate) fn insert(&mut self, connection: DataConnection) {
        let place = self.next_place();
        self.names.insert(connection.id, place);
        if self.free.pop().is_none() {
            self.places.push(None);
        }
        if let Some(free) = self.places.get_mut(place as usize) {
            *free = Some(connection);
        }
    }

    pub(crate) fn at_mut(&mut self, place: u32) -> Option<&mut DataConnection> {
        self.places.get_mut(place as usize)?.as_mut()
    }

    pub(crate) fn place_of(&self, id: ConnectionId) -> Option<u32> {
        self.names.get(&id).copied()
    }

    /// Closes a connection; dropping it closes both sockets and takes them off the poller as well.
    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<DataConnection> {
        let place = self.names.remove(&id)?;
        let connection = self.places.get_mut(place as usize)?.take();
        self.free.push(place);
        connection
    }

    /// Notes what a half can do.
    pub(crate) fn note(&mut self, place: u32, half: Half, event: &Readiness) {
        if let Some(connection) = self.at_mut(place)
            && (event.is_readable() || event.is_read_closed() || event.is_error())
        {
            match half {
                Half::Peer => connection.to_client.readable = true,
                Half::Client => connection.to_peer.readable = true,
            }
        }
    }

    /// One direction of a connection has come to its end.
    pub(crate) fn linger(&mut self, now: Duration, id: ConnectionId) {
        self.lingering.push_back((now + LAST_WORDS, id));
    }

    /// A connection is to be looked at again at this time, when more of it may pass.
    pub(crate) fn rest(&mut self, id: ConnectionId, until: Duration) {
        let held = self.place_of(id).and_then(|place| self.at_mut(place));
        if let Some(connection) = held.filter(|held| held.rests_until.is_none()) {
            connection.rests_until = Some(until);
            self.resting.push(Reverse((until, id)));
        }
    }

    /// The place of a connection that has waited long enough.
    pub(crate) fn rested(&mut self, now: Duration) -> Option<u32> {
        while let Some(Reverse((at, id))) = self.resting.peek().copied() {
            if at > now {
                return None;
            }
            self.resting.pop();
            let Some(place) = self.place_of(id) else {
                continue;
            };
            // Names are used again: only the one that is waiting.
            if let Some(held) = self
                .at_mut(place)
                .filter(|held| held.rests_until == Some(at))
            {
                held.rests_until = None;
                return Some(place);
            }
        }
        None
    }

    /// When [`DataConnections::overdue`] and [`DataConnections::rested`] are to be asked next.
    pub(crate) fn next_look(&self) -> Option<Duration> {
        let lingering = self.lingering.front().map(|(at, _)| *at);
        let resting = self.resting.peek().map(|Reverse((at, _))| *at);
        lingering.into_iter().chain(resting).min()
    }

    /// A connection whose other direction has been silent for too long.
    pub(crate) fn overdue(&mut self, now: Duration) -> Option<ConnectionId> {
        while let Some((_, id)) = self.lingering.pop_front_if(|(at, _)| *at <= now) {
            let held = self.place_of(id).and_then(|place| self.at_mut(place));
            let Some(connection) = held else { continue };
            if connection.moved_at + LAST_WORDS <= now {
                return Some(id);
            }
            // Looked at again after a full turn, so that the queue stays in order: within twice the time.
            self.linger(now, id);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, time::Duration};

    use mio::net::TcpStream;
    use turn_proto::ConnectionId;

    use super::{DataConnection, DataConnections, LAST_WORDS};

    fn connection(server: &TcpListener, id: u32) -> DataConnection {
        let peer = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        DataConnection::new(ConnectionId(id), peer, false)
    }

    #[test]
    fn places_are_used_again_and_names_are_not_mixed_up() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut table = DataConnections::new(2);
        for id in [10, 11] {
            let place = table.next_place();
            table.insert(connection(&server, id));
            assert_eq!(table.place_of(ConnectionId(id)), Some(place));
        }
        assert!(table.is_full());
        assert!(table.remove(ConnectionId(10)).is_some());
        assert!(table.remove(ConnectionId(10)).is_none() && !table.is_full());
        table.insert(connection(&server, 12));
        assert_eq!(table.place_of(ConnectionId(12)), Some(0));
        assert_eq!(table.at_mut(1).unwrap().id, ConnectionId(11));
    }

    #[test]
    fn who_still_speaks_after_the_others_end_is_heard_out() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut table = DataConnections::new(2);
        let (speaker, silent) = (ConnectionId(1), ConnectionId(2));
        for id in [1, 2] {
            table.insert(connection(&server, id));
            table.linger(Duration::ZERO, ConnectionId(id));
        }
        table.at_mut(0).unwrap().moved_at = LAST_WORDS / 2;
        assert_eq!(table.next_look(), Some(LAST_WORDS));
        assert_eq!(table.overdue(LAST_WORDS), Some(silent));
        table.remove(silent);
        assert_eq!(table.overdue(LAST_WORDS), None);
        assert_eq!(table.overdue(LAST_WORDS * 2), Some(speaker));
        assert_eq!(table.next_look(), None);
    }

    #[test]
    fn who_waits_for_a_limit_is_looked_at_once_when_it_is_time() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut table = DataConnections::new(3);
        let second = Duration::from_secs;
        for (id, until) in [(1, 9), (2, 5), (3, 7)] {
            table.insert(connection(&server, id));
            table.rest(ConnectionId(id), second(until));
            table.rest(ConnectionId(id), second(until + 1));
        }
        table.remove(ConnectionId(3));
        assert_eq!(table.next_look(), Some(second(5)));
        assert_eq!(table.rested(second(4)), None);
        assert_eq!(table.rested(second(8)), Some(1));
        assert_eq!(table.rested(second(8)), None);
        table.rest(ConnectionId(2), second(12));
        assert_eq!(
            (table.rested(second(12)), table.rested(second(12))),
            (Some(0), Some(1))
        );
        assert_eq!((table.rested(second(99)), table.next_look()), (None, None));
    }
}
