//! Binding of classic STUN: no magic cookie, a transaction id of 16 bytes, addresses in the clear (RFC 3489; RFC 8489 §11).
//!
//! Nothing else is read of that age: no credentials, no RESPONSE-ADDRESS (answers would go to strangers), no other method.

use std::net::{IpAddr, SocketAddr};

use crate::attr::{self, discovery::ChangeRequest};
use crate::method::{Class, Method, join_type};
use crate::parse::ParseError;
use crate::{ATTRIBUTE_HEADER_LEN, HEADER_LEN, MAGIC_COOKIE};

/// A Binding request without a magic cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassicBinding {
    /// The transaction id, whose first four bytes are where the cookie stands today.
    id: [u8; 16],
    /// The kinds that must be understood and are not, each once, in order.
    unknown: Vec<u16>,
    change: ChangeRequest,
}

/// Where an answer comes from, and where it would come from if both address and port were changed (RFC 3489 §11.2.3, §11.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassicPlaces {
    /// SOURCE-ADDRESS.
    pub source: SocketAddr,
    /// CHANGED-ADDRESS.
    pub changed: SocketAddr,
}

/// Most kinds that an answer lists; RFC 3489 defines eleven attributes.
const MAX_UNKNOWN: usize = 16;

/// Reads a Binding request of RFC 3489 §8.1.
pub fn parse_classic_binding(datagram: &[u8]) -> Result<ClassicBinding, ParseError> {
    let (header, mut body) = datagram
        .split_first_chunk::<HEADER_LEN>()
        .ok_or(ParseError::TooShort)?;
    let [kind_high, kind_low, length_high, length_low, id @ ..] = *header;
    if [kind_high, kind_low] != join_type(Method::BINDING, Class::Request).to_be_bytes() {
        return Err(ParseError::OtherMessage);
    }
    if id.starts_with(&MAGIC_COOKIE.to_be_bytes()) {
        return Err(ParseError::Cookie);
    }
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    if length != body.len() || !length.is_multiple_of(4) {
        return Err(ParseError::Length);
    }
    let mut unknown = Vec::new();
    let mut change = None;
    while !body.is_empty() {
        let (&[kind_high, kind_low, length_high, length_low], rest) = body
            .split_first_chunk::<ATTRIBUTE_HEADER_LEN>()
            .ok_or(ParseError::Overrun)?;
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let (value, rest) = rest
            .split_at_checked(length.next_multiple_of(4))
            .ok_or(ParseError::Overrun)?;
        body = rest;
        let kind = u16::from_be_bytes([kind_high, kind_low]);
        let asked = (kind == attr::CHANGE_REQUEST)
            .then(|| ChangeRequest::from_value(value))
            .flatten();
        change = change.or(asked);
        let taken = asked.is_some() || kind == attr::USERNAME || !attr::is_required(kind);
        if !taken && !unknown.contains(&kind) && unknown.len() < MAX_UNKNOWN {
            unknown.push(kind);
        }
    }
    Ok(ClassicBinding {
        id,
        unknown,
        change: change.unwrap_or_default(),
    })
}

impl ClassicBinding {
    /// Where the answer shall come from (RFC 3489 §11.2.4).
    pub fn change(&self) -> ChangeRequest {
        self.change
    }

    /// Makes CHANGE-REQUEST an unknown attribute, as it is to servers of today (RFC 8489 §11); one that asks for no change
    /// harms nobody.
    pub fn refuse_change(&mut self) {
        let asks = self.change != ChangeRequest::default();
        let listed = self.unknown.contains(&attr::CHANGE_REQUEST);
        if asks && !listed && self.unknown.len() < MAX_UNKNOWN {
            self.unknown.push(attr::CHANGE_REQUEST);
        }
    }

    /// Writes the answer: where the request came from, or 420 with what was not understood (RFC 3489 §8.1).
    pub fn answer(&self, client: SocketAddr, places: Option<ClassicPlaces>) -> Vec<u8> {
        let mut attributes = Vec::new();
        let class = if self.unknown.is_empty() {
            put(&mut attributes, attr::MAPPED_ADDRESS, &plain(client));
            if let Some(ClassicPlaces { source, changed }) = places {
                put(&mut attributes, attr::SOURCE_ADDRESS, &plain(source));
                put(&mut attributes, attr::CHANGED_ADDRESS, &plain(changed));
            }
            Class::Success
        } else {
            put(&mut attributes, attr::ERROR_CODE, &[0, 0, 4, 20]);
            let mut kinds: Vec<u8> = (self.unknown.iter())
                .flat_map(|kind| kind.to_be_bytes())
                .collect();
            // RFC 3489 §11.2.10: there is no padding yet, so one of an odd number is said twice.
            if let (false, Some(last)) = (kinds.len().is_multiple_of(4), self.unknown.last()) {
                kinds.extend(last.to_be_bytes());
            }
            put(&mut attributes, attr::UNKNOWN_ATTRIBUTES, &kinds);
            Class::Error
        };
        let length = u16::try_from(attributes.len()).unwrap_or_default();
        let kind = join_type(Method::BINDING, class).to_be_bytes();
        [&kind[..], &length.to_be_bytes(), &self.id, &attributes].concat()
    }

    /// Tells whether the answer will be an error.
    pub fn is_refused(&self) -> bool {
        !self.unknown.is_empty()
    }
}

fn put(attributes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    // All values here are a few bytes long, in fours.
    let length = u16::try_from(value.len()).unwrap_or_default();
    attributes.extend(kind.to_be_bytes());
    attributes.extend(length.to_be_bytes());
    attributes.extend(value);
}

/// An address as MAPPED-ADDRESS has it. RFC 3489 knew IPv4 only; IPv6 is written as its successors write it.
fn plain(address: SocketAddr) -> Vec<u8> {
    let family = if address.is_ipv4() { 1 } else { 2 };
    let mut value = vec![0, family];
    value.extend(address.port().to_be_bytes());
    match address.ip() {
        IpAddr::V4(ip) => value.extend(ip.octets()),
        IpAddr::V6(ip) => value.extend(ip.octets()),
    }
    value
}
