//! TLS between a socket and its bytes (RFC 8446, RFC 5246; RFC 8489 §6.2.3).
//!
//! Memory per connection is bounded on both sides: a handshake's messages by rustls (64 KiB), received bytes by one record,
//! bytes to send by [`UNSENT`]. What is above keeps its own backlog and drops beyond it.

use std::{
    io::{self, IoSlice, Read, Write},
    sync::Arc,
};

use mio::net::TcpStream;
use rustls::{ProtocolVersion, ServerConnection};
use turn_proto::Secured;

use super::bytes::{Incoming, none_if_full, retry_interrupted};
use crate::{Tls, tls::suites};

/// Bytes that are encrypted before the socket has taken them: one full record. More would be memory for a client that does
/// not read.
const UNSENT: usize = 16 * 1024;

/// Reads of the socket in one go, 4 KiB each: about as much as one read of a plain connection.
const READS: usize = 16;

/// One side of a TLS connection.
pub(super) struct Secure {
    tls: ServerConnection,
}

impl Secure {
    pub(super) fn accept(tls: &Tls) -> io::Result<Self> {
        let mut tls = ServerConnection::new(Arc::clone(&tls.0)).map_err(io::Error::other)?;
        tls.set_buffer_limit(Some(UNSENT));
        Ok(Self { tls })
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// Whether these bytes, the first that came, begin a request of HTTP: with a method's first letter, from a client that
    /// has not said that it speaks STUN (RFC 7443 §3).
    pub(super) fn begins_http(&self, bytes: &[u8]) -> bool {
        let protocol = self.tls.alpn_protocol().unwrap_or_default();
        !protocol.starts_with(b"stun.") && bytes.first().is_some_and(u8::is_ascii_uppercase)
    }

    /// How it is secured, once the handshake is over.
    pub(super) fn secured(&self) -> Option<Secured> {
        let suite = self.tls.negotiated_cipher_suite()?.suite();
        Some(Secured {
            cipher: suites::name(suite)?,
            protocol: match self.tls.protocol_version()? {
                ProtocolVersion::TLSv1_2 => "TLSv1.2",
                ProtocolVersion::TLSv1_3 => "TLSv1.3",
                _ => return None,
            },
        })
    }

    /// The session, for who serves it from now on.
    pub(super) fn into_session(self) -> ServerConnection {
        self.tls
    }

    /// Reads until the buffer is full, the socket drained, or as much done as is fair.
    pub(super) fn read(&mut self, socket: &mut TcpStream, into: &mut [u8]) -> io::Result<Incoming> {
        let mut count = 0;
        for _ in 0..READS {
            let ended = self.take(into, &mut count)?;
            if count == into.len() {
                return Ok(Incoming::Bytes { count, more: true });
            }
            let received = if ended {
                Received::End
            } else {
                self.receive(socket)?
            };
            match received {
                Received::Some => {}
                // The end is found again by the next read, when the last bytes have been served.
                Received::End if count > 0 => return Ok(Incoming::Bytes { count, more: true }),
                Received::End => return Ok(Incoming::End),
                Received::Drained if count > 0 => {
                    return Ok(Incoming::Bytes { count, more: false });
                }
                Received::Drained => return Ok(Incoming::Nothing { more: false }),
            }
        }
        self.take(into, &mut count)?;
        Ok(match count {
            0 => Incoming::Nothing { more: true },
            _ => Incoming::Bytes { count, more: true },
        })
    }

    /// Encrypts and writes until the socket takes no more; tells how much was encrypted.
    pub(super) fn write(
        &mut self,
        socket: &mut TcpStream,
        mut from: &mut [IoSlice<'_>],
    ) -> io::Result<usize> {
        let mut written = 0;
        loop {
            self.flush(socket)?;
            // The socket is full; what waits goes first. (Before the handshake's end nothing is to be sent at all.)
            if self.tls.wants_write() || from.is_empty() || self.tls.is_handshaking() {
                return Ok(written);
            }
            match self.tls.writer().write_vectored(from)? {
                0 => return Ok(written),
                count => {
                    written += count;
                    IoSlice::advance_slices(&mut from, count);
                }
            }
        }
    }

    /// Writes what is encrypted, as far as the socket takes it.
    pub(super) fn flush(&mut self, socket: &mut TcpStream) -> io::Result<()> {
        while self.tls.wants_write() {
            if none_if_full(retry_interrupted(|| self.tls.write_tls(socket)))? == 0 {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether the socket has taken all that was written.
    pub(super) fn is_flushed(&self) -> bool {
        !self.tls.wants_write()
    }

    /// Says that nothing more will come (RFC 8446 §6.1), so that the client can tell the end from a cut.
    pub(super) fn close(&mut self, socket: &mut TcpStream) {
        // In the middle of a handshake there is no session to end; the closed socket says all.
        if !self.tls.is_handshaking() {
            self.tls.send_close_notify();
        }
        // Who does not take it any more does not need it.
        let _ = self.flush(socket);
    }

    /// Moves decrypted bytes behind the first `count` of a buffer; tells whether the client has said good-bye.
    fn take(&mut self, into: &mut [u8], count: &mut usize) -> io::Result<bool> {
        while let Some(room) = into.get_mut(*count..).filter(|room| !room.is_empty()) {
            match self.tls.reader().read(room) {
                Ok(0) => return Ok(true),
                Ok(more) => *count += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Cut off without a good-bye: the same end. Each of our messages says itself where it ends.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Reads once from the socket, and decrypts.
    fn receive(&mut self, socket: &mut TcpStream) -> io::Result<Received> {
        match retry_interrupted(|| self.tls.read_tls(socket)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Ok(Received::Drained);
            }
            Err(error) => return Err(error),
            Ok(0) => return Ok(Received::End),
            Ok(_) => {}
        }
        let processed = self.tls.process_new_packets();
        // The handshake's answer, or the alert that says what was wrong.
        self.flush(socket)?;
        match processed {
            Ok(_) => Ok(Received::Some),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }
}

/// What reading from the socket has led to.
enum Received {
    Some,
    Drained,
    End,
}
