//! The paths of Socket.IO clients, and the one on which they make up a call.
//!
//! In: handshakes, statuses, call sessions. Not in: packets (`engine.rs`), what they mean (`mod.rs`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::call_id;
use super::engine::{Ends, Line, Link};
use crate::hub::{CallType, Name};
use crate::identity::token_in;
use crate::router::{accept, foreign, host_of, with_cors};
use crate::session::{self, Profile, Visitor, Wire};
use crate::{Shared, chance};

/// What the client may wait between two pings, in milliseconds: the session's own interval, and as much as a slow network needs.
const PING_INTERVAL: u64 = 25_000;
const PING_TIMEOUT: u64 = 20_000;

/// The paths of the door.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/socket.io/", any(engine))
        .route("/socket.io", any(engine))
        .route("/api/call-sessions", any(call_sessions))
}

/// The query of a request. It may hold secrets and is never logged.
#[derive(Default, Deserialize)]
struct Shown {
    #[serde(rename = "EIO")]
    version: Option<String>,
    transport: Option<String>,
    sid: Option<String>,
    token: Option<String>,
    key: Option<String>,
}

async fn engine(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if let Some(refusal) = foreign(&shared, &parts.headers) {
        return refusal;
    }
    let fields = parts.headers.clone();
    with_cors(&fields, answer(shared, parts, body).await)
}

async fn answer(shared: Arc<Shared>, parts: Parts, body: Body) -> Response {
    if parts.method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let Ok(Query(shown)) = Query::<Shown>::try_from_uri(&parts.uri) else {
        return refused(3, "Bad request");
    };
    if shown.version.as_deref() != Some("4") {
        return refused(5, "Unsupported protocol version");
    }
    let link = match shown.sid.as_deref().map(|sid| shared.engines.find(sid)) {
        Some(None) => return refused(1, "Session ID unknown"),
        Some(Some(link)) => Some(link),
        None => None,
    };
    match (&parts.method, shown.transport.as_deref(), link) {
        (&Method::GET, Some("polling"), None) => match open(&shared) {
            Some((line, link)) => {
                let visitor = visitor(&shared, &parts, shown);
                let greeting = greeting(&shared, link.sid());
                tokio::spawn(session::run(Wire::Engine(line), shared, visitor));
                packets(greeting)
            }
            None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        },
        (&Method::GET, Some("polling"), Some(link)) => match link.poll().await {
            Some(body) => packets(body),
            None => refused(3, "Bad request"),
        },
        (&Method::POST, Some("polling"), Some(link)) => post(&shared, &link, body).await,
        (&Method::GET, Some("websocket"), Some(link)) => {
            accept(&shared, parts, move |socket| async move {
                link.carry(socket).await;
            })
            .await
        }
        (&Method::GET, Some("websocket"), None) => {
            let visitor = visitor(&shared, &parts, shown);
            let greeting = greeting(&shared, &chance::peer_id());
            let own = Arc::clone(&shared);
            accept(&own, parts, move |socket| {
                session::run(
                    Wire::Engine(Line::direct(socket, greeting)),
                    shared,
                    visitor,
                )
            })
            .await
        }
        (_, Some("polling" | "websocket"), _) => refused(2, "Bad handshake method"),
        _ => refused(0, "Transport unknown"),
    }
}

fn open(shared: &Shared) -> Option<Ends> {
    if shared.draining.load(Ordering::Relaxed) {
        return None;
    }
    shared.engines.open(chance::peer_id())
}

fn visitor(shared: &Shared, parts: &Parts, shown: Shown) -> Visitor {
    let source = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let source = source.map(|info| info.0.ip());
    Visitor {
        host: host_of(parts),
        token: token_in(&parts.headers).or(shown.token),
        key: shown.key,
        wants_key: shared.gate.wants_key(source, &parts.headers),
        ..Visitor::new(Profile::SocketIo)
    }
}

fn greeting(shared: &Shared, sid: &str) -> String {
    let open = json!({
        "sid": sid,
        "upgrades": ["websocket"],
        "pingInterval": PING_INTERVAL,
        "pingTimeout": PING_TIMEOUT,
        "maxPayload": shared.board.limits().message,
    });
    format!("0{open}")
}

fn packets(body: String) -> Response {
    let kind = HeaderValue::from_static("text/plain; charset=UTF-8");
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

async fn post(shared: &Shared, link: &Link, body: Body) -> Response {
    let Ok(bytes) = to_bytes(body, shared.board.limits().message).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    match std::str::from_utf8(&bytes) {
        Ok(text) if link.post(text).await => packets("ok".to_owned()),
        _ => refused(3, "Bad request"),
    }
}

/// A refusal in Engine.IO's numbers.
fn refused(code: u8, message: &str) -> Response {
    let body = Json(json!({"code": code, "message": message}));
    (StatusCode::BAD_REQUEST, body).into_response()
}

/// What a call is to be.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallSession {
    room_id: String,
    #[serde(rename = "type")]
    call_type: CallType,
}

/// Makes up the name of a call. Nothing is stored: what was asked for is part of the name.
async fn call_sessions(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if let Some(refusal) = foreign(&shared, &parts.headers) {
        return refusal;
    }
    let response = match parts.method {
        Method::OPTIONS => StatusCode::NO_CONTENT.into_response(),
        Method::POST => {
            let bytes = to_bytes(body, shared.board.limits().message).await;
            let wanted = bytes.ok().and_then(|bytes| {
                let wanted: CallSession = serde_json::from_slice(&bytes).ok()?;
                Name::parse(&wanted.room_id).map(|room| (room, wanted.call_type))
            });
            match wanted {
                Some((room, call_type)) => {
                    let call =
                        json!({"callId": call_id(call_type), "roomId": room, "type": call_type});
                    (StatusCode::CREATED, Json(call)).into_response()
                }
                None => StatusCode::BAD_REQUEST.into_response(),
            }
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")]).into_response(),
    };
    with_cors(&parts.headers, response)
}
