//! Access tokens: a key for one client, sealed by an authorization server for this one (RFC 7635 §6.2).
//!
//! ```text
//!  0              2        14                                                     end-16
//!  ├─nonce length─┤─nonce──┤─sealed: key length, MAC key, timestamp, lifetime─────┤─tag──┤
//!                           0            2          2+n                 10+n       14+n
//!                           ├─key length─┤─MAC key──┤─timestamp, 48.16──┤─lifetime─┤
//! ```
//!
//! Every length is held against what is left of the token, before and after it is opened. Not in: where keys are configured, and
//! how a client gets a token.

use std::collections::HashMap;

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::secret::Secret;

/// Longest token that is looked at. A token with the longest MAC key has 124 bytes.
const MAX_TOKEN: usize = 1024;

/// Seconds that clocks may differ (RFC 7635 §8: the recommended Delta).
const DELTA_SECS: u64 = 5;

/// Lengths of MAC keys that are taken: HMAC-SHA1's 20 bytes, which all have, up to the block of the hashes here.
const MAC_KEY_LENGTHS: std::ops::RangeInclusive<usize> = 20..=64;

/// How tokens are sealed (RFC 7635 §4.1.1, names of RFC 7518 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenAlgorithm {
    /// AES-256-GCM, a key of 32 bytes.
    A256Gcm,
    /// AES-128-GCM, a key of 16 bytes.
    A128Gcm,
}

impl TokenAlgorithm {
    /// Returns the length of its key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::A256Gcm => 32,
            Self::A128Gcm => 16,
        }
    }
}

/// A key shared with an authorization server. It has no `Debug`.
pub struct TokenKey {
    aead: LessSafeKey,
    /// Last second in which it opens tokens, Unix time.
    expires_at: Option<u64>,
}

impl TokenKey {
    /// Takes a key; `None` if it has not its algorithm's length.
    pub fn new(algorithm: TokenAlgorithm, key: &[u8], expires_at: Option<u64>) -> Option<Self> {
        let algorithm = match algorithm {
            TokenAlgorithm::A256Gcm => &AES_256_GCM,
            TokenAlgorithm::A128Gcm => &AES_128_GCM,
        };
        let key = UnboundKey::new(algorithm, key).ok()?;
        Some(Self {
            aead: LessSafeKey::new(key),
            expires_at,
        })
    }
}

/// The keys that open tokens for this server.
pub struct TokenKeys {
    /// The name that tokens are made out to; it is sealed into them (RFC 7635 §6.2).
    server: String,
    keys: HashMap<String, TokenKey>,
}

/// What a token gives its client.
pub struct Token {
    /// The key of its messages.
    pub mac_key: Secret<Vec<u8>>,
    /// When its lifetime ends, Unix time; it is taken for a few seconds more, as clocks differ.
    pub expires_at: u64,
}

/// Why a token is refused. Clients are told nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRefused {
    /// No key of that name, or it has expired.
    UnknownKey,
    /// A length in it does not fit, or it was not sealed by that key for this server.
    Broken,
    /// It is too old, or from the future.
    OutOfTime,
}

impl TokenKeys {
    /// Opens no token yet, for a server of that name.
    pub fn new(server: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            keys: HashMap::new(),
        }
    }

    /// Opens tokens by a key, which clients name in USERNAME (RFC 7635 §7).
    #[must_use]
    pub fn with_key(mut self, kid: &str, key: TokenKey) -> Self {
        self.keys.insert(kid.to_owned(), key);
        self
    }

    /// The name that tokens have to be made out to.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Opens a token and checks its time (RFC 7635 §8). Whether its MAC key has signed the request is left to the caller.
    ///
    /// # Errors
    /// When the token is not for this server, or not for now.
    pub fn open(&self, kid: &str, token: &[u8], now_unix: u64) -> Result<Token, TokenRefused> {
        let key = self.keys.get(kid).ok_or(TokenRefused::UnknownKey)?;
        if key.expires_at.is_some_and(|last| now_unix > last) {
            return Err(TokenRefused::UnknownKey);
        }
        let (nonce, sealed) = parts(token).ok_or(TokenRefused::Broken)?;
        let mut sealed = sealed.to_vec();
        let opened = key
            .aead
            .open_in_place(nonce, Aad::from(self.server.as_bytes()), &mut sealed)
            .map_err(|_| TokenRefused::Broken)?;
        let block = Block::read(opened).ok_or(TokenRefused::Broken)?;
        // §8: lifetime + Delta > abs(now - timestamp).
        let span = u64::from(block.lifetime) + DELTA_SECS;
        if now_unix.abs_diff(block.seconds) >= span {
            return Err(TokenRefused::OutOfTime);
        }
        Ok(Token {
            mac_key: Secret::new(block.mac_key.to_vec()),
            expires_at: block.seconds.saturating_add(block.lifetime.into()),
        })
    }
}

/// Cuts a token into its nonce and what is sealed. GCM's nonce has 12 bytes in all tokens that are minted (RFC 5116 §5.1).
fn parts(token: &[u8]) -> Option<(Nonce, &[u8])> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let (length, rest) = token.split_first_chunk::<2>()?;
    if usize::from(u16::from_be_bytes(*length)) != NONCE_LEN {
        return None;
    }
    let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
    Some((Nonce::assume_unique_for_key(*nonce), sealed))
}

/// The opened part of a token.
struct Block<'a> {
    mac_key: &'a [u8],
    /// When it was made, without the 1/64,000 seconds.
    seconds: u64,
    lifetime: u32,
}

impl<'a> Block<'a> {
    /// Reads a block that ends where its lifetime ends.
    fn read(opened: &'a [u8]) -> Option<Self> {
        let (length, rest) = opened.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        if !MAC_KEY_LENGTHS.contains(&length) {
            return None;
        }
        let (mac_key, rest) = rest.split_at_checked(length)?;
        let (timestamp, rest) = rest.split_first_chunk::<8>()?;
        let lifetime: &[u8; 4] = rest.try_into().ok()?;
        Some(Self {
            mac_key,
            seconds: u64::from_be_bytes(*timestamp) >> 16,
            lifetime: u32::from_be_bytes(*lifetime),
        })
    }
}

#[cfg(test)]
mod tests;
