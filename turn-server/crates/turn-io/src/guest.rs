//! Connections that are for somebody else: inside TLS they speak HTTP, where others speak STUN.
//!
//! STUN messages begin with 0x00 to 0x03, and ChannelData with 0x40 to 0x7F, but not on a new connection: nobody has a
//! channel yet (RFC 7983 §7, RFC 8656 §12). Methods of HTTP begin with a capital letter, 0x41 to 0x5A (RFC 9110 §9.3), so one
//! byte tells them apart, and 443 can be the port of both. Not in here: HTTP.

use std::{
    fmt,
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use rustls::ServerConnection;

/// Who takes guests over; tells whether this one is taken. Called on a worker's thread, so it must not wait.
pub type GuestHook = Arc<dyn Fn(Guest) -> bool + Send + Sync>;

/// A connection that speaks HTTP, after its handshake. No worker knows of it any more.
pub struct Guest {
    /// The socket, which does not block.
    pub socket: TcpStream,
    /// The TLS session on it. There may be decrypted bytes in it, and bytes to send.
    pub tls: ServerConnection,
    /// Decrypted bytes that come before those.
    pub ahead: Vec<u8>,
    /// Whose it is: where a proxy brought it, the client that the proxy named.
    pub client: SocketAddr,
    /// Whether a proxy brought it; then the client is only as true as the proxy's word.
    pub proxied: bool,
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guest({})", self.client)
    }
}
