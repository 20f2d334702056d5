//! What is listened on, as the handle on the workers knows it: which addresses have which places.
//!
//! Not in here: how others are opened (`opening.rs`), and how a worker serves them (`worker/listening.rs`).

use std::{
    net::SocketAddr,
    sync::{Arc, Weak},
};

use mio::Registry;
use turn_proto::LinkId;

use crate::{
    Config, Endpoints, Listening, StartError,
    listener::{Open, Wanted},
    mailbox::Mailboxes,
    opening::Opening,
    worker::Command,
};

/// All that is listened on, and what it takes to listen on more.
pub(crate) struct Doors {
    pub(crate) config: Config,
    /// Of each worker's poller.
    pub(crate) registries: Vec<Registry>,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) table: Table,
}

/// All that is listened on.
#[derive(Clone, Default)]
pub(crate) struct Table {
    pub(crate) datagrams: Vec<Datagrams>,
    pub(crate) retired: Vec<Datagrams>,
    pub(crate) streams: Vec<Streams>,
}

/// An address for datagrams, on which each worker has a socket at the same place.
#[derive(Clone)]
pub(crate) struct Datagrams {
    /// As it was asked for: its port may be zero.
    pub(crate) asked: SocketAddr,
    pub(crate) listening: Listening,
    pub(crate) place: u32,
    pub(crate) wanted: Hold,
    pub(crate) open: Weak<Open>,
}

/// Who wants a datagram address.
#[derive(Clone)]
pub(crate) enum Hold {
    Operator(Arc<Wanted>),
    /// Those workers that have sessions there.
    Sessions(Weak<Wanted>),
}

/// An address for connections, on which each worker accepts at the same place.
#[derive(Clone)]
pub(crate) struct Streams {
    pub(crate) asked: SocketAddr,
    pub(crate) listening: Listening,
    pub(crate) place: u32,
}

impl Doors {
    /// Makes those of workers that listen on nothing yet.
    pub(crate) fn new(config: Config, registries: Vec<Registry>, mailboxes: Mailboxes) -> Self {
        Self {
            config,
            registries,
            mailboxes,
            table: Table::default(),
        }
    }

    /// Opens what is wanted and not there.
    ///
    /// # Errors
    /// When one of the addresses cannot be had; nothing is left behind then.
    pub(crate) fn open(&self, wanted: &Endpoints) -> Result<Opening, StartError> {
        Opening::new(self, wanted)
    }

    /// Lets the workers serve what has been opened, and nothing else.
    pub(crate) fn turn_to(&mut self, opening: Opening) {
        for (worker, changes) in (0..).zip(opening.changes) {
            for change in changes {
                self.mailboxes.tell(worker, Command::Listening(change));
            }
        }
        // What is wanted no more is dropped with the old one.
        self.table = opening.table;
    }
}

impl Table {
    /// What is listened on: datagrams first.
    pub(crate) fn listening(&self) -> Vec<Listening> {
        let datagrams = self.datagrams.iter().map(|held| held.listening);
        let streams = self.streams.iter().map(|held| held.listening);
        datagrams.chain(streams).collect()
    }

    /// What is not listened on any more and still has sessions, with its place.
    pub(crate) fn retired(&self) -> impl Iterator<Item = (Listening, LinkId)> {
        let alive = self.retired.iter().filter(|held| held.is_held());
        alive.map(|held| (held.listening, LinkId(held.place)))
    }

    /// What keeps the retired addresses open that have sessions: as long as it is held, none of them is given up.
    pub(crate) fn hold(&self) -> Vec<Arc<Wanted>> {
        let wanted = self.retired.iter().filter_map(|held| match &held.wanted {
            Hold::Operator(wanted) => Some(Arc::clone(wanted)),
            Hold::Sessions(wanted) => wanted.upgrade(),
        });
        wanted.collect()
    }

    /// Whether sockets are about to be closed that nobody wants any more.
    pub(crate) fn is_closing(&self) -> bool {
        let closing = |held: &Datagrams| !held.is_held() && held.open.strong_count() > 0;
        self.retired.iter().any(closing)
    }
}

impl Datagrams {
    /// Whether the operator or a session wants it.
    pub(crate) fn is_held(&self) -> bool {
        match &self.wanted {
            Hold::Operator(_) => true,
            Hold::Sessions(wanted) => wanted.strong_count() > 0,
        }
    }
}
