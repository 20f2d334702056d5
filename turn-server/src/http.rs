//! The HTTP servers of the control plane, and their routes.

use std::sync::Arc;

use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use ice_api::{ApiState, Endpoint, Host, Issuer};
use turn_auth::Secret;
use turn_config::settings::Settings;

use crate::{Server, metrics_page::MetricsPage};

/// The ports that clients are told.
#[derive(Clone, Copy)]
pub(crate) struct RelayPorts {
    /// For UDP and TCP.
    pub(crate) plain: u16,
    /// For TLS, where it is served.
    pub(crate) tls: Option<u16>,
}

/// Makes the issuer of ICE configurations for a relay on these ports.
///
/// # Errors
/// When the advertised host is none.
pub(crate) fn issuer(settings: &Settings, ports: RelayPorts) -> anyhow::Result<Issuer> {
    let secrets = settings
        .auth
        .secrets
        .iter()
        .rev()
        .map(|secret| Secret::new(secret.expose().clone()));
    let mut endpoints = Endpoint::plain(ports.plain);
    endpoints.retain(|endpoint| match endpoint.transport {
        ice_api::Transport::Udp => settings.listening.udp,
        ice_api::Transport::Tcp => settings.listening.tcp,
    });
    // Last: browsers try all, and a path without TLS is the better one where there is one.
    endpoints.extend(ports.tls.map(Endpoint::secure));
    let mut issuer = Issuer::here(endpoints)
        .with_secrets(secrets.collect())
        .with_separator(settings.auth.rest_separator);
    if let Some(external) = settings.relay.external.first() {
        issuer = issuer.with_external_address(external.public);
    }
    let Some(advertised) = &settings.http.advertise else {
        return Ok(issuer);
    };
    let host = Host::parse(advertised).map_err(|_| {
        anyhow::anyhow!(
            "http-advertise: {advertised:?} is not a host name or address; write example.org"
        )
    })?;
    Ok(issuer.with_advertised_host(host))
}

/// The routes of a configured server: the ICE endpoint, in both of its manners, and health.
pub(crate) fn api_routes(api: &ApiState) -> Router {
    let service = api.clone();
    ice_api::router(api.clone())
        .route(
            "/",
            get(move |request| async move { ice_api::answer_service(&service, request).await }),
        )
        .merge(health_routes())
}

/// `/healthz` and `/readyz`.
pub(crate) fn health_routes() -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(|| async { "ready\n" }))
}

/// The Prometheus page, where coturn has it.
pub(crate) fn metrics_routes(path: &str, realm: &str, server: Arc<Server>) -> Router {
    let page = Arc::new(MetricsPage::new(realm));
    let show = move || {
        let (page, server) = (Arc::clone(&page), Arc::clone(&server));
        async move {
            // The workers answer between two packets; that wait must not hold up the runtime.
            let text =
                tokio::task::spawn_blocking(move || page.render(&server.stats(), server.shared()))
                    .await;
            match text {
                Ok(text) => {
                    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
                }
                Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            }
        }
    };
    let routes = Router::new().route(path, get(show));
    if path == "/" {
        return routes;
    }
    // coturn answers so, and load balancers ask for it.
    routes.route("/", get(|| async { "ok" }))
}
