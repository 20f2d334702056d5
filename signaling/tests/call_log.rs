//! What is kept of calls, who may read it, and who is told. What PostgreSQL keeps is tested end to end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is the report"
)]

mod common;
#[path = "common/store.rs"]
mod store;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use common::{PATIENCE, Server, config};
use serde_json::{Value, json};
use signaling::calllog::{CallLog, PostgresLog, SqliteLog, Store, Webhook};
use signaling::{Config, Expected, HistoryKeys, Identification, SecretKeys, Tokens};
use store::{entry, forgets, keeps_finds_erases, kept, now, secret, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A folder that is gone after the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("signaling-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn sqlite(folder: &Folder) -> Store {
    Store::Sqlite(SqliteLog::open(&folder.file("calls.sqlite")).unwrap())
}

#[tokio::test]
async fn sqlite_keeps_finds_erases_and_forgets() {
    let folder = Folder::new();
    keeps_finds_erases(kept(sqlite(&folder))).await;
    let folder = Folder::new();
    forgets(async || sqlite(&folder)).await;
}

#[tokio::test]
async fn what_is_erased_is_not_in_the_file_either() {
    let folder = Folder::new();
    let log = kept(sqlite(&folder));
    log.add(entry("1", now(), &["a-very-rare-name"]));
    assert_eq!(
        log.erase("a-very-rare-name").await.unwrap(),
        1,
        "it waited for its turn"
    );
    log.close(PATIENCE).await;
    for file in fs::read_dir(&folder.0).unwrap() {
        let path = file.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let found = bytes.windows(16).any(|part| part == b"a-very-rare-name");
        assert!(!found, "{}", path.display());
    }
}

/// A log in a PostgreSQL to which connections can be made, and which says nothing.
async fn in_silent_postgresql() -> (TcpListener, CallLog) {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!(
        "postgresql://signaling@{}/postgres",
        silent.local_addr().unwrap()
    );
    let store = PostgresLog::new(&secret(&server)).unwrap();
    (silent, kept(Store::Postgres(Box::new(store))))
}

#[tokio::test]
async fn a_database_that_is_away_costs_records_and_nothing_else() {
    // Nobody answers there, so that everything waits.
    let (_silent, log) = in_silent_postgresql().await;
    let call = entry("1", now(), &["bob"]);
    for _ in 0..10_000 {
        log.add(call.clone());
    }
    let dropped = log.counts().dropped.load(Ordering::Relaxed);
    assert!(
        (10_000 - 4_096 - 64..=10_000 - 4_096).contains(&dropped),
        "{dropped}"
    );
}

/// One that is gone without a word, or whose network is: its connection is open, and nothing ever comes.
#[tokio::test]
async fn a_database_that_answers_nothing_any_more_is_given_up_and_asked_anew() {
    let (silent, log) = in_silent_postgresql().await;
    log.add(entry("1", now(), &["bob"]));
    let _first = silent.accept().await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();
    let second = tokio::time::timeout(PATIENCE, silent.accept()).await;
    assert!(second.is_ok(), "it waits for ever");
}

/// Asks `/v1/calls`; status and body, which is a text where it is no JSON.
async fn ask(server: &Server, method: &str, query: &str, token: Option<&str>) -> (u16, Value) {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let shown = token.map_or(String::new(), |token| {
        format!("Authorization: Bearer {token}\r\n")
    });
    let head = format!(
        "{method} /v1/calls{query} HTTP/1.1\r\nHost: h\r\n{shown}Connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (
        status,
        serde_json::from_str(body).unwrap_or_else(|_| body.into()),
    )
}

fn token(user: &str) -> String {
    use base64::Engine;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let claims = json!({"sub": user, "exp": 4_000_000_000_u64}).to_string();
    let signed = format!(
        "{}.{}",
        encode(br#"{"alg":"HS256"}"#),
        encode(claims.as_bytes())
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"secret");
    format!(
        "{signed}.{}",
        encode(ring::hmac::sign(&key, signed.as_bytes()).as_ref())
    )
}

#[tokio::test]
async fn a_call_is_in_the_history_of_those_who_were_in_it_and_of_the_operator() {
    let folder = Folder::new();
    let log = kept(sqlite(&folder));
    let tokens = Tokens {
        secrets: SecretKeys::new(&[secret("secret")]),
        published: None,
        expected: Expected::default(),
    };
    let server = Server::with(Config {
        identification: Identification::Tokens(Arc::new(tokens)),
        call_log: Some(log.clone()),
        history_keys: HistoryKeys::new(vec![secret("operator")]),
        ..config()
    })
    .await;
    let mut ann = server.connect(&format!("/ws?token={}", token("ann"))).await;
    let mut bob = server.connect(&format!("/ws?token={}", token("bob"))).await;
    ann.expect("connected").await;
    bob.expect("connected").await;
    ann.send(json!({"type": "call-initiate", "callId": "c", "recipientIds": ["bob"], "callType": "audio"})).await;
    bob.expect("incoming-call").await;
    bob.send(json!({"type": "call-answer", "callId": "c"}))
        .await;
    ann.expect("call-answered").await;
    ann.send(json!({"type": "call-end", "callId": "c"})).await;
    bob.expect("call-ended").await;
    until(&log.counts().written, 1).await;

    let (status, history) = ask(&server, "GET", "", Some("operator")).await;
    assert_eq!(status, 200);
    let call = &history["calls"][0];
    assert_eq!(call["callId"], "c");
    assert_eq!(
        (&call["initiatorId"], &call["endedBy"]),
        (&json!("ann"), &json!("ann"))
    );
    assert_eq!(
        (&call["callType"], &call["outcome"]),
        (&json!("audio"), &json!("ended"))
    );
    assert_eq!(
        call["recipients"],
        json!([{"userId": "bob", "answer": "accepted"}])
    );
    assert!(
        call["startedAt"].as_i64() <= call["answeredAt"].as_i64()
            && call["answeredAt"].as_i64() <= call["endedAt"].as_i64(),
        "{call}"
    );

    for (query, shown, status) in [
        ("?user=bob", Some(token("bob")), 200),
        ("", Some(token("bob")), 200),
        ("?user=ann", Some(token("bob")), 403),
        ("?limit=many", Some(token("bob")), 400),
        ("", Some("nonsense".to_owned()), 401),
        ("?limit=many", None, 401),
    ] {
        let (answered, body) = ask(&server, "GET", query, shown.as_deref()).await;
        assert_eq!(answered, status, "{query}");
        if status != 200 {
            let said = body.as_str().unwrap();
            assert!(said.ends_with(".\n") || said.contains("Bearer"), "{said}");
            assert_eq!(
                ask(&server, "DELETE", query, shown.as_deref()).await.0,
                status,
                "{query}"
            );
        }
    }
    assert_eq!(
        ask(&server, "DELETE", "", Some("operator")).await.0,
        400,
        "of whom?"
    );
    assert_eq!(
        ask(&server, "GET", "", Some(&token("zoe"))).await.1["calls"],
        json!([])
    );
    let erased = ask(&server, "DELETE", "", Some(&token("bob"))).await;
    assert_eq!(erased, (200, json!({"erased": 1})));
    assert_eq!(
        ask(&server, "GET", "?user=bob", Some("operator")).await.1["calls"],
        json!([])
    );
    let (_, left) = ask(&server, "GET", "?user=ann", Some("operator")).await;
    assert_eq!(left["calls"][0]["recipients"], json!([]));
}

#[tokio::test]
async fn where_names_prove_nothing_only_the_operator_reads() {
    let folder = Folder::new();
    let server = Server::with(Config {
        call_log: Some(kept(sqlite(&folder))),
        history_keys: HistoryKeys::new(vec![secret("operator")]),
        ..config()
    })
    .await;
    assert_eq!(ask(&server, "GET", "", Some("ann")).await.0, 401);
    assert_eq!(ask(&server, "GET", "", Some("operator")).await.0, 200);
    let without = Server::start().await;
    assert_eq!(ask(&without, "GET", "", Some("operator")).await.0, 404);
}

/// A service that is told of calls; it answers with these statuses, the last one for ever.
async fn listener(statuses: &'static [u16]) -> (String, Arc<Mutex<Vec<(HeaderMap, String)>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let own = Arc::clone(&heard);
    let answer = move |headers: HeaderMap, body: String| async move {
        let mut heard = own.lock().unwrap();
        let status = statuses[heard.len().min(statuses.len() - 1)];
        heard.push((headers, body));
        StatusCode::from_u16(status).unwrap()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/calls", listener.local_addr().unwrap());
    let routes = Router::new().route("/calls", post(answer));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, heard)
}

fn told(url: &str) -> CallLog {
    let secrets = [
        secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        secret("older"),
    ];
    let waits = [Duration::from_millis(1); 5];
    CallLog::start(
        None,
        Some(Webhook::new(url.parse().unwrap(), &secrets).with_waits(&waits)),
    )
}

#[tokio::test]
async fn a_webhook_is_told_again_until_it_takes_a_call() {
    let (url, heard) = listener(&[500, 429, 204]).await;
    let log = told(&url);
    log.add(entry("1", 5_000, &["bob"]));
    until(&log.counts().told, 1).await;
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 3);
    for (headers, body) in &*heard {
        assert_eq!(
            headers["webhook-id"], "1",
            "the same call has the same name"
        );
        let signatures = headers["webhook-signature"].to_str().unwrap();
        assert_eq!(
            signatures
                .split(' ')
                .filter(|one| one.starts_with("v1,"))
                .count(),
            2
        );
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["type"], "call.ended");
        assert_eq!(body["data"]["recipients"][0]["userId"], "bob");
        assert_eq!(headers["webhook-timestamp"], body["timestamp"].to_string());
    }
}

#[tokio::test]
async fn a_webhook_that_is_hopeless_is_given_up_and_the_next_call_tried() {
    let (url, heard) = listener(&[410, 500, 500, 500, 500, 500, 500, 200]).await;
    let log = told(&url);
    for id in ["unwanted", "never taken", "taken"] {
        log.add(entry(id, 5_000, &["bob"]));
    }
    until(&log.counts().told, 1).await;
    assert_eq!(log.counts().untold.load(Ordering::Relaxed), 2);
    let tried: Vec<String> = heard
        .lock()
        .unwrap()
        .iter()
        .map(|(headers, _)| headers["webhook-id"].to_str().unwrap().to_owned())
        .collect();
    let expected = [&["unwanted"][..], &["never taken"; 6], &["taken"]].concat();
    assert_eq!(tried, expected);
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = Folder::new();
    let file = folder.file("calls.sqlite");
    fs::write(
        &file,
        "this is a text and no database, and long enough to be seen as one".repeat(20),
    )
    .unwrap();
    assert!(SqliteLog::open(&file).is_err());
    assert!(SqliteLog::open(Path::new("/nonexistent/calls.sqlite")).is_err());
}
