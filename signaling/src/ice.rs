//! Where ICE servers come from when somebody joins.
//!
//! In: the interface, and the source that mints credentials in this process. Not in: the body's shape (`ice-api`).

use std::future::{Future, ready};
use std::pin::Pin;

use ice_api::{Host, IceConfig, Issuer};

/// Who asks for ICE servers, and how they found us.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// The host with which the WebSocket was opened, if it was a well-formed one.
    pub host: Option<&'a Host>,
    /// The user; it becomes part of the credential's name.
    pub user: &'a str,
    /// Seconds since 1970.
    pub now_unix: u64,
}

/// A source that does not answer; the reason is for the log.
#[derive(Debug, thiserror::Error)]
#[error("no ICE servers: {0}")]
pub struct IceUnavailable(pub String);

/// What [`IceSource::servers`] returns.
pub type IceFuture<'a> =
    Pin<Box<dyn Future<Output = Result<IceConfig, IceUnavailable>> + Send + 'a>>;

/// A source of ICE servers.
pub trait IceSource: Send + Sync + 'static {
    /// Makes or fetches a configuration for one client.
    fn servers<'a>(&'a self, asker: Asker<'a>) -> IceFuture<'a>;
}

impl IceSource for Issuer {
    fn servers<'a>(&'a self, asker: Asker<'a>) -> IceFuture<'a> {
        let issued = self.issue(asker.now_unix, asker.host, Some(asker.user), None);
        Box::pin(ready(
            issued.map_err(|error| IceUnavailable(error.to_string())),
        ))
    }
}
