//! Opening sockets: listening ones shared by all workers, relay sockets owned by one.
//!
//! `SO_REUSEPORT` lets two servers of the same user share a port silently, each getting half of the packets. So the first
//! worker's socket is bound *without* the option, which fails while anybody else holds the port, and gets the option
//! afterwards, so that the other workers' sockets may join. Unlike a probe that is closed again, this leaves no moment in which
//! another server can slip in.

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tracing::warn;

/// Connections that the kernel completes while a worker is busy; the kernel's own limit (`somaxconn`) may be lower.
const BACKLOG: i32 = 1024;

/// Whose socket it is, of those that share an address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// The only one: nobody joins.
    Alone,
    /// The first of several: nobody may be there yet, others will join.
    First,
    /// A further one.
    Joining,
}

/// Binds a socket for clients' datagrams.
pub(crate) fn listen_udp(address: SocketAddr, share: Share, buffer: usize) -> io::Result<Socket> {
    let socket = bind_shared(address, Type::DGRAM, Protocol::UDP, share)?;
    let granted = request_buffers(&socket, buffer);
    if share != Share::Joining {
        warn_about_buffers(address, buffer, granted);
    }
    Ok(socket)
}

/// Binds a socket for clients' connections.
pub(crate) fn listen_tcp(address: SocketAddr, share: Share) -> io::Result<Socket> {
    let socket = bind_shared(address, Type::STREAM, Protocol::TCP, share)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Binds a socket for peers' datagrams; nobody else can have its port meanwhile.
pub(crate) fn bind_relay(local: SocketAddr, buffer: usize) -> io::Result<Socket> {
    let socket = bind_shared(local, Type::DGRAM, Protocol::UDP, Share::Alone)?;
    // The listening sockets have told about a kernel that grants less.
    let _ = request_buffers(&socket, buffer);
    Ok(socket)
}

fn bind_shared(
    address: SocketAddr,
    kind: Type,
    protocol: Protocol,
    share: Share,
) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // IPv4 has sockets of its own; a v4-mapped address would be a second name for the same peer.
        socket.set_only_v6(true)?;
    }
    if kind == Type::STREAM {
        // Connections of an earlier run that linger in TIME_WAIT are no reason to fail; a listening socket still is.
        socket.set_reuse_address(true)?;
    }
    if share == Share::Joining {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    if share == Share::First {
        socket.set_reuse_port(true)?;
    }
    Ok(socket)
}

/// Asks for buffers and tells what the receive buffer got. A refusal is not an error: small buffers relay too.
fn request_buffers(socket: &Socket, bytes: usize) -> usize {
    if bytes > 0 {
        let _ = socket.set_recv_buffer_size(bytes);
        let _ = socket.set_send_buffer_size(bytes);
    }
    let socket = SockRef::from(socket);
    let granted = socket
        .recv_buffer_size()
        .unwrap_or(0)
        .min(socket.send_buffer_size().unwrap_or(0));
    // Linux doubles what is asked for, to make room for its own bookkeeping, and reports the double.
    if cfg!(target_os = "linux") {
        granted / 2
    } else {
        granted
    }
}

fn warn_about_buffers(address: SocketAddr, asked: usize, granted: usize) {
    static TOLD: std::sync::Once = std::sync::Once::new();
    if granted < asked {
        TOLD.call_once(|| {
            warn!(
                %address,
                asked,
                granted,
                "the kernel grants smaller socket buffers than asked for, so bursts may be lost; raise net.core.rmem_max and \
                 net.core.wmem_max"
            );
        });
    }
}
