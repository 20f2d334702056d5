//! The relay sockets of one worker, by the state machine's numbers for them.

use std::{io, net::SocketAddr};

use mio::{Interest, Registry, net::UdpSocket};
use turn_proto::{BindFailure, RelayId, Reply};

use crate::{bind, outbox::Pending, source::Source};

/// A socket that peers send datagrams to.
pub(crate) struct RelaySocket {
    pub(crate) socket: UdpSocket,
    /// What is queued for its peers.
    pub(crate) pending: Pending,
    /// Whether it stands on the list of ready sources.
    pub(crate) ready: bool,
}

/// The table. The state machine numbers relays densely and uses freed numbers again, so a vector serves.
///
/// An event or a place on the ready list that was meant for an earlier holder of a number only makes the present one be
/// looked at in vain.
pub(crate) struct RelaySockets {
    places: Vec<Option<RelaySocket>>,
    buffer: usize,
}

impl RelaySockets {
    /// Makes an empty table whose sockets ask for `buffer` bytes each way.
    pub(crate) fn new(buffer: usize) -> Self {
        Self {
            places: Vec::new(),
            buffer,
        }
    }

    pub(crate) fn at_mut(&mut self, relay: RelayId) -> Option<&mut RelaySocket> {
        self.places.get_mut(relay.0 as usize)?.as_mut()
    }

    /// Binds a socket and tells the state machine's answer.
    pub(crate) fn bind(&mut self, registry: &Registry, relay: RelayId, local: SocketAddr) -> Reply {
        match self.open(registry, relay, local) {
            Ok(socket) => {
                let place = relay.0 as usize;
                if self.places.len() <= place {
                    self.places.resize_with(place + 1, || None);
                }
                self.places[place] = Some(socket);
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

    fn open(
        &self,
        registry: &Registry,
        relay: RelayId,
        local: SocketAddr,
    ) -> io::Result<RelaySocket> {
        let mut socket = UdpSocket::from_std(bind::bind_relay(local, self.buffer)?.into());
        registry.register(
            &mut socket,
            Source::Relay(relay).token(),
            Interest::READABLE,
        )?;
        Ok(RelaySocket {
            socket,
            pending: Pending::default(),
            ready: false,
        })
    }
}

fn cause_of(error: &io::Error) -> BindFailure {
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

    use super::RelaySockets;

    const RELAY: RelayId = RelayId(3);

    fn bind(table: &mut RelaySockets, local: SocketAddr) -> Reply {
        table.bind(Poll::new().unwrap().registry(), RELAY, local)
    }

    fn failed(cause: BindFailure) -> Reply {
        Reply::BindFailed {
            relay: RELAY,
            cause,
        }
    }

    #[test]
    fn a_bound_port_is_free_again_after_unbind() {
        let mut table = RelaySockets::new(0);
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
        let mut table = RelaySockets::new(0);
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
    fn numbers_never_bound_have_no_socket() {
        let mut table = RelaySockets::new(0);
        assert!(table.at_mut(RelayId(u32::MAX)).is_none());
        table.unbind(RelayId(u32::MAX));
    }
}
