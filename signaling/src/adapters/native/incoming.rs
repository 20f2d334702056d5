//! Messages of native clients.
//!
//! In: every type and field that is read; unknown fields are ignored. Not in: whether what they ask for is allowed (`hub`).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::adapters::{Request, fields, kind_of, whole};
use crate::chance;
use crate::hub::{
    CallId, CallSignal, CallType, Command, Join, Name, Payload, Refusal, Role, RoomId, RoomKind,
    SignalKind, UserId,
};

#[derive(Deserialize)]
struct JoinFields {
    room: String,
    name: Option<String>,
    resume: Option<String>,
}

#[derive(Deserialize)]
struct SignalFields {
    to: String,
    data: Box<RawValue>,
}

/// The message of which there are most, with its type.
#[derive(Deserialize)]
struct WholeSignal<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    to: Cow<'a, str>,
    data: Box<RawValue>,
}

#[derive(Deserialize)]
struct PresenceFields {
    watch: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallFields {
    call_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitiateFields {
    call_id: String,
    recipient_ids: Vec<String>,
    call_type: CallType,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescriptionFields {
    call_id: String,
    recipient_id: String,
    sdp: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CandidateFields {
    call_id: String,
    recipient_id: String,
    candidate: Box<RawValue>,
}

pub(super) fn read(text: &str) -> Result<Request, Refusal> {
    if let Ok(said) = whole::<WholeSignal<'_>>(text)
        && said.kind == "signal"
    {
        return Ok(Request::Hub(told(&said.to, said.data)?));
    }
    let kind = kind_of(text)?;
    let command = match kind.as_str() {
        "hello" => return Ok(Request::Hello),
        "ice-servers" => return Ok(Request::IceServers),
        "ping" => return Ok(Request::Ping),
        "join" => join(fields(text)?)?,
        "leave" => Command::Leave,
        "bye" => Command::Bye,
        "signal" => signal(fields(text)?)?,
        "presence" => Command::Presence {
            watch: fields::<PresenceFields>(text)?.watch,
        },
        "call-initiate" => initiate(fields(text)?)?,
        "call-answer" => Command::CallAnswer(call(&fields::<CallFields>(text)?.call_id)?),
        "call-reject" => Command::CallReject(call(&fields::<CallFields>(text)?.call_id)?),
        "call-end" => Command::CallEnd(call(&fields::<CallFields>(text)?.call_id)?),
        "offer" => description(SignalKind::Offer, fields(text)?)?,
        "answer" => description(SignalKind::Answer, fields(text)?)?,
        "renegotiate" => description(SignalKind::Renegotiate, fields(text)?)?,
        "ice-candidate" => candidate(fields(text)?)?,
        _ => return Err(Refusal::UnknownType),
    };
    Ok(Request::Hub(command))
}

fn join(fields: JoinFields) -> Result<Command, Refusal> {
    let room = RoomId {
        kind: RoomKind::Mesh,
        name: name(&fields.room)?,
    };
    let display_name = fields.name.as_deref().map(name).transpose()?;
    // A key that cannot be one is as good as none: the client becomes a new member.
    let resume = fields.resume.and_then(|key| key.parse().ok());
    Ok(Command::Join(Join {
        room,
        name: display_name,
        role: Role::Peer,
        seat: chance::seat(),
        resume,
    }))
}

fn signal(fields: SignalFields) -> Result<Command, Refusal> {
    told(&fields.to, fields.data)
}

fn told(to: &str, data: Box<RawValue>) -> Result<Command, Refusal> {
    let nobody = Refusal::RecipientUnavailable {
        call: None,
        recipient: None,
    };
    let to = to.parse().map_err(|_| nobody)?;
    Ok(Command::Signal {
        kind: SignalKind::Opaque,
        to: Some(to),
        data: data.into(),
    })
}

fn initiate(fields: InitiateFields) -> Result<Command, Refusal> {
    let recipients = fields
        .recipient_ids
        .iter()
        .map(|recipient| user(recipient))
        .collect::<Result<_, _>>()?;
    Ok(Command::CallInitiate {
        call: call(&fields.call_id)?,
        recipients,
        call_type: fields.call_type,
    })
}

fn description(kind: SignalKind, fields: DescriptionFields) -> Result<Command, Refusal> {
    let data = Payload::from(fields.sdp);
    if !data.is_string() {
        // A client without a peer connection answers with `undefined`, which breaks the one that gets it.
        return Err(Refusal::InvalidMessage);
    }
    let (call, to) = (call(&fields.call_id)?, user(&fields.recipient_id)?);
    Ok(Command::CallSignal(CallSignal {
        kind,
        call,
        to,
        data,
    }))
}

fn candidate(fields: CandidateFields) -> Result<Command, Refusal> {
    let (call, to) = (call(&fields.call_id)?, user(&fields.recipient_id)?);
    Ok(Command::CallSignal(CallSignal {
        kind: SignalKind::Candidate,
        call,
        to,
        data: fields.candidate.into(),
    }))
}

fn name(text: &str) -> Result<Name, Refusal> {
    Name::parse(text).ok_or(Refusal::InvalidName)
}

fn call(text: &str) -> Result<CallId, Refusal> {
    Name::parse(text).map(CallId).ok_or(Refusal::InvalidMessage)
}

fn user(text: &str) -> Result<UserId, Refusal> {
    Name::parse(text).map(UserId).ok_or(Refusal::InvalidMessage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Option<Refusal> {
        read(text).err()
    }

    #[test]
    fn a_relayed_value_keeps_every_byte() {
        let text = r#"{"type":"signal","to":"000000000000000f","data":{"b":1.50,"a":[" ", "é\u00e9"],"deep":[[[[]]]]}}"#;
        let Ok(Request::Hub(Command::Signal { to, data, .. })) = read(text) else {
            panic!("not read")
        };
        assert_eq!(to.map(|member| member.0), Some(15));
        assert_eq!(
            data.as_str(),
            r#"{"b":1.50,"a":[" ", "é\u00e9"],"deep":[[[[]]]]}"#
        );
    }

    #[test]
    fn a_signal_is_one_however_its_names_are_written_and_in_which_order() {
        for text in [
            r#"{"data":1,"to":"000000000000000f","type":"signal","more":[]}"#,
            r#" {"t\u0079pe":"s\u0069gnal","to":"\u003000000000000000f","data":1}"#,
        ] {
            assert!(
                matches!(read(text), Ok(Request::Hub(Command::Signal { to: Some(to), .. })) if to.0 == 15),
                "{text}"
            );
        }
        for text in [
            r#"["signal","000000000000000f",1]"#,
            r#"{"type":"signal","type":"signal","to":"f","data":1}"#,
        ] {
            assert_eq!(refusal(text), Some(Refusal::InvalidMessage), "{text}");
        }
        assert!(read(r#"{"type":"leave","to":"f","data":1}"#).is_ok());
    }

    #[test]
    fn missing_and_mistyped_fields_are_an_invalid_message() {
        for text in [
            r#"{"type":"join"}"#,
            r#"{"type":"join","room":5}"#,
            r#"{"type":"signal","to":"1"}"#,
            r#"{"type":"call-initiate","callId":"c","recipientIds":"bob","callType":"video"}"#,
            r#"{"type":"call-initiate","callId":"c","recipientIds":["bob"],"callType":"hologram"}"#,
            r#"{"type":"call-initiate","callId":"c","recipientIds":["bob"]}"#,
            r#"{"type":"call-answer"}"#,
            r#"{"type":"call-end","callId":""}"#,
            r#"{"type":"offer","callId":"c","recipientId":"bob"}"#,
            r#"{"type":"answer","callId":"c","recipientId":"bob","sdp":null}"#,
            r#"{"type":"answer","callId":"c","recipientId":"bob","sdp":{"type":"answer"}}"#,
            r#"{"type":"ice-candidate","callId":"c","recipientId":"bob"}"#,
            r#"{"type":"presence","watch":"yes"}"#,
        ] {
            assert_eq!(refusal(text), Some(Refusal::InvalidMessage), "{text}");
        }
    }

    #[test]
    fn a_bad_name_and_an_impossible_member_are_refused_as_such() {
        assert_eq!(
            refusal(r#"{"type":"join","room":""}"#),
            Some(Refusal::InvalidName)
        );
        assert_eq!(
            refusal(r#"{"type":"join","room":"r","name":"a\u0000b"}"#),
            Some(Refusal::InvalidName)
        );
        let nobody = Refusal::RecipientUnavailable {
            call: None,
            recipient: None,
        };
        assert_eq!(
            refusal(r#"{"type":"signal","to":"nobody","data":1}"#),
            Some(nobody)
        );
    }

    #[test]
    fn unknown_types_are_refused_and_unknown_fields_ignored() {
        assert_eq!(
            refusal(r#"{"type":"subscribe"}"#),
            Some(Refusal::UnknownType)
        );
        assert!(read(r#"{"type":"join","room":"r","colour":"red"}"#).is_ok());
    }
}
