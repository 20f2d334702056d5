//! Why the drivers cannot start, each with the address and the remedy.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use crate::Listening;

/// Why the drivers cannot start. The texts name coturn's options, which are ours.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another program listens there.
    #[error(
        "cannot listen on {0}: the address is in use by another program; stop that program, or choose another port with \
         --{option}",
        option = .0.port_option()
    )]
    InUse(Listening),
    /// The address to listen on is not one of this machine's.
    #[error(
        "cannot listen on {0}: this machine has no such address; give --listening-ip one of its own addresses (behind a 1:1 \
         NAT the private one, with --external-ip=PUBLIC/PRIVATE)"
    )]
    NotLocal(Listening),
    /// The port needs a right that the process lacks.
    #[error(
        "cannot listen on {0}: permission denied; ports below 1024 need the capability CAP_NET_BIND_SERVICE, or choose another \
         port with --{option}",
        option = .0.port_option()
    )]
    Denied(Listening),
    /// Any other failure to listen.
    #[error("cannot listen on {listening}: {cause}")]
    Listen {
        /// Where.
        listening: Listening,
        /// Why.
        cause: io::Error,
    },
    /// A relay address is not one of this machine's.
    #[error(
        "cannot bind relay address {0}: this machine has no such address; give --relay-ip one of its own addresses (behind a \
         1:1 NAT the private one, with --external-ip=PUBLIC/PRIVATE)"
    )]
    RelayNotLocal(IpAddr),
    /// Any other failure to bind a relay address.
    #[error("cannot bind relay address {address}: {cause}; choose another with --relay-ip")]
    Relay {
        /// Where.
        address: IpAddr,
        /// Why.
        cause: io::Error,
    },
    /// A shared relay port cannot be had.
    #[error(
        "cannot bind shared relay port {address}: {cause}; choose another with --multiplex-peer-port"
    )]
    SharedRelay {
        /// Where.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
    /// A thread, or what it needs to wait for sockets, cannot be had.
    #[error("cannot start a worker: {0}")]
    Worker(#[from] io::Error),
}

impl StartError {
    pub(crate) fn listen(listening: Listening, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::AddrInUse => Self::InUse(listening),
            io::ErrorKind::AddrNotAvailable => Self::NotLocal(listening),
            io::ErrorKind::PermissionDenied => Self::Denied(listening),
            _ => Self::Listen { listening, cause },
        }
    }

    pub(crate) fn relay(address: IpAddr, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::AddrNotAvailable => Self::RelayNotLocal(address),
            _ => Self::Relay { address, cause },
        }
    }
}
