//! Clients of the older call service, over sockets: exactly the messages that its own client code sends and understands.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is the report"
)]

mod common;

use common::{Server, config};
use serde_json::json;
use signaling::Config;
use signaling::hub::Limits;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test]
async fn the_client_s_own_sequence_brings_a_call_up_and_down() {
    let server = Server::start().await;
    let (mut ann, mut bob) = (server.user("ann").await, server.user("bob").await);
    // initiateCall: the offer, then candidates as they are found, then the notice.
    ann.send(
        json!({"type": "offer", "callId": "call_1_a", "recipientId": "bob", "sdp": "v=0 offer"}),
    )
    .await;
    let candidate = json!({"candidate": "candidate:1 1 udp 1 192.0.2.1 1 typ host", "sdpMid": "0", "sdpMLineIndex": 0});
    ann.send(json!({"type": "ice-candidate", "callId": "call_1_a", "recipientId": "bob", "candidate": candidate})).await;
    ann.send(json!({"type": "call-initiate", "callId": "call_1_a", "recipientIds": ["bob"], "callType": "video"})).await;
    assert_eq!(
        bob.recv().await,
        json!({"type": "offer", "callId": "call_1_a", "senderId": "ann", "sdp": "v=0 offer"})
    );
    let told = json!({"type": "ice-candidate", "callId": "call_1_a", "senderId": "ann", "candidate": candidate});
    assert_eq!(bob.recv().await, told);
    let incoming = bob.recv().await;
    assert_eq!(incoming["type"], "incoming-call");
    assert_eq!(
        (&incoming["callId"], &incoming["initiatorId"]),
        (&json!("call_1_a"), &json!("ann"))
    );
    assert_eq!(
        (&incoming["callType"], &incoming["sdp"]),
        (&json!("video"), &json!("v=0 offer"))
    );
    // answerCall: the answer, then the notice.
    bob.send(
        json!({"type": "answer", "callId": "call_1_a", "recipientId": "ann", "sdp": "v=0 answer"}),
    )
    .await;
    bob.send(json!({"type": "call-answer", "callId": "call_1_a"}))
        .await;
    assert_eq!(
        ann.recv().await,
        json!({"type": "answer", "callId": "call_1_a", "senderId": "bob", "sdp": "v=0 answer"})
    );
    assert_eq!(
        ann.recv().await,
        json!({"type": "call-answered", "callId": "call_1_a", "userId": "bob"})
    );
    assert_eq!(
        bob.recv().await,
        told,
        "repeated, because its peer connection did not exist when it rang"
    );
    // onnegotiationneeded, restartIce, endCall.
    bob.send(json!({"type": "renegotiate", "callId": "call_1_a", "recipientId": "ann", "sdp": "v=0 more"})).await;
    assert_eq!(
        ann.recv().await,
        json!({"type": "renegotiate", "callId": "call_1_a", "senderId": "bob", "sdp": "v=0 more"})
    );
    ann.send(
        json!({"type": "answer", "callId": "call_1_a", "recipientId": "bob", "sdp": "v=0 yes"}),
    )
    .await;
    assert_eq!(
        bob.recv().await,
        json!({"type": "answer", "callId": "call_1_a", "senderId": "ann", "sdp": "v=0 yes"})
    );
    ann.send(
        json!({"type": "offer", "callId": "call_1_a", "recipientId": "bob", "sdp": "v=0 restart"}),
    )
    .await;
    assert_eq!(
        bob.recv().await,
        json!({"type": "offer", "callId": "call_1_a", "senderId": "ann", "sdp": "v=0 restart"})
    );
    ann.send(json!({"type": "call-end", "callId": "call_1_a"}))
        .await;
    assert_eq!(
        bob.recv().await,
        json!({"type": "call-ended", "callId": "call_1_a", "endedBy": "ann"})
    );
    ann.silent().await;
}

#[tokio::test]
async fn a_call_can_be_declined() {
    let server = Server::start().await;
    let (mut ann, mut bob) = (server.user("ann").await, server.user("bob").await);
    ann.send(json!({"type": "call-initiate", "callId": "c", "recipientIds": ["bob"], "callType": "audio"})).await;
    assert_eq!(
        bob.recv().await,
        json!({"type": "incoming-call", "callId": "c", "initiatorId": "ann", "callType": "audio"})
    );
    bob.send(json!({"type": "call-reject", "callId": "c"}))
        .await;
    assert_eq!(
        ann.recv().await,
        json!({"type": "call-rejected", "callId": "c", "userId": "bob"})
    );
}

#[tokio::test]
async fn errors_have_the_older_service_s_words() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    for (text, words) in [
        ("not json", "Invalid message format"),
        ("null", "Invalid message format"),
        (
            r#"{"type": "call-initiate", "callId": "c", "callType": "video"}"#,
            "Invalid message format",
        ),
        (r#"{"type": "teleport"}"#, "Unknown message type"),
        ("{}", "Unknown message type"),
        (
            r#"{"type": "offer", "callId": "c", "recipientId": "bob", "sdp": "o"}"#,
            "Recipient not available",
        ),
        (
            r#"{"type": "call-answer", "callId": "c"}"#,
            "Call not found",
        ),
    ] {
        ann.send_text(text).await;
        assert_eq!(ann.error().await, words, "{text}");
    }
    for silent in [
        json!({"type": "call-end", "callId": "c"}),
        json!({"type": "call-reject", "callId": "c"}),
        json!({"type": "ice-candidate", "callId": "c", "recipientId": "bob", "candidate": {}}),
        json!({"type": "renegotiate", "callId": "c", "recipientId": "bob", "sdp": "o"}),
    ] {
        ann.send(silent).await;
    }
    ann.silent().await;
}

#[tokio::test]
async fn a_token_that_cannot_be_a_name_is_closed_with_1008() {
    let server = Server::start().await;
    for path in ["/?token=", "/ws?token=", "/?token=a%0Ab"] {
        let mut client = server.connect(path).await;
        assert_eq!(
            client.closed().await,
            (1008, "Authentication failed".to_owned()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_same_works_at_ws_and_with_the_token_in_the_first_message() {
    let server = Server::start().await;
    let mut ann = server.connect("/ws?token=ann").await;
    assert_eq!(
        ann.recv().await,
        json!({"type": "connected", "userId": "ann"})
    );
    let mut bob = server.connect("/ws").await;
    bob.send(json!({"type": "hello", "token": "bob"})).await;
    assert_eq!(
        bob.recv().await,
        json!({"type": "connected", "userId": "bob"})
    );
    ann.send(json!({"type": "call-initiate", "callId": "c", "recipientIds": ["bob"], "callType": "audio"})).await;
    bob.expect("incoming-call").await;
}

#[tokio::test]
async fn defect_5_two_tabs_are_one_user_and_the_end_of_one_leaves_the_other() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let (first, mut second) = (server.user("bob").await, server.user("bob").await);
    first.leave().await;
    ann.send(json!({"type": "offer", "callId": "c", "recipientId": "bob", "sdp": "o"}))
        .await;
    second.expect("offer").await;
}

/// A text frame as a client sends it (RFC 6455 §5.2), masked with zeros.
fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
    frame.extend_from_slice(text.as_bytes());
    frame
}

#[tokio::test]
async fn defect_6_frames_sent_together_with_the_upgrade_are_not_lost() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let mut request = b"GET /?token=ann HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        .to_vec();
    for n in 0..3 {
        request.extend(frame(&format!(
            r#"{{"type":"call-answer","callId":"early-{n}"}}"#
        )));
    }
    stream.write_all(&request).await.unwrap();
    let mut received = Vec::new();
    let answered = async {
        while !String::from_utf8_lossy(&received).contains("early-2") {
            assert_ne!(
                stream.read_buf(&mut received).await.unwrap(),
                0,
                "closed early"
            );
        }
    };
    timeout(common::PATIENCE, answered)
        .await
        .expect("all three are answered");
    let text = String::from_utf8_lossy(&received);
    let position = |part: &str| text.find(part).unwrap();
    assert!(
        position("connected") < position("early-0") && position("early-0") < position("early-1")
    );
}

#[tokio::test]
async fn defect_7_a_call_that_nobody_answers_times_out() {
    let limits = Limits {
        ring: Duration::from_millis(300),
        ..Limits::default()
    };
    let server = Server::with(Config { limits, ..config() }).await;
    let (mut ann, mut bob) = (server.user("ann").await, server.user("bob").await);
    ann.send(json!({"type": "call-initiate", "callId": "c", "recipientIds": ["bob"], "callType": "video"})).await;
    bob.expect("incoming-call").await;
    let ended = json!({"type": "call-ended", "callId": "c", "endedBy": "ann", "reason": "timeout"});
    assert_eq!(ann.recv().await, ended);
    assert_eq!(bob.recv().await, ended);
}

#[tokio::test]
async fn defect_8_an_answer_without_a_description_is_not_passed_on() {
    let server = Server::start().await;
    let (mut ann, mut bob) = (server.user("ann").await, server.user("bob").await);
    ann.send(json!({"type": "offer", "callId": "c", "recipientId": "bob", "sdp": "o"}))
        .await;
    bob.expect("offer").await;
    // What the client sends when it is asked to renegotiate before it has a peer connection.
    bob.send(json!({"type": "answer", "callId": "c", "recipientId": "ann"}))
        .await;
    assert_eq!(bob.error().await, "Invalid message format");
    ann.silent().await;
}

#[tokio::test]
async fn a_broken_connection_has_time_to_come_back_and_a_closed_one_ends_the_call() {
    let server = Server::start().await;
    let (mut ann, mut bob) = (server.user("ann").await, server.user("bob").await);
    ann.send(json!({"type": "offer", "callId": "c", "recipientId": "bob", "sdp": "o"}))
        .await;
    bob.expect("offer").await;
    bob.send(json!({"type": "answer", "callId": "c", "recipientId": "ann", "sdp": "a"}))
        .await;
    ann.expect("answer").await;
    drop(bob);
    ann.silent().await;
    let mut bob = server.user("bob").await;
    ann.send(json!({"type": "offer", "callId": "c", "recipientId": "bob", "sdp": "restart"}))
        .await;
    bob.expect("offer").await;
    bob.leave().await;
    assert_eq!(
        ann.recv().await,
        json!({"type": "call-ended", "callId": "c", "endedBy": "bob"})
    );
}
