//! Loopback sockets for the tests of this crate.

use std::net::{SocketAddr, UdpSocket};

use udp_batch::Backend;

pub(crate) const BACKENDS: [Backend; 2] = [Backend::Batched, Backend::Plain];
pub(crate) const LOOPBACKS: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

/// A socket on a free port, and its address. Blocking, so that a call that waits would hang the test.
pub(crate) fn socket(on: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(on).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}
