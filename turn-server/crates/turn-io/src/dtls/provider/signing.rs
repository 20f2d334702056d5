//! Signatures: ours with the key of the certificate, and those of clients that must show one (RFC 8422 §5.4, §5.8).

use std::{panic::AssertUnwindSafe, sync::Arc};

use dimpl::{
    CryptoError, CryptoOperation,
    crypto::{Buf, HashAlgorithm, KeyProvider, SignatureAlgorithm, SignatureVerifier, SigningKey},
};
use rustls::{
    SignatureScheme,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
    sign::Signer,
};
use webpki::EndEntityCert;

/// What a key of either kind signs with. The curve decides the hash, as in DTLS 1.3.
const SCHEMES: [(SignatureScheme, HashAlgorithm); 2] = [
    (
        SignatureScheme::ECDSA_NISTP256_SHA256,
        HashAlgorithm::SHA256,
    ),
    (
        SignatureScheme::ECDSA_NISTP384_SHA384,
        HashAlgorithm::SHA384,
    ),
];

/// Reads private keys.
#[derive(Debug)]
pub(super) struct Keys;

impl KeyProvider for Keys {
    fn load_private_key(&self, key: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError> {
        let key = PrivateKeyDer::try_from(key).map_err(|_| CryptoError::InvalidPrivateKey)?;
        let key = ring::sign::any_ecdsa_type(&key).map_err(|_| CryptoError::InvalidPrivateKey)?;
        let signer = SCHEMES.iter().find_map(|(scheme, hash)| {
            let signer = Arc::from(key.choose_scheme(&[*scheme])?);
            Some(Key {
                signer: AssertUnwindSafe(signer),
                hash: [*hash],
            })
        });
        Ok(Box::new(signer.ok_or(CryptoError::InvalidPrivateKey)?))
    }
}

#[derive(Debug)]
struct Key {
    /// Signing changes nothing in it, so nothing is half changed by a panic.
    signer: AssertUnwindSafe<Arc<dyn Signer>>,
    hash: [HashAlgorithm; 1],
}

impl SigningKey for Key {
    fn sign(&mut self, data: &[u8], hash: HashAlgorithm, out: &mut Buf) -> Result<(), CryptoError> {
        if hash != self.hash_algorithm() {
            return Err(CryptoError::SigningKeyHashMismatch {
                key_hash: self.hash_algorithm(),
                requested: hash,
            });
        }
        let signature = self.signer.sign(data);
        let signature =
            signature.map_err(|_| CryptoError::OperationFailed(CryptoOperation::Sign))?;
        out.clear();
        out.extend_from_slice(&signature);
        Ok(())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        let [hash] = self.hash;
        hash
    }

    fn supported_hash_algorithms(&self) -> &[HashAlgorithm] {
        &self.hash
    }
}

/// Verifies signatures by the key in a certificate.
#[derive(Debug)]
pub(super) struct Verifier;

impl SignatureVerifier for Verifier {
    fn verify_signature(
        &self,
        certificate: &[u8],
        data: &[u8],
        signature: &[u8],
        hash: HashAlgorithm,
        algorithm: SignatureAlgorithm,
    ) -> Result<(), CryptoError> {
        if algorithm != SignatureAlgorithm::ECDSA {
            return Err(CryptoError::UnsupportedSignatureAlgorithm(algorithm));
        }
        let certificate = CertificateDer::from(certificate);
        let certificate = EndEntityCert::try_from(&certificate)
            .map_err(|_| CryptoError::CertificateParseFailed)?;
        let (scheme, _) = SCHEMES
            .into_iter()
            .find(|(_, of_scheme)| *of_scheme == hash)
            .ok_or(CryptoError::UnsupportedSignatureAlgorithm(algorithm))?;
        // In TLS 1.2 a scheme leaves the curve open: each of them is tried, and the certificate fits one.
        let all = ring::default_provider().signature_verification_algorithms;
        let mut candidates = all
            .mapping
            .iter()
            .filter(|(of_candidates, _)| *of_candidates == scheme)
            .flat_map(|(_, candidates)| candidates.iter());
        let verified = candidates.any(|candidate| {
            certificate
                .verify_signature(*candidate, data, signature)
                .is_ok()
        });
        if verified {
            Ok(())
        } else {
            Err(CryptoError::OperationFailed(
                CryptoOperation::VerifySignature,
            ))
        }
    }
}
