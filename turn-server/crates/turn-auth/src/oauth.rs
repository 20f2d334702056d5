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
mod tests {
    use super::*;
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;

    const NOW: u64 = 1_700_000_000;
    const KEY: [u8; 32] = *b"01234567890123456789012345678901";

    fn keys() -> TokenKeys {
        let key = |algorithm, key: &[u8], until| TokenKey::new(algorithm, key, until).unwrap();
        TokenKeys::new("turn.example")
            .with_key("north", key(TokenAlgorithm::A256Gcm, &KEY, None))
            .with_key("union", key(TokenAlgorithm::A128Gcm, &KEY[..16], None))
            .with_key("old", key(TokenAlgorithm::A256Gcm, &KEY, Some(NOW - 1)))
    }

    /// Seals what it is given, sound or not, as an authorization server does.
    fn seal(kid: &str, server: &str, block: &[u8]) -> Vec<u8> {
        let mut sealed = block.to_vec();
        let nonce = Nonce::assume_unique_for_key([9; 12]);
        let keys = keys();
        keys.keys[kid]
            .aead
            .seal_in_place_append_tag(nonce, Aad::from(server.as_bytes()), &mut sealed)
            .unwrap();
        [&[0, 12][..], &[9; 12], &sealed].concat()
    }

    fn block(mac_key: &[u8], seconds: u64, lifetime: u32) -> Vec<u8> {
        let length = u16::try_from(mac_key.len()).unwrap().to_be_bytes();
        let timestamp = (seconds << 16).to_be_bytes();
        [&length[..], mac_key, &timestamp, &lifetime.to_be_bytes()].concat()
    }

    fn outcome(kid: &str, token: &[u8], now: u64) -> Result<u64, TokenRefused> {
        keys().open(kid, token, now).map(|token| token.expires_at)
    }

    #[test]
    fn sealed_key_and_time_come_out_by_either_algorithm() {
        for kid in ["north", "union"] {
            let token = seal(kid, "turn.example", &block(&[7; 20], NOW, 600));
            let opened = keys().open(kid, &token, NOW).ok().unwrap();
            assert_eq!(opened.mac_key.expose(), &[7; 20]);
            assert_eq!(opened.expires_at, NOW + 600);
        }
    }

    #[test]
    fn tokens_that_coturns_tool_has_minted_are_opened() {
        // turnutils_oauth -e -i turn.example -j KID -l 1400000000 -m 9999999 -n ALG -k BASE64(key) -o BASE64(abcdefghijkl)
        //   -p BASE64(20 times m) -q $((1700000000 << 16)) -r 600
        for (kid, token) in [
            (
                "north",
                "AAxhYmNkZWZnaGlqa2wnvVkPzC4AKot6wYcExm3wBBt15oI4t2PU1xEfijIQtLTqKdHxTlXFF7JXY1eSf5FkjA==",
            ),
            (
                "union",
                "AAxhYmNkZWZnaGlqa2zNzODMZ9F5dgwMzdwwrKGHha5TAMXKCHiPJFbtSmZxjOY6HGs2tDJ4V5VChmIUdf15UA==",
            ),
        ] {
            let token = BASE64_STANDARD.decode(token).unwrap();
            let opened = keys().open(kid, &token, NOW + 1).ok().unwrap();
            assert_eq!(opened.mac_key.expose(), &[b'm'; 20]);
            assert_eq!(opened.expires_at, NOW + 600);
        }
    }

    #[test]
    fn token_of_another_key_or_for_another_server_is_broken() {
        let token = seal("north", "turn.example", &block(&[7; 20], NOW, 600));
        assert_eq!(outcome("union", &token, NOW), Err(TokenRefused::Broken));
        assert_eq!(outcome("south", &token, NOW), Err(TokenRefused::UnknownKey));
        let elsewhere = seal("north", "turn.else", &block(&[7; 20], NOW, 600));
        assert_eq!(outcome("north", &elsewhere, NOW), Err(TokenRefused::Broken));
        let old = seal("old", "turn.example", &block(&[7; 20], NOW, 600));
        assert_eq!(outcome("old", &old, NOW - 1), Ok(NOW + 600));
        assert_eq!(outcome("old", &old, NOW), Err(TokenRefused::UnknownKey));
    }

    #[test]
    fn token_counts_for_its_lifetime_and_five_seconds_of_skew() {
        // RFC 7635 §8: lifetime + Delta > abs(now - timestamp).
        let token = seal("north", "turn.example", &block(&[7; 20], NOW, 600));
        assert!(outcome("north", &token, NOW + 604).is_ok());
        assert_eq!(
            outcome("north", &token, NOW + 605),
            Err(TokenRefused::OutOfTime)
        );
        assert!(outcome("north", &token, NOW - 604).is_ok());
        assert_eq!(
            outcome("north", &token, NOW - 605),
            Err(TokenRefused::OutOfTime)
        );
        let for_ever = seal("north", "turn.example", &block(&[7; 20], NOW, u32::MAX));
        assert_eq!(
            outcome("north", &for_ever, u64::MAX),
            Err(TokenRefused::OutOfTime)
        );
        let last = seal("north", "turn.example", &block(&[7; 20], u64::MAX >> 16, 1));
        assert_eq!(outcome("north", &last, 0), Err(TokenRefused::OutOfTime));
    }

    #[test]
    fn lengths_that_do_not_fit_are_broken_sealed_or_not() {
        let sound = block(&[7; 20], NOW, 600);
        let mut claims_more = sound.clone();
        claims_more[1] = 21;
        let mut claims_most = sound.clone();
        claims_most[..2].copy_from_slice(&[0xFF, 0xFF]);
        let longer = [&sound[..], &[0]].concat();
        let mut inside: Vec<Vec<u8>> = (0..sound.len()).map(|end| sound[..end].to_vec()).collect();
        inside.extend([claims_more, claims_most, longer]);
        inside.extend([
            block(&[], NOW, 600),
            block(&[7; 19], NOW, 600),
            block(&[7; 65], NOW, 600),
        ]);
        for block in inside {
            let token = seal("north", "turn.example", &block);
            assert_eq!(
                outcome("north", &token, NOW),
                Err(TokenRefused::Broken),
                "{block:?}"
            );
        }
        let token = seal("north", "turn.example", &sound);
        for end in 0..token.len() {
            assert_eq!(
                outcome("north", &token[..end], NOW),
                Err(TokenRefused::Broken),
                "{end}"
            );
        }
        for length in [[0, 0], [0, 11], [0, 13], [0xFF, 0xFF]] {
            let mut changed = token.clone();
            changed[..2].copy_from_slice(&length);
            assert_eq!(outcome("north", &changed, NOW), Err(TokenRefused::Broken));
        }
        let long = [&token[..], &[0; MAX_TOKEN]].concat();
        assert_eq!(outcome("north", &long, NOW), Err(TokenRefused::Broken));
    }

    #[test]
    fn keys_have_the_length_of_their_algorithm() {
        for (algorithm, length) in [(TokenAlgorithm::A256Gcm, 32), (TokenAlgorithm::A128Gcm, 16)] {
            assert_eq!(algorithm.key_len(), length);
            for other in [0, 15, 16, 17, 31, 32, 33] {
                let key = TokenKey::new(algorithm, &vec![1; other], None);
                assert_eq!(key.is_some(), other == length, "{other}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_open_by_chance(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(outcome("north", &bytes, NOW), Err(TokenRefused::Broken));
        }

        #[test]
        fn sealed_blocks_of_any_bytes_never_panic(block in prop::collection::vec(any::<u8>(), 0..120), now in any::<u64>()) {
            let token = seal("union", "turn.example", &block);
            let _ = outcome("union", &token, now);
        }
    }
}
