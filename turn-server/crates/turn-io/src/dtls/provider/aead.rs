//! Cipher suites of DTLS 1.2 (RFC 5288, RFC 7905).
//!
//! # Nonces of AES-GCM
//!
//! RFC 5288 §3 leaves it to the sender how the explicit half of a nonce is made. The engine draws it at random, and 64 random
//! bits repeat within some 2^32 records, which a relay sends in hours and after which the key is known. So the nonce is the
//! epoch and number of the record here, which never repeat and which the engine passes along as the beginning of the additional
//! data; `records.rs` writes the same into the record. Reading takes what the record says, as it must.

use dimpl::{
    CryptoError, CryptoOperation,
    crypto::{
        Aad, Buf, Cipher, Dtls12CipherSuite, Dtls13CipherSuite, HashAlgorithm, Nonce,
        SupportedDtls12CipherSuite, SupportedDtls13CipherSuite, TmpBuf,
    },
};
use ring::aead::{
    self, AES_128_GCM, AES_256_GCM, Algorithm, CHACHA20_POLY1305, LessSafeKey, UnboundKey, quic,
};

/// What is offered.
pub(super) static SUITES: &[&dyn SupportedDtls12CipherSuite] = &[
    &Suite {
        name: Dtls12CipherSuite::ECDHE_ECDSA_AES256_GCM_SHA384,
        hash: HashAlgorithm::SHA384,
        key: &AES_256_GCM,
        numbering: Numbering::Explicit,
    },
    &Suite {
        name: Dtls12CipherSuite::ECDHE_ECDSA_AES128_GCM_SHA256,
        hash: HashAlgorithm::SHA256,
        key: &AES_128_GCM,
        numbering: Numbering::Explicit,
    },
    &Suite {
        name: Dtls12CipherSuite::ECDHE_ECDSA_CHACHA20_POLY1305_SHA256,
        hash: HashAlgorithm::SHA256,
        key: &CHACHA20_POLY1305,
        numbering: Numbering::Implicit,
    },
];

/// DTLS 1.3 is not spoken, but the engine wants a suite for it.
pub(super) static UNUSED_SUITES: &[&dyn SupportedDtls13CipherSuite] = &[&Unused];

/// Where the number of a record enters its nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Numbering {
    /// As the eight bytes that the record begins with (RFC 5288 §3).
    Explicit,
    /// By exclusive or (RFC 7905 §2).
    Implicit,
}

#[derive(Debug)]
struct Suite {
    name: Dtls12CipherSuite,
    hash: HashAlgorithm,
    key: &'static Algorithm,
    numbering: Numbering,
}

impl SupportedDtls12CipherSuite for Suite {
    fn suite(&self) -> Dtls12CipherSuite {
        self.name
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        self.hash
    }

    fn key_lengths(&self) -> (usize, usize, usize) {
        (
            0,
            self.key.key_len(),
            self.key.nonce_len() - self.explicit_nonce_len(),
        )
    }

    fn explicit_nonce_len(&self) -> usize {
        match self.numbering {
            Numbering::Explicit => 8,
            Numbering::Implicit => 0,
        }
    }

    fn tag_len(&self) -> usize {
        self.key.tag_len()
    }

    fn create_cipher(&self, key: &[u8]) -> Result<Box<dyn Cipher>, CryptoError> {
        Ok(Box::new(Sealer::new(self.key, key, self.numbering)?))
    }
}

struct Sealer {
    key: LessSafeKey,
    numbering: Numbering,
}

impl Sealer {
    fn new(
        algorithm: &'static Algorithm,
        key: &[u8],
        numbering: Numbering,
    ) -> Result<Self, CryptoError> {
        let key =
            UnboundKey::new(algorithm, key).map_err(|_| failed(CryptoOperation::CreateCipher))?;
        Ok(Self {
            key: LessSafeKey::new(key),
            numbering,
        })
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

impl Cipher for Sealer {
    fn encrypt(
        &mut self,
        plaintext: &mut Buf,
        aad: Aad,
        mut nonce: Nonce,
    ) -> Result<(), CryptoError> {
        if self.numbering == Numbering::Explicit {
            let (_, explicit) = nonce.0.split_at_mut(4);
            let number = aad.0.get(..8).ok_or(CryptoError::InvalidNonce)?;
            explicit.copy_from_slice(number);
        }
        let nonce = aead::Nonce::assume_unique_for_key(nonce.0);
        self.key
            .seal_in_place_append_tag(nonce, aead::Aad::from(&aad.0), plaintext)
            .map_err(|_| failed(CryptoOperation::Encrypt))
    }

    fn decrypt(
        &mut self,
        ciphertext: &mut TmpBuf<'_>,
        aad: Aad,
        nonce: Nonce,
    ) -> Result<(), CryptoError> {
        let nonce = aead::Nonce::assume_unique_for_key(nonce.0);
        let opened = self
            .key
            .open_in_place(nonce, aead::Aad::from(&aad.0), ciphertext.as_mut());
        let length = opened.map_err(|_| failed(CryptoOperation::Decrypt))?.len();
        ciphertext.truncate(length);
        Ok(())
    }
}

#[derive(Debug)]
struct Unused;

impl SupportedDtls13CipherSuite for Unused {
    fn suite(&self) -> Dtls13CipherSuite {
        Dtls13CipherSuite::CHACHA20_POLY1305_SHA256
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }

    fn key_len(&self) -> usize {
        CHACHA20_POLY1305.key_len()
    }

    fn iv_len(&self) -> usize {
        CHACHA20_POLY1305.nonce_len()
    }

    fn tag_len(&self) -> usize {
        CHACHA20_POLY1305.tag_len()
    }

    fn create_cipher(&self, key: &[u8]) -> Result<Box<dyn Cipher>, CryptoError> {
        Ok(Box::new(Sealer::new(
            &CHACHA20_POLY1305,
            key,
            Numbering::Implicit,
        )?))
    }

    fn encrypt_sn(&self, sn_key: &[u8], sample: &[u8; 16]) -> [u8; 16] {
        let mut mask = [0; 16];
        let key = quic::HeaderProtectionKey::new(&quic::CHACHA20, sn_key);
        if let Ok(bytes) = key.and_then(|key| key.new_mask(sample)) {
            let (beginning, _) = mask.split_at_mut(bytes.len());
            beginning.copy_from_slice(&bytes);
        }
        mask
    }
}

fn failed(operation: CryptoOperation) -> CryptoError {
    CryptoError::OperationFailed(operation)
}
