//! The paths: WebSockets, pages and, when given, ICE configurations.
//!
//! In: which path is what, and the upgrade. Not in: what is said over the socket (`session.rs`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, FromRequestParts, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use ice_api::Host;
use serde::Deserialize;
use tracing::debug;

use crate::adapters::{peerjs, socketio};
use crate::identity::{SUBPROTOCOL, token_in};
use crate::session::{Profile, Visitor, Wire};
use crate::{Shared, calllog, pages, session};

/// What one connection may read ahead, and holds while it is idle (the default is 128 KiB). An ordinary candidate fits; a longer message
/// takes a system call per so many bytes.
const READ_BUFFER: usize = 1_024;

/// Bytes of messages that leave in one write, if so many wait at once; nothing waits for more of them.
const WRITE_BUFFER: usize = 4_096;

/// One message of the largest size and its close frame, behind those. With nothing buffered beyond that, slowness shows at once.
const MAX_WRITE_BUFFER: usize = 256 * 1024;

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let api = shared.api.clone().map(ice_api::router).unwrap_or_default();
    let doors = &shared.doors;
    let mut routes = Router::new().route("/", any(root));
    if shared.api.is_none() {
        routes = routes.route("/v1/ice", any(no_endpoint));
    }
    if doors.native {
        routes = routes.route("/ws", get(native));
    }
    if doors.stream {
        routes = routes.route("/ws/stream", get(stream));
    }
    if let Some(door) = &doors.peerjs {
        routes = routes.merge(peerjs::http::routes(door));
    }
    if doors.socket_io {
        routes = routes.merge(socketio::http::routes());
    }
    routes
        .merge(calllog::http::routes())
        .route("/call", get(page))
        .route("/send", get(page))
        .route("/receive", get(page))
        .route("/diagnose", get(page))
        .route("/web/{*path}", get(file))
        .with_state(shared)
        .merge(api)
}

/// Says who has what people look for here.
async fn no_endpoint() -> (StatusCode, &'static str) {
    let text = "This service gives ICE servers to clients that join. Over HTTP it does where it has --join-key-file and --ice-url; \
                else ask the turnserver's --http-listen.\n";
    (StatusCode::NOT_FOUND, text)
}

/// Answers at `/`: ICE in the manner of draft-uberti, a WebSocket of either protocol, or the start page.
async fn root(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    if let Some(api) = shared
        .api
        .as_ref()
        .filter(|_| ice_api::is_service_request(request.uri()))
    {
        return ice_api::answer_service(api, request).await;
    }
    if request.method() != axum::http::Method::GET && request.method() != axum::http::Method::HEAD {
        return (
            StatusCode::METHOD_NOT_ALLOWED,
            [(header::ALLOW, "GET, HEAD")],
        )
            .into_response();
    }
    if request.headers().contains_key(header::UPGRADE) {
        let (parts, _) = request.into_parts();
        return welcome(shared, parts, Profile::FirstMessage).await;
    }
    pages::serve("index.html", request.headers())
}

async fn native(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    welcome(shared, request.into_parts().0, Profile::Native).await
}

async fn stream(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    welcome(shared, request.into_parts().0, Profile::Stream).await
}

async fn page(uri: Uri, headers: HeaderMap) -> Response {
    pages::serve(&format!("{}.html", uri.path().trim_matches('/')), &headers)
}

async fn file(Path(path): Path<String>, headers: HeaderMap) -> Response {
    pages::serve(&path, &headers)
}

/// The query of an upgrade. It holds secrets and is never logged.
#[derive(Default, Deserialize)]
struct Shown {
    token: Option<String>,
    key: Option<String>,
}

/// Lets in who says in the query or in the first message who it is.
async fn welcome(shared: Arc<Shared>, parts: Parts, profile: Profile) -> Response {
    let Ok(Query(shown)) = Query::<Shown>::try_from_uri(&parts.uri) else {
        return (StatusCode::BAD_REQUEST, "The query is malformed.\n").into_response();
    };
    let source = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0.ip());
    // Clients of the call service name their user in the query; nothing else does.
    let named = shown.token.is_some();
    let profile = match (profile, shared.doors.native, shared.doors.stream) {
        (Profile::FirstMessage, true, _) if named => Profile::Native,
        (Profile::FirstMessage, true, false) => Profile::Native,
        (Profile::FirstMessage, false, true) => Profile::Stream,
        (Profile::FirstMessage, false, false) => return StatusCode::NOT_FOUND.into_response(),
        (profile, _, _) => profile,
    };
    let visitor = Visitor {
        token: token_in(&parts.headers).or(shown.token),
        key: shown.key,
        wants_key: shared.gate.wants_key(source, &parts.headers),
        ..Visitor::new(profile)
    };
    upgrade(shared, parts, visitor).await
}

/// Makes a WebSocket of a request and has its visitor served.
pub(crate) async fn upgrade(shared: Arc<Shared>, parts: Parts, mut visitor: Visitor) -> Response {
    visitor.host = host_of(&parts);
    let own = Arc::clone(&shared);
    accept(&own, parts, move |socket| {
        session::run(Wire::Socket(Box::new(socket)), shared, visitor)
    })
    .await
}

/// Makes a WebSocket of a request, if it comes from a page that may connect.
pub(crate) async fn accept<F>(
    shared: &Shared,
    mut parts: Parts,
    serve: impl FnOnce(WebSocket) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    if let Some(refusal) = foreign(shared, &parts.headers) {
        return refusal;
    }
    if shared.draining.load(Ordering::Relaxed) {
        let text = "This server ends soon: connect again.\n";
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            [(header::RETRY_AFTER, "1")],
            text,
        )
            .into_response();
    }
    let socket = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(socket) => socket,
        Err(rejection) => return rejection.into_response(),
    };
    let largest = shared.board.limits().message;
    socket
        .protocols([SUBPROTOCOL])
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(largest)
        .max_frame_size(largest)
        // In a task of its own, which has room for the connection and nothing of its upgrade.
        .on_upgrade(|socket| {
            tokio::spawn(serve(socket));
            std::future::ready(())
        })
}

/// The answer to a page that may not ask, and nothing if it may.
pub(crate) fn foreign(shared: &Shared, headers: &HeaderMap) -> Option<Response> {
    if shared.gate.admits_origin(headers) {
        return None;
    }
    shared.metrics.unwelcome.count("origin");
    let (origin, host) = (headers.get(header::ORIGIN), headers.get(header::HOST));
    debug!(?origin, ?host, "a page of another origin is refused");
    let text = "Pages of this origin may not connect: --allowed-origin=ORIGIN lets them. The server's own pages may where a proxy in \
                front of it passes on the Host field that the browser sent.\n";
    Some((StatusCode::FORBIDDEN, text).into_response())
}

/// The host with which the client found us.
pub(crate) fn host_of(parts: &Parts) -> Option<Host> {
    let host = parts.headers.get(header::HOST)?.to_str().ok()?;
    Host::from_authority(host).ok()
}

/// Lets the page that asked, and was found to be one that may, read the answer; nobody keeps it.
pub(crate) fn with_cors(asked: &HeaderMap, mut response: Response) -> Response {
    let fields = response.headers_mut();
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = asked.get(header::ORIGIN) {
        fields.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let allowed = HeaderValue::from_static("authorization, content-type");
        fields.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    }
    response
}
