//! The bytes of one connection, in and out: what is above sees plain bytes, whether TLS lies below or not.
//!
//! Both are told apart by the first byte, on every port, as coturn does: 0x16 begins a TLS handshake (RFC 8446 §5.1), and no
//! STUN message of a known method. It is looked at and not taken, so nothing is kept meanwhile.

use std::{
    io::{self, IoSlice, Read, Write},
    net::{Shutdown, SocketAddr},
};

use mio::net::TcpStream;
use rustls::ServerConnection;
use turn_proto::{Secured, Transport};

use super::{proxy, secure::Secure};
use crate::Tls;

/// The first byte of a TLS record that carries a handshake.
const HANDSHAKE: u8 = 0x16;

/// What a connection may begin with.
#[derive(Clone, Debug)]
pub(crate) struct Entrance {
    /// Whether plain bytes are served.
    pub(crate) plain: bool,
    /// How TLS is served, if it is.
    pub(crate) tls: Option<Tls>,
    /// Whether a PROXY header comes first.
    pub(crate) proxied: bool,
}

#[cfg(test)]
impl Entrance {
    /// Plain bytes and nothing else.
    pub(crate) const PLAIN: Self = Self {
        plain: true,
        tls: None,
        proxied: false,
    };
}

/// The two directions of a connection; neither ever blocks.
pub(crate) struct Bytes {
    socket: TcpStream,
    layer: Layer,
}

enum Layer {
    /// Nothing has come yet.
    Unknown(Entrance),
    Plain,
    Tls(Box<Secure>),
}

/// What a proxy has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Preface {
    /// Whose connection it is, where it is not the proxy's own.
    pub(crate) client: Option<SocketAddr>,
}

/// How far a connection has come before its first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A proxy is to say whose connection it is.
    Preface,
    /// Nothing has come yet.
    Silent,
    /// The TLS handshake is under way.
    Handshake,
    /// Messages may come.
    Open,
}

/// What a read has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// That many bytes, at least one.
    Bytes {
        /// How many.
        count: usize,
        /// Whether there may be more to read.
        more: bool,
    },
    /// None at the moment.
    Nothing {
        /// Whether there may be more to read.
        more: bool,
    },
    /// The stream has ended.
    End,
}

impl Bytes {
    pub(crate) fn new(socket: TcpStream, entrance: Entrance) -> Self {
        // Where there is nothing to tell apart, nothing is looked at.
        let layer = match &entrance {
            Entrance {
                plain: true,
                tls: None,
                proxied: false,
            } => Layer::Plain,
            _ => Layer::Unknown(entrance),
        };
        Self { socket, layer }
    }

    pub(crate) fn stage(&self) -> Stage {
        match &self.layer {
            Layer::Unknown(Entrance { proxied: true, .. }) => Stage::Preface,
            Layer::Unknown(_) => Stage::Silent,
            Layer::Tls(secure) if secure.is_handshaking() => Stage::Handshake,
            Layer::Plain | Layer::Tls(_) => Stage::Open,
        }
    }

    /// What carries the messages, as far as it is known.
    pub(crate) fn transport(&self) -> Transport {
        match &self.layer {
            Layer::Unknown(_) | Layer::Plain => Transport::Tcp,
            Layer::Tls(_) => Transport::Tls,
        }
    }

    /// Reads what there is, once [`Bytes::open`] has told what it is.
    ///
    /// # Errors
    /// When the stream is broken.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> io::Result<Incoming> {
        match &mut self.layer {
            Layer::Tls(secure) => secure.read(&mut self.socket, into),
            Layer::Plain | Layer::Unknown(_) => read_plain(&mut self.socket, into),
        }
    }

    /// Writes as much as fits at the moment, zero when nothing does. The slices are changed on the way.
    pub(crate) fn write(&mut self, from: &mut [IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.layer {
            Layer::Tls(secure) => secure.write(&mut self.socket, from),
            Layer::Plain | Layer::Unknown(_) => {
                none_if_full(retry_interrupted(|| self.socket.write_vectored(from)))
            }
        }
    }

    /// Writes what was taken earlier and waits below, after the socket became writable.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match &mut self.layer {
            Layer::Tls(secure) => secure.flush(&mut self.socket),
            Layer::Plain | Layer::Unknown(_) => Ok(()),
        }
    }

    /// Says good-bye as far as the layer has a word for it. The socket closes when dropped.
    pub(crate) fn close(&mut self) {
        if let Layer::Tls(secure) = &mut self.layer {
            secure.close(&mut self.socket);
        }
    }

    /// Takes the PROXY header off, if it has come as a whole; tells whose connection it is, and `None` before.
    ///
    /// It is looked at first and taken when it is whole, so nothing is kept meanwhile and nothing behind it is read.
    ///
    /// # Errors
    /// When the stream is broken, or begins with no such header.
    pub(crate) fn take_preface(&mut self, ending: bool) -> io::Result<Option<Preface>> {
        let mut buffer = [0; proxy::LONGEST];
        let seen = match retry_interrupted(|| self.socket.peek(&mut buffer)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            other => other?,
        };
        let bytes = buffer.get(..seen).unwrap_or_default();
        let header = proxy::parse(bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let (length, client) = match header {
            // No more will come.
            proxy::Header::Incomplete if ending || seen == 0 => {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            proxy::Header::Incomplete => return Ok(None),
            proxy::Header::Whole { length, client } => (length, client),
        };
        // It was there a moment ago.
        self.socket
            .read_exact(buffer.get_mut(..length).unwrap_or_default())?;
        if let Layer::Unknown(entrance) = &mut self.layer {
            entrance.proxied = false;
        }
        Ok(Some(Preface { client }))
    }

    /// Looks at the first byte, if it has come; tells whether it has.
    ///
    /// # Errors
    /// When the stream is broken, or begins with what is not served here.
    pub(crate) fn open(&mut self) -> io::Result<bool> {
        let Layer::Unknown(entrance) = &self.layer else {
            return Ok(true);
        };
        let mut first = [0; 1];
        match retry_interrupted(|| self.socket.peek(&mut first)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
        }
        self.layer = match (first, entrance) {
            ([HANDSHAKE], Entrance { tls: Some(tls), .. }) => {
                Layer::Tls(Box::new(Secure::accept(tls)?))
            }
            (_, Entrance { plain: true, .. }) => Layer::Plain,
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(true)
    }

    /// Says that nothing more follows, after all that was taken; what the client sends is still read. Tells whether that has
    /// been said, or has to be tried again when the socket is writable.
    pub(crate) fn finish(&mut self) -> bool {
        match &mut self.layer {
            Layer::Tls(secure) => {
                secure.close(&mut self.socket);
                secure.is_flushed()
            }
            Layer::Plain | Layer::Unknown(_) => {
                // It may be gone already, which is found by reading.
                let _ = self.socket.shutdown(Shutdown::Write);
                true
            }
        }
    }

    /// How they are secured, if they are.
    pub(crate) fn secured(&self) -> Option<Secured> {
        match &self.layer {
            Layer::Tls(secure) => secure.secured(),
            Layer::Plain | Layer::Unknown(_) => None,
        }
    }

    /// Whether these bytes, the first that came, begin a request of HTTP inside TLS.
    pub(crate) fn begins_http(&self, bytes: &[u8]) -> bool {
        match &self.layer {
            Layer::Tls(secure) => secure.begins_http(bytes),
            Layer::Plain | Layer::Unknown(_) => false,
        }
    }

    /// The socket and the TLS session on it, if there is one.
    pub(crate) fn into_secure(self) -> Option<(TcpStream, ServerConnection)> {
        match self.layer {
            Layer::Tls(secure) => Some((self.socket, secure.into_session())),
            Layer::Plain | Layer::Unknown(_) => None,
        }
    }

    /// The socket, for a poller.
    pub(crate) fn socket_mut(&mut self) -> &mut TcpStream {
        &mut self.socket
    }
}

pub(crate) fn read_plain(socket: &mut TcpStream, into: &mut [u8]) -> io::Result<Incoming> {
    match retry_interrupted(|| socket.read(into)) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Ok(Incoming::Nothing { more: false })
        }
        Err(error) => Err(error),
        Ok(0) => Ok(Incoming::End),
        Ok(count) => Ok(Incoming::Bytes {
            count,
            more: count == into.len(),
        }),
    }
}

/// A socket that takes nothing at the moment is no error.
pub(crate) fn none_if_full(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}

pub(crate) fn retry_interrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
