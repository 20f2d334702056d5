//! Hubs that went their own ways become one again: what some connections hold is taken from one and put into another.
//!
//! In: what a set of connections holds, and taking it in. Not in: why hubs part and how they meet (`fleet`).
//!
//! Whoever has the connections knows best what they hold: their places, seats and ids are taken as they come. Of everything
//! else nothing is taken away here. What one side knows and the other does not stays, and whoever nobody vouches for has lost
//! the connection: the grace period settles it, as it does for anybody else. So a merge ends no call and empties no room.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::call::{Call, Party, PartyState};
use super::peers::Holder;
use super::rooms::{Occupant, Room};
use super::{
    CallId, CloseReason, ConnectionId, Deadline, Departure, Event, Hub, Identity, MemberId,
    Outbound, PeerId, PeerToken, Refusal, RoomId,
};

/// What some connections hold.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Holdings {
    connections: Vec<Holding>,
    rooms: Vec<(RoomId, Room)>,
    calls: Vec<(CallId, Call)>,
}

/// One connection.
#[derive(Clone, Serialize, Deserialize)]
struct Holding {
    id: ConnectionId,
    identity: Identity,
    watches: bool,
    place: Option<(RoomId, MemberId)>,
    peer: Option<(PeerId, PeerToken)>,
}

impl Holdings {
    /// Lists the connections.
    pub fn connections(&self) -> impl Iterator<Item = ConnectionId> {
        self.connections.iter().map(|held| held.id)
    }

    fn has(&self, connection: Option<ConnectionId>) -> bool {
        connection.is_some_and(|id| self.connections().any(|own| own == id))
    }
}

impl Hub {
    /// Says what these connections hold, with the rooms and calls that they are in as a whole.
    pub fn holdings(&self, own: &BTreeSet<ConnectionId>) -> Holdings {
        let connections: Vec<Holding> = own.iter().filter_map(|id| self.holding(*id)).collect();
        let rooms: BTreeSet<&RoomId> = connections
            .iter()
            .filter_map(|held| held.place.as_ref().map(|(room, _)| room))
            .collect();
        let calls: BTreeSet<&CallId> = connections
            .iter()
            .filter_map(|held| self.users.get(&held.identity.user))
            .flat_map(|user| &user.calls)
            .collect();
        Holdings {
            rooms: rooms
                .into_iter()
                .filter_map(|id| Some((id.clone(), self.rooms.get(id)?.clone())))
                .collect(),
            calls: calls
                .into_iter()
                .filter_map(|id| Some((id.clone(), self.calls.get(id)?.clone())))
                .collect(),
            connections,
        }
    }

    fn holding(&self, id: ConnectionId) -> Option<Holding> {
        let connection = self.connections.get(&id)?;
        let user = self.users.get(&connection.user)?;
        let token = |peer: &PeerId| Some(self.peers.holders.get(peer)?.token.clone());
        Some(Holding {
            id,
            identity: Identity {
                user: connection.user.clone(),
                listed: user.listed,
                name: user.name.clone(),
            },
            watches: self.presence.watchers.contains(&id),
            place: connection.place.clone(),
            peer: connection
                .peer
                .as_ref()
                .and_then(|peer| Some((peer.clone(), token(peer)?))),
        })
    }

    /// Takes in what connections hold whose node was away; `before` are those it had here until then.
    pub fn merge(
        &mut self,
        now: Duration,
        before: &BTreeSet<ConnectionId>,
        theirs: Holdings,
    ) -> Outbound {
        let mut out = Outbound::new();
        for gone in before {
            if !theirs.has(Some(*gone)) {
                out.append(&mut self.disconnect(now, *gone, Departure::Lost));
            }
        }
        let mut newcomers = BTreeSet::new();
        for held in &theirs.connections {
            if !self.connections.contains_key(&held.id) {
                newcomers.insert(held.id);
                out.append(&mut self.connect(now, held.id, held.identity.clone()));
            }
        }
        // They were greeted when they came.
        out.retain(|(to, event)| !(newcomers.contains(to) && matches!(event, Event::Connected(_))));
        for held in &theirs.connections {
            if held.watches {
                self.presence.watchers.insert(held.id);
            }
            self.leave_other_place(now, held, &mut out);
            if let Some((peer, token)) = &held.peer {
                self.hold_peer(held.id, peer, token, &mut out);
            }
        }
        for (id, room) in &theirs.rooms {
            self.merge_room(now, id, room, &theirs, &mut out);
        }
        self.leave_other_calls(now, &theirs);
        for (id, call) in &theirs.calls {
            self.merge_call(now, id, call, &theirs);
        }
        out
    }

    /// Frees the place that a connection had here and has left meanwhile.
    fn leave_other_place(&mut self, now: Duration, held: &Holding, out: &mut Outbound) {
        let Some(connection) = self.connections.get_mut(&held.id) else {
            return;
        };
        let before = std::mem::replace(&mut connection.place, held.place.clone());
        if let Some((room, member)) = before.filter(|before| Some(before) != held.place.as_ref()) {
            self.member_lost(now, &room, member, out);
        }
    }

    fn hold_peer(
        &mut self,
        connection: ConnectionId,
        peer: &PeerId,
        token: &PeerToken,
        out: &mut Outbound,
    ) {
        let others = self
            .peers
            .holders
            .get(peer)
            .is_some_and(|holder| !holder.token.matches(token));
        if others {
            // Two took the same id while they could not know of each other. The one that is here stays.
            out.push((connection, Event::Refused(Refusal::IdTaken)));
            out.push((connection, Event::Closed(CloseReason::Refused)));
            return;
        }
        let holder = Holder {
            token: token.clone(),
            connection: Some(connection),
        };
        let before = self.peers.holders.insert(peer.clone(), holder);
        let before = before.and_then(|before| before.connection);
        if let Some(old) = before.filter(|old| *old != connection) {
            if let Some(old) = self.connections.get_mut(&old) {
                old.peer = None;
            }
            out.push((old, Event::Closed(CloseReason::Resumed)));
        }
        self.timers.cancel(&Deadline::PeerGrace(peer.clone()));
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.peer = Some(peer.clone());
        }
    }

    fn merge_room(
        &mut self,
        now: Duration,
        id: &RoomId,
        theirs: &Room,
        holdings: &Holdings,
        out: &mut Outbound,
    ) {
        let room = self.rooms.entry(id.clone()).or_default();
        let known = |member: MemberId| theirs.members.iter().any(|other| other.member.id == member);
        let unknown: Vec<Occupant> = room
            .members
            .iter()
            .filter(|occupant| !known(occupant.member.id))
            .cloned()
            .collect();
        for occupant in &theirs.members {
            let member = &occupant.member;
            let vouched_for = holdings.has(occupant.connection);
            match room.occupant(member.id) {
                Some(own) if vouched_for => {
                    let was_away = own.connection.is_none();
                    own.connection = occupant.connection;
                    own.resume = occupant.resume;
                    self.timers
                        .cancel(&Deadline::RoomGrace(id.clone(), member.id));
                    if was_away {
                        room.tell(member, &Event::PeerBack(member.id), out);
                    }
                }
                Some(_) => {}
                None => {
                    let connection = occupant.connection.filter(|_| vouched_for);
                    // Those who knew it all along are not told again.
                    let mut told = Outbound::new();
                    room.tell(member, &Event::PeerJoined(member.clone()), &mut told);
                    out.extend(told.into_iter().filter(|(to, _)| !holdings.has(Some(*to))));
                    room.members.push(Occupant {
                        connection,
                        ..occupant.clone()
                    });
                    if connection.is_none() {
                        let grace = Deadline::RoomGrace(id.clone(), member.id);
                        self.timers.set(grace, now + self.limits.grace);
                    }
                }
            }
        }
        let arrived = theirs
            .members
            .iter()
            .filter(|occupant| holdings.has(occupant.connection));
        for (arrived, other) in
            arrived.flat_map(|arrived| unknown.iter().map(move |other| (arrived, other)))
        {
            let mut told = Outbound::new();
            room.tell(
                &other.member,
                &Event::PeerJoined(other.member.clone()),
                &mut told,
            );
            out.extend(
                told.into_iter()
                    .filter(|(to, _)| Some(*to) == arrived.connection),
            );
        }
    }

    /// A connection that has left a call meanwhile has its seat no longer; without another sign of its user, that ends the call.
    fn leave_other_calls(&mut self, now: Duration, holdings: &Holdings) {
        let is_theirs = |id: &CallId| holdings.calls.iter().any(|(own, _)| own == id);
        let mut left = Vec::new();
        for held in &holdings.connections {
            let calls = self.users.get(&held.identity.user);
            for id in calls.into_iter().flat_map(|user| &user.calls) {
                if !is_theirs(id) {
                    left.push((id.clone(), held));
                }
            }
        }
        for (id, held) in left {
            let user = &held.identity.user;
            let party = self
                .calls
                .get_mut(&id)
                .and_then(|call| call.party_mut(user));
            if let Some(party) = party.filter(|party| party.seat == Some(held.id)) {
                party.seat = None;
                let grace = Deadline::CallGrace(id, user.clone());
                self.timers.set(grace, now + self.limits.grace);
            }
        }
    }

    fn merge_call(&mut self, now: Duration, id: &CallId, theirs: &Call, holdings: &Holdings) {
        let is_new = !self.calls.contains_key(id);
        let call = self.calls.entry(id.clone()).or_insert_with(|| Call {
            parties: Vec::new(),
            ..theirs.clone()
        });
        call.call_type = call.call_type.or(theirs.call_type);
        let mut waits = Vec::new();
        for Party {
            user,
            state,
            seat,
            announced,
        } in &theirs.parties
        {
            let vouched_for = holdings.has(*seat);
            let party = match call.parties.iter().position(|party| party.user == *user) {
                Some(index) => &mut call.parties[index],
                None => {
                    call.parties.push(Party {
                        seat: None,
                        ..Party::new(user, *state)
                    });
                    let last = call.parties.len() - 1;
                    &mut call.parties[last]
                }
            };
            party.state = party.state.max(*state);
            party.announced |= announced;
            if vouched_for {
                party.seat = *seat;
            }
            let entry = self.users.entry(user.clone()).or_default();
            entry.calls.insert(id.clone());
            let there = match party.seat {
                Some(seat) => self.connections.contains_key(&seat),
                None => !entry.connections.is_empty(),
            };
            let grace = Deadline::CallGrace(id.clone(), user.clone());
            if vouched_for {
                self.timers.cancel(&grace);
            } else if !there && party.state != PartyState::Invited && !self.timers.is_set(&grace) {
                waits.push(grace);
            }
        }
        if is_new && call.any(PartyState::Invited) {
            self.timers
                .set(Deadline::Ring(id.clone()), now + self.limits.ring);
        }
        for grace in waits {
            self.timers.set(grace, now + self.limits.grace);
        }
    }
}
