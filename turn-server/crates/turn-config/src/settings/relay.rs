//! Relay addresses, ports, and the peers they may talk to.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::external::{self, ExternalSource};
use super::{Listening, Multiplex};
use crate::diagnostics::Report;
use crate::ip_range::IpRange;
use crate::origin::Origin;
use crate::values::Values;

/// Describes the relayed side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Addresses to relay from; empty: the address that the client came to.
    pub addresses: Vec<IpAddr>,
    /// What clients are told in place of local addresses.
    pub external: Vec<External>,
    /// Whom the server asks for its public address; `None`: nobody.
    pub source: Option<ExternalSource>,
    /// How often it asks.
    pub ask_every: Duration,
    /// What was answered; the program writes it here.
    pub found: Vec<External>,
    /// The network interface that peers are behind; `None`: any.
    pub device: Option<String>,
    /// Lowest port of the range.
    pub min_port: u16,
    /// Highest port of the range, inside it.
    pub max_port: u16,
    /// Ports that UDP allocations share; `None`: each has one of the range.
    pub multiplex: Option<Multiplex>,
    /// The family when the client names none.
    pub default_family: DefaultFamily,
    /// UDP allocations are made.
    pub udp: bool,
    /// TCP allocations are made (RFC 6062).
    pub tcp: bool,
    /// Clients get tickets with which they move to another address (RFC 8016).
    pub mobility: bool,
    /// Whom relayed packets may go to.
    pub peers: Peers,
}

/// Maps a local address to the one that clients are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct External {
    /// What clients are told.
    pub public: IpAddr,
    /// The local address it stands for; `None`: every relay address of its family.
    pub private: Option<IpAddr>,
}

impl fmt::Display for External {
    /// As an operator would write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.public)?;
        match self.private {
            Some(private) => write!(f, "/{private}"),
            None => Ok(()),
        }
    }
}

/// Names the family of a relayed address when the client names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultFamily {
    /// IPv4, as RFC 8656 says.
    V4,
    /// IPv6.
    V6,
    /// The family of the client's own connection.
    Client,
}

/// Says whom relayed packets may go to. `allowed` beats `denied`; both beat the switches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peers {
    /// Ranges that are allowed even if a switch or `denied` says no.
    pub allowed: Vec<IpRange>,
    /// Ranges that are refused.
    pub denied: Vec<IpRange>,
    /// Loopback addresses are allowed.
    pub loopback: bool,
    /// Private ranges (RFC 1918 and the like) are allowed.
    pub private: bool,
    /// Prefixes behind which translators of this site reach IPv4, each with a length of RFC 6052.
    pub nat64: Vec<(Ipv6Addr, u8)>,
}

impl Relay {
    /// What clients are told in place of local addresses: as given, and as found for the rest.
    pub fn externals(&self) -> Vec<External> {
        external::together(&self.external, &self.found)
    }

    pub(super) fn build(values: &Values, listening: &Listening, report: &mut Report) -> Relay {
        let addresses: Vec<IpAddr> = values
            .list("relay-ip")
            .into_iter()
            .map(|given| given.value)
            .collect();
        let relay = Relay {
            external: given_externals(values, &addresses, report),
            source: external::source(values, report),
            ask_every: Duration::from_secs(values.number("external-ip-check").unwrap_or_default()),
            found: Vec::new(),
            addresses,
            device: values.text("relay-device"),
            min_port: values.port("min-port").unwrap_or_default(),
            max_port: values.port("max-port").unwrap_or_default(),
            multiplex: Multiplex::build(values, &ports_of(listening), report),
            default_family: default_family(values),
            udp: !values.flag("no-udp-relay"),
            tcp: !values.flag("no-tcp-relay"),
            mobility: values.flag("mobility"),
            peers: Peers::build(values, report),
        };
        check_ports(&relay, listening, values, report);
        if values.is_given("no-multicast-peers") && !values.flag("no-multicast-peers") {
            report.warn(
                values.origin("no-multicast-peers"),
                "no-multicast-peers cannot be turned off: multicast peers are always refused",
            );
        }
        relay
    }
}

/// Keeps one plain address per family and one mapping per private address: the first, as coturn does.
///
/// coturn keeps only the first plain address of all and drops the one of the other family.
fn given_externals(values: &Values, addresses: &[IpAddr], report: &mut Report) -> Vec<External> {
    let mut kept: Vec<External> = Vec::new();
    for given in values.list::<External>("external-ip") {
        let External { public, private } = given.value;
        let first = kept.iter().find(|earlier| {
            earlier.private == private && earlier.public.is_ipv4() == public.is_ipv4()
        });
        if let Some(first) = first {
            report.warn(
                given.origin,
                format!(
                    "external-ip: {public} is ignored: {} came first; for several addresses write PUBLIC/PRIVATE",
                    first.public
                ),
            );
            continue;
        }
        check_against_relay_addresses(given.value, addresses, given.origin, report);
        kept.push(given.value);
    }
    kept
}

fn check_against_relay_addresses(
    external: External,
    addresses: &[IpAddr],
    origin: Origin,
    report: &mut Report,
) {
    if addresses.is_empty() {
        return;
    }
    match external.private {
        Some(private) if !addresses.contains(&private) => {
            report.warn(origin, format!("external-ip: {private} is not among the relay-ip addresses, so it is never used"));
        }
        None if !addresses
            .iter()
            .any(|address| address.is_ipv4() == external.public.is_ipv4()) =>
        {
            report.warn(
                origin,
                format!(
                    "external-ip: no relay-ip is of the family of {}",
                    external.public
                ),
            );
        }
        _ => {}
    }
}

/// Reads prefixes; the lengths are those of RFC 6052 §2.2.
fn nat64(values: &Values, report: &mut Report) -> Vec<(Ipv6Addr, u8)> {
    let mut prefixes = Vec::new();
    for given in values.list::<IpRange>("nat64-prefix") {
        match given.value.prefix() {
            Some((IpAddr::V6(prefix), length @ (32 | 40 | 48 | 56 | 64 | 96))) => {
                prefixes.push((prefix, length));
            }
            _ => report.problem(
                given.origin,
                format!("nat64-prefix: {} is not a prefix of NAT64", given.value),
                "Write an IPv6 prefix with one of the lengths /32, /40, /48, /56, /64 and /96, such as 2001:db8:64::/96.",
            ),
        }
    }
    prefixes
}

fn default_family(values: &Values) -> DefaultFamily {
    // The older spelling only adds to the newer one: in coturn, too, its "no" changes nothing.
    if values.flag("keep-address-family") {
        return DefaultFamily::Client;
    }
    match values.text("allocation-default-address-family").as_deref() {
        Some("ipv6") => DefaultFamily::V6,
        Some("keep") => DefaultFamily::Client,
        _ => DefaultFamily::V4,
    }
}

fn check_ports(relay: &Relay, listening: &Listening, values: &Values, report: &mut Report) {
    let Relay {
        min_port, max_port, ..
    } = *relay;
    if values.is_refused("min-port") || values.is_refused("max-port") {
        return;
    }
    if min_port > max_port {
        let given = if values.is_given("min-port") {
            "min-port"
        } else {
            "max-port"
        };
        report.problem(
            values.origin(given),
            format!("min-port {min_port} is above max-port {max_port}"),
            "Write both, the lower port as min-port.",
        );
        return;
    }
    let inside = |(_, port): &(&str, u16)| (min_port..=max_port).contains(port);
    for (option, port) in ports_of(listening).into_iter().filter(inside) {
        report.warn(
            values.origin(option),
            format!(
                "{option} {port} lies inside the relay range {min_port}-{max_port}; choose a port outside"
            ),
        );
    }
}

/// The ports that are listened on for datagrams.
fn ports_of(listening: &Listening) -> Vec<(&'static str, u16)> {
    let first = ("listening-port", listening.port);
    let second = listening.alternate_port;
    let second = second.map(|port| ("alt-listening-port", port));
    [Some(first), second].into_iter().flatten().collect()
}

impl Peers {
    fn build(values: &Values, report: &mut Report) -> Peers {
        let ranges = |option| {
            values
                .list(option)
                .into_iter()
                .map(|given| given.value)
                .collect()
        };
        let peers = Peers {
            allowed: ranges("allowed-peer-ip"),
            denied: ranges("denied-peer-ip"),
            loopback: values.flag("allow-loopback-peers"),
            private: values.flag("allow-private-peers"),
            nat64: nat64(values, report),
        };
        if peers.loopback {
            report.warn(
                values.origin("allow-loopback-peers"),
                "allow-loopback-peers lets clients reach services of this machine; use it for tests only",
            );
        }
        if peers.private
            && !values.is_given("allow-private-peers")
            && !peers.denies_private_networks()
        {
            report.warn(
                Origin::Default,
                "clients may reach private networks (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16) through this relay, as in \
                 coturn; write allow-private-peers=no to refuse, or allow-private-peers to agree",
            );
        }
        peers
    }

    /// Whether `denied` covers the three networks of RFC 1918, each by one range.
    fn denies_private_networks(&self) -> bool {
        const NETWORKS: [([u8; 4], [u8; 4]); 3] = [
            ([10, 0, 0, 0], [10, 255, 255, 255]),
            ([172, 16, 0, 0], [172, 31, 255, 255]),
            ([192, 168, 0, 0], [192, 168, 255, 255]),
        ];
        NETWORKS.iter().all(|(first, last)| {
            self.denied.iter().any(|range| {
                range.contains(IpAddr::from(*first)) && range.contains(IpAddr::from(*last))
            })
        })
    }
}
