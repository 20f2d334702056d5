//! Messages of PeerJS clients, as peerjs-server understands them (`PROTOCOL.md`).
//!
//! In: its messages, both ways. Not in: its paths (`http.rs`), who has which id (`hub`).
//!
//! A client destroys itself on `ERROR`, so that a message which cannot be used is dropped in silence, as peerjs-server does.

pub(crate) mod http;

use std::borrow::Cow;

use ice_api::IceConfig;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Adapter, Request, Unwelcome, json, kind_of, whole};
use crate::hub::{
    CloseReason, Command, Event, Name, Payload, PeerId, PeerKind, PeerMessage, PeerToken, Refusal,
    UserId,
};

/// The protocol for one connection.
#[derive(Default)]
pub(crate) struct PeerJs {
    own: Option<PeerId>,
}

/// The id that a client asks for at its upgrade, and the proof that it is its own.
pub(crate) struct Claim {
    pub(crate) id: PeerId,
    pub(crate) token: PeerToken,
}

impl Claim {
    pub(crate) fn parse(id: &str, token: &str) -> Option<Claim> {
        Some(Claim {
            id: PeerId(Name::parse(id)?),
            token: PeerToken(Name::parse(token)?),
        })
    }

    /// That of a client whose token proves who it is, which may be longer than a name and is not kept.
    pub(crate) fn of_user(id: &str) -> Option<Claim> {
        let id = PeerId(Name::parse(id)?);
        let token = PeerToken(id.0.clone());
        Some(Claim { id, token })
    }

    /// Asks for the id, in the name of its `owner` if that is known: a user's next token is another one.
    pub(crate) fn command(&self, owner: Option<&UserId>) -> Command {
        let own = owner.map(|user| PeerToken(user.0.clone()));
        Command::Claim {
            peer: self.id.clone(),
            token: own.unwrap_or_else(|| self.token.clone()),
        }
    }
}

#[derive(Deserialize)]
struct Incoming<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    dst: Option<Cow<'a, str>>,
    payload: Option<Box<RawValue>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "SCREAMING-KEBAB-CASE")]
enum Outgoing<'a> {
    Open,
    IdTaken { payload: Words<'a> },
    InvalidKey { payload: Words<'a> },
    Error { payload: Words<'a> },
    Offer(Told<'a>),
    Answer(Told<'a>),
    Candidate(Told<'a>),
    Leave(Told<'a>),
    Expire(Told<'a>),
}

#[derive(Serialize)]
struct Words<'a> {
    msg: &'a str,
}

#[derive(Serialize)]
struct Told<'a> {
    src: &'a PeerId,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst: Option<&'a PeerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a Payload>,
}

impl Adapter for PeerJs {
    fn name(&self) -> &'static str {
        "peerjs"
    }

    fn read(&mut self, text: &str) -> Result<Request, Refusal> {
        let incoming: Result<Incoming<'_>, _> = whole(text);
        let kind = match &incoming {
            Ok(incoming) => Cow::Borrowed(incoming.kind.as_ref()),
            Err(_) => Cow::Owned(kind_of(text)?),
        };
        let kind = match kind.as_ref() {
            "HEARTBEAT" => return Ok(Request::Hello),
            "OFFER" => PeerKind::Offer,
            "ANSWER" => PeerKind::Answer,
            "CANDIDATE" => PeerKind::Candidate,
            "LEAVE" => PeerKind::Leave,
            _ => return Err(Refusal::UnknownType),
        };
        let Incoming { dst, payload, .. } = incoming?;
        let to = match (dst, kind) {
            (Some(dst), _) => PeerId(Name::parse(&dst).ok_or(Refusal::InvalidName)?),
            // Whoever leaves nobody in particular leaves the server.
            (None, PeerKind::Leave) => return Ok(Request::Hub(Command::Bye)),
            (None, _) => return Err(Refusal::InvalidMessage),
        };
        let data = payload.map(Payload::from);
        Ok(Request::Hub(Command::PeerTell { to, kind, data }))
    }

    fn write(&mut self, event: &Event, _: Option<&IceConfig>) -> Option<String> {
        let words = |msg| Words { msg };
        match event {
            Event::PeerClaimed(id) => {
                self.own = Some(id.clone());
                json(&Outgoing::Open)
            }
            Event::Peer(message) => json(&self.told(message)),
            Event::Refused(Refusal::IdTaken) => json(&Outgoing::IdTaken {
                payload: words("ID is taken"),
            }),
            Event::Closed(CloseReason::Full) => json(&Outgoing::Error {
                payload: words("Server has reached its concurrent user limit"),
            }),
            // The protocol has no words for users, rooms, calls and presence.
            _ => None,
        }
    }

    fn write_ice(&mut self, _: &IceConfig) -> Option<String> {
        None
    }

    fn write_pong(&mut self) -> Option<String> {
        None
    }

    fn write_unwelcome(&mut self, unwelcome: Unwelcome) -> Option<String> {
        let words = |msg| Words { msg };
        json(&match unwelcome {
            Unwelcome::BadKey => Outgoing::InvalidKey {
                payload: Words {
                    msg: "Invalid key provided",
                },
            },
            Unwelcome::NoName => Outgoing::Error {
                payload: Words {
                    msg: "No id, token, or key supplied to websocket server",
                },
            },
            Unwelcome::BadToken => Outgoing::Error {
                payload: words("Authentication failed"),
            },
            Unwelcome::Unavailable => Outgoing::Error {
                payload: words("Authentication is not available"),
            },
        })
    }
}

impl PeerJs {
    /// The sender is who the hub says, whatever the sender said.
    fn told<'a>(&'a self, message: &'a PeerMessage) -> Outgoing<'a> {
        let told = Told {
            src: &message.from,
            dst: self.own.as_ref(),
            payload: message.data.as_ref(),
        };
        match message.kind {
            PeerKind::Offer => Outgoing::Offer(told),
            PeerKind::Answer => Outgoing::Answer(told),
            PeerKind::Candidate => Outgoing::Candidate(told),
            PeerKind::Leave => Outgoing::Leave(told),
            PeerKind::Expire => Outgoing::Expire(told),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> PeerJs {
        let mut adapter = PeerJs::default();
        let id = PeerId(Name::parse("bob").unwrap());
        assert_eq!(
            adapter.write(&Event::PeerClaimed(id), None).as_deref(),
            Some(r#"{"type":"OPEN"}"#)
        );
        adapter
    }

    #[test]
    fn a_payload_passes_byte_for_byte_and_the_sender_is_ours_to_name() {
        let text = r#"{"type":"OFFER","src":"mallory","dst":"bob","payload":{"sdp":{"sdp":"v=0\r\n", "n":1.50}}}"#;
        let Ok(Request::Hub(Command::PeerTell { to, kind, data })) = own().read(text) else {
            panic!("not read")
        };
        assert_eq!((to.0.as_str(), kind), ("bob", PeerKind::Offer));
        let from = PeerId(Name::parse("ann").unwrap());
        let message = PeerMessage { from, kind, data };
        assert_eq!(
            own().write(&Event::Peer(message), None).as_deref(),
            Some(
                r#"{"type":"OFFER","src":"ann","dst":"bob","payload":{"sdp":{"sdp":"v=0\r\n", "n":1.50}}}"#
            )
        );
    }

    #[test]
    fn what_only_the_server_says_is_not_taken_from_a_client() {
        for text in [
            r#"{"type":"EXPIRE","src":"a","dst":"b"}"#,
            r#"{"type":"OPEN"}"#,
            r#"{"type":"ID-TAKEN","dst":"b"}"#,
            r#"{"type":"offer","dst":"b"}"#,
        ] {
            assert!(
                matches!(own().read(text), Err(Refusal::UnknownType)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_names_nobody_is_not_passed_on() {
        for text in [
            r#"{"type":"OFFER"}"#,
            r#"{"type":"OFFER","dst":""}"#,
            r#"{"type":"OFFER","dst":7}"#,
            r#"{"type":"CANDIDATE","dst":"a\u0000b"}"#,
            r#"["OFFER","bob",{}]"#,
        ] {
            assert!(own().read(text).is_err(), "{text}");
        }
        assert!(matches!(
            own().read(r#"{"type":"LEAVE"}"#),
            Ok(Request::Hub(Command::Bye))
        ));
        assert!(matches!(
            own().read(r#"{"type":"HEARTBEAT","dst":7}"#),
            Ok(Request::Hello)
        ));
        assert!(matches!(
            own().read(r#"{"type":"HEARTBEAT"}"#),
            Ok(Request::Hello)
        ));
    }
}
