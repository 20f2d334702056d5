//! The Prometheus endpoint.

use std::net::IpAddr;

use super::{Profile, Tls};
use crate::diagnostics::Report;
use crate::environment::Environment;
use crate::values::Values;

const LABELS: &str = "prometheus-username-labels";
const TLS: &str = "prometheus-tls";

/// Those of the following that are flags.
const FLAGS: [&str; 2] = [LABELS, TLS];

/// What means nothing where metrics are not served.
const NEED_PROMETHEUS: [&str; 7] = [
    "prometheus-port",
    "prometheus-address",
    "prometheus-path",
    LABELS,
    TLS,
    "prometheus-cert",
    "prometheus-key",
];

/// What means nothing where they are not served over TLS.
const NEED_TLS: [&str; 2] = ["prometheus-cert", "prometheus-key"];

/// Describes the Prometheus endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// The address it listens on; `None`: all of this machine.
    pub address: Option<IpAddr>,
    /// Its port; 0: the system chooses.
    pub port: u16,
    /// The path of the page, with its leading slash.
    pub path: String,
    /// Traffic is counted by user.
    pub by_user: bool,
    /// Certificate and key, where it is served over TLS.
    pub tls: Option<Tls>,
}

impl Metrics {
    pub(super) fn build(
        values: &Values,
        profile: Profile,
        environment: &Environment<'_>,
        report: &mut Report,
    ) -> Option<Metrics> {
        let secure = values.flag(TLS);
        // As in coturn since 4.17, one flag is enough; who says prometheus=no as well means that.
        let implied = secure && !values.is_given("prometheus");
        if !values.flag("prometheus") && !implied {
            without("prometheus", &NEED_PROMETHEUS, values, report);
            return None;
        }
        if !secure {
            without(TLS, &NEED_TLS, values, report);
        }
        Some(Metrics {
            address: values.address("prometheus-address"),
            port: values.port("prometheus-port").unwrap_or_default(),
            path: values.text("prometheus-path").unwrap_or_default(),
            by_user: values.flag(LABELS),
            tls: secure
                .then(|| Tls::of_metrics(values, profile, environment, report))
                .flatten(),
        })
    }
}

/// Says of options that they have no effect, because a flag is not given.
fn without(flag: &str, options: &[&str], values: &Values, report: &mut Report) {
    for option in options {
        // A flag that is turned off asks for nothing.
        let is_flag = FLAGS.contains(option);
        if values.is_given(option) && (!is_flag || values.flag(option)) {
            report.warn(
                values.origin(option),
                format!("{option} has no effect without {flag}"),
            );
        }
    }
}
