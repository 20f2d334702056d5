//! The words that conversations are made of: message types and attributes by their names.

use std::net::SocketAddr;

use e2e::conversation::Attribute::{self, Address, Plain};

pub(crate) const BINDING: u16 = 0x0001;
pub(crate) const ALLOCATE: u16 = 0x0003;
pub(crate) const REFRESH: u16 = 0x0004;
pub(crate) const CREATE_PERMISSION: u16 = 0x0008;
pub(crate) const CHANNEL_BIND: u16 = 0x0009;
pub(crate) const CONNECT: u16 = 0x000a;
pub(crate) const CONNECTION_BIND: u16 = 0x000b;
pub(crate) const BINDING_INDICATION: u16 = 0x0011;
pub(crate) const SEND: u16 = 0x0016;

pub(crate) const XOR_PEER_ADDRESS: u16 = 0x0012;

/// REQUESTED-TRANSPORT: UDP.
pub(crate) fn udp() -> Attribute {
    transport(17)
}

pub(crate) fn transport(protocol: u8) -> Attribute {
    Plain(0x0019, vec![protocol, 0, 0, 0])
}

pub(crate) fn lifetime(seconds: u32) -> Attribute {
    Plain(0x000d, seconds.to_be_bytes().to_vec())
}

pub(crate) fn peer(address: SocketAddr) -> Attribute {
    Address(XOR_PEER_ADDRESS, address)
}

/// A peer by its address and port; the address is a literal.
pub(crate) fn peer_at(ip: &str, port: u16) -> Attribute {
    peer(SocketAddr::new(ip.parse().unwrap(), port))
}

pub(crate) fn data(payload: &[u8]) -> Attribute {
    Plain(0x0013, payload.to_vec())
}

pub(crate) fn channel(number: u16) -> Attribute {
    let [high, low] = number.to_be_bytes();
    Plain(0x000c, vec![high, low, 0, 0])
}

/// REQUESTED-ADDRESS-FAMILY: 1 is IPv4, 2 is IPv6.
pub(crate) fn family(number: u8) -> Attribute {
    Plain(0x0017, vec![number, 0, 0, 0])
}

pub(crate) fn additional_family(number: u8) -> Attribute {
    Plain(0x8000, vec![number, 0, 0, 0])
}

pub(crate) fn even_port(reserve: bool) -> Attribute {
    Plain(0x0018, vec![if reserve { 0x80 } else { 0 }])
}

pub(crate) fn token(value: Vec<u8>) -> Attribute {
    Plain(0x0022, value)
}

pub(crate) fn dont_fragment() -> Attribute {
    Plain(0x001a, Vec::new())
}

pub(crate) fn plain(kind: u16, value: &[u8]) -> Attribute {
    Plain(kind, value.to_vec())
}
