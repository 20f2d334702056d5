//! Nonces that need no table: each says when it was made, and a keyed hash says that we made it for this client
//! (RFC 8489 §9.2.4; the server keeps nothing for a source that has proven nothing).
//!
//! ```text
//!  0               4                               12
//!  ├─seconds, u32──┤─SipHash-2-4 over client and seconds─┤   in base64url: 16 characters
//! ```
//!
//! Not in: the security-feature bits of RFC 8489 §9.2, which go with SHA-256.

use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use siphasher::sip::SipHasher24;
use subtle::ConstantTimeEq;

/// Seconds that a nonce may lie in the future: what the clock may have been set back by since, or a neighbour's runs ahead.
const SKEW_SECS: i64 = 5;

/// A nonce as it goes on the wire: 16 printable characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nonce(pub [u8; 16]);

/// What a nonce that came back is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonceVerdict {
    /// We made it, for this client, and it still counts.
    Fresh,
    /// We made it for this client, but at another time.
    Stale,
    /// We never made it for this client.
    Foreign,
}

/// Makes and checks nonces; all who share the key know each other's.
#[derive(Clone)]
pub struct NonceKey(SipHasher24);

impl NonceKey {
    /// Takes 128 random bits.
    pub fn new(key: [u8; 16]) -> Self {
        Self(SipHasher24::new_with_key(&key))
    }

    /// Makes the nonce of a client for this second. `transport` is any number that tells the client's transports apart.
    pub fn issue(&self, client: SocketAddr, transport: u8, now_unix: u64) -> Nonce {
        // 32 bits wrap in 2106; ages are differences, which wrap with them.
        self.nonce_of(client, transport, now_unix as u32)
    }

    /// Judges a nonce that came back from `client`. It lasts for `lifetime_secs`, 0 = for ever.
    pub fn check(
        &self,
        nonce: &[u8],
        client: SocketAddr,
        transport: u8,
        now_unix: u64,
        lifetime_secs: u64,
    ) -> NonceVerdict {
        let Some(seconds) = seconds_of(nonce) else {
            return NonceVerdict::Foreign;
        };
        let ours = self.nonce_of(client, transport, seconds);
        if !bool::from(ours.0.as_slice().ct_eq(nonce)) {
            return NonceVerdict::Foreign;
        }
        let age = i64::from((now_unix as u32).wrapping_sub(seconds).cast_signed());
        let in_time = -SKEW_SECS <= age && age.max(0).cast_unsigned() <= lifetime_secs;
        if lifetime_secs == 0 || in_time {
            NonceVerdict::Fresh
        } else {
            NonceVerdict::Stale
        }
    }

    fn nonce_of(&self, client: SocketAddr, transport: u8, seconds: u32) -> Nonce {
        let seconds = seconds.to_be_bytes();
        let mac = self
            .0
            .hash(&facts(client, transport, seconds))
            .to_be_bytes();
        let mut raw = [0; 12];
        raw[..4].copy_from_slice(&seconds);
        raw[4..].copy_from_slice(&mac);
        let mut text = [0; 16];
        // 12 bytes are 16 characters, always.
        let written = BASE64_URL_SAFE_NO_PAD.encode_slice(raw, &mut text);
        debug_assert_eq!(written, Ok(16));
        Nonce(text)
    }
}

/// Lays out what a nonce is bound to, each fact in its own place so that no two clients share a layout.
fn facts(client: SocketAddr, transport: u8, seconds: [u8; 4]) -> [u8; 24] {
    let mut facts = [0; 24];
    match client.ip() {
        IpAddr::V4(ip) => {
            facts[0] = 4;
            facts[1..5].copy_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            facts[0] = 6;
            facts[1..17].copy_from_slice(&ip.octets());
        }
    }
    facts[17..19].copy_from_slice(&client.port().to_be_bytes());
    facts[19] = transport;
    facts[20..].copy_from_slice(&seconds);
    facts
}

/// Reads the time out of a nonce, if it has a nonce's form.
fn seconds_of(nonce: &[u8]) -> Option<u32> {
    let text: &[u8; 16] = nonce.try_into().ok()?;
    let mut raw = [0; 12];
    BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut raw).ok()?;
    let [a, b, c, d, ..] = raw;
    Some(u32::from_be_bytes([a, b, c, d]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_700_000_000;
    const LIFETIME: u64 = 600;

    fn key() -> NonceKey {
        NonceKey::new(std::array::from_fn(|index| index as u8))
    }

    fn client() -> SocketAddr {
        "192.0.2.1:49152".parse().unwrap()
    }

    fn verdict_at(now: u64, lifetime: u64) -> NonceVerdict {
        key().check(&key().issue(client(), 0, NOW).0, client(), 0, now, lifetime)
    }

    #[test]
    fn nonces_are_the_ones_another_implementation_computes() {
        // Written out in Python: SipHash-2-4 by its paper, keyed 00 01 … 0f, over family, address padded to 16, port, transport, seconds.
        assert_eq!(&key().issue(client(), 0, NOW).0, b"ZVPxAEfsEAmDe90N");
        assert_eq!(
            &key()
                .issue("[2001:db8::1]:49152".parse().unwrap(), 1, NOW)
                .0,
            b"ZVPxAPcfM01rReyY"
        );
    }

    #[test]
    fn nonce_is_fresh_to_the_last_second_of_its_lifetime() {
        assert_eq!(verdict_at(NOW, LIFETIME), NonceVerdict::Fresh);
        assert_eq!(verdict_at(NOW + LIFETIME, LIFETIME), NonceVerdict::Fresh);
        assert_eq!(
            verdict_at(NOW + LIFETIME + 1, LIFETIME),
            NonceVerdict::Stale
        );
    }

    #[test]
    fn nonce_from_the_future_is_fresh_within_the_skew_only() {
        assert_eq!(verdict_at(NOW - 5, LIFETIME), NonceVerdict::Fresh);
        assert_eq!(verdict_at(NOW - 6, LIFETIME), NonceVerdict::Stale);
    }

    #[test]
    fn lifetime_of_zero_never_ends() {
        for now in [0, NOW - 100, NOW + 1, NOW + 1_000_000_000, u64::MAX] {
            assert_eq!(verdict_at(now, 0), NonceVerdict::Fresh, "{now}");
        }
    }

    #[test]
    fn lifetime_of_any_length_is_judged_without_overflow() {
        assert_eq!(
            verdict_at(NOW + 2_000_000_000, u64::MAX),
            NonceVerdict::Fresh
        );
        assert_eq!(verdict_at(u64::MAX, 1), NonceVerdict::Stale);
    }

    #[test]
    fn ages_are_right_across_the_wrap_of_32_bits() {
        let before = u64::from(u32::MAX) - 10;
        let nonce = key().issue(client(), 0, before);
        assert_eq!(
            key().check(&nonce.0, client(), 0, before + 100, LIFETIME),
            NonceVerdict::Fresh
        );
        assert_eq!(
            key().check(&nonce.0, client(), 0, before + 601, LIFETIME),
            NonceVerdict::Stale
        );
    }

    #[test]
    fn nonce_of_another_address_port_transport_or_key_is_foreign() {
        let nonce = key().issue(client(), 0, NOW).0;
        let check = |client: &str, transport| {
            key().check(&nonce, client.parse().unwrap(), transport, NOW, LIFETIME)
        };
        assert_eq!(check("192.0.2.1:49152", 0), NonceVerdict::Fresh);
        assert_eq!(check("192.0.2.2:49152", 0), NonceVerdict::Foreign);
        assert_eq!(check("192.0.2.1:49153", 0), NonceVerdict::Foreign);
        assert_eq!(check("192.0.2.1:49152", 1), NonceVerdict::Foreign);
        assert_eq!(check("[::ffff:192.0.2.1]:49152", 0), NonceVerdict::Foreign);
        let other = NonceKey::new([9; 16]);
        assert_eq!(
            other.check(&nonce, client(), 0, NOW, LIFETIME),
            NonceVerdict::Foreign
        );
    }

    #[test]
    fn bytes_that_are_no_nonce_are_foreign() {
        let ours = key().issue(client(), 0, NOW).0;
        let longer = [&ours[..], b"="].concat();
        for nonce in [
            &b""[..],
            &ours[..15],
            &longer,
            b"ZVPxAEfsEAmDe9+N",
            b"f//499k954d6OL34oL9FSTvy64sA",
            &[0xFF; 16],
            &[0; 16],
        ] {
            assert_eq!(
                key().check(nonce, client(), 0, NOW, 0),
                NonceVerdict::Foreign,
                "{nonce:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn nonces_are_printable_and_fresh_for_their_client(
            ip in any::<IpAddr>(), port in any::<u16>(), transport in any::<u8>(), now in any::<u64>(), secret in any::<[u8; 16]>(),
        ) {
            let key = NonceKey::new(secret);
            let client = SocketAddr::new(ip, port);
            let nonce = key.issue(client, transport, now);
            prop_assert!(nonce.0.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)));
            prop_assert_eq!(key.check(&nonce.0, client, transport, now, LIFETIME), NonceVerdict::Fresh);
        }

        #[test]
        fn nonce_changed_in_one_bit_is_foreign(at in 0..16_usize, bit in 0..8_u8) {
            let mut nonce = key().issue(client(), 0, NOW).0;
            nonce[at] ^= 1 << bit;
            prop_assert_eq!(key().check(&nonce, client(), 0, NOW, 0), NonceVerdict::Foreign);
        }
    }
}
