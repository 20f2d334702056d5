//! ICE servers from a `turnserver`'s endpoint: the real endpoint, on a socket of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is the report"
)]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;

use common::{Server, config, issuer};
use ice_api::{Admission, ApiState, Origins};
use signaling::Config;
use signaling::program::Endpoint;
use tokio::net::TcpListener;
use turn_auth::Secret;

fn key(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// A `turnserver`'s endpoint that wants the key `key`.
async fn endpoint() -> SocketAddr {
    let state = ApiState::new(issuer(), Admission::keys([key("key")]), Origins::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = ice_api::router(state).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

async fn server(url: &str, shown: &str) -> Server {
    let source = Endpoint::new(url.parse().unwrap(), Some(key(shown)));
    Server::with(Config {
        ice: Arc::new(source),
        ..config()
    })
    .await
}

#[tokio::test]
async fn members_get_what_the_endpoint_issues_for_the_host_that_they_used() {
    let address = endpoint().await;
    let server = server(&format!("http://{address}/v1/ice"), "key").await;
    let mut client = server
        .try_connect("/ws?token=ann", &[("host", "192.168.1.5:8080")])
        .await
        .unwrap();
    client.expect("connected").await;
    client
        .send(serde_json::json!({"type": "join", "room": "r"}))
        .await;
    let joined = client.expect("joined").await;
    assert_eq!(
        joined["iceServers"][1]["urls"][0],
        "turn:192.168.1.5:3478?transport=udp"
    );
    assert!(
        joined["iceServers"][1]["username"]
            .as_str()
            .unwrap()
            .ends_with(":ann")
    );
}

#[tokio::test]
async fn an_endpoint_that_refuses_or_is_not_there_leaves_members_without() {
    let address = endpoint().await;
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    for (url, shown) in [
        (format!("http://{address}/v1/ice"), "wrong"),
        (format!("http://{closed}/v1/ice"), "key"),
    ] {
        let server = server(&url, shown).await;
        let (mut client, joined) = server.member("r").await;
        assert_eq!(joined["iceServers"], serde_json::json!([]));
        assert_eq!(client.expect("error").await["code"], "ice-unavailable");
    }
}
