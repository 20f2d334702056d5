//! How the bench's own UDP sockets are prepared.

use anyhow::{Context, Result};
use socket2::SockRef;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use udp_batch::Backend;

/// Asked for on receiving sockets; the kernel grants what `net.core.rmem_max` allows. Without it 270 small datagrams fill a
/// socket, and a stall of 3 ms at 100,000 packets/s would count as the server's loss.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Makes a socket that never blocks, with the largest receive buffer that may be had.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn prepare(socket: &UdpSocket) -> Result<()> {
    socket
        .set_nonblocking(true)
        .context("cannot make a socket non-blocking")?;
    SockRef::from(socket)
        .set_recv_buffer_size(RECEIVE_BUFFER)
        .context("cannot set a receive buffer")
}

/// Takes bursts of one flow as one; where the system has no such thing, each packet comes by itself.
pub(crate) fn take_trains(socket: &UdpSocket) {
    if Backend::detect() == Backend::Batched {
        let _ = udp_batch::take_trains(socket.as_fd());
    }
}

/// A peer's socket on `ip`.
///
/// # Errors
/// No port or descriptor is left.
pub(crate) fn peer(ip: std::net::IpAddr) -> Result<(UdpSocket, SocketAddr)> {
    let socket =
        UdpSocket::bind((ip, 0)).with_context(|| format!("cannot open a UDP socket on {ip}"))?;
    prepare(&socket)?;
    take_trains(&socket);
    let address = socket.local_addr()?;
    Ok((socket, address))
}
