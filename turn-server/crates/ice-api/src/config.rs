//! The body of the answer: one JSON object for readers of several dialects.
//!
//! In: the field names and shapes. Not in: their values (`issuer.rs`).
//!
//! `iceServers`, `iceTransportPolicy`: W3C `RTCConfiguration`, STUNner. `username`, `password`, `ttl`, `uris`:
//! draft-uberti-behave-turn-rest, Janus, Matrix, Selkies. `lifetimeDuration`: Google's shape. Their readers ignore what they do not know.

use serde::{Deserialize, Serialize};

/// An ICE configuration, ready to be serialised.
///
/// It has no `Debug`: the credential inside is a password until it expires.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IceConfig {
    /// As `new RTCPeerConnection({iceServers})` takes it: one entry for STUN, one for the relay.
    pub ice_servers: Vec<IceServer>,
    /// Always `all`: whether to use the relay only is the client's choice.
    pub ice_transport_policy: String,
    /// The TURN user name, `expiry:user`; absent without a relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The TURN password; absent without a relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Seconds from now until the credentials expire.
    pub ttl: u64,
    /// The `turn:` and `turns:` URLs only, because Janus warns about others.
    pub uris: Vec<String>,
    /// When the credentials expire, in seconds since 1970; the number inside `username`.
    pub expires_at: u64,
    /// `ttl` as a protobuf duration: `"86400s"`.
    pub lifetime_duration: String,
}

/// An entry of `iceServers` (W3C `RTCIceServer`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServer {
    /// The URLs that share the credentials.
    pub urls: Vec<String>,
    /// Absent for STUN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Absent for STUN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}
