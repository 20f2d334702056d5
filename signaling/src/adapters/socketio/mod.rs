//! Events of Socket.IO clients (`PROTOCOL.md`): calls whose members exchange signals of simple-peer.
//!
//! In: Socket.IO 5 packets of the main namespace, and the events both ways. Not in: how packets travel (`engine.rs`).
//!
//! Written here and not taken from a library: of the protocol a few packets are needed, and the messages have to pass the
//! same outbox, pace and limits as everybody's.

pub(crate) mod engine;
pub(crate) mod http;

use std::borrow::Cow;
use std::fmt;

use ice_api::IceConfig;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::{Adapter, Opening, Request, Unwelcome, fields};
use crate::chance;
use crate::hub::{
    CallId, CallNotice, CallSignal, CallType, Command, Event, Name, Refusal, SignalKind, UserId,
};

/// How the names of calls begin that are to have sound only.
const AUDIO: &str = "call_audio_";
const VIDEO: &str = "call_video_";

/// Makes up the name of a call.
fn call_id(call_type: CallType) -> String {
    let prefix = match call_type {
        CallType::Audio => AUDIO,
        CallType::Video => VIDEO,
    };
    format!("{prefix}{}", chance::peer_id())
}

/// The protocol for one connection.
#[derive(Default)]
pub(crate) struct SocketIo {
    connected: bool,
    /// The number under which the client wants to hear that its event was read.
    ack: Option<u64>,
}

/// Engine.IO's number of messages, in front of every packet of Socket.IO.
const MESSAGE: char = '4';

/// Reads the first packet, which asks for the main namespace and says who is there.
pub(crate) fn opening(packet: &str) -> Opening {
    match packet.strip_prefix("40") {
        Some(auth) if auth.is_empty() || auth.starts_with('{') => Opening {
            kind: "connect".to_owned(),
            ..Opening::read(auth)
        },
        _ => Opening::default(),
    }
}

/// What a client emits: an event's name and what comes with it; anything more is skipped. Signals are read whole, because there are
/// most of them.
enum Emitted<'a> {
    Signal(SignalFields<'a>),
    Other(Cow<'a, str>, Option<&'a RawValue>),
}

impl<'de> Deserialize<'de> for Emitted<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = Emitted<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event's name and its data")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
                let name: Option<Word<'de>> = parts.next_element()?;
                let Word(event) = name.ok_or_else(|| serde::de::Error::custom("no name"))?;
                let emitted = match event == SIGNAL {
                    true => {
                        let fields = parts.next_element()?;
                        let fields = fields.ok_or_else(|| serde::de::Error::custom("no data"))?;
                        Emitted::Signal(fields)
                    }
                    false => Emitted::Other(event, parts.next_element()?),
                };
                while parts.next_element::<IgnoredAny>()?.is_some() {}
                Ok(emitted)
            }
        }
        deserializer.deserialize_seq(Parts)
    }
}

/// A string, borrowed if nothing in it is escaped.
#[derive(Deserialize)]
struct Word<'a>(#[serde(borrow)] Cow<'a, str>);

/// The event that is relayed.
const SIGNAL: &str = "webrtc-signal";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitiateFields {
    call_id: String,
    participants: Vec<String>,
    #[serde(rename = "type")]
    call_type: Option<CallType>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallFields {
    call_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignalFields<'a> {
    #[serde(borrow)]
    call_id: Cow<'a, str>,
    #[serde(borrow)]
    to: Cow<'a, str>,
    signal: Box<RawValue>,
}

#[derive(Default, Deserialize)]
struct PresenceFields {
    watch: Option<bool>,
}

impl Adapter for SocketIo {
    fn name(&self) -> &'static str {
        "socket.io"
    }

    fn read(&mut self, packet: &str) -> Result<Request, Refusal> {
        self.ack = None;
        let packet = packet.strip_prefix(MESSAGE);
        let packet = packet.ok_or(Refusal::InvalidMessage)?;
        let rest = packet.get(1..).unwrap_or_default();
        match packet.as_bytes().first() {
            Some(b'0') if !self.connected => {
                self.connected = true;
                Ok(Request::Hello)
            }
            Some(b'1') => Ok(Request::Hub(Command::Bye)),
            Some(b'2') => {
                let digits =
                    rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                let (number, text) = rest.split_at(digits);
                self.ack = number.parse().ok();
                event(text)
            }
            // We ask for no acknowledgements.
            Some(b'3') => Ok(Request::Hello),
            _ => Err(Refusal::InvalidMessage),
        }
    }

    fn write(&mut self, event: &Event, _: Option<&IceConfig>) -> Option<String> {
        said(event)
    }

    fn write_ice(&mut self, ice: &IceConfig) -> Option<String> {
        let servers = json!({
            "iceServers": ice.ice_servers,
            "iceTransportPolicy": ice.ice_transport_policy,
            "ttl": ice.ttl,
        });
        match self.ack.take() {
            Some(number) => Some(format!("43{number}[{servers}]")),
            None => emit("ice-servers", servers),
        }
    }

    fn write_pong(&mut self) -> Option<String> {
        None
    }

    fn write_ack(&mut self) -> Option<String> {
        self.ack.take().map(|number| format!("43{number}[]"))
    }

    fn write_unwelcome(&mut self, unwelcome: Unwelcome) -> Option<String> {
        let message = match unwelcome {
            Unwelcome::Unavailable => "Authentication is not available",
            _ => "Authentication failed",
        };
        Some(format!("44{}", json!({"message": message})))
    }
}

/// Reads what a client emits.
fn event(text: &str) -> Result<Request, Refusal> {
    let (event, data) = match fields(text)? {
        Emitted::Signal(fields) => return Ok(Request::Hub(signal(fields)?)),
        Emitted::Other(event, data) => (event, data.map_or("{}", RawValue::get)),
    };
    let command = match event.as_ref() {
        "ice-servers" => return Ok(Request::IceServers),
        "call-initiate" => initiate(fields(data)?)?,
        "call-accept" => Command::CallAnswer(call(data)?),
        "call-reject" => Command::CallReject(call(data)?),
        "call-end" => Command::CallEnd(call(data)?),
        "call-mute" => notice(data, CallNotice::Mute)?,
        "call-unmute" => notice(data, CallNotice::Unmute)?,
        "call-video-off" => notice(data, CallNotice::VideoOff)?,
        "call-video-on" => notice(data, CallNotice::VideoOn)?,
        "presence" => Command::Presence {
            watch: fields::<PresenceFields>(data)?.watch,
        },
        _ => return Err(Refusal::UnknownType),
    };
    Ok(Request::Hub(command))
}

fn signal(fields: SignalFields<'_>) -> Result<Command, Refusal> {
    Ok(Command::CallSignal(CallSignal {
        kind: SignalKind::Opaque,
        call: named(&fields.call_id)?,
        to: user(&fields.to)?,
        data: fields.signal.into(),
    }))
}

fn initiate(fields: InitiateFields) -> Result<Command, Refusal> {
    let named_type = match fields.call_id.starts_with(AUDIO) {
        true => CallType::Audio,
        false => CallType::Video,
    };
    let recipients = fields.participants.iter().map(|id| user(id));
    Ok(Command::CallInitiate {
        call: named(&fields.call_id)?,
        recipients: recipients.collect::<Result<_, _>>()?,
        call_type: fields.call_type.unwrap_or(named_type),
    })
}

fn notice(data: &str, notice: CallNotice) -> Result<Command, Refusal> {
    let call = call(data)?;
    Ok(Command::CallNotice { call, notice })
}

fn call(data: &str) -> Result<CallId, Refusal> {
    named(&fields::<CallFields>(data)?.call_id)
}

fn named(text: &str) -> Result<CallId, Refusal> {
    Name::parse(text).map(CallId).ok_or(Refusal::InvalidMessage)
}

fn user(text: &str) -> Result<UserId, Refusal> {
    Name::parse(text).map(UserId).ok_or(Refusal::InvalidMessage)
}

/// Writes what a client is told.
fn said(event: &Event) -> Option<String> {
    match event {
        Event::Connected(user) => Some(format!(
            "40{}",
            json!({"sid": chance::peer_id(), "userId": user})
        )),
        Event::IncomingCall {
            call,
            initiator,
            initiator_name,
            call_type,
            ..
        } => emit(
            "call-incoming",
            json!({"callId": call, "from": initiator, "fromName": initiator_name, "type": call_type}),
        ),
        Event::CallAnswered { call, user } => {
            emit("call-accepted", json!({"callId": call, "userId": user}))
        }
        Event::CallRejected { call, user, reason } => emit(
            "call-rejected",
            json!({"callId": call, "userId": user, "reason": reason}),
        ),
        Event::CallEnded {
            call,
            ended_by,
            reason,
        } => emit(
            "call-ended",
            json!({"callId": call, "endedBy": ended_by, "reason": reason}),
        ),
        Event::CallSignal {
            kind: SignalKind::Opaque,
            call,
            from,
            data,
        } => {
            #[derive(Serialize)]
            #[serde(rename_all = "camelCase")]
            struct Signal<'a> {
                call_id: &'a CallId,
                from: &'a UserId,
                signal: &'a crate::hub::Payload,
            }
            let (call_id, signal) = (call, data);
            emit(
                SIGNAL,
                Signal {
                    call_id,
                    from,
                    signal,
                },
            )
        }
        Event::CallNotice { call, from, notice } => {
            let data = json!({"callId": call, "userId": from});
            match notice {
                CallNotice::Mute => emit("call-mute", data),
                CallNotice::Unmute => emit("call-unmute", data),
                CallNotice::VideoOff => emit("call-video-off", data),
                CallNotice::VideoOn => emit("call-video-on", data),
            }
        }
        Event::Presence { users, total } => {
            emit("presence", json!({"users": users[..], "total": total}))
        }
        Event::PresenceChanged { online, offline } => emit(
            "presence-changed",
            json!({"online": online[..], "offline": offline[..]}),
        ),
        Event::Refused(refusal) => emit(
            "error",
            json!({
                "error": refusal.to_string(),
                "code": refusal.code(),
                "callId": refusal.call(),
                "recipientId": refusal.recipient(),
            }),
        ),
        // The protocol has no words for rooms, peers and SDP of other protocols.
        _ => None,
    }
}

fn emit(event: &str, data: impl Serialize) -> Option<String> {
    super::json_behind("42", &(event, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(packet: &str) -> Result<Request, Refusal> {
        SocketIo::default().read(&format!("4{packet}"))
    }

    #[test]
    fn a_signal_keeps_every_byte() {
        let packet = r#"2["webrtc-signal",{"callId":"c","to":"bob","signal":{"type":"offer","sdp":"v=0\r\n","n":1.50}},"more"]"#;
        let Ok(Request::Hub(Command::CallSignal(signal))) = read(packet) else {
            panic!("not read")
        };
        assert_eq!(
            signal.data.as_str(),
            r#"{"type":"offer","sdp":"v=0\r\n","n":1.50}"#
        );
        let from = UserId(Name::parse("ann").unwrap());
        let told = said(&Event::CallSignal {
            kind: signal.kind,
            call: signal.call,
            from,
            data: signal.data,
        });
        assert_eq!(
            told.as_deref(),
            Some(
                r#"42["webrtc-signal",{"callId":"c","from":"ann","signal":{"type":"offer","sdp":"v=0\r\n","n":1.50}}]"#
            )
        );
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for packet in [
            "",
            "2",
            "2[]",
            "2{}",
            "2[5]",
            "2[\"call-accept\"]",
            "2[\"call-accept\",null]",
            "2/admin,[\"call-accept\",{\"callId\":\"c\"}]",
            "2[\"call-initiate\",{\"callId\":\"c\",\"participants\":\"bob\"}]",
            "51-[\"webrtc-signal\",{\"_placeholder\":true,\"num\":0}]",
            "é",
        ] {
            assert_eq!(
                read(packet).err(),
                Some(Refusal::InvalidMessage),
                "{packet}"
            );
        }
        assert_eq!(read("2[\"join\",{}]").err(), Some(Refusal::UnknownType));
    }

    #[test]
    fn a_call_has_the_type_that_its_name_or_its_caller_says() {
        let type_of = |packet: &str| match read(packet) {
            Ok(Request::Hub(Command::CallInitiate { call_type, .. })) => call_type,
            _ => panic!("not read: {packet}"),
        };
        let initiate = |call: &str, more: &str| {
            format!(r#"2["call-initiate",{{"callId":"{call}","participants":["b"]{more}}}]"#)
        };
        assert_eq!(type_of(&initiate("x", "")), CallType::Video);
        assert_eq!(
            type_of(&initiate(&call_id(CallType::Video), "")),
            CallType::Video
        );
        assert_eq!(
            type_of(&initiate(&call_id(CallType::Audio), "")),
            CallType::Audio
        );
        assert_eq!(
            type_of(&initiate("x", r#","type":"audio""#)),
            CallType::Audio
        );
    }

    #[test]
    fn an_event_with_a_number_is_acknowledged_once() {
        let mut adapter = SocketIo::default();
        let _ = adapter.read(r#"4217["call-accept",{"callId":"c"}]"#);
        assert_eq!(adapter.write_ack().as_deref(), Some("4317[]"));
        assert_eq!(adapter.write_ack(), None);
        let _ = adapter.read(r#"4218["call-accept",{"callId":"c"}]"#);
        let _ = adapter.read(r#"42["call-accept",{"callId":"c"}]"#);
        assert_eq!(adapter.write_ack(), None);
    }

    #[test]
    fn only_the_main_namespace_is_there() {
        assert_eq!(
            opening(r#"40{"token":"ann"}"#).token.as_deref(),
            Some("ann")
        );
        assert_eq!(opening("40").kind, "connect");
        for packet in ["", "0", "42[]", "40/admin,", "40/admin,{\"token\":\"ann\"}"] {
            assert_eq!(opening(packet).kind, "", "{packet}");
        }
    }
}
