//! What clients over TLS and DTLS are shown and offered: certificate, versions, cipher suites, groups, application protocols.
//!
//! In here: from the operator's words and PEM texts to a setting that connections are accepted with. Not in here: reading
//! files, and the bytes of any connection (`streams/`).

pub(crate) mod pem;
pub(crate) mod suites;

use std::{fmt, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    server::{NoServerSessionStorage, ServerSessionMemoryCache, WebPkiClientVerifier},
    version::{TLS12, TLS13},
};

/// The application protocols of STUN (RFC 7443 §3), and that of HTTP, which may be served on the same port (`guest.rs`) and
/// which some clients of TURN name to look like others. HTTP/2 is not served.
///
/// None is required of a client: browsers name none for `turns:`.
const PROTOCOLS: [&[u8]; 3] = [b"stun.turn", b"stun.nat-discovery", b"http/1.1"];

/// Sessions that clients may resume, for all workers together.
const SESSIONS: usize = 4096;

/// What the operator gives: PEM texts, and words in OpenSSL's notation.
#[derive(Clone, Default)]
pub struct TlsMaterial {
    /// The certificate, and behind it those that lead to a known authority.
    pub certificates: Vec<u8>,
    /// The private key of the first certificate.
    pub key: Vec<u8>,
    /// What the key is protected by, if it is.
    pub key_password: Option<String>,
    /// Authorities of client certificates; given, every client must show one.
    pub client_authorities: Option<Vec<u8>>,
    /// Which cipher suites to offer; all without it.
    pub ciphers: Option<String>,
    /// Which groups to offer for the key exchange; all without it.
    pub groups: Option<String>,
    /// Whether TLS 1.2 is offered besides 1.3.
    pub tls12: bool,
}

/// Why clients cannot be served over TLS.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TlsError {
    /// The PEM text for certificates holds none.
    #[error(
        "it holds no certificate (no line -----BEGIN CERTIFICATE-----); name a PEM file, the certificate first and its chain \
         behind it"
    )]
    NoCertificate,
    /// The PEM text for certificates is damaged.
    #[error("it is damaged: {0}; copy it anew from where the certificate was issued")]
    BadCertificate(String),
    /// The certificate is of a version that has no extensions, and so no names of hosts.
    #[error(
        "it is of X.509 version 1, which names no hosts in a way that clients read; have it issued as version 3 (openssl x509 -req \
         makes one with -extfile, and subjectAltName in that file)"
    )]
    OldCertificate,
    /// The PEM text for the key holds none.
    #[error(
        "it holds no private key (no line -----BEGIN PRIVATE KEY-----); name the key that the certificate was made with"
    )]
    NoKey,
    /// The key is protected by a password.
    #[error(
        "its key is protected by a password, and none is given: write it as pkey-pwd, or write the key without one, readable by \
         this user only: openssl pkey -in THIS_FILE -out NEW_FILE, and name the new file as pkey"
    )]
    EncryptedKey,
    /// The key is protected by another password.
    #[error("the password does not open its key; write the right one as pkey-pwd")]
    WrongPassword,
    /// The key is protected in a manner that is too weak, or unknown.
    #[error(
        "its key is protected in OpenSSL's old manner, which is weak, or in one that is not known; write it in the present one: \
         openssl pkcs8 -topk8 -in THIS_FILE -out NEW_FILE, and name the new file as pkey; or without a password: openssl pkey \
         -in THIS_FILE -out NEW_FILE"
    )]
    OldEncryption,
    /// The key is damaged or of an unknown kind.
    #[error("its key cannot be used: {0}; RSA, ECDSA (P-256, P-384) and Ed25519 keys can")]
    BadKey(String),
    /// The key belongs to another certificate.
    #[error(
        "its key is not the key of the first certificate; name the key that this certificate was made with"
    )]
    KeyMismatch,
    /// The authorities of client certificates cannot be used.
    #[error(
        "it names nobody who may sign client certificates: {0}; name a PEM file of authorities"
    )]
    BadAuthorities(String),
    /// The key is of a kind that DTLS is not served with.
    #[error(
        "dtls needs an ECDSA key on P-256 or P-384, and its key is another; have the certificate made anew with such a key \
         (certbot: --key-type ecdsa), which serves TLS as well, or leave dtls out"
    )]
    NotForDtls,
    /// The one version of DTLS that is served is not wanted.
    #[error("dtls serves DTLS 1.2, which is TLS 1.2 over UDP; leave one of the two options out")]
    NoDtlsVersion,
    /// No cipher suite is left.
    #[error("{0}")]
    Ciphers(String),
    /// No group is left.
    #[error("{0}")]
    Groups(String),
}

/// Which of the operator's settings an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsPart {
    /// [`TlsMaterial::certificates`].
    Certificates,
    /// [`TlsMaterial::key`].
    Key,
    /// [`TlsMaterial::client_authorities`].
    ClientAuthorities,
    /// [`TlsMaterial::ciphers`].
    Ciphers,
    /// [`TlsMaterial::groups`].
    Groups,
    /// [`TlsMaterial::tls12`].
    Versions,
}

impl TlsError {
    /// Which setting is wrong.
    pub fn part(&self) -> TlsPart {
        match self {
            Self::NoCertificate | Self::BadCertificate(_) | Self::OldCertificate => {
                TlsPart::Certificates
            }
            Self::NoKey
            | Self::EncryptedKey
            | Self::WrongPassword
            | Self::OldEncryption
            | Self::BadKey(_)
            | Self::KeyMismatch
            | Self::NotForDtls => TlsPart::Key,
            Self::NoDtlsVersion => TlsPart::Versions,
            Self::BadAuthorities(_) => TlsPart::ClientAuthorities,
            Self::Ciphers(_) => TlsPart::Ciphers,
            Self::Groups(_) => TlsPart::Groups,
        }
    }
}

/// Settings that connections are accepted with. Cheap to clone; connections keep the one that they began with.
#[derive(Clone)]
pub struct Tls(pub(crate) Arc<ServerConfig>);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Behind it lies a private key.
        f.write_str("Tls")
    }
}

impl Tls {
    /// Makes settings of what the operator gave.
    ///
    /// # Errors
    /// When a part cannot be used; the text says what to do.
    pub fn new(material: &TlsMaterial) -> Result<Self, TlsError> {
        let provider = Arc::new(provider(material)?);
        let versions: &[_] = if material.tls12 {
            &[&TLS13, &TLS12]
        } else {
            &[&TLS13]
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|error| TlsError::Ciphers(format!("no cipher suite is left: {error}")))?;
        let builder = match &material.client_authorities {
            None => builder.with_no_client_auth(),
            Some(authorities) => {
                let roots = roots(authorities)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                builder.with_client_cert_verifier(
                    verifier.map_err(|error| TlsError::BadAuthorities(error.to_string()))?,
                )
            }
        };
        let (chain, key) = (
            pem::certificates(&material.certificates)?,
            pem::key(&material.key, material.key_password.as_deref())?,
        );
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(pem::refusal_of_pair)?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        config.session_storage = if material.client_authorities.is_some() {
            // Who resumes shows no certificate; an authority that is no longer trusted must count at once.
            Arc::new(NoServerSessionStorage {})
        } else {
            ServerSessionMemoryCache::new(SESSIONS)
        };
        Ok(Self(Arc::new(config)))
    }

    /// The settings in rustls' words, for connections that others than workers accept.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0)
    }
}

/// The cryptography that is left of ours by what the operator chooses.
pub(crate) fn provider(material: &TlsMaterial) -> Result<CryptoProvider, TlsError> {
    let mut provider = ring::default_provider();
    if let Some(list) = &material.ciphers {
        provider.cipher_suites = suites::ciphers(list, provider.cipher_suites)?;
    }
    if let Some(list) = &material.groups {
        provider.kx_groups = suites::groups(list, &provider.kx_groups)?;
    }
    Ok(provider)
}

/// Who may sign client certificates.
pub(crate) fn roots(text: &[u8]) -> Result<Arc<RootCertStore>, TlsError> {
    let bad = |error: String| TlsError::BadAuthorities(error);
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(text).map_err(|error| bad(error.to_string()))? {
        roots
            .add(certificate)
            .map_err(|error| bad(error.to_string()))?;
    }
    Ok(Arc::new(roots))
}

#[cfg(test)]
mod tests {
    use super::{Tls, TlsError, TlsMaterial, TlsPart};

    /// What `openssl x509 -req` of OpenSSL 3.0 makes without `-extfile`.
    const OF_VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBKTCBzwIUe9+hmJvizobvORjm0j+uYz//gV8wCgYIKoZIzj0EAwIwFjEUMBIG\n\
A1UEAwwLb2xkLmV4YW1wbGUwIBcNMjYxMTIxMTYzNjQzWhgPMjEyNjEwMjgxNjM2\n\
NDNaMBYxFDASBgNVBAMMC29sZC5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0D\n\
AQcDQgAEoaTIfdGNMPW30NyF3sEBZzfxNbIhDA9BKPjJWnJU9OLvfrRFxpkdaAw5\n\
i7ioYmKQSytSKN39gDLAj5GxJ5fm3TAKBggqhkjOPQQDAgNJADBGAiEA9fYV+9nd\n\
pX8f2/eVTPXZQg9hMkdLA8qQ6yNdp8X98AgCIQCoadoEkd2wGmFpGUncZoprH+6X\n\
0l0ll0GzeSYdqHu/4g==\n\
-----END CERTIFICATE-----\n";

    const ITS_KEY: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg+PoCy7cWNufBiyeh\n\
+Y1Fy8s56VSBVBRDlubOYA3PrzShRANCAAShpMh90Y0w9bfQ3IXewQFnN/E1siEM\n\
D0Eo+MlaclT04u9+tEXGmR1oDDmLuKhiYpBLK1Io3f2AMsCPkbEnl+bd\n\
-----END PRIVATE KEY-----\n";

    fn material() -> TlsMaterial {
        let made = rcgen::generate_simple_self_signed(["turn.example.org".to_owned()]).unwrap();
        TlsMaterial {
            certificates: made.cert.pem().into_bytes(),
            key: made.signing_key.serialize_pem().into_bytes(),
            tls12: true,
            ..TlsMaterial::default()
        }
    }

    #[test]
    fn a_certificate_with_its_key_is_accepted() {
        assert!(Tls::new(&material()).is_ok());
    }

    #[test]
    fn each_mistake_is_named_with_its_part_and_its_remedy() {
        let good = material();
        let with = |change: &dyn Fn(&mut TlsMaterial)| {
            let mut material = good.clone();
            change(&mut material);
            Tls::new(&material).unwrap_err()
        };
        let cases = [
            (
                with(&|m| m.certificates.clear()),
                TlsPart::Certificates,
                "BEGIN CERTIFICATE",
            ),
            (
                with(&|m| m.certificates = m.key.clone()),
                TlsPart::Certificates,
                "chain",
            ),
            (
                with(&|m| (m.certificates, m.key) = (OF_VERSION_1.into(), ITS_KEY.into())),
                TlsPart::Certificates,
                "X.509 version 1",
            ),
            (
                with(&|m| m.certificates.truncate(m.certificates.len() / 2)),
                TlsPart::Certificates,
                "damaged",
            ),
            (
                with(&|m| m.key = m.certificates.clone()),
                TlsPart::Key,
                "BEGIN PRIVATE KEY",
            ),
            (
                with(&|m| m.key = material().key),
                TlsPart::Key,
                "not the key of the first certificate",
            ),
            (
                with(&|m| {
                    m.key = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n".to_vec()
                }),
                TlsPart::Key,
                "pkey-pwd",
            ),
            (
                with(&|m| {
                    m.key = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n".to_vec()
                }),
                TlsPart::Key,
                "openssl pkey -in",
            ),
            (
                with(&|m| {
                    m.key =
                        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_vec()
                }),
                TlsPart::Key,
                "cannot be used",
            ),
            (
                with(&|m| m.client_authorities = Some(Vec::new())),
                TlsPart::ClientAuthorities,
                "authorities",
            ),
            (
                with(&|m| m.ciphers = Some("RC4-MD5".to_owned())),
                TlsPart::Ciphers,
                "ECDHE",
            ),
            (
                with(&|m| m.groups = Some("sect571r1".to_owned())),
                TlsPart::Groups,
                "prime256v1",
            ),
        ];
        for (error, part, words) in cases {
            assert_eq!(error.part(), part, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn a_key_of_another_certificate_is_not_merely_bad() {
        let mut mixed = material();
        mixed.key = material().key;
        assert_eq!(Tls::new(&mixed).unwrap_err(), TlsError::KeyMismatch);
    }
}
