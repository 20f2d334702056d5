//! Who may open a WebSocket: pages of which origins, and in quickstart who holds the run's key.
//!
//! In: the decisions. Not in: status and close codes. Browsers send cookies and come from loopback wherever the page
//! is from; so the `Origin` is checked on every upgrade (cross-site WebSocket hijacking).

use std::net::IpAddr;

use axum::http::{HeaderMap, header};
use ice_api::{Origins, is_local};
use subtle::ConstantTimeEq;
use turn_auth::Secret;

/// The rules of admission.
#[derive(Default)]
pub struct Gate {
    origins: Origins,
    join_key: Option<Secret<String>>,
}

impl Gate {
    /// Admits pages of our own host and of `origins`, and programs, which send no origin.
    pub fn new(origins: Origins) -> Gate {
        Gate {
            origins,
            join_key: None,
        }
    }

    /// Wants `key` from everybody but the machine itself (quickstart).
    pub fn with_join_key(mut self, key: Secret<String>) -> Gate {
        self.join_key = Some(key);
        self
    }

    /// Says whether the page that wants to connect may.
    pub(crate) fn admits_origin(&self, headers: &HeaderMap) -> bool {
        self.is_page(headers, |origins, origin| origins.allows(origin))
    }

    /// Says whether it is a program, a page of our own host, or one whose origin is `welcome`.
    fn is_page(&self, headers: &HeaderMap, welcome: impl Fn(&Origins, &str) -> bool) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return true;
        };
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let (Ok(origin), Some(host)) = (origin.to_str(), host) else {
            return false;
        };
        Origins::is_same_host(origin, host) || welcome(&self.origins, origin)
    }

    /// Says whether this client has to show the key: all but the machine itself, and a page in its browser only if it is
    /// ours or the operator named it.
    pub(crate) fn wants_key(&self, source: Option<IpAddr>, headers: &HeaderMap) -> bool {
        let trusted = self.is_page(headers, |origins, origin| origins.trusts(origin));
        self.join_key.is_some() && !(is_local(source, headers) && trusted)
    }

    /// Says whether `shown` is the key.
    pub(crate) fn is_key(&self, shown: Option<&str>) -> bool {
        let key = self
            .join_key
            .as_ref()
            .map(|key| key.expose().as_bytes())
            .unwrap_or_default();
        let right: bool = key.ct_eq(shown.unwrap_or_default().as_bytes()).into();
        right && !key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn quickstart() -> Gate {
        Gate::new(Origins::default().with_localhost()).with_join_key(Secret::new("run".to_owned()))
    }

    #[test]
    fn our_own_pages_listed_origins_and_programs_may_connect() {
        let gate = Gate::new(Origins::new(["https://app.example.org"]).unwrap());
        for fields in [
            &[("host", "h:8080")][..],
            &[("host", "h:8080"), ("origin", "http://h:8080")],
            &[("host", "h:8080"), ("origin", "https://app.example.org")],
        ] {
            assert!(gate.admits_origin(&headers(fields)), "{fields:?}");
        }
    }

    #[test]
    fn foreign_pages_may_not_connect() {
        let gate = Gate::new(Origins::new(["https://app.example.org"]).unwrap());
        for origin in [
            "https://evil.example",
            "http://h",
            "null",
            "http://localhost:5173",
            "http://h:8080.evil.example",
        ] {
            assert!(
                !gate.admits_origin(&headers(&[("host", "h:8080"), ("origin", origin)])),
                "{origin}"
            );
        }
        assert!(
            !gate.admits_origin(&headers(&[("origin", "http://h:8080")])),
            "no host to compare with"
        );
    }

    #[test]
    fn quickstart_lets_pages_of_localhost_in() {
        assert!(quickstart().admits_origin(&headers(&[
            ("host", "h:8080"),
            ("origin", "http://localhost:5173")
        ])));
    }

    #[test]
    fn only_the_machine_itself_needs_no_key() {
        let gate = quickstart();
        let here = headers(&[("host", "localhost:8080")]);
        assert!(!gate.wants_key(Some([127, 0, 0, 1].into()), &here));
        assert!(gate.wants_key(Some([192, 0, 2, 7].into()), &here));
        assert!(gate.wants_key(
            Some([127, 0, 0, 1].into()),
            &headers(&[("host", "rebound.example:8080")])
        ));
        assert!(gate.wants_key(None, &here));
        assert!(!Gate::default().wants_key(Some([192, 0, 2, 7].into()), &here));
    }

    #[test]
    fn a_star_admits_pages_of_everybody_with_the_key() {
        let gate = Gate::new(Origins::new(["*"]).unwrap());
        let gate = gate.with_join_key(Secret::new("run".to_owned()));
        let foreign = headers(&[
            ("host", "localhost:8080"),
            ("origin", "https://evil.example"),
        ]);
        assert!(gate.admits_origin(&foreign));
        assert!(gate.wants_key(Some([127, 0, 0, 1].into()), &foreign));
    }

    #[test]
    fn only_the_key_is_the_key() {
        assert!(quickstart().is_key(Some("run")));
        for shown in [None, Some(""), Some("ru"), Some("runs")] {
            assert!(!quickstart().is_key(shown), "{shown:?}");
        }
        assert!(!Gate::default().is_key(None));
        assert!(!Gate::default().is_key(Some("")));
    }
}
