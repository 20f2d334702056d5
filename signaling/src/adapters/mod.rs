//! Adapters: what a protocol's messages mean to the hub, and how the hub's events look in it.
//!
//! In: the interface, and what all protocols of JSON over WebSocket share. Not in: sockets (`session.rs`), rules (`hub`).
//! A further protocol is one more file here.

pub(crate) mod native;
pub(crate) mod peerjs;
pub(crate) mod socketio;
pub(crate) mod stream;

use std::borrow::Cow;

use ice_api::IceConfig;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::hub::{Command, Event, Refusal};

/// One protocol, for one connection.
pub(crate) trait Adapter: Send {
    /// What it is called where connections are counted.
    fn name(&self) -> &'static str;

    /// Reads a message.
    fn read(&mut self, text: &str) -> Result<Request, Refusal>;

    /// Writes an event; `None` if the protocol has no word for it. `ice` accompanies [`Event::Joined`].
    fn write(&mut self, event: &Event, ice: Option<&IceConfig>) -> Option<String>;

    /// Answers [`Request::IceServers`].
    fn write_ice(&mut self, ice: &IceConfig) -> Option<String>;

    /// Answers [`Request::Ping`].
    fn write_pong(&mut self) -> Option<String>;

    /// Says that the message just read was read, where the client asked for that.
    fn write_ack(&mut self) -> Option<String> {
        None
    }

    /// Says before the close frame why a client may not come in, where the protocol has words for it.
    fn write_unwelcome(&mut self, _: Unwelcome) -> Option<String> {
        None
    }
}

/// Why a client may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unwelcome {
    /// It has shown no key, or not the right one.
    BadKey,
    /// It has not said who it is, or what it said cannot be a name.
    NoName,
    /// Its token proves nothing.
    BadToken,
    /// Nobody can say at the moment whose its token is.
    Unavailable,
}

impl Unwelcome {
    /// What it is called where such are counted.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Unwelcome::BadKey => "key",
            Unwelcome::NoName => "name",
            Unwelcome::BadToken => "token",
            Unwelcome::Unavailable => "unavailable",
        }
    }
}

/// What a message asks for.
pub(crate) enum Request {
    /// Something of the hub.
    Hub(Command),
    /// Nothing: it only said who is there.
    Hello,
    /// Fresh ICE servers.
    IceServers,
    /// A sign of life.
    Ping,
}

/// What the first message says about its sender; empty where it says nothing readable.
#[derive(Default)]
pub(crate) struct Opening {
    pub(crate) kind: String,
    pub(crate) token: Option<String>,
    pub(crate) key: Option<String>,
    /// What others are to see of the user.
    pub(crate) name: Option<String>,
}

impl Opening {
    pub(crate) fn read(text: &str) -> Opening {
        #[derive(Default, Deserialize)]
        struct Fields<'a> {
            #[serde(borrow)]
            token: Option<&'a RawValue>,
            #[serde(borrow)]
            key: Option<&'a RawValue>,
            #[serde(borrow)]
            name: Option<&'a RawValue>,
        }
        let fields: Fields<'_> = serde_json::from_str(text).unwrap_or_default();
        let string = |value: Option<&RawValue>| serde_json::from_str(value?.get()).ok();
        Opening {
            kind: kind_of(text).unwrap_or_default(),
            token: string(fields.token),
            key: string(fields.key),
            name: string(fields.name),
        }
    }
}

/// Reads the `type` of a message. The rest is skipped without recursion, however deep it is.
pub(crate) fn kind_of(text: &str) -> Result<String, Refusal> {
    #[derive(Deserialize)]
    struct Fields<'a> {
        #[serde(rename = "type", borrow)]
        kind: Option<&'a RawValue>,
    }
    if !text.trim_start().starts_with('{') {
        return Err(Refusal::InvalidMessage);
    }
    let fields: Fields<'_> = serde_json::from_str(text).map_err(|_| Refusal::InvalidMessage)?;
    let kind = fields.kind.ok_or(Refusal::UnknownType)?;
    let kind: Cow<'_, str> = serde_json::from_str(kind.get()).map_err(|_| Refusal::UnknownType)?;
    Ok(kind.into_owned())
}

/// Reads type and fields in one go. What is relayed is read so, because there is most of it; of what cannot be, [`kind_of`] says why.
pub(crate) fn whole<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Refusal> {
    // Fields in a row are no message, though a reader of structs takes them.
    match text.trim_start().starts_with('{') {
        true => fields(text),
        false => Err(Refusal::InvalidMessage),
    }
}

/// Reads the fields of a message whose type is known.
pub(crate) fn fields<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Refusal> {
    serde_json::from_str(text).map_err(|_| Refusal::InvalidMessage)
}

/// Bytes that most messages need at most: of those that are told a lot, candidates are the longest. The room is given back as soon as
/// the message is sent.
const USUAL: usize = 1_024;

/// Writes a message. Ours always can be: they have string keys and nothing that fails.
pub(crate) fn json(message: &impl serde::Serialize) -> Option<String> {
    json_behind("", message)
}

/// Writes a message behind what is no JSON.
pub(crate) fn json_behind(head: &str, message: &impl serde::Serialize) -> Option<String> {
    let mut text = Vec::with_capacity(USUAL);
    text.extend_from_slice(head.as_bytes());
    serde_json::to_writer(&mut text, message).ok()?;
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_a_message_is_read_or_refused_in_the_seed_s_words() {
        assert_eq!(
            kind_of(r#"{"a": 1, "type": "join"}"#),
            Ok("join".to_owned())
        );
        for (text, refusal) in [
            ("", Refusal::InvalidMessage),
            ("null", Refusal::InvalidMessage),
            ("[\"type\"]", Refusal::InvalidMessage),
            ("{", Refusal::InvalidMessage),
            (r#"{"type": "a", "type": "b"}"#, Refusal::InvalidMessage),
            ("{}", Refusal::UnknownType),
            (r#"{"type": 5}"#, Refusal::UnknownType),
            (r#"{"type": null}"#, Refusal::UnknownType),
        ] {
            assert_eq!(kind_of(text), Err(refusal), "{text}");
        }
    }

    #[test]
    fn deep_json_is_read_in_constant_stack() {
        let deep = format!(
            r#"{{"data": {}{}, "type": "x"}}"#,
            "[".repeat(30_000),
            "]".repeat(30_000)
        );
        assert_eq!(kind_of(&deep), Ok("x".to_owned()));
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_clients_send_breaks_an_adapter(
            kind in "[a-z-]{0,14}|join|signal|offer|answer|ice-candidate|register|call-initiate|presence|OFFER|LEAVE",
            rest in r#"(,"(room|name|to|dst|payload|data|sdp|role|callId|recipientId|recipientIds|receiverId|watch)":("[^"]{0,20}"|[0-9]{1,30}|null|\[\]|\{\}|true)){0,4}"#,
            noise in ".{0,40}",
        ) {
            for text in [format!(r#"{{"type":"{kind}"{rest}}}"#), noise] {
                Opening::read(&text);
                let _ = native::Native.read(&text);
                let _ = stream::Stream::default().read(&text);
                let _ = peerjs::PeerJs::default().read(&text);
                let _ = socketio::SocketIo::default().read(&text);
                let _ = socketio::SocketIo::default().read(&format!("42[\"{kind}\",{text}]"));
                socketio::opening(&text);
            }
        }
    }

    #[test]
    fn an_opening_takes_what_it_can_read() {
        let opening = Opening::read(r#"{"type": "join", "token": "ann", "key": 5}"#);
        assert_eq!(
            (opening.kind.as_str(), opening.token.as_deref(), opening.key),
            ("join", Some("ann"), None)
        );
        assert_eq!(Opening::read("nonsense").kind, "");
    }
}
