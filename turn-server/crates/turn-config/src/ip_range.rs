//! Ranges of peer addresses: `ip`, `ip-ip`, and CIDR (which coturn does not have).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::diagnostics::quote;

/// Holds an inclusive range of addresses of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IpRange {
    first: IpAddr,
    last: IpAddr,
}

impl IpRange {
    /// Makes the range `first..=last`; `None` when the families differ or the order is wrong.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(IpRange { first, last })
    }

    /// The lowest address.
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// The highest address.
    pub fn last(&self) -> IpAddr {
        self.last
    }

    /// Whether the range holds exactly one address.
    pub fn is_single(&self) -> bool {
        self.first == self.last
    }

    /// Whether `address` lies inside; an address of the other family never does.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.first.is_ipv4() == address.is_ipv4() && self.first <= address && address <= self.last
    }

    /// The prefix and its length, if the range is all that lies behind one.
    pub fn prefix(&self) -> Option<(IpAddr, u8)> {
        let (hosts, common, width) = match (self.first, self.last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                let hosts = u128::from(first.to_bits() ^ last.to_bits());
                (hosts, u128::from(first.to_bits()), 32)
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                (first.to_bits() ^ last.to_bits(), first.to_bits(), 128)
            }
            _ => return None,
        };
        let host_bits = 128 - hosts.leading_zeros();
        let whole = hosts.count_ones() == host_bits && hosts & common == 0;
        let length = u8::try_from(width - host_bits).ok()?;
        whole.then_some((self.first, length))
    }

    /// Reads one range; the error says what is wrong, without the remedy.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let literal = |part: &str| literal(part, text);
        if let Some((address, prefix)) = text.split_once('/') {
            return cidr(literal(address)?, prefix);
        }
        let Some((first, last)) = text.split_once('-') else {
            let address = literal(text)?;
            return Ok(IpRange {
                first: address,
                last: address,
            });
        };
        let (first, last) = (literal(first)?, literal(last)?);
        if first.is_ipv4() != last.is_ipv4() {
            return Err(format!("{first} and {last} are of different families"));
        }
        IpRange::new(first, last)
            .ok_or_else(|| format!("the range ends at {last}, before it begins at {first}"))
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_single() {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// Reads an address that is `whole`, or the part of it on one side of a dash or slash.
fn literal(part: &str, whole: &str) -> Result<IpAddr, String> {
    let part = part.trim();
    // Of a part that is not there, nothing can be shown.
    let shown = if part.is_empty() { whole } else { part };
    part.parse()
        .map_err(|_| format!("{} is not an IP address", quote(shown)))
}

fn cidr(address: IpAddr, prefix: &str) -> Result<IpRange, String> {
    let bits: u32 = if address.is_ipv4() { 32 } else { 128 };
    let length = prefix
        .trim()
        .parse::<u32>()
        .ok()
        .filter(|length| *length <= bits)
        .ok_or_else(|| {
            format!(
                "\"/{}\" is not a prefix length of 0 to {bits}",
                prefix.trim()
            )
        })?;
    let (first, last) = match address {
        IpAddr::V4(address) => {
            let hosts = u32::MAX.checked_shr(length).unwrap_or(0);
            let first = address.to_bits() & !hosts;
            (
                IpAddr::V4(Ipv4Addr::from_bits(first)),
                IpAddr::V4(Ipv4Addr::from_bits(first | hosts)),
            )
        }
        IpAddr::V6(address) => {
            let hosts = u128::MAX.checked_shr(length).unwrap_or(0);
            let first = address.to_bits() & !hosts;
            (
                IpAddr::V6(Ipv6Addr::from_bits(first)),
                IpAddr::V6(Ipv6Addr::from_bits(first | hosts)),
            )
        }
    };
    Ok(IpRange { first, last })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> String {
        IpRange::parse(text).unwrap().to_string()
    }

    #[test]
    fn one_address_and_a_dash_range_are_read_as_in_coturn() {
        assert_eq!(range("10.0.0.1"), "10.0.0.1");
        assert_eq!(range("10.0.0.0-10.255.255.255"), "10.0.0.0-10.255.255.255");
        assert_eq!(
            range("fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            "fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
        );
    }

    #[test]
    fn cidr_is_the_whole_network_even_when_written_with_host_bits() {
        assert_eq!(range("192.168.7.9/16"), "192.168.0.0-192.168.255.255");
        assert_eq!(range("0.0.0.0/0"), "0.0.0.0-255.255.255.255");
        assert_eq!(range("10.1.2.3/32"), "10.1.2.3");
        assert_eq!(
            range("2001:db8::/32"),
            "2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"
        );
    }

    #[test]
    fn a_prefix_is_told_from_other_ranges() {
        let prefix = |text: &str| {
            let (first, length) = IpRange::parse(text).unwrap().prefix()?;
            Some(format!("{first}/{length}"))
        };
        for text in [
            "10.0.0.0/8",
            "0.0.0.0/0",
            "::/0",
            "64:ff9b::/96",
            "9.9.9.9/32",
            "::1/128",
        ] {
            assert_eq!(prefix(text).as_deref(), Some(text));
        }
        for text in ["10.0.0.1-10.0.0.2", "10.0.0.2-10.0.0.5", "::1-::4"] {
            assert_eq!(prefix(text), None, "{text}");
        }
    }

    #[test]
    fn a_range_that_cannot_be_meant_is_refused() {
        for text in [
            "10.0.0.9-10.0.0.1",
            "10.0.0.1-::1",
            "10.0.0.0/33",
            "::/129",
            "10.0.0",
            "example.org",
            "",
            "-",
            "/",
            "10.0.0.1-",
        ] {
            assert!(IpRange::parse(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn containment_is_inclusive_and_keeps_families_apart() {
        let range = IpRange::parse("10.0.0.1-10.0.0.3").unwrap();
        for (address, inside) in [
            ("10.0.0.0", false),
            ("10.0.0.1", true),
            ("10.0.0.3", true),
            ("10.0.0.4", false),
            ("::a00:2", false),
        ] {
            assert_eq!(
                range.contains(address.parse().unwrap()),
                inside,
                "{address}"
            );
        }
    }
}
