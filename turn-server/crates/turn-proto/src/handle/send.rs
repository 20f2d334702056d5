//! Send indications (RFC 8656 §11.2): no answer whatever happens. Firefox sends all of its media this way.

use std::net::SocketAddr;

use turn_wire::MessageView;

use crate::{
    Now, Output, Path, PeerAddr, RelayId, external, peers::Standing, relay::Relay,
    sharing::Sending, slab::Key,
};

impl Relay {
    pub(crate) fn send_indication(
        &mut self,
        now: Now,
        path: &Path,
        packet: &[u8],
        view: &MessageView<'_>,
    ) -> Output<'_> {
        let Ok(send) = turn_wire::parse_send(view) else {
            self.stats.dropped_malformed += 1;
            return Output::Nothing;
        };
        let Some((key, relay, peer, standing)) = self.permitted(now, path, send.peer) else {
            self.stats.dropped_client += 1;
            return Output::Nothing;
        };
        let to = external::inside(&self.config.externals, &self.shared.ports, peer);
        if !self.admits(to, standing) {
            self.stats.dropped_policy += 1;
            return Output::Nothing;
        }
        let sending = Sending {
            relay,
            to,
            named: peer,
            range: send.data,
            dont_fragment: send.dont_fragment && heeds_dont_fragment(path, to),
        };
        self.forward(now, key, packet, sending)
    }
    #[inline]
    fn permitted(
        &mut self,
        now: Now,
        path: &Path,
        named: SocketAddr,
    ) -> Option<(Key, RelayId, PeerAddr, Standing)> {
        let peer = PeerAddr::of(named).filter(|peer| peer.port() != 0)?;
        let key = self.find_for_data(path)?;
        let allocation = self.allocations.get(key)?;
        if !allocation.is_active() || !allocation.is_udp() {
            return None;
        }
        let permission = allocation.permission(peer.ip(), now.mono)?;
        Some((key, allocation.relay(key, peer)?, peer, permission.standing))
    }
}

/// Whether DONT-FRAGMENT counts: from UDP to UDP where IPv4 goes to IPv4 (RFC 8656 §14) and nowhere else (§13), from a stream
/// always (§15).
fn heeds_dont_fragment(path: &Path, to: PeerAddr) -> bool {
    path.transport.is_stream() || (path.client.is_ipv4() && to.ip().ip().is_ipv4())
}
