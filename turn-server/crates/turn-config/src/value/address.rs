//! Values that are addresses, with host names resolved by the caller's resolver.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::{Fault, Resolve};
use crate::client_range::ClientRange;
use crate::diagnostics::quote;
use crate::ip_range::IpRange;
use crate::option::OptionSpec;
use crate::settings::External;

pub(super) fn address(text: &str, resolve: Resolve<'_>) -> Result<IpAddr, Fault> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Fault::new(
            "an address is missing",
            "Write an IP address, for example 192.0.2.10.",
        ));
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(address) = bare.parse() {
        return Ok(address);
    }
    if !looks_like_a_host(text) {
        return Err(Fault::new(
            format!("{} is not an IP address", quote(text)),
            "Write an IPv4 or IPv6 address, without port and zone.",
        ));
    }
    resolve(text).ok_or_else(|| {
        Fault::new(
            format!("the host name {} has no address", quote(text)),
            "Write the IP address itself, or make the name resolve.",
        )
    })
}

/// Letters, digits, dots, dashes and underscores, at least one of them a letter.
fn looks_like_a_host(text: &str) -> bool {
    text.len() <= 253
        && text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || ".-_".contains(character))
        && text
            .chars()
            .any(|character| character.is_ascii_alphabetic())
}

pub(super) fn external(text: &str, resolve: Resolve<'_>) -> Result<External, Fault> {
    const REMEDY: &str =
        "Write the public address, or PUBLIC/PRIVATE with two addresses of one family.";
    let usable = |text: &str| {
        let address = address(text, resolve)?;
        if address.is_unspecified() || address.is_multicast() {
            return Err(Fault::new(
                format!("{address} is not the address of a host"),
                REMEDY,
            ));
        }
        Ok(address)
    };
    let Some((public, private)) = text.split_once('/') else {
        return Ok(External {
            public: usable(text)?,
            private: None,
        });
    };
    let (public, private) = (usable(public)?, usable(private)?);
    if public.is_ipv4() != private.is_ipv4() {
        return Err(Fault::new(
            format!("{public} and {private} are of different families"),
            REMEDY,
        ));
    }
    Ok(External {
        public,
        private: Some(private),
    })
}

pub(super) fn range(spec: &OptionSpec, text: &str) -> Result<IpRange, Fault> {
    let remedy = format!(
        "Write IP, FIRST-LAST or NETWORK/PREFIX, for example {}.",
        spec.example
    );
    if text.trim().is_empty() {
        return Err(Fault::new("a range of addresses is missing", remedy));
    }
    IpRange::parse(text).map_err(|what| Fault::new(what, remedy))
}

pub(super) fn clients(text: &str) -> Result<ClientRange, Fault> {
    const REMEDY: &str = "Write a range (IP, FIRST-LAST or NETWORK/PREFIX) alone for every listener, or with @PORT or @ADDRESS:PORT behind \
                          it, for example 10.0.0.0/8@3478 or 10.0.0.0/8@[2001:db8::1]:3478.";
    if text.trim().is_empty() {
        return Err(Fault::new("a range of addresses is missing", REMEDY));
    }
    ClientRange::parse(text).map_err(|what| Fault::new(what, REMEDY))
}

/// A server as an operator names it: by address or by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Named {
    pub(crate) ip: IpAddr,
    pub(crate) port: Option<u16>,
    /// The name, if it was one.
    pub(crate) name: Option<String>,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.ip, self.port) {
            (Some(name), _, Some(port)) => write!(f, "{name}:{port}"),
            (Some(name), _, None) => f.write_str(name),
            (None, ip, Some(port)) => write!(f, "{}", SocketAddr::new(ip, port)),
            (None, ip, None) => write!(f, "{ip}"),
        }
    }
}

pub(super) fn server(text: &str, resolve: Resolve<'_>) -> Result<Named, Fault> {
    const REMEDY: &str =
        "Write ADDRESS:PORT or NAME:PORT, for example 198.51.100.7:3478 or [2001:db8::7]:3478.";
    let text = text.trim();
    if text.is_empty() {
        return Err(Fault::new("a server is missing", REMEDY));
    }
    // An IPv6 address without brackets is all address, and what stands in brackets has its port behind them.
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, Some(super::number::port(port, 1)?))
        }
        _ => (text, None),
    };
    let ip = address(host, resolve).map_err(|fault| match looks_like_a_host(host) {
        true => fault,
        false => Fault::new(fault.text, REMEDY),
    })?;
    if ip.is_unspecified() || ip.is_multicast() {
        return Err(Fault::new(
            format!("{ip} is not the address of a server"),
            REMEDY,
        ));
    }
    let is_name = host.trim_matches(['[', ']']).parse::<IpAddr>().is_err();
    Ok(Named {
        ip,
        port,
        name: is_name.then(|| host.to_ascii_lowercase()),
    })
}

pub(super) fn endpoint(text: &str, resolve: Resolve<'_>) -> Result<SocketAddr, Fault> {
    const REMEDY: &str = "Write ADDRESS:PORT, for example 127.0.0.1:8080 or [::1]:8080.";
    let text = text.trim();
    if text.is_empty() {
        return Err(Fault::new("an address and a port are missing", REMEDY));
    }
    if let Ok(endpoint) = text.parse() {
        return Ok(endpoint);
    }
    let (host, port) = text
        .rsplit_once(':')
        .ok_or_else(|| Fault::new(format!("{} has no port", quote(text)), REMEDY))?;
    // Without brackets the last group of an IPv6 address would be taken for the port.
    if host.contains(':') {
        return Err(Fault::new(
            format!("{} is not an address and a port", quote(text)),
            REMEDY,
        ));
    }
    let port = super::number::port(port, 0)?;
    Ok(SocketAddr::new(address(host, resolve)?, port))
}
