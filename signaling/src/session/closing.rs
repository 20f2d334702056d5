//! How a conversation ends: what a frame, an error or the hub says about it, and the close frame for it.
//!
//! In: close codes and their words, the closing handshake. Not in: who decides to end (`session.rs`).

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, close_code};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite;

use super::Wire;
use crate::hub::{CloseReason, Departure};

/// How long a client may take to answer a close.
pub(super) const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// How long a close frame may take to arrive where nothing more can be read: longer than a round trip around the world. What
/// was refused is still unread, and letting go of it resets the connection, which would overtake the frame.
const LINGER: Duration = Duration::from_millis(500);

/// A close frame: a code (RFC 6455 §7.4, IANA's registry) and words.
pub(super) type Farewell = (u16, &'static str);

pub(super) const AUTHENTICATION_FAILED: Farewell = (close_code::POLICY, "Authentication failed");
pub(super) const AUTHENTICATION_UNAVAILABLE: Farewell =
    (close_code::AGAIN, "Authentication is not available");
pub(super) const NO_HELLO: Farewell = (close_code::POLICY, "No hello in time");
const TOO_BIG: Farewell = (close_code::SIZE, "Message too big");
const PROTOCOL_ERROR: Farewell = (close_code::PROTOCOL, "Protocol error");
pub(super) const STOPPING: Farewell = (close_code::AWAY, "The server stops");

/// How a conversation ended, and the close frame that is still to be sent.
pub(super) struct Ending(pub(super) Departure, pub(super) Option<Farewell>);

/// A conversation goes on, or has ended.
pub(super) type Step = Result<(), Ending>;

pub(super) enum Heard {
    Text(Utf8Bytes),
    SignOfLife,
}

/// Sorts what came from the socket.
pub(super) fn understand(frame: Option<Result<Message, axum::Error>>) -> Result<Heard, Ending> {
    match frame {
        Some(Ok(Message::Text(text))) => Ok(Heard::Text(text)),
        // Some libraries send text as binary frames.
        Some(Ok(Message::Binary(bytes))) => match Utf8Bytes::try_from(bytes) {
            Ok(text) => Ok(Heard::Text(text)),
            Err(_) => Err(Ending(Departure::Lost, Some(PROTOCOL_ERROR))),
        },
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(Heard::SignOfLife),
        Some(Ok(Message::Close(frame))) => Err(Ending(departure(frame.as_ref()), None)),
        Some(Err(error)) => Err(Ending(Departure::Lost, complaint(error))),
        None => Err(Ending(Departure::Lost, None)),
    }
}

/// What browsers send when a page goes away or closes is leaving; what programs make up is not.
fn departure(frame: Option<&CloseFrame>) -> Departure {
    match frame.map(|frame| frame.code) {
        None | Some(close_code::NORMAL | close_code::AWAY | close_code::STATUS) => {
            Departure::Closed
        }
        Some(_) => Departure::Lost,
    }
}

/// The close frame for what tungstenite refuses to read; none if the connection is simply gone.
fn complaint(error: axum::Error) -> Option<Farewell> {
    match error.into_inner().downcast_ref::<tungstenite::Error>()? {
        tungstenite::Error::Capacity(_) => Some(TOO_BIG),
        tungstenite::Error::Protocol(
            tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => None,
        tungstenite::Error::Protocol(_) => Some(PROTOCOL_ERROR),
        tungstenite::Error::Utf8(_) => Some((close_code::INVALID, "Text is not UTF-8")),
        _ => None,
    }
}

pub(super) fn farewell(reason: CloseReason) -> Farewell {
    match reason {
        CloseReason::Bye => (close_code::NORMAL, ""),
        CloseReason::Resumed => (4001, "Resumed on another connection"),
        CloseReason::Refused => (close_code::POLICY, "Refused"),
        CloseReason::Full => (close_code::AGAIN, "Too many connections"),
        CloseReason::TooSlow => (close_code::AGAIN, "Too slow"),
        CloseReason::Elsewhere => (close_code::RESTART, "The server ends soon: connect again"),
    }
}

/// A close code as a label.
pub(super) fn code_word(code: u16) -> &'static str {
    match code {
        close_code::NORMAL => "1000",
        close_code::AWAY => "1001",
        close_code::PROTOCOL => "1002",
        close_code::INVALID => "1007",
        close_code::POLICY => "1008",
        close_code::SIZE => "1009",
        close_code::RESTART => "1012",
        close_code::AGAIN => "1013",
        _ => "other",
    }
}

/// Says why, and waits a little for the other side's close frame, so that ours arrives before the connection is reset. Behind
/// what could not be read, nothing is read any more, so that the wait is for a time.
pub(super) async fn close(socket: &mut Wire, (code, reason): Farewell) {
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    let _ = timeout(CLOSE_LIMIT, async {
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            loop {
                match socket.recv().await {
                    Some(Ok(Message::Close(_))) => return,
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return sleep(LINGER).await,
                }
            }
        }
    })
    .await;
}
