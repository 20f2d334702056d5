//! What a connection can ask of the hub.
//!
//! In: the vocabulary, the same for every adapter. Not in: how it looks on the wire.

use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{CallId, MemberId, Name, PeerId, PeerKind, PeerToken, ResumeKey, RoomId, UserId};

/// A request of one connection.
#[derive(Serialize, Deserialize)]
pub enum Command {
    /// Enters a room, or takes a lost place in it again.
    Join(Join),
    /// Leaves the room.
    Leave,
    /// Leaves everything for good.
    Bye,
    /// Tells something to another member of the room.
    Signal {
        /// What it is; streams have rules about who may say what.
        kind: SignalKind,
        /// To whom; without, to the counterpart in a stream.
        to: Option<MemberId>,
        /// The hub never looks into it.
        data: Payload,
    },
    /// Starts a call and rings the recipients.
    CallInitiate {
        /// Made up by the caller.
        call: CallId,
        /// Whom to ring.
        recipients: Vec<UserId>,
        /// With or without video.
        call_type: CallType,
    },
    /// Accepts a call.
    CallAnswer(CallId),
    /// Declines a call.
    CallReject(CallId),
    /// Ends a call for everybody, or cancels it while it rings.
    CallEnd(CallId),
    /// Tells something to another member of a call.
    CallSignal(CallSignal),
    /// Tells the other members of a call what one does in it.
    CallNotice {
        /// Which call.
        call: CallId,
        /// What.
        notice: CallNotice,
    },
    /// Takes an id among the peers, or takes it over from an older connection.
    Claim {
        /// Which one.
        peer: PeerId,
        /// The proof that it is one's own.
        token: PeerToken,
    },
    /// Tells another peer something.
    PeerTell {
        /// To whom.
        to: PeerId,
        /// What it is.
        kind: PeerKind,
        /// The hub never looks into it.
        data: Option<Payload>,
    },
    /// Asks who is online.
    Presence {
        /// Whether to be told about changes from now on; `None` leaves that as it is.
        watch: Option<bool>,
    },
}

/// Enters a room.
#[derive(Serialize, Deserialize)]
pub struct Join {
    /// Which one; it is made when nobody is in it.
    pub room: RoomId,
    /// What others see; the user's name by default.
    pub name: Option<Name>,
    /// As what.
    pub role: Role,
    /// Fresh random values for the new member.
    pub seat: Seat,
    /// The key of a former membership, to take it up again.
    pub resume: Option<ResumeKey>,
}

/// Fresh random values, drawn outside because the hub draws none.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Seat {
    /// The id of the new member.
    pub member: MemberId,
    /// The key with which it can come back.
    pub resume: ResumeKey,
}

/// What a member is in its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// An equal among equals.
    Peer,
    /// Has the camera.
    Sender,
    /// Watches.
    Receiver,
}

/// Something told to one member of a call.
#[derive(Serialize, Deserialize)]
pub struct CallSignal {
    /// What it is.
    pub kind: SignalKind,
    /// Within which call.
    pub call: CallId,
    /// To whom.
    pub to: UserId,
    /// The hub never looks into it.
    pub data: Payload,
}

/// What a signal is, as far as somebody has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignalKind {
    /// An SDP offer.
    Offer,
    /// An SDP answer.
    Answer,
    /// An ICE candidate.
    Candidate,
    /// An SDP offer within an answered call.
    Renegotiate,
    /// Whatever the two agreed upon.
    Opaque,
}

/// What a member of a call does that the others are to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallNotice {
    /// The microphone is off.
    Mute,
    /// The microphone is on again.
    Unmute,
    /// The camera is off.
    VideoOff,
    /// The camera is on again.
    VideoOn,
}

/// With or without video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallType {
    /// Sound only.
    Audio,
    /// Sound and picture.
    Video,
}

/// A JSON value that is passed on byte for byte; sharing it costs nothing.
#[derive(Clone, Debug)]
pub struct Payload(Arc<RawValue>);

impl Payload {
    /// The JSON text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Says whether the value is a string, as SDP is.
    pub fn is_string(&self) -> bool {
        self.as_str().starts_with('"')
    }
}

impl From<Box<RawValue>> for Payload {
    fn from(value: Box<RawValue>) -> Payload {
        Payload(value.into())
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Payload) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Reads what a format that knows no JSON has made of it: a text.
impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Payload, D::Error> {
        let text = String::deserialize(deserializer)?;
        let value = RawValue::from_string(text).map_err(D::Error::custom)?;
        Ok(Payload::from(value))
    }
}
