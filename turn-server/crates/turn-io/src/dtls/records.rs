//! Records of DTLS 1.2 (RFC 6347 §4.1), as far as something is to be known or changed of them outside the engine.
//!
//! ```text
//! 0    1       3       5                11      13
//! ├kind┼version┼─epoch─┼──number (48)───┼─length┼─body…
//! ```

use std::ops::Range;

/// Bytes before a record's body.
pub(super) const HEADER: usize = 13;
/// The content type of handshake messages.
pub(super) const HANDSHAKE: u8 = 22;
/// The content type of alerts.
pub(super) const ALERT: u8 = 21;

/// How versions are written: DTLS 1.0, and 1.2.
pub(super) const DTLS_1_0: [u8; 2] = [0xFE, 0xFF];
pub(super) const DTLS_1_2: [u8; 2] = [0xFE, 0xFD];

const EPOCH: Range<usize> = 3..5;
const NUMBER: Range<usize> = 5..11;
/// Epoch and number together: what never repeats on an association.
const SEQUENCE: Range<usize> = 3..11;
const LENGTH: Range<usize> = 11..13;
/// Numbers are 48 bits wide.
const NUMBERS: u64 = (1 << 48) - 1;

/// Whether a datagram is one of DTLS and none of STUN or TURN (RFC 7983 §7).
pub(crate) fn is_dtls(first: u8) -> bool {
    matches!(first, 20..=63)
}

/// One record as it is on the wire.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) kind: u8,
    pub(super) epoch: u16,
    pub(super) number: u64,
    pub(super) body: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record that a datagram begins with, if it is whole.
    pub(super) fn first(datagram: &'a [u8]) -> Option<Self> {
        let (kind, version) = (*datagram.first()?, datagram.get(1..3)?);
        if version != DTLS_1_0 && version != DTLS_1_2 {
            return None;
        }
        let length = HEADER + usize::from(read_u16(datagram, LENGTH)?);
        Some(Self {
            kind,
            epoch: read_u16(datagram, EPOCH)?,
            number: read_number(datagram)?,
            body: datagram.get(HEADER..length)?,
        })
    }

    /// Whether it carries a handshake message of this type in the clear, or the beginning of one.
    pub(super) fn is_plain_handshake(&self, message: u8) -> bool {
        (self.kind, self.epoch) == (HANDSHAKE, 0) && self.body.first() == Some(&message)
    }
}

/// What the engine leaves to be done to the records that it sends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Finish {
    /// How far the numbers of plain records are ahead of the engine's. The first ServerHello has the number of the
    /// ClientHello that it answers (RFC 6347 §4.2.1), however many of those there were.
    pub(super) ahead: u64,
    /// Whether sealed records begin with the explicit half of their nonce.
    pub(super) explicit_nonce: bool,
}

impl Finish {
    /// Does it to all records of a datagram.
    pub(super) fn apply(self, datagram: &mut [u8]) {
        let mut rest = datagram;
        while let Some(length) = read_u16(rest, LENGTH) {
            let Some((record, behind)) = rest.split_at_mut_checked(HEADER + usize::from(length))
            else {
                return;
            };
            self.apply_to(record);
            rest = behind;
        }
    }

    fn apply_to(self, record: &mut [u8]) {
        if read_u16(record, EPOCH) == Some(0) {
            let number = read_number(record).unwrap_or_default();
            let number = number.wrapping_add(self.ahead) & NUMBERS;
            if let (Some(field), [_, _, number @ ..]) =
                (record.get_mut(NUMBER), number.to_be_bytes())
            {
                field.copy_from_slice(&number);
            }
        } else if self.explicit_nonce {
            let explicit = HEADER..HEADER + SEQUENCE.len();
            if record.len() >= explicit.end {
                record.copy_within(SEQUENCE, explicit.start);
            }
        }
    }
}

fn read_u16(bytes: &[u8], at: Range<usize>) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at)?.try_into().ok()?))
}

fn read_number(bytes: &[u8]) -> Option<u64> {
    let read = |number, byte: &u8| number << 8 | u64::from(*byte);
    Some(bytes.get(NUMBER)?.iter().fold(0, read))
}
