//! Socket addresses in the form that Linux reads and writes, `sockaddr_in` and `sockaddr_in6`, spelled out byte by byte.
//!
//! ```text
//! v4   family (2, host order) port (2) address (4) zero (8)
//! v6   family (2, host order) port (2) flow information (4) address (16) scope (4, host order)
//! ```

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

const V4_BYTES: u32 = 16;
const V6_BYTES: u32 = 28;
const FAMILY_V4: u16 = libc::AF_INET as u16;
const FAMILY_V6: u16 = libc::AF_INET6 as u16;

/// Room for one socket address.
#[derive(Clone, Copy, Default)]
#[repr(C, align(4))]
pub(crate) struct Name([u8; V6_BYTES as usize]);

impl Name {
    /// Bytes of the largest address.
    pub(crate) const BYTES: u32 = V6_BYTES;

    /// Writes an address and tells how many bytes of it count.
    pub(crate) fn encode(&mut self, address: SocketAddr) -> u32 {
        let bytes = &mut self.0;
        bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
        match address {
            SocketAddr::V4(v4) => {
                bytes[..2].copy_from_slice(&FAMILY_V4.to_ne_bytes());
                bytes[4..8].copy_from_slice(&v4.ip().octets());
                bytes[8..16].fill(0);
                V4_BYTES
            }
            SocketAddr::V6(v6) => {
                bytes[..2].copy_from_slice(&FAMILY_V6.to_ne_bytes());
                bytes[4..8].copy_from_slice(&v6.flowinfo().to_be_bytes());
                bytes[8..24].copy_from_slice(&v6.ip().octets());
                bytes[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
                V6_BYTES
            }
        }
    }

    /// Reads the address that the kernel wrote; `None` for a family other than IP.
    ///
    /// The flow label is left out: two packets of one sender must give equal addresses.
    pub(crate) fn decode(&self, length: u32) -> Option<SocketAddr> {
        let bytes = &self.0;
        let port = u16::from_be_bytes([bytes[2], bytes[3]]);
        match (u16::from_ne_bytes([bytes[0], bytes[1]]), length) {
            (FAMILY_V4, V4_BYTES..) => Some(SocketAddr::from((
                [bytes[4], bytes[5], bytes[6], bytes[7]],
                port,
            ))),
            (FAMILY_V6, V6_BYTES..) => {
                let mut octets = [0; 16];
                octets.copy_from_slice(&bytes[8..24]);
                let scope = u32::from_ne_bytes([bytes[24], bytes[25], bytes[26], bytes[27]]);
                Some(SocketAddrV6::new(Ipv6Addr::from(octets), port, 0, scope).into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use socket2::SockAddr;

    use super::Name;

    fn addresses() -> [SocketAddr; 3] {
        ["192.0.2.1:3478", "[2001:db8::1]:65535", "[fe80::1%7]:1"].map(|text| text.parse().unwrap())
    }

    #[test]
    fn an_address_survives_both_ways() {
        for address in addresses() {
            let mut name = Name::default();
            let length = name.encode(address);
            assert_eq!(name.decode(length), Some(address));
        }
    }

    #[test]
    fn lengths_are_those_of_the_system() {
        for address in addresses() {
            assert_eq!(
                Name::default().encode(address),
                SockAddr::from(address).len()
            );
        }
    }

    #[test]
    fn an_address_of_another_family_or_cut_short_is_none() {
        let mut name = Name::default();
        assert_eq!(name.decode(0), None);
        let length = name.encode(addresses()[1]);
        assert_eq!(name.decode(length - 1), None);
    }

    #[test]
    fn a_v4_address_written_over_a_v6_one_leaves_nothing_of_it() {
        let mut name = Name::default();
        name.encode(addresses()[1]);
        let length = name.encode(addresses()[0]);
        assert_eq!(name.decode(length), Some(addresses()[0]));
        assert_eq!(name.0[8..16], [0; 8]);
    }
}
