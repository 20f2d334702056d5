//! Who gets in, what a connection may do, and how it is put out again.

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
use axum::response::Response;
use common::{Client, PATIENCE, Server, config, quickstart};
use futures_util::SinkExt;
use serde_json::{Value, json};
use signaling::hub::{Census, Limits};
use signaling::{Config, Gate, Signaling};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tower::ServiceExt;

/// The HTTP status with which an upgrade was refused.
fn refused(result: Result<Client, Error>) -> u16 {
    match result {
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
        Ok(_) => 101,
    }
}

#[tokio::test]
async fn a_foreign_page_is_refused_before_the_upgrade() {
    let server = Server::start().await;
    for path in ["/ws", "/ws/stream", "/", "/?token=ann"] {
        for origin in ["https://evil.example", "http://localhost:5173", "null"] {
            assert_eq!(
                refused(server.try_connect(path, &[("origin", origin)]).await),
                403,
                "{path} {origin}"
            );
        }
    }
    let foreign = [("origin", "https://evil.example")];
    let Err(Error::Http(refusal)) = server.try_connect("/ws", &foreign).await else {
        panic!("it is let in");
    };
    let said = String::from_utf8(refusal.into_body().unwrap()).unwrap();
    assert!(said.contains("--allowed-origin=ORIGIN"), "{said}");
    assert!(said.contains("Host field"), "{said}");
    let own = format!("http://{}", server.address);
    assert_eq!(
        refused(server.try_connect("/ws", &[("origin", &own)]).await),
        101
    );
}

#[tokio::test]
async fn quickstart_wants_the_key_from_all_but_the_machine_itself() {
    let server = Server::with(quickstart()).await;
    // A page on a name that was re-bound to this machine is of the same host, and yet not from here.
    let elsewhere = [
        ("host", "rebound.example:8080"),
        ("origin", "http://rebound.example:8080"),
    ];
    let here = [
        ("host", "localhost:8080"),
        ("origin", "http://localhost:5173"),
    ];
    for (path, fields, first, expected) in [
        ("/ws?token=ann", &here, None, true),
        ("/ws?token=ann&key=run", &elsewhere, None, true),
        ("/ws?token=ann&key=wrong", &elsewhere, None, false),
        (
            "/ws",
            &elsewhere,
            Some(json!({"type": "join", "room": "r"})),
            false,
        ),
        (
            "/ws",
            &elsewhere,
            Some(json!({"type": "join", "room": "r", "key": "wrong"})),
            false,
        ),
        (
            "/ws",
            &elsewhere,
            Some(json!({"type": "join", "room": "r", "key": "run"})),
            true,
        ),
        (
            "/ws?token=ann",
            &elsewhere,
            Some(json!({"type": "hello", "key": "run"})),
            true,
        ),
    ] {
        let mut client = server.try_connect(path, fields).await.unwrap();
        if let Some(first) = &first {
            client.send(first.clone()).await;
        }
        if expected {
            client.expect("connected").await;
        } else {
            assert_eq!(
                client.closed().await,
                (1008, "Authentication failed".to_owned()),
                "{path} {first:?}"
            );
        }
    }
}

#[tokio::test]
async fn whoever_says_nothing_is_closed() {
    let server = Server::limited(Limits {
        hello: Duration::from_millis(100),
        ..Limits::default()
    })
    .await;
    for path in ["/ws", "/ws/stream", "/"] {
        assert_eq!(server.connect(path).await.closed().await.0, 1008, "{path}");
    }
    let mut named = server.user("ann").await;
    named.silent().await;
}

#[tokio::test]
async fn pings_are_no_hello() {
    let server = Server::limited(Limits {
        hello: Duration::from_millis(300),
        ..Limits::default()
    })
    .await;
    let mut client = server.connect("/ws").await;
    client.socket.send(Message::Ping("x".into())).await.unwrap();
    assert_eq!(client.closed().await.0, 1008);
}

#[tokio::test]
async fn a_message_of_64_kib_passes_and_a_longer_one_is_closed_with_1009() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let padding = |length: usize| format!(r#"{{"type":"ping","x":"{}"}}"#, "x".repeat(length - 22));
    assert_eq!(padding(65_536).len(), 65_536);
    ann.send_text(&padding(65_536)).await;
    ann.expect("pong").await;
    ann.send_text(&padding(65_537)).await;
    assert_eq!(ann.closed().await.0, 1009);
}

#[tokio::test]
async fn text_in_binary_frames_is_read_and_other_bytes_are_not() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    ann.socket
        .send(Message::binary(br#"{"type":"ping"}"#.as_slice()))
        .await
        .unwrap();
    ann.expect("pong").await;
    ann.socket
        .send(Message::binary([0xff, 0xfe].as_slice()))
        .await
        .unwrap();
    assert_eq!(ann.closed().await.0, 1002);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "it measures")]
async fn beyond_its_burst_a_connection_is_read_slowly_and_loses_nothing() {
    let server = Server::limited(Limits {
        rate: 1,
        burst: 3,
        ..Limits::default()
    })
    .await;
    let mut ann = server.user("ann").await;
    let begun = tokio::time::Instant::now();
    for n in 0..5 {
        ann.send(json!({"type": "call-answer", "callId": n.to_string()}))
            .await;
    }
    for n in 0..5 {
        assert_eq!(ann.recv().await["callId"], n.to_string());
    }
    let taken = begun.elapsed();
    assert!(
        taken > Duration::from_millis(1_900),
        "two beyond the burst, in {taken:?}"
    );
}

#[tokio::test]
async fn a_slow_reader_is_closed_with_1013_and_others_go_on() {
    let server = Server::limited(Limits {
        rate: 100_000,
        burst: 100_000,
        ..Limits::default()
    })
    .await;
    let (mut ann, _) = server.member("r").await;
    let (mut bob, bob_joined) = server.member("r").await;
    ann.expect("peer-joined").await;
    let large = "x".repeat(60_000);
    let flood = async {
        loop {
            ann.send(json!({"type": "signal", "to": bob_joined["self"], "data": large}))
                .await;
            if let Ok(message) = timeout(Duration::from_millis(1), ann.recv()).await {
                assert_eq!(message["type"], "peer-away");
                return;
            }
        }
    };
    timeout(PATIENCE, flood)
        .await
        .expect("the slow reader is taken out");
    assert_eq!(bob.closed().await, (1013, "Too slow".to_owned()));
    let mut cem = server.user("cem").await;
    cem.send(json!({"type": "ping"})).await;
    cem.expect("pong").await;
}

#[tokio::test]
async fn too_many_connections_are_turned_away_with_1013() {
    let server = Server::limited(Limits {
        connections: 1,
        ..Limits::default()
    })
    .await;
    let _first = server.user("ann").await;
    let mut second = server.connect("/ws?token=bob").await;
    assert_eq!(second.closed().await.0, 1013);
}

#[tokio::test]
async fn stopping_closes_everybody_with_1001() {
    let server = Server::start().await;
    let mut clients = vec![
        server.user("ann").await,
        server.member("r").await.0,
        server.user("bob").await,
    ];
    let signaling = server.signaling.clone();
    let stopping = tokio::spawn(async move { signaling.stop().await });
    for client in &mut clients {
        assert_eq!(client.closed().await.0, 1001);
    }
    drop(clients);
    timeout(PATIENCE, stopping).await.unwrap().unwrap();
    assert_eq!(server.signaling.census().connections, 0);
}

#[tokio::test]
async fn nothing_is_left_of_those_who_are_gone() {
    let server = Server::limited(Limits {
        grace: Duration::from_millis(100),
        ..Limits::default()
    })
    .await;
    let mut clients = Vec::new();
    for n in 0..10 {
        clients.push(server.member(&format!("r{}", n % 2)).await);
    }
    assert_eq!(server.signaling.census().rooms, 2);
    drop(clients);
    let emptied = async {
        while server.signaling.census() != Census::default() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, emptied)
        .await
        .expect("everything is forgotten");
}

fn router(config: Config) -> Router {
    Signaling::start(config).router()
}

async fn get(router: Router, path: &str) -> Response {
    let request = Request::get(path)
        .header("host", "localhost")
        .body(Body::empty())
        .unwrap();
    router.oneshot(request).await.unwrap()
}

#[tokio::test]
async fn pages_and_their_parts_are_served() {
    for (path, kind) in [
        ("/", "text/html"),
        ("/?room=r&name=Ann", "text/html"),
        ("/call?room=r&name=Ann&relay=1&key=run", "text/html"),
        ("/send", "text/html"),
        ("/receive", "text/html"),
        ("/diagnose", "text/html"),
        ("/web/style.css", "text/css"),
        ("/web/js/call.js", "text/javascript"),
    ] {
        let response = get(router(config()), path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let fields = response.headers();
        assert!(
            fields["content-type"].to_str().unwrap().starts_with(kind),
            "{path}"
        );
        assert!(
            fields.contains_key("content-security-policy") && fields.contains_key("etag"),
            "{path}"
        );
    }
    for path in [
        "/nothing",
        "/web/nothing.js",
        "/web/../Cargo.toml",
        "/web/%2e%2e/Cargo.toml",
        "/web/",
    ] {
        assert_eq!(
            get(router(config()), path).await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_socket_s_path_without_an_upgrade_is_refused() {
    for path in ["/ws", "/ws/stream"] {
        let status = get(router(config()), path).await.status();
        assert!(status.is_client_error(), "{path}: {status}");
    }
}

#[tokio::test]
async fn ice_is_served_where_the_caller_gives_the_endpoint() {
    for path in ["/v1/ice?token=run", "/?service=turn&token=run"] {
        let response = get(router(quickstart()), path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let body: Value =
            serde_json::from_slice(&to_bytes(response.into_body(), 65_536).await.unwrap()).unwrap();
        assert_eq!(body["uris"][0], "turn:localhost:3478?transport=udp");
    }
    assert_eq!(
        get(router(quickstart()), "/v1/ice").await.status(),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        get(router(config()), "/v1/ice").await.status(),
        StatusCode::NOT_FOUND
    );
    let gate = Gate::default();
    let page = get(router(Config { gate, ..config() }), "/?service=turn").await;
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
}

#[tokio::test]
async fn the_start_page_is_not_posted_to() {
    let request = Request::post("/").body(Body::empty()).unwrap();
    let response = router(config()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn nobody_takes_a_guest_s_name() {
    let server = Server::start().await;
    let mut guest = server.connect("/ws").await;
    guest.send(json!({"type": "presence"})).await;
    let connected = guest.expect("connected").await;
    let name = connected["userId"].as_str().unwrap();
    let refused = (1008, "Authentication failed".to_owned());
    let mut by_address = server.connect(&format!("/ws?token={name}")).await;
    assert_eq!(by_address.closed().await, refused);
    let mut by_message = server.connect("/ws").await;
    by_message
        .send(json!({"type": "presence", "token": name}))
        .await;
    assert_eq!(by_message.closed().await, refused);
}
