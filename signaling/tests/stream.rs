//! One sender and its receivers, over sockets, as a client knows them that was written for one receiver.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is the report"
)]

mod common;

use common::{Client, Server};
use serde_json::{Value, json};

async fn register(server: &Server, path: &str, role: &str) -> (Client, Value) {
    let mut client = server.connect(path).await;
    client.send(json!({"type": "register", "role": role})).await;
    let registered = client.expect("registered").await;
    assert_eq!(registered["role"], role);
    (client, registered)
}

#[tokio::test]
async fn the_plain_exchange_works_at_both_paths() {
    for path in ["/ws/stream", "/"] {
        let server = Server::start().await;
        let (mut phone, registered) = register(&server, path, "sender").await;
        let urls = &registered["turnConfig"]["iceServers"][1]["urls"];
        assert_eq!(urls[0], "turn:127.0.0.1:3478?transport=udp");
        assert!(registered.get("receiverId").is_none());
        let (mut laptop, registered) = register(&server, path, "receiver").await;
        assert_eq!(phone.expect("peer-connected").await["peer"], "receiver");
        let met = laptop.expect("peer-connected").await;
        assert_eq!(
            (&met["peer"], &met["receiverId"]),
            (&json!("sender"), &registered["receiverId"])
        );
        phone
            .send(json!({"type": "offer", "sdp": "v=0 offer"}))
            .await;
        assert_eq!(laptop.expect("offer").await["sdp"], "v=0 offer");
        laptop
            .send(json!({"type": "answer", "sdp": "v=0 answer"}))
            .await;
        assert_eq!(phone.expect("answer").await["sdp"], "v=0 answer");
        let candidate = json!({"candidate": "candidate:1", "sdpMid": "0", "sdpMLineIndex": 0});
        phone
            .send(json!({"type": "ice-candidate", "candidate": candidate}))
            .await;
        assert_eq!(laptop.expect("ice-candidate").await["candidate"], candidate);
        laptop
            .send(json!({"type": "ice-candidate", "candidate": candidate}))
            .await;
        assert_eq!(phone.expect("ice-candidate").await["candidate"], candidate);
        drop(laptop);
        assert_eq!(
            phone.expect("peer-disconnected").await["receiverId"],
            registered["receiverId"]
        );
    }
}

#[tokio::test]
async fn each_receiver_is_addressed_by_its_id() {
    let server = Server::start().await;
    let (mut phone, _) = register(&server, "/ws/stream", "sender").await;
    let (mut one, one_is) = register(&server, "/ws/stream", "receiver").await;
    let (mut two, two_is) = register(&server, "/ws/stream", "receiver").await;
    for receiver in [&one_is, &two_is] {
        assert_eq!(
            phone.expect("peer-connected").await["receiverId"],
            receiver["receiverId"]
        );
    }
    one.expect("peer-connected").await;
    two.expect("peer-connected").await;
    phone
        .send(json!({"type": "offer", "sdp": "for one", "receiverId": one_is["receiverId"]}))
        .await;
    phone
        .send(json!({"type": "offer", "sdp": "for the last"}))
        .await;
    assert_eq!(one.expect("offer").await["sdp"], "for one");
    assert_eq!(two.expect("offer").await["sdp"], "for the last");
    one.send(json!({"type": "answer", "sdp": "from one", "receiverId": two_is["receiverId"]}))
        .await;
    let answer = phone.expect("answer").await;
    assert_eq!(
        (&answer["sdp"], &answer["receiverId"]),
        (&json!("from one"), &one_is["receiverId"]),
        "ids cannot be forged"
    );
}

#[tokio::test]
async fn roles_are_kept_and_errors_are_in_message() {
    let server = Server::start().await;
    let (mut phone, _) = register(&server, "/ws/stream", "sender").await;
    let (mut laptop, _) = register(&server, "/ws/stream", "receiver").await;
    laptop.expect("peer-connected").await;
    phone.expect("peer-connected").await;
    laptop.send(json!({"type": "offer", "sdp": "x"})).await;
    assert_eq!(
        laptop.expect("error").await["message"],
        "Only the sender may send an offer"
    );
    phone.send(json!({"type": "answer", "sdp": "x"})).await;
    assert_eq!(
        phone.expect("error").await["message"],
        "Only a receiver may send an answer"
    );
    for (text, words) in [
        ("{", "Invalid message format"),
        (
            r#"{"type": "register", "role": "viewer"}"#,
            "Invalid message format",
        ),
        (r#"{"type": "offer"}"#, "Invalid message format"),
        (r#"{"type": "call-initiate"}"#, "Unknown message type"),
    ] {
        phone.send_text(text).await;
        assert_eq!(phone.expect("error").await["message"], words, "{text}");
    }
}

#[tokio::test]
async fn a_second_sender_and_the_unregistered_are_refused_in_words() {
    let server = Server::start().await;
    let _phone = register(&server, "/ws/stream", "sender").await;
    let mut second = server.connect("/ws/stream").await;
    second.send(json!({"type": "offer", "sdp": "x"})).await;
    assert_eq!(second.expect("error").await["message"], "Register first");
    second
        .send(json!({"type": "register", "role": "sender"}))
        .await;
    assert_eq!(
        second.expect("error").await["message"],
        "Room default already has a sender"
    );
}

#[tokio::test]
async fn rooms_keep_streams_apart() {
    let server = Server::start().await;
    let mut sender = server.connect("/ws/stream").await;
    sender
        .send(json!({"type": "register", "role": "sender", "room": "kitchen"}))
        .await;
    sender.expect("registered").await;
    let (mut receiver, _) = register(&server, "/ws/stream", "receiver").await;
    receiver.silent().await;
    sender.silent().await;
}

#[tokio::test]
async fn ice_servers_can_be_renewed() {
    let server = Server::start().await;
    let (mut phone, _) = register(&server, "/ws/stream", "sender").await;
    phone.send(json!({"type": "ice-servers"})).await;
    let fresh = phone.expect("ice-servers").await;
    assert_eq!(
        fresh["turnConfig"]["iceServers"][0]["urls"][0],
        "stun:127.0.0.1:3478"
    );
    phone.send(json!({"type": "ping"})).await;
    phone.expect("pong").await;
}
