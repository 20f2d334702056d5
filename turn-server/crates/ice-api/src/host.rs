//! A host as it may stand in a URL: parsed and checked once, so that nothing a client sent is echoed unread.
//!
//! In: host names, addresses and `Host` header fields. Not in: name resolution.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A checked host name or address; displays as a URL wants it, IPv6 in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An address literal.
    Ip(IpAddr),
    /// A DNS name in lower case.
    Name(String),
}

/// The text is not a host name or address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a host name or address")]
pub struct BadHost;

impl Host {
    /// Parses a host without a port: `turn.example.org`, `192.0.2.1`, `2001:db8::1` or `[2001:db8::1]`.
    pub fn parse(text: &str) -> Result<Host, BadHost> {
        if let Some(inner) = text.strip_prefix('[') {
            let address = inner.strip_suffix(']').ok_or(BadHost)?;
            return ipv6(address);
        }
        if let Ok(address) = text.parse() {
            return Ok(Host::Ip(address));
        }
        name(text)
    }

    /// Parses a `Host` header field (RFC 9110 §7.2): a host, IPv6 in brackets, and perhaps a port, which is dropped.
    pub fn from_authority(text: &str) -> Result<Host, BadHost> {
        if let Some(inner) = text.strip_prefix('[') {
            let (address, port) = inner.split_once(']').ok_or(BadHost)?;
            return match port.strip_prefix(':') {
                Some(digits) if is_port(digits) => ipv6(address),
                None if port.is_empty() => ipv6(address),
                _ => Err(BadHost),
            };
        }
        match text.split_once(':') {
            Some((host, digits)) if is_port(digits) => Host::parse(host),
            Some(_) => Err(BadHost),
            None => Host::parse(text),
        }
    }

    /// Says whether the host names the machine itself: a loopback address, `localhost` or a name below it (RFC 6761 §6.3).
    pub fn is_loopback(&self) -> bool {
        match self {
            Host::Ip(address) => crate::is_loopback(*address),
            Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Ip(IpAddr::V4(address)) => write!(f, "{address}"),
            Host::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Host::Name(name) => f.write_str(name),
        }
    }
}

/// Zone identifiers (`fe80::1%eth0`) are refused: they mean something on one machine only.
fn ipv6(text: &str) -> Result<Host, BadHost> {
    let address: Ipv6Addr = text.parse().map_err(|_| BadHost)?;
    Ok(Host::Ip(address.into()))
}

fn is_port(digits: &str) -> bool {
    digits.is_empty()
        || digits.parse::<u16>().is_ok() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Labels as RFC 1123 §2.1 has them, underscores besides because private networks use them. A last label of digits is a
/// mistyped address (browsers read `10.1` as one), not a name.
fn name(text: &str) -> Result<Host, BadHost> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let label_fits = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    if text.len() > 253 || !text.split('.').all(label_fits) || is_number(last) {
        return Err(BadHost);
    }
    Ok(Host::Name(text.to_ascii_lowercase()))
}

fn is_number(label: &str) -> bool {
    let hexadecimal = label
        .strip_prefix("0x")
        .or_else(|| label.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(text: &str) -> Option<String> {
        Host::from_authority(text).ok().map(|host| host.to_string())
    }

    #[test]
    fn the_port_of_a_host_field_is_dropped() {
        assert_eq!(
            authority("Turn.Example.org:8080").as_deref(),
            Some("turn.example.org")
        );
        assert_eq!(authority("192.0.2.1:8080").as_deref(), Some("192.0.2.1"));
        assert_eq!(
            authority("[2001:db8::1]:8080").as_deref(),
            Some("[2001:db8::1]")
        );
        assert_eq!(authority("[::1]").as_deref(), Some("[::1]"));
        assert_eq!(authority("localhost").as_deref(), Some("localhost"));
    }

    #[test]
    fn a_malformed_host_field_is_refused() {
        let long = "a".repeat(64);
        for text in [
            "",
            ":",
            ":80",
            "a b",
            "a/b",
            "a@b",
            "a?b",
            "a\"b",
            "<script>",
            "a..b",
            "-a",
            "a-",
            "::1",
            "[::1",
            "[::1]x",
            "[::1]:x",
            "[fe80::1%eth0]",
            "a:70000",
            "a:+1",
            "a:1:2",
            "10.1",
            "1.2.3.4.5",
            "0x7f.1",
            "300.1.1.1",
            "a\u{e9}",
            &long,
        ] {
            assert_eq!(authority(text), None, "{text}");
        }
    }

    #[test]
    fn an_address_parses_with_and_without_brackets() {
        assert_eq!(Host::parse("2001:db8::1"), Host::parse("[2001:db8::1]"));
        assert!(Host::parse("2001:db8::1:").is_err());
    }

    #[test]
    fn only_names_of_the_machine_itself_are_loopback() {
        for (text, expected) in [
            ("localhost", true),
            ("LOCALHOST", true),
            ("app.localhost", true),
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("localhost.example.org", false),
            ("notlocalhost", false),
            ("192.0.2.1", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(
                Host::parse(text).map(|host| host.is_loopback()),
                Ok(expected),
                "{text}"
            );
        }
    }
}
