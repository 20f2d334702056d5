//! The domain: users, rooms, calls and presence; commands in, events out.
//!
//! In: every rule of who may say what to whom, and what happens when somebody falls silent. Not in: sockets, tasks,
//! clocks, random numbers, JSON messages. Time is a [`Duration`] since any fixed origin and arrives with each call; so all rules are tested in virtual time.

mod call;
mod call_begin;
mod call_pair;
mod call_signals;
mod call_silence;
mod calls;
mod command;
mod event;
mod limits;
mod merge;
mod names;
mod pace;
mod peers;
mod presence;
mod refusal;
mod report;
mod rooms;
mod timers;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use call::CallRecord;
pub use command::{
    CallNotice, CallSignal, CallType, Command, Join, Payload, Role, Seat, SignalKind,
};
pub use event::{CloseReason, EndReason, Event, Joined, LeaveReason, Member, Outbound};
pub use limits::Limits;
pub use merge::Holdings;
pub use names::{
    CallId, ConnectionId, MAX_NAME, MemberId, Name, PeerId, PeerToken, ResumeKey, RoomId, RoomKind,
    UserId,
};
pub use pace::Pace;
pub use peers::{PeerKind, PeerMessage};
pub use refusal::Refusal;
pub use report::{Answer, CallReport, Outcome, Recipient};

use call::Call;
use peers::Peers;
use presence::Presence;
use rooms::Room;
use timers::Timers;

/// Who a connection belongs to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Identity {
    /// The user.
    pub user: UserId,
    /// Whether others see the user in presence.
    pub listed: bool,
    /// What people see of the user whom they are called by, if it is not the user's own name.
    pub name: Option<Name>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Departure {
    /// The client closed it: whoever it was has left.
    Closed,
    /// It broke: whoever it was may come back within the grace period.
    Lost,
}

/// How much the hub holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Open connections.
    pub connections: usize,
    /// Users with a connection or a call.
    pub users: usize,
    /// Rooms with a member.
    pub rooms: usize,
    /// Calls, ringing ones included.
    pub calls: usize,
    /// Ids of peers, those that wait for their connection included.
    pub peers: usize,
    /// Bytes that wait for absent peers.
    pub peer_bytes: usize,
    /// Deadlines.
    pub timers: usize,
}

/// All users, rooms and calls of one process, or of several that agree. It is plain data, and the same steps make the same of
/// it in each of them.
#[derive(Serialize, Deserialize)]
pub struct Hub {
    limits: Limits,
    /// Their ids are random already, so that nobody chooses what collides.
    connections: HashMap<ConnectionId, Connection, foldhash::fast::RandomState>,
    users: HashMap<UserId, User>,
    rooms: HashMap<RoomId, Room>,
    calls: HashMap<CallId, Call>,
    calls_begun: u64,
    presence: Presence,
    peers: Peers,
    timers: Timers<Deadline>,
    #[serde(skip)]
    reports: Vec<CallReport>,
}

#[derive(Serialize, Deserialize)]
struct Connection {
    user: UserId,
    place: Option<(RoomId, MemberId)>,
    peer: Option<PeerId>,
}

#[derive(Default, Serialize, Deserialize)]
struct User {
    connections: Vec<ConnectionId>,
    calls: BTreeSet<CallId>,
    listed: bool,
    name: Option<Name>,
}

/// What a deadline is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Deadline {
    /// The call rang long enough.
    Ring(CallId),
    /// What waits in the call waited long enough.
    Release(CallId),
    /// The user accepted the call and had long enough to send an answer.
    Repeat(CallId, UserId),
    /// The user did not come back to the call.
    CallGrace(CallId, UserId),
    /// The member did not come back to the room.
    RoomGrace(RoomId, MemberId),
    /// Gathered presence changes are to be told.
    Presence,
    /// The peer did not come back to its id.
    PeerGrace(PeerId),
    /// Nobody came for what was told to the first by the second.
    PeerExpiry(PeerId, PeerId),
}

impl Hub {
    /// Starts empty.
    pub fn new(limits: Limits) -> Hub {
        Hub {
            limits,
            connections: HashMap::default(),
            users: HashMap::new(),
            rooms: HashMap::new(),
            calls: HashMap::new(),
            presence: Presence::default(),
            peers: Peers::default(),
            timers: Timers::new(),
            calls_begun: 0,
            reports: Vec::new(),
        }
    }

    /// The bounds it keeps.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes in a connection whose user is known.
    pub fn connect(&mut self, now: Duration, id: ConnectionId, identity: Identity) -> Outbound {
        let mut out = Outbound::new();
        if self.connections.len() >= self.limits.connections || self.connections.contains_key(&id) {
            out.push((id, Event::Closed(CloseReason::Full)));
            return out;
        }
        let Identity { user, listed, name } = identity;
        self.connections.insert(
            id,
            Connection {
                user: user.clone(),
                place: None,
                peer: None,
            },
        );
        let entry = self.users.entry(user.clone()).or_default();
        entry.connections.push(id);
        entry.listed = listed;
        entry.name = name;
        if entry.connections.len() == 1 && listed {
            self.announce(now, &user, true);
        }
        out.push((id, Event::Connected(user.clone())));
        self.back_to_calls(id, &user, &mut out);
        out
    }

    /// Takes out a connection that ended.
    pub fn disconnect(
        &mut self,
        now: Duration,
        id: ConnectionId,
        departure: Departure,
    ) -> Outbound {
        let mut out = Outbound::new();
        let Some(Connection { user, place, peer }) = self.connections.remove(&id) else {
            return out;
        };
        self.presence.unwatch(id);
        if let Some((room, member)) = place {
            match departure {
                Departure::Closed => self.remove_member(&room, member, LeaveReason::Left, &mut out),
                Departure::Lost => self.member_lost(now, &room, member, &mut out),
            }
        }
        if let Some(peer) = peer {
            self.peer_gone(now, peer, departure);
        }
        if let Some(entry) = self.users.get_mut(&user) {
            entry.connections.retain(|connection| *connection != id);
            if entry.connections.is_empty() && entry.listed {
                self.announce(now, &user, false);
            }
        }
        self.away_from_calls(now, id, &user, departure, &mut out);
        self.forget_if_idle(&user);
        out
    }

    /// Does what a connection asks for.
    pub fn handle(&mut self, now: Duration, from: ConnectionId, command: Command) -> Outbound {
        let mut out = Outbound::new();
        let Some(connection) = self.connections.get(&from) else {
            return out;
        };
        let user = connection.user.clone();
        let done = match command {
            Command::Join(join) => self.join(from, join, &mut out),
            Command::Leave => self.leave(from, &mut out),
            Command::Bye => {
                out.push((from, Event::Closed(CloseReason::Bye)));
                out.append(&mut self.disconnect(now, from, Departure::Closed));
                Ok(())
            }
            Command::Signal { kind, to, data } => self.signal(from, kind, to, data, &mut out),
            Command::CallInitiate {
                call,
                recipients,
                call_type,
            } => self.call_initiate(now, from, &user, call, &recipients, call_type, &mut out),
            Command::CallAnswer(call) => self.call_answer(now, from, &user, &call, &mut out),
            Command::CallReject(call) => {
                self.call_reject(&user, &call, from, &mut out);
                Ok(())
            }
            Command::CallEnd(call) => {
                self.call_end(from, &user, &call, &mut out);
                Ok(())
            }
            Command::CallNotice { call, notice } => {
                self.call_notice(&user, &call, notice, &mut out)
            }
            Command::CallSignal(signal) => self.call_signal(now, from, &user, signal, &mut out),
            Command::Claim { peer, token } => self.claim(from, peer, token, &mut out),
            Command::PeerTell { to, kind, data } => {
                self.peer_tell(now, from, to, kind, data, &mut out)
            }
            Command::Presence { watch } => {
                self.presence(from, watch, &mut out);
                Ok(())
            }
        };
        if let Err(refusal) = done {
            out.push((from, Event::Refused(refusal)));
        }
        out
    }

    /// When [`Hub::on_timeout`] wants to be called next.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// Does what is due at `now`.
    pub fn on_timeout(&mut self, now: Duration) -> Outbound {
        let mut out = Outbound::new();
        while let Some(deadline) = self.timers.pop_due(now) {
            match deadline {
                Deadline::Ring(call) => self.ring_timeout(&call, &mut out),
                Deadline::Release(call) => self.release_held(now, &call, &mut out),
                Deadline::Repeat(call, user) => self.forget_missed(&call, &user),
                Deadline::CallGrace(call, user) => {
                    self.end_call(&call, &user, Some(EndReason::Disconnected), None, &mut out)
                }
                Deadline::RoomGrace(room, member) => {
                    self.remove_member(&room, member, LeaveReason::Lost, &mut out)
                }
                Deadline::Presence => self.tell_presence(&mut out),
                Deadline::PeerGrace(peer) => self.release_peer(&peer),
                Deadline::PeerExpiry(to, from) => self.peer_expired(&to, &from, &mut out),
            }
        }
        out
    }

    /// Counts what it holds.
    pub fn census(&self) -> Census {
        Census {
            connections: self.connections.len(),
            users: self.users.len(),
            rooms: self.rooms.len(),
            calls: self.calls.len(),
            peers: self.peers.len(),
            peer_bytes: self.peers.waiting_bytes(),
            timers: self.timers.len(),
        }
    }

    /// The connections that can go without anybody missing them: in no room, and of users in no call.
    pub fn idle_connections(&self) -> Vec<ConnectionId> {
        let is_idle = |connection: &Connection| {
            let user = self.users.get(&connection.user);
            connection.place.is_none() && user.is_none_or(|user| user.calls.is_empty())
        };
        let idle = self
            .connections
            .iter()
            .filter(|(_, connection)| is_idle(connection));
        idle.map(|(id, _)| *id).collect()
    }

    fn is_online(&self, user: &UserId) -> bool {
        self.users
            .get(user)
            .is_some_and(|entry| !entry.connections.is_empty())
    }

    fn connections_of(&self, user: &UserId) -> &[ConnectionId] {
        self.users.get(user).map_or(&[], |entry| &entry.connections)
    }

    fn forget_if_idle(&mut self, user: &UserId) {
        if self
            .users
            .get(user)
            .is_some_and(|entry| entry.connections.is_empty() && entry.calls.is_empty())
        {
            self.users.remove(user);
        }
    }
}
