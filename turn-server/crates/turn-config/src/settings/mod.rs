//! The typed settings that the server runs on.
//!
//! In: what the values mean. Not in: how they were written (`file.rs`, `command_line.rs`), which values are possible
//! (`options/`), and what each crate makes of them (each has its own configuration).

mod auth;
mod auth_files;
mod caps;
mod clients;
mod external;
mod http;
mod limits;
mod listening;
mod logging;
mod metrics;
mod multiplex;
mod oauth;
mod own_ports;
mod process;
mod redirect;
mod relay;
mod tls;
mod wire;

pub use auth::{Auth, Password, User};
pub use caps::{Cap, GOODS, HOLDERS};
pub use clients::Clients;
pub use external::{Cloud, ExternalSource};
pub use http::Http;
pub use limits::{CredentialExpiry, Lifetimes, Quotas};
pub use listening::{Listening, Stun};
pub use logging::{LogPrivacy, LogShape, LogTarget, Logging, MinLevel, Verbosity};
pub use metrics::Metrics;
pub use multiplex::Multiplex;
pub use oauth::{OAuth, OAuthAlgorithm, OAuthKey};
pub use process::{Control, Process};
pub use redirect::{Alternate, Redirect};
pub use relay::{DefaultFamily, External, Peers, Relay};
pub use tls::Tls;
pub use wire::Wire;

use std::fmt::Write;

use crate::diagnostics::{Report, Warning};
use crate::environment::Environment;
use crate::option::{Default, Registry};
use crate::origin::Origin;
use crate::values::Values;

/// Holds every setting of `turnserver`, with the origin of each.
#[derive(Clone)]
pub struct Settings {
    /// Where clients reach the server.
    pub listening: Listening,
    /// Which clients are served at all.
    pub clients: Clients,
    /// Binding requests: whether and to whom.
    pub stun: Stun,
    /// Relay addresses, ports and whom they may talk to.
    pub relay: Relay,
    /// Who may allocate.
    pub auth: Auth,
    /// How many allocations at once.
    pub quotas: Quotas,
    /// How much of everything else everybody may have.
    pub caps: Vec<Cap>,
    /// How long things live.
    pub lifetimes: Lifetimes,
    /// TLS; `None` when it is not served.
    pub tls: Option<Tls>,
    /// DTLS; `None` when it is not served.
    pub dtls: Option<Tls>,
    /// What messages carry besides what the RFCs ask for.
    pub wire: Wire,
    /// Where clients are sent instead of being served.
    pub redirect: Redirect,
    /// Log lines.
    pub logging: Logging,
    /// Workers and files of the process.
    pub process: Process,
    /// The Prometheus endpoint; `None` when it is off.
    pub metrics: Option<Metrics>,
    /// The endpoint that issues ICE credentials.
    pub http: Http,
    /// What the operator should know, in the order of the configuration.
    pub warnings: Vec<Warning>,
    /// The effective value of each option, for messages and for `--check-config`.
    pub effective: Vec<Effective>,
    /// The configuration file that was read; `None` if none was.
    pub file: Option<String>,
    /// Options that keep their values until a restart, although a reload could change them elsewhere.
    pub waiting: Vec<&'static str>,
    /// What they were made of, to compare it when the configuration is read again.
    pub(crate) values: Values,
    pub(crate) profile: Profile,
}

/// Describes the effective value of one option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The option's long name.
    pub option: &'static str,
    /// The value as text; secrets are hidden.
    pub value: String,
    /// Who gave it.
    pub origin: Origin,
}

/// Says by which rules settings are judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// A file or flags: coturn's rules.
    Configured,
    /// No configuration: the program makes a secret for the run and brings its own HTTP endpoint.
    Quickstart,
}

impl Settings {
    /// Puts the values together; contradictions are in the report. The warnings are still empty.
    pub(crate) fn build(
        registry: &'static Registry,
        values: &Values,
        profile: Profile,
        environment: &Environment<'_>,
        report: &mut Report,
    ) -> Settings {
        let stun = Stun::build(values, report);
        let listening = Listening::build(values, report);
        let auth = Auth::build(values, stun, profile, environment, report);
        let (tls, dtls) = Tls::build(values, &listening, profile, environment, report);
        let settings = Settings {
            relay: Relay::build(values, &listening, report),
            quotas: Quotas::build(values, report),
            caps: caps::build(values, report),
            lifetimes: Lifetimes::build(values),
            clients: Clients::build(values, report),
            wire: Wire::build(values),
            redirect: Redirect::build(values, report),
            logging: Logging::build(values, report),
            process: Process::build(values),
            metrics: Metrics::build(values, profile, environment, report),
            http: Http::build(values, &auth, tls.is_some(), profile, environment, report),
            tls,
            dtls,
            listening,
            stun,
            auth,
            warnings: Vec::new(),
            effective: effective(registry, values),
            file: None,
            waiting: Vec::new(),
            values: values.clone(),
            profile,
        };
        own_ports::check(&settings, report);
        settings
    }

    /// Whether it is a quickstart's: the program makes up what is missing then.
    pub fn is_quickstart(&self) -> bool {
        self.profile == Profile::Quickstart
    }

    /// Where the value of `option` was given; of a list, its first value.
    pub fn origin(&self, option: &str) -> Origin {
        self.effective
            .iter()
            .find(|effective| effective.option == option)
            .map_or(Origin::Default, |effective| effective.origin.clone())
    }

    /// Where `option` was given, to stand in front of a message; nothing where nobody has given it.
    pub fn place(&self, option: &str) -> String {
        self.origin(option).place()
    }

    /// Where this value of a list was given.
    pub fn origin_of(&self, option: &str, value: &impl ToString) -> Origin {
        let value = value.to_string();
        let mut rows = self.effective.iter();
        rows.find(|row| row.option == option && row.value == value)
            .map_or(Origin::Default, |row| row.origin.clone())
    }

    /// What hurts, by the readers and by `advice`; then what somebody has set, with its origin; then the rest.
    pub fn explain(&self, advice: &[String]) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        for warning in &self.warnings {
            let _ = writeln!(text, "{}: {warning}", warning.severity);
        }
        for advice in advice {
            let _ = writeln!(text, "warning: {advice}");
        }
        let _ = writeln!(text, "{}", self.logging.told_of_people());
        let is_given = |row: &&Effective| row.origin != Origin::Default;
        let (given, others): (Vec<_>, Vec<_>) = self.effective.iter().partition(is_given);
        for (heading, rows) in [("Given:", given), ("By default:", others)] {
            let _ = writeln!(text, "\n{heading}");
            for Effective {
                option,
                value,
                origin,
            } in rows
            {
                let _ = writeln!(text, "{option} = {value}  [{origin}]");
            }
        }
        text
    }
}

fn effective(registry: &'static Registry, values: &Values) -> Vec<Effective> {
    let mut rows = Vec::new();
    for spec in registry
        .options()
        .filter(|spec| spec.works() && !spec.command_line_only)
    {
        let given = values.given(spec.long);
        for given in given {
            rows.push(Effective {
                option: spec.long,
                value: given.value.to_string(),
                origin: given.origin.clone(),
            });
        }
        if given.is_empty() {
            let value = match (implied_by(values, spec.long), spec.default) {
                (Some(by), _) => format!("yes, by {by}"),
                (None, Default::Value(text)) => text.to_owned(),
                (None, Default::Unset(words)) => format!("({words})"),
            };
            rows.push(Effective {
                option: spec.long,
                value,
                origin: Origin::Default,
            });
        }
    }
    rows
}

/// The option that turns a flag on which nobody has mentioned.
fn implied_by(values: &Values, flag: &str) -> Option<&'static str> {
    let by: &[&'static str] = match flag {
        "use-auth-secret" => &["static-auth-secret", "static-auth-secret-file"],
        "lt-cred-mech" => &["user", "static-users-file"],
        _ => &[],
    };
    by.iter().copied().find(|option| values.is_given(option))
}
