//! Whether the service is well: for load balancers, for Prometheus, for people.
//!
//! In: the paths. Not in: what is counted (`metrics.rs`).
//!
//! Load balancers ask where clients do. How much there is of everything is for the operator alone, on a listener of its own.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::Signaling;

/// The type of Prometheus' text format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `/healthz`, `/readyz` and `/status`: what everybody may know.
pub(super) fn health(signaling: Signaling) -> Router {
    let status = signaling.clone();
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(move || async move { readiness(&signaling) }))
        .route(
            "/status",
            get(move || async move { Json(json!({"status": word(&status)})) }),
        )
}

/// The same with numbers, and `/metrics`.
pub(super) fn monitor(signaling: Signaling) -> Router {
    let (ready, status) = (signaling.clone(), signaling.clone());
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(move || async move { readiness(&ready) }))
        .route("/status", get(move || async move { numbers(&status) }))
        .route(
            "/metrics",
            get(move || async move { ([(header::CONTENT_TYPE, EXPOSITION)], signaling.metrics()) }),
        )
}

fn word(signaling: &Signaling) -> &'static str {
    match signaling.is_draining() {
        true => "draining",
        false => "ready",
    }
}

fn readiness(signaling: &Signaling) -> Response {
    let status = match signaling.is_draining() {
        true => StatusCode::SERVICE_UNAVAILABLE,
        false => StatusCode::OK,
    };
    (status, format!("{}\n", word(signaling))).into_response()
}

fn numbers(signaling: &Signaling) -> Response {
    let census = signaling.census();
    Json(json!({
        "status": word(signaling),
        "version": env!("CARGO_PKG_VERSION"),
        "connections": census.connections,
        "users": census.users,
        "rooms": census.rooms,
        "calls": census.calls,
        "peers": census.peers,
    }))
    .into_response()
}
