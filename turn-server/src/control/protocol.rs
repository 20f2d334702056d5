//! What `turnctl` and a running server say to each other: one page, so that other programs may speak it as well.
//!
//! The server listens on a Unix socket (`--control-socket`). A client sends one request as one line of JSON, reads its answer,
//! and may send the next. An answer is one line of JSON, except that of `sessions`: that is a line for each session before it.
//!
//! ```text
//! → {"do":"sessions","user":"ann"}
//! ← {"session":{"id":"001000000000000007","user":"ann","transport":"udp","client":"192.0.2.1:40000",…}}
//! ← {"done":{"sessions":1}}
//! → {"do":"kill","id":"001000000000000007"}
//! ← {"killed":["001000000000000007"]}
//! → {"do":"status"}
//! ← {"status":{"version":"0.1.0",…}}
//! ```
//!
//! What cannot be done is answered by `{"error":"…"}`. Fields that are missing from a selection select nothing out; fields
//! that are unknown are mistakes. Answers may get new fields. There is no password: whoever may open the socket may ask.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

/// Where the server listens if nothing else is said.
pub const SOCKET: &str = "/run/turnserver/control.sock";

/// The longest request, its line end included.
pub const MAX_REQUEST: usize = 4096;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Request {
    /// How the server is.
    Status,
    /// All selected sessions.
    Sessions(Which),
    /// End all selected sessions.
    Kill(Which),
    /// Read the configuration again, as SIGHUP asks for.
    Reload,
    /// Take no new sessions.
    Drain,
    /// Take new sessions again.
    Undrain,
    /// Write log lines of this level and above; without one: tell the level.
    LogLevel {
        /// The level.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        level: Option<Level>,
    },
    /// The page that Prometheus reads.
    Metrics,
}

/// Which sessions: those for which all that is given is true.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// The user, with or without the timestamp of a time-limited name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The session's number, as logs have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The client's address, with or without its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Address>,
    /// A relayed address, with or without its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relayed: Option<Address>,
    /// A peer that may send to the client, with or without its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Address>,
    /// The client's transport.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
}

/// `ADDRESS` or `ADDRESS:PORT`; IPv6 with a port in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// The port; `None`: any.
    pub port: Option<u16>,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bracketed = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        if let Ok(ip) = bracketed.unwrap_or(text).parse::<IpAddr>() {
            let ip = ip.to_canonical();
            return Ok(Self { ip, port: None });
        }
        match text.parse::<SocketAddr>() {
            Ok(address) => Ok(Self {
                ip: address.ip().to_canonical(),
                port: Some(address.port()),
            }),
            Err(_) => Err(format!(
                "{text:?} is no address; write 192.0.2.1, 192.0.2.1:40000 or [2001:db8::1]:40000"
            )),
        }
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            None => self.ip.fmt(f),
            Some(port) => SocketAddr::new(self.ip, port).fmt(f),
        }
    }
}

/// A client's transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say all")]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
    Dtls,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Udp, Self::Tcp, Self::Tls, Self::Dtls];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Dtls => "dtls",
        }
    }
}

/// Which log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What stops the server.
    Error,
    /// And what somebody should look at.
    Warn,
    /// And what the server does as a whole.
    Info,
    /// And each session's beginning and end, as `verbose` writes them.
    Sessions,
    /// And everything, as `Verbose` does.
    Debug,
}

impl Level {
    /// All of them, the quietest first.
    pub const ALL: [Self; 5] = [
        Self::Error,
        Self::Warn,
        Self::Info,
        Self::Sessions,
        Self::Debug,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Sessions => "sessions",
            Self::Debug => "debug",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, Level, Request, Transport, Which};
    use crate::control::answer::Answer;

    #[test]
    fn the_lines_are_those_of_the_page() {
        let ask = |text: &str| serde_json::from_str::<Request>(text);
        let user = Some("ann".to_owned());
        assert_eq!(
            ask(r#"{"do":"sessions","user":"ann"}"#).unwrap(),
            Request::Sessions(Which {
                user,
                ..Which::default()
            })
        );
        assert_eq!(ask(r#"{"do":"status"}"#).unwrap(), Request::Status);
        assert_eq!(
            ask(r#"{"do":"log-level","level":"debug"}"#).unwrap(),
            Request::LogLevel {
                level: Some(Level::Debug)
            }
        );
        for wrong in [
            r#"{"do":"sing"}"#,
            r#"{"do":"kill","usr":"ann"}"#,
            r#"{"do":"kill","client":"nowhere"}"#,
            r#"{}"#,
            "[]",
        ] {
            assert!(ask(wrong).is_err(), "{wrong}");
        }
        let killed = Answer::Killed(vec!["7".to_owned()]);
        assert_eq!(
            serde_json::to_string(&killed).unwrap(),
            r#"{"killed":["7"]}"#
        );
    }

    #[test]
    fn names_are_those_of_the_protocol() {
        for level in Level::ALL {
            let name = serde_json::to_string(&level).unwrap();
            assert_eq!(name.trim_matches('"'), level.name());
        }
        for transport in Transport::ALL {
            let name = serde_json::to_string(&transport).unwrap();
            assert_eq!(name.trim_matches('"'), transport.name());
        }
    }

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in ["192.0.2.1", "192.0.2.1:7", "2001:db8::1", "[2001:db8::1]:7"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        let mapped: Address = "[::ffff:192.0.2.1]:7".parse().unwrap();
        assert_eq!(mapped.to_string(), "192.0.2.1:7");
        assert_eq!("[::1]".parse::<Address>().unwrap().to_string(), "::1");
        assert!("192.0.2.1:70000".parse::<Address>().is_err());
    }
}
