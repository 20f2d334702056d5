//! The nonce cookie: what a server of RFC 8489 says in front of its nonces (§9.2, §18.1), so that nobody between can take it out
//! of the challenge unseen.
//!
//! ```text
//!  0                  9                 13
//!  ├─"obMatJos2"──────┤─24 bits, base64─┤ the nonce proper …
//! ```

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// Length of the cookie.
pub(crate) const COOKIE_LEN: usize = 13;

/// What every cookie begins with (RFC 8489 §9.2).
const MAGIC: &[u8; 9] = b"obMatJos2";

/// Bit 0 of the set, the most significant bit of its first byte (RFC 8489 §18.1).
const PASSWORD_ALGORITHMS: u8 = 1 << 7;
/// Bit 1.
const USERNAME_ANONYMITY: u8 = 1 << 6;

/// The STUN Security Features that a challenge offers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SecurityFeatures {
    /// PASSWORD-ALGORITHMS is in the challenge and has to be in what answers it.
    pub password_algorithms: bool,
    /// Clients send USERHASH instead of USERNAME: they must, if this is set (RFC 8489 §9.2.5).
    pub username_anonymity: bool,
}

impl SecurityFeatures {
    /// Reads the features that a nonce was sent with; `None` if it has no cookie, or one with features that do not exist here.
    pub fn of_nonce(nonce: &[u8]) -> Option<Self> {
        let (cookie, _) = nonce.split_first_chunk::<COOKIE_LEN>()?;
        let text = cookie.strip_prefix(MAGIC.as_slice())?;
        let mut bits = [0; 3];
        let read = BASE64_STANDARD.decode_slice(text, &mut bits).ok();
        read.filter(|length| *length == bits.len())?;
        let features = Self {
            password_algorithms: bits[0] & PASSWORD_ALGORITHMS != 0,
            username_anonymity: bits[0] & USERNAME_ANONYMITY != 0,
        };
        (features.bits() == bits).then_some(features)
    }

    /// Returns the cookie that says so.
    pub(crate) fn cookie(self) -> [u8; COOKIE_LEN] {
        let mut cookie = [0; COOKIE_LEN];
        let (magic, text) = cookie.split_at_mut(MAGIC.len());
        magic.copy_from_slice(MAGIC);
        // 3 bytes are 4 characters, always.
        let written = BASE64_STANDARD.encode_slice(self.bits(), text);
        debug_assert_eq!(written, Ok(4));
        cookie
    }

    fn bits(self) -> [u8; 3] {
        let bit = |is_set, bit| if is_set { bit } else { 0 };
        let first = bit(self.password_algorithms, PASSWORD_ALGORITHMS)
            + bit(self.username_anonymity, USERNAME_ANONYMITY);
        [first, 0, 0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(password_algorithms: bool, username_anonymity: bool) -> SecurityFeatures {
        SecurityFeatures {
            password_algorithms,
            username_anonymity,
        }
    }

    #[test]
    fn cookies_are_the_magic_word_and_24_bits_from_the_left() {
        // printf '\x00\x00\x00' | base64, and the same with \x80, \x40 and \xc0 first
        for (set, text) in [
            (features(false, false), "obMatJos2AAAA"),
            (features(true, false), "obMatJos2gAAA"),
            (features(false, true), "obMatJos2QAAA"),
            (features(true, true), "obMatJos2wAAA"),
        ] {
            assert_eq!(set.cookie(), text.as_bytes());
            assert_eq!(
                SecurityFeatures::of_nonce(&[text.as_bytes(), b"rest"].concat()),
                Some(set)
            );
        }
    }

    #[test]
    fn other_beginnings_are_no_cookie() {
        for nonce in [
            "",
            "obMatJos2",
            "obMatJos2wAA",
            "obMatJos1wAAArest",
            "obMatJos2wAA=rest",
            "obMatJos2wAA rest",
            "obMatJos2wAABrest",
            "obMatJos2IAAArest",
            "xobMatJos2wAAArest",
        ] {
            assert_eq!(
                SecurityFeatures::of_nonce(nonce.as_bytes()),
                None,
                "{nonce}"
            );
        }
    }
}
