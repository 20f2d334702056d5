//! Whose word is taken for who a server is: TLS to services of the operator's, PostgreSQL and Redis.
//!
//! In: the authorities, and the handshake. Not in: what is spoken above it. The name in a certificate is always checked, and there
//! is no way to turn that off: who has a private authority names it.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, Error, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Those that are believed; cheap to clone. By default whom the system trusts, or the file that `SSL_CERT_FILE` names.
#[derive(Clone, Default)]
pub struct Trust(Option<Arc<ClientConfig>>);

/// The file has no authorities.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAuthorities {
    /// There is none in it.
    #[error("there is no certificate (PEM) in it")]
    None,
    /// There is something that is none.
    #[error("{0}")]
    Unusable(String),
}

impl Trust {
    /// Believes these authorities (PEM) besides those of the system.
    ///
    /// # Errors
    /// When there are none in it, or something that is none.
    pub fn with_authorities(pem: &[u8]) -> Result<Trust, BadAuthorities> {
        let unusable = |error: &dyn std::fmt::Display| BadAuthorities::Unusable(error.to_string());
        let mut roots = of_system();
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| unusable(&error))?;
            roots.add(certificate).map_err(|error| unusable(&error))?;
        }
        if roots.len() == before {
            return Err(BadAuthorities::None);
        }
        let config = config(roots).map_err(|error| unusable(&error))?;
        Ok(Trust(Some(Arc::new(config))))
    }

    /// Speaks TLS with the server at the other end, which has to be `host`.
    pub(crate) async fn connect<S>(&self, host: &str, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = match &self.0 {
            Some(config) => Arc::clone(config),
            None => default_config()?,
        };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connected = TlsConnector::from(config).connect(name, stream).await;
        connected.map_err(|error| io::Error::new(error.kind(), explained(host, &error)))
    }
}

/// What went wrong, with whom, and what an operator can do about it.
fn explained(host: &str, error: &io::Error) -> String {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    let hint = match cause {
        Some(Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        )) => " (--ca-file names authorities that the system does not know)",
        Some(Error::InvalidMessage(_)) => " (there may be no TLS at that port)",
        _ => "",
    };
    format!("TLS with {host}: {error}{hint}")
}

/// Whether it is the same set, and not whether there is the same in it.
impl PartialEq for Trust {
    fn eq(&self, other: &Trust) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }
}

impl Eq for Trust {}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "named" } else { "system" })
    }
}

/// Read once, when it is needed first.
fn default_config() -> io::Result<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let roots = of_system();
    if roots.is_empty() {
        return Err(io::Error::other("the system trusts no authority"));
    }
    let config = Arc::new(config(roots).map_err(io::Error::other)?);
    Ok(Arc::clone(CONFIG.get_or_init(|| config)))
}

fn of_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn config(roots: RootCertStore) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_authority_is_refused() {
        assert_eq!(Trust::with_authorities(b""), Err(BadAuthorities::None));
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let only_a_key = Trust::with_authorities(key.as_bytes());
        assert_eq!(only_a_key, Err(BadAuthorities::None));
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let broken = Trust::with_authorities(broken);
        assert!(matches!(broken, Err(BadAuthorities::Unusable(_))));
    }
}
