//! EVEN-PORT: one byte whose top bit, R, also reserves the next port (RFC 8656 §18.7).
//!
//! The codec's type keeps R private, both ways.

use stun::attributes::ATTR_EVEN_PORT;
use stun::message::{Message, Setter};

const R: u8 = 0b1000_0000;

/// Asks for an even port, and perhaps for the next one to be held.
pub(crate) struct EvenPort {
    pub(crate) reserve_next: bool,
}

impl EvenPort {
    /// Reads a value of exactly one byte; the seven low bits are ignored.
    pub(crate) fn from_value(value: &[u8]) -> Option<Self> {
        let &[byte] = value else { return None };
        Some(Self {
            reserve_next: byte & R != 0,
        })
    }
}

impl Setter for EvenPort {
    fn add_to(&self, message: &mut Message) -> Result<(), stun::Error> {
        message.add(ATTR_EVEN_PORT, &[if self.reserve_next { R } else { 0 }]);
        Ok(())
    }
}
