//! The listening sockets of TCP allocations (RFC 6062 §5.1), by the state machine's numbers for relays.

use std::{collections::HashMap, io, net::SocketAddr};

use foldhash::fast::RandomState;
use mio::{Interest, Registry, net::TcpListener};
use turn_proto::{RelayId, Reply};

use crate::{Device, bind, relay_sockets::cause_of, source::Source};

/// A socket that peers connect to.
pub(crate) struct PeerListener {
    pub(crate) listener: TcpListener,
    /// Whether it stands on the list of ready sources.
    pub(crate) ready: bool,
}

/// The table.
pub(crate) struct PeerListeners {
    listeners: HashMap<RelayId, PeerListener, RandomState>,
    /// The interface that peers are behind.
    pub(crate) device: Device,
}

impl PeerListeners {
    pub(crate) fn new(device: Device) -> Self {
        Self {
            listeners: HashMap::default(),
            device,
        }
    }

    pub(crate) fn at_mut(&mut self, relay: RelayId) -> Option<&mut PeerListener> {
        self.listeners.get_mut(&relay)
    }

    /// The relays that listen.
    pub(crate) fn relays(&self) -> Vec<RelayId> {
        self.listeners.keys().copied().collect()
    }

    /// Begins to listen and tells the state machine's answer.
    pub(crate) fn listen(
        &mut self,
        registry: &Registry,
        relay: RelayId,
        local: SocketAddr,
    ) -> Reply {
        match open(registry, relay, local, self.device) {
            Ok(listener) => {
                self.listeners.insert(relay, listener);
                Reply::Bound { relay }
            }
            Err(error) => Reply::BindFailed {
                relay,
                cause: cause_of(&error),
            },
        }
    }

    /// Stops listening; closing the socket takes it off the poller as well.
    pub(crate) fn close(&mut self, relay: RelayId) {
        self.listeners.remove(&relay);
    }
}

fn open(
    registry: &Registry,
    relay: RelayId,
    local: SocketAddr,
    device: Device,
) -> io::Result<PeerListener> {
    let mut listener = TcpListener::from_std(bind::listen_for_peers(local, device)?.into());
    let token = Source::PeerListener(relay).token();
    registry.register(&mut listener, token, Interest::READABLE)?;
    Ok(PeerListener {
        listener,
        ready: false,
    })
}
