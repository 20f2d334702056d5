//! TLS for tests: certificates made on the spot, and clients that trust exactly one of them.

use std::{
    io,
    net::TcpStream,
    sync::{Arc, LazyLock},
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use turn_io::{Dtls, Tls, TlsMaterial};

/// A certificate for `localhost` with its key.
pub(crate) struct Identity {
    pub(crate) material: TlsMaterial,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Self {
            material: TlsMaterial {
                certificates: made.cert.pem().into_bytes(),
                key: made.signing_key.serialize_pem().into_bytes(),
                tls12: true,
                ..TlsMaterial::default()
            },
        }
    }

    /// What a server serves with it.
    pub(crate) fn tls(&self) -> Tls {
        Tls::new(&self.material).unwrap()
    }

    /// The same over datagrams.
    pub(crate) fn dtls(&self) -> Dtls {
        Dtls::new(&self.material).unwrap()
    }

    /// The first certificate of this material.
    pub(crate) fn der_of(material: &TlsMaterial) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(&material.certificates).unwrap()
    }

    /// The beginning of a client that believes this certificate only.
    pub(crate) fn client(&self) -> ClientConnection {
        self.client_speaking(&[])
    }

    /// One that offers these application protocols.
    pub(crate) fn client_speaking(&self, protocols: &[&str]) -> ClientConnection {
        let mut roots = RootCertStore::empty();
        roots.add(Self::der_of(&self.material)).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let name = ServerName::try_from("localhost").unwrap();
        ClientConnection::new(Arc::new(config), name).unwrap()
    }
}

/// The one that all tests use that need only one.
pub(crate) static IDENTITY: LazyLock<Identity> = LazyLock::new(Identity::new);

/// Shakes hands with a server.
pub(crate) fn shake(tls: &mut ClientConnection, socket: &mut TcpStream) -> io::Result<()> {
    tls.complete_io(socket)?;
    if tls.is_handshaking() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}
