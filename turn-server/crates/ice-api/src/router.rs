//! The HTTP side: `/v1/ice`, and draft-uberti-behave-turn-rest for whoever mounts it at `/`.
//!
//! In: header fields, status codes, CORS. Not in: sockets; the caller serves the router with the client's address (`ConnectInfo`).

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use crate::params::{BadParams, Fields};
use crate::{Admission, Caller, Host, IssueError, Issuer, Origins, is_local};

/// What the handlers share; cheap to clone.
#[derive(Clone)]
pub struct ApiState(Arc<RwLock<Arc<Shared>>>);

struct Shared {
    issuer: Arc<Issuer>,
    admission: Admission,
    origins: Origins,
    unix_time: fn() -> u64,
}

impl ApiState {
    /// Joins what is handed out, to whom, and to pages of which origins.
    pub fn new(issuer: impl Into<Arc<Issuer>>, admission: Admission, origins: Origins) -> ApiState {
        ApiState::with_clock(issuer, admission, origins, unix_time)
    }

    /// Does the same with another clock, which tells seconds since 1970.
    pub fn with_clock(
        issuer: impl Into<Arc<Issuer>>,
        admission: Admission,
        origins: Origins,
        unix_time: fn() -> u64,
    ) -> ApiState {
        ApiState(Arc::new(RwLock::new(Arc::new(Shared {
            issuer: issuer.into(),
            admission,
            origins,
            unix_time,
        }))))
    }

    /// Takes over what another state says. All clones of this one answer by it from now on; requests under way end as they began.
    pub fn replace(&self, by: &ApiState) {
        let by = by.now();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = by;
    }

    fn now(&self) -> Arc<Shared> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Serves `GET|POST /v1/ice`. Without `ConnectInfo<SocketAddr>` in the request, nobody counts as local.
pub fn router(state: ApiState) -> Router {
    Router::new()
        .route("/v1/ice", get(native).post(native).options(preflight))
        .with_state(state)
}

/// Says whether a request to `/` asks for credentials in the manner of draft-uberti-behave-turn-rest: `/?service=turn`.
pub fn is_service_request(uri: &Uri) -> bool {
    Fields::of_query(uri).is_ok_and(|fields| fields.service.as_deref() == Some("turn"))
}

/// Answers such a request; the draft's `username` is the user and its `key` is an API key.
pub async fn answer_service(state: &ApiState, request: Request) -> Response {
    answer(&state.now(), request, Dialect::Service).await
}

/// How a request names its fields.
#[derive(Clone, Copy, PartialEq)]
enum Dialect {
    /// `user`, and keys in the header only.
    Native,
    /// `username`, and `key` in the query, where the draft wants it.
    Service,
}

async fn native(State(state): State<ApiState>, request: Request) -> Response {
    answer(&state.now(), request, Dialect::Native).await
}

async fn answer(shared: &Shared, request: Request, dialect: Dialect) -> Response {
    let cors = cors(shared, request.headers());
    let mut response = match decide(shared, request, dialect).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = cors {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}

/// Answers what a browser asks before it sends `Authorization` or JSON (Fetch, CORS-preflight request).
async fn preflight(State(state): State<ApiState>, headers: HeaderMap) -> Response {
    let Some(origin) = cors(&state.now(), &headers) else {
        return Refusal(StatusCode::FORBIDDEN, "this origin is not allowed").into_response();
    };
    let fields = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin),
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST"),
        ),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("Authorization, Content-Type"),
        ),
        (
            header::ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from_static("600"),
        ),
        (header::VARY, HeaderValue::from_static("Origin")),
    ];
    (StatusCode::NO_CONTENT, fields).into_response()
}

/// A status with words; the body is `{"error": "…"}`.
struct Refusal(StatusCode, &'static str);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Refusal(status, words) = self;
        let mut response = (status, axum::Json(json!({ "error": words }))).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"ice\""),
            );
        }
        response
    }
}

impl From<BadParams> for Refusal {
    fn from(bad: BadParams) -> Refusal {
        Refusal(StatusCode::BAD_REQUEST, bad.0)
    }
}

impl From<IssueError> for Refusal {
    fn from(error: IssueError) -> Refusal {
        let words = match error {
            IssueError::BadUser => "user must have at most 128 bytes and no control characters",
            IssueError::NoHost => "the Host field is missing or malformed",
        };
        Refusal(StatusCode::BAD_REQUEST, words)
    }
}

async fn decide(shared: &Shared, request: Request, dialect: Dialect) -> Result<Response, Refusal> {
    let query = Fields::of_query(request.uri())?;
    let headers = request.headers();
    // Admission comes before the body is read: a stranger's body costs nothing.
    if !shared
        .admission
        .admits(&caller(shared, &request, &query, dialect))
    {
        return Err(Refusal(
            StatusCode::UNAUTHORIZED,
            "a valid key or token is needed",
        ));
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .and_then(|host| Host::from_authority(host).ok());
    let body = Fields::of_body(request).await?;
    let ttl = body.ttl()?.or(query.ttl()?);
    let user = match dialect {
        Dialect::Native => body.user.or(query.user),
        Dialect::Service => body.username.or(query.username),
    };
    let config = shared
        .issuer
        .issue((shared.unix_time)(), host.as_ref(), user.as_deref(), ttl)?;
    Ok(axum::Json(config).into_response())
}

fn caller<'a>(
    shared: &Shared,
    request: &'a Request,
    query: &'a Fields,
    dialect: Dialect,
) -> Caller<'a> {
    let headers = request.headers();
    let source = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0.ip());
    let shown_key = if dialect == Dialect::Service {
        query.key.as_deref()
    } else {
        None
    };
    Caller {
        bearer: bearer(headers).or(shown_key),
        token: query.token.as_deref(),
        trusted_local: is_local(source, headers) && origin_is_welcome(shared, headers),
    }
}

/// Requests without an `Origin` come from programs, or from the page itself by GET; its POST names the page's own host.
fn origin_is_welcome(shared: &Shared, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let (Ok(origin), Some(Ok(host))) = (
        origin.to_str(),
        headers.get(header::HOST).map(HeaderValue::to_str),
    ) else {
        return false;
    };
    shared.origins.trusts(origin) || Origins::is_same_host(origin, host)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// The origin to repeat, if its pages may read the answer.
fn cors(shared: &Shared, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    origin
        .to_str()
        .is_ok_and(|text| shared.origins.allows(text))
        .then(|| origin.clone())
}

fn unix_time() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
