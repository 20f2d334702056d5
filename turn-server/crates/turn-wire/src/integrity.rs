//! MESSAGE-INTEGRITY: HMAC-SHA1 with the key's half of the work done once (RFC 8489 §14.5).
//!
//! Not in: how a key is made from a user and a password, and which key belongs to whom.

use hmac::digest::Key;
use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use stun::message::{Message, Setter};
use subtle::ConstantTimeEq;

use crate::attr;
use crate::draft::append;

/// Length of an HMAC-SHA1.
pub(crate) const TAG_LEN: usize = 20;

/// Length of the attribute with its header.
pub(crate) const INTEGRITY_LEN: usize = 24;

/// Signs and verifies messages with one key; both hash states that depend on the key alone are kept.
///
/// It has no `Debug`: it is as good as the password.
#[derive(Clone)]
pub struct IntegrityKey(Hmac<Sha1>);

impl IntegrityKey {
    /// Prepares a key of any length: 16 bytes in the long-term mechanism, the password itself in the short-term one.
    pub fn new(key: &[u8]) -> Self {
        // RFC 2104 §2: a key longer than the block is hashed first, a shorter one is filled with zeroes.
        let mut block = Key::<Hmac<Sha1>>::default();
        match block.get_mut(..key.len()) {
            Some(front) => front.copy_from_slice(key),
            None => block
                .iter_mut()
                .zip(Sha1::digest(key))
                .for_each(|(slot, byte)| *slot = byte),
        }
        Self(Hmac::new(&block))
    }

    /// Computes the tag of a message given in pieces, its header's length already counting the attribute.
    pub(crate) fn tag(&self, pieces: [&[u8]; 2]) -> [u8; TAG_LEN] {
        let mut mac = self.0.clone();
        for piece in pieces {
            mac.update(piece);
        }
        mac.finalize().into_bytes().into()
    }

    /// Compares in constant time.
    pub(crate) fn verify(&self, pieces: [&[u8]; 2], tag: &[u8; TAG_LEN]) -> bool {
        self.tag(pieces).ct_eq(tag).into()
    }
}

impl Setter for IntegrityKey {
    fn add_to(&self, message: &mut Message) -> Result<(), stun::Error> {
        let before = message.length;
        message.length += INTEGRITY_LEN as u32;
        message.write_length();
        let tag = self.tag([&message.raw, &[]]);
        message.length = before;
        append(message, attr::MESSAGE_INTEGRITY, &tag);
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
