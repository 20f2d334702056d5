//! Which web pages may talk to us: the allow-list of origins, for CORS and for WebSockets.
//!
//! In: parsing and comparing origins (RFC 6454). Not in: header fields and status codes.

use crate::Host;

/// The origins whose pages are served.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    listed: Vec<Origin>,
    localhost: bool,
    any: bool,
}

/// The text is not a web origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an origin; an origin is scheme://host[:port] without a path, for example https://app.example.org"
)]
pub struct BadOrigin;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    https: bool,
    host: Host,
    port: u16,
}

impl Origins {
    /// Allows exactly the `listed` origins; `*` among them allows pages of everybody.
    pub fn new<T: AsRef<str>>(listed: impl IntoIterator<Item = T>) -> Result<Origins, BadOrigin> {
        let mut origins = Origins::default();
        for text in listed {
            match text.as_ref() {
                "*" => origins.any = true,
                text => origins.listed.push(Origin::parse(text)?),
            }
        }
        Ok(origins)
    }

    /// Allows pages served by the visitor's own machine besides: `http://localhost:5173` and the like.
    pub fn with_localhost(mut self) -> Origins {
        self.localhost = true;
        self
    }

    /// Says whether the page at `origin` (the value of an `Origin` field) may read what we answer.
    pub fn allows(&self, origin: &str) -> bool {
        self.any || self.trusts(origin)
    }

    /// Says whether the page at `origin` is one that the operator named or serves. `*` names nobody: it lets pages show a
    /// key of their own, and must not let every page use the rights of the machine that its visitor sits at.
    pub fn trusts(&self, origin: &str) -> bool {
        Origin::parse(origin).is_ok_and(|origin| {
            self.listed.contains(&origin) || self.localhost && origin.host.is_loopback()
        })
    }

    /// Says whether `origin` is the page that was opened at `authority` (the value of a `Host` field).
    ///
    /// The scheme is not compared: behind a proxy that ends TLS, a page of `https://` reaches us over plain HTTP.
    pub fn is_same_host(origin: &str, authority: &str) -> bool {
        let Ok(origin) = Origin::parse(origin) else {
            return false;
        };
        let scheme = if origin.https { "https://" } else { "http://" };
        Origin::parse(&format!("{scheme}{authority}")).is_ok_and(|ours| ours == origin)
    }
}

impl Origin {
    fn parse(text: &str) -> Result<Origin, BadOrigin> {
        let (scheme, authority) = text.split_once("://").ok_or(BadOrigin)?;
        let (https, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (false, 80),
            "https" => (true, 443),
            _ => return Err(BadOrigin),
        };
        let host = Host::from_authority(authority).map_err(|_| BadOrigin)?;
        let after_address = authority
            .rsplit_once(']')
            .map_or(authority, |(_, port)| port);
        let port = match after_address.rsplit_once(':') {
            Some((_, digits)) => digits.parse().map_err(|_| BadOrigin)?,
            None => default_port,
        };
        Ok(Origin { https, host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_origin_is_allowed() {
        let origins = Origins::new(["https://app.example.org"]).unwrap();
        assert!(origins.allows("https://app.example.org"));
        assert!(origins.allows("https://APP.example.org:443"));
        for other in [
            "http://app.example.org",
            "https://app.example.org:8443",
            "https://app.example.org.evil.example",
            "https://evil.example",
            "https://sub.app.example.org",
            "null",
            "",
            "http://localhost:5173",
        ] {
            assert!(!origins.allows(other), "{other}");
        }
    }

    #[test]
    fn a_star_allows_everybody_and_trusts_nobody() {
        let origins = Origins::new(["*", "https://app.example.org"]).unwrap();
        assert!(origins.allows("https://evil.example") && origins.allows("null"));
        assert!(!origins.trusts("https://evil.example"));
        assert!(origins.trusts("https://app.example.org"));
    }

    #[test]
    fn localhost_on_any_port_is_allowed_when_asked_for() {
        let origins = Origins::default().with_localhost();
        for page in [
            "http://localhost:5173",
            "http://localhost",
            "http://127.0.0.1:3000",
            "http://[::1]:3000",
            "https://localhost:5173",
        ] {
            assert!(origins.allows(page), "{page}");
        }
        for other in [
            "http://localhost.evil.example",
            "http://192.168.1.5:5173",
            "file://localhost",
            "null",
        ] {
            assert!(!origins.allows(other), "{other}");
        }
    }

    #[test]
    fn a_page_is_of_the_same_host_with_its_port_only() {
        assert!(Origins::is_same_host(
            "http://192.168.1.5:8080",
            "192.168.1.5:8080"
        ));
        assert!(Origins::is_same_host(
            "https://turn.example.org",
            "turn.example.org"
        ));
        assert!(Origins::is_same_host(
            "http://turn.example.org",
            "turn.example.org:80"
        ));
        assert!(!Origins::is_same_host(
            "http://turn.example.org:9000",
            "turn.example.org:8080"
        ));
        assert!(!Origins::is_same_host(
            "http://evil.example",
            "turn.example.org"
        ));
        assert!(!Origins::is_same_host("null", "null"));
    }

    #[test]
    fn what_is_no_origin_cannot_be_listed() {
        for text in [
            "app.example.org",
            "https://app.example.org/path",
            "https://",
            "ftp://app.example.org",
        ] {
            assert_eq!(Origins::new([text]).err(), Some(BadOrigin), "{text}");
        }
    }
}
