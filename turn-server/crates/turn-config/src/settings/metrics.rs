//! The Prometheus endpoint.

use std::net::IpAddr;

use crate::diagnostics::Report;
use crate::values::Values;

/// Describes the Prometheus endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// The address it listens on; `None`: all of this machine.
    pub address: Option<IpAddr>,
    /// Its port; 0: the system chooses.
    pub port: u16,
    /// The path of the page, with its leading slash.
    pub path: String,
}

impl Metrics {
    pub(super) fn build(values: &Values, report: &mut Report) -> Option<Metrics> {
        if !values.flag("prometheus") {
            for option in ["prometheus-port", "prometheus-address", "prometheus-path"] {
                if values.is_given(option) {
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
        })
    }
}
