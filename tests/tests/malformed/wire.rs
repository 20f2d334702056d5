//! A client's end of a transport, for bytes that no client library would send.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use turn_wire::stream::{Frame, next_frame};

/// For what takes milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A Binding request: its answer comes behind those to everything that was sent before.
const BARRIER: &[u8; 20] = b"\0\x01\0\0\x21\x12\xa4\x42the-last-one";

/// A stream in both directions, encrypted or not.
pub(crate) trait Stream: Read + Write + std::fmt::Debug {
    /// Tells the server that no more bytes follow.
    ///
    /// # Errors
    /// When the connection is broken already.
    fn finish(&mut self) -> Result<()>;
}

impl Stream for TcpStream {
    fn finish(&mut self) -> Result<()> {
        Ok(self.shutdown(Shutdown::Write)?)
    }
}

impl Stream for StreamOwned<ClientConnection, TcpStream> {
    fn finish(&mut self) -> Result<()> {
        self.conn.send_close_notify();
        self.flush()?;
        Ok(self.sock.shutdown(Shutdown::Write)?)
    }
}

/// One connection, or one socket that is connected to the server.
#[derive(Debug)]
pub(crate) enum Wire {
    /// Datagrams.
    Udp(UdpSocket),
    /// A stream.
    Stream(Box<dyn Stream>),
}

impl Wire {
    /// Opens a socket for datagrams.
    ///
    /// # Errors
    /// When none can be had.
    pub(crate) fn udp(server: SocketAddr) -> Result<Self> {
        let socket = UdpSocket::bind(SocketAddr::new(server.ip(), 0))?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self::Udp(socket))
    }

    /// Opens a plain connection.
    ///
    /// # Errors
    /// When the server does not accept it.
    pub(crate) fn tcp(server: SocketAddr) -> Result<Self> {
        Ok(Self::Stream(Box::new(connect(server)?)))
    }

    /// Opens an encrypted connection.
    ///
    /// # Errors
    /// When the server does not accept it. What the handshake says shows with the first bytes.
    pub(crate) fn tls(server: SocketAddr, config: &Arc<ClientConfig>) -> Result<Self> {
        let name = ServerName::from(server.ip());
        let connection = ClientConnection::new(Arc::clone(config), name)?;
        let stream = StreamOwned::new(connection, connect(server)?);
        Ok(Self::Stream(Box::new(stream)))
    }

    /// Sends a request and waits for one answer.
    ///
    /// # Errors
    /// When none comes.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<Vec<u8>> {
        match self {
            Self::Udp(socket) => {
                socket.send(request)?;
                receive(socket)
            }
            Self::Stream(stream) => {
                stream.write_all(request)?;
                let mut buffered = Vec::new();
                loop {
                    if let Ok(Frame::Whole(length)) = next_frame(&buffered) {
                        buffered.truncate(length);
                        return Ok(buffered);
                    }
                    let mut bytes = [0; 2048];
                    let length = stream.read(&mut bytes)?;
                    if length == 0 {
                        bail!("the server closed the connection instead of answering");
                    }
                    buffered.extend_from_slice(&bytes[..length]);
                }
            }
        }
    }

    /// Sends the last bytes and returns everything that the server says to them: the bytes of each datagram, or of the
    /// stream until the server closes it.
    ///
    /// # Errors
    /// When the server is silent to a sound request behind them, or keeps the stream open.
    pub(crate) fn end(mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        match &mut self {
            Self::Udp(socket) => {
                socket.send(bytes)?;
                socket.send(BARRIER)?;
                let mut heard = Vec::new();
                loop {
                    let answer = receive(socket).context("after the bytes in question")?;
                    if answer.get(8..20) == BARRIER.get(8..20) {
                        return Ok(heard);
                    }
                    heard.extend(answer);
                }
            }
            Self::Stream(stream) => {
                // A server that has seen enough closes while it is being written to.
                let sent = stream.write_all(bytes).map_err(anyhow::Error::from);
                let _ = sent.and_then(|()| stream.finish());
                let mut heard = Vec::new();
                match stream.read_to_end(&mut heard) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        bail!("the server keeps the connection open")
                    }
                    // A reset, or an end without farewell, is an end.
                    _ => Ok(heard),
                }
            }
        }
    }
}

/// A TLS client that trusts one certificate.
///
/// # Errors
/// When the file holds none.
pub(crate) fn trusting(certificate: &Path) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let config = ClientConfig::builder().with_root_certificates(roots);
    Ok(Arc::new(config.with_no_client_auth()))
}

/// Opens a TCP connection that waits long enough and not for ever.
///
/// # Errors
/// When the server does not accept it.
fn connect(server: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn receive(socket: &UdpSocket) -> Result<Vec<u8>> {
    let mut buffer = [0; 2048];
    let length = socket.recv(&mut buffer).context("no answer")?;
    Ok(buffer[..length].to_vec())
}
