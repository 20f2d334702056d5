//! What the control plane serves over HTTP: which listeners, and which routes on each.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use anyhow::Context as _;
use axum::Router;
use ice_api::Issuer;
use signaling::server::Site;
use signaling::{Gate, Signaling};
use tokio::{sync::watch, task::JoinSet};
use turn_auth::Secret;
use turn_config::settings::Settings;
use turn_io::GuestHook;

use crate::{
    Server, descriptors,
    drain::Drain,
    http::{self, Api, RelayPorts},
    https::Guests,
    inherited::Inherited,
    listener,
    metrics_page::MetricsPage,
    quickstart,
    quickstart::Made,
    secure_listener::{self, Certificate, Shown},
};

/// Listeners of the control plane, bound and not yet served.
pub(crate) struct Listeners {
    http: Vec<TcpListener>,
    /// The way from the ports for TLS, if HTTP is served there too.
    https: Option<(GuestHook, Guests)>,
    metrics: Vec<TcpListener>,
}

/// What is served.
pub(crate) struct Sites {
    sites: Vec<Doors>,
    /// The signaling service of quickstart.
    pub(crate) signaling: Option<Signaling>,
    /// The ICE endpoint, where it is served.
    pub(crate) api: Option<Api>,
}

/// Routes, and the ways in.
struct Doors {
    routes: Router,
    listeners: Vec<TcpListener>,
    https: Option<Guests>,
    /// What the listeners' clients are shown, if they speak TLS.
    shown: Option<Shown>,
}

impl Sites {
    /// Starts to serve, until `stop` says so; each task ends with what its listener says.
    pub(crate) fn serve(
        &mut self,
        tasks: &mut JoinSet<std::io::Result<()>>,
        stop: &watch::Receiver<bool>,
    ) {
        for doors in self.sites.drain(..) {
            // One cap for all doors of the same routes: what one is full of, the others are.
            let site = Site::new(doors.routes, descriptors::http_connections(), stop.clone());
            for listener in doors.listeners {
                let (site, shown) = (site.clone(), doors.shown.clone());
                tasks.spawn(async move {
                    let listener = tokio::net::TcpListener::from_std(listener)?;
                    match shown {
                        Some(shown) => secure_listener::serve(listener, shown, site).await,
                        None => site.listen(listener).await?,
                    }
                    Ok(())
                });
            }
            if let Some(guests) = doors.https {
                tasks.spawn(async move {
                    guests.serve(site).await;
                    Ok(())
                });
            }
        }
    }
}

impl Listeners {
    /// Binds all of them; without an address from the operator, quickstart takes port 8080 everywhere.
    ///
    /// # Errors
    /// Names the address and the flag that changes it.
    pub(crate) fn bind(
        settings: &Settings,
        inherited: &Inherited,
        quickstart: bool,
    ) -> anyhow::Result<Self> {
        let mut http = if quickstart && settings.http.listen.is_empty() {
            listener::bind_everywhere(
                quickstart::HTTP_PORT,
                "--quickstart --http-listen=ADDR:PORT",
            )?
        } else {
            let listen = settings.http.listen.iter();
            listen
                .map(|at| {
                    let place = settings.origin_of("http-listen", at).place();
                    listener::bind(*at, "--http-listen")
                        .with_context(|| format!("{place}http-listen"))
                })
                .collect::<anyhow::Result<_>>()?
        };
        http.extend(inherited.http()?);
        let metrics = settings.metrics.as_ref().map_or(Ok(Vec::new()), |page| {
            let flag = "--prometheus-port";
            let bound = match page.address {
                None => listener::bind_everywhere(page.port, flag),
                Some(ip) => listener::bind(SocketAddr::new(ip, page.port), flag).map(|it| vec![it]),
            };
            let place = settings.place("prometheus-port");
            bound.with_context(|| format!("{place}prometheus-port"))
        })?;
        let https = settings.http.https.then(Guests::open);
        Ok(Self {
            http,
            https,
            metrics,
        })
    }

    /// Who takes connections over that speak HTTP on the ports for TLS.
    pub(crate) fn guest_hook(&self) -> Option<GuestHook> {
        self.https.as_ref().map(|(hook, _)| Arc::clone(hook))
    }

    /// Where pages are.
    pub(crate) fn pages(&self) -> std::io::Result<Vec<SocketAddr>> {
        self.http.iter().map(TcpListener::local_addr).collect()
    }

    /// Where they listen: clients must not get there through the relay.
    pub(crate) fn addresses(&self) -> std::io::Result<Vec<SocketAddr>> {
        let all = self.http.iter().chain(&self.metrics);
        all.map(TcpListener::local_addr).collect()
    }

    /// The port of the first HTTP listener.
    pub(crate) fn http_port(&self) -> anyhow::Result<u16> {
        let first = self
            .http
            .first()
            .context("quickstart has no HTTP listener")?;
        Ok(first.local_addr()?.port())
    }

    /// Gives each listener its routes. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When an HTTP setting cannot be used.
    pub(crate) fn with_routes(
        self,
        settings: &Settings,
        made: Option<Made>,
        ports: RelayPorts,
        (server, drain): (&Arc<Server>, &Arc<Drain>),
        (page, certificate): (MetricsPage, Option<&Certificate>),
    ) -> anyhow::Result<Sites> {
        let (mut sites, mut signaling, mut api) = (Vec::new(), None, None);
        if !self.http.is_empty() || self.https.is_some() {
            let key = made.as_ref().map(|made| made.key.clone());
            let made_api = api.insert(Api::new(settings, ports, key)?);
            let (routes, service) = http_routes(settings, made, made_api, (server, drain))?;
            sites.push(Doors {
                routes,
                listeners: self.http,
                https: self.https.map(|(_, guests)| guests),
                shown: None,
            });
            signaling = service;
        }
        if let Some(metrics) = &settings.metrics {
            let routes = http::metrics_routes(&metrics.path, page, Arc::clone(server), drain);
            sites.push(Doors {
                routes,
                listeners: self.metrics,
                https: None,
                shown: certificate.map(Certificate::shown),
            });
        }
        Ok(Sites {
            sites,
            signaling,
            api,
        })
    }
}

/// The ICE endpoint, and in quickstart signaling and pages too.
fn http_routes(
    settings: &Settings,
    made: Option<Made>,
    api: &Api,
    (server, drain): (&Arc<Server>, &Arc<Drain>),
) -> anyhow::Result<(Router, Option<Signaling>)> {
    let Some(made) = made else {
        return Ok((http::api_routes(&api.state, server, drain), None));
    };
    let origins = http::origins(settings)?.with_localhost();
    let signaling = Signaling::start(signaling::Config {
        limits: signaling::hub::Limits::default(),
        gate: Gate::new(origins).with_join_key(Secret::new(made.key)),
        identification: signaling::Identification::Anonymous,
        call_log: None,
        history_keys: signaling::HistoryKeys::default(),
        ice: Arc::<Issuer>::clone(&api.issuer),
        doors: signaling::Doors::default(),
        api: Some(api.state.clone()),
        fleet: None,
    });
    Ok((
        signaling.router().merge(http::health_routes(server, drain)),
        Some(signaling),
    ))
}
