//! What the engine is told of cryptography. Beside its folder and not in it, since clients in tests are made of that folder too.

use super::provider::{provider, with_cookie};

#[test]
fn the_engine_finds_its_known_answers() {
    provider().validate().unwrap();
}

#[test]
fn a_cookie_counts_as_long_as_its_call_lasts() {
    let expected = || {
        provider()
            .hmac_provider
            .hmac_sha256(b"key", b"data")
            .unwrap()
    };
    let (cookie, real) = ([7; 32], expected());
    assert_eq!(with_cookie(Some(cookie), expected), cookie);
    assert_eq!(expected(), real);
    assert_eq!(with_cookie(None, expected), real);
    let caught = std::panic::catch_unwind(|| with_cookie(Some(cookie), || panic!("on purpose")));
    assert!(caught.is_err());
    assert_eq!(expected(), real);
}
