//! STUN and TURN URLs (RFC 7064, RFC 7065).
//!
//! In: parsing, checking and writing one URL; the end points of which URLs are made. Not in: which of them a client gets (`issuer.rs`).

use std::fmt;
use std::str::FromStr;

use crate::Host;

/// The scheme of an ICE server's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `stun:`
    Stun,
    /// `stuns:`, over TLS or DTLS.
    Stuns,
    /// `turn:`
    Turn,
    /// `turns:`, over TLS or DTLS.
    Turns,
}

impl Scheme {
    /// Says whether the scheme names a relay, which wants credentials.
    pub fn is_turn(self) -> bool {
        matches!(self, Scheme::Turn | Scheme::Turns)
    }

    /// Says whether the scheme is spoken inside TLS or DTLS, where the server shows a certificate.
    pub fn is_secure(self) -> bool {
        matches!(self, Scheme::Stuns | Scheme::Turns)
    }

    fn as_str(self) -> &'static str {
        match self {
            Scheme::Stun => "stun",
            Scheme::Stuns => "stuns",
            Scheme::Turn => "turn",
            Scheme::Turns => "turns",
        }
    }
}

/// What a client speaks to the relay over (RFC 7065 `transport`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `transport=udp`
    Udp,
    /// `transport=tcp`
    Tcp,
}

impl Transport {
    fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        }
    }
}

/// A STUN or TURN server of ours without its host, which is known only when somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The scheme.
    pub scheme: Scheme,
    /// The port that clients connect to.
    pub port: u16,
    /// Written into TURN URLs only: RFC 7064 has no `transport`.
    pub transport: Transport,
}

impl Endpoint {
    /// STUN over UDP and TURN over UDP and TCP, all on `port`: what a relay offers without certificates.
    pub fn plain(port: u16) -> Vec<Endpoint> {
        let endpoint = |scheme, transport| Endpoint {
            scheme,
            port,
            transport,
        };
        vec![
            endpoint(Scheme::Stun, Transport::Udp),
            endpoint(Scheme::Turn, Transport::Udp),
            endpoint(Scheme::Turn, Transport::Tcp),
        ]
    }

    /// TURN over TLS on `port` (RFC 7065 §3.1). Nobody needs STUN there: what `turns:` is for is a network that lets out
    /// nothing else.
    pub fn secure(port: u16) -> Endpoint {
        Endpoint {
            scheme: Scheme::Turns,
            port,
            transport: Transport::Tcp,
        }
    }

    /// Makes the URL of this end point on `host`.
    pub fn at(self, host: &Host) -> IceUrl {
        let transport = self.scheme.is_turn().then_some(self.transport);
        IceUrl {
            scheme: self.scheme,
            host: host.clone(),
            port: Some(self.port),
            transport,
        }
    }
}

/// A checked STUN or TURN URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceUrl {
    /// The scheme.
    pub scheme: Scheme,
    /// The host.
    pub host: Host,
    /// The port, if not the scheme's own.
    pub port: Option<u16>,
    /// The transport, if not the scheme's own.
    pub transport: Option<Transport>,
}

/// The text is not a STUN or TURN URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an ICE URL; examples: stun:turn.example.org:3478, turn:192.0.2.1:3478?transport=udp")]
pub struct BadIceUrl;

impl FromStr for IceUrl {
    type Err = BadIceUrl;

    fn from_str(text: &str) -> Result<IceUrl, BadIceUrl> {
        let (scheme, rest) = text.split_once(':').ok_or(BadIceUrl)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "stun" => Scheme::Stun,
            "stuns" => Scheme::Stuns,
            "turn" => Scheme::Turn,
            "turns" => Scheme::Turns,
            _ => return Err(BadIceUrl),
        };
        let (authority, query) = match rest.split_once('?') {
            Some((authority, query)) => (authority, Some(query)),
            None => (rest, None),
        };
        let transport = match query {
            None => None,
            Some("transport=udp") if scheme.is_turn() => Some(Transport::Udp),
            Some("transport=tcp") if scheme.is_turn() => Some(Transport::Tcp),
            Some(_) => return Err(BadIceUrl),
        };
        let host = Host::from_authority(authority).map_err(|_| BadIceUrl)?;
        Ok(IceUrl {
            scheme,
            host,
            port: port_of(authority)?,
            transport,
        })
    }
}

/// The port behind the last colon that is not inside brackets.
fn port_of(authority: &str) -> Result<Option<u16>, BadIceUrl> {
    let after_address = authority
        .rsplit_once(']')
        .map_or(authority, |(_, port)| port);
    match after_address.rsplit_once(':') {
        None => Ok(None),
        Some((_, digits)) => match digits.parse() {
            Ok(0) | Err(_) => Err(BadIceUrl),
            Ok(port) => Ok(Some(port)),
        },
    }
}

impl fmt::Display for IceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme.as_str(), self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        if let Some(transport) = self.transport {
            write!(f, "?transport={}", transport.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_written_as_it_was_read() {
        for text in [
            "stun:turn.example.org",
            "stun:turn.example.org:3478",
            "turn:192.0.2.1:3478?transport=udp",
            "turn:[2001:db8::1]:3478?transport=tcp",
            "turns:turn.example.org:443?transport=tcp",
            "stuns:[::1]",
        ] {
            assert_eq!(
                text.parse::<IceUrl>().map(|url| url.to_string()),
                Ok(text.to_owned())
            );
        }
    }

    #[test]
    fn what_is_no_ice_url_is_refused() {
        for text in [
            "turn.example.org:3478",
            "http://turn.example.org",
            "turn:",
            "turn:h:0",
            "turn:h:99999",
            "turn:h:",
            "turn:2001:db8::1",
            "turn:user@h",
            "turn:h?transport=sctp",
            "stun:h?transport=udp",
            "turn:h?transport=udp&x=1",
            "turn://h",
        ] {
            assert_eq!(text.parse::<IceUrl>(), Err(BadIceUrl), "{text}");
        }
    }

    #[test]
    fn ipv6_hosts_are_bracketed() {
        let host = Host::parse("2001:db8::1").unwrap();
        let urls: Vec<String> = Endpoint::plain(3478)
            .iter()
            .map(|endpoint| endpoint.at(&host).to_string())
            .collect();
        assert_eq!(
            urls,
            [
                "stun:[2001:db8::1]:3478",
                "turn:[2001:db8::1]:3478?transport=udp",
                "turn:[2001:db8::1]:3478?transport=tcp"
            ]
        );
    }
}
