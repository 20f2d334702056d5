//! Tickets of mobile sessions (RFC 8016): a random name, and a keyed hash that tells a ticket of ours from a forged one.
//!
//! ```text
//!  0              16              24
//!  ├─random name──┤─SipHash-2-4───┤   in base64url: 32 characters, for clients that take a ticket for a string
//! ```
//!
//! Not in: which session a name leads to.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use siphasher::sip::SipHasher24;
use subtle::ConstantTimeEq;

/// A session's name, that nobody can guess.
pub type TicketName = [u8; 16];

/// Makes and opens tickets.
#[derive(Clone)]
pub struct TicketKey(SipHasher24);

impl TicketKey {
    /// Takes 128 random bits.
    pub fn new(key: [u8; 16]) -> Self {
        Self(SipHasher24::new_with_key(&key))
    }

    /// Writes the ticket for a name.
    pub fn seal(&self, name: &TicketName) -> [u8; 32] {
        let mut raw = [0; 24];
        raw[..16].copy_from_slice(name);
        raw[16..].copy_from_slice(&self.0.hash(name).to_be_bytes());
        let mut text = [0; 32];
        // 24 bytes are 32 characters, always.
        let written = BASE64_URL_SAFE_NO_PAD.encode_slice(raw, &mut text);
        debug_assert_eq!(written, Ok(32));
        text
    }

    /// Reads the name out of a ticket; `None` if we never wrote it.
    pub fn open(&self, ticket: &[u8]) -> Option<TicketName> {
        let text: &[u8; 32] = ticket.try_into().ok()?;
        let mut raw = [0; 24];
        BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut raw).ok()?;
        let name = raw.first_chunk()?;
        bool::from(self.seal(name).ct_eq(text)).then_some(*name)
    }
}

#[cfg(test)]
mod tests {
    use super::TicketKey;

    #[test]
    fn a_ticket_opens_with_the_key_that_sealed_it_and_unchanged() {
        let (ours, theirs) = (TicketKey::new([1; 16]), TicketKey::new([2; 16]));
        let ticket = ours.seal(&[7; 16]);
        assert!(ticket.iter().all(u8::is_ascii_graphic));
        assert_eq!(ours.open(&ticket), Some([7; 16]));
        assert_eq!(theirs.open(&ticket), None);
        for at in 0..ticket.len() {
            let mut forged = ticket;
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(ours.open(&forged), None, "{at}");
        }
        for wrong in [&b""[..], &ticket[1..], &[0; 32], &[0xFF; 33]] {
            assert_eq!(ours.open(wrong), None);
        }
    }
}
