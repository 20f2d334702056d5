//! Send and Data indications, read and written in place: the relay's fast path for clients that bind no channels (RFC 8656 §11).
//!
//! Not in: permissions.

use std::net::SocketAddr;
use std::ops::Range;

use crate::attr::{self, xor_address};
use crate::method::{Class, Method, join_type};
use crate::parse::ParseError;
use crate::view::MessageView;
use crate::{ATTRIBUTE_HEADER_LEN, HEADER_LEN, HEADROOM, MAGIC_COOKIE, TransactionId};

/// What a Send or Data indication carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendIndication {
    /// The peer that the data goes to, or came from.
    pub peer: SocketAddr,
    /// Where the data lies in the packet.
    pub data: Range<usize>,
    /// DONT-FRAGMENT is there (RFC 8656 §18.9).
    pub dont_fragment: bool,
}

/// Reads a Send indication (RFC 8656 §11.2). Of several peers or data the first counts.
///
/// Fails on another message, a missing or malformed peer, missing data, and attributes that must be understood and are
/// not. DONT-FRAGMENT is reported, for the caller to judge.
pub fn parse_send(view: &MessageView<'_>) -> Result<SendIndication, ParseError> {
    parse_indication(view, Method::SEND)
}

/// Reads a Data indication, as a client does (RFC 8656 §11.4).
pub fn parse_data(view: &MessageView<'_>) -> Result<SendIndication, ParseError> {
    parse_indication(view, Method::DATA)
}

#[inline]
fn parse_indication(view: &MessageView<'_>, method: Method) -> Result<SendIndication, ParseError> {
    if view.kind() != (method, Class::Indication) {
        return Err(ParseError::OtherMessage);
    }
    let mut peer = None;
    let mut data = None;
    let mut dont_fragment = false;
    for placed in view.plain_attributes() {
        let value = placed.attribute.value;
        match placed.attribute.kind {
            attr::XOR_PEER_ADDRESS if peer.is_none() => {
                let address = xor_address::decode(value, &view.transaction_id());
                peer = Some(address.ok_or(ParseError::Attribute(attr::XOR_PEER_ADDRESS))?);
            }
            attr::DATA if data.is_none() => {
                data = Some(placed.value_start..placed.value_start + value.len())
            }
            attr::DONT_FRAGMENT => dont_fragment = true,
            kind if attr::is_required(kind) && !attr::is_understood(kind) => {
                return Err(ParseError::Unknown(kind));
            }
            _ => {}
        }
    }
    Ok(SendIndication {
        peer: peer.ok_or(ParseError::Missing(attr::XOR_PEER_ADDRESS))?,
        data: data.ok_or(ParseError::Missing(attr::DATA))?,
        dont_fragment,
    })
}

/// Writes a Data indication around `payload` and returns the range of the whole message (RFC 8656 §11.3).
///
/// 36 bytes go in front for an IPv4 peer, 48 for IPv6, up to 3 zeroes behind. `None` if they do not fit into `buf` or the
/// message would be longer than its length field can say; `buf` may then be partly written.
pub fn write_data_indication(
    buf: &mut [u8],
    payload: Range<usize>,
    peer: SocketAddr,
    id: TransactionId,
) -> Option<Range<usize>> {
    write_indication(buf, payload, Method::DATA, peer, id)
}

/// Writes a Send indication around `payload`, as a client does (RFC 8656 §11.1); otherwise as [`write_data_indication`].
pub fn write_send_indication(
    buf: &mut [u8],
    payload: Range<usize>,
    peer: SocketAddr,
    id: TransactionId,
) -> Option<Range<usize>> {
    write_indication(buf, payload, Method::SEND, peer, id)
}

/// ```text
///  start                                                payload.start    payload.end
///  ├─header 20────┤─XOR-PEER-ADDRESS 12 or 24─┤─DATA 4─┤ payload ………    ├─0…3 zeroes─┤
/// ```
fn write_indication(
    buf: &mut [u8],
    payload: Range<usize>,
    method: Method,
    peer: SocketAddr,
    id: TransactionId,
) -> Option<Range<usize>> {
    let data_len = payload.end.checked_sub(payload.start)?;
    let data_field = u16::try_from(data_len).ok()?;
    let address = xor_address::encode(peer, &id);
    let address = address.as_slice();
    let front_len = HEADER_LEN + ATTRIBUTE_HEADER_LEN + address.len() + ATTRIBUTE_HEADER_LEN;
    let start = payload.start.checked_sub(front_len)?;
    let end = payload
        .end
        .checked_add(data_len.next_multiple_of(4) - data_len)?;
    let length = u16::try_from(end - start - HEADER_LEN).ok()?;

    let mut front = Front {
        bytes: [0; HEADROOM],
        length: 0,
    };
    front.push(&join_type(method, Class::Indication).to_be_bytes());
    front.push(&length.to_be_bytes());
    front.push(&MAGIC_COOKIE.to_be_bytes());
    front.push(&id);
    front.push(&attr::XOR_PEER_ADDRESS.to_be_bytes());
    front.push(&(address.len() as u16).to_be_bytes());
    front.push(address);
    front.push(&attr::DATA.to_be_bytes());
    front.push(&data_field.to_be_bytes());

    buf.get_mut(payload.end..end)?.fill(0);
    buf.get_mut(start..payload.start)?
        .copy_from_slice(front.bytes.get(..front_len)?);
    Some(start..end)
}

/// What is put before a payload.
struct Front {
    bytes: [u8; HEADROOM],
    length: usize,
}

impl Front {
    fn push(&mut self, piece: &[u8]) {
        let end = self.length + piece.len();
        if let Some(slot) = self.bytes.get_mut(self.length..end) {
            slot.copy_from_slice(piece);
            self.length = end;
        }
    }
}
