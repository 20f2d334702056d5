//! What each method means: one file per method, in the order of its RFC section.

mod allocate;
mod binding;
mod bound;
mod channel_bind;
mod channel_data;
mod classic;
mod connect;
mod connection_bind;
mod create_permission;
mod port;
mod refresh;
pub(crate) mod resume;
mod send;

use std::net::SocketAddr;

use turn_wire::{MessageView, Method, Request, attr};

use crate::{
    Now, Path, PeerAddr, auth::Requester, external, peers::Standing, reject::Reject, relay::Relay,
    relayed::Version, respond::Done, slab::Key,
};

/// A peer that may be reached.
pub(crate) struct Reachable {
    /// As the client names it.
    pub(crate) peer: PeerAddr,
    /// Where packets really go.
    pub(crate) to: PeerAddr,
    pub(crate) standing: Standing,
}

impl Relay {
    /// Hands an authenticated request to its handler.
    pub(crate) fn dispatch(
        &mut self,
        now: Now,
        path: &Path,
        view: &MessageView<'_>,
        requester: &Requester,
    ) -> Result<Done, Reject> {
        // RFC 8489 §6.3: after authentication and before anything else.
        let takes_tokens = self.config.credentials.tokens().is_some();
        let unknown = view.unknown_required();
        Reject::of_unknown(unknown.filter(|kind| *kind != attr::ACCESS_TOKEN || !takes_tokens))?;
        let request = Request::decode(view)?;
        match view.method() {
            Method::ALLOCATE => self.allocate(now, path, view, &request, requester),
            Method::REFRESH => self.refresh(now, path, view, &request, requester),
            Method::CREATE_PERMISSION => self.create_permission(now, &request, requester),
            Method::CHANNEL_BIND => self.channel_bind(now, &request, requester),
            Method::CONNECT => self.connect(now, view, &request, requester),
            Method::CONNECTION_BIND => self.connection_bind(path, &request, requester),
            _ => Err(Reject::BadRequest),
        }
    }

    /// The allocation that a request is about; without one it is a mismatch (RFC 8656 §5).
    pub(crate) fn own_allocation(&self, requester: &Requester) -> Result<Key, Reject> {
        let key = requester.allocation.ok_or(Reject::AllocationMismatch)?;
        let active = self
            .allocations
            .get(key)
            .is_some_and(|allocation| allocation.is_active());
        if active {
            Ok(key)
        } else {
            Err(Reject::AllocationMismatch)
        }
    }

    /// Decides whether an allocation may reach a peer (RFC 8656 §10.2, §12.2): the one way from an address as it was sent
    /// to a peer of an allocation, for every method.
    pub(crate) fn reachable(&self, key: Key, named: SocketAddr) -> Result<Reachable, Reject> {
        let allocation = self
            .allocations
            .get(key)
            .ok_or(Reject::AllocationMismatch)?;
        // Either address of a dual allocation reaches the peers of its family.
        let relayed = allocation.relays.of(Version::of(named.ip()));
        // An IPv4 address in IPv6 clothes cannot be reached from an IPv6 socket, and must not pass as another family.
        let peer = PeerAddr::of(named)
            .filter(|_| relayed.is_some())
            .ok_or(Reject::PeerFamilyMismatch)?;
        let to = external::inside(&self.config.externals, &self.shared.ports, peer);
        let standing = self
            .config
            .peers
            .judge(to.ip())
            .map_err(Reject::Forbidden)?;
        Ok(Reachable { peer, to, standing })
    }

    /// Decides about one packet to a peer whose address stands [`Standing::ByPort`].
    #[inline]
    pub(crate) fn admits(&self, to: PeerAddr, standing: Standing) -> bool {
        standing == Standing::Free
            || (self.config.peers).admits(to, || self.shared.ports.is_live(to.socket()))
    }
}
