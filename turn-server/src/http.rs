//! The HTTP servers of the control plane, and their routes.

use std::sync::Arc;

use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use ice_api::{Admission, ApiState, Endpoint, Host, Issuer, Origins};
use tokio::sync::Mutex;
use turn_auth::Secret;
use turn_config::settings::Settings;

use crate::{Server, drain::Drain, metrics_page::MetricsPage};

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
    if let Some(external) = settings.relay.externals().first() {
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

/// What the ICE endpoint answers by, and what it takes to make it anew.
pub(crate) struct Api {
    /// Shared with the routes.
    pub(crate) state: ApiState,
    /// What it hands out.
    pub(crate) issuer: Arc<Issuer>,
    ports: RelayPorts,
    token: Option<String>,
}

impl Api {
    /// Makes it for a relay on these ports; in quickstart, holders of this run's token are served too.
    ///
    /// # Errors
    /// When an HTTP setting cannot be used.
    pub(crate) fn new(
        settings: &Settings,
        ports: RelayPorts,
        token: Option<String>,
    ) -> anyhow::Result<Self> {
        let issuer = Arc::new(issuer(settings, ports)?);
        let keys = settings.http.api_keys.iter();
        let mut admission = Admission::keys(keys.map(|key| Secret::new(key.expose().clone())));
        let mut origins = origins(settings)?;
        if let Some(token) = &token {
            origins = origins.with_localhost();
            admission = admission.with_quickstart(Secret::new(token.clone()));
        }
        Ok(Self {
            state: ApiState::new(Arc::clone(&issuer), admission, origins),
            issuer,
            ports,
            token,
        })
    }

    /// Makes what it would be by other settings.
    ///
    /// # Errors
    /// As [`Api::new`].
    pub(crate) fn made_of(&self, settings: &Settings) -> anyhow::Result<Self> {
        self.made_at(settings, self.ports)
    }

    /// The same for a relay on other ports.
    ///
    /// # Errors
    /// As [`Api::new`].
    pub(crate) fn made_at(&self, settings: &Settings, ports: RelayPorts) -> anyhow::Result<Self> {
        Self::new(settings, ports, self.token.clone())
    }

    /// Answers as another one from now on.
    pub(crate) fn replace(&mut self, by: &Self) {
        self.state.replace(&by.state);
        self.ports = by.ports;
    }
}

/// The pages that may ask.
///
/// # Errors
/// When one is no origin.
pub(crate) fn origins(settings: &Settings) -> anyhow::Result<Origins> {
    Origins::new(&settings.http.allowed_origins)
        .map_err(|error| anyhow::anyhow!("http-allowed-origin: {error}; write https://example.org"))
}

/// The routes of a configured server: the ICE endpoint, in both of its manners, and health.
pub(crate) fn api_routes(api: &ApiState, server: &Arc<Server>, drain: &Arc<Drain>) -> Router {
    let service = api.clone();
    ice_api::router(api.clone())
        .route(
            "/",
            get(move |request| async move { ice_api::answer_service(&service, request).await }),
        )
        .merge(health_routes(server, drain))
}

/// `/healthz`: whether all of it runs. `/readyz`: whether new clients should be sent here, which is not so while it runs dry.
pub(crate) fn health_routes(server: &Arc<Server>, drain: &Arc<Drain>) -> Router {
    let (server, drain) = (Arc::clone(server), Arc::clone(drain));
    let healthy = move || {
        // Nobody is asked for it: a flood of such requests wakes no worker.
        let well = server.is_well();
        async move {
            if well {
                (StatusCode::OK, "ok\n")
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, "a worker hangs\n")
            }
        }
    };
    let ready = move || {
        let draining = drain.state().draining_for.is_some();
        async move {
            if draining {
                (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
            } else {
                (StatusCode::OK, "ready\n")
            }
        }
    };
    Router::new()
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
}

/// The Prometheus page, where coturn has it.
pub(crate) fn metrics_routes(
    path: &str,
    page: MetricsPage,
    server: Arc<Server>,
    drain: &Arc<Drain>,
) -> Router {
    let page = Arc::new(page);
    let turn = Arc::new(Mutex::new(()));
    let health = health_routes(&server, drain);
    let show = move || {
        let (page, server) = (Arc::clone(&page), Arc::clone(&server));
        let turn = Arc::clone(&turn);
        async move {
            // Of a thousand that ask at once, all but one wait here, and not each on a thread of its own.
            let _turn = turn.lock().await;
            // The workers answer between two packets; that wait must not hold up the runtime.
            let text = tokio::task::spawn_blocking(move || match server.hanging() {
                Some(hanging) => Err(hanging),
                None => Ok(page.render(&server.stats(), server.shared())),
            });
            match text.await {
                Ok(Ok(text)) => {
                    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
                }
                Ok(Err(hanging)) => (StatusCode::SERVICE_UNAVAILABLE, hanging).into_response(),
                Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            }
        }
    };
    let mut routes = Router::new().route(path, get(show));
    if !["/healthz", "/readyz"].contains(&path) {
        routes = routes.merge(health);
    }
    if path == "/" {
        return routes;
    }
    // coturn answers so, and load balancers ask for it.
    routes.route("/", get(|| async { "ok" }))
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc, time::Duration};

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
        sync::watch,
        task::JoinSet,
    };

    use super::metrics_routes;
    use crate::{Server, drain::tests::drain, metrics_page::MetricsPage};

    fn threads() -> usize {
        fs::read_dir("/proc/self/task").unwrap().count()
    }

    #[tokio::test]
    async fn a_crowd_that_asks_for_metrics_is_served_one_by_one() {
        const CROWD: usize = 300;
        let server = Arc::new(Server::builder().user("ann", "secret").start().unwrap());
        let (_, drain) = drain(0, None);
        let routes = metrics_routes("/metrics", MetricsPage::new("r"), server, &drain);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_stop, stopping) = watch::channel(false);
        tokio::spawn(signaling::server::serve(listener, routes, CROWD, stopping));
        let before = threads();
        let mut crowd = JoinSet::new();
        for _ in 0..CROWD {
            crowd.spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let request = b"GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
                stream.write_all(request).await.unwrap();
                let mut page = String::new();
                stream.read_to_string(&mut page).await.unwrap();
                page
            });
        }
        let all = tokio::time::timeout(Duration::from_secs(120), crowd.join_all());
        let pages = all.await.unwrap();
        assert!(pages.iter().all(|page| page.starts_with("HTTP/1.1 200")));
        // Threads for blocking work stay for some seconds. (Other tests have threads of their own meanwhile.)
        let grown = threads().saturating_sub(before);
        assert!(grown < CROWD / 3, "{grown} threads");
    }
}
