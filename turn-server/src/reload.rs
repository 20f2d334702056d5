//! The configuration, read again and taken over while packets flow: all of it, or nothing.
//!
//! In: the order of it: everything that can fail comes first, and what follows cannot. Not in: which options may change (the
//! registry of `turn-config`), and what each part does with its new settings.

use std::{fmt, net::IpAddr, sync::Arc};

use anyhow::Context as _;
use sd_notify::NotifyState;
use tracing::{error, info, warn};
use turn_config::{
    Reread,
    settings::{External, Listening, Quotas, Settings},
};
use turn_io::{Opening, Spoken, StartError, Turned};
use turn_proto::RelayAddresses;

use crate::{
    Server, addresses,
    certificates::{self, Secured},
    daemon::{located, relay_ports, warn_of},
    drain::Drain,
    http::Api,
    logging::{self, Log},
    relay_config::{self, Plan},
    secure_listener::Certificate,
    session_log::SessionLog,
};

/// Reads the configuration again for a server that runs on these settings.
pub type Reader = Box<dyn Fn(&Settings) -> Result<Reread, turn_config::Error> + Send>;

/// What came of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// Options that have another value now.
    pub changed: Vec<&'static str>,
    /// Options that have another value in the configuration, and wait for a restart.
    pub restart: Vec<&'static str>,
}

/// A running server, its settings, and everything that goes by them.
pub(crate) struct Reload {
    pub(crate) reader: Reader,
    pub(crate) running: Settings,
    pub(crate) plan: Plan,
    pub(crate) server: Arc<Server>,
    pub(crate) drain: Arc<Drain>,
    pub(crate) api: Option<Api>,
    /// Of metrics over TLS.
    pub(crate) metrics_certificate: Option<Certificate>,
    pub(crate) log: Log,
    pub(crate) sessions: Arc<SessionLog>,
}

impl Reload {
    /// Reads the configuration again, takes it over and says so; systemd is told when it begins and when it is over.
    ///
    /// It reads files, and may ask for names: the caller waits for that, and no packet does.
    pub(crate) fn reload(&mut self) -> Result<Reloaded, String> {
        // Without systemd there is nobody to tell.
        let now = NotifyState::monotonic_usec_now();
        let _ = now.and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now]));
        let outcome = self.take_over();
        match &outcome {
            Ok(reloaded) => reloaded.tell(),
            Err(error) => self.tell_why_not(error),
        }
        let _ = sd_notify::notify(&[NotifyState::Ready]);
        outcome.map_err(|error| format!("{error:#}"))
    }

    /// Says what is wrong with the configuration, a line each, behind what is odd about it since it was read last: that is often
    /// the cause.
    fn tell_why_not(&self, error: &anyhow::Error) {
        match error.downcast_ref() {
            Some(turn_config::Error::Config { problems, warnings }) => {
                let known = &self.running.warnings;
                warn_of(warnings.iter().filter(|warning| !known.contains(warning)));
                for problem in problems {
                    error!("the old settings are kept: {problem}");
                }
            }
            _ => error!("the old settings are kept: {error:#}"),
        }
    }

    /// Tells clients other public addresses from now on. Sessions go on, also with who knows the server by an earlier one.
    pub(crate) fn adopt(&mut self, found: &[External]) {
        let mut settings = self.running.clone();
        settings.relay.found = found.to_vec();
        let made = addresses::of_this_machine()
            .map_err(anyhow::Error::from)
            .and_then(|machine| {
                let relays = self.plan.relay.relays.clone();
                relay_config::reconfigured(&settings, &self.plan, relays, &machine)
            })
            .and_then(|relay| {
                let api = self.api.as_ref().map(|api| api.made_of(&settings));
                Ok((relay, api.transpose()?))
            });
        let (relay, api) = match made {
            Ok(made) => made,
            Err(error) => return error!("the public address cannot be told to clients: {error:#}"),
        };
        self.plan.relay = Arc::new(relay);
        self.server.configure(&self.plan.relay);
        if let Some((held, made)) = self.api.as_mut().zip(api) {
            held.replace(&made);
        }
        self.running = settings;
    }

    fn take_over(&mut self) -> anyhow::Result<Reloaded> {
        let Reread {
            mut settings,
            changed,
            restart,
        } = (self.reader)(&self.running)?;
        settings.relay.found.clone_from(&self.running.relay.found);
        if self.plan.is_inherited {
            settings.listening = listening_as_before(&self.running, &settings);
        }
        let machine = addresses::of_this_machine()?;
        let mut plan = relay_config::moved(&settings, &self.plan, &machine)?;
        let relays = relay_config::relays(&settings, &plan);
        let opening = self.open(&settings, &plan, &relays)?;
        if settings.listening.udp {
            plan.links = opening.links();
        }
        let relay = relay_config::reconfigured(&settings, &plan, relays, &machine)?;
        let secured = certificates::load(&settings)?;
        let ports = relay_ports(&settings, &opening.listening());
        let api = self.api.as_ref().map(|api| api.made_at(&settings, ports));
        let api = api.transpose()?;
        let output = logging::open(&settings.logging)
            .with_context(|| format!("{}log-file", settings.place("log-file")))?;
        // From here on, nothing fails. First the log, so that what follows is written where it belongs.
        let old = &self.running.logging;
        self.log.turn_to(output, old, &settings.logging);
        self.sessions.configure(&settings);
        plan.relay = Arc::new(relay);
        self.plan = plan;
        let Quotas {
            per_user, total, ..
        } = settings.quotas;
        let quotas = &self.server.shared().quotas;
        quotas.limit(per_user.unwrap_or(0), total.unwrap_or(0));
        let offered = &self.plan.relay.relays.addresses;
        self.server.shared().ports.offer(offered);
        self.server.configure(&self.plan.relay);
        self.turn_to(opening, &settings, &secured);
        self.server.tune(relay_config::tuning(&settings));
        let proxies = relay_config::ranges(&settings.listening.proxies);
        self.server.trust_proxies(&proxies);
        if !secured.is_nothing() {
            secured.serve(&self.server, self.metrics_certificate.as_ref());
        }
        if let Some((held, made)) = self.api.as_mut().zip(api) {
            held.replace(&made);
        }
        self.drain.configure(&settings.process);
        let known = &self.running.warnings;
        let news = settings.warnings.iter();
        warn_of(news.filter(|warning| !known.contains(warning)));
        self.running = *settings;
        // Who answers has taken over what came before: nobody is told of a reload that is still under way.
        if let Some(hanging) = self.server.hanging() {
            warn!("{hanging}");
        }
        Ok(Reloaded { changed, restart })
    }

    /// Opens what is to be listened on and is not.
    fn open(
        &self,
        settings: &Settings,
        plan: &Plan,
        relays: &RelayAddresses,
    ) -> anyhow::Result<Opening> {
        let known = &plan.relay.relays.addresses;
        let news = relays.addresses.iter().filter(|ip| !known.contains(ip));
        let news: Vec<IpAddr> = news.copied().collect();
        let opened = self.server.open(&plan.endpoints.open, &news);
        opened.map_err(|error| {
            let is_denied = matches!(error.downcast_ref(), Some(StartError::Denied(_)));
            let error = located(settings, error);
            if is_denied {
                return anyhow::anyhow!(
                    "{error}; or restart the server, which opens its ports before it gives up the rights that it was started with"
                );
            }
            error
        })
    }

    /// Listens on what has been opened and on nothing else, and says what that changes.
    fn turn_to(&self, opening: Opening, settings: &Settings, secured: &Secured) {
        let Turned { opened, closed } = opening.turned().clone();
        let spoken = Spoken {
            plain_datagrams: settings.listening.udp,
            plain_streams: settings.listening.tcp,
            tls: secured.tls.clone(),
            dtls: secured.dtls.clone(),
        };
        self.server.turn_to(opening, &spoken);
        for listening in opened {
            info!("listening {listening}");
        }
        for listening in closed {
            info!("not listening any more: {listening}; sessions there go on");
        }
    }
}

/// What is listened on where a service manager has bound the sockets; the rest may change.
fn listening_as_before(running: &Settings, fresh: &Settings) -> Listening {
    let Listening {
        addresses,
        aux,
        alternate_port,
        ..
    } = running.listening.clone();
    Listening {
        addresses,
        aux,
        alternate_port,
        ..fresh.listening.clone()
    }
}

impl Reloaded {
    fn tell(&self) {
        info!("{self}");
        if let Some(waiting) = self.waiting() {
            warn!("{waiting}");
        }
    }

    /// All of it, for one line.
    pub(crate) fn in_full(&self) -> String {
        let waiting = self.waiting().map(|waiting| format!("; {waiting}"));
        format!("{self}{}", waiting.unwrap_or_default())
    }

    fn waiting(&self) -> Option<String> {
        let named = !self.restart.is_empty();
        named.then(|| {
            format!(
                "changed as well, and waiting for a restart: {}",
                self.restart.join(", ")
            )
        })
    }
}

impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changed.is_empty() {
            f.write_str("the settings are reloaded; none has changed")
        } else {
            let changed = self.changed.join(", ");
            write!(f, "the settings are reloaded; changed: {changed}")
        }
    }
}
