//! One listening datagram socket of one worker.

use std::{io, net::SocketAddr};

use mio::{Interest, Registry, net::UdpSocket};
use turn_proto::{LinkId, Path, Transport};
use udp_batch::Trains;

use crate::{outbox::Pending, source::Source};

/// A socket that clients send datagrams to.
pub(crate) struct Listener {
    pub(crate) socket: UdpSocket,
    /// What is queued for its clients.
    pub(crate) pending: Pending,
    /// Whether it stands on the list of ready sources.
    pub(crate) ready: bool,
    /// Whether packets leave it in trains.
    pub(crate) trains: Trains,
    link: LinkId,
    address: SocketAddr,
}

impl Listener {
    /// Begins to wait for datagrams; the socket's place is its link's number as well.
    pub(crate) fn new(registry: &Registry, place: u32, mut socket: UdpSocket) -> io::Result<Self> {
        let address = socket.local_addr()?;
        registry.register(
            &mut socket,
            Source::Listener(place).token(),
            Interest::READABLE,
        )?;
        Ok(Self {
            socket,
            pending: Pending::default(),
            ready: false,
            trains: Trains::default(),
            link: LinkId(place),
            address,
        })
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
}
