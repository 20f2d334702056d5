//! A client over a connection, plain or inside TLS: what it takes to open a session and to write packets into it.
//!
//! Requests wait for their answers; the certificate is not judged, since the server is one that this program has started.

use super::client::{Account, Answer, Credentials, Refused, allocate_request};
use anyhow::{Context, Result, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
};
use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use turn_wire::{Method, RequestBuilder, TransactionId};

/// Bytes of a STUN header (RFC 8489 §5).
const HEADER: usize = 20;
/// A server that takes nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// A challenge, and the request again.
const ATTEMPTS: usize = 2;

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// An open session over a connection.
pub(crate) struct StreamClient {
    stream: RefCell<Box<dyn ReadWrite>>,
    account: Account,
    credentials: Option<Credentials>,
}

impl StreamClient {
    /// Connects, with TLS if asked for.
    ///
    /// # Errors
    /// The server does not accept, or the handshake fails.
    pub(crate) fn connect(server: SocketAddr, account: &Account, tls: bool) -> Result<Self> {
        let socket =
            TcpStream::connect(server).with_context(|| format!("connecting to {server}"))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let stream: Box<dyn ReadWrite> = if tls {
            let name = ServerName::from(server.ip());
            Box::new(StreamOwned::new(
                ClientConnection::new(Arc::new(unjudging()?), name)?,
                socket,
            ))
        } else {
            Box::new(socket)
        };
        Ok(Self {
            stream: RefCell::new(stream),
            account: account.clone(),
            credentials: None,
        })
    }

    /// Allocates a relayed address over UDP.
    ///
    /// # Errors
    /// No answer, or [`Refused`].
    pub(crate) fn allocate(&mut self) -> Result<SocketAddr> {
        let answer = self.request(Method::ALLOCATE, allocate_request)?;
        answer.relayed.context("no relayed address")
    }

    /// Binds a channel.
    ///
    /// # Errors
    /// No answer, or [`Refused`].
    pub(crate) fn bind_channel(&mut self, number: u16, peer: SocketAddr) -> Result<()> {
        self.request(Method::CHANNEL_BIND, |id| {
            RequestBuilder::new(Method::CHANNEL_BIND, id)
                .channel_number(number)
                .xor_peer_address(peer)
        })?;
        Ok(())
    }

    /// Writes a packet, whole.
    pub(crate) fn write(&self, packet: &[u8]) -> std::io::Result<()> {
        let mut stream = self.stream.borrow_mut();
        stream.write_all(packet)?;
        stream.flush()
    }

    fn request(
        &mut self,
        method: Method,
        build: impl Fn(TransactionId) -> RequestBuilder,
    ) -> Result<Answer> {
        for _ in 0..ATTEMPTS {
            let id = rand::random();
            let bytes = match &self.credentials {
                Some(credentials) => credentials.sign(build(id)),
                None => build(id).finish(None, false),
            };
            self.write(&bytes)?;
            let answer = self.answer(id)?;
            match answer.error {
                None => return Ok(answer),
                Some(_) if answer.is_challenge() => {
                    self.credentials = Credentials::from_challenge(&self.account, &answer, None);
                }
                Some(code) => return Err(Refused { method, code }.into()),
            }
        }
        bail!("the server keeps asking for new credentials")
    }

    fn answer(&self, id: TransactionId) -> Result<Answer> {
        let mut stream = self.stream.borrow_mut();
        let mut message = vec![0; HEADER];
        stream.read_exact(&mut message)?;
        let length = match message.as_slice() {
            [_, _, high, low, ..] => u16::from_be_bytes([*high, *low]),
            _ => 0,
        };
        message.resize(HEADER + usize::from(length), 0);
        stream.read_exact(message.get_mut(HEADER..).unwrap_or_default())?;
        match Answer::read(&message) {
            Some((answered, answer)) if answered == id => Ok(answer),
            _ => bail!("an answer to something else"),
        }
    }
}

fn unjudging() -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let judge = Arc::new(Unjudging(Arc::clone(&provider)));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(judge)
        .with_no_client_auth();
    Ok(config)
}

/// Believes every certificate, and checks that the server has its key.
#[derive(Debug)]
struct Unjudging(Arc<CryptoProvider>);

impl ServerCertVerifier for Unjudging {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
