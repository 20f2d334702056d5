//! Opening sockets: listening ones shared by all workers, relay sockets owned by one.
//!
//! `SO_REUSEPORT` lets two servers of the same user share a port silently, each getting half of the packets. So the first
//! worker's socket is bound *without* the option, which fails while anybody else holds the port, and gets the option
//! afterwards, so that the other workers' sockets may join. Unlike a probe that is closed again, this leaves no moment in which
//! another server can slip in.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::AsFd,
};

use socket2::{Domain, Protocol, Socket, Type};
use tracing::warn;
use udp_batch::IpVersion;

use crate::{Backend, Config, Device, Inherited, Listening, StartError};

/// Connections that the kernel completes while a worker is busy; the kernel's own limit (`somaxconn`) may be lower.
pub(crate) const BACKLOG: usize = 1024;

/// The same for peers of one TCP allocation.
const PEER_BACKLOG: i32 = 64;

/// Whose socket it is, of those that share an address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    /// The only one: nobody joins.
    Alone,
    /// The first of several: nobody may be there yet, others will join.
    First,
    /// A further one.
    Joining,
}

/// What is asked of the kernel for a datagram socket. A refusal is not an error: it costs speed and loses no call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wish {
    /// Bytes of receive and of send buffer; zero leaves the kernel's own.
    buffer: usize,
    /// Whether datagrams of one flow may come as a train.
    trains: bool,
}

/// What a socket for peers is to be. A device that cannot be had is an error: peers would be reached by another way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RelayWish {
    wish: Wish,
    device: Device,
}

impl RelayWish {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            wish: Wish::of(config),
            device: config.relay_device,
        }
    }
}

impl Wish {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            buffer: config.socket_buffer,
            trains: config.backend == Backend::Batched,
        }
    }

    fn ask_for(self, socket: &Socket) {
        if self.trains {
            let _ = udp_batch::take_trains(socket.as_fd());
        }
        if self.buffer > 0 {
            let _ = socket.set_recv_buffer_size(self.buffer);
            let _ = socket.set_send_buffer_size(self.buffer);
        }
    }
}

/// Binds an address for every worker, and tells it with its real port.
pub(crate) fn open_for_all(
    config: &Config,
    wanted: Listening,
    workers: usize,
) -> io::Result<(SocketAddr, Vec<Socket>)> {
    let device = config.listening_device;
    let mut address = wanted.address;
    let mut sockets = Vec::with_capacity(workers);
    for number in 0..workers {
        let share = match number {
            0 if workers == 1 => Share::Alone,
            0 => Share::First,
            _ => Share::Joining,
        };
        let inherited = Inherited::find(&config.inherited, &wanted, number)?;
        let socket = match (inherited, wanted.transport.is_stream()) {
            (Some(socket), _) => socket,
            (None, true) => listen_tcp(address, share, device)?,
            (None, false) => bind_udp(address, share, device)?,
        };
        if !wanted.transport.is_stream() {
            prepare_udp(&socket, address, share, Wish::of(config));
        }
        let real = socket.local_addr()?.as_socket();
        address = real.ok_or_else(|| io::Error::other("it has no IP address"))?;
        sockets.push(socket);
    }
    Ok((address, sockets))
}

/// Binds a socket for clients' datagrams.
fn bind_udp(address: SocketAddr, share: Share, device: Device) -> io::Result<Socket> {
    bind_shared(address, Type::DGRAM, Protocol::UDP, share, device)
}

/// Sets what a socket for clients' datagrams has to tell, and how much it holds.
fn prepare_udp(socket: &Socket, address: SocketAddr, share: Share, wish: Wish) {
    set_ip_header(socket, address);
    wish.ask_for(socket);
    if share != Share::Joining {
        warn_about_buffers(address, wish.buffer, granted_buffers(socket));
    }
}

/// Binds a socket for clients' connections.
fn listen_tcp(address: SocketAddr, share: Share, device: Device) -> io::Result<Socket> {
    let socket = bind_shared(address, Type::STREAM, Protocol::TCP, share, device)?;
    socket.listen(i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
    Ok(socket)
}

/// Binds a socket for peers' datagrams; nobody else can have its port meanwhile.
pub(crate) fn bind_relay(local: SocketAddr, relay: RelayWish) -> io::Result<Socket> {
    let socket = bind_shared(
        local,
        Type::DGRAM,
        Protocol::UDP,
        Share::Alone,
        relay.device,
    )?;
    set_ip_header(&socket, local);
    // Without them, clients are not told about unreachable peers (RFC 8656 §11.5), and nothing else is lost.
    let _ = udp_batch::tell_icmp_errors(socket.as_fd(), version(local));
    // The listening sockets have told about a kernel that grants less.
    relay.wish.ask_for(&socket);
    Ok(socket)
}

/// Tries relay addresses out, each on a port that the system chooses.
pub(crate) fn try_relays(config: &Config, addresses: &[IpAddr]) -> Result<(), StartError> {
    for &address in addresses {
        bind_relay(SocketAddr::new(address, 0), RelayWish::of(config))
            .map_err(|cause| StartError::relay(address, cause))?;
    }
    Ok(())
}

/// Listens for peers' connections on the port of a TCP allocation, from which connections to peers leave as well.
pub(crate) fn listen_for_peers(local: SocketAddr, device: Device) -> io::Result<Socket> {
    let socket = bind_shared(local, Type::STREAM, Protocol::TCP, Share::First, device)?;
    socket.listen(PEER_BACKLOG)?;
    Ok(socket)
}

/// Begins to connect from the port of a TCP allocation (RFC 6062 §5.2).
pub(crate) fn connect_to_peer(
    local: SocketAddr,
    peer: SocketAddr,
    device: Device,
) -> io::Result<Socket> {
    let socket = bind_shared(local, Type::STREAM, Protocol::TCP, Share::Joining, device)?;
    match socket.connect(&peer.into()) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(socket),
        Err(error) => Err(error),
        Ok(()) => Ok(socket),
    }
}

/// The IP version that a socket bound here speaks.
pub(crate) fn version(address: SocketAddr) -> IpVersion {
    if address.is_ipv4() {
        IpVersion::V4
    } else {
        IpVersion::V6
    }
}

/// Sets what relaying does with the fields of IP headers (RFC 8656 §14), in the preferred way for DSCP and ECN, which are
/// copied, and in the alternate one for DF, which is taken to be 0. Where the system refuses, its defaults stand, as §14 allows.
///
/// TTL and hop limit are the system's default, the alternate behaviour of §13: counting on from the client's would end paths
/// that are longer than what was left, and tell its distance.
fn set_ip_header(socket: &Socket, address: SocketAddr) {
    let _ = udp_batch::tell_traffic_class(socket.as_fd(), version(address));
    let _ = udp_batch::may_fragment(socket.as_fd(), version(address), true);
}

fn bind_shared(
    address: SocketAddr,
    kind: Type,
    protocol: Protocol,
    share: Share,
    device: Device,
) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, never_blocking(kind), Some(protocol))?;
    if !cfg!(target_os = "linux") {
        socket.set_nonblocking(true)?;
    }
    device.hold(&socket)?;
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

/// Linux says it with the socket: two calls less for each allocation.
fn never_blocking(kind: Type) -> Type {
    #[cfg(target_os = "linux")]
    return kind.nonblocking();
    #[cfg(not(target_os = "linux"))]
    return kind;
}

/// The smaller one of the two buffers.
fn granted_buffers(socket: &Socket) -> usize {
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

#[cfg(test)]
mod tests {
    use std::{io, net::SocketAddr};

    use super::{Device, RelayWish, Share, Wish, bind_relay, bind_udp, listen_tcp};

    /// Unlike those of other tests, so that a port that should be free is.
    const QUIET: &str = "127.0.78.1:0";

    fn bound_udp(address: SocketAddr, share: Share) -> io::Result<(socket2::Socket, SocketAddr)> {
        let socket = bind_udp(address, share, Device::default())?;
        let address = socket.local_addr()?.as_socket().unwrap();
        Ok((socket, address))
    }

    #[test]
    fn who_joins_shares_the_port_and_who_comes_first_does_not() {
        let (_first, address) = bound_udp(QUIET.parse().unwrap(), Share::First).unwrap();
        let _joined = bound_udp(address, Share::Joining).unwrap();
        for share in [Share::First, Share::Alone] {
            let error = bound_udp(address, share).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        }
    }

    #[test]
    fn nobody_joins_who_is_alone() {
        let (_alone, address) = bound_udp(QUIET.parse().unwrap(), Share::Alone).unwrap();
        assert!(bound_udp(address, Share::Joining).is_err());
        let tcp = listen_tcp(QUIET.parse().unwrap(), Share::Alone, Device::default()).unwrap();
        let address = tcp.local_addr().unwrap().as_socket().unwrap();
        assert!(listen_tcp(address, Share::Joining, Device::default()).is_err());
    }

    #[test]
    fn wildcards_of_both_families_have_the_same_port_side_by_side() {
        let (_v4, address) = bound_udp("0.0.0.0:0".parse().unwrap(), Share::Alone).unwrap();
        let v6 = SocketAddr::from(([0; 8], address.port()));
        assert_eq!(bound_udp(v6, Share::Alone).unwrap().1, v6);
    }

    #[test]
    fn a_relay_port_is_never_shared() {
        let socket = bind_relay(QUIET.parse().unwrap(), RelayWish::default()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        assert_eq!(
            bind_relay(address, RelayWish::default())
                .unwrap_err()
                .kind(),
            io::ErrorKind::AddrInUse
        );
        assert!(bound_udp(address, Share::Joining).is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn buffers_are_as_large_as_the_kernel_grants() {
        let limit = |name| std::fs::read_to_string(format!("/proc/sys/net/core/{name}")).unwrap();
        let [receive, send] =
            ["rmem_max", "wmem_max"].map(|name| limit(name).trim().parse::<usize>().unwrap());
        let asked = 1 << 20;
        let wish = Wish {
            buffer: asked,
            ..Wish::default()
        };
        let socket = bind_relay(
            QUIET.parse().unwrap(),
            RelayWish {
                wish,
                ..RelayWish::default()
            },
        )
        .unwrap();
        assert_eq!(socket.recv_buffer_size().unwrap(), 2 * asked.min(receive));
        assert_eq!(socket.send_buffer_size().unwrap(), 2 * asked.min(send));
    }
}
