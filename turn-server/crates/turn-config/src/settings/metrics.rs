//! The Prometheus endpoint.

use std::net::IpAddr;

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
