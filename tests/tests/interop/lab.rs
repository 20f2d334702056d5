//! A machine with one public address, IPv4 or IPv6, and servers on it that speak one transport only, because some clients
//! quietly change over when the first one fails.

use std::net::IpAddr;

use anyhow::{Context, Result};
use e2e::certificate::{Authority, Certificate};
use e2e::nat::{Host, Internet};
use e2e::server::{Server, free_port};

/// The name that TLS clients check.
pub(crate) const NAME: &str = "turn.test";
pub(crate) const USERNAME: &str = "guest";
pub(crate) const PASSWORD: &str = "guest-password";

/// What a client speaks to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Transport {
    Udp,
    Tcp,
    Tls,
    Dtls,
}

impl Transport {
    pub(crate) const ALL: [Self; 4] = [Self::Udp, Self::Tcp, Self::Tls, Self::Dtls];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Dtls => "dtls",
        }
    }

    pub(crate) fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Dtls)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const ALL: [Self; 2] = [Self::V4, Self::V6];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// Whose server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Maker {
    Ours,
    Coturn,
}

/// A machine on which clients and servers run side by side.
pub(crate) struct Lab {
    pub(crate) host: Host,
    pub(crate) authority: Authority,
    certificate: Certificate,
    _internet: Internet,
}

/// A server and where it listens.
pub(crate) struct Endpoint {
    pub(crate) server: Server,
    pub(crate) transport: Transport,
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
}

impl Lab {
    pub(crate) fn new(family: Family) -> Result<Self> {
        let internet = Internet::new()?;
        let host = match family {
            Family::V4 => internet.host("machine")?,
            Family::V6 => internet.host_v6("machine")?,
        };
        host.space.name_hosts(&[(host.address, NAME)])?;
        let authority = Authority::make()?;
        let certificate = authority.certify(NAME, &[host.address])?;
        Ok(Self {
            host,
            authority,
            certificate,
            _internet: internet,
        })
    }

    /// Starts a server whose nonces live for so many seconds.
    pub(crate) fn start(
        &self,
        maker: Maker,
        transport: Transport,
        nonce_seconds: u32,
    ) -> Result<Endpoint> {
        let address = self.host.address;
        let port = self.host.space.inside(move || free_port(address))?;
        let mut flags = vec![
            format!("--listening-ip={address}"),
            format!("--relay-ip={address}"),
            format!("--listening-port={port}"),
            format!("--tls-listening-port={port}"),
            format!("--user={USERNAME}:{PASSWORD}"),
            format!("--stale-nonce={nonce_seconds}"),
        ];
        flags.extend(["--realm=example.org", "--lt-cred-mech", "--verbose"].map(str::to_owned));
        flags.extend(only(maker, transport).iter().map(|flag| (*flag).to_owned()));
        if transport.is_secure() {
            flags.extend(self.certificate.flags());
        }
        if maker == Maker::Coturn {
            // Without it coturn looks for an IPv4 relay that an IPv6-only server has not, and no client here would ask.
            flags.push("--allocation-default-address-family=keep".to_owned());
        }
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let space = Some(&self.host.space);
        let server = match maker {
            Maker::Ours => Server::start(space, &flags),
            Maker::Coturn => Server::coturn(space, &flags),
        };
        Ok(Endpoint {
            server: server.with_context(|| format!("{maker:?} over {transport:?}"))?,
            transport,
            address,
            port,
        })
    }
}

/// The flags that leave one transport.
fn only(maker: Maker, transport: Transport) -> &'static [&'static str] {
    match (maker, transport) {
        (Maker::Ours, Transport::Udp) => &["--no-tcp"],
        (Maker::Ours, Transport::Tcp) => &["--no-udp"],
        (Maker::Ours, Transport::Tls) => &["--no-udp", "--no-tcp", "--no-tls=no"],
        (Maker::Ours, Transport::Dtls) => &["--no-udp", "--no-tcp", "--dtls", "--no-dtls=no"],
        (Maker::Coturn, Transport::Udp) => &["--no-tcp", "--no-tls", "--no-dtls"],
        (Maker::Coturn, Transport::Tcp) => &["--no-udp", "--no-tls", "--no-dtls"],
        (Maker::Coturn, Transport::Tls) => &["--no-udp", "--no-tcp", "--no-dtls"],
        (Maker::Coturn, Transport::Dtls) => &["--no-udp", "--no-tcp", "--no-tls"],
    }
}

impl Endpoint {
    /// The host as a client is told it: the certificate's name where there is one to check.
    pub(crate) fn host(&self) -> String {
        if self.transport.is_secure() {
            NAME.to_owned()
        } else {
            self.address.to_string()
        }
    }

    /// The URL (RFC 7065).
    pub(crate) fn url(&self) -> String {
        let host = match self.address {
            IpAddr::V6(address) if !self.transport.is_secure() => format!("[{address}]"),
            _ => self.host(),
        };
        let (scheme, carrier) = match self.transport {
            Transport::Udp => ("turn", "udp"),
            Transport::Tcp => ("turn", "tcp"),
            Transport::Tls => ("turns", "tcp"),
            Transport::Dtls => ("turns", "udp"),
        };
        format!("{scheme}:{host}:{}?transport={carrier}", self.port)
    }

    /// To which requests it has answered that their nonce is stale, as its log has it.
    pub(crate) fn stale_nonces(&self) -> Vec<String> {
        let output = self.server.output();
        let answered = output.lines().filter(|line| line.contains("error 438"));
        answered.map(str::to_owned).collect()
    }
}
