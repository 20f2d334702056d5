//! Makes ICE configurations: which URLs, which credentials, for how long.
//!
//! In: the choice of host, the clamp of the lifetime, the check of the user's name. Not in: HMACs (`turn_auth::rest`), who may ask (`admission.rs`).

use std::net::IpAddr;

use turn_auth::Secret;
use turn_auth::rest;

use crate::{Endpoint, Host, IceConfig, IceServer, IceUrl};

/// A day, as draft-uberti-behave-turn-rest-00 §2.2 recommends.
pub const DEFAULT_TTL: u64 = 86_400;

/// Two days: longer-lived credentials cannot be told from stolen ones.
pub const MAX_TTL: u64 = 172_800;

/// Bytes; leaves room for the timestamp in a USERNAME attribute of 508 bytes (RFC 8489 §14.3).
pub const MAX_USER_LEN: usize = 128;

/// Where the URLs come from.
#[derive(Clone, Debug)]
enum Urls {
    /// The relay beside us, under the host with which the client found us or the one the operator advertises.
    Here {
        endpoints: Vec<Endpoint>,
        advertised: Option<Host>,
        external: Option<Host>,
    },
    /// Servers elsewhere.
    Fixed(Vec<IceUrl>),
}

/// Makes ICE configurations; pure, so that time arrives as an argument.
pub struct Issuer {
    secrets: Vec<Secret<Vec<u8>>>,
    separator: char,
    default_ttl: u64,
    max_ttl: u64,
    urls: Urls,
}

/// Why no configuration was made; each is the caller's mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The user's name is too long or has control characters.
    #[error("user must have at most {MAX_USER_LEN} bytes and no control characters")]
    BadUser,
    /// Neither the operator nor the request named a host.
    #[error("the request names no usable host")]
    NoHost,
}

impl Issuer {
    /// Issues URLs of `endpoints` on the host that each request names.
    pub fn here(endpoints: Vec<Endpoint>) -> Issuer {
        Issuer::with_urls(Urls::Here {
            endpoints,
            advertised: None,
            external: None,
        })
    }

    /// Issues `urls` as they are.
    pub fn fixed(urls: Vec<IceUrl>) -> Issuer {
        Issuer::with_urls(Urls::Fixed(urls))
    }

    fn with_urls(urls: Urls) -> Issuer {
        Issuer {
            secrets: Vec::new(),
            separator: ':',
            default_ttl: DEFAULT_TTL,
            max_ttl: MAX_TTL,
            urls,
        }
    }

    /// Sets the secrets shared with the relay, newest first; without any, relays are not handed out.
    pub fn with_secrets(mut self, secrets: Vec<Secret<Vec<u8>>>) -> Issuer {
        self.secrets = secrets;
        self
    }

    /// Sets the character between expiry and user, `:` by default.
    pub fn with_separator(mut self, separator: char) -> Issuer {
        self.separator = separator;
        self
    }

    /// Sets the lifetime given to those who name none and the longest one given, in seconds.
    pub fn with_ttl(mut self, default: u64, max: u64) -> Issuer {
        self.max_ttl = max.max(1);
        self.default_ttl = default.clamp(1, self.max_ttl);
        self
    }

    /// Sets the host in all URLs, whatever the request says.
    pub fn with_advertised_host(mut self, host: Host) -> Issuer {
        if let Urls::Here { advertised, .. } = &mut self.urls {
            *advertised = Some(host);
        }
        self
    }

    /// Sets the address that the relay has in front of a NAT: the host in all URLs unless one is advertised. `turns:` URLs
    /// keep the name by which a client has found us, because certificates name hosts, and seldom addresses.
    pub fn with_external_address(mut self, address: IpAddr) -> Issuer {
        if let Urls::Here { external, .. } = &mut self.urls {
            *external = Some(Host::Ip(address));
        }
        self
    }

    /// Makes a configuration that expires `ttl` seconds (clamped) after `now_unix`.
    ///
    /// `host` is the one that the request named, if it named a well-formed one; it is used unless the operator advertises another.
    pub fn issue(
        &self,
        now_unix: u64,
        host: Option<&Host>,
        user: Option<&str>,
        ttl: Option<u64>,
    ) -> Result<IceConfig, IssueError> {
        let user = user.unwrap_or_default();
        if user.len() > MAX_USER_LEN || user.chars().any(char::is_control) {
            return Err(IssueError::BadUser);
        }
        let ttl = ttl.unwrap_or(self.default_ttl).clamp(1, self.max_ttl);
        let urls = self.urls(host)?;
        let (relays, stun): (Vec<IceUrl>, Vec<IceUrl>) =
            urls.into_iter().partition(|url| url.scheme.is_turn());
        let stun: Vec<String> = stun.iter().map(IceUrl::to_string).collect();
        let mut config = IceConfig {
            ice_servers: Vec::new(),
            ice_transport_policy: "all".to_owned(),
            username: None,
            password: None,
            ttl,
            uris: Vec::new(),
            expires_at: now_unix.saturating_add(ttl),
            lifetime_duration: format!("{ttl}s"),
        };
        if !stun.is_empty() {
            config.ice_servers.push(IceServer {
                urls: stun,
                username: None,
                credential: None,
            });
        }
        // A relay without credentials would be refused by every client (`RTCPeerConnection` throws on it).
        if let (Some(secret), false) = (self.secrets.first(), relays.is_empty()) {
            let minted = rest::mint(secret.expose(), user, ttl, now_unix, self.separator);
            config.expires_at = minted.expires_at;
            config.uris = relays.iter().map(IceUrl::to_string).collect();
            config.ice_servers.push(IceServer {
                urls: config.uris.clone(),
                username: Some(minted.username.clone()),
                credential: Some(minted.password.clone()),
            });
            config.username = Some(minted.username);
            config.password = Some(minted.password);
        }
        Ok(config)
    }

    fn urls(&self, requested: Option<&Host>) -> Result<Vec<IceUrl>, IssueError> {
        match &self.urls {
            Urls::Fixed(urls) => Ok(urls.clone()),
            Urls::Here {
                endpoints,
                advertised,
                external,
            } => {
                let general = advertised.as_ref().or(external.as_ref()).or(requested);
                let general = general.ok_or(IssueError::NoHost)?;
                let certified = match (advertised, requested) {
                    (None, Some(name @ Host::Name(_))) if !name.is_loopback() => name,
                    _ => general,
                };
                let urls = endpoints.iter().map(|endpoint| {
                    let is_secure = endpoint.scheme.is_secure();
                    endpoint.at(if is_secure { certified } else { general })
                });
                Ok(urls.collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn issuer() -> Issuer {
        Issuer::here(Endpoint::plain(3478)).with_secrets(vec![
            Secret::new(b"new".to_vec()),
            Secret::new(b"old".to_vec()),
        ])
    }

    fn issue(issuer: &Issuer, user: Option<&str>, ttl: Option<u64>) -> IceConfig {
        let host = Host::parse("192.0.2.1").unwrap();
        issuer.issue(NOW, Some(&host), user, ttl).unwrap()
    }

    #[test]
    fn the_body_has_the_pinned_shape() {
        let password = rest::password(b"new", "1700086400:alice");
        let body = serde_json::to_value(issue(&issuer(), Some("alice"), None)).unwrap();
        assert_eq!(
            body,
            json!({
                "iceServers": [
                    {"urls": ["stun:192.0.2.1:3478"]},
                    {
                        "urls": ["turn:192.0.2.1:3478?transport=udp", "turn:192.0.2.1:3478?transport=tcp"],
                        "username": "1700086400:alice",
                        "credential": password,
                    },
                ],
                "iceTransportPolicy": "all",
                "username": "1700086400:alice",
                "password": password,
                "ttl": 86_400,
                "uris": ["turn:192.0.2.1:3478?transport=udp", "turn:192.0.2.1:3478?transport=tcp"],
                "expiresAt": 1_700_086_400,
                "lifetimeDuration": "86400s",
            })
        );
    }

    #[test]
    fn what_is_minted_is_what_the_relay_accepts() {
        let config = issue(&issuer(), Some("alice"), Some(60));
        let username = config.username.unwrap_or_default();
        let name = rest::parse(&username, ':').unwrap();
        assert_eq!((name.expires_at, name.user), (NOW + 60, "alice"));
        assert_eq!(config.password, Some(rest::password(b"new", &username)));
    }

    #[test]
    fn the_lifetime_is_clamped() {
        let issuer = issuer().with_ttl(600, 1_000);
        assert_eq!(issue(&issuer, None, None).ttl, 600);
        assert_eq!(issue(&issuer, None, Some(5)).ttl, 5);
        assert_eq!(issue(&issuer, None, Some(0)).ttl, 1);
        let longest = issue(&issuer, None, Some(u64::MAX));
        assert_eq!((longest.ttl, longest.expires_at), (1_000, NOW + 1_000));
    }

    #[test]
    fn a_user_with_control_characters_or_too_long_is_refused() {
        let host = Host::parse("h").unwrap();
        for user in ["a\nb", "a\0", "\u{85}", &"x".repeat(129)] {
            let refused = issuer().issue(NOW, Some(&host), Some(user), None).err();
            assert_eq!(refused, Some(IssueError::BadUser), "{user:?}");
        }
        assert!(
            issuer()
                .issue(NOW, Some(&host), Some(&"x".repeat(128)), None)
                .is_ok()
        );
    }

    #[test]
    fn the_advertised_host_beats_the_requested_one() {
        let issuer = issuer().with_advertised_host(Host::parse("turn.example.org").unwrap());
        assert_eq!(
            issue(&issuer, None, None).uris[0],
            "turn:turn.example.org:3478?transport=udp"
        );
    }

    #[test]
    fn turns_urls_keep_the_name_that_found_us_where_only_an_address_is_known() {
        let endpoints = [Endpoint::plain(3478), vec![Endpoint::secure(5349)]].concat();
        let issuer = || {
            Issuer::here(endpoints.clone())
                .with_secrets(vec![Secret::new(b"new".to_vec())])
                .with_external_address("203.0.113.5".parse().unwrap())
        };
        let urls = |issuer: &Issuer, host: &str| {
            let host = Host::parse(host).unwrap();
            let uris = issuer.issue(NOW, Some(&host), None, None).unwrap().uris;
            assert_eq!(uris.len(), 3);
            [uris[0].clone(), uris[2].clone()]
        };
        let plain = "turn:203.0.113.5:3478?transport=udp";
        assert_eq!(
            urls(&issuer(), "turn.example.org"),
            [plain, "turns:turn.example.org:5349?transport=tcp"]
        );
        // These say nothing about where others find us.
        for host in ["localhost", "10.0.0.1"] {
            assert_eq!(
                urls(&issuer(), host),
                [plain, "turns:203.0.113.5:5349?transport=tcp"]
            );
        }
        let advertised = issuer().with_advertised_host(Host::parse("relay.example.org").unwrap());
        assert_eq!(
            urls(&advertised, "turn.example.org"),
            [
                "turn:relay.example.org:3478?transport=udp",
                "turns:relay.example.org:5349?transport=tcp"
            ]
        );
    }

    #[test]
    fn without_any_host_nothing_is_issued() {
        assert_eq!(
            issuer().issue(NOW, None, None, None).err(),
            Some(IssueError::NoHost)
        );
        let fixed = Issuer::fixed(vec!["stun:stun.example.org".parse().unwrap()]);
        assert!(fixed.issue(NOW, None, None, None).is_ok());
    }

    #[test]
    fn relays_without_a_secret_are_not_handed_out() {
        let urls = ["stun:s.example.org", "turn:t.example.org"].map(|url| url.parse().unwrap());
        let config = issue(&Issuer::fixed(urls.to_vec()), None, None);
        assert_eq!(config.ice_servers.len(), 1);
        assert!(config.uris.is_empty() && config.username.is_none() && config.password.is_none());
    }
}
