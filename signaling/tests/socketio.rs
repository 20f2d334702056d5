//! The door for Socket.IO clients, packet by packet: what its real client does not do, and hostile ones do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is the report"
)]

mod common;

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use common::{Client, PATIENCE, Server, config, quickstart};
use serde_json::{Value, json};
use signaling::hub::Limits;
use signaling::{Config, Doors, Signaling};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error;
use tower::ServiceExt;

const SOCKET: &str = "/socket.io/?EIO=4&transport=websocket";
const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

/// A client over a WebSocket alone, connected as a user.
async fn user(server: &Server, name: &str) -> Client {
    let mut client = server.connect(SOCKET).await;
    assert!(client.socket_text().await.starts_with("0{"));
    client
        .send_text(&format!("40{}", json!({"token": name})))
        .await;
    let connected = client.socket_text().await;
    assert!(
        connected.contains(&format!("\"userId\":\"{name}\"")),
        "{connected}"
    );
    client
}

async fn emit(client: &mut Client, event: &str, data: Value) {
    client
        .send_text(&format!("42{}", json!([event, data])))
        .await;
}

/// The next event's name and data.
async fn told(client: &mut Client) -> (String, Value) {
    let text = client.socket_text().await;
    let event: (String, Value) =
        serde_json::from_str(text.strip_prefix("42").expect(&text)).unwrap();
    event
}

/// Two users in an accepted call `c`.
async fn call(server: &Server) -> (Client, Client) {
    let (mut ann, mut bob) = (user(server, "ann").await, user(server, "bob").await);
    emit(
        &mut ann,
        "call-initiate",
        json!({"callId": "c", "participants": ["bob"]}),
    )
    .await;
    assert_eq!(
        told(&mut bob).await,
        (
            "call-incoming".to_owned(),
            json!({"callId": "c", "from": "ann", "fromName": "ann", "type": "video"})
        )
    );
    emit(&mut bob, "call-accept", json!({"callId": "c"})).await;
    assert_eq!(told(&mut ann).await.0, "call-accepted");
    (ann, bob)
}

#[tokio::test]
async fn signals_pass_under_the_sender_s_true_name_to_members_only() {
    let server = Server::start().await;
    let (mut ann, mut bob) = call(&server).await;
    let mut eve = user(&server, "eve").await;
    let signal = json!({"type": "transceiverRequest", "transceiverRequest": {"kind": "video"}});
    emit(
        &mut bob,
        "webrtc-signal",
        json!({"callId": "c", "to": "ann", "from": "eve", "signal": signal}),
    )
    .await;
    assert_eq!(
        told(&mut ann).await,
        (
            "webrtc-signal".to_owned(),
            json!({"callId": "c", "from": "bob", "signal": signal})
        )
    );
    for (event, data) in [
        (
            "webrtc-signal",
            json!({"callId": "c", "to": "ann", "signal": signal}),
        ),
        ("call-accept", json!({"callId": "c"})),
        ("call-mute", json!({"callId": "c"})),
    ] {
        emit(&mut eve, event, data).await;
        assert_eq!(told(&mut eve).await.1["code"], "call-not-found", "{event}");
    }
    emit(&mut eve, "call-end", json!({"callId": "c"})).await;
    emit(&mut bob, "call-mute", json!({"callId": "c"})).await;
    assert_eq!(
        told(&mut ann).await,
        (
            "call-mute".to_owned(),
            json!({"callId": "c", "userId": "bob"})
        )
    );
    emit(&mut bob, "call-end", json!({"callId": "c"})).await;
    assert_eq!(told(&mut ann).await.0, "call-ended");
}

#[tokio::test]
async fn a_native_client_and_one_of_socket_io_ring_each_other() {
    let server = Server::start().await;
    let (mut ann, mut bob) = (user(&server, "ann").await, server.user("bob").await);
    emit(
        &mut ann,
        "call-initiate",
        json!({"callId": "c", "participants": ["bob"], "type": "audio"}),
    )
    .await;
    let incoming = bob.expect("incoming-call").await;
    assert_eq!(
        (&incoming["initiatorId"], &incoming["callType"]),
        (&json!("ann"), &json!("audio"))
    );
    bob.send(json!({"type": "call-reject", "callId": "c"}))
        .await;
    assert_eq!(told(&mut ann).await.0, "call-rejected");
    emit(&mut ann, "presence", json!({})).await;
    assert_eq!(
        told(&mut ann).await.1,
        json!({"users": ["ann", "bob"], "total": 2})
    );
}

#[tokio::test]
async fn who_shows_no_key_or_no_name_is_told_so_and_closed() {
    let server = Server::with(quickstart()).await;
    let elsewhere = [
        ("host", "rebound.example:8080"),
        ("origin", "http://rebound.example:8080"),
    ];
    for (packet, welcome) in [
        (r#"40{"token":"ann"}"#, false),
        (r#"40{"token":"ann","key":"wrong"}"#, false),
        (r#"40/admin,{"token":"ann","key":"run"}"#, false),
        (r#"42["call-end",{"callId":"c"}]"#, false),
        (r#"40{"token":"guest-0","key":"run"}"#, false),
        (r#"40{"token":"ann","key":"run"}"#, true),
    ] {
        let mut client = server.try_connect(SOCKET, &elsewhere).await.unwrap();
        client.socket_text().await;
        client.send_text(packet).await;
        let answer = client.socket_text().await;
        if welcome {
            assert!(answer.starts_with("40{"), "{packet}: {answer}");
        } else {
            assert_eq!(
                answer, r#"44{"message":"Authentication failed"}"#,
                "{packet}"
            );
            assert_eq!(client.closed().await.0, 1008);
        }
    }
}

#[tokio::test]
async fn a_foreign_page_is_refused() {
    let server = Server::start().await;
    match server
        .try_connect(SOCKET, &[("origin", "https://evil.example")])
        .await
    {
        Err(Error::Http(response)) => assert_eq!(response.status(), 403),
        _ => panic!("let in"),
    }
    let router = server.signaling.router();
    for path in [POLLING, "/api/call-sessions"] {
        let request = Request::post(path)
            .header("host", "h")
            .header("origin", "https://evil.example");
        let response = router
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn nonsense_is_refused_in_words_and_binary_ends_the_connection() {
    let server = Server::start().await;
    let mut ann = user(&server, "ann").await;
    let deep = format!(
        r#"42["webrtc-signal",{}{}]"#,
        "[".repeat(30_000),
        "]".repeat(30_000)
    );
    for text in [
        "4",
        "42",
        "42[5]",
        "42{}",
        "42/x,[\"a\",{}]",
        "451-[\"a\"]",
        &deep,
    ] {
        ann.send_text(text).await;
        let (event, data) = told(&mut ann).await;
        assert_eq!(
            (event.as_str(), &data["code"]),
            ("error", &json!("invalid-message")),
            "{text:.20}"
        );
    }
    ann.send_text("4217[\"presence\",{}]").await;
    let mut answers = [ann.socket_text().await, ann.socket_text().await];
    answers.sort();
    assert_eq!(answers[1], "4317[]", "the acknowledgement");
    ann.send_text("b4AAAA").await;
    assert_eq!(ann.closed().await.0, 1002);
}

#[tokio::test]
async fn a_message_over_64_kib_ends_the_connection() {
    let server = Server::start().await;
    let mut ann = user(&server, "ann").await;
    emit(&mut ann, "presence", json!("x".repeat(65_536))).await;
    assert_eq!(ann.closed().await.0, 1009);
}

#[tokio::test]
async fn whoever_says_nothing_is_closed_and_forgotten() {
    let server = Server::limited(Limits {
        hello: Duration::from_millis(100),
        ..Limits::default()
    })
    .await;
    let mut silent = server.connect(SOCKET).await;
    assert_eq!(silent.closed().await.0, 1008);
    let polling = Polling::open(&server).await;
    assert_eq!(polling.poll().await, (StatusCode::OK, "1".to_owned()));
    let gone = async { while polling.poll().await.0 == StatusCode::OK {} };
    timeout(PATIENCE, gone).await.expect("forgotten");
}

#[tokio::test]
async fn a_slow_reader_is_put_out_and_its_neighbours_go_on() {
    let server = Server::limited(Limits {
        rate: 100_000,
        burst: 100_000,
        ..Limits::default()
    })
    .await;
    let (mut ann, bob) = call(&server).await;
    let large = "x".repeat(60_000);
    let flood = async {
        // Put out, bob is told nothing any more, and ann hears of it.
        while server.signaling.census().connections == 2 {
            emit(
                &mut ann,
                "webrtc-signal",
                json!({"callId": "c", "to": "bob", "signal": large}),
            )
            .await;
        }
    };
    timeout(PATIENCE, flood)
        .await
        .expect("the slow reader is taken out");
    let mut cem = user(&server, "cem").await;
    emit(&mut cem, "presence", json!({})).await;
    assert_eq!(told(&mut cem).await.1["total"], 2);
    drop(bob);
}

/// A conversation over HTTP requests.
struct Polling {
    router: Router,
    path: String,
}

impl Polling {
    async fn open(server: &Server) -> Polling {
        let router = server.signaling.router();
        let (status, body) = ask(&router, Request::get(POLLING), "").await;
        assert_eq!(status, StatusCode::OK);
        let open: Value = serde_json::from_str(body.strip_prefix('0').unwrap()).unwrap();
        assert_eq!(open["maxPayload"], 65_536);
        let path = format!("{POLLING}&sid={}", open["sid"].as_str().unwrap());
        Polling { router, path }
    }

    async fn post(&self, body: &str) -> (StatusCode, String) {
        ask(&self.router, Request::post(&self.path), body).await
    }

    async fn poll(&self) -> (StatusCode, String) {
        ask(&self.router, Request::get(&self.path), "").await
    }
}

async fn ask(
    router: &Router,
    request: axum::http::request::Builder,
    body: &str,
) -> (StatusCode, String) {
    let request = request
        .header("host", "localhost")
        .body(Body::from(body.to_owned()))
        .unwrap();
    let response = timeout(PATIENCE, router.clone().oneshot(request))
        .await
        .unwrap()
        .unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), 1_000_000).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn polling_alone_is_enough_for_a_call() {
    let server = Server::start().await;
    let (ann, mut bob) = (Polling::open(&server).await, server.user("bob").await);
    assert_eq!(
        ann.post(r#"40{"token":"ann"}"#).await,
        (StatusCode::OK, "ok".to_owned())
    );
    assert!(ann.poll().await.1.starts_with("40{"));
    let initiate = r#"42["call-initiate",{"callId":"c","participants":["bob"]}]"#;
    let two = format!("{initiate}\u{1e}42[\"presence\",{{}}]");
    assert_eq!(ann.post(&two).await.0, StatusCode::OK);
    bob.expect("incoming-call").await;
    bob.send(json!({"type": "call-answer", "callId": "c"}))
        .await;
    let mut heard = String::new();
    while !(heard.contains("call-accepted") && heard.contains("42[\"presence\"")) {
        heard += &ann.poll().await.1;
    }
    assert_eq!(ann.post("41").await.0, StatusCode::OK);
    assert_eq!(bob.expect("call-ended").await["endedBy"], "ann");
}

#[tokio::test]
async fn requests_that_belong_to_no_conversation_are_refused() {
    let server = Server::start().await;
    let polling = Polling::open(&server).await;
    let router = &polling.router;
    for (request, code) in [
        (Request::get(format!("{POLLING}&sid=guessed")), 1),
        (Request::post(format!("{POLLING}&sid=guessed")), 1),
        (Request::post(POLLING), 2),
        (Request::put(&polling.path), 2),
        (Request::get("/socket.io/?EIO=3&transport=polling"), 5),
        (Request::get("/socket.io/?EIO=4&transport=webtransport"), 0),
        (Request::get("/socket.io/?EIO=4"), 0),
    ] {
        let (status, body) = ask(router, request, "4").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["code"], code);
    }
    let (status, _) = polling.post(&"4".repeat(65_537)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn who_opens_conversations_without_end_keeps_nobody_out() {
    let server = Server::limited(Limits {
        connections: 8,
        ..Limits::default()
    })
    .await;
    let ann = Polling::open(&server).await;
    ann.post(r#"40{"token":"ann"}"#).await;
    assert!(ann.poll().await.1.starts_with("40{"));
    // As real clients do nearly always, it waits for what comes.
    let waiting = tokio::spawn(async move { ann.poll().await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    for number in 0..100 {
        let one = Polling::open(&server).await;
        one.post(&format!("40{}", json!({"token": format!("eve{number}")})))
            .await;
    }
    let mut bob = user(&server, "bob").await;
    let initiate = json!({"callId": "c", "participants": ["ann"]});
    emit(&mut bob, "call-initiate", initiate).await;
    let (status, told) = timeout(PATIENCE, waiting).await.unwrap().unwrap();
    assert_eq!(status, StatusCode::OK);
    assert!(told.contains("call-incoming"), "{told}");
}

#[tokio::test]
async fn only_one_websocket_takes_a_conversation_over_and_loses_nothing_of_it() {
    let server = Server::start().await;
    let ann = Polling::open(&server).await;
    ann.post(r#"40{"token":"ann"}"#).await;
    assert!(ann.poll().await.1.starts_with("40{"));
    let path = ann.path.replace("polling", "websocket");
    let mut socket = server.connect(&path).await;
    socket.send_text("2probe").await;
    assert_eq!(socket.socket_text().await, "3probe");
    assert_eq!(ann.poll().await.1, "6", "requests are let go");
    let mut second = server.connect(&path).await;
    second.send_text("2probe").await;
    ann.post("42[\"presence\",{}]").await;
    socket.send_text("5").await;
    assert_eq!(told(&mut socket).await.0, "presence");
    assert_eq!(
        ann.post("42[\"presence\",{}]").await.0,
        StatusCode::BAD_REQUEST
    );
    emit(&mut socket, "call-end", json!({"callId": "c"})).await;
    emit(&mut socket, "presence", json!({})).await;
    assert_eq!(told(&mut socket).await.1["users"], json!(["ann"]));
}

#[tokio::test]
async fn a_call_session_is_a_name_that_says_what_the_call_is_to_be() {
    let router = Signaling::start(config()).router();
    let post = |body: &'static str| ask(&router, Request::post("/api/call-sessions"), body);
    let (status, body) = post(r#"{"roomId":"room_123","type":"audio"}"#).await;
    assert_eq!(status, StatusCode::CREATED);
    let session: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&session["roomId"], &session["type"]),
        (&json!("room_123"), &json!("audio"))
    );
    assert!(
        session["callId"]
            .as_str()
            .unwrap()
            .starts_with("call_audio_")
    );
    for body in [
        "",
        "{}",
        r#"{"roomId":"","type":"audio"}"#,
        r#"{"roomId":"r","type":"hologram"}"#,
    ] {
        assert_eq!(post(body).await.0, StatusCode::BAD_REQUEST, "{body}");
    }
    let (status, _) = ask(&router, Request::get("/api/call-sessions"), "").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn the_door_can_be_closed() {
    let doors = Doors {
        socket_io: false,
        ..Doors::default()
    };
    let router = Signaling::start(Config { doors, ..config() }).router();
    for path in [POLLING, "/api/call-sessions"] {
        assert_eq!(
            ask(&router, Request::post(path), "").await.0,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

#[tokio::test]
async fn stopping_ends_conversations_of_both_kinds() {
    let server = Server::start().await;
    let mut ann = user(&server, "ann").await;
    let bob = Polling::open(&server).await;
    bob.post(r#"40{"token":"bob"}"#).await;
    bob.poll().await;
    let signaling = server.signaling.clone();
    let stopping = tokio::spawn(async move { signaling.stop().await });
    assert_eq!(bob.poll().await.1, "1");
    assert_eq!(ann.closed().await.0, 1001);
    timeout(PATIENCE, stopping).await.unwrap().unwrap();
}
