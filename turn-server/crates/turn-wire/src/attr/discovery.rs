//! What NAT behaviour discovery adds to Binding: CHANGE-REQUEST, RESPONSE-PORT, and two plain addresses (RFC 5780 §7).
//!
//! Read without decoding, for whoever asks has proven nothing. Not in: PADDING, which makes an answer as long as a
//! datagram may be; whoever sends it is told that it is not understood.

use std::net::SocketAddr;

use stun::addr::MappedAddress;
use stun::attributes::AttrType;
use stun::message::{Message, Setter};

/// The bit of CHANGE-REQUEST that asks for another address.
const CHANGE_IP: u32 = 0b100;
/// The bit of CHANGE-REQUEST that asks for another port.
const CHANGE_PORT: u32 = 0b010;

/// Says where an answer to a Binding request shall come from (RFC 5780 §7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChangeRequest {
    /// From the server's other IP address.
    pub ip: bool,
    /// From the server's other port.
    pub port: bool,
}

impl ChangeRequest {
    /// Reads a value of exactly four bytes, of which all bits but two are ignored.
    pub(crate) fn from_value(value: &[u8]) -> Option<Self> {
        let bits = u32::from_be_bytes(value.try_into().ok()?);
        Some(Self {
            ip: bits & CHANGE_IP != 0,
            port: bits & CHANGE_PORT != 0,
        })
    }
}

/// Reads RESPONSE-PORT: a port, and perhaps the two bytes behind it that RFC 5780 §7.5 calls padding.
pub(crate) fn response_port(value: &[u8]) -> Option<u16> {
    match *value {
        [high, low] | [high, low, _, _] => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}

/// RESPONSE-ORIGIN or OTHER-ADDRESS, which are not disguised (RFC 5780 §7.3, §7.4), or ALTERNATE-SERVER, which is written the same way
/// (RFC 8489 §14.15). The codec's type of that last name is another name for its MAPPED-ADDRESS and writes that number.
pub(crate) struct PlainAddress {
    pub(crate) kind: u16,
    pub(crate) address: SocketAddr,
}

impl Setter for PlainAddress {
    fn add_to(&self, message: &mut Message) -> Result<(), stun::Error> {
        let address = MappedAddress {
            ip: self.address.ip(),
            port: self.address.port(),
        };
        address.add_to_as(message, AttrType(self.kind))
    }
}
