//! REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY: one byte of family, three of padding (RFC 8656 §18.6, §18.11).
//!
//! The codec refuses families that it does not know, and lacks the second attribute. A server has to tell an unknown
//! family, which is 440, from a malformed value, which is 400.

use stun::attributes::AttrType;
use stun::message::{Message, Setter};

/// Names the kind of a relayed address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4, number 1.
    V4,
    /// IPv6, number 2.
    V6,
    /// A number that RFC 8656 does not define.
    Other(u8),
}

impl Family {
    /// Reads a value of exactly four bytes, of which the last three are ignored.
    pub(crate) fn from_value(value: &[u8]) -> Option<Self> {
        let &[number, _, _, _] = value else {
            return None;
        };
        Some(match number {
            1 => Self::V4,
            2 => Self::V6,
            other => Self::Other(other),
        })
    }

    pub(crate) fn number(self) -> u8 {
        match self {
            Self::V4 => 1,
            Self::V6 => 2,
            Self::Other(number) => number,
        }
    }
}

/// One of the two attributes, to be added to a message.
pub(crate) struct AddressFamily {
    pub(crate) kind: u16,
    pub(crate) family: Family,
}

impl Setter for AddressFamily {
    fn add_to(&self, message: &mut Message) -> Result<(), stun::Error> {
        message.add(AttrType(self.kind), &[self.family.number(), 0, 0, 0]);
        Ok(())
    }
}
