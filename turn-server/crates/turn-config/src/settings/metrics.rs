//! The Prometheus endpoint.

use std::net::IpAddr;

use crate::diagnostics::Report;
use crate::values::Values;

const LABELS: &str = "prometheus-username-labels";

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
}

impl Metrics {
    pub(super) fn build(values: &Values, report: &mut Report) -> Option<Metrics> {
        if !values.flag("prometheus") {
            for option in [
                "prometheus-port",
                "prometheus-address",
                "prometheus-path",
                LABELS,
            ] {
                // A flag that is turned off asks for nothing.
                if values.is_given(option) && (option != LABELS || values.flag(LABELS)) {
                    report.warn(
                        values.origin(option),
                        format!("{option} has no effect without prometheus"),
                    );
                }
            }
            return None;
        }
        Some(Metrics {
            address: values.address("prometheus-address"),
            port: values.port("prometheus-port").unwrap_or_default(),
            path: values.text("prometheus-path").unwrap_or_default(),
            by_user: values.flag(LABELS),
        })
    }
}
