//! Who clients are, at every door: signed tokens, their keys from a server of the issuer's, and a service that is asked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is the report"
)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{Server, config};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use signaling::{
    CallOut, Config, Expected, Freshness, Identification, KeySource, SecretKeys, Tokens, WebUrl,
};
use tokio::net::TcpListener;
use turn_auth::Secret;

const SECRET: &str = "an old secret of 32 bytes or more";
const NEWER: &str = "a new secret of 32 bytes or longer";

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[expect(
    clippy::disallowed_methods,
    reason = "tokens are checked against the machine's clock"
)]
fn claims(user: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    json!({"sub": user, "exp": now.unwrap().as_secs() + 600}).to_string()
}

fn hs256(claims: &str, secret: &str) -> String {
    let signed = format!(
        "{}.{}",
        encode(r#"{"alg":"HS256","typ":"JWT"}"#),
        encode(claims)
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    let signature = ring::hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", encode(signature))
}

/// A pair of keys with a name.
struct Signer(&'static str, Ed25519KeyPair);

impl Signer {
    fn new(id: &'static str) -> Signer {
        let seed = [id.len() as u8; 32];
        Signer(id, Ed25519KeyPair::from_seed_unchecked(&seed).unwrap())
    }

    fn published(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.0, "x": encode(self.1.public_key())})
    }

    fn token(&self, user: &str) -> String {
        let header = json!({"alg": "EdDSA", "kid": self.0}).to_string();
        let signed = format!("{}.{}", encode(header), encode(claims(user)));
        format!("{signed}.{}", encode(self.1.sign(signed.as_bytes())))
    }
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn tokens(published: Option<KeySource>) -> Arc<Tokens> {
    Arc::new(Tokens {
        secrets: SecretKeys::new(&[secret(SECRET)]),
        published,
        expected: Expected::default(),
    })
}

async fn server(tokens: &Arc<Tokens>) -> Server {
    known_by(Identification::Tokens(Arc::clone(tokens))).await
}

async fn known_by(identification: Identification) -> Server {
    Server::with(Config {
        identification,
        ..config()
    })
    .await
}

/// Serves `routes` on a socket of its own.
async fn service(routes: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

/// An issuer whose answer a test can change; it counts who asks.
#[derive(Clone, Default)]
struct Issuer {
    keys: Arc<Mutex<Option<Value>>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    fn publishing(signers: &[&Signer]) -> Issuer {
        let issuer = Issuer::default();
        issuer.publish(signers);
        issuer
    }

    fn publish(&self, signers: &[&Signer]) {
        let keys: Vec<Value> = signers.iter().map(|signer| signer.published()).collect();
        *self.keys.lock().unwrap() = Some(json!({"keys": keys}));
    }

    fn break_down(&self) {
        *self.keys.lock().unwrap() = None;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    async fn source(&self, freshness: Freshness) -> KeySource {
        let own = self.clone();
        let answer = move || async move {
            own.asked.fetch_add(1, Ordering::Relaxed);
            match own.keys.lock().unwrap().clone() {
                Some(keys) => keys.to_string().into_response(),
                None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            }
        };
        let base = service(Router::new().route("/jwks.json", get(answer))).await;
        let url: WebUrl = format!("{base}/jwks.json").parse().unwrap();
        KeySource::new(url, freshness)
    }
}

const LONG: Freshness = Freshness {
    max_age: Duration::from_secs(3_600),
    pause: Duration::from_secs(3_600),
};

const ALWAYS: Freshness = Freshness {
    max_age: Duration::ZERO,
    pause: Duration::ZERO,
};

async fn greeting(server: &Server, token: &str) -> Option<Value> {
    let mut client = server.connect(&format!("/ws?token={token}")).await;
    match client.recv_or_close().await {
        Ok(message) => Some(message),
        Err(close) => {
            assert_eq!(close, (1008, "Authentication failed".to_owned()));
            None
        }
    }
}

#[tokio::test]
async fn the_user_is_the_token_s_subject_wherever_it_is_written() {
    let server = server(&tokens(None)).await;
    let token = hs256(&claims("ann"), SECRET);
    let connected = json!({"type": "connected", "userId": "ann"});
    for (path, fields) in [
        (format!("/ws?token={token}"), vec![]),
        (format!("/?token={token}"), vec![]),
        (
            "/ws".to_owned(),
            vec![("authorization", format!("Bearer {token}"))],
        ),
        (
            "/ws".to_owned(),
            vec![("sec-websocket-protocol", format!("turnpike, token.{token}"))],
        ),
    ] {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let mut client = server.try_connect(&path, &fields).await.unwrap();
        assert_eq!(client.recv().await, connected, "{fields:?}");
    }
    let mut client = server.connect("/ws").await;
    client.send(json!({"type": "hello", "token": token})).await;
    assert_eq!(client.recv().await, connected);

    let mut receiver = server.connect("/").await;
    receiver
        .send(json!({"type": "register", "role": "receiver", "token": token}))
        .await;
    receiver.expect("registered").await;

    let mut socketio = server
        .connect("/socket.io/?EIO=4&transport=websocket")
        .await;
    assert!(socketio.socket_text().await.starts_with('0'));
    socketio
        .send_text(&format!("40{}", json!({"token": token})))
        .await;
    let answer = socketio.socket_text().await;
    assert!(answer.contains(r#""userId":"ann""#), "{answer}");

    let mut peer = server
        .connect(&format!("/peerjs?key=peerjs&id=p1&token={token}"))
        .await;
    assert_eq!(peer.recv().await, json!({"type": "OPEN"}));
}

#[tokio::test]
async fn a_wrong_token_is_closed_with_1008_at_every_door() {
    let server = server(&tokens(None)).await;
    let expired = r#"{"sub":"ann","exp":1000000000}"#;
    for token in [
        hs256(&claims("ann"), NEWER),
        hs256(expired, SECRET),
        hs256(r#"{"sub":"ann"}"#, SECRET),
        hs256(&claims("guest-1"), SECRET),
        hs256(&claims(""), SECRET),
        "ann".to_owned(),
        "x".repeat(9_000),
    ] {
        let failed = (1008, "Authentication failed".to_owned());
        for path in [
            "/?token=",
            "/ws?token=",
            "/ws/stream?token=",
            "/peerjs?key=peerjs&id=p1&token=",
        ] {
            let mut client = server.connect(&format!("{path}{token}")).await;
            assert_eq!(client.closed().await, failed, "{path}{token}");
        }
        for path in ["/", "/ws", "/ws/stream"] {
            let mut client = server.connect(path).await;
            client
                .send(json!({"type": "register", "role": "sender", "token": token}))
                .await;
            assert_eq!(client.closed().await, failed, "{path} {token}");
        }
        let mut socketio = server
            .connect("/socket.io/?EIO=4&transport=websocket")
            .await;
        socketio.socket_text().await;
        socketio
            .send_text(&format!("40{}", json!({"token": token})))
            .await;
        assert_eq!(
            socketio.socket_text().await,
            r#"44{"message":"Authentication failed"}"#
        );
    }
    let mut nobody = server.connect("/ws").await;
    nobody.send(json!({"type": "join", "room": "r"})).await;
    assert_eq!(
        nobody.closed().await.0,
        1008,
        "there are no guests where tokens prove who is who"
    );
}

#[tokio::test]
async fn a_peer_s_id_is_its_user_s_and_not_its_token_s() {
    let server = server(&tokens(None)).await;
    let path = |claims: &str| format!("/peerjs?key=peerjs&id=p1&token={}", hs256(claims, SECRET));
    let mut first = server.connect(&path(&claims("ann"))).await;
    assert_eq!(first.recv().await["type"], "OPEN");
    let mut bob = server.connect(&path(&claims("bob"))).await;
    assert_eq!(bob.recv().await["type"], "ID-TAKEN");
    let later = claims("ann").replace('}', r#","jti":"later"}"#);
    let mut second = server.connect(&path(&later)).await;
    assert_eq!(
        second.recv().await["type"],
        "OPEN",
        "with her next token she takes it over"
    );
    assert_eq!(first.closed().await.0, 4001);
}

#[tokio::test]
async fn secrets_rotate_while_both_are_known_and_who_is_here_stays() {
    let tokens = tokens(None);
    let server = server(&tokens).await;
    let (old, new) = (hs256(&claims("ann"), SECRET), hs256(&claims("bob"), NEWER));
    let mut ann = server.connect(&format!("/ws?token={old}")).await;
    ann.expect("connected").await;
    assert!(greeting(&server, &new).await.is_none());
    tokens.secrets.replace(&[secret(NEWER), secret(SECRET)]);
    assert!(greeting(&server, &new).await.is_some() && greeting(&server, &old).await.is_some());
    tokens.secrets.replace(&[secret(NEWER)]);
    assert!(greeting(&server, &new).await.is_some() && greeting(&server, &old).await.is_none());
    ann.send(json!({"type": "ping"})).await;
    ann.expect("pong").await;
}

#[tokio::test]
async fn keys_are_fetched_once_and_a_key_that_is_new_makes_them_fetched_again() {
    let (first, second) = (Signer::new("1"), Signer::new("22"));
    let issuer = Issuer::publishing(&[&first]);
    let freshness = Freshness {
        pause: Duration::ZERO,
        ..LONG
    };
    let server = server(&tokens(Some(issuer.source(freshness).await))).await;
    for user in ["ann", "bob"] {
        assert_eq!(
            greeting(&server, &first.token(user)).await.unwrap()["userId"],
            user
        );
    }
    assert_eq!(issuer.asked(), 1);
    issuer.publish(&[&second]);
    assert!(greeting(&server, &second.token("ann")).await.is_some());
    assert_eq!(issuer.asked(), 2);
    assert!(
        greeting(&server, &first.token("ann")).await.is_none(),
        "it is withdrawn"
    );
}

#[tokio::test]
async fn made_up_keys_do_not_make_us_hammer_the_issuer() {
    let (known, made_up) = (Signer::new("1"), Signer::new("22"));
    let issuer = Issuer::publishing(&[&known]);
    let server = server(&tokens(Some(issuer.source(LONG).await))).await;
    assert!(greeting(&server, &known.token("ann")).await.is_some());
    for _ in 0..5 {
        assert!(greeting(&server, &made_up.token("ann")).await.is_none());
    }
    assert_eq!(issuer.asked(), 1, "the pause was not kept");
}

#[tokio::test]
async fn known_keys_are_kept_while_the_issuer_is_down() {
    let (known, other) = (Signer::new("1"), Signer::new("22"));
    let issuer = Issuer::publishing(&[&known]);
    let server = server(&tokens(Some(issuer.source(ALWAYS).await))).await;
    assert!(greeting(&server, &known.token("ann")).await.is_some());
    issuer.break_down();
    assert!(greeting(&server, &known.token("ann")).await.is_some());
    assert!(greeting(&server, &other.token("ann")).await.is_none());
    assert!(issuer.asked() > 2, "nobody asked whether it is back");
}

#[tokio::test]
async fn without_any_key_nobody_is_refused_for_good() {
    let issuer = Issuer::default();
    let server = server(&tokens(Some(issuer.source(ALWAYS).await))).await;
    let signer = Signer::new("1");
    let mut client = server
        .connect(&format!("/ws?token={}", signer.token("ann")))
        .await;
    assert_eq!(
        client.closed().await,
        (1013, "Authentication is not available".to_owned())
    );
    issuer.publish(&[&signer]);
    assert!(greeting(&server, &signer.token("ann")).await.is_some());
}

/// A public key is no secret: whoever signs with it as if it were one is not believed.
#[tokio::test]
async fn a_public_key_is_never_taken_for_a_secret() {
    let signer = Signer::new("1");
    let issuer = Issuer::publishing(&[&signer]);
    let server = server(&tokens(Some(issuer.source(LONG).await))).await;
    let public = signer.published()["x"].as_str().unwrap().to_owned();
    assert!(greeting(&server, &signer.token("ann")).await.is_some());
    assert!(
        greeting(&server, &hs256(&claims("ann"), &public))
            .await
            .is_none()
    );
    let raw = URL_SAFE_NO_PAD.decode(&public).unwrap();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &raw);
    let signed = format!(
        "{}.{}",
        encode(r#"{"alg":"HS256","kid":"1"}"#),
        encode(claims("ann"))
    );
    let signature = ring::hmac::sign(&key, signed.as_bytes());
    assert!(
        greeting(&server, &format!("{signed}.{}", encode(signature)))
            .await
            .is_none()
    );
}

#[tokio::test]
async fn a_service_is_asked_and_its_answer_kept_for_a_moment() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let answer = move |headers: HeaderMap, body: String| async move {
        counted.fetch_add(1, Ordering::Relaxed);
        if headers["authorization"] != "Bearer own-key" {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        let question: Value = serde_json::from_str(&body).unwrap();
        match question["token"].as_str().unwrap() {
            "session-1" => json!({"user": "ann", "name": "Ann"})
                .to_string()
                .into_response(),
            "busy" => StatusCode::TOO_MANY_REQUESTS.into_response(),
            "odd" => json!({"user": ""}).to_string().into_response(),
            _ => StatusCode::UNAUTHORIZED.into_response(),
        }
    };
    let base = service(Router::new().route("/whois", post(answer))).await;
    let url: WebUrl = format!("{base}/whois").parse().unwrap();
    let callout = CallOut::new(url, Some(secret("own-key")));
    let server = known_by(Identification::CallOut(Arc::new(callout))).await;
    for _ in 0..3 {
        assert_eq!(
            greeting(&server, "session-1").await.unwrap()["userId"],
            "ann"
        );
        assert!(greeting(&server, "session-2").await.is_none());
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2, "each token once");
    for unclear in ["busy", "odd"] {
        let mut client = server.connect(&format!("/ws?token={unclear}")).await;
        assert_eq!(client.closed().await.0, 1013, "{unclear}");
    }
    let mut ann = server.connect("/ws?token=session-1").await;
    ann.expect("connected").await;
    ann.send(json!({"type": "join", "room": "r"})).await;
    ann.expect("joined").await;
}

#[tokio::test]
async fn a_service_that_is_not_there_turns_nobody_away_for_good() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let callout = CallOut::new(format!("http://{closed}/").parse().unwrap(), None);
    let server = known_by(Identification::CallOut(Arc::new(callout))).await;
    let mut client = server.connect("/ws?token=t").await;
    assert_eq!(
        client.closed().await,
        (1013, "Authentication is not available".to_owned())
    );
}
