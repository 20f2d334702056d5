//! The network that an address belongs to, as one number: what one person, office or provider has, as far as that can be told.

use std::net::IpAddr;

/// 24 bits of an IPv4 address, 56 of an IPv6 address, and the family. Ports do not matter.
pub(crate) fn network(source: IpAddr) -> u64 {
    match source.to_canonical() {
        IpAddr::V4(ip) => u64::from(ip.to_bits() >> 8),
        IpAddr::V6(ip) => 1 << 56 | u64::try_from(ip.to_bits() >> 72).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::network;

    #[test]
    fn networks_are_24_and_56_bits_long_and_of_one_family() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("192.0.2.255"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("2a00:1:2:300::1"), of("2a00:1:2:3ff::9"));
        assert_ne!(of("2a00:1:2:300::1"), of("2a00:1:2:400::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.9"));
        assert_ne!(of("::1.2.3.4"), of("1.2.3.4"));
    }
}
