//! PASSWORD-ALGORITHM and PASSWORD-ALGORITHMS: a number, and parameters that no algorithm has yet (RFC 8489 §14.11, §14.12).
//!
//! ```text
//!  0           2                     4
//!  ├─algorithm─┤─parameters' length──┤─parameters, padded to 4 …
//! ```

use stun::attributes::AttrType;
use stun::message::{Message, Setter};

use crate::attr;

/// How a long-term key is made from a password (RFC 8489 §18.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PasswordAlgorithm {
    /// MD5, a key of 16 bytes (RFC 8489 §18.5.1.1).
    Md5,
    /// SHA-256, a key of 32 bytes (RFC 8489 §18.5.1.2).
    Sha256,
}

impl PasswordAlgorithm {
    /// Reads the value of PASSWORD-ALGORITHM; `None` for an algorithm that is not known here, parameters that it does not
    /// have, or a value that is cut.
    pub fn from_value(value: &[u8]) -> Option<Self> {
        // Both known algorithms have parameters of length zero (§18.5.1).
        match value {
            [0, 1, 0, 0] => Some(Self::Md5),
            [0, 2, 0, 0] => Some(Self::Sha256),
            _ => None,
        }
    }

    /// Returns the value of PASSWORD-ALGORITHM, of which PASSWORD-ALGORITHMS is a sequence.
    pub const fn value(self) -> [u8; 4] {
        match self {
            Self::Md5 => [0, 1, 0, 0],
            Self::Sha256 => [0, 2, 0, 0],
        }
    }
}

/// PASSWORD-ALGORITHM, to be added to a message.
impl Setter for PasswordAlgorithm {
    fn add_to(&self, message: &mut Message) -> Result<(), stun::Error> {
        message.add(AttrType(attr::PASSWORD_ALGORITHM), &self.value());
        Ok(())
    }
}
