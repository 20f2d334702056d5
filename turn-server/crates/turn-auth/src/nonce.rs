//! Nonces that need no table: each says when it was made, and a keyed hash says that we made it for this client
//! (RFC 8489 §9.2.4; the server keeps nothing for a source that has proven nothing).
//!
//! ```text
//!                          0               4                               12
//!  [ nonce cookie, 13 ]    ├─seconds, u32──┤─SipHash-2-4 over client and seconds─┤   in base64url: 16 characters
//! ```
//!
//! The cookie of RFC 8489 §9.2 and the algorithms that went with it are hashed too: whoever takes features out of a challenge
//! spoils its nonce. A nonce without a cookie is for short requests over UDP, to which a long challenge must not be sent.

use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher24;
use subtle::ConstantTimeEq;

use crate::security_features::{COOKIE_LEN, SecurityFeatures};

/// Seconds that a nonce may lie in the future: what the clock may have been set back by since, or a neighbour's runs ahead.
const SKEW_SECS: i64 = 5;

/// Length of a nonce without its cookie.
const PROPER_LEN: usize = 16;

/// A nonce as it goes on the wire: 16 printable characters, or 29 with a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nonce {
    /// The cookie, or nothing of it, right before the nonce proper.
    bytes: [u8; COOKIE_LEN + PROPER_LEN],
    has_cookie: bool,
}

impl Nonce {
    /// Returns the characters.
    pub fn as_bytes(&self) -> &[u8] {
        let start = if self.has_cookie { 0 } else { COOKIE_LEN };
        self.bytes.get(start..).unwrap_or_default()
    }
}

/// What a challenge offers besides its nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer<'a> {
    /// The security features.
    pub features: SecurityFeatures,
    /// The value of PASSWORD-ALGORITHMS, if the features have it.
    pub algorithms: &'a [u8],
}

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

    /// Makes a key of a secret that several servers share.
    pub fn from_secret(secret: &[u8]) -> Self {
        // The label keeps what is derived here apart from whatever else the secret may serve for.
        let digest = Sha256::new_with_prefix(b"turnpike nonce key\0").chain_update(secret);
        let mut key = [0; 16];
        key.iter_mut()
            .zip(digest.finalize())
            .for_each(|(slot, byte)| *slot = byte);
        Self::new(key)
    }

    /// Makes the nonce of a client for this second, with a cookie if the challenge offers something. `transport` is any number that
    /// tells the client's transports apart.
    pub fn issue(
        &self,
        client: SocketAddr,
        transport: u8,
        now_unix: u64,
        offer: Option<Offer<'_>>,
    ) -> Nonce {
        // 32 bits wrap in 2106; ages are differences, which wrap with them.
        self.nonce_of(client, transport, now_unix as u32, offer)
    }

    /// Judges a nonce that came back from `client`. It lasts for `lifetime_secs`, 0 = for ever.
    ///
    /// `algorithms` are those that challenges list now: with a cookie that speaks of them, a nonce sent with others is not ours any more.
    pub fn check(
        &self,
        nonce: &[u8],
        client: SocketAddr,
        transport: u8,
        now_unix: u64,
        lifetime_secs: u64,
        algorithms: &[u8],
    ) -> NonceVerdict {
        let features = SecurityFeatures::of_nonce(nonce);
        let proper = nonce.get(features.map_or(0, |_| COOKIE_LEN)..);
        let Some(seconds) = proper.and_then(seconds_of) else {
            return NonceVerdict::Foreign;
        };
        let offer = features.map(|features| Offer {
            features,
            algorithms: if features.password_algorithms {
                algorithms
            } else {
                &[]
            },
        });
        let ours = self.nonce_of(client, transport, seconds, offer);
        if !bool::from(ours.as_bytes().ct_eq(nonce)) {
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

    fn nonce_of(
        &self,
        client: SocketAddr,
        transport: u8,
        seconds: u32,
        offer: Option<Offer<'_>>,
    ) -> Nonce {
        let seconds = seconds.to_be_bytes();
        let cookie = offer.map(|offer| offer.features.cookie());
        let mut hasher = self.0;
        hasher.write(&facts(client, transport, seconds));
        if let (Some(cookie), Some(offer)) = (&cookie, offer) {
            hasher.write(cookie);
            hasher.write(offer.algorithms);
        }
        let mut raw = [0; 12];
        raw[..4].copy_from_slice(&seconds);
        raw[4..].copy_from_slice(&hasher.finish().to_be_bytes());
        let mut bytes = [0; COOKIE_LEN + PROPER_LEN];
        let (front, text) = bytes.split_at_mut(COOKIE_LEN);
        front.copy_from_slice(&cookie.unwrap_or_default());
        // 12 bytes are 16 characters, always.
        let written = BASE64_URL_SAFE_NO_PAD.encode_slice(raw, text);
        debug_assert_eq!(written, Ok(PROPER_LEN));
        Nonce {
            bytes,
            has_cookie: cookie.is_some(),
        }
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
mod tests;
