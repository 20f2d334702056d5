//! The relay sockets of one worker, by the state machine's numbers for them.

use std::{io, iter, net::SocketAddr, os::fd::AsFd};

use mio::{Interest, Registry, net::UdpSocket};
use socket2::Socket;
use turn_proto::{BindFailure, RelayId, Reply};
use udp_batch::{IpVersion, Outgoing, SendReport, Sender, Trains};

use crate::{
    bind::{self, RelayWish},
    kept_sockets::KeptSockets,
    outbox::Pending,
    source::Source,
};

/// A socket that peers send datagrams to.
pub(crate) struct RelaySocket {
    pub(crate) socket: UdpSocket,
    /// What is queued for its peers.
    pub(crate) pending: Pending,
    /// Whether it stands on the list of ready sources.
    pub(crate) ready: bool,
    /// Whether packets leave it in trains.
    pub(crate) trains: Trains,
    /// How the socket is set: whether its datagrams may be fragmented.
    pub(crate) may_fragment: bool,
    /// Whether other workers send through it too, so that what it is set to is not this worker's to say.
    is_common: bool,
    version: IpVersion,
}

impl RelaySocket {
    /// Sends packets of which some must not be fragmented, each told by its mark. Linux knows that of sockets and not of
    /// packets, so the socket is set anew wherever the mark changes.
    pub(crate) fn send_marked<'a>(
        &mut self,
        sender: &mut Sender,
        packets: impl Iterator<Item = (bool, Outgoing<'a>)>,
    ) -> SendReport {
        let mut packets = packets.peekable();
        let mut total = SendReport::default();
        while let Some((mark, _)) = packets.peek() {
            let dont_fragment = *mark;
            let set = self.set_may_fragment(!dont_fragment);
            let run = iter::from_fn(|| {
                let next = packets.next_if(|(mark, _)| *mark == dont_fragment);
                next.map(|(_, packet)| packet)
            });
            if set {
                total += sender.send_trains(self.socket.as_fd(), &mut self.trains, run);
            } else {
                // RFC 8656 §11.2: what cannot be sent unfragmented is not sent.
                total.failed += run.count();
            }
        }
        total
    }

    fn set_may_fragment(&mut self, may: bool) -> bool {
        if self.may_fragment != may && !self.is_common {
            let set = udp_batch::may_fragment(self.socket.as_fd(), self.version, may);
            self.may_fragment = if set.is_ok() { may } else { self.may_fragment };
        }
        self.may_fragment == may
    }
}

/// A socket that allocations of all workers share: everybody sends through it, its owner also reads it.
pub(crate) struct SharedSocket(RelaySocket);

impl SharedSocket {
    /// One worker's end of the shared socket at a place.
    pub(crate) fn new(
        registry: &Registry,
        place: usize,
        (socket, local): (&Socket, SocketAddr),
        owned: bool,
        is_common: bool,
    ) -> io::Result<Self> {
        let mut socket = UdpSocket::from_std(socket.try_clone()?.into());
        if owned {
            let relay = RelayId::shared(u32::try_from(place).unwrap_or(u32::MAX));
            let token = Source::Relay(relay).token();
            registry.register(&mut socket, token, Interest::READABLE)?;
        }
        Ok(Self(RelaySocket {
            socket,
            pending: Pending::default(),
            ready: false,
            trains: Trains::default(),
            may_fragment: true,
            is_common,
            version: bind::version(local),
        }))
    }
}

/// The table. The state machine numbers relays densely and uses freed numbers again, so a vector serves.
///
/// An event or a place on the ready list that was meant for an earlier holder of a number only makes the present one be
/// looked at in vain.
pub(crate) struct RelaySockets {
    places: Vec<Option<RelaySocket>>,
    shared: Vec<SharedSocket>,
    kept: KeptSockets,
    wish: RelayWish,
}

impl RelaySockets {
    /// Makes a table of the shared sockets alone; others are opened with this wish.
    pub(crate) fn new(kept: KeptSockets, shared: Vec<SharedSocket>, wish: RelayWish) -> Self {
        Self {
            places: Vec::new(),
            shared,
            kept,
            wish,
        }
    }

    pub(crate) fn at_mut(&mut self, relay: RelayId) -> Option<&mut RelaySocket> {
        match relay.place_if_shared() {
            None => self.places.get_mut(relay.0 as usize)?.as_mut(),
            Some(place) => Some(&mut self.shared.get_mut(place as usize)?.0),
        }
    }

    /// Binds a socket, or both of a pair, and tells the state machine's answer.
    pub(crate) fn bind(
        &mut self,
        registry: &Registry,
        relay: RelayId,
        local: SocketAddr,
        with_next: bool,
    ) -> Reply {
        let next = with_next.then(|| self.bind_next(local)).transpose();
        let opened = next.and_then(|next| Ok((self.open(registry, relay, local)?, next)));
        let opened = opened.map(|(socket, next)| {
            if let Some((address, next)) = next {
                self.kept.keep(address, next);
            }
            socket
        });
        match opened {
            Ok(socket) => {
                self.keep(relay, socket);
                Reply::Bound { relay }
            }
            Err(error) => Reply::BindFailed {
                relay,
                cause: cause_of(&error),
            },
        }
    }

    /// Closes a socket; closing it takes it off the poller as well.
    pub(crate) fn unbind(&mut self, relay: RelayId) {
        if let Some(place) = self.places.get_mut(relay.0 as usize) {
            *place = None;
        }
    }

    /// Takes a socket off this worker, for another one.
    pub(crate) fn take(&mut self, registry: &Registry, relay: RelayId) -> Option<RelaySocket> {
        let mut socket = self.places.get_mut(relay.0 as usize)?.take()?;
        // One that stays registered here wakes this worker in vain.
        let _ = registry.deregister(&mut socket.socket);
        (socket.pending, socket.ready) = (Pending::default(), false);
        Some(socket)
    }

    /// Takes over a socket of another worker.
    pub(crate) fn put(
        &mut self,
        registry: &Registry,
        relay: RelayId,
        mut socket: RelaySocket,
    ) -> io::Result<()> {
        let token = Source::Relay(relay).token();
        let registered = registry.register(&mut socket.socket, token, Interest::READABLE);
        self.keep(relay, socket);
        registered
    }

    fn keep(&mut self, relay: RelayId, socket: RelaySocket) {
        let place = relay.0 as usize;
        if self.places.len() <= place {
            self.places.resize_with(place + 1, || None);
        }
        if let Some(free) = self.places.get_mut(place) {
            *free = Some(socket);
        }
    }

    /// Closes a socket that nobody has taken up.
    pub(crate) fn release(&self, local: SocketAddr) {
        drop(self.kept.take(local));
    }

    fn bind_next(&self, local: SocketAddr) -> io::Result<(SocketAddr, Socket)> {
        let port = local.port().checked_add(1);
        let next = SocketAddr::new(local.ip(), port.ok_or(io::ErrorKind::AddrInUse)?);
        Ok((next, bind::bind_relay(next, self.wish)?))
    }

    fn open(
        &self,
        registry: &Registry,
        relay: RelayId,
        local: SocketAddr,
    ) -> io::Result<RelaySocket> {
        let socket = match self.kept.take(local) {
            Some(kept) => kept,
            None => bind::bind_relay(local, self.wish)?,
        };
        let mut socket = UdpSocket::from_std(socket.into());
        registry.register(
            &mut socket,
            Source::Relay(relay).token(),
            Interest::READABLE,
        )?;
        Ok(RelaySocket {
            socket,
            pending: Pending::default(),
            ready: false,
            trains: Trains::default(),
            may_fragment: true,
            is_common: false,
            version: bind::version(local),
        })
    }
}

pub(crate) fn cause_of(error: &io::Error) -> BindFailure {
    match error.kind() {
        io::ErrorKind::AddrInUse => BindFailure::InUse,
        io::ErrorKind::AddrNotAvailable => BindFailure::NotLocal,
        _ => BindFailure::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, UdpSocket};

    use mio::Poll;
    use turn_proto::{BindFailure, RelayId, Reply};

    use super::{KeptSockets, RelaySockets, RelayWish};

    const RELAY: RelayId = RelayId(3);

    fn bind(table: &mut RelaySockets, local: SocketAddr) -> Reply {
        table.bind(Poll::new().unwrap().registry(), RELAY, local, false)
    }

    fn failed(cause: BindFailure) -> Reply {
        Reply::BindFailed {
            relay: RELAY,
            cause,
        }
    }

    #[test]
    fn a_bound_port_is_free_again_after_unbind() {
        let mut table = RelaySockets::new(KeptSockets::default(), Vec::new(), RelayWish::default());
        assert_eq!(
            bind(&mut table, "127.0.0.1:0".parse().unwrap()),
            Reply::Bound { relay: RELAY }
        );
        let local = table.at_mut(RELAY).unwrap().socket.local_addr().unwrap();
        assert!(UdpSocket::bind(local).is_err());
        table.unbind(RELAY);
        assert!(table.at_mut(RELAY).is_none());
        assert!(UdpSocket::bind(local).is_ok());
    }

    #[test]
    fn a_taken_port_a_foreign_address_and_a_forbidden_one_are_told_apart() {
        let mut table = RelaySockets::new(KeptSockets::default(), Vec::new(), RelayWish::default());
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(
            bind(&mut table, taken.local_addr().unwrap()),
            failed(BindFailure::InUse)
        );
        assert_eq!(
            bind(&mut table, "192.0.2.1:0".parse().unwrap()),
            failed(BindFailure::NotLocal)
        );
        // A link-local address without a scope cannot be bound at all.
        assert_eq!(
            bind(&mut table, "[fe80::1]:0".parse().unwrap()),
            failed(BindFailure::Other)
        );
        assert!(table.at_mut(RELAY).is_none());
    }

    #[test]
    fn the_upper_half_of_a_pair_is_kept_until_any_worker_takes_it_up_or_releases_it() {
        let kept = KeptSockets::default();
        let (mut first, mut second) = (
            RelaySockets::new(kept.clone(), Vec::new(), RelayWish::default()),
            RelaySockets::new(kept, Vec::new(), RelayWish::default()),
        );
        let poll = Poll::new().unwrap();
        // An address unlike that of other tests, so that a port that should be free is.
        let [even, odd] = [40_000, 40_001].map(|port| SocketAddr::from(([127, 0, 78, 2], port)));
        let bound = Reply::Bound { relay: RELAY };
        assert_eq!(first.bind(poll.registry(), RELAY, even, true), bound);
        assert!(UdpSocket::bind(odd).is_err(), "another program takes it");
        assert_eq!(second.bind(poll.registry(), RELAY, odd, false), bound);
        second.unbind(RELAY);
        first.unbind(RELAY);
        assert_eq!(first.bind(poll.registry(), RELAY, even, true), bound);
        second.release(odd);
        let taken = UdpSocket::bind(odd).unwrap();
        first.unbind(RELAY);
        let in_use = failed(BindFailure::InUse);
        assert_eq!(first.bind(poll.registry(), RELAY, even, true), in_use);
        assert!(UdpSocket::bind(even).is_ok(), "half a pair stays bound");
        drop(taken);
        let last = SocketAddr::from(([127, 0, 78, 2], 65_535));
        assert_eq!(first.bind(poll.registry(), RELAY, last, true), in_use);
    }

    #[test]
    fn numbers_never_bound_have_no_socket() {
        let mut table = RelaySockets::new(KeptSockets::default(), Vec::new(), RelayWish::default());
        assert!(table.at_mut(RelayId(u32::MAX)).is_none());
        table.unbind(RelayId(u32::MAX));
    }
}
