//! Hands out ICE configurations over HTTP: which STUN and TURN servers a WebRTC client may use, with credentials that expire.
//!
//! In: the pure [`Issuer`], the rules of who is served ([`Admission`], [`Origins`]), and the axum router that puts them
//! on `/v1/ice`. Not in: the arithmetic of the credentials (`turn-auth`), sockets, TLS and the settings' text.
//!
//! One body serves many readers ([`IceConfig`]): W3C `RTCConfiguration`, draft-uberti-behave-turn-rest and what is
//! modelled on it, because their names do not collide and each ignores the others'.

#![forbid(unsafe_code)]

mod admission;
mod config;
mod host;
mod issuer;
mod local;
mod origins;
mod params;
mod router;
mod url;

pub use admission::{Admission, Caller};
pub use config::{IceConfig, IceServer};
pub use host::{BadHost, Host};
pub use issuer::{DEFAULT_TTL, IssueError, Issuer, MAX_TTL, MAX_USER_LEN};
pub use local::{is_local, is_loopback};
pub use origins::{BadOrigin, Origins};
pub use router::{ApiState, answer_service, is_service_request, router};
pub use url::{BadIceUrl, Endpoint, IceUrl, Scheme, Transport};
