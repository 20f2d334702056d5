//! Tests of access tokens.

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
fn keys_are_those_of_the_server_that_tokens_are_made_out_to() {
    assert_eq!(keys().server(), "turn.example");
}

/// A longer one is not even copied: what is looked at is cut before anything is opened.
#[test]
fn token_is_read_up_to_its_largest_length() {
    let mut token = seal("north", "turn.example", &block(&[7; 20], NOW, 600));
    token.resize(MAX_TOKEN, 0);
    assert!(parts(&token).is_some());
    token.push(0);
    assert!(parts(&token).is_none());
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
