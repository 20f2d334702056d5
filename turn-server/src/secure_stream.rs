//! A TLS connection whose handshake is over, as a stream of tokio's: for those that workers hand over (`turn_io::Guest`).
//!
//! Memory is bounded as it was at the worker: received bytes by one record, bytes to send by the session's buffer limit.

use std::{
    io::{self, ErrorKind, IoSlice, Read, Write},
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustls::ServerConnection;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use turn_io::Guest;

/// Decrypted bytes in, bytes to encrypt out.
pub(crate) struct SecureStream {
    socket: TcpStream,
    tls: ServerConnection,
    /// Decrypted bytes that were read elsewhere.
    ahead: io::Cursor<Vec<u8>>,
    /// Whether the end has been said.
    closed: bool,
}

impl SecureStream {
    /// Takes a guest over. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the runtime cannot wait for its socket.
    pub(crate) fn new(guest: Guest) -> io::Result<Self> {
        Ok(Self {
            socket: TcpStream::from_std(guest.socket)?,
            tls: guest.tls,
            ahead: io::Cursor::new(guest.ahead),
            closed: false,
        })
    }

    /// Writes all that is encrypted.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.tls.wants_write() {
            ready!(self.socket.poll_write_ready(cx))?;
            match self.tls.write_tls(&mut Socket(&self.socket)) {
                Ok(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                Err(error) if !is_for_later(&error) => return Poll::Ready(Err(error)),
                _ => {}
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads from the socket once, and decrypts.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.socket.poll_read_ready(cx))?;
        match self.tls.read_tls(&mut Socket(&self.socket)) {
            Err(error) if !is_for_later(&error) => return Poll::Ready(Err(error)),
            // An end is told by the reader, which knows whether it was said or cut.
            _ => {}
        }
        if let Err(error) = self.tls.process_new_packets() {
            // The alert says what was wrong; whoever does not take it does not need it.
            let _ = self.poll_drain(cx);
            return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, error)));
        }
        Poll::Ready(Ok(()))
    }

    /// Encrypts by `write`, when all before it is written, and begins to write that.
    fn poll_encrypt(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(&mut ServerConnection) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_drain(cx))?;
        let count = write(&mut self.tls)?;
        match self.poll_drain(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // What is left goes with the next write, or a flush.
            _ => Poll::Ready(Ok(count)),
        }
    }
}

impl AsyncRead for SecureStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let room = buf.initialize_unfilled();
        let mut count = this.ahead.read(room)?;
        while count == 0 && !room.is_empty() {
            match this.tls.reader().read(room) {
                Ok(0) => break,
                Ok(read) => count = read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ready!(this.poll_receive(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        buf.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SecureStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .poll_encrypt(cx, |tls| tls.writer().write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .poll_encrypt(cx, |tls| tls.writer().write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_drain(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.closed {
            this.closed = true;
            this.tls.send_close_notify();
        }
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.socket).poll_shutdown(cx)
    }
}

/// A socket that is read and written without waiting.
struct Socket<'a>(&'a TcpStream);

impl Read for Socket<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buf)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.try_write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a call has only come too early; it is made again when the socket is ready.
fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{ErrorKind, Read, Write},
        net::{Shutdown, TcpListener, TcpStream},
        sync::Arc,
        thread,
    };

    use rustls::{
        ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
        crypto::ring, pki_types::ServerName,
    };
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use turn_io::Guest;

    use super::SecureStream;

    /// Both ends of a session after its handshake, at which something has been read ahead.
    fn pair(ahead: &[u8]) -> (SecureStream, StreamOwned<ClientConnection, TcpStream>) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let provider = Arc::new(ring::default_provider());
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
        let mut tls = ServerConnection::new(Arc::new(server)).unwrap();
        tls.set_buffer_limit(Some(16 * 1024));

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut socket, client_address) = listener.accept().unwrap();
        let shaking = thread::spawn(move || {
            client.complete_io(&mut near).unwrap();
            StreamOwned::new(client, near)
        });
        while tls.is_handshaking() {
            tls.complete_io(&mut socket).unwrap();
        }
        socket.set_nonblocking(true).unwrap();
        let guest = Guest {
            socket,
            tls,
            ahead: ahead.to_vec(),
            client: client_address,
            proxied: false,
        };
        (SecureStream::new(guest).unwrap(), shaking.join().unwrap())
    }

    fn pattern() -> Vec<u8> {
        (0..3_000_000_u32)
            .map(|at| (at ^ (at >> 8)) as u8)
            .collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_read_ahead_comes_first_and_the_end_is_told() {
        let (mut stream, mut client) = pair(b"GET ");
        client.write_all(b"/ HTTP/1.1").unwrap();
        client.conn.send_close_notify();
        client.flush().unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "GET / HTTP/1.1");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_cut_is_an_error() {
        let (mut stream, client) = pair(b"");
        client.sock.shutdown(Shutdown::Write).unwrap();
        let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }

    /// More than any buffer holds, to a client that begins to read when the sockets are full.
    #[tokio::test(flavor = "multi_thread")]
    async fn much_goes_both_ways_and_a_shutdown_says_good_bye() {
        let (mut stream, mut client) = pair(b"");
        let client = thread::spawn(move || {
            client.write_all(&pattern()).unwrap();
            let mut read = Vec::new();
            // An error unless the end is said.
            client.read_to_end(&mut read).unwrap();
            read
        });
        let mut read = vec![0; pattern().len()];
        stream.read_exact(&mut read).await.unwrap();
        assert!(read == pattern());
        stream.write_all(&read).await.unwrap();
        stream.shutdown().await.unwrap();
        assert!(client.join().unwrap() == pattern());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn bytes_that_are_no_tls_are_an_error() {
        let (mut stream, mut client) = pair(b"");
        client.sock.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
}
