//! Rooms: who is in them, who hears what, and how a lost member comes back.
//!
//! In: meshes (equals, with grace for lost connections) and streams (one sender, its receivers). Not in: calls between users (`calls.rs`).

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    CloseReason, Connection, ConnectionId, Deadline, Event, Hub, Join, Joined, LeaveReason, Limits,
    Member, MemberId, Outbound, Payload, Refusal, ResumeKey, Role, RoomId, RoomKind, SignalKind,
};

/// A room with at least one member, in the order in which they came.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Room {
    pub(super) members: Vec<Occupant>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Occupant {
    #[serde(with = "whole")]
    pub(super) member: Member,
    pub(super) resume: ResumeKey,
    /// `None` while the connection is lost.
    pub(super) connection: Option<ConnectionId>,
    /// Signals that came meanwhile.
    pub(super) backlog: Vec<Said>,
}

/// A signal to a member.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Said {
    kind: SignalKind,
    from: MemberId,
    receiver: Option<MemberId>,
    data: Payload,
}

impl Said {
    fn bytes(&self) -> usize {
        self.data.as_str().len()
    }
}

impl From<Said> for Event {
    fn from(said: Said) -> Event {
        let Said {
            kind,
            from,
            receiver,
            data,
        } = said;
        Event::Signal {
            kind,
            from,
            receiver,
            data,
        }
    }
}

/// A member with its role, which clients are not told.
mod whole {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::super::{Name, UserId};
    use super::{Member, MemberId, Role};

    type Parts = (MemberId, Name, UserId, Role);

    pub(super) fn serialize<S: Serializer>(member: &Member, to: S) -> Result<S::Ok, S::Error> {
        (&member.id, &member.name, &member.user_id, member.role).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Member, D::Error> {
        let (id, name, user_id, role) = Parts::deserialize(from)?;
        Ok(Member {
            id,
            name,
            user_id,
            role,
        })
    }
}

impl Room {
    pub(super) fn occupant(&mut self, id: MemberId) -> Option<&mut Occupant> {
        self.members
            .iter_mut()
            .find(|occupant| occupant.member.id == id)
    }

    /// Whom `of` deals with: in a mesh everybody else, in a stream the other role.
    fn counterparts(&self, of: &Member) -> impl DoubleEndedIterator<Item = &Occupant> {
        self.members.iter().filter(|other| {
            other.member.id != of.id && (of.role == Role::Peer || other.member.role != of.role)
        })
    }

    /// Tells `event` to the counterparts of `of` that are there; the absent ones see how things stand when they return.
    pub(super) fn tell(&self, of: &Member, event: &Event, out: &mut Outbound) {
        out.extend(
            self.counterparts(of)
                .filter_map(|other| Some((other.connection?, event.clone()))),
        );
    }
}

impl Occupant {
    /// Delivers a signal now or when the member returns; `false` if there is too much to keep.
    fn deliver(&mut self, said: Said, limits: &Limits, out: &mut Outbound) -> bool {
        if let Some(connection) = self.connection {
            out.push((connection, said.into()));
            return true;
        }
        let kept: usize = self.backlog.iter().map(Said::bytes).sum();
        let has_room =
            self.backlog.len() < limits.outbox && kept + said.bytes() <= limits.backlog_bytes;
        if has_room {
            self.backlog.push(said);
        }
        has_room
    }
}

impl Hub {
    pub(super) fn join(
        &mut self,
        from: ConnectionId,
        join: Join,
        out: &mut Outbound,
    ) -> Result<(), Refusal> {
        let Some(connection) = self.connections.get(&from) else {
            return Ok(());
        };
        let user_id = connection.user.clone();
        if let Some((room, _)) = &connection.place {
            return Err(Refusal::AlreadyJoined(room.name.clone()));
        }
        if self.resume(from, &join, out) {
            return Ok(());
        }
        let name = join.name.unwrap_or_else(|| user_id.0.clone());
        let member = Member {
            id: join.seat.member,
            name,
            user_id,
            role: join.role,
        };
        if let Some(room) = self.rooms.get(&join.room) {
            if room.members.len() >= self.limits.members {
                return Err(Refusal::RoomFull {
                    room: join.room.name,
                    limit: self.limits.members,
                });
            }
            if join.role == Role::Sender
                && room
                    .members
                    .iter()
                    .any(|other| other.member.role == Role::Sender)
            {
                return Err(Refusal::SenderExists(join.room.name));
            }
        }
        let room = self.rooms.entry(join.room.clone()).or_default();
        room.tell(&member, &Event::PeerJoined(member.clone()), out);
        room.members.push(Occupant {
            member: member.clone(),
            resume: join.seat.resume,
            connection: Some(from),
            backlog: Vec::new(),
        });
        self.welcome(from, &join.room, &member, join.seat.resume, false, out);
        Ok(())
    }

    /// Tells a member how things stand in its room.
    fn welcome(
        &mut self,
        from: ConnectionId,
        id: &RoomId,
        own: &Member,
        resume: ResumeKey,
        resumed: bool,
        out: &mut Outbound,
    ) {
        let Some(room) = self.rooms.get(id) else {
            return;
        };
        if let Some(connection) = self.connections.get_mut(&from) {
            connection.place = Some((id.clone(), own.id));
        }
        let others = room.counterparts(own).map(|other| other.member.clone());
        match id.kind {
            RoomKind::Mesh => {
                let joined = Joined {
                    room: id.clone(),
                    own: own.clone(),
                    members: others.collect(),
                    resume,
                    resumed,
                };
                out.push((from, Event::Joined(Arc::new(joined))));
            }
            // A stream knows no list of members: each counterpart is told on its own.
            RoomKind::Stream => {
                let joined = Joined {
                    room: id.clone(),
                    own: own.clone(),
                    members: Vec::new(),
                    resume,
                    resumed,
                };
                out.push((from, Event::Joined(Arc::new(joined))));
                out.extend(others.map(|other| (from, Event::PeerJoined(other))));
            }
        }
    }

    /// Gives a connection the place whose key it knows; `false` if there is none.
    fn resume(&mut self, from: ConnectionId, join: &Join, out: &mut Outbound) -> bool {
        let (Some(key), Some(room)) = (&join.resume, self.rooms.get_mut(&join.room)) else {
            return false;
        };
        let Some(occupant) = room
            .members
            .iter_mut()
            .find(|occupant| occupant.resume.matches(key))
        else {
            return false;
        };
        let before = occupant.connection.replace(from);
        occupant.resume = join.seat.resume;
        let member = occupant.member.clone();
        let backlog = std::mem::take(&mut occupant.backlog);
        self.timers
            .cancel(&Deadline::RoomGrace(join.room.clone(), member.id));
        match before {
            // The network noticed before we did: the old connection only looks alive.
            Some(old) => {
                if let Some(Connection { place, .. }) = self.connections.get_mut(&old) {
                    *place = None;
                }
                out.push((old, Event::Closed(CloseReason::Resumed)));
            }
            None => room.tell(&member, &Event::PeerBack(member.id), out),
        }
        self.welcome(from, &join.room, &member, join.seat.resume, true, out);
        out.extend(backlog.into_iter().map(|said| (from, said.into())));
        true
    }

    pub(super) fn leave(&mut self, from: ConnectionId, out: &mut Outbound) -> Result<(), Refusal> {
        let place = self
            .connections
            .get_mut(&from)
            .and_then(|connection| connection.place.take());
        let (room, member) = place.ok_or(Refusal::NotJoined)?;
        self.remove_member(&room, member, LeaveReason::Left, out);
        out.push((from, Event::Left(room)));
        Ok(())
    }

    /// Notes that a member's connection broke. In a stream that is the end: its clients cannot come back as the same member.
    pub(super) fn member_lost(
        &mut self,
        now: Duration,
        id: &RoomId,
        member: MemberId,
        out: &mut Outbound,
    ) {
        if id.kind == RoomKind::Stream {
            return self.remove_member(id, member, LeaveReason::Lost, out);
        }
        let Some(room) = self.rooms.get_mut(id) else {
            return;
        };
        let Some(occupant) = room.occupant(member) else {
            return;
        };
        occupant.connection = None;
        let lost = occupant.member.clone();
        room.tell(&lost, &Event::PeerAway(member), out);
        self.timers.set(
            Deadline::RoomGrace(id.clone(), member),
            now + self.limits.grace,
        );
    }

    pub(super) fn remove_member(
        &mut self,
        id: &RoomId,
        member: MemberId,
        reason: LeaveReason,
        out: &mut Outbound,
    ) {
        let Some(room) = self.rooms.get_mut(id) else {
            return;
        };
        let Some(index) = room
            .members
            .iter()
            .position(|occupant| occupant.member.id == member)
        else {
            return;
        };
        let gone = room.members.remove(index);
        self.timers.cancel(&Deadline::RoomGrace(id.clone(), member));
        room.tell(
            &gone.member,
            &Event::PeerLeft {
                member: gone.member.clone(),
                reason,
            },
            out,
        );
        for absent in &mut room.members {
            // Nothing arrives from a member that is gone.
            absent.backlog.retain(|said| said.from != member);
        }
        if room.members.is_empty() {
            self.rooms.remove(id);
        }
    }

    /// Relays something between two members of the same room.
    pub(super) fn signal(
        &mut self,
        from: ConnectionId,
        kind: SignalKind,
        to: Option<MemberId>,
        data: Payload,
        out: &mut Outbound,
    ) -> Result<(), Refusal> {
        let place = self
            .connections
            .get(&from)
            .and_then(|connection| connection.place.clone());
        let (id, own) = place.ok_or(Refusal::NotJoined)?;
        let limits = self.limits;
        let Some(room) = self.rooms.get_mut(&id) else {
            return Err(Refusal::NotJoined);
        };
        let Some(sender) = room.occupant(own).map(|occupant| occupant.member.clone()) else {
            return Err(Refusal::NotJoined);
        };
        may_say(kind, sender.role)?;
        let target = room
            .counterparts(&sender)
            .rev()
            .map(|other| other.member.id)
            .find(|id| to.is_none_or(|to| to == *id));
        let target = match (target, to) {
            (Some(target), _) => target,
            (None, Some(_)) => {
                return Err(Refusal::RecipientUnavailable {
                    call: None,
                    recipient: None,
                });
            }
            // Candidates of a counterpart that is gone are nobody's loss.
            (None, None) if kind == SignalKind::Candidate => return Ok(()),
            (None, None) => return Err(Refusal::NoCounterpart),
        };
        let receiver = match sender.role {
            Role::Peer => None,
            Role::Sender => Some(target),
            Role::Receiver => Some(own),
        };
        let delivered = room.occupant(target).is_none_or(|occupant| {
            occupant.deliver(
                Said {
                    kind,
                    from: own,
                    receiver,
                    data,
                },
                &limits,
                out,
            )
        });
        if !delivered {
            self.remove_member(&id, target, LeaveReason::Lost, out);
        }
        Ok(())
    }
}

/// Streams have roles: the sender offers, receivers answer.
fn may_say(kind: SignalKind, role: Role) -> Result<(), Refusal> {
    match (kind, role) {
        (SignalKind::Offer | SignalKind::Renegotiate, Role::Receiver) => {
            Err(Refusal::OnlySenderOffers)
        }
        (SignalKind::Answer, Role::Sender) => Err(Refusal::OnlyReceiverAnswers),
        _ => Ok(()),
    }
}
