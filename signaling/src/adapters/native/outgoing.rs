//! Messages to native clients.
//!
//! In: every type and field that is written. Not in: when (`hub`).

use ice_api::{IceConfig, IceServer};
use serde::Serialize;

use crate::adapters::json;
use crate::hub::{
    CallId, CallType, EndReason, Event, LeaveReason, Member, MemberId, Name, Payload, Refusal,
    SignalKind, UserId,
};

#[derive(Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
enum Outgoing<'a> {
    Connected {
        user_id: &'a UserId,
    },
    Joined {
        room: &'a Name,
        #[serde(rename = "self")]
        own: MemberId,
        members: &'a [Member],
        ice_servers: &'a [IceServer],
        ice_transport_policy: &'a str,
        ttl: u64,
        resume: String,
        resumed: bool,
    },
    Left {
        room: &'a Name,
    },
    PeerJoined {
        #[serde(flatten)]
        member: &'a Member,
    },
    PeerLeft {
        id: MemberId,
        reason: LeaveReason,
    },
    PeerAway {
        id: MemberId,
    },
    PeerBack {
        id: MemberId,
    },
    Signal {
        from: MemberId,
        data: &'a Payload,
    },
    IceServers {
        ice_servers: &'a [IceServer],
        ice_transport_policy: &'a str,
        ttl: u64,
    },
    Pong,
    IncomingCall {
        call_id: &'a CallId,
        initiator_id: &'a UserId,
        call_type: CallType,
        #[serde(skip_serializing_if = "Option::is_none")]
        sdp: Option<&'a Payload>,
    },
    CallAnswered {
        call_id: &'a CallId,
        user_id: &'a UserId,
    },
    CallRejected {
        call_id: &'a CallId,
        user_id: &'a UserId,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<EndReason>,
    },
    CallEnded {
        call_id: &'a CallId,
        ended_by: &'a UserId,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<EndReason>,
    },
    Offer {
        call_id: &'a CallId,
        sender_id: &'a UserId,
        sdp: &'a Payload,
    },
    Answer {
        call_id: &'a CallId,
        sender_id: &'a UserId,
        sdp: &'a Payload,
    },
    Renegotiate {
        call_id: &'a CallId,
        sender_id: &'a UserId,
        sdp: &'a Payload,
    },
    IceCandidate {
        call_id: &'a CallId,
        sender_id: &'a UserId,
        candidate: &'a Payload,
    },
    Presence {
        users: &'a [UserId],
        total: usize,
    },
    PresenceChanged {
        online: &'a [UserId],
        offline: &'a [UserId],
    },
    Error {
        error: String,
        code: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        call_id: Option<&'a CallId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        recipient_id: Option<&'a UserId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        room: Option<&'a Name>,
    },
}

pub(super) fn write(event: &Event, ice: Option<&IceConfig>) -> Option<String> {
    json(&outgoing(event, ice)?)
}

pub(super) fn write_ice(ice: &IceConfig) -> Option<String> {
    let IceConfig {
        ice_servers,
        ice_transport_policy,
        ttl,
        ..
    } = ice;
    json(&Outgoing::IceServers {
        ice_servers,
        ice_transport_policy,
        ttl: *ttl,
    })
}

pub(super) fn write_pong() -> Option<String> {
    json(&Outgoing::Pong)
}

fn outgoing<'a>(event: &'a Event, ice: Option<&'a IceConfig>) -> Option<Outgoing<'a>> {
    Some(match event {
        Event::Connected(user_id) => Outgoing::Connected { user_id },
        Event::Joined(joined) => Outgoing::Joined {
            room: &joined.room.name,
            own: joined.own.id,
            members: &joined.members,
            ice_servers: ice.map_or(&[], |ice| &ice.ice_servers),
            ice_transport_policy: ice.map_or("all", |ice| &ice.ice_transport_policy),
            ttl: ice.map_or(0, |ice| ice.ttl),
            resume: joined.resume.to_string(),
            resumed: joined.resumed,
        },
        Event::Left(room) => Outgoing::Left { room: &room.name },
        Event::PeerJoined(member) => Outgoing::PeerJoined { member },
        Event::PeerLeft { member, reason } => Outgoing::PeerLeft {
            id: member.id,
            reason: *reason,
        },
        Event::PeerAway(id) => Outgoing::PeerAway { id: *id },
        Event::PeerBack(id) => Outgoing::PeerBack { id: *id },
        Event::Signal { from, data, .. } => Outgoing::Signal { from: *from, data },
        Event::IncomingCall { .. }
        | Event::CallAnswered { .. }
        | Event::CallRejected { .. }
        | Event::CallEnded { .. }
        | Event::CallSignal { .. } => call_event(event)?,
        Event::Presence { users, total } => Outgoing::Presence {
            users,
            total: *total,
        },
        Event::PresenceChanged { online, offline } => Outgoing::PresenceChanged { online, offline },
        Event::Refused(refusal) => error(refusal),
        // A close frame says it.
        Event::Closed(_) => return None,
        // Peers have a protocol of their own.
        Event::CallNotice { .. } => return None,
        Event::PeerClaimed(_) | Event::Peer(_) | Event::PeerBacklog(_) => return None,
    })
}

fn call_event(event: &Event) -> Option<Outgoing<'_>> {
    Some(match event {
        Event::IncomingCall {
            call,
            initiator,
            call_type,
            offer,
            ..
        } => Outgoing::IncomingCall {
            call_id: call,
            initiator_id: initiator,
            call_type: *call_type,
            sdp: offer.as_ref(),
        },
        Event::CallAnswered { call, user } => Outgoing::CallAnswered {
            call_id: call,
            user_id: user,
        },
        Event::CallRejected { call, user, reason } => Outgoing::CallRejected {
            call_id: call,
            user_id: user,
            reason: *reason,
        },
        Event::CallEnded {
            call,
            ended_by,
            reason,
        } => Outgoing::CallEnded {
            call_id: call,
            ended_by,
            reason: *reason,
        },
        Event::CallSignal {
            kind,
            call,
            from,
            data,
        } => call_signal(*kind, call, from, data)?,
        _ => return None,
    })
}

fn call_signal<'a>(
    kind: SignalKind,
    call_id: &'a CallId,
    sender_id: &'a UserId,
    data: &'a Payload,
) -> Option<Outgoing<'a>> {
    match kind {
        SignalKind::Offer => Some(Outgoing::Offer {
            call_id,
            sender_id,
            sdp: data,
        }),
        SignalKind::Answer => Some(Outgoing::Answer {
            call_id,
            sender_id,
            sdp: data,
        }),
        SignalKind::Renegotiate => Some(Outgoing::Renegotiate {
            call_id,
            sender_id,
            sdp: data,
        }),
        SignalKind::Candidate => Some(Outgoing::IceCandidate {
            call_id,
            sender_id,
            candidate: data,
        }),
        SignalKind::Opaque => None,
    }
}

fn error(refusal: &Refusal) -> Outgoing<'_> {
    Outgoing::Error {
        error: refusal.to_string(),
        code: refusal.code(),
        call_id: refusal.call(),
        recipient_id: refusal.recipient(),
        room: refusal.room(),
    }
}
