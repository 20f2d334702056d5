//! The borrowed view of a STUN message: checked once, then read without copying (RFC 8489 §5, §14).
//!
//! Everything that must be decided before a client has proven itself is read here. Not in: typed attributes of proven
//! requests (`request`), relayed data (`indication`).

use std::net::SocketAddr;

use crate::attr;
use crate::attr::discovery::{self, ChangeRequest};
use crate::attr::{fingerprint, xor_address};
use crate::integrity::{Integrity, IntegrityKey};
use crate::method::{Class, Method, split_type};
use crate::parse::ParseError;
use crate::request::Malformed;
use crate::{ATTRIBUTE_HEADER_LEN, HEADER_LEN, MAGIC_COOKIE, TransactionId};

/// Longest USERNAME that is read, in bytes: below 513 by RFC 5389 §15.3 (RFC 8489 has 509).
const MAX_USERNAME: usize = 512;

/// Longest REALM or NONCE that is read, in bytes: what RFC 8489 §14.9 and §14.10 tell receivers to expect.
const MAX_TEXT: usize = 763;

/// A STUN message in somebody else's buffer, whose structure has been checked to the last byte.
#[derive(Debug, Clone, Copy)]
pub struct MessageView<'a> {
    header: &'a [u8; HEADER_LEN],
    body: &'a [u8],
    /// The attributes before the first of MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 and FINGERPRINT.
    plain: &'a [u8],
    tail: Tail,
}

/// Where the closing attributes start in the body, those that count.
#[derive(Debug, Clone, Copy, Default)]
struct Tail {
    integrity: Option<usize>,
    integrity_sha256: Option<usize>,
    fingerprint: Option<usize>,
}

/// One attribute of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// The registered number.
    pub kind: u16,
    /// The value without its padding.
    pub value: &'a [u8],
}

/// What the FINGERPRINT of a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fingerprint {
    /// There is none.
    Absent,
    /// It matches the message.
    Right,
    /// It does not match, or is not four bytes long.
    Wrong,
}

impl<'a> MessageView<'a> {
    /// Checks that bytes whose first two bits are zero are one whole message: cookie, length, every attribute inside,
    /// FINGERPRINT last.
    pub(crate) fn parse(packet: &'a [u8]) -> Result<Self, ParseError> {
        let (header, body) = packet
            .split_first_chunk::<HEADER_LEN>()
            .ok_or(ParseError::TooShort)?;
        if u32::from_be_bytes([header[4], header[5], header[6], header[7]]) != MAGIC_COOKIE {
            return Err(ParseError::Cookie);
        }
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if length != body.len() || !length.is_multiple_of(4) {
            return Err(ParseError::Length);
        }
        let (plain, tail) = sections(body)?;
        Ok(Self {
            header,
            body,
            plain,
            tail,
        })
    }

    /// Returns the length of the whole message.
    pub fn packet_len(&self) -> usize {
        HEADER_LEN + self.body.len()
    }

    /// Returns method and class of the message type.
    #[inline]
    pub fn kind(&self) -> (Method, Class) {
        self.message_type()
    }

    /// Returns the class of the message type.
    pub fn class(&self) -> Class {
        self.message_type().1
    }

    /// Returns the method of the message type.
    pub fn method(&self) -> Method {
        self.message_type().0
    }

    /// Returns the transaction id.
    pub fn transaction_id(&self) -> TransactionId {
        let [.., a, b, c, d, e, f, g, h, i, j, k, l] = *self.header;
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }

    /// Returns the attributes that must be obeyed, in order.
    ///
    /// Nothing after MESSAGE-INTEGRITY but MESSAGE-INTEGRITY-SHA256 and FINGERPRINT, nothing after
    /// MESSAGE-INTEGRITY-SHA256 but FINGERPRINT (RFC 8489 §14.5, §14.6): anybody on the path could have added it.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        let body = self.body;
        let Tail {
            integrity,
            integrity_sha256,
            fingerprint,
        } = self.tail;
        let tail = [integrity, integrity_sha256, fingerprint]
            .into_iter()
            .flatten();
        self.plain_attributes()
            .map(|placed| placed.attribute)
            .chain(tail.filter_map(move |at| Some(placed_at(body, at).ok()?.attribute)))
    }

    /// Returns the value of the first attribute of a kind, among those that must be obeyed.
    pub fn attribute(&self, kind: u16) -> Option<&'a [u8]> {
        self.attributes()
            .find(|attribute| attribute.kind == kind)
            .map(|attribute| attribute.value)
    }

    /// Returns USERNAME, if it is UTF-8 of at most 512 bytes (RFC 8489 §14.3).
    pub fn username(&self) -> Option<&'a str> {
        self.text(attr::USERNAME, MAX_USERNAME)
    }

    /// Returns REALM, if it is UTF-8 of at most 763 bytes (RFC 8489 §14.9).
    pub fn realm(&self) -> Option<&'a str> {
        self.text(attr::REALM, MAX_TEXT)
    }

    /// Returns NONCE, if it is at most 763 bytes long (RFC 8489 §14.10).
    pub fn nonce(&self) -> Option<&'a [u8]> {
        self.attribute(attr::NONCE)
            .filter(|value| value.len() <= MAX_TEXT)
    }

    /// Returns USERHASH, if it is 32 bytes long (RFC 8489 §14.4).
    pub fn userhash(&self) -> Option<&'a [u8; 32]> {
        self.attribute(attr::USERHASH)?.try_into().ok()
    }

    /// Returns which attribute proves this message: MESSAGE-INTEGRITY-SHA256 if it is there, else MESSAGE-INTEGRITY (RFC 8489 §9.2.4).
    ///
    /// `None` if that one could not verify whatever the key, for it has not its full length.
    pub fn integrity(&self) -> Option<Integrity> {
        let integrity = if self.tail.integrity_sha256.is_some() {
            Integrity::Sha256
        } else {
            Integrity::Sha1
        };
        self.integrity_tag(integrity).map(|_| integrity)
    }

    /// Tells whether there is a MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256 that could verify.
    pub fn has_integrity(&self) -> bool {
        self.integrity().is_some()
    }

    /// Tells whether MESSAGE-INTEGRITY is there, whether or not MESSAGE-INTEGRITY-SHA256 is too.
    pub fn has_sha1_integrity(&self) -> bool {
        self.integrity_tag(Integrity::Sha1).is_some()
    }

    /// Verifies the attribute that the key is for, over the message up to it, as if nothing followed it; the comparison takes
    /// constant time.
    ///
    /// False as well if it is absent or not of its full length.
    pub fn verify(&self, key: &IntegrityKey) -> bool {
        let Some((at, tag)) = self.integrity_tag(key.integrity()) else {
            return false;
        };
        let end = at + key.integrity().attribute_len();
        let (Some(covered), Ok(length)) = (self.body.get(..at), u16::try_from(end)) else {
            return false;
        };
        key.verify([&self.header_with(length), covered], tag)
    }

    /// Checks FINGERPRINT (RFC 8489 §14.7).
    pub fn fingerprint(&self) -> Fingerprint {
        let Some(at) = self.tail.fingerprint else {
            return Fingerprint::Absent;
        };
        let (Ok(placed), Some(covered)) = (placed_at(self.body, at), self.body.get(..at)) else {
            return Fingerprint::Wrong;
        };
        // It is the last attribute, so the header's length is the one it was computed with.
        let expected = fingerprint::value([self.header, covered]);
        if placed.attribute.value == expected.to_be_bytes() {
            Fingerprint::Right
        } else {
            Fingerprint::Wrong
        }
    }

    /// Returns the kinds that must be understood and are not, as often as they occur (RFC 8489 §6.3.1).
    pub fn unknown_required(&self) -> impl Iterator<Item = u16> + use<'a> {
        self.plain_attributes()
            .map(|placed| placed.attribute.kind)
            .filter(|&kind| attr::is_required(kind) && !attr::is_understood(kind))
    }

    /// Returns the number in ERROR-CODE, such as 401 (RFC 8489 §14.8).
    pub fn error_code(&self) -> Option<u16> {
        let &[_, _, class, number, ..] = self.attribute(attr::ERROR_CODE)? else {
            return None;
        };
        Some(u16::from(class & 0b111) * 100 + u16::from(number))
    }

    /// Returns the first address of a kind such as [`attr::XOR_RELAYED_ADDRESS`], uncovered (RFC 8489 §14.2).
    pub fn xor_address(&self, kind: u16) -> Option<SocketAddr> {
        xor_address::decode(self.attribute(kind)?, &self.transaction_id())
    }

    /// Returns CHANGE-REQUEST (RFC 5780 §7.2).
    pub fn change_request(&self) -> Result<Option<ChangeRequest>, Malformed> {
        self.read(attr::CHANGE_REQUEST, ChangeRequest::from_value)
    }

    /// Returns RESPONSE-PORT (RFC 5780 §7.5).
    pub fn response_port(&self) -> Result<Option<u16>, Malformed> {
        self.read(attr::RESPONSE_PORT, discovery::response_port)
    }

    fn read<T>(
        &self,
        kind: u16,
        from_value: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, Malformed> {
        let Some(value) = self.attribute(kind) else {
            return Ok(None);
        };
        from_value(value)
            .map(Some)
            .ok_or(Malformed::Attribute(kind))
    }

    /// Returns the attributes before the closing ones, each with the place of its value in the packet.
    pub(crate) fn plain_attributes(&self) -> impl Iterator<Item = Placed<'a>> + use<'a> {
        let plain = self.plain;
        let mut at = 0;
        std::iter::from_fn(move || {
            let placed = placed_at(plain, at).ok()?;
            at = placed.next;
            Some(placed)
        })
    }

    /// Copies the message without its closing attributes: a message of its own, of what must be obeyed and nothing else.
    pub(crate) fn plain_message(&self) -> Vec<u8> {
        // The body is at most 65,535 long, for its length was read from 16 bits; so is any part of it.
        let length = u16::try_from(self.plain.len()).unwrap_or_default();
        [&self.header_with(length), self.plain].concat()
    }

    #[inline]
    fn message_type(&self) -> (Method, Class) {
        split_type(u16::from_be_bytes([self.header[0], self.header[1]]))
    }

    fn header_with(&self, length: u16) -> [u8; HEADER_LEN] {
        let mut header = *self.header;
        [header[2], header[3]] = length.to_be_bytes();
        header
    }

    fn integrity_tag(&self, integrity: Integrity) -> Option<(usize, &'a [u8])> {
        let at = match integrity {
            Integrity::Sha1 => self.tail.integrity,
            Integrity::Sha256 => self.tail.integrity_sha256,
        }?;
        let tag = placed_at(self.body, at).ok()?.attribute.value;
        (tag.len() == integrity.tag_len()).then_some((at, tag))
    }

    fn text(&self, kind: u16, max: usize) -> Option<&'a str> {
        let value = self.attribute(kind)?;
        if value.len() > max {
            None
        } else {
            std::str::from_utf8(value).ok()
        }
    }
}

/// An attribute and where it lies.
pub(crate) struct Placed<'a> {
    pub(crate) attribute: Attribute<'a>,
    /// Where its value starts in the packet, header included.
    pub(crate) value_start: usize,
    /// Where the next attribute starts in the body.
    next: usize,
}

/// Reads the attribute that starts at `at` in `body`, whose length is a multiple of 4: where a value fits, so does its padding.
fn placed_at(body: &[u8], at: usize) -> Result<Placed<'_>, ParseError> {
    let rest = body.get(at..).ok_or(ParseError::Overrun)?;
    let (&[kind_high, kind_low, length_high, length_low], rest) = rest
        .split_first_chunk::<ATTRIBUTE_HEADER_LEN>()
        .ok_or(ParseError::Overrun)?;
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    let value = rest.get(..length).ok_or(ParseError::Overrun)?;
    let value_at = at + ATTRIBUTE_HEADER_LEN;
    Ok(Placed {
        attribute: Attribute {
            kind: u16::from_be_bytes([kind_high, kind_low]),
            value,
        },
        value_start: HEADER_LEN + value_at,
        next: value_at + length.next_multiple_of(4),
    })
}

/// Walks all attributes once and finds the closing ones.
fn sections(body: &[u8]) -> Result<(&[u8], Tail), ParseError> {
    let mut tail = Tail::default();
    let mut plain_end = None;
    let mut at = 0;
    while at < body.len() {
        if tail.fingerprint.is_some() {
            return Err(ParseError::FingerprintNotLast);
        }
        let placed = placed_at(body, at)?;
        match placed.attribute.kind {
            attr::MESSAGE_INTEGRITY if plain_end.is_none() => tail.integrity = Some(at),
            attr::MESSAGE_INTEGRITY_SHA256 if tail.integrity_sha256.is_none() => {
                tail.integrity_sha256 = Some(at)
            }
            attr::FINGERPRINT => tail.fingerprint = Some(at),
            _ => {
                at = placed.next;
                continue;
            }
        }
        plain_end.get_or_insert(at);
        at = placed.next;
    }
    let plain = body
        .get(..plain_end.unwrap_or(body.len()))
        .unwrap_or_default();
    Ok((plain, tail))
}
