//! The HTTP endpoint that issues ICE credentials.

use std::net::SocketAddr;

use crate::secret::Secret;

/// Describes the HTTP endpoint; it is off while `listen` is empty.
#[derive(Clone)]
pub struct Http {
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
    /// Keys that may fetch credentials, of the options and of the key files.
    pub api_keys: Vec<Secret<String>>,
    /// Host in the ICE URLs; `None`: the external address, else the host of the request.
    pub advertise: Option<String>,
    /// Web origins that may ask from a browser; `*` is every origin.
    pub allowed_origins: Vec<String>,
}
