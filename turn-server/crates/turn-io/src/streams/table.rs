//! All connections of one worker, by link.

use std::{collections::HashMap, time::Duration};

use foldhash::fast::RandomState;
use turn_proto::LinkId;

use super::{
    bytes::Stage,
    connection::Connection,
    idle::{Found, Idle},
    openings::Openings,
};
use crate::{Config, Tuning, source::LINKS};

/// The connections.
pub(crate) struct Streams {
    connections: HashMap<LinkId, Connection, RandomState>,
    idle: Idle,
    /// Headers that proxies owe, and handshakes, each from its beginning: who was silent for long has no less time, and none
    /// without an end.
    headers: Openings,
    shakes: Openings,
    /// Links below belong to listening datagram sockets.
    first: u32,
    next: u32,
    limit: usize,
    /// Connections with an allocation.
    holders: usize,
    max_strangers: usize,
    /// Handshakes under way.
    handshakes: usize,
    max_handshakes: usize,
}

impl Streams {
    /// Makes an empty table, with links from `first` on.
    pub(crate) fn new(first: u32, config: &Config) -> Self {
        Self {
            connections: HashMap::default(),
            idle: Idle::new(config.stream_patience),
            headers: Openings::new(config.handshake_patience),
            shakes: Openings::new(config.handshake_patience),
            first,
            next: first,
            limit: config.max_streams,
            holders: 0,
            max_strangers: config.max_strangers,
            handshakes: 0,
            max_handshakes: config.max_handshakes,
        }
    }

    /// Changes how long connections may take, those that are open included.
    pub(crate) fn tune(&mut self, now: Duration, tuning: Tuning) {
        self.idle.set_patience(now, tuning.stream_patience);
        self.headers.set_patience(now, tuning.handshake_patience);
        self.shakes.set_patience(now, tuning.handshake_patience);
    }

    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    /// A link for a new connection; `None` when there are as many as there may be.
    ///
    /// Links count upwards, so that none is used again while anybody may remember it.
    pub(crate) fn vacant(&mut self) -> Option<LinkId> {
        if self.connections.len() >= self.limit.min((LINKS - self.first) as usize) {
            return None;
        }
        loop {
            let link = LinkId(self.next);
            self.next = if self.next + 1 < LINKS {
                self.next + 1
            } else {
                self.first
            };
            if !self.connections.contains_key(&link) {
                return Some(link);
            }
        }
    }

    pub(crate) fn insert(&mut self, now: Duration, link: LinkId, connection: Connection) {
        self.idle.watch(now, link);
        if connection.stage() == Stage::Preface {
            self.headers.watch(now, link);
        }
        self.connections.insert(link, connection);
    }

    pub(crate) fn at_mut(&mut self, link: LinkId) -> Option<&mut Connection> {
        self.connections.get_mut(&link)
    }

    /// Remembers whether a connection has an allocation; tells whether there is such a connection.
    pub(crate) fn mark(&mut self, link: LinkId, allocated: bool) -> bool {
        let Some(connection) = self.connections.get_mut(&link) else {
            return false;
        };
        self.holders -= usize::from(connection.allocated);
        self.holders += usize::from(allocated);
        connection.allocated = allocated;
        connection.has_allocated |= allocated;
        true
    }

    /// Names the connection that is to be given up before one more comes, if there are too many: the oldest without an
    /// allocation. Whoever means to have one has it within some round trips, and whoever only holds a place keeps nobody out.
    pub(crate) fn crowded(&mut self, now: Duration) -> Option<LinkId> {
        let strangers = self.connections.len() - self.holders;
        if strangers < self.max_strangers && self.connections.len() < self.limit {
            return None;
        }
        let connections = &self.connections;
        (self.idle).oldest(now, |link| found(connections.get(&link)))
    }

    /// Closes a connection; dropping it closes the socket and takes it off the poller as well.
    pub(crate) fn remove(&mut self, link: LinkId) -> Option<Connection> {
        let connection = self.connections.remove(&link)?;
        self.holders -= usize::from(connection.allocated);
        if connection.stage() == Stage::Handshake {
            self.end_handshake();
        }
        Some(connection)
    }

    /// Counts a handshake that begins. Where there are more than there may be, names the oldest, which is to be given up: whoever
    /// means it is done within some round trips, and whoever only holds a place keeps nobody out.
    pub(crate) fn begin_handshake(&mut self, now: Duration, link: LinkId) -> Option<LinkId> {
        self.shakes.watch(now, link);
        self.handshakes += 1;
        if self.handshakes <= self.max_handshakes {
            return None;
        }
        let connections = &self.connections;
        let stage = |link| connections.get(&link).map(Connection::stage);
        (self.shakes).oldest(|link| stage(link) == Some(Stage::Handshake))
    }

    /// Counts one that is over.
    pub(crate) fn end_handshake(&mut self) {
        self.handshakes = self.handshakes.saturating_sub(1);
    }

    /// When [`Streams::overdue`] and [`Streams::slow_to_open`] are to be asked next.
    pub(crate) fn next_look(&self) -> Option<Duration> {
        let looks = [self.idle.next(), self.headers.next(), self.shakes.next()];
        looks.into_iter().flatten().min()
    }

    /// A connection that has begun to open and takes too long.
    pub(crate) fn slow_to_open(&mut self, now: Duration) -> Option<LinkId> {
        let connections = &self.connections;
        let is_at = |link, stage| {
            (connections.get(&link)).is_some_and(|connection| connection.stage() == stage)
        };
        let late = self
            .headers
            .overdue(now, |link| is_at(link, Stage::Preface));
        late.or_else(|| {
            self.shakes
                .overdue(now, |link| is_at(link, Stage::Handshake))
        })
    }

    /// A connection that has had no allocation for too long.
    pub(crate) fn overdue(&mut self, now: Duration) -> Option<LinkId> {
        let connections = &self.connections;
        (self.idle).overdue(now, |link| found(connections.get(&link)))
    }
}

fn found(connection: Option<&Connection>) -> Found {
    match connection {
        Some(connection) if connection.allocated => Found::Allocated,
        Some(_) => Found::Stranger,
        None => Found::Gone,
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener as StdListener, time::Duration};

    use mio::net::TcpStream;
    use turn_proto::{LinkId, Path, Transport};

    use super::{Connection, Streams};
    use crate::{Config, source::LINKS, streams::Entrance};

    fn connection(server: &StdListener, link: LinkId) -> Connection {
        let server = server.local_addr().unwrap();
        let socket = TcpStream::connect(server).unwrap();
        let path = Path {
            transport: Transport::Tcp,
            link,
            client: server,
            server,
        };
        Connection::new(socket, path, Entrance::PLAIN)
    }

    #[test]
    fn links_count_upwards_and_begin_again_without_those_in_use() {
        let server = StdListener::bind("127.0.0.1:0").unwrap();
        let mut streams = Streams::new(2, &Config::default());
        for expected in [2, 3] {
            let link = streams.vacant().unwrap();
            assert_eq!(link, LinkId(expected));
            streams.insert(Duration::ZERO, link, connection(&server, link));
        }
        assert!(streams.remove(LinkId(3)).is_some());
        assert_eq!(
            streams.vacant(),
            Some(LinkId(4)),
            "a link was used again at once"
        );
        streams.next = LINKS - 1;
        assert_eq!(streams.vacant(), Some(LinkId(LINKS - 1)));
        assert_eq!(streams.vacant(), Some(LinkId(3)));
    }
}
