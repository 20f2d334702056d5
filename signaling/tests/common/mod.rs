//! A service on a socket of its own, and clients that speak JSON to it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests: a panic is the report"
)]
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use ice_api::{Admission, ApiState, Endpoint, Issuer, Origins};
use serde_json::{Value, json};
use signaling::hub::Limits;
use signaling::{Config, Doors, Gate, HistoryKeys, Identification, Signaling};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use turn_auth::Secret;

/// How long something that should come may take, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long nothing has to come to be believed.
pub const SILENCE: Duration = Duration::from_millis(200);

pub struct Server {
    pub address: SocketAddr,
    pub signaling: Signaling,
}

pub fn issuer() -> Arc<Issuer> {
    Arc::new(
        Issuer::here(Endpoint::plain(3478)).with_secrets(vec![Secret::new(b"secret".to_vec())]),
    )
}

pub fn config() -> Config {
    Config {
        limits: Limits::default(),
        gate: Gate::default(),
        identification: Identification::default(),
        ice: issuer(),
        call_log: None,
        history_keys: HistoryKeys::default(),
        doors: Doors::default(),
        api: None,
        fleet: None,
    }
}

/// As quickstart mounts it, with the key `run`.
pub fn quickstart() -> Config {
    let origins = Origins::default().with_localhost();
    let key = || Secret::new("run".to_owned());
    let api = ApiState::new(
        issuer(),
        Admission::default().with_quickstart(key()),
        origins.clone(),
    );
    Config {
        gate: Gate::new(origins).with_join_key(key()),
        api: Some(api),
        ..config()
    }
}

impl Server {
    pub async fn start() -> Server {
        Server::with(config()).await
    }

    pub async fn limited(limits: Limits) -> Server {
        Server::with(Config { limits, ..config() }).await
    }

    pub async fn with(config: Config) -> Server {
        Server::with_places(config, 1_000).await
    }

    /// With at most this many connections.
    pub async fn capped(max_connections: usize) -> Server {
        Server::with_places(config(), max_connections).await
    }

    async fn with_places(config: Config, max_connections: usize) -> Server {
        let signaling = Signaling::start(config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = signaling.router();
        tokio::spawn(async move {
            // Kept here, so that it never stops.
            let (_stop, stopping) = watch::channel(false);
            signaling::server::serve(listener, routes, max_connections, stopping).await
        });
        Server { address, signaling }
    }

    pub async fn connect(&self, path: &str) -> Client {
        self.try_connect(path, &[]).await.unwrap()
    }

    /// Connects with further header fields; a `host` replaces the usual one.
    pub async fn try_connect(
        &self,
        path: &str,
        fields: &[(&'static str, &str)],
    ) -> Result<Client, Error> {
        let mut request = format!("ws://{}{path}", self.address)
            .into_client_request()
            .unwrap();
        for (name, value) in fields {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (socket, _) = client_async(request, stream).await?;
        Ok(Client { socket })
    }

    /// Connects as a user of the call service, and reads the greeting.
    pub async fn user(&self, name: &str) -> Client {
        let mut client = self.connect(&format!("/?token={name}")).await;
        assert_eq!(
            client.recv().await,
            json!({"type": "connected", "userId": name})
        );
        client
    }

    /// Joins a room and returns the client with its `joined`.
    pub async fn member(&self, room: &str) -> (Client, Value) {
        let mut client = self.connect("/ws").await;
        client.send(json!({"type": "join", "room": room})).await;
        client.expect("connected").await;
        let joined = client.expect("joined").await;
        (client, joined)
    }
}

pub struct Client {
    pub socket: WebSocketStream<TcpStream>,
}

impl Client {
    pub async fn send(&mut self, message: Value) {
        self.send_text(&message.to_string()).await;
    }

    pub async fn send_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// The next message.
    pub async fn recv(&mut self) -> Value {
        loop {
            match self.next().await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("instead of a message: {other:?}"),
            }
        }
    }

    /// The next message's text.
    pub async fn socket_text(&mut self) -> String {
        match self.next().await {
            Some(Ok(Message::Text(text))) => text.to_string(),
            other => panic!("instead of a message: {other:?}"),
        }
    }

    /// The next message, which has this type.
    pub async fn expect(&mut self, kind: &str) -> Value {
        let message = self.recv().await;
        assert_eq!(message["type"], kind, "{message}");
        message
    }

    /// The next error's words.
    pub async fn error(&mut self) -> String {
        let message = self.expect("error").await;
        message["error"].as_str().unwrap().to_owned()
    }

    /// The next message, or code and reason of the close.
    pub async fn recv_or_close(&mut self) -> Result<Value, (u16, String)> {
        match self.next().await {
            Some(Ok(Message::Text(text))) => Ok(serde_json::from_str(&text).unwrap()),
            Some(Ok(Message::Close(Some(CloseFrame { code, reason })))) => {
                Err((code.into(), reason.to_string()))
            }
            other => panic!("neither a message nor a close: {other:?}"),
        }
    }

    /// Skips messages until the server closes; returns code and reason.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next().await {
                Some(Ok(Message::Close(Some(CloseFrame { code, reason })))) => {
                    return (code.into(), reason.to_string());
                }
                Some(Ok(Message::Close(None))) => return (1005, String::new()),
                Some(Ok(_)) => {}
                other => panic!("closed without a close frame: {other:?}"),
            }
        }
    }

    /// Nothing comes for a while.
    pub async fn silent(&mut self) {
        if let Ok(message) = timeout(SILENCE, self.socket.next()).await {
            panic!("not silent: {message:?}");
        }
    }

    /// Closes as a browser does whose page goes away.
    pub async fn leave(mut self) {
        self.socket.close(None).await.unwrap();
        while let Some(Ok(_)) = self.next().await {}
    }

    async fn next(&mut self) -> Option<Result<Message, Error>> {
        timeout(PATIENCE, self.socket.next())
            .await
            .expect("nothing came")
    }
}
