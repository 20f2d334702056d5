//! CreatePermission (RFC 8656 §10): lets peers' addresses send to the client.

use std::{sync::Arc, time::Duration};

use turn_wire::Request;

use crate::{
    Action, Event, Good, Now, PeerAddr, PeerIp, allocation::Permission, auth::Requester,
    peers::Standing, reject::Reject, relay::Relay, respond::Done, slab::Key,
};

impl Relay {
    /// Answers a CreatePermission request (RFC 8656 §10.2): all of its peers, or none.
    pub(crate) fn create_permission(
        &mut self,
        now: Now,
        request: &Request,
        requester: &Requester,
    ) -> Result<Done, Reject> {
        let key = self.own_allocation(requester)?;
        let peers = request.peers()?;
        if peers.is_empty() {
            return Err(Reject::BadRequest);
        }
        let peers = peers
            .into_iter()
            .map(|peer| self.reachable(key, peer))
            .collect::<Result<Vec<_>, _>>()?;
        let allocation = self
            .allocations
            .get(key)
            .ok_or(Reject::AllocationMismatch)?;
        let mut new: Vec<PeerIp> = peers.iter().map(|reachable| reachable.peer.ip()).collect();
        new.retain(|ip| allocation.permissions.get(ip).is_none());
        new.sort_unstable();
        new.dedup();
        self.make_room(key, Good::Permissions, new.len())?;
        for reachable in peers {
            let lifetime = self.config.lifetimes.permission;
            self.permit(now, key, reachable.peer.ip(), reachable.standing);
            self.tell_of_peer(key, reachable.peer, lifetime);
        }
        self.rearm(key);
        Ok(Done::Success)
    }

    /// Installs or refreshes one permission.
    pub(crate) fn permit(&mut self, now: Now, key: Key, ip: PeerIp, standing: Standing) {
        let expires_at = now.mono + self.config.lifetimes.permission;
        let Some(allocation) = self.allocations.get_mut(key) else {
            return;
        };
        if allocation.permissions.insert(
            ip,
            Permission {
                expires_at,
                standing,
            },
        ) {
            self.stats.permissions += 1;
            self.permit_shared(key, ip);
        }
    }

    /// Tells the log whom a client may talk to, if it is to know.
    pub(crate) fn tell_of_peer(&mut self, key: Key, peer: PeerAddr, lifetime: Duration) {
        if !self.config.reported.peers {
            return;
        }
        let Some(allocation) = self.allocations.get(key) else {
            return;
        };
        let (session, user) = (allocation.session, Arc::clone(&allocation.user));
        self.act(Action::Event(Event::Permitted {
            session,
            user,
            peer,
            lifetime,
        }));
    }

    /// Tells the log whom a client may talk to no longer, if it is to know: before those permissions are dropped.
    pub(crate) fn tell_of_forgotten(&mut self, key: Key, goes: impl Fn(&Permission) -> bool) {
        if !self.config.reported.peers {
            return;
        }
        let Some(allocation) = self.allocations.get(key) else {
            return;
        };
        let (session, user) = (allocation.session, Arc::clone(&allocation.user));
        let permissions = allocation.permissions.iter();
        let gone = permissions.filter(|(_, permission)| goes(permission));
        let gone: Vec<PeerIp> = gone.map(|(ip, _)| *ip).collect();
        for peer in gone {
            self.act(Action::Event(Event::Forgotten {
                session,
                user: Arc::clone(&user),
                peer,
            }));
        }
    }
}
