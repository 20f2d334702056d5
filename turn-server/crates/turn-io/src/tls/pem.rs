//! Certificates and keys out of PEM texts, and what is wrong with those that cannot be used.

use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument, pkcs5::EncryptionScheme};
use rustls::{
    Error, InconsistentKeys,
    pki_types::{
        CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer,
        pem::{self, PemObject},
    },
};

use super::TlsError;

/// All certificates of a text, in order.
pub(crate) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::BadCertificate(words(&error)))?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    Ok(certificates)
}

/// The first private key of a text; where a password protects it, it is opened by that.
pub(crate) fn key(text: &[u8], password: Option<&str>) -> Result<PrivateKeyDer<'static>, TlsError> {
    if contains(text, b"Proc-Type: 4,ENCRYPTED") {
        return Err(TlsError::OldEncryption);
    }
    if let Some(block) = encrypted_block(text) {
        return opened(block, password.ok_or(TlsError::EncryptedKey)?);
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey,
        other => TlsError::BadKey(words(&other)),
    })
}

/// The part of a text that is a key protected in the manner of PKCS #8 (RFC 5958 §3).
fn encrypted_block(text: &[u8]) -> Option<&str> {
    const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
    // Around it there may be anything, of any encoding.
    let place = |needle: &[u8]| {
        text.windows(needle.len())
            .position(|window| window == needle)
    };
    let begin = place(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")?;
    let end = place(END.as_bytes()).map_or(text.len(), |end| end + END.len());
    std::str::from_utf8(text.get(begin..end)?).ok()
}

fn opened(block: &str, password: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    let damaged = |error: &dyn std::fmt::Display| TlsError::BadKey(error.to_string());
    let (_, document) = SecretDocument::from_pem(block).map_err(|error| damaged(&error))?;
    let held = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes());
    let held = held.map_err(|error| damaged(&error))?;
    // What a wrong password leaves is noise, which sometimes looks padded as it should.
    let known = matches!(held.encryption_algorithm, EncryptionScheme::Pbes2(_));
    let key = held.decrypt(password).map_err(|_| match known {
        true => TlsError::WrongPassword,
        false => TlsError::OldEncryption,
    })?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|window| window == needle)
}

/// Says why certificate and key were refused together.
pub(crate) fn refusal_of_pair(error: Error) -> TlsError {
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::KeyMismatch,
        Error::InvalidCertificate(error) => match error.to_string() {
            // The error of its X.509 library is hidden inside.
            old if old.contains("UnsupportedCertVersion") => TlsError::OldCertificate,
            other => TlsError::BadCertificate(other),
        },
        other => TlsError::BadKey(other.to_string()),
    }
}

fn words(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "it ends in the middle".to_owned(),
        other => other.to_string(),
    }
}
