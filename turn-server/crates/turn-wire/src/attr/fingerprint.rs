//! FINGERPRINT: a CRC-32 over everything before it (RFC 8489 §14.7).
//!
//! The codec builds its table on each call, which costs more than all the rest of a Binding.

use stun::message::{Message, Setter};

use crate::attr;
use crate::draft::append;

/// Length of the attribute with its header.
pub(crate) const FINGERPRINT_LEN: usize = 8;

/// The ASCII letters `STUN`, which tell the value from a CRC that the payload itself may carry.
const XOR_VALUE: u32 = 0x5354_554E;

/// The reversed polynomial of ISO/IEC 3309.
const POLYNOMIAL: u32 = 0xEDB8_8320;

/// `TABLES[k][b]` is what byte `b` does to the remainder when `k` more bytes follow, so that eight bytes take one step.
static TABLES: [[u32; 256]; 8] = tables();

/// Computes the value for a message given in pieces, its header's length already counting the attribute.
pub(crate) fn value(pieces: [&[u8]; 2]) -> u32 {
    !pieces.into_iter().fold(u32::MAX, advance) ^ XOR_VALUE
}

/// Adds the attribute to a message, as its last.
pub(crate) struct FingerprintSetter;

impl Setter for FingerprintSetter {
    fn add_to(&self, message: &mut Message) -> Result<(), stun::Error> {
        let before = message.length;
        message.length += FINGERPRINT_LEN as u32;
        message.write_length();
        let value = value([&message.raw, &[]]);
        message.length = before;
        append(message, attr::FINGERPRINT, &value.to_be_bytes());
        Ok(())
    }
}

fn advance(mut crc: u32, bytes: &[u8]) -> u32 {
    let (eights, rest) = bytes.as_chunks::<8>();
    for &[a, b, c, d, e, f, g, h] in eights {
        let [a, b, c, d] = (crc ^ u32::from_le_bytes([a, b, c, d])).to_le_bytes();
        crc = step(7, a)
            ^ step(6, b)
            ^ step(5, c)
            ^ step(4, d)
            ^ step(3, e)
            ^ step(2, f)
            ^ step(1, g)
            ^ step(0, h);
    }
    for byte in rest {
        crc = (crc >> 8) ^ step(0, (crc as u8) ^ byte);
    }
    crc
}

fn step(following: usize, byte: u8) -> u32 {
    TABLES[following][usize::from(byte)]
}

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ POLYNOMIAL
            } else {
                crc >> 1
            };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut following = 1;
    while following < 8 {
        let mut byte = 0;
        while byte < 256 {
            let crc = tables[following - 1][byte];
            tables[following][byte] = (crc >> 8) ^ tables[0][(crc & 0xFF) as usize];
            byte += 1;
        }
        following += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_check_value_of_crc_32_comes_out() {
        // The registered check input of CRC-32/ISO-HDLC.
        assert_eq!(value([b"123456789", b""]) ^ XOR_VALUE, 0xCBF4_3926);
    }

    proptest! {
        #[test]
        fn any_bytes_in_two_pieces_give_the_codecs_value(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..200_usize) {
            let (front, back) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(value([front, back]), stun::fingerprint::fingerprint_value(&bytes));
        }
    }
}
