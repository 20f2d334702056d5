//! The key of the long-term credential mechanism (RFC 8489 §9.2.2).
//!
//! Not in: SHA-256 password algorithms.

use md5::{Digest, Md5};

/// MD5 over user, realm and password: what a server keeps instead of a password, and as good as one within its realm.
///
/// It has no `Debug`.
#[derive(Clone)]
pub struct LongTermKey([u8; 16]);

impl LongTermKey {
    /// Computes MD5(username ":" realm ":" password).
    ///
    /// RFC 8489 prepares the three by OpaqueString (RFC 8265), RFC 5389 by SASLprep. Both leave ASCII as it is, and that is what
    /// clients send; other text is used as given, so it has to be configured in its prepared form.
    pub fn derive(username: &str, realm: &str, password: &str) -> Self {
        let mut hash = Md5::new();
        for piece in [username, ":", realm, ":", password] {
            hash.update(piece);
        }
        Self(hash.finalize().into())
    }

    /// Reads a key from 32 hexadecimal digits, of either case; `None` for anything else.
    pub fn from_hex(digits: &str) -> Option<Self> {
        let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
            return None;
        };
        let pairs: &[[u8; 2]; 16] = pairs.try_into().ok()?;
        let mut key = [0; 16];
        for (byte, &[high, low]) in key.iter_mut().zip(pairs) {
            *byte = hex_digit(high)? << 4 | hex_digit(low)?;
        }
        Some(Self(key))
    }

    /// Takes a key that is ready.
    pub const fn from_bytes(key: [u8; 16]) -> Self {
        Self(key)
    }

    /// Returns the key for MESSAGE-INTEGRITY.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
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
