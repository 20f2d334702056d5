//! A DTLS client for tests: the same engine at the other end, and its single steps.

#[allow(dead_code, reason = "the server's half of it is not needed here")]
#[path = "../../src/dtls/provider/mod.rs"]
mod provider;
#[allow(dead_code, reason = "as above")]
#[path = "../../src/dtls/records.rs"]
mod records;

use std::{
    collections::VecDeque,
    io,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};

use dimpl::{Config, Dtls, DtlsCertificate, Output, crypto::Dtls12CipherSuite};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use turn_io::TlsMaterial;

use super::{Identity, PATIENCE};

pub(crate) const AES: Dtls12CipherSuite = Dtls12CipherSuite::ECDHE_ECDSA_AES128_GCM_SHA256;
pub(crate) const AES_256: Dtls12CipherSuite = Dtls12CipherSuite::ECDHE_ECDSA_AES256_GCM_SHA384;
pub(crate) const CHACHA: Dtls12CipherSuite =
    Dtls12CipherSuite::ECDHE_ECDSA_CHACHA20_POLY1305_SHA256;

/// An engine in the client's role.
pub(crate) struct Engine {
    engine: Dtls,
    finish: records::Finish,
}

/// What an engine has for the outside.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    /// Datagrams for the server.
    pub(crate) datagrams: Vec<Vec<u8>>,
    pub(crate) connected: bool,
    /// The server's certificate.
    pub(crate) certificate: Option<Vec<u8>>,
    pub(crate) messages: Vec<Vec<u8>>,
    pub(crate) closed: bool,
}

impl Engine {
    /// A client that offers one suite, and shows this certificate if it is asked for one.
    pub(crate) fn new(suite: Dtls12CipherSuite, material: &TlsMaterial) -> Self {
        let config = Config::builder()
            .with_crypto_provider(provider::provider())
            .dtls12_cipher_suites(&[suite])
            .build()
            .unwrap();
        let own = Identity::der_of(material);
        let key = PrivateKeyDer::from_pem_slice(&material.key).unwrap();
        let certificate = DtlsCertificate {
            certificate: own.to_vec(),
            private_key: key.secret_der().to_vec(),
        };
        let mut engine = Dtls::new_12(Arc::new(config), certificate, Instant::now());
        engine.set_active(true);
        engine.handle_timeout(Instant::now()).unwrap();
        Self {
            engine,
            finish: records::Finish {
                ahead: 0,
                explicit_nonce: suite != CHACHA,
            },
        }
    }

    /// What it has for the outside now.
    pub(crate) fn steps(&mut self) -> Steps {
        let (mut steps, mut buffer) = (Steps::default(), vec![0; 1 << 16]);
        loop {
            match self.engine.poll_output(&mut buffer) {
                Output::Packet(bytes) => {
                    let mut datagram = bytes.to_vec();
                    self.finish.apply(&mut datagram);
                    steps.datagrams.push(datagram);
                }
                Output::Connected => steps.connected = true,
                Output::PeerCert(certificate) => steps.certificate = Some(certificate.to_vec()),
                Output::ApplicationData(bytes) => steps.messages.push(bytes.to_vec()),
                Output::CloseNotify => steps.closed = true,
                Output::Timeout(_) => return steps,
                _ => {}
            }
        }
    }

    /// Gives it a datagram of the server.
    pub(crate) fn take(&mut self, datagram: &[u8]) -> Steps {
        self.engine.handle_timeout(Instant::now()).unwrap();
        self.engine.handle_packet(datagram).unwrap();
        self.steps()
    }

    /// Lets time pass that it waits for in vain.
    pub(crate) fn pass(&mut self, time: Duration) -> Steps {
        self.engine.handle_timeout(Instant::now() + time).unwrap();
        self.steps()
    }

    /// The datagram with a message.
    pub(crate) fn seal(&mut self, message: &[u8]) -> Vec<u8> {
        self.engine.send_application_data(message).unwrap();
        let steps = self.steps();
        assert_eq!(steps.datagrams.len(), 1);
        steps.datagrams.into_iter().next().unwrap()
    }

    /// The datagram that says good-bye.
    pub(crate) fn close(&mut self) -> Vec<u8> {
        self.engine.close().unwrap();
        self.steps().datagrams.concat()
    }
}

/// A client's association.
pub(crate) struct DtlsLink {
    pub(crate) socket: UdpSocket,
    pub(crate) engine: Engine,
    messages: VecDeque<Vec<u8>>,
    closed: bool,
}

impl DtlsLink {
    /// Shakes hands with a server that shows this certificate.
    pub(crate) fn connect(server: SocketAddr, identity: &Identity) -> Self {
        Self::connect_with(server, identity, AES)
    }

    pub(crate) fn connect_with(
        server: SocketAddr,
        identity: &Identity,
        suite: Dtls12CipherSuite,
    ) -> Self {
        let socket = socket(server);
        Self::shake(socket, identity, Engine::new(suite, &identity.material)).unwrap()
    }

    /// Shakes hands over a socket that is there.
    pub(crate) fn shake(
        socket: UdpSocket,
        identity: &Identity,
        mut engine: Engine,
    ) -> io::Result<Self> {
        let mut steps = engine.steps();
        let mut shown = None;
        while !steps.connected {
            for datagram in &steps.datagrams {
                socket.send(datagram)?;
            }
            steps = engine.take(&receive_from(&socket)?);
            shown = steps.certificate.take().or(shown);
        }
        assert_eq!(
            shown.unwrap(),
            Identity::der_of(&identity.material).to_vec()
        );
        assert_eq!(steps.datagrams.len(), 0);
        Ok(Self {
            socket,
            engine,
            messages: VecDeque::new(),
            closed: false,
        })
    }

    pub(crate) fn send(&mut self, message: &[u8]) {
        let datagram = self.engine.seal(message);
        self.socket.send(&datagram).unwrap();
    }

    /// The next message; an error of kind `UnexpectedEof` after the server's good-bye.
    pub(crate) fn receive(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(message) = self.messages.pop_front() {
                return Ok(message);
            }
            if self.closed {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let steps = self.engine.take(&receive_from(&self.socket)?);
            self.messages.extend(steps.messages);
            self.closed = steps.closed;
        }
    }
}

/// A socket of a client.
pub(crate) fn socket(server: SocketAddr) -> UdpSocket {
    let any = if server.is_ipv4() {
        "127.0.0.1:0"
    } else {
        "[::1]:0"
    };
    let socket = UdpSocket::bind(any).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// The next datagram.
pub(crate) fn receive_from(socket: &UdpSocket) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; 65_535];
    let length = socket.recv(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}
