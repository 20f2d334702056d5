//! Rooms, over sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is the report"
)]

mod common;

use common::{Server, config};
use serde_json::{Value, json};
use signaling::hub::Limits;
use signaling::{Asker, Config, IceFuture, IceSource, IceUnavailable};
use std::sync::Arc;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

#[tokio::test]
async fn members_meet_talk_and_leave() {
    let server = Server::start().await;
    let mut ann = server.connect("/ws").await;
    ann.send(json!({"type": "join", "room": "r", "name": "Ann", "token": "ann"}))
        .await;
    assert_eq!(
        ann.recv().await,
        json!({"type": "connected", "userId": "ann"})
    );
    let joined = ann.expect("joined").await;
    assert_eq!(
        (&joined["room"], &joined["members"], &joined["resumed"]),
        (&json!("r"), &json!([]), &json!(false))
    );
    let (mut bob, bob_joined) = server.member("r").await;
    let members = bob_joined["members"].as_array().unwrap();
    assert_eq!(
        members,
        &[json!({"id": joined["self"], "name": "Ann", "userId": "ann"})]
    );
    let peer = ann.expect("peer-joined").await;
    assert_eq!(peer["id"], bob_joined["self"]);
    assert!(peer["name"].as_str().unwrap().starts_with("guest-"));
    assert!(
        peer.get("resume").is_none(),
        "the key is its owner's secret"
    );
    ann.send(json!({"type": "signal", "to": bob_joined["self"], "data": {"description": {"type": "offer", "sdp": "v=0"}}})).await;
    let expected = json!({"type": "signal", "from": joined["self"], "data": {"description": {"type": "offer", "sdp": "v=0"}}});
    assert_eq!(bob.recv().await, expected);
    bob.send(json!({"type": "leave"})).await;
    assert_eq!(bob.recv().await, json!({"type": "left", "room": "r"}));
    assert_eq!(
        ann.recv().await,
        json!({"type": "peer-left", "id": bob_joined["self"], "reason": "left"})
    );
}

#[tokio::test]
async fn ice_servers_have_the_host_with_which_the_socket_was_opened() {
    let server = Server::start().await;
    for (host, expected) in [
        ("192.168.1.5:8080", "turn:192.168.1.5:3478?transport=udp"),
        (
            "[2001:db8::1]:8080",
            "turn:[2001:db8::1]:3478?transport=udp",
        ),
        (
            "turn.example.org",
            "turn:turn.example.org:3478?transport=udp",
        ),
    ] {
        let mut client = server
            .try_connect("/ws?token=ann", &[("host", host)])
            .await
            .unwrap();
        client.expect("connected").await;
        client.send(json!({"type": "join", "room": host})).await;
        let joined = client.expect("joined").await;
        assert_eq!(joined["iceServers"][1]["urls"][0], expected);
        assert!(
            joined["iceServers"][1]["username"]
                .as_str()
                .unwrap()
                .ends_with(":ann")
        );
        assert_eq!(
            (&joined["ttl"], &joined["iceTransportPolicy"]),
            (&json!(86_400), &json!("all"))
        );
        client.send(json!({"type": "ice-servers"})).await;
        let fresh = client.expect("ice-servers").await;
        assert_eq!(fresh["iceServers"][1]["urls"][0], expected);
        assert_eq!(fresh["ttl"], 86_400);
    }
}

#[tokio::test]
async fn a_full_room_is_refused_in_words() {
    let server = Server::limited(Limits {
        members: 2,
        ..Limits::default()
    })
    .await;
    let _members = (server.member("r").await, server.member("r").await);
    let mut third = server.connect("/ws").await;
    third.send(json!({"type": "join", "room": "r"})).await;
    third.expect("connected").await;
    let error = third.recv().await;
    let expected = json!({"type": "error", "code": "room-full", "room": "r", "error": "Room r is full: it has 2 of 2 members"});
    assert_eq!(error, expected);
    third.send(json!({"type": "join", "room": "another"})).await;
    third.expect("joined").await;
}

#[tokio::test]
async fn a_member_whose_connection_breaks_resumes_with_what_it_missed() {
    let server = Server::start().await;
    let (ann, joined) = server.member("r").await;
    let (mut bob, _) = server.member("r").await;
    drop(ann);
    assert_eq!(
        bob.recv().await,
        json!({"type": "peer-away", "id": joined["self"]})
    );
    for n in 0..3 {
        bob.send(json!({"type": "signal", "to": joined["self"], "data": n}))
            .await;
    }
    let mut ann = server.connect("/ws").await;
    ann.send(json!({"type": "join", "room": "r", "resume": joined["resume"]}))
        .await;
    ann.expect("connected").await;
    let again = ann.expect("joined").await;
    assert_eq!(
        (&again["self"], &again["resumed"]),
        (&joined["self"], &json!(true))
    );
    assert_ne!(again["resume"], joined["resume"]);
    for n in 0..3 {
        assert_eq!(ann.recv().await["data"], n);
    }
    assert_eq!(
        bob.recv().await,
        json!({"type": "peer-back", "id": joined["self"]})
    );
}

#[tokio::test]
async fn how_a_connection_ends_says_whether_its_member_left() {
    for (code, expected) in [
        (None, "peer-left"),
        (Some(1000), "peer-left"),
        (Some(1001), "peer-left"),
        (Some(4000), "peer-away"),
    ] {
        let server = Server::start().await;
        let (mut ann, _) = server.member("r").await;
        let (mut bob, _) = server.member("r").await;
        bob.expect_peer(&mut ann).await;
        let frame = code.map(|code: u16| CloseFrame {
            code: code.into(),
            reason: "".into(),
        });
        bob.socket.close(frame).await.unwrap();
        assert_eq!(ann.recv().await["type"], expected, "{code:?}");
    }
}

impl common::Client {
    /// The other one is told that this one came.
    async fn expect_peer(&mut self, other: &mut common::Client) {
        other.expect("peer-joined").await;
    }
}

#[tokio::test]
async fn bye_is_answered_by_a_close() {
    let server = Server::start().await;
    let (mut ann, _) = server.member("r").await;
    let (mut bob, _) = server.member("r").await;
    ann.expect("peer-joined").await;
    bob.send(json!({"type": "bye"})).await;
    assert_eq!(bob.closed().await.0, 1000);
    assert_eq!(ann.expect("peer-left").await["reason"], "left");
}

#[tokio::test]
async fn whoever_is_resumed_elsewhere_is_closed_with_4001() {
    let server = Server::start().await;
    let (mut ann, joined) = server.member("r").await;
    let mut again = server.connect("/ws").await;
    again
        .send(json!({"type": "join", "room": "r", "resume": joined["resume"]}))
        .await;
    again.expect("connected").await;
    assert_eq!(again.expect("joined").await["resumed"], true);
    assert_eq!(ann.closed().await.0, 4001);
}

#[tokio::test]
async fn signals_of_a_busy_pair_arrive_in_order() {
    let server = Server::limited(Limits {
        rate: 100_000,
        burst: 100_000,
        outbox: 4_096,
        ..Limits::default()
    })
    .await;
    let (mut ann, joined) = server.member("r").await;
    let (mut bob, bob_joined) = server.member("r").await;
    ann.expect("peer-joined").await;
    for n in 0..1_000 {
        ann.send(json!({"type": "signal", "to": bob_joined["self"], "data": n}))
            .await;
    }
    for n in 0..1_000 {
        assert_eq!(
            bob.recv().await,
            json!({"type": "signal", "from": joined["self"], "data": n})
        );
    }
}

#[tokio::test]
async fn presence_is_listed_and_changes_are_told() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let _guest = server.member("r").await;
    ann.send(json!({"type": "presence", "watch": true})).await;
    assert_eq!(
        ann.recv().await,
        json!({"type": "presence", "users": ["ann"], "total": 1})
    );
    let bob = server.user("bob").await;
    assert_eq!(
        ann.recv().await,
        json!({"type": "presence-changed", "online": ["bob"], "offline": []})
    );
    bob.leave().await;
    assert_eq!(
        ann.recv().await,
        json!({"type": "presence-changed", "online": [], "offline": ["bob"]})
    );
}

/// A source that never works.
struct Broken;

impl IceSource for Broken {
    fn servers<'a>(&'a self, _: Asker<'a>) -> IceFuture<'a> {
        Box::pin(async { Err(IceUnavailable("for a test".to_owned())) })
    }
}

#[tokio::test]
async fn without_ice_servers_members_join_and_are_told() {
    let server = Server::with(Config {
        ice: Arc::new(Broken),
        ..config()
    })
    .await;
    let (mut ann, joined) = server.member("r").await;
    assert_eq!(
        (&joined["iceServers"], &joined["ttl"]),
        (&json!([]), &json!(0))
    );
    let error: Value = ann.recv().await;
    assert_eq!(error["code"], "ice-unavailable");
}
