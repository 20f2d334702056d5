//! Time-limited credentials from a shared secret (draft-uberti-behave-turn-rest-00): the username carries its expiry, the
//! password is an HMAC of the username.
//!
//! Not in: who gets one, and the HTTP around it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::digest::Key;
use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};

/// A credential to hand to a client.
#[derive(Clone, PartialEq, Eq)]
pub struct Minted {
    /// `expiry`, or `expiry:user`.
    pub username: String,
    /// Base64 of an HMAC-SHA1.
    pub password: String,
    /// Last second in which it is accepted, Unix time.
    pub expires_at: u64,
}

/// Makes a credential for `user` that lasts `ttl_secs` from now; with no user the username is the expiry alone.
pub fn mint(secret: &[u8], user: &str, ttl_secs: u64, now_unix: u64, separator: char) -> Minted {
    let expires_at = now_unix.saturating_add(ttl_secs);
    let username = if user.is_empty() {
        expires_at.to_string()
    } else {
        format!("{expires_at}{separator}{user}")
    };
    let password = password(secret, &username);
    Minted {
        username,
        password,
        expires_at,
    }
}

/// Computes the password that belongs to a username: base64(HMAC-SHA1(secret, username)).
pub fn password(secret: &[u8], username: &str) -> String {
    // RFC 2104 §2: a key longer than the block is hashed first, a shorter one is filled with zeroes.
    let mut block = Key::<Hmac<Sha1>>::default();
    match block.get_mut(..secret.len()) {
        Some(front) => front.copy_from_slice(secret),
        None => block
            .iter_mut()
            .zip(Sha1::digest(secret))
            .for_each(|(slot, byte)| *slot = byte),
    }
    let mut mac = Hmac::<Sha1>::new(&block);
    mac.update(username.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

/// What a username says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a> {
    /// Last second in which it is accepted, Unix time; never 0.
    pub expires_at: u64,
    /// The part beside the expiry; empty if there is none.
    pub user: &'a str,
}

/// Reads a username: `expiry`, `expiry:user` or `user:expiry`; a separator in front of it all is skipped.
///
/// When both parts are digits the first is the expiry. `None` if there is no expiry, if it is 0, or if it exceeds 64 bits.
pub fn parse(username: &str, separator: char) -> Option<Name<'_>> {
    let name = username.strip_prefix(separator).unwrap_or(username);
    let Some((front, back)) = name.split_once(separator) else {
        return Some(Name {
            expires_at: expiry(name)?,
            user: "",
        });
    };
    if is_number(front) {
        return Some(Name {
            expires_at: expiry(front)?,
            user: back,
        });
    }
    // Digits up to a further separator count, as they do where these names come from: `user:1700000000:device`.
    let digits = back.split(separator).next().unwrap_or(back);
    if front.is_empty() {
        None
    } else {
        Some(Name {
            expires_at: expiry(digits)?,
            user: front,
        })
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn expiry(text: &str) -> Option<u64> {
    // `u64::from_str` alone would take a leading plus.
    if is_number(text) {
        text.parse().ok().filter(|&seconds| seconds != 0)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn password_is_the_one_that_openssl_computes() {
        // printf '1433895918:alice' | openssl dgst -sha1 -hmac 'north' -binary | base64
        assert_eq!(
            password(b"north", "1433895918:alice"),
            "RqMvcGPYTJMGThVLSi4amT4zFtI="
        );
        // printf '1433895918' | openssl dgst -sha1 -hmac 'north' -binary | base64
        assert_eq!(
            password(b"north", "1433895918"),
            "3dkl8uIBelQlraT8v9eCSJTyt+U="
        );
    }

    #[test]
    fn secret_longer_than_a_hash_block_gives_the_password_of_openssl_too() {
        // printf '1433895918:alice' | openssl dgst -sha1 -hmac "$(printf 'k%.0s' $(seq 100))" -binary | base64
        assert_eq!(
            password(&[b'k'; 100], "1433895918:alice"),
            "UnLlOdFB6IIu0V3TwlUfBJKJbIs="
        );
    }

    #[test]
    fn minted_credential_names_its_expiry_and_carries_the_matching_password() {
        let minted = mint(b"north", "alice", 600, 1_433_895_318, ':');
        assert_eq!(minted.username, "1433895918:alice");
        assert_eq!(minted.password, "RqMvcGPYTJMGThVLSi4amT4zFtI=");
        assert_eq!(minted.expires_at, 1_433_895_918);
    }

    #[test]
    fn credential_without_a_user_is_the_bare_expiry() {
        assert_eq!(
            mint(b"north", "", 600, 1_433_895_318, ':').username,
            "1433895918"
        );
    }

    #[test]
    fn lifetime_beyond_the_clock_ends_at_its_last_second() {
        let minted = mint(b"north", "alice", u64::MAX, 1_433_895_318, ':');
        assert_eq!(minted.expires_at, u64::MAX);
        assert_eq!(minted.username, "18446744073709551615:alice");
    }

    #[test]
    fn both_orders_of_expiry_and_user_are_read() {
        for (username, user) in [
            ("1700000000:alice", "alice"),
            ("alice:1700000000", "alice"),
            ("1700000000", ""),
            (":1700000000", ""),
            (":1700000000:alice", "alice"),
            ("1700000000:", ""),
            ("1700000000:alice:home", "alice:home"),
            ("alice:1700000000:home", "alice"),
            // Both are numbers: the first is the expiry.
            ("1700000000:1800000000", "1800000000"),
        ] {
            assert_eq!(
                parse(username, ':'),
                Some(Name {
                    expires_at: 1_700_000_000,
                    user
                }),
                "{username}"
            );
        }
    }

    #[test]
    fn usernames_without_a_usable_expiry_are_not_read() {
        for username in [
            "",
            ":",
            "::",
            "alice",
            "alice:",
            ":alice",
            "alice:bob",
            "0",
            "0:alice",
            "alice:0",
            "00",
            "+1700000000",
            "-1700000000",
            "+1700000000:alice",
            "alice:+1700000000",
            "1700000000.5:alice",
            "1e9:alice",
            " 1700000000:alice",
            "0x65:alice",
            "18446744073709551616:alice",
            "alice:18446744073709551616",
            "99999999999999999999999999",
            "::1700000000",
            "١٧:alice",
        ] {
            assert_eq!(parse(username, ':'), None, "{username}");
        }
    }

    #[test]
    fn last_second_of_64_bits_is_an_expiry() {
        assert_eq!(
            parse("18446744073709551615:x", ':'),
            Some(Name {
                expires_at: u64::MAX,
                user: "x"
            })
        );
    }

    #[test]
    fn another_separator_takes_the_place_of_the_colon() {
        assert_eq!(
            mint(b"north", "a:b", 1, 1_699_999_999, '|').username,
            "1700000000|a:b"
        );
        assert_eq!(
            parse("1700000000|a:b", '|'),
            Some(Name {
                expires_at: 1_700_000_000,
                user: "a:b"
            })
        );
        assert_eq!(parse("1700000000:alice", '|'), None);
        assert_eq!(
            parse("1700000000→alice", '→'),
            Some(Name {
                expires_at: 1_700_000_000,
                user: "alice"
            })
        );
    }

    proptest! {
        #[test]
        fn what_is_minted_is_read_back(
            secret in prop::collection::vec(any::<u8>(), 0..100),
            user in "\\PC{0,30}",
            (ttl, now) in (any::<u64>(), 1..u64::MAX),
            separator in prop::sample::select(vec![':', '|', '-', '@', '→']),
        ) {
            let minted = mint(&secret, &user, ttl, now, separator);
            prop_assert_eq!(&minted.password, &password(&secret, &minted.username));
            prop_assert_eq!(parse(&minted.username, separator), Some(Name { expires_at: minted.expires_at, user: &user }));
        }

        #[test]
        fn whatever_is_read_is_a_nonzero_expiry_written_in_the_name(username in "[0-9:a+]{0,30}|\\PC{0,30}") {
            if let Some(name) = parse(&username, ':') {
                prop_assert!(name.expires_at != 0);
                prop_assert!(username.contains(&name.expires_at.to_string()));
                prop_assert!(username.contains(name.user));
            }
        }
    }
}
