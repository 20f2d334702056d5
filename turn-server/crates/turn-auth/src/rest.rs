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
