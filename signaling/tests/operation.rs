//! What an operator sees and does: every metric moves, and a drain sends everybody elsewhere without breaking off a call.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is the report"
)]

mod common;

use std::collections::BTreeMap;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use common::{PATIENCE, Server, config};
use serde_json::json;
use signaling::calllog::{CallLog, Webhook};
use signaling::hub::Limits;
use signaling::{Asker, Config, IceSource, IceUnavailable};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Error;
use turn_auth::Secret;

/// The metrics of a page: with their labels, and what they are at.
fn metrics(server: &Server) -> BTreeMap<String, u64> {
    let page = server.signaling.metrics();
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    let read = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    samples.map(read).collect()
}

async fn reaches(server: &Server, name: &str, wanted: u64) {
    let reached = async {
        while metrics(server).get(name) != Some(&wanted) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let result = timeout(PATIENCE, reached).await;
    assert!(
        result.is_ok(),
        "{name} is not {wanted}: {:#?}",
        metrics(server)
    );
}

async fn moves(server: &Server, name: &str) {
    let moved = async {
        while metrics(server).get(name) == Some(&0) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, moved).await.expect("it stands still");
}

/// It has none.
struct NoIce;

impl IceSource for NoIce {
    fn servers<'a>(
        &'a self,
        _: Asker<'a>,
    ) -> Pin<Box<dyn Future<Output = Result<ice_api::IceConfig, IceUnavailable>> + Send + 'a>> {
        Box::pin(ready(Err(IceUnavailable("none".to_owned()))))
    }
}

#[tokio::test]
async fn every_metric_is_moved_by_what_it_counts() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", closed.local_addr().unwrap());
    drop(closed);
    let webhook = Webhook::new(url.parse().unwrap(), &[Secret::new("s".to_owned())]);
    let folder = std::env::temp_dir().join(format!("signaling-metrics-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = signaling::calllog::SqliteLog::open(&folder.join("calls.sqlite")).unwrap();
    let store = signaling::calllog::Store::Sqlite(file);
    let log = CallLog::start(
        Some((store, Duration::from_secs(3_600))),
        Some(webhook.with_waits(&[])),
    );
    let server = Server::with(Config {
        ice: Arc::new(NoIce),
        call_log: Some(log),
        ..config()
    })
    .await;

    let mut ann = server.user("ann").await;
    let mut bob = server.user("bob").await;
    reaches(
        &server,
        r#"signaling_connections_total{protocol="native"}"#,
        2,
    )
    .await;
    reaches(&server, "signaling_connections", 2).await;
    reaches(&server, "signaling_users", 2).await;

    ann.send(json!({"type": "join", "room": "r"})).await;
    ann.expect("joined").await;
    ann.expect("error").await;
    reaches(&server, "signaling_rooms", 1).await;
    reaches(&server, "signaling_ice_failures_total", 1).await;
    reaches(&server, "signaling_messages_total", 1).await;

    ann.send(json!({"type": "nonsense"})).await;
    ann.expect("error").await;
    reaches(
        &server,
        r#"signaling_refusals_total{code="unknown-type"}"#,
        1,
    )
    .await;

    for (number, answer, outcome) in [(1, "call-reject", "rejected"), (2, "call-answer", "ended")] {
        let call = format!("c{number}");
        ann.send(json!({"type": "call-initiate", "callId": call, "recipientIds": ["bob"], "callType": "video"})).await;
        bob.expect("incoming-call").await;
        reaches(&server, "signaling_calls", 1).await;
        bob.send(json!({"type": answer, "callId": call})).await;
        ann.recv().await;
        bob.send(json!({"type": "call-end", "callId": call})).await;
        if outcome == "ended" {
            ann.expect("call-ended").await;
        }
        let name = format!(r#"signaling_calls_ended_total{{outcome="{outcome}"}}"#);
        reaches(&server, &name, 1).await;
        reaches(
            &server,
            r#"signaling_call_log_entries_total{result="written"}"#,
            number,
        )
        .await;
        reaches(
            &server,
            r#"signaling_webhook_calls_total{result="given_up"}"#,
            number,
        )
        .await;
    }

    let mut peer = server.connect("/peerjs?key=peerjs&id=p1&token=t").await;
    peer.expect("OPEN").await;
    peer.send(json!({"type": "OFFER", "dst": "absent", "payload": {}}))
        .await;
    reaches(&server, "signaling_peers", 1).await;
    moves(&server, "signaling_waiting_bytes").await;

    let mut stranger = server.connect("/ws?token=guest-1").await;
    assert_eq!(stranger.closed().await.0, 1008);
    reaches(&server, r#"signaling_unwelcome_total{reason="name"}"#, 1).await;
    reaches(&server, r#"signaling_closes_total{code="1008"}"#, 1).await;
    let foreign = [("origin", "https://evil.example")];
    assert!(server.try_connect("/ws", &foreign).await.is_err());
    reaches(&server, r#"signaling_unwelcome_total{reason="origin"}"#, 1).await;

    ann.send(json!({"type": "bye"})).await;
    assert_eq!(ann.closed().await.0, 1000);
    reaches(&server, "signaling_rooms", 0).await;
    server.signaling.drain(Duration::ZERO).await;
    reaches(&server, "signaling_draining", 1).await;

    // Whoever adds a metric moves it above.
    let page = server.signaling.metrics();
    let names = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names: Vec<&str> = names.filter_map(|line| line.split(' ').next()).collect();
    let source = include_str!("operation.rs");
    for name in &names {
        assert!(source.contains(name), "{name} is moved by no test");
    }
    assert_eq!(names.len(), 16);
    let _ = std::fs::remove_dir_all(folder);
}

#[tokio::test]
async fn a_drain_sends_the_idle_away_at_once_and_others_when_they_are_done() {
    let server = Server::limited(Limits::default()).await;
    let mut idle = server.user("zoe").await;
    let (mut member, _) = server.member("r").await;
    let mut ann = server.user("ann").await;
    let mut bob = server.user("bob").await;
    ann.send(json!({"type": "call-initiate", "callId": "c", "recipientIds": ["bob"], "callType": "video"})).await;
    bob.expect("incoming-call").await;

    let signaling = server.signaling.clone();
    let drain = tokio::spawn(async move { signaling.drain(PATIENCE).await });
    let elsewhere = (1012, "The server ends soon: connect again".to_owned());
    assert_eq!(idle.closed().await, elsewhere);
    let refused = server.try_connect("/ws", &[]).await.err();
    let Some(Error::Http(answer)) = refused else {
        panic!("let in: {refused:?}")
    };
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));

    // A call that rings goes on, is answered, and ends as ever.
    bob.send(json!({"type": "call-answer", "callId": "c"}))
        .await;
    ann.expect("call-answered").await;
    assert!(!drain.is_finished());
    ann.send(json!({"type": "call-end", "callId": "c"})).await;
    bob.expect("call-ended").await;
    assert_eq!(bob.closed().await, elsewhere);
    assert_eq!(ann.closed().await, elsewhere);
    assert!(!drain.is_finished(), "somebody is still in a room");
    member.send(json!({"type": "leave"})).await;
    member.expect("left").await;
    assert_eq!(member.closed().await, elsewhere);
    drain.await.unwrap();
}

#[tokio::test]
async fn a_drain_ends_at_its_deadline_whoever_is_left() {
    let server = Server::start().await;
    let (mut member, _) = server.member("r").await;
    server.signaling.drain(Duration::from_millis(1)).await;
    assert!(server.signaling.is_draining());
    member.send(json!({"type": "ping"})).await;
    member.expect("pong").await;
    server.signaling.stop().await;
    assert_eq!(member.closed().await.0, 1001);
}

#[tokio::test]
async fn whoever_is_sent_elsewhere_hears_it_though_the_end_follows_at_once() {
    let server = Server::start().await;
    let mut users = Vec::new();
    for number in 0..20 {
        users.push(server.user(&format!("u{number}")).await);
    }
    server.signaling.drain(PATIENCE).await;
    server.signaling.stop().await;
    for user in &mut users {
        assert_eq!(user.closed().await.0, 1012);
    }
}
