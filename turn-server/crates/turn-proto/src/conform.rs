//! What becomes of a session that was made under other settings: after a reload, and when it comes from a worker that has not
//! reloaded yet.

use crate::{
    Action, EndReason, Now, PeerIp, allocation::Allocation, external, peers::Standing,
    relay::Relay, slab::Key,
};

impl Relay {
    /// Takes from a session what it may not have by now.
    pub(crate) fn conform(&mut self, now: Now, key: Key) {
        if let Some(allocation) = self.allocations.get_mut(key) {
            let caps = &self.config.guard.caps;
            // A meter where a rate is limited, and none where none is.
            if allocation.meter.is_some() != caps.has_rates() {
                allocation.meter = allocation.ticket.meter(caps);
            }
        }
        self.purge_denied_client(now, key);
        self.purge_denied_peers(key);
    }

    /// Ends a session whose client the lists keep out.
    fn purge_denied_client(&mut self, now: Now, key: Key) {
        let path = self.allocations.get(key).map(|allocation| allocation.path);
        let Some(path) = path.filter(|path| !self.admits_client(path.client.ip(), path.server))
        else {
            return;
        };
        self.end(now, key, EndReason::Denied);
        if path.transport.is_connection() {
            self.act(Action::CloseLink { link: path.link });
        }
    }

    /// Drops permissions and channels that the peer policy denies, and looks again how the others stand.
    fn purge_denied_peers(&mut self, key: Key) {
        let Some(allocation) = self.allocations.get_mut(key) else {
            return;
        };
        let policy = &self.config.peers;
        let judge = |ip: PeerIp, standing: &mut Standing| {
            let verdict = policy.judge(ip);
            *standing = verdict.unwrap_or(Standing::ByPort);
            verdict.is_ok()
        };
        let inside = |ip: PeerIp| {
            external::inside(&self.config.externals, &self.shared.ports, ip.at(0)).ip()
        };
        let Allocation {
            permissions,
            channels,
            numbers,
            ..
        } = allocation;
        let permissions =
            permissions.retain(|ip, permission| judge(inside(*ip), &mut permission.standing));
        let unbound = channels.retain(|_, channel| judge(channel.to.ip(), &mut channel.standing));
        numbers.retain(|_, number| channels.get(number).is_some());
        allocation.settle();
        self.stats.permissions -= permissions as u64;
        self.stats.channels -= unbound as u64;
        self.disconnect(key, |relay, peer| relay.standing_of(peer).is_none());
        self.restrict_shared(key);
    }
}
