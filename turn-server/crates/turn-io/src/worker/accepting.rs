//! Connections that come: who may have one, and whose it is.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    ops::ControlFlow::{self, Break, Continue},
    time::Duration,
};

use mio::{Interest, net::TcpStream};
use socket2::SockRef;
use turn_proto::{Path, Transport};

use super::{Served, Worker, sockets::Acceptor};
use crate::{
    source::Source,
    streams::{Connection, Entrance},
};

/// Connections accepted in one go.
pub(super) const ACCEPT: usize = 32;

/// How long to accept nothing after a failure: descriptors do not come back in no time, and asking again at once would take the
/// worker's whole time.
const PAUSE: Duration = Duration::from_millis(200);

/// Bytes that the kernel may hold for a connection beyond those on their way. More would be sent late, not sooner, and would
/// be memory that a client who does not read makes us keep.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 64 * 1024;

impl Worker {
    /// Accepts connections.
    pub(super) fn serve_acceptor(&mut self, place: u32) -> Served {
        for packets in 0..ACCEPT {
            let Some(acceptor) = self.acceptor(place) else {
                return Served::NOTHING;
            };
            let tried = acceptor.listener.accept();
            match self.accepted(tried) {
                Continue(Some((socket, from))) => self.receive_client(place, socket, from.ip()),
                Continue(None) => {}
                Break(()) => {
                    return Served {
                        packets,
                        more: false,
                    };
                }
            }
        }
        Served {
            packets: ACCEPT,
            more: true,
        }
    }

    fn acceptor(&self, place: u32) -> Option<&Acceptor> {
        self.sockets.acceptors.get(place as usize)?.as_ref()
    }

    /// Admits a connection, or closes it: dropping does that, nothing is read first, and nothing is said.
    fn receive_client(&mut self, place: u32, socket: TcpStream, from: IpAddr) {
        // A client may be gone before it is admitted; then there is nothing to do.
        let Ok(server) = socket.local_addr() else {
            return;
        };
        match self.proxied(place, from, server) {
            Some(proxied) => self.admit(socket, server, proxied),
            None => self.sockets.counters.streams_denied += 1,
        }
    }

    /// Tells a connection from an attempt that brought none and from the end of accepting for now, which an error is as well.
    pub(super) fn accepted<T>(&mut self, tried: io::Result<T>) -> ControlFlow<(), Option<T>> {
        match tried {
            Ok(connection) => Continue(Some(connection)),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => Break(()),
                // The other side has given up already, or a signal came.
                io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => Continue(None),
                _ => {
                    self.sockets.counters.accept_errors += 1;
                    self.accept_again = Some(self.now.mono + PAUSE);
                    Break(())
                }
            },
        }
    }

    /// Admits the client that a proxy has named as if it had come by itself; tells whether it may.
    pub(super) fn admit_announced(&mut self, path: &Path) -> bool {
        let client = path.client.ip();
        if !self.relay.admits_client(client, path.server) {
            self.sockets.counters.streams_denied += 1;
            return false;
        }
        let Some(ticket) = self.relay.admit_connection(client) else {
            self.sockets.counters.streams_refused += 1;
            return false;
        };
        if let Some(connection) = self.sockets.streams.at_mut(path.link) {
            connection.ticket = Some(ticket);
        }
        true
    }

    /// Tells whether a proxy's word comes first on a connection to this address; `None` where its sender is not served.
    fn proxied(&self, place: u32, from: IpAddr, server: SocketAddr) -> Option<bool> {
        let acceptor = self.acceptor(place)?;
        let is_proxy = self
            .proxies
            .iter()
            .any(|range| range.contains(from.to_canonical()));
        if acceptor.behind_proxy {
            return (is_proxy || self.proxies.is_empty()).then_some(true);
        }
        // Whose connection a proxy brings is known later.
        (is_proxy || self.relay.admits_client(from, server)).then_some(is_proxy)
    }

    fn admit(&mut self, mut socket: TcpStream, server: SocketAddr, proxied: bool) {
        // As above.
        let Ok(client) = socket.peer_addr() else {
            return;
        };
        let mut ticket = None;
        // Before anybody makes room: whose network has as many as it may takes no one's place. (Whose connection a proxy brings
        // is known later, and is counted then.)
        if !proxied {
            ticket = self.relay.admit_connection(client.ip());
            if ticket.is_none() {
                self.sockets.counters.streams_refused += 1;
                return;
            }
        }
        if let Some(oldest) = self.sockets.streams.crowded(self.now.mono) {
            self.sockets.counters.streams_displaced += 1;
            self.lose_stream(oldest);
        }
        let Some(link) = self.sockets.streams.vacant() else {
            self.sockets.counters.streams_refused += 1;
            return;
        };
        tune(&socket);
        let (token, interest) = (
            Source::Stream(link).token(),
            Interest::READABLE | Interest::WRITABLE,
        );
        if self
            .poll
            .registry()
            .register(&mut socket, token, interest)
            .is_err()
        {
            self.sockets.counters.accept_errors += 1;
            return;
        }
        let entrance = Entrance {
            proxied,
            ..self.entrance.clone()
        };
        let path = Path {
            transport: Transport::Tcp,
            link,
            client,
            server,
        };
        let mut connection = Connection::new(socket, path, entrance);
        connection.ticket = ticket;
        (self.sockets.streams).insert(self.now.mono, link, connection);
        self.sockets.counters.streams_accepted += 1;
    }
}

/// Sets what a connection should have; one that cannot have it still works.
pub(super) fn tune(socket: &TcpStream) {
    // Messages are sent as they come; waiting for more would only delay them.
    let _ = socket.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = SockRef::from(socket).set_tcp_notsent_lowat(UNSENT);
}
