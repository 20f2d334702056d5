//! The router from outside: status codes, header fields and bodies, without a socket.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests: a panic is the report"
)]

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use ice_api::{Admission, ApiState, Endpoint, Issuer, Origins};
use serde_json::Value;
use tower::ServiceExt;
use turn_auth::Secret;

const NOW: u64 = 1_700_000_000;
const HERE: &str = "127.0.0.1:50000";
const ELSEWHERE: &str = "192.0.2.7:50000";

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn state(admission: Admission, origins: Origins) -> ApiState {
    let issuer =
        Issuer::here(Endpoint::plain(3478)).with_secrets(vec![Secret::new(b"secret".to_vec())]);
    ApiState::with_clock(issuer, admission, origins, || NOW)
}

fn with_key() -> Router {
    ice_api::router(state(
        Admission::keys([secret("key")]),
        Origins::new(["https://app.example.org"]).unwrap(),
    ))
}

fn quickstart() -> Router {
    ice_api::router(state(
        Admission::default().with_quickstart(secret("run")),
        Origins::default().with_localhost(),
    ))
}

#[tokio::test]
async fn a_state_that_is_replaced_answers_as_the_new_one_from_then_on() {
    let held = state(Admission::keys([secret("old")]), Origins::default());
    let router = ice_api::router(held.clone());
    let status = async |key: &str| {
        let asked = Asked::get("/v1/ice").with("authorization", &format!("Bearer {key}"));
        asked.of(router.clone()).await.status()
    };
    assert_eq!(status("old").await, StatusCode::OK);
    held.replace(&state(Admission::keys([secret("new")]), Origins::default()));
    assert_eq!(status("old").await, StatusCode::UNAUTHORIZED);
    assert_eq!(status("new").await, StatusCode::OK);
}

/// A request that can be grown: `Asked::get("/v1/ice").from(HERE).with("origin", "…")`.
struct Asked(Request);

impl Asked {
    fn get(uri: &str) -> Asked {
        Asked::new(Method::GET, uri, "")
    }

    fn post(uri: &str, kind: &str, body: &'static str) -> Asked {
        Asked::new(Method::POST, uri, body).with("content-type", kind)
    }

    fn new(method: Method, uri: &str, body: &'static str) -> Asked {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::HOST, "192.0.2.1:8080");
        Asked(request.body(Body::from(body)).unwrap()).from(ELSEWHERE)
    }

    fn from(mut self, source: &str) -> Asked {
        let source: SocketAddr = source.parse().unwrap();
        self.0.extensions_mut().insert(ConnectInfo(source));
        self
    }

    fn with(mut self, field: &'static str, value: &str) -> Asked {
        self.0.headers_mut().insert(field, value.parse().unwrap());
        self
    }

    fn keyed(self) -> Asked {
        self.with("authorization", "Bearer key")
    }

    fn local(self) -> Asked {
        self.from(HERE).with("host", "localhost:8080")
    }

    async fn of(self, router: Router) -> Response {
        router.oneshot(self.0).await.unwrap()
    }
}

async fn json(response: Response) -> Value {
    let bytes = to_bytes(response.into_body(), 65_536).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn field<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_key_holder_gets_a_configuration_that_is_not_stored() {
    let response = Asked::get("/v1/ice?ttl=600&user=alice")
        .keyed()
        .of(with_key())
        .await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(field(&response, "cache-control"), Some("no-store"));
    assert_eq!(field(&response, "content-type"), Some("application/json"));
    let body = json(response).await;
    assert_eq!(body["username"], format!("{}:alice", NOW + 600));
    assert_eq!(body["ttl"], 600);
    assert_eq!(body["expiresAt"], NOW + 600);
    assert_eq!(body["uris"][0], "turn:192.0.2.1:3478?transport=udp");
    assert_eq!(body["iceServers"][1]["credential"], body["password"]);
}

#[tokio::test]
async fn a_missing_or_wrong_key_is_401_with_words() {
    for key in [None, Some("Bearer wrong"), Some("Basic key"), Some("key")] {
        let mut asked = Asked::get("/v1/ice");
        if let Some(key) = key {
            asked = asked.with("authorization", key);
        }
        let response = asked.of(with_key()).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{key:?}");
        assert!(
            field(&response, "www-authenticate")
                .unwrap()
                .starts_with("Bearer")
        );
        assert_eq!(field(&response, "cache-control"), Some("no-store"));
        assert!(json(response).await["error"].is_string());
    }
}

#[tokio::test]
async fn a_post_may_say_it_by_form_json_or_query() {
    for asked in [
        Asked::post(
            "/v1/ice",
            "application/x-www-form-urlencoded",
            "ttl=60&user=bob",
        ),
        Asked::post(
            "/v1/ice",
            "application/json",
            r#"{"ttl": 60, "user": "bob", "unknown": {}}"#,
        ),
        Asked::post(
            "/v1/ice",
            "application/json",
            r#"{"ttl": "60", "user": "bob"}"#,
        ),
        Asked::post("/v1/ice?ttl=60&user=bob", "application/json", ""),
        Asked::post(
            "/v1/ice?ttl=90&user=eve",
            "application/json",
            r#"{"ttl": 60, "user": "bob"}"#,
        ),
    ] {
        let body = json(asked.keyed().of(with_key()).await).await;
        assert_eq!(body["username"], format!("{}:bob", NOW + 60), "{body}");
    }
}

#[tokio::test]
async fn unusable_values_are_400_with_words() {
    for asked in [
        Asked::get("/v1/ice?ttl=soon"),
        Asked::get("/v1/ice?ttl=-1"),
        Asked::get("/v1/ice?ttl=1&ttl=2"),
        Asked::get("/v1/ice?user=a%0Ab"),
        Asked::post("/v1/ice", "application/json", "{"),
        Asked::post("/v1/ice", "application/json", r#"{"ttl": {}}"#),
        Asked::post(
            "/v1/ice",
            "application/x-www-form-urlencoded",
            "ttl=1&ttl=2",
        ),
    ] {
        let response = asked.keyed().of(with_key()).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert!(json(response).await["error"].is_string());
    }
}

#[tokio::test]
async fn a_long_body_is_refused() {
    let body: &'static str =
        Box::leak(format!(r#"{{"user": "{}"}}"#, "x".repeat(5_000)).into_boxed_str());
    let response = Asked::post("/v1/ice", "application/json", body)
        .keyed()
        .of(with_key())
        .await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_malformed_host_is_refused_and_not_echoed() {
    let response = Asked::get("/v1/ice")
        .with("host", "evil\"><script>")
        .keyed()
        .of(with_key())
        .await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(!json(response).await.to_string().contains("script"));
}

#[tokio::test]
async fn an_ipv6_host_is_bracketed() {
    let body = json(
        Asked::get("/v1/ice")
            .with("host", "[2001:db8::1]:8080")
            .keyed()
            .of(with_key())
            .await,
    )
    .await;
    assert_eq!(body["iceServers"][0]["urls"][0], "stun:[2001:db8::1]:3478");
}

#[tokio::test]
async fn a_listed_origin_may_read_and_others_may_not() {
    let response = Asked::get("/v1/ice")
        .keyed()
        .with("origin", "https://app.example.org")
        .of(with_key())
        .await;
    assert_eq!(
        field(&response, "access-control-allow-origin"),
        Some("https://app.example.org")
    );
    assert_eq!(field(&response, "vary"), Some("Origin"));
    let response = Asked::get("/v1/ice")
        .keyed()
        .with("origin", "https://evil.example")
        .of(with_key())
        .await;
    assert_eq!(field(&response, "access-control-allow-origin"), None);
}

#[tokio::test]
async fn a_preflight_is_answered_for_listed_origins_only() {
    let asked = Asked::new(Method::OPTIONS, "/v1/ice", "")
        .with("access-control-request-headers", "authorization");
    let response = asked
        .with("origin", "https://app.example.org")
        .of(with_key())
        .await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        field(&response, "access-control-allow-origin"),
        Some("https://app.example.org")
    );
    assert!(
        field(&response, "access-control-allow-headers")
            .unwrap()
            .contains("Authorization")
    );
    let response = Asked::new(Method::OPTIONS, "/v1/ice", "")
        .with("origin", "https://evil.example")
        .of(with_key())
        .await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(field(&response, "access-control-allow-origin"), None);
}

#[tokio::test]
async fn in_quickstart_the_machine_itself_needs_nothing() {
    let body = json(Asked::get("/v1/ice").local().of(quickstart()).await).await;
    assert_eq!(body["uris"][0], "turn:localhost:3478?transport=udp");
    let page = Asked::get("/v1/ice")
        .local()
        .with("origin", "http://localhost:5173")
        .of(quickstart())
        .await;
    assert_eq!(
        field(&page, "access-control-allow-origin"),
        Some("http://localhost:5173")
    );
    let own_page = Asked::post("/v1/ice", "application/json", "{}")
        .local()
        .with("origin", "http://localhost:8080")
        .of(quickstart())
        .await;
    assert_eq!(own_page.status(), StatusCode::OK);
}

#[tokio::test]
async fn in_quickstart_others_need_the_token() {
    for (uri, key, expected) in [
        ("/v1/ice", None, StatusCode::UNAUTHORIZED),
        ("/v1/ice?token=ran", None, StatusCode::UNAUTHORIZED),
        ("/v1/ice?token=run", None, StatusCode::OK),
        ("/v1/ice", Some("Bearer run"), StatusCode::OK),
    ] {
        let mut asked = Asked::get(uri);
        if let Some(key) = key {
            asked = asked.with("authorization", key);
        }
        assert_eq!(
            asked.of(quickstart()).await.status(),
            expected,
            "{uri} {key:?}"
        );
    }
}

#[tokio::test]
async fn a_foreign_page_in_the_local_browser_gets_neither_credentials_nor_cors() {
    let response = Asked::get("/v1/ice")
        .local()
        .with("origin", "https://evil.example")
        .of(quickstart())
        .await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(field(&response, "access-control-allow-origin"), None);
}

#[tokio::test]
async fn a_star_lets_pages_read_with_a_key_and_not_by_being_local() {
    let any = || {
        let admission = Admission::keys([secret("key")]).with_quickstart(secret("run"));
        ice_api::router(state(admission, Origins::new(["*"]).unwrap()))
    };
    let foreign = |asked: Asked| asked.local().with("origin", "https://evil.example");
    let keyed = foreign(Asked::get("/v1/ice")).keyed().of(any()).await;
    assert_eq!(keyed.status(), StatusCode::OK);
    assert_eq!(
        field(&keyed, "access-control-allow-origin"),
        Some("https://evil.example")
    );
    let local = foreign(Asked::get("/v1/ice")).of(any()).await;
    assert_eq!(local.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_name_rebound_to_loopback_gets_no_credentials() {
    let asked = Asked::get("/v1/ice")
        .from(HERE)
        .with("host", "evil.example:8080");
    assert_eq!(
        asked.of(quickstart()).await.status(),
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn without_a_known_source_nobody_is_local() {
    let request = Request::builder()
        .uri("/v1/ice")
        .header("host", "localhost")
        .body(Body::empty())
        .unwrap();
    assert_eq!(
        quickstart().oneshot(request).await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn the_draft_s_form_is_answered_when_mounted() {
    let uri = "/?service=turn&username=alice&key=key";
    let asked = Asked::get(uri);
    assert!(ice_api::is_service_request(asked.0.uri()));
    assert!(!ice_api::is_service_request(
        &"/?service=stun".parse().unwrap()
    ));
    assert!(!ice_api::is_service_request(&"/".parse().unwrap()));
    let state = state(Admission::keys([secret("key")]), Origins::default());
    let body = json(ice_api::answer_service(&state, asked.0).await).await;
    assert_eq!(body["username"], format!("{}:alice", NOW + 86_400));
    assert!(
        body["uris"]
            .as_array()
            .unwrap()
            .iter()
            .all(|uri| uri.as_str().unwrap().starts_with("turn:"))
    );
    let refused = ice_api::answer_service(&state, Asked::get("/?service=turn&key=wrong").0).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
}
