//! Where clients reach the server, and what it answers without an allocation.

use std::net::IpAddr;

/// Says where clients reach the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// Addresses to listen on; empty: all of this machine.
    pub addresses: Vec<IpAddr>,
    /// The port for UDP and TCP; 0: the system chooses.
    pub port: u16,
    /// Whether clients are served over UDP.
    pub udp: bool,
    /// Whether clients are served over TCP.
    pub tcp: bool,
    /// Socket buffers in bytes, each direction.
    pub socket_buffer: usize,
}

/// Says which requests are answered at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stun {
    /// Binding requests are answered.
    pub binding: bool,
    /// Binding requests need credentials.
    pub binding_needs_auth: bool,
    /// TURN requests are answered.
    pub relaying: bool,
}
