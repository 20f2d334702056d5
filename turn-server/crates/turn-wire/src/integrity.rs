//! MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256, with the key's half of the work done once (RFC 8489 §14.5, §14.6).
//!
//! Not in: how a key is made from a user and a password, and which key belongs to whom.

use hmac::digest::{Digest, Key, Output};
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use stun::message::{Message, Setter};
use subtle::ConstantTimeEq;

use crate::attr;
use crate::draft::append;

/// Length of an HMAC-SHA1.
const SHA1_LEN: usize = 20;

/// Length of an HMAC-SHA-256. A usage may allow parts of it, of 16 bytes and more, but only by saying so (RFC 8489 §14.6);
/// TURN does not (RFC 8656 §5), so that only the whole counts here.
const SHA256_LEN: usize = 32;

/// Length of both attributes with their headers.
pub(crate) const BOTH_LEN: usize = 4 + SHA1_LEN + 4 + SHA256_LEN;

/// Which of both attributes proves a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Integrity {
    /// MESSAGE-INTEGRITY, an HMAC-SHA1 (RFC 8489 §14.5).
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256 (RFC 8489 §14.6).
    Sha256,
}

impl Integrity {
    /// The length of its value.
    pub(crate) const fn tag_len(self) -> usize {
        match self {
            Self::Sha1 => SHA1_LEN,
            Self::Sha256 => SHA256_LEN,
        }
    }

    /// The length of the attribute with its header; both are multiples of four.
    pub(crate) const fn attribute_len(self) -> usize {
        4 + self.tag_len()
    }
}

/// Signs and verifies messages with one key and one of both attributes; both hash states that depend on the key alone are kept.
///
/// It has no `Debug`: it is as good as the password.
#[derive(Clone)]
pub struct IntegrityKey(Keyed);

#[derive(Clone)]
enum Keyed {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
}

impl IntegrityKey {
    /// Prepares a key of any length for MESSAGE-INTEGRITY: 16 bytes in the long-term mechanism, the password itself in the
    /// short-term one.
    pub fn new(key: &[u8]) -> Self {
        Self::of(Integrity::Sha1, key)
    }

    /// Prepares a key of any length for either attribute.
    pub fn of(integrity: Integrity, key: &[u8]) -> Self {
        Self(match integrity {
            Integrity::Sha1 => Keyed::Sha1(keyed::<Sha1>(key)),
            Integrity::Sha256 => Keyed::Sha256(keyed::<Sha256>(key)),
        })
    }

    /// Which attribute it signs and verifies.
    pub fn integrity(&self) -> Integrity {
        match self.0 {
            Keyed::Sha1(_) => Integrity::Sha1,
            Keyed::Sha256(_) => Integrity::Sha256,
        }
    }

    /// Compares in constant time; the header's length already counts the attribute.
    pub(crate) fn verify(&self, pieces: [&[u8]; 2], tag: &[u8]) -> bool {
        let right = match &self.0 {
            Keyed::Sha1(mac) => sign(mac, pieces).as_slice().ct_eq(tag),
            Keyed::Sha256(mac) => sign(mac, pieces).as_slice().ct_eq(tag),
        };
        right.into()
    }
}

/// RFC 2104 §2: a key longer than the block is hashed first, a shorter one is filled with zeroes.
fn keyed<D: EagerHash + Digest>(key: &[u8]) -> Hmac<D> {
    let mut block = Key::<Hmac<D>>::default();
    match block.get_mut(..key.len()) {
        Some(front) => front.copy_from_slice(key),
        None => block
            .iter_mut()
            .zip(<D as Digest>::digest(key))
            .for_each(|(slot, byte)| *slot = byte),
    }
    Hmac::new(&block)
}

fn sign<M: Mac + Clone>(keyed: &M, pieces: [&[u8]; 2]) -> Output<M> {
    let mut mac = keyed.clone();
    for piece in pieces {
        mac.update(piece);
    }
    mac.finalize().into_bytes()
}

impl Setter for IntegrityKey {
    fn add_to(&self, message: &mut Message) -> Result<(), stun::Error> {
        let before = message.length;
        message.length += self.integrity().attribute_len() as u32;
        message.write_length();
        let pieces: [&[u8]; 2] = [&message.raw, &[]];
        match &self.0 {
            Keyed::Sha1(mac) => {
                let tag = sign(mac, pieces);
                message.length = before;
                append(message, attr::MESSAGE_INTEGRITY, &tag);
            }
            Keyed::Sha256(mac) => {
                let tag = sign(mac, pieces);
                message.length = before;
                append(message, attr::MESSAGE_INTEGRITY_SHA256, &tag);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stun::integrity::MessageIntegrity;

    #[test]
    fn keys_below_at_and_above_the_block_sign_as_the_codec_signs() {
        for length in [0, 1, 16, 63, 64, 65, 200] {
            let key: Vec<u8> = (0..length).collect();
            let mut theirs = Message::new();
            theirs.write_header();
            let mut ours = theirs.clone();
            MessageIntegrity(key.clone()).add_to(&mut theirs).unwrap();
            IntegrityKey::new(&key).add_to(&mut ours).unwrap();
            assert_eq!(ours.raw, theirs.raw, "key of {length} bytes");
        }
    }
}
