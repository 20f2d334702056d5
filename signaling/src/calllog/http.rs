//! The history of calls over HTTP: `GET` and `DELETE /v1/calls` (`PROTOCOL.md`).
//!
//! In: who may ask for whom. Not in: the answer's making (`mod.rs`).
//!
//! The operator's key opens everything. A user whose token proves who it is may read and erase what is about that user.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Asked, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use subtle::ConstantTimeEq;
use tracing::warn;
use turn_auth::Secret;

use super::{CallLog, Query, StoreError};
use crate::Shared;
use crate::identity::{Unproven, bearer};

/// Entries of one answer, if nobody says how many, and at most.
const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 500;

/// The keys of the operator.
#[derive(Default)]
pub struct HistoryKeys(Vec<Secret<String>>);

impl HistoryKeys {
    /// Takes these; without any, only users may ask.
    pub fn new(keys: Vec<Secret<String>>) -> HistoryKeys {
        HistoryKeys(keys)
    }

    fn has(&self, shown: &str) -> bool {
        let shown = shown.as_bytes();
        self.0
            .iter()
            .any(|key| key.expose().as_bytes().ct_eq(shown).into())
    }
}

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/v1/calls", get(history).delete(erase))
}

#[derive(Deserialize)]
struct Wanted {
    user: Option<String>,
    before: Option<i64>,
    limit: Option<u32>,
}

/// What was asked for, if it can be understood.
type Request = Result<Asked<Wanted>, QueryRejection>;

/// For whom somebody may ask.
enum Scope {
    Everybody,
    Own(String),
}

impl Scope {
    async fn of(shared: &Shared, headers: &HeaderMap) -> Result<Scope, StatusCode> {
        let shown = bearer(headers).ok_or(StatusCode::UNAUTHORIZED)?;
        if shared.history_keys.has(&shown) {
            return Ok(Scope::Everybody);
        }
        // A name that nothing proves is everybody's.
        if !shared.identification.proves() {
            return Err(StatusCode::UNAUTHORIZED);
        }
        match shared.identification.user_of(Some(&shown)).await {
            Ok(known) => Ok(Scope::Own(known.user.to_string())),
            Err(Unproven::Wrong) => Err(StatusCode::UNAUTHORIZED),
            Err(Unproven::Unavailable) => Err(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    /// The user that is asked about, if that may be.
    fn narrow(self, wanted: Option<String>) -> Result<Option<String>, StatusCode> {
        match self {
            Scope::Everybody => Ok(wanted),
            Scope::Own(own) if wanted.as_ref().is_none_or(|wanted| *wanted == own) => Ok(Some(own)),
            Scope::Own(_) => Err(StatusCode::FORBIDDEN),
        }
    }
}

async fn history(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let (log, wanted) = match admitted(&shared, &headers, request).await {
        Ok(admitted) => admitted,
        Err(status) => return refused(status),
    };
    let query = Query {
        user: wanted.user,
        before: wanted.before,
        limit: wanted.limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE),
    };
    answer(log.history(query).await, |calls| json!({"calls": calls}))
}

async fn erase(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let (log, wanted) = match admitted(&shared, &headers, request).await {
        Ok(admitted) => admitted,
        Err(status) => return refused(status),
    };
    let Some(user) = wanted.user else {
        return (StatusCode::BAD_REQUEST, "Name the user: ?user=NAME\n").into_response();
    };
    answer(log.erase(&user).await, |calls| json!({"erased": calls}))
}

async fn admitted(
    shared: &Shared,
    headers: &HeaderMap,
    request: Request,
) -> Result<(CallLog, Wanted), StatusCode> {
    let log = shared.board.call_log().ok_or(StatusCode::NOT_FOUND)?;
    let scope = Scope::of(shared, headers).await?;
    let Asked(wanted) = request.map_err(|_| StatusCode::BAD_REQUEST)?;
    let user = scope.narrow(wanted.user)?;
    Ok((log, Wanted { user, ..wanted }))
}

fn refused(status: StatusCode) -> Response {
    let text = match status {
        StatusCode::BAD_REQUEST => {
            "`before` (milliseconds since 1970) and `limit` are whole numbers.\n"
        }
        StatusCode::UNAUTHORIZED => {
            "Show a key of --call-log-key-file, or a user's token where --auth proves users: Authorization: Bearer WORD\n"
        }
        StatusCode::FORBIDDEN => "A user reads and erases what is about that user only.\n",
        StatusCode::NOT_FOUND => "There is no call log here; --call-log=FILE keeps one.\n",
        _ => "",
    };
    let mut response = (status, text).into_response();
    if status == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}

fn answer<T>(done: Result<T, StoreError>, body: impl FnOnce(T) -> serde_json::Value) -> Response {
    match done {
        Ok(done) => ([(header::CACHE_CONTROL, "no-store")], Json(body(done))).into_response(),
        Err(error) => {
            warn!(%error, "the call log cannot be asked");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}
