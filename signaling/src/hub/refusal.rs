//! Why something is refused, in words for people and a word for programs.
//!
//! In: every refusal of every adapter. The words of the first four are those of the older call service, whose clients may compare them.

use super::{CallId, Name, UserId};

/// A refusal; it changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not JSON, or a field is missing or of the wrong type.
    #[error("Invalid message format")]
    InvalidMessage,
    /// No such type of message.
    #[error("Unknown message type")]
    UnknownType,
    /// The recipient is absent, or not a member of the call or room; which of them is nobody's business.
    #[error("Recipient not available")]
    RecipientUnavailable {
        /// Within which call, if it is about one.
        call: Option<CallId>,
        /// Who, if it is about a call.
        recipient: Option<UserId>,
    },
    /// The recipient is being rung for as many calls as one may be.
    #[error("Recipient is busy")]
    RecipientBusy {
        /// To which call.
        call: CallId,
        /// Who.
        recipient: UserId,
    },
    /// No such call, or somebody else's.
    #[error("Call not found")]
    CallNotFound(CallId),
    /// The id belongs to somebody else's call.
    #[error("Call already exists")]
    CallExists(CallId),
    /// More people than a call may have.
    #[error("A call has at most {limit} members")]
    CallTooLarge {
        /// Which call.
        call: CallId,
        /// How many it may have.
        limit: usize,
    },
    /// Nothing that long is kept for somebody who cannot have it yet.
    #[error("A candidate that has to wait has at most {limit} bytes")]
    CandidateTooLarge {
        /// In which call.
        call: CallId,
        /// Bytes that it may have.
        limit: usize,
    },
    /// The user is in as many calls as one may be.
    #[error("You are in too many calls at once")]
    TooManyCalls(CallId),
    /// No place is left.
    #[error("Room {room} is full: it has {limit} of {limit} members")]
    RoomFull {
        /// Which room.
        room: Name,
        /// How many it holds.
        limit: usize,
    },
    /// One room at a time.
    #[error("You are already in room {0}: leave it first")]
    AlreadyJoined(Name),
    /// There is nobody to signal to outside a room.
    #[error("Join a room first")]
    NotJoined,
    /// A name that cannot be one.
    #[error("A name has 1 to 128 bytes and no control characters")]
    InvalidName,
    /// The room has its sender.
    #[error("Room {0} already has a sender")]
    SenderExists(Name),
    /// Only the sender offers.
    #[error("Only the sender may send an offer")]
    OnlySenderOffers,
    /// Only receivers answer.
    #[error("Only a receiver may send an answer")]
    OnlyReceiverAnswers,
    /// The counterpart is not there (yet).
    #[error("Nobody is connected at the other end")]
    NoCounterpart,
    /// Somebody else has the id.
    #[error("ID is taken")]
    IdTaken,
    /// The source of ICE servers failed.
    #[error("ICE servers are not available right now")]
    IceUnavailable,
}

impl Refusal {
    /// A word that programs can compare; never changed once given out.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::InvalidMessage => "invalid-message",
            Refusal::UnknownType => "unknown-type",
            Refusal::RecipientUnavailable { .. } => "recipient-unavailable",
            Refusal::RecipientBusy { .. } => "recipient-busy",
            Refusal::CallNotFound(_) => "call-not-found",
            Refusal::CallExists(_) => "call-exists",
            Refusal::CallTooLarge { .. } => "call-too-large",
            Refusal::CandidateTooLarge { .. } => "candidate-too-large",
            Refusal::TooManyCalls(_) => "too-many-calls",
            Refusal::RoomFull { .. } => "room-full",
            Refusal::AlreadyJoined(_) => "already-joined",
            Refusal::NotJoined => "not-joined",
            Refusal::InvalidName => "invalid-name",
            Refusal::SenderExists(_) => "sender-exists",
            Refusal::OnlySenderOffers | Refusal::OnlyReceiverAnswers => "not-allowed",
            Refusal::NoCounterpart => "no-counterpart",
            Refusal::IdTaken => "id-taken",
            Refusal::IceUnavailable => "ice-unavailable",
        }
    }

    /// The call that it is about.
    pub fn call(&self) -> Option<&CallId> {
        match self {
            Refusal::RecipientUnavailable { call, .. } => call.as_ref(),
            Refusal::RecipientBusy { call, .. } => Some(call),
            Refusal::CallNotFound(call)
            | Refusal::CallExists(call)
            | Refusal::TooManyCalls(call) => Some(call),
            Refusal::CallTooLarge { call, .. } | Refusal::CandidateTooLarge { call, .. } => {
                Some(call)
            }
            _ => None,
        }
    }

    /// The user that it is about.
    pub fn recipient(&self) -> Option<&UserId> {
        match self {
            Refusal::RecipientUnavailable { recipient, .. } => recipient.as_ref(),
            Refusal::RecipientBusy { recipient, .. } => Some(recipient),
            _ => None,
        }
    }

    /// The room that it is about.
    pub fn room(&self) -> Option<&Name> {
        match self {
            Refusal::RoomFull { room, .. }
            | Refusal::AlreadyJoined(room)
            | Refusal::SenderExists(room) => Some(room),
            _ => None,
        }
    }
}
