//! All connections of one worker, by link.

use std::{collections::HashMap, time::Duration};

use foldhash::fast::RandomState;
use turn_proto::LinkId;

use super::{
    connection::Connection,
    idle::{Found, Idle},
};
use crate::source::LINKS;

/// The connections.
pub(crate) struct Streams {
    connections: HashMap<LinkId, Connection, RandomState>,
    idle: Idle,
    /// Links below belong to listening sockets.
    first: u32,
    next: u32,
    limit: usize,
}

impl Streams {
    /// Makes an empty table for up to `limit` connections, with links from `first` on.
    pub(crate) fn new(first: u32, limit: usize) -> Self {
        Self {
            connections: HashMap::default(),
            idle: Idle::default(),
            first,
            next: first,
            limit,
        }
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
        self.connections.insert(link, connection);
    }

    pub(crate) fn at_mut(&mut self, link: LinkId) -> Option<&mut Connection> {
        self.connections.get_mut(&link)
    }

    /// Closes a connection; dropping it closes the socket and takes it off the poller as well.
    pub(crate) fn remove(&mut self, link: LinkId) -> Option<Connection> {
        self.connections.remove(&link)
    }

    /// When [`Streams::overdue`] is to be asked next.
    pub(crate) fn next_look(&self) -> Option<Duration> {
        self.idle.next()
    }

    /// A connection that has had no allocation for too long.
    pub(crate) fn overdue(&mut self, now: Duration) -> Option<LinkId> {
        let connections = &self.connections;
        self.idle.overdue(now, |link| match connections.get(&link) {
            Some(connection) if connection.allocated => Found::Allocated,
            Some(_) => Found::Stranger,
            None => Found::Gone,
        })
    }
}
