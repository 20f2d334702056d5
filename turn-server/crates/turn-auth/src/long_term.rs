//! The key of the long-term credential mechanism, and the hash that may stand for a user's name (RFC 8489 §9.2.2, §14.4).

use md5::Md5;
use sha2::{Digest, Sha256};

/// How a key is made from a password (RFC 8489 §18.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyAlgorithm {
    /// MD5, the only one before RFC 8489.
    Md5,
    /// SHA-256.
    Sha256,
}

/// A hash over user, realm and password: what a server keeps instead of a password, and as good as one within its realm.
///
/// It has no `Debug`.
#[derive(Clone)]
pub struct LongTermKey(Hashed);

#[derive(Clone)]
enum Hashed {
    Md5([u8; 16]),
    Sha256([u8; 32]),
}

impl LongTermKey {
    /// Computes MD5(username ":" realm ":" password).
    ///
    /// RFC 8489 prepares the three by OpaqueString (RFC 8265), RFC 5389 by SASLprep. Both leave ASCII as it is, and that is what
    /// clients send; other text is used as given, so it has to be configured in its prepared form.
    pub fn derive(username: &str, realm: &str, password: &str) -> Self {
        Self::derive_by(KeyAlgorithm::Md5, username, realm, password)
    }

    /// Computes the key by either algorithm; the text that is hashed is the same.
    pub fn derive_by(algorithm: KeyAlgorithm, username: &str, realm: &str, password: &str) -> Self {
        let pieces = [username, ":", realm, ":", password];
        Self(match algorithm {
            KeyAlgorithm::Md5 => Hashed::Md5(hash::<Md5>(&pieces).into()),
            KeyAlgorithm::Sha256 => Hashed::Sha256(hash::<Sha256>(&pieces).into()),
        })
    }

    /// Reads an MD5 key from 32 hexadecimal digits, of either case; `None` for anything else.
    pub fn from_hex(digits: &str) -> Option<Self> {
        let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
            return None;
        };
        let pairs: &[[u8; 2]; 16] = pairs.try_into().ok()?;
        let mut key = [0; 16];
        for (byte, &[high, low]) in key.iter_mut().zip(pairs) {
            *byte = hex_digit(high)? * 16 + hex_digit(low)?;
        }
        Some(Self::from_bytes(key))
    }

    /// Takes an MD5 key that is ready.
    pub const fn from_bytes(key: [u8; 16]) -> Self {
        Self(Hashed::Md5(key))
    }

    /// Returns the key for MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256: 16 bytes by MD5, 32 by SHA-256.
    pub const fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Hashed::Md5(key) => key,
            Hashed::Sha256(key) => key,
        }
    }

    /// Says by which algorithm it was made.
    pub const fn algorithm(&self) -> KeyAlgorithm {
        match &self.0 {
            Hashed::Md5(_) => KeyAlgorithm::Md5,
            Hashed::Sha256(_) => KeyAlgorithm::Sha256,
        }
    }
}

/// Computes USERHASH: SHA-256(username ":" realm) (RFC 8489 §14.4).
pub fn userhash(username: &str, realm: &str) -> [u8; 32] {
    hash::<Sha256>(&[username, ":", realm]).into()
}

fn hash<D: Digest>(pieces: &[&str]) -> sha2::digest::Output<D> {
    let mut hash = D::new();
    for piece in pieces {
        hash.update(piece);
    }
    hash.finalize()
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_key_is_the_md5_of_the_three_joined() {
        // printf 'user:realm:pass' | md5sum (RFC 8489 §9.2.2 prints this example)
        let key = LongTermKey::derive("user", "realm", "pass");
        assert_eq!(
            key.as_bytes(),
            LongTermKey::from_hex("8493fbc53ba582fb4c044c456bdc40eb")
                .unwrap()
                .as_bytes()
        );
    }

    #[test]
    fn derived_key_of_prepared_unicode_is_the_one_rfc_5769_signs_with() {
        // RFC 5769 §2.4 after SASLprep: printf 'マトリックス:example.org:TheMatrIX' | md5sum
        let key = LongTermKey::derive("マトリックス", "example.org", "TheMatrIX");
        assert_eq!(
            key.as_bytes(),
            LongTermKey::from_hex("e8ca7ad59d5eb0518e312911d2dab2a9")
                .unwrap()
                .as_bytes()
        );
    }

    #[test]
    fn sha256_key_and_userhash_are_those_of_rfc_8489_appendix_b_1() {
        // printf 'マトリックス:example.org:TheMatrIX' | sha256sum, and the same without the password
        let key = LongTermKey::derive_by(
            KeyAlgorithm::Sha256,
            "マトリックス",
            "example.org",
            "TheMatrIX",
        );
        assert_eq!(
            hex(key.as_bytes()),
            "dd295a613b9058c3c23d6dc7165bda072304d989c9d0af3a8c7e184b4f9bb4a1"
        );
        assert_eq!(key.algorithm(), KeyAlgorithm::Sha256);
        assert_eq!(
            hex(&userhash("マトリックス", "example.org")),
            "4a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704"
        );
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn hex_of_either_case_is_read() {
        let lower = LongTermKey::from_hex("00ff10abcdef0123456789abcdef0123").unwrap();
        let upper = LongTermKey::from_hex("00FF10ABCDEF0123456789ABCDEF0123").unwrap();
        assert_eq!(lower.as_bytes(), upper.as_bytes());
        assert_eq!(lower.as_bytes()[..4], [0x00, 0xFF, 0x10, 0xAB]);
    }

    #[test]
    fn anything_but_32_hex_digits_is_no_key() {
        for text in [
            "",
            "00",
            "8493fbc53ba582fb4c044c456bdc40e",
            "8493fbc53ba582fb4c044c456bdc40eb0",
            "8493fbc53ba582fb4c044c456bdc40ebff",
        ] {
            assert!(LongTermKey::from_hex(text).is_none(), "{text}");
        }
        assert!(LongTermKey::from_hex("0x93fbc53ba582fb4c044c456bdc40eb").is_none());
        assert!(LongTermKey::from_hex("+493fbc53ba582fb4c044c456bdc40eb").is_none());
        assert!(LongTermKey::from_hex("éé93fbc53ba582fb4c044c456bdc40eb").is_none());
    }
}
