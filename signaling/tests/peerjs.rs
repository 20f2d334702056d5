//! The door for PeerJS clients, frame by frame: what its real client does not do, and hostile ones do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is the report"
)]

mod common;

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use common::{Client, PATIENCE, Server, config, quickstart};
use serde_json::{Value, json};
use signaling::hub::{Census, Limits};
use signaling::{Config, Doors, PeerJsDoor, Signaling};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error;
use tower::ServiceExt;

const HERE: [(&str, &str); 1] = [("host", "localhost:8080")];

fn path(id: &str, token: &str) -> String {
    format!("/peerjs?key=peerjs&id={id}&token={token}&version=1.5.5")
}

async fn peer(server: &Server, id: &str) -> Client {
    let mut client = server.connect(&path(id, &format!("token-{id}"))).await;
    assert_eq!(client.recv().await, json!({"type": "OPEN"}));
    client
}

/// The only message, and the close code after it.
async fn turned_away(server: &Server, path: &str, fields: &[(&'static str, &str)]) -> (Value, u16) {
    let mut client = server.try_connect(path, fields).await.unwrap();
    (client.recv().await, client.closed().await.0)
}

#[tokio::test]
async fn messages_pass_as_they_are_under_the_sender_s_true_id() {
    let server = Server::start().await;
    let (mut ann, mut bob) = (peer(&server, "ann").await, peer(&server, "bob").await);
    let payload = json!({"sdp": {"type": "offer", "sdp": "v=0\r\n"}, "type": "data", "connectionId": "dc_1", "metadata": {"a": [1.5, null]}});
    ann.send(json!({"type": "OFFER", "src": "mallory", "dst": "bob", "payload": payload}))
        .await;
    assert_eq!(
        bob.recv().await,
        json!({"type": "OFFER", "src": "ann", "dst": "bob", "payload": payload})
    );
    bob.send(json!({"type": "LEAVE", "dst": "ann"})).await;
    assert_eq!(
        ann.recv().await,
        json!({"type": "LEAVE", "src": "bob", "dst": "ann"})
    );
}

#[tokio::test]
async fn an_id_is_guarded_by_its_token() {
    let server = Server::start().await;
    let mut ann = peer(&server, "ann").await;
    let (message, code) = turned_away(&server, &path("ann", "guessed"), &[]).await;
    assert_eq!(
        message,
        json!({"type": "ID-TAKEN", "payload": {"msg": "ID is taken"}})
    );
    assert_eq!(code, 1008);
    let mut again = server.connect(&path("ann", "token-ann")).await;
    assert_eq!(again.recv().await["type"], "OPEN");
    assert_eq!(ann.closed().await.0, 4001);
    let mut bob = peer(&server, "bob").await;
    bob.send(json!({"type": "OFFER", "dst": "ann", "payload": {}}))
        .await;
    assert_eq!(again.recv().await["src"], "bob");
}

#[tokio::test]
async fn who_lacks_something_is_told_so_in_the_client_s_words() {
    let server = Server::start().await;
    let missing = "No id, token, or key supplied to websocket server";
    for query in [
        "",
        "?key=peerjs&id=ann",
        "?key=peerjs&token=t",
        "?key=peerjs&id=&token=t",
    ] {
        let (message, code) = turned_away(&server, &format!("/peerjs{query}"), &[]).await;
        assert_eq!(
            message,
            json!({"type": "ERROR", "payload": {"msg": missing}}),
            "{query}"
        );
        assert_eq!(code, 1008);
    }
    let (message, _) = turned_away(&server, "/peerjs?key=other&id=ann&token=t", &[]).await;
    assert_eq!(
        message,
        json!({"type": "INVALID-KEY", "payload": {"msg": "Invalid key provided"}})
    );
}

#[tokio::test]
async fn in_quickstart_others_show_the_key_of_the_run_as_their_key() {
    let server = Server::with(quickstart()).await;
    let elsewhere = [
        ("host", "rebound.example:8080"),
        ("origin", "http://rebound.example:8080"),
    ];
    let (message, _) = turned_away(&server, &path("ann", "t"), &elsewhere).await;
    assert_eq!(message["type"], "INVALID-KEY");
    for (key, fields) in [
        ("run", &elsewhere[..]),
        ("peerjs", &HERE[..]),
        ("run", &HERE[..]),
    ] {
        let path = format!("/peerjs?key={key}&id=i&token=t");
        let mut client = server.try_connect(&path, fields).await.unwrap();
        assert_eq!(client.recv().await["type"], "OPEN", "{key} {fields:?}");
    }
}

#[tokio::test]
async fn a_foreign_page_is_refused() {
    let server = Server::start().await;
    let foreign = [("origin", "https://evil.example")];
    match server.try_connect(&path("ann", "t"), &foreign).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 403),
        _ => panic!("let in"),
    }
    let get = |path| get(config(), path, &[("origin", "https://evil.example")]);
    for path in ["/peerjs/id", "/peerjs/peers"] {
        assert_eq!(get(path).await.0, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn messages_to_somebody_absent_wait_and_expire() {
    let server = Server::limited(Limits {
        peer_wait: Duration::from_millis(300),
        ..Limits::default()
    })
    .await;
    let mut ann = peer(&server, "ann").await;
    let offer = json!({"type": "OFFER", "dst": "bob", "payload": {"n": 1}});
    ann.send(offer.clone()).await;
    ann.send(json!({"type": "CANDIDATE", "dst": "bob", "payload": {"n": 2}}))
        .await;
    assert_eq!(
        ann.recv().await,
        json!({"type": "EXPIRE", "src": "bob", "dst": "ann"})
    );
    ann.silent().await;
    let server = Server::start().await;
    let mut ann = peer(&server, "ann").await;
    for n in 0..100 {
        ann.send(json!({"type": "CANDIDATE", "dst": "bob", "payload": n}))
            .await;
    }
    // What she sends is read in order: whatever comes back to herself comes after all of it.
    ann.send(json!({"type": "OFFER", "dst": "ann", "payload": "done"}))
        .await;
    assert_eq!(ann.recv().await["payload"], "done");
    let mut bob = peer(&server, "bob").await;
    for n in 0..100 {
        assert_eq!(
            bob.recv().await["payload"],
            n,
            "more than an outbox holds, in order"
        );
    }
}

#[tokio::test]
async fn nonsense_is_dropped_and_the_client_lives() {
    let server = Server::start().await;
    let (mut ann, mut bob) = (peer(&server, "ann").await, peer(&server, "bob").await);
    let deep = format!(
        r#"{{"type":"OFFER","dst":"bob","payload":{}{}}}"#,
        "[".repeat(30_000),
        "]".repeat(30_000)
    );
    for text in [
        "",
        "nonsense",
        "[]",
        r#"{"type":"OFFER"}"#,
        r#"{"type":"EXPIRE","dst":"bob"}"#,
        r#"{"type":"OPEN","dst":"bob"}"#,
        r#"{"type":"HEARTBEAT"}"#,
        r#"{"type":"OFFER","dst":["bob"]}"#,
        r#"{"type":"OFFER","dst":"bob","dst":"ann"}"#,
    ] {
        ann.send_text(text).await;
    }
    ann.send_text(&deep).await;
    let received = bob.socket_text().await;
    assert_eq!(
        received.matches('[').count(),
        30_000,
        "passed on without being read"
    );
    ann.silent().await;
    bob.silent().await;
}

#[tokio::test]
async fn a_message_over_64_kib_ends_the_connection() {
    let server = Server::start().await;
    let mut ann = peer(&server, "ann").await;
    ann.send(json!({"type": "OFFER", "dst": "bob", "payload": "x".repeat(65_536)}))
        .await;
    assert_eq!(ann.closed().await.0, 1009);
}

#[tokio::test]
async fn a_flood_to_the_absent_costs_a_bounded_amount() {
    let limits = Limits {
        rate: 100_000,
        burst: 100_000,
        ..Limits::default()
    };
    let server = Server::limited(limits).await;
    let mut eve = peer(&server, "eve").await;
    for n in 0..500 {
        eve.send(
            json!({"type": "OFFER", "dst": format!("nobody{n}"), "payload": "x".repeat(10_000)}),
        )
        .await;
        if n >= 13 {
            assert_eq!(eve.recv().await["type"], "EXPIRE");
        }
        assert!(server.signaling.census().peer_bytes <= limits.peer_bytes_each);
    }
}

#[tokio::test]
async fn a_slow_reader_is_closed_and_its_neighbours_go_on() {
    let server = Server::limited(Limits {
        rate: 100_000,
        burst: 100_000,
        ..Limits::default()
    })
    .await;
    let mut ann = peer(&server, "ann").await;
    let mut bob = peer(&server, "bob").await;
    let large = "x".repeat(60_000);
    let flood = async {
        // Once bob is put out, what ann tells him waits instead of being delivered.
        while server.signaling.census().peer_bytes == 0 {
            ann.send(json!({"type": "CANDIDATE", "dst": "bob", "payload": large}))
                .await;
        }
    };
    timeout(PATIENCE, flood)
        .await
        .expect("the slow reader is taken out");
    assert_eq!(bob.closed().await, (1013, "Too slow".to_owned()));
    let mut cem = peer(&server, "cem").await;
    ann.send(json!({"type": "OFFER", "dst": "cem", "payload": 1}))
        .await;
    assert_eq!(cem.recv().await["src"], "ann");
}

#[tokio::test]
async fn a_full_server_says_so() {
    let server = Server::limited(Limits {
        connections: 1,
        ..Limits::default()
    })
    .await;
    let _ann = peer(&server, "ann").await;
    let (message, code) = turned_away(&server, &path("bob", "t"), &[]).await;
    assert_eq!(
        message,
        json!({"type": "ERROR", "payload": {"msg": "Server has reached its concurrent user limit"}})
    );
    assert_eq!(code, 1013);
}

#[tokio::test]
async fn whoever_leaves_nobody_in_particular_leaves_the_server() {
    let server = Server::start().await;
    let mut ann = peer(&server, "ann").await;
    ann.send(json!({"type": "LEAVE"})).await;
    assert_eq!(ann.closed().await.0, 1000);
    assert_eq!(server.signaling.census(), Census::default());
}

async fn get(
    config: Config,
    path: &str,
    fields: &[(&str, &str)],
) -> (StatusCode, String, Option<String>) {
    let mut request = Request::get(path).header("host", "localhost");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let router = Signaling::start(config).router();
    let response = router
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let status = response.status();
    let allowed = response
        .headers()
        .get("access-control-allow-origin")
        .cloned();
    let body = to_bytes(response.into_body(), 1_000_000).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    (
        status,
        text,
        allowed.map(|value| value.to_str().unwrap().to_owned()),
    )
}

fn with_peerjs(door: PeerJsDoor) -> Config {
    let doors = Doors {
        peerjs: Some(door),
        ..Doors::default()
    };
    Config { doors, ..config() }
}

#[tokio::test]
async fn a_fresh_id_is_given_to_pages_that_may_ask_for_one() {
    let page = [("origin", "http://localhost")];
    let (status, id, allowed) = get(config(), "/peerjs/id?ts=1&version=1.5.5", &page).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{id}"
    );
    assert_eq!(allowed.as_deref(), Some("http://localhost"));
    assert_ne!(get(config(), "/peerjs/id", &page).await.1, id);
    for path in ["/other/id", "/other/peers", "/peerjs/peers"] {
        assert_eq!(
            get(config(), path, &[]).await.0,
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_list_is_given_where_the_operator_wants_it() {
    let server = Server::with(with_peerjs(PeerJsDoor {
        path: "/my/app/".to_owned(),
        key: "k".to_owned(),
        discovery: true,
    }))
    .await;
    let _clients = [
        server
            .connect("/my/app/peerjs?key=k&id=bob&token=t")
            .await
            .recv()
            .await,
        server
            .connect("/my/app/peerjs?key=k&id=x&token=t")
            .await
            .recv()
            .await,
    ];
    let mut ann = server.connect("/my/app/peerjs?key=k&id=ann&token=t").await;
    assert_eq!(ann.recv().await["type"], "OPEN");
    let request = Request::get("/my/app/k/peers").body(Body::empty()).unwrap();
    let response = server.signaling.router().oneshot(request).await.unwrap();
    let body = to_bytes(response.into_body(), 1_000).await.unwrap();
    assert_eq!(
        &body[..],
        br#"["ann"]"#,
        "those whose connections broke are not there"
    );
}

#[tokio::test]
async fn each_door_can_be_closed() {
    let closed = |doors: Doors| Config { doors, ..config() };
    let (native, stream) = (Doors::default().native, Doors::default().stream);
    assert!(native && stream);
    for (doors, paths) in [
        (
            Doors {
                peerjs: None,
                ..Doors::default()
            },
            &["/peerjs/id", "/peerjs?key=peerjs&id=a&token=t"][..],
        ),
        (
            Doors {
                stream: false,
                ..Doors::default()
            },
            &["/ws/stream"],
        ),
        (
            Doors {
                native: false,
                ..Doors::default()
            },
            &["/ws"],
        ),
    ] {
        for path in paths {
            assert_eq!(
                get(closed(doors.clone()), path, &[]).await.0,
                StatusCode::NOT_FOUND,
                "{path}"
            );
        }
    }
    let server = Server::with(closed(Doors {
        native: false,
        ..Doors::default()
    }))
    .await;
    let mut stream = server.connect("/").await;
    stream.send(json!({"type": "join", "room": "r"})).await;
    assert_eq!(stream.expect("error").await["code"], "unknown-type");
    let server = Server::with(closed(Doors {
        stream: false,
        ..Doors::default()
    }))
    .await;
    let mut native = server.connect("/").await;
    native
        .send(json!({"type": "register", "role": "sender"}))
        .await;
    native.expect("connected").await;
    assert_eq!(native.expect("error").await["code"], "unknown-type");
}
