//! Which requests come from the machine itself, and not from a page or a proxy that only looks so.
//!
//! In: the one rule, for HTTP and for WebSockets. Not in: what a local request may do (`admission.rs`).

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

use crate::Host;

/// Fields that a proxy adds. Behind one, the loopback address is the proxy's and says nothing about the client.
const PROXY_FIELDS: [&str; 5] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-real-ip",
    "via",
];

/// Says whether `address` is loopback, an IPv4-mapped one included.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Says whether a request was made on this machine, to this machine, directly.
///
/// The source address alone is not enough: a page on a name that was re-bound to 127.0.0.1 (DNS rebinding) has the
/// visitor's browser connect from loopback, but under its own name; so the `Host` field must name the machine itself.
pub fn is_local(source: Option<IpAddr>, headers: &HeaderMap) -> bool {
    let from_here = source.is_some_and(is_loopback);
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let to_here = host
        .and_then(|host| Host::from_authority(host).ok())
        .is_some_and(|host| host.is_loopback());
    let direct = !PROXY_FIELDS
        .iter()
        .any(|field| headers.contains_key(*field));
    from_here && to_here && direct
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn local(source: &str, host: &str, extra: Option<&'static str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        if let Some(field) = extra {
            headers.insert(field, HeaderValue::from_static("198.51.100.7"));
        }
        is_local(Some(source.parse().unwrap()), &headers)
    }

    #[test]
    fn a_direct_request_from_loopback_is_local() {
        assert!(local("127.0.0.1", "localhost:8080", None));
        assert!(local("::1", "[::1]:8080", None));
        assert!(local("::ffff:127.0.0.1", "127.0.0.1:8080", None));
    }

    #[test]
    fn a_rebound_name_is_not_local() {
        assert!(!local("127.0.0.1", "attacker.example:8080", None));
    }

    #[test]
    fn a_proxied_request_is_not_local() {
        assert!(!local(
            "127.0.0.1",
            "localhost:8080",
            Some("x-forwarded-for")
        ));
        assert!(!local("127.0.0.1", "localhost:8080", Some("forwarded")));
    }

    #[test]
    fn another_machine_is_not_local_whatever_it_says() {
        assert!(!local("192.0.2.7", "localhost:8080", None));
        assert!(!is_local(None, &HeaderMap::new()));
    }
}
