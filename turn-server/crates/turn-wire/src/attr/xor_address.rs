//! Addresses disguised by the cookie and the transaction id: XOR-MAPPED-, XOR-PEER- and XOR-RELAYED-ADDRESS (RFC 8489 §14.2).
//!
//! The codec's getter takes values that are too short and only the first of several, and its setter allocates three
//! times; both matter here, for peers are judged by what this reads and Data indications are written per packet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::{MAGIC_COOKIE, TransactionId};

const FAMILY_V4: u8 = 0x01;
const FAMILY_V6: u8 = 0x02;

/// Length of a value with an IPv4 address.
pub(crate) const V4_LEN: usize = 8;
/// Length of a value with an IPv6 address.
pub(crate) const V6_LEN: usize = 20;

/// The value of an address attribute, ready to be copied.
pub(crate) struct Encoded {
    bytes: [u8; V6_LEN],
    length: usize,
}

impl Encoded {
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// Disguises an address.
pub(crate) fn encode(address: SocketAddr, id: &TransactionId) -> Encoded {
    let mut bytes = [0; V6_LEN];
    let port = (address.port() ^ port_mask()).to_be_bytes();
    bytes[2] = port[0];
    bytes[3] = port[1];
    let length = match address.ip() {
        IpAddr::V4(ip) => {
            bytes[1] = FAMILY_V4;
            let word = u32::from(ip) ^ MAGIC_COOKIE;
            bytes[4..8].copy_from_slice(&word.to_be_bytes());
            V4_LEN
        }
        IpAddr::V6(ip) => {
            bytes[1] = FAMILY_V6;
            let words = u128::from(ip) ^ ip_mask(id);
            bytes[4..20].copy_from_slice(&words.to_be_bytes());
            V6_LEN
        }
    };
    Encoded { bytes, length }
}

/// Uncovers an address; `None` for another family, or a value that is not exactly as long as its family says.
///
/// The first byte is ignored, as RFC 8489 §14.1 demands of receivers.
pub(crate) fn decode(value: &[u8], id: &TransactionId) -> Option<SocketAddr> {
    let (&[_, family, port_high, port_low], ip) = value.split_first_chunk::<4>()?;
    let port = u16::from_be_bytes([port_high, port_low]) ^ port_mask();
    let ip = match family {
        FAMILY_V4 => {
            let word = u32::from_be_bytes(ip.try_into().ok()?);
            IpAddr::V4(Ipv4Addr::from(word ^ MAGIC_COOKIE))
        }
        FAMILY_V6 => {
            let words = u128::from_be_bytes(ip.try_into().ok()?);
            IpAddr::V6(Ipv6Addr::from(words ^ ip_mask(id)))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn port_mask() -> u16 {
    (MAGIC_COOKIE >> 16) as u16
}

fn ip_mask(id: &TransactionId) -> u128 {
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    mask[4..].copy_from_slice(id);
    u128::from_be_bytes(mask)
}
