//! Listening sockets that the process was started with, by a service manager that has bound them.
//!
//! A datagram socket serves one worker alone: a client's packets must all come to the worker that has its session. So there are
//! as many workers as sockets of an address. Connections stay with whom accepts them, and all workers may share a listener.

use std::{
    io,
    net::SocketAddr,
    os::fd::{OwnedFd, RawFd},
    sync::Arc,
};

use socket2::{Socket, Type};

use crate::Listening;

/// A listening socket of the service manager's.
#[derive(Clone, Debug)]
pub struct Inherited {
    socket: Arc<Socket>,
    address: SocketAddr,
    is_stream: bool,
}

impl Inherited {
    /// Takes a socket by the number of its descriptor.
    ///
    /// # Errors
    /// When it is no socket for UDP or TCP on an IP address.
    pub fn take(number: RawFd) -> io::Result<Self> {
        let socket = Socket::from(udp_batch::duplicate(number)?);
        let address = socket.local_addr()?.as_socket();
        let kind = socket.r#type()?;
        let known = [Type::DGRAM, Type::STREAM].contains(&kind);
        let address = address
            .filter(|_| known)
            .ok_or_else(|| io::Error::other("it is no socket for UDP or TCP"))?;
        Ok(Self {
            socket: Arc::new(socket),
            address,
            is_stream: kind == Type::STREAM,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it takes connections, and not datagrams.
    pub fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// One more descriptor of it, for a program that serves it by itself.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.socket.try_clone().map(Into::into)
    }

    /// The socket for a worker, if one of these stands for what is wanted.
    pub(crate) fn find(
        all: &[Self],
        wanted: &Listening,
        worker: usize,
    ) -> io::Result<Option<Socket>> {
        let is_meant = |socket: &&Self| {
            socket.address == wanted.address && socket.is_stream == wanted.transport.is_stream()
        };
        let meant: Vec<&Self> = all.iter().filter(is_meant).collect();
        let Some(count) = (!meant.is_empty()).then_some(meant.len()) else {
            return Ok(None);
        };
        let found = if wanted.transport.is_stream() {
            meant.get(worker % count)
        } else {
            meant.get(worker)
        };
        let found =
            found.ok_or_else(|| io::Error::other("there are fewer sockets than workers"))?;
        found.socket.set_nonblocking(true)?;
        found.socket.try_clone().map(Some)
    }
}
