//! One sender and its receivers: the protocol at `/ws/stream` (`PROTOCOL.md`).
//!
//! In: its messages, both ways. Not in: who may say what (`hub`). A client that knows of one receiver only ignores the
//! `receiverId` fields and is understood without them.

use ice_api::{IceConfig, IceServer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Adapter, Request, fields, json, kind_of};
use crate::chance;
use crate::hub::{
    Command, Event, Join, MemberId, Name, Payload, Refusal, Role, RoomId, RoomKind, SignalKind,
};

/// The room of those who name none.
const COMMON_ROOM: &str = "default";

/// The protocol for one connection.
#[derive(Default)]
pub(crate) struct Stream {
    /// What it registered as.
    own: Option<(MemberId, Role)>,
}

#[derive(Deserialize)]
struct RegisterFields {
    role: ClientRole,
    room: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ClientRole {
    Sender,
    Receiver,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescriptionFields {
    sdp: Box<RawValue>,
    receiver_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CandidateFields {
    candidate: Box<RawValue>,
    receiver_id: Option<String>,
}

#[derive(Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
enum Outgoing<'a> {
    Registered {
        role: Role,
        turn_config: TurnConfig<'a>,
        ttl: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        receiver_id: Option<MemberId>,
    },
    PeerConnected {
        peer: Role,
        receiver_id: MemberId,
    },
    PeerDisconnected {
        peer: Role,
        receiver_id: MemberId,
    },
    Offer {
        sdp: &'a Payload,
        receiver_id: Option<MemberId>,
    },
    Answer {
        sdp: &'a Payload,
        receiver_id: Option<MemberId>,
    },
    IceCandidate {
        candidate: &'a Payload,
        receiver_id: Option<MemberId>,
    },
    IceServers {
        turn_config: TurnConfig<'a>,
        ttl: u64,
    },
    Pong,
    Error {
        message: String,
        code: &'static str,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TurnConfig<'a> {
    ice_servers: &'a [IceServer],
}

impl Adapter for Stream {
    fn name(&self) -> &'static str {
        "stream"
    }

    fn read(&mut self, text: &str) -> Result<Request, Refusal> {
        let command = match kind_of(text)?.as_str() {
            "ice-servers" => return Ok(Request::IceServers),
            "ping" => return Ok(Request::Ping),
            "register" => register(fields(text)?)?,
            "offer" => self.description(SignalKind::Offer, fields(text)?)?,
            "answer" => self.description(SignalKind::Answer, fields(text)?)?,
            "ice-candidate" => {
                let CandidateFields {
                    candidate,
                    receiver_id,
                } = fields(text)?;
                Command::Signal {
                    kind: SignalKind::Candidate,
                    to: self.to(receiver_id)?,
                    data: candidate.into(),
                }
            }
            _ => return Err(Refusal::UnknownType),
        };
        Ok(Request::Hub(command))
    }

    fn write(&mut self, event: &Event, ice: Option<&IceConfig>) -> Option<String> {
        json(&self.outgoing(event, ice)?)
    }

    fn write_ice(&mut self, ice: &IceConfig) -> Option<String> {
        json(&Outgoing::IceServers {
            turn_config: TurnConfig {
                ice_servers: &ice.ice_servers,
            },
            ttl: ice.ttl,
        })
    }

    fn write_pong(&mut self) -> Option<String> {
        json(&Outgoing::Pong)
    }
}

impl Stream {
    fn outgoing<'a>(
        &mut self,
        event: &'a Event,
        ice: Option<&'a IceConfig>,
    ) -> Option<Outgoing<'a>> {
        Some(match event {
            Event::Joined(joined) => {
                let role = joined.own.role;
                self.own = Some((joined.own.id, role));
                Outgoing::Registered {
                    role,
                    turn_config: TurnConfig {
                        ice_servers: ice.map_or(&[], |ice| &ice.ice_servers),
                    },
                    ttl: ice.map_or(0, |ice| ice.ttl),
                    receiver_id: (role == Role::Receiver).then_some(joined.own.id),
                }
            }
            Event::PeerJoined(peer) => Outgoing::PeerConnected {
                peer: peer.role,
                receiver_id: self.receiver(peer.id, peer.role),
            },
            Event::PeerLeft { member, .. } => Outgoing::PeerDisconnected {
                peer: member.role,
                receiver_id: self.receiver(member.id, member.role),
            },
            Event::Signal {
                kind,
                receiver,
                data,
                ..
            } => match kind {
                SignalKind::Offer | SignalKind::Renegotiate => Outgoing::Offer {
                    sdp: data,
                    receiver_id: *receiver,
                },
                SignalKind::Answer => Outgoing::Answer {
                    sdp: data,
                    receiver_id: *receiver,
                },
                SignalKind::Candidate => Outgoing::IceCandidate {
                    candidate: data,
                    receiver_id: *receiver,
                },
                SignalKind::Opaque => return None,
            },
            Event::Refused(Refusal::NotJoined) => Outgoing::Error {
                message: "Register first".to_owned(),
                code: Refusal::NotJoined.code(),
            },
            Event::Refused(refusal) => Outgoing::Error {
                message: refusal.to_string(),
                code: refusal.code(),
            },
            // The protocol has no words for users, calls and presence.
            _ => return None,
        })
    }

    /// Which receiver a message about a counterpart is about: the counterpart, or oneself.
    fn receiver(&self, peer: MemberId, role: Role) -> MemberId {
        match self.own {
            Some((own, Role::Receiver)) if role == Role::Sender => own,
            _ => peer,
        }
    }

    fn description(&self, kind: SignalKind, fields: DescriptionFields) -> Result<Command, Refusal> {
        let data = Payload::from(fields.sdp);
        if !data.is_string() {
            return Err(Refusal::InvalidMessage);
        }
        Ok(Command::Signal {
            kind,
            to: self.to(fields.receiver_id)?,
            data,
        })
    }

    /// The receiver that a sender names. A receiver's messages go to the sender whatever they name.
    fn to(&self, receiver: Option<String>) -> Result<Option<MemberId>, Refusal> {
        let nobody = Refusal::RecipientUnavailable {
            call: None,
            recipient: None,
        };
        match (self.own, receiver) {
            (Some((_, Role::Receiver)), _) | (_, None) => Ok(None),
            (_, Some(receiver)) => receiver.parse().map(Some).map_err(|_| nobody),
        }
    }
}

fn register(fields: RegisterFields) -> Result<Command, Refusal> {
    let name =
        Name::parse(fields.room.as_deref().unwrap_or(COMMON_ROOM)).ok_or(Refusal::InvalidName)?;
    let role = match fields.role {
        ClientRole::Sender => Role::Sender,
        ClientRole::Receiver => Role::Receiver,
    };
    let room = RoomId {
        kind: RoomKind::Stream,
        name,
    };
    Ok(Command::Join(Join {
        room,
        name: None,
        role,
        seat: chance::seat(),
        resume: None,
    }))
}
