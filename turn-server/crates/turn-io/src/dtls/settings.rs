//! What clients over DTLS are shown and offered: the same certificate, suites and groups as over TLS, as far as the engine has
//! them.
//!
//! Served is DTLS 1.2 with certificates whose key is on an elliptic curve. Clients see the certificate alone, without the chain
//! behind it, which the engine does not send.

use std::{fmt, sync::Arc, time::Duration};

use dimpl::{
    Config, DtlsCertificate,
    crypto::{Dtls12CipherSuite, NamedGroup},
};
use rustls::{
    CipherSuite,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
};

use super::provider::provider;
use crate::{
    TlsError, TlsMaterial,
    tls::{self, pem},
};

/// Suites, by the names that TLS and the engine give them, and whether a record's nonce is half explicit.
const SUITES: [(CipherSuite, Dtls12CipherSuite, bool); 3] = [
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        Dtls12CipherSuite::ECDHE_ECDSA_AES256_GCM_SHA384,
        true,
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        Dtls12CipherSuite::ECDHE_ECDSA_AES128_GCM_SHA256,
        true,
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        Dtls12CipherSuite::ECDHE_ECDSA_CHACHA20_POLY1305_SHA256,
        false,
    ),
];

/// Bytes of the largest datagram of a handshake: what passes everywhere over IPv6 (RFC 8200 §5), headers taken off.
const MTU: usize = 1280 - 48;

/// Datagrams of a handshake that wait for those before them.
const WAITING: usize = 16;

/// How long nothing comes back before a flight is sent again (RFC 6347 §4.2.4.1), and how often it is.
const RETRANSMISSION: Duration = Duration::from_secs(1);
const RETRANSMISSIONS: usize = 4;

/// Settings that DTLS associations begin with. Cheap to clone; associations keep those that they began with.
#[derive(Clone)]
pub struct Dtls(Arc<Settings>);

struct Settings {
    suites: Vec<Suite>,
    certificate: DtlsCertificate,
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

/// A suite, and the engine's configuration with this suite only: which one is taken is decided before there is an engine.
pub(super) struct Suite {
    name: Dtls12CipherSuite,
    /// OpenSSL's name for it.
    pub(super) cipher: Option<&'static str>,
    pub(super) explicit_nonce: bool,
    pub(super) config: Arc<Config>,
}

impl fmt::Debug for Dtls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Behind it lies a private key.
        f.write_str("Dtls")
    }
}

impl Dtls {
    /// Makes settings of what the operator gave.
    ///
    /// # Errors
    /// When a part cannot be used; the text says what to do.
    pub fn new(material: &TlsMaterial) -> Result<Self, TlsError> {
        if !material.tls12 {
            return Err(TlsError::NoDtlsVersion);
        }
        let chosen = Arc::new(tls::provider(material)?);
        let clients = clients(material, &chosen)?;
        Ok(Self(Arc::new(Settings {
            suites: suites(&chosen, clients.is_some())?,
            certificate: certificate(material, &chosen)?,
            clients,
        })))
    }

    /// The first suite of a client that is among ours.
    pub(super) fn suite(&self, mut offered: impl Iterator<Item = u16>) -> Option<&Suite> {
        let ours = &self.0.suites;
        offered.find_map(|number| ours.iter().find(|suite| suite.name.as_u16() == number))
    }

    pub(super) fn certificate(&self) -> DtlsCertificate {
        self.0.certificate.clone()
    }

    /// Whether every client must show a certificate.
    pub(super) fn asks_for_certificates(&self) -> bool {
        self.0.clients.is_some()
    }

    /// Whether one of the authorities has signed a client's certificate, and it is good at this time.
    pub(super) fn trusts(&self, certificate: &[u8], unix: u64) -> bool {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(unix));
        let certificate = CertificateDer::from(certificate);
        let verified = (self.0.clients.as_ref())
            .map(|verifier| verifier.verify_client_cert(&certificate, &[], now));
        verified.is_some_and(|verified| verified.is_ok())
    }
}

fn clients(
    material: &TlsMaterial,
    chosen: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let Some(authorities) = &material.client_authorities else {
        return Ok(None);
    };
    let roots = tls::roots(authorities)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(chosen)).build();
    let verifier = verifier.map_err(|error| TlsError::BadAuthorities(error.to_string()))?;
    Ok(Some(verifier))
}

fn suites(chosen: &CryptoProvider, ask_clients: bool) -> Result<Vec<Suite>, TlsError> {
    let groups = groups(chosen)?;
    let is_chosen = |name| (chosen.cipher_suites.iter()).any(|suite| suite.suite() == name);
    let of_dtls = SUITES.into_iter().filter(|(name, ..)| is_chosen(*name));
    let suites = of_dtls.map(|(of_tls, name, explicit_nonce)| {
        let config = Config::builder()
            .with_crypto_provider(provider())
            .dtls12_cipher_suites(&[name])
            .kx_groups(&groups)
            .require_client_certificate(ask_clients)
            .use_server_cookie(true)
            .mtu(MTU)
            .max_queue_rx(WAITING)
            .flight_start_rto(RETRANSMISSION)
            .flight_retries(RETRANSMISSIONS)
            .build();
        let config = config.map_err(|error| TlsError::Ciphers(error.to_string()))?;
        Ok(Suite {
            name,
            cipher: tls::suites::name(of_tls),
            explicit_nonce,
            config: Arc::new(config),
        })
    });
    let suites: Vec<Suite> = suites.collect::<Result<_, TlsError>>()?;
    if suites.is_empty() {
        return Err(TlsError::Ciphers(
            "it leaves no cipher suite for dtls; add ECDHE-ECDSA-AES128-GCM-SHA256, or leave dtls out"
                .to_owned(),
        ));
    }
    Ok(suites)
}

fn groups(chosen: &CryptoProvider) -> Result<Vec<NamedGroup>, TlsError> {
    let name = |group: &&'static dyn rustls::crypto::SupportedKxGroup| match group.name() {
        rustls::NamedGroup::X25519 => Some(NamedGroup::X25519),
        rustls::NamedGroup::secp256r1 => Some(NamedGroup::Secp256r1),
        rustls::NamedGroup::secp384r1 => Some(NamedGroup::Secp384r1),
        _ => None,
    };
    let groups: Vec<_> = chosen.kx_groups.iter().filter_map(name).collect();
    if groups.is_empty() {
        let text = "it leaves no group for dtls; add prime256v1, or leave dtls out";
        return Err(TlsError::Groups(text.to_owned()));
    }
    Ok(groups)
}

fn certificate(
    material: &TlsMaterial,
    chosen: &CryptoProvider,
) -> Result<DtlsCertificate, TlsError> {
    let chain = pem::certificates(&material.certificates)?;
    let key = pem::key(&material.key, material.key_password.as_deref())?;
    // The same look at both as over TLS, so that the same mistakes have the same names.
    CertifiedKey::from_der(chain.clone(), key.clone_key(), chosen).map_err(pem::refusal_of_pair)?;
    let certificate = chain.first().map(|first| first.to_vec());
    let private_key = PrivateKeyDer::secret_der(&key).to_vec();
    if provider()
        .key_provider
        .load_private_key(&private_key)
        .is_err()
    {
        return Err(TlsError::NotForDtls);
    }
    Ok(DtlsCertificate {
        certificate: certificate.ok_or(TlsError::NoCertificate)?,
        private_key,
    })
}

#[cfg(test)]
mod tests {
    use super::Dtls;
    use crate::{TlsError, TlsMaterial, TlsPart};

    fn material(algorithm: &'static rcgen::SignatureAlgorithm) -> TlsMaterial {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let made = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        TlsMaterial {
            certificates: made.self_signed(&key).unwrap().pem().into_bytes(),
            key: key.serialize_pem().into_bytes(),
            tls12: true,
            ..TlsMaterial::default()
        }
    }

    #[test]
    fn keys_on_either_curve_serve_and_others_are_refused_by_name() {
        for algorithm in [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
        ] {
            assert!(Dtls::new(&material(algorithm)).is_ok());
        }
        let error = Dtls::new(&material(&rcgen::PKCS_ED25519)).unwrap_err();
        assert_eq!(
            (&error, error.part()),
            (&TlsError::NotForDtls, TlsPart::Key)
        );
    }

    #[test]
    fn what_the_operator_chooses_counts_as_over_tls() {
        let with = |change: fn(&mut TlsMaterial)| {
            let mut material = material(&rcgen::PKCS_ECDSA_P256_SHA256);
            change(&mut material);
            Dtls::new(&material)
        };
        let chosen = with(|it| it.ciphers = Some("ECDHE+CHACHA20".to_owned())).unwrap();
        assert!(chosen.suite([0xC02B, 0xC02C].into_iter()).is_none());
        assert!(chosen.suite([0xC02B, 0xCCA9].into_iter()).is_some());
        let part = |made: Result<Dtls, TlsError>| made.unwrap_err().part();
        let rsa = with(|it| it.ciphers = Some("ECDHE-RSA-AES128-GCM-SHA256".to_owned()));
        assert_eq!(part(rsa), TlsPart::Ciphers);
        assert_eq!(part(with(|it| it.tls12 = false)), TlsPart::Versions);
        let other_key = with(|it| it.key = material(&rcgen::PKCS_ECDSA_P256_SHA256).key);
        assert_eq!(other_key.unwrap_err(), TlsError::KeyMismatch);
    }

    #[test]
    fn the_client_has_the_choice_among_what_is_common() {
        let served = Dtls::new(&material(&rcgen::PKCS_ECDSA_P256_SHA256)).unwrap();
        let chosen = served.suite([0x1301, 0xCCA9, 0xC02C].into_iter()).unwrap();
        assert_eq!(
            (chosen.name.as_u16(), chosen.explicit_nonce),
            (0xCCA9, false)
        );
        assert_eq!(chosen.cipher, Some("ECDHE-ECDSA-CHACHA20-POLY1305"));
    }
}
