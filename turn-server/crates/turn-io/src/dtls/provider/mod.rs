//! The cryptography that the DTLS engine works with: ring's, which rustls has as well, so that there is one stack.
//!
//! In here: hashes, HMACs and random numbers. Ciphers, key agreement and signatures have their files. The engine tries all of
//! it against known answers whenever a configuration is made, so a wrong one is found at the start.
//!
//! # The cookie
//!
//! The engine has an exchange of cookies of its own (RFC 6347 §4.2.1), which begins with state for each sender. The exchange
//! that counts took place before there was an engine (`cookie.rs`); what is left is to make the engine agree, since the
//! cookie is a part of what both sides sign. It computes the cookie that it expects by [`HmacProvider::hmac_sha256`], which it
//! calls for nothing else: within [`with_cookie`] that is the cookie that has been verified, and outside it a real HMAC, by
//! which no client can know what is expected.

mod aead;
mod agreement;
mod signing;

use std::cell::Cell;

use dimpl::{
    CryptoError, CryptoOperation,
    crypto::{
        Buf, CryptoProvider, HashAlgorithm, HashContext, HashProvider, HmacProvider, SecureRandom,
    },
};
use ring::{digest, hmac, rand};

thread_local! {
    static VERIFIED: Cell<Option<[u8; 32]>> = const { Cell::new(None) };
}

/// Runs the engine in the knowledge that a client has returned this cookie.
pub(super) fn with_cookie<R>(cookie: Option<[u8; 32]>, engine: impl FnOnce() -> R) -> R {
    /// Forgets it, however that ends.
    struct Forget;
    impl Drop for Forget {
        fn drop(&mut self) {
            VERIFIED.set(None);
        }
    }
    VERIFIED.set(cookie);
    let _forget = Forget;
    engine()
}

/// Everything, as the engine wants it.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: agreement::GROUPS,
        signature_verification: &signing::Verifier,
        key_provider: &signing::Keys,
        secure_random: &Random,
        hash_provider: &Hashes,
        hmac_provider: &Hmacs,
        cipher_suites: aead::SUITES,
        dtls13_cipher_suites: aead::UNUSED_SUITES,
    }
}

#[derive(Debug)]
struct Random;

impl SecureRandom for Random {
    fn fill(&self, buf: &mut [u8]) -> Result<(), CryptoError> {
        use rand::SecureRandom as _;
        let filled = rand::SystemRandom::new().fill(buf);
        filled.map_err(|_| CryptoError::OperationFailed(CryptoOperation::FillRandom))
    }
}

#[derive(Debug)]
struct Hashes;

impl HashProvider for Hashes {
    fn create_hash(&self, algorithm: HashAlgorithm) -> Box<dyn HashContext> {
        // No suite has any other.
        let algorithm = match algorithm {
            HashAlgorithm::SHA384 => &digest::SHA384,
            _ => &digest::SHA256,
        };
        Box::new(Hash(digest::Context::new(algorithm)))
    }
}

struct Hash(digest::Context);

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hash")
    }
}

impl HashContext for Hash {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn clone_and_finalize(&self, out: &mut Buf) {
        out.clear();
        out.extend_from_slice(self.0.clone().finish().as_ref());
    }
}

#[derive(Debug)]
struct Hmacs;

impl HmacProvider for Hmacs {
    /// The cookie that a client must have returned.
    fn hmac_sha256(&self, key: &[u8], data: &[u8]) -> Result<[u8; 32], CryptoError> {
        if let Some(cookie) = VERIFIED.get() {
            return Ok(cookie);
        }
        let mut out = [0; 32];
        self.hmac(HashAlgorithm::SHA256, key, data, &mut out)?;
        Ok(out)
    }

    fn hmac(
        &self,
        hash: HashAlgorithm,
        key: &[u8],
        data: &[u8],
        out: &mut [u8],
    ) -> Result<usize, CryptoError> {
        let algorithm = match hash {
            HashAlgorithm::SHA256 => hmac::HMAC_SHA256,
            HashAlgorithm::SHA384 => hmac::HMAC_SHA384,
            other => return Err(CryptoError::UnsupportedHmacHash(other)),
        };
        let tag = hmac::sign(&hmac::Key::new(algorithm, key), data);
        let tag = tag.as_ref();
        let room = out.get_mut(..tag.len());
        let room = room.ok_or(CryptoError::OperationFailed(CryptoOperation::ComputeHmac))?;
        room.copy_from_slice(tag);
        Ok(tag.len())
    }
}
