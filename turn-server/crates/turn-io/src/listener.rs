//! One listening datagram socket of one worker.

use std::{net::SocketAddr, sync::Arc};

use mio::net::UdpSocket;
use turn_proto::{LinkId, Path, Transport};
use udp_batch::Trains;

use crate::{
    mailbox::Mailboxes,
    outbox::Pending,
    worker::{Change, Command},
};

/// A socket that clients send datagrams to.
pub(crate) struct Listener {
    /// `None` once it is closed; its place waits for another.
    pub(crate) socket: Option<UdpSocket>,
    /// What is queued for its clients.
    pub(crate) pending: Pending,
    /// Whether it stands on the list of ready sources.
    pub(crate) ready: bool,
    /// Whether packets leave it in trains.
    pub(crate) trains: Trains,
    /// Whether only those are heard who have a session on it.
    pub(crate) retired: bool,
    /// Given back when this worker has no use for it any more.
    pub(crate) wanted: Option<Arc<Wanted>>,
    /// Behind the socket, so that it is dropped after it.
    open: Option<Arc<Open>>,
    link: LinkId,
    address: SocketAddr,
}

/// What a worker's listeners on one address have in common: as long as one of these is left, one of the sockets is open.
#[derive(Debug)]
pub(crate) struct Open;

/// Says that an address is wanted: by the operator, or by a worker that has sessions on it.
///
/// The kernel deals clients to the sockets that are open, and anew when one of them is closed. So none is before all can be:
/// who drops the last of these tells every worker to close its own.
pub(crate) struct Wanted {
    place: u32,
    mailboxes: Mailboxes,
}

impl Wanted {
    /// By the operator, at first.
    pub(crate) fn new(place: u32, mailboxes: Mailboxes) -> Arc<Self> {
        Arc::new(Self { place, mailboxes })
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        let place = self.place;
        (self.mailboxes).tell_all(|| Command::Listening(Change::Close { place }));
    }
}

/// A socket on its way to the worker that is to serve it.
pub(crate) struct Arriving {
    pub(crate) place: u32,
    pub(crate) socket: UdpSocket,
    pub(crate) address: SocketAddr,
    pub(crate) wanted: Arc<Wanted>,
    pub(crate) open: Arc<Open>,
}

impl Listener {
    /// The socket's place is its link's number as well.
    pub(crate) fn new(arriving: Arriving) -> Self {
        Self {
            socket: Some(arriving.socket),
            pending: Pending::default(),
            ready: false,
            trains: Trains::default(),
            retired: false,
            wanted: Some(arriving.wanted),
            open: Some(arriving.open),
            link: LinkId(arriving.place),
            address: arriving.address,
        }
    }

    /// An empty place.
    pub(crate) fn closed() -> Self {
        Self {
            socket: None,
            pending: Pending::default(),
            ready: false,
            trains: Trains::default(),
            retired: true,
            wanted: None,
            open: None,
            link: LinkId(0),
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
        }
    }

    /// The way to a client that has sent a datagram here.
    pub(crate) fn path(&self, client: SocketAddr) -> Path {
        Path {
            transport: Transport::Udp,
            link: self.link,
            client,
            server: self.address,
        }
    }

    /// Closes the socket, which takes it off the poller as well.
    pub(crate) fn close(&mut self) {
        self.socket = None;
        self.open = None;
        self.wanted = None;
    }
}
