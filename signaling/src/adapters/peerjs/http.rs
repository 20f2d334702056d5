//! The paths of PeerJS clients: a fresh id, who is there, and the WebSocket.
//!
//! In: what peerjs-server answers over HTTP. Not in: what is said over the socket (`mod.rs`).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;

use super::Claim;
use crate::doors::PeerJsDoor;
use crate::identity::token_in;
use crate::router::{foreign, upgrade, with_cors};
use crate::session::{Profile, Visitor};
use crate::{Shared, chance};

/// Ids that one answer names: 2,000 of full length are 256 KiB.
const MOST_IDS: usize = 2_000;

/// The paths of a door.
pub(crate) fn routes(door: &PeerJsDoor) -> Router<Arc<Shared>> {
    let path = &door.path;
    let (own, discovery) = (door.key.clone(), door.discovery);
    let own_id = own.clone();
    Router::new()
        .route(
            &format!("{path}{{key}}/id"),
            get(move |State(shared), Path(key), request| {
                fresh_id(shared, own_id.clone(), key, request)
            }),
        )
        .route(
            &format!("{path}{{key}}/peers"),
            get({
                let own = own.clone();
                move |State(shared), Path(key), request| {
                    peers(shared, own.clone(), discovery, key, request)
                }
            }),
        )
        .route(
            &format!("{path}peerjs"),
            get(move |State(shared), request| socket(shared, own.clone(), request)),
        )
}

/// Answers with an id that nobody has.
async fn fresh_id(shared: Arc<Shared>, own: String, key: String, request: Request) -> Response {
    let parts = request.into_parts().0;
    answer(&shared, &own, &key, &parts, || {
        chance::peer_id().into_response()
    })
}

/// Answers with the ids of those who are there, if the operator has discovery on.
async fn peers(
    shared: Arc<Shared>,
    own: String,
    discovery: bool,
    key: String,
    request: Request,
) -> Response {
    let parts = request.into_parts().0;
    answer(&shared, &own, &key, &parts, || match discovery {
        // The client knows this status and explains it.
        false => StatusCode::UNAUTHORIZED.into_response(),
        true => Json(shared.board.peer_ids(MOST_IDS)).into_response(),
    })
}

/// Answers a page that may ask, with a key that is one.
fn answer(
    shared: &Shared,
    own: &str,
    key: &str,
    parts: &Parts,
    content: impl FnOnce() -> Response,
) -> Response {
    if let Some(refusal) = foreign(shared, &parts.headers) {
        return refusal;
    }
    let response = match is_key(shared, own, Some(key), parts) {
        true => content(),
        false => (StatusCode::UNAUTHORIZED, "Invalid key provided\n").into_response(),
    };
    with_cors(&parts.headers, response)
}

/// The key of the door opens it for those who need no key of the run; the key of the run opens it for all.
fn is_key(shared: &Shared, own: &str, key: Option<&str>, parts: &Parts) -> bool {
    let source = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let source = source.map(|info| info.0.ip());
    let plain = key == Some(own) && !shared.gate.wants_key(source, &parts.headers);
    plain || shared.gate.is_key(key)
}

/// The query of an upgrade. It holds a secret and is never logged.
#[derive(Default, Deserialize)]
struct Shown {
    id: Option<String>,
    token: Option<String>,
    key: Option<String>,
}

async fn socket(shared: Arc<Shared>, own: String, request: Request) -> Response {
    let parts = request.into_parts().0;
    let Ok(Query(shown)) = Query::<Shown>::try_from_uri(&parts.uri) else {
        return (StatusCode::BAD_REQUEST, "The query is malformed.\n").into_response();
    };
    let (id, token) = (shown.id, shown.token.or_else(|| token_in(&parts.headers)));
    let claim =
        id.zip(token.as_deref())
            .and_then(|(id, token)| match shared.identification.proves() {
                true => Claim::of_user(&id),
                false => Claim::parse(&id, token),
            });
    let key = is_key(&shared, &own, shown.key.as_deref(), &parts);
    let visitor = Visitor {
        token,
        wants_key: !key,
        claim,
        ..Visitor::new(Profile::PeerJs)
    };
    upgrade(shared, parts, visitor).await
}
