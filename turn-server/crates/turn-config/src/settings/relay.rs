//! Relay addresses, ports, and the peers they may talk to.

use std::net::IpAddr;

use crate::ip_range::IpRange;

/// Describes the relayed side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Addresses to relay from; empty: the address that the client came to.
    pub addresses: Vec<IpAddr>,
    /// What clients are told in place of local addresses.
    pub external: Vec<External>,
    /// Lowest port of the range.
    pub min_port: u16,
    /// Highest port of the range, inside it.
    pub max_port: u16,
    /// The family when the client names none.
    pub default_family: DefaultFamily,
    /// Whom relayed packets may go to.
    pub peers: Peers,
}

/// Maps a local address to the one that clients are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct External {
    /// What clients are told.
    pub public: IpAddr,
    /// The local address it stands for; `None`: every relay address of its family.
    pub private: Option<IpAddr>,
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
}
