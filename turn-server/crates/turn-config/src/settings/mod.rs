//! The typed settings that the server runs on.
//!
//! In: what the values mean. Not in: how they were written (`file.rs`, `command_line.rs`), which values are possible
//! (`options/`), and what each crate makes of them (each has its own configuration).

mod auth;
mod http;
mod limits;
mod listening;
mod logging;
mod metrics;
mod process;
mod relay;
mod wire;

pub use auth::{Auth, Password, User};
pub use http::Http;
pub use limits::{Lifetimes, Quotas};
pub use listening::{Listening, Stun};
pub use logging::{LogTarget, Logging, Verbosity};
pub use metrics::Metrics;
pub use process::Process;
pub use relay::{DefaultFamily, External, Peers, Relay};
pub use wire::Wire;

use crate::diagnostics::Warning;
use crate::origin::Origin;

/// Holds every setting of `turnserver`, with the origin of each.
#[derive(Clone)]
pub struct Settings {
    /// Where clients reach the server.
    pub listening: Listening,
    /// Binding requests: whether and to whom.
    pub stun: Stun,
    /// Relay addresses, ports and whom they may talk to.
    pub relay: Relay,
    /// Who may allocate.
    pub auth: Auth,
    /// How many allocations at once.
    pub quotas: Quotas,
    /// How long things live.
    pub lifetimes: Lifetimes,
    /// What messages carry besides what the RFCs ask for.
    pub wire: Wire,
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

impl Settings {
    /// Where the value of `option` was given; of a list, its first value.
    pub fn origin(&self, option: &str) -> Origin {
        self.effective
            .iter()
            .find(|effective| effective.option == option)
            .map_or(Origin::Default, |effective| effective.origin.clone())
    }
}
