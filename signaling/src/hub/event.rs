//! What the hub tells a connection.
//!
//! In: the vocabulary, the same for every adapter. Not in: how it looks on the wire.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    CallId, CallNotice, CallType, ConnectionId, MemberId, Name, Payload, PeerId, PeerMessage,
    Refusal, ResumeKey, Role, RoomId, SignalKind, UserId,
};

/// Events and to whom they go, in order.
pub type Outbound = Vec<(ConnectionId, Event)>;

/// One message to one connection.
#[derive(Clone)]
pub enum Event {
    /// The connection is known as this user.
    Connected(UserId),
    /// The connection is in a room now.
    Joined(Arc<Joined>),
    /// It has left the room as it asked.
    Left(RoomId),
    /// Somebody else came.
    PeerJoined(Member),
    /// Somebody else is gone.
    PeerLeft {
        /// Who.
        member: Member,
        /// Why.
        reason: LeaveReason,
    },
    /// Somebody else lost the connection and may come back.
    PeerAway(MemberId),
    /// Somebody else came back.
    PeerBack(MemberId),
    /// Another member says something.
    Signal {
        /// What it is.
        kind: SignalKind,
        /// Who says it.
        from: MemberId,
        /// In a stream: which receiver it is about.
        receiver: Option<MemberId>,
        /// What is said.
        data: Payload,
    },
    /// Somebody calls.
    IncomingCall {
        /// Which call.
        call: CallId,
        /// Who calls.
        initiator: UserId,
        /// What people see of the caller.
        initiator_name: Name,
        /// With or without video.
        call_type: CallType,
        /// The caller's latest offer, if it came already.
        offer: Option<Payload>,
    },
    /// A recipient accepted.
    CallAnswered {
        /// Which call.
        call: CallId,
        /// Who accepted.
        user: UserId,
    },
    /// A recipient declined.
    CallRejected {
        /// Which call.
        call: CallId,
        /// Who declined.
        user: UserId,
        /// Why, if not by choice.
        reason: Option<EndReason>,
    },
    /// The call is over.
    CallEnded {
        /// Which call.
        call: CallId,
        /// Who ended it.
        ended_by: UserId,
        /// Why, if not by choice.
        reason: Option<EndReason>,
    },
    /// Another member of a call says something.
    CallSignal {
        /// What it is.
        kind: SignalKind,
        /// Within which call.
        call: CallId,
        /// Who says it.
        from: UserId,
        /// What is said.
        data: Payload,
    },
    /// Another member of a call does something.
    CallNotice {
        /// In which call.
        call: CallId,
        /// Who.
        from: UserId,
        /// What.
        notice: CallNotice,
    },
    /// Who is online.
    Presence {
        /// In alphabetical order, cut at the limit.
        users: Arc<[UserId]>,
        /// How many there are.
        total: usize,
    },
    /// Who came and went.
    PresenceChanged {
        /// Who came.
        online: Arc<[UserId]>,
        /// Who went.
        offline: Arc<[UserId]>,
    },
    /// The connection has the id that it claimed.
    PeerClaimed(PeerId),
    /// Another peer says something.
    Peer(PeerMessage),
    /// What others said while nobody had the id.
    PeerBacklog(Vec<PeerMessage>),
    /// What was asked for is refused.
    Refused(Refusal),
    /// The connection is to be closed; nothing comes after this.
    Closed(CloseReason),
}

impl Event {
    /// Bytes in it that clients have made up at length; names do not count.
    pub fn payload_bytes(&self) -> usize {
        let of = |data: &Option<Payload>| data.as_ref().map_or(0, |data| data.as_str().len());
        match self {
            Event::Signal { data, .. } | Event::CallSignal { data, .. } => data.as_str().len(),
            Event::IncomingCall { offer, .. } => of(offer),
            Event::Peer(message) => of(&message.data),
            Event::PeerBacklog(messages) => messages.iter().map(|said| of(&said.data)).sum(),
            _ => 0,
        }
    }
}

/// The answer to a join.
pub struct Joined {
    /// Which room.
    pub room: RoomId,
    /// Oneself.
    pub own: Member,
    /// The others, in the order in which they came.
    pub members: Vec<Member>,
    /// With which to come back.
    pub resume: ResumeKey,
    /// Whether this is the place that was lost before.
    pub resumed: bool,
}

/// A member as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// How it is addressed.
    pub id: MemberId,
    /// What people see.
    pub name: Name,
    /// Whose it is.
    pub user_id: UserId,
    /// What it is in its room.
    #[serde(skip)]
    pub role: Role,
}

/// Why a member is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LeaveReason {
    /// By choice.
    Left,
    /// Its connection broke and did not come back.
    Lost,
}

/// Why a call ended, if not because somebody wanted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// Nobody reacted.
    Timeout,
    /// A member's connection broke and did not come back.
    Disconnected,
    /// Another connection of the same user took the call.
    AnsweredElsewhere,
    /// Another connection of the same user declined it.
    RejectedElsewhere,
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// It said goodbye.
    Bye,
    /// Another connection took its place.
    Resumed,
    /// What it came for is refused, and there is nothing else for it here.
    Refused,
    /// There are too many connections.
    Full,
    /// It does not take what is sent to it.
    TooSlow,
    /// This process ends soon, and another one has a place.
    Elsewhere,
}
