//! A small internet: one public segment, hosts on it, and sites behind NAT routers of a chosen kind.
//!
//! The addresses are ordinary public ones, because a relay rightly refuses special-purpose ranges; they exist only
//! inside the namespaces, which have no way out.
//!
//! ```text
//!   client ──lan── router ──wan──┐
//!                                 hub (bridge, 11.22.33.0/24 and 2a0e:b107:7e57::/64) ── server
//!   client ──lan── router ──wan──┘
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::Result;

use crate::netns::{Namespace, cable};

/// How a router translates and what it lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nat {
    /// A new public port for every destination, and nothing unsolicited comes in (RFC 4787: address- and port-dependent).
    Symmetric,
    /// One public port per client socket, open to everybody (RFC 4787: endpoint-independent mapping and filtering).
    EndpointIndependent,
}

/// The public segment.
#[derive(Debug)]
pub struct Internet {
    hub: Namespace,
    next: AtomicU8,
}

/// A host with its namespace and the address by which others reach it.
#[derive(Debug)]
pub struct Host {
    /// Where its programs run.
    pub space: Namespace,
    /// Its public address.
    pub address: IpAddr,
}

/// A client behind its own NAT router.
#[derive(Debug)]
pub struct Site {
    /// Where the client's programs run.
    pub client: Namespace,
    router: Namespace,
}

/// A server that has only a private address; a router maps one public address to it, both ways.
#[derive(Debug)]
pub struct MappedServer {
    /// Where the server runs.
    pub space: Namespace,
    /// The address that the server sees on its own interface.
    pub private: Ipv4Addr,
    /// The address that everybody else has to use.
    pub public: Ipv4Addr,
    router: Namespace,
}

impl Internet {
    /// Makes the segment with nobody on it.
    ///
    /// # Errors
    /// Without root, iproute2 or nftables.
    pub fn new() -> Result<Self> {
        let hub = Namespace::new("hub")?;
        hub.ip("link add segment type bridge")?;
        hub.ip("link set segment up")?;
        hub.ip("address add 11.22.33.1/24 dev segment")?;
        hub.ip("address add 2a0e:b107:7e57::1/64 dev segment nodad")?;
        Ok(Self {
            hub,
            next: AtomicU8::new(10),
        })
    }

    /// Adds a host with a public IPv4 address and no IPv6.
    ///
    /// # Errors
    /// When a namespace or an interface cannot be made.
    pub fn host(&self, role: &str) -> Result<Host> {
        let space = Namespace::new(role)?;
        space.sysctl("net.ipv6.conf.default.disable_ipv6=1")?;
        let address = self.attach(&space)?;
        Ok(Host {
            space,
            address: address.into(),
        })
    }

    /// Adds a host with a public IPv6 address and no IPv4 beside loopback.
    ///
    /// # Errors
    /// When a namespace or an interface cannot be made.
    pub fn host_v6(&self, role: &str) -> Result<Host> {
        let space = Namespace::new(role)?;
        let number = self.plug(&space)?;
        let address = Ipv6Addr::new(0x2a0e, 0xb107, 0x7e57, 0, 0, 0, 0, u16::from(number));
        space.ip(&format!("address add {address}/64 dev wan nodad"))?;
        space.ip("route add default via 2a0e:b107:7e57::1")?;
        Ok(Host {
            space,
            address: address.into(),
        })
    }

    /// Adds a client behind a router.
    ///
    /// # Errors
    /// When a namespace, an interface or a rule cannot be made.
    pub fn site(&self, role: &str, nat: Nat) -> Result<Site> {
        let router = Namespace::new(&format!("{role}-router"))?;
        let client = Namespace::new(role)?;
        client.sysctl("net.ipv6.conf.default.disable_ipv6=1")?;
        let public = self.attach(&router)?;
        private_network(&router, &client, [192, 168, public.octets()[3]])?;
        router.nft(FIREWALL)?;
        router.nft(match nat {
            Nat::Symmetric => SYMMETRIC,
            Nat::EndpointIndependent => ENDPOINT_INDEPENDENT,
        })?;
        Ok(Site { client, router })
    }

    /// Adds a server behind a one-to-one NAT, as clouds have it: its own public address does not lead back to it from inside.
    ///
    /// # Errors
    /// When a namespace, an interface or a rule cannot be made.
    pub fn mapped_server(&self) -> Result<MappedServer> {
        let router = Namespace::new("cloud")?;
        let space = Namespace::new("server")?;
        space.sysctl("net.ipv6.conf.default.disable_ipv6=1")?;
        let public = self.attach(&router)?;
        let private = private_network(&router, &space, [10, 9, public.octets()[3]])?;
        router.nft(&one_to_one(public, private))?;
        Ok(MappedServer {
            space,
            private,
            public,
            router,
        })
    }

    /// Gives a host one more public IPv4 address on the same segment.
    ///
    /// # Errors
    /// When the address cannot be set.
    pub fn second_address(&self, host: &Host) -> Result<IpAddr> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let address = Ipv4Addr::new(11, 22, 33, number);
        host.space
            .ip(&format!("address add {address}/24 dev wan"))?;
        Ok(address.into())
    }

    /// Gives `space` the interface `wan` with a public IPv4 address and a default route.
    fn attach(&self, space: &Namespace) -> Result<Ipv4Addr> {
        let number = self.plug(space)?;
        let address = Ipv4Addr::new(11, 22, 33, number);
        space.ip(&format!("address add {address}/24 dev wan"))?;
        space.ip("route add default via 11.22.33.1")?;
        Ok(address)
    }

    fn plug(&self, space: &Namespace) -> Result<u8> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let port = format!("port{number}");
        cable(&self.hub, &port, space, "wan")?;
        self.hub.ip(&format!("link set {port} master segment"))?;
        Ok(number)
    }
}

impl Host {
    /// Drops what arrives at one port, UDP and TCP, as if nothing listened there and nobody said so.
    ///
    /// # Errors
    /// When the rule cannot be loaded.
    pub fn block_port(&self, port: u16) -> Result<()> {
        self.space.nft(&format!(
            "table inet block {{
                chain in {{ type filter hook input priority 0; udp dport {port} drop; tcp dport {port} drop; }}
            }}"
        ))
    }

    /// Takes the block away again.
    ///
    /// # Errors
    /// When there was none.
    pub fn unblock_port(&self) -> Result<()> {
        self.space.nft("delete table inet block")
    }
}

impl MappedServer {
    /// Gives it another public address. What was begun by the old one goes on; what it begins itself comes from the new one.
    ///
    /// # Errors
    /// When an address or a rule cannot be set.
    pub fn renumber(&mut self, internet: &Internet) -> Result<Ipv4Addr> {
        let number = internet.next.fetch_add(1, Ordering::Relaxed);
        let public = Ipv4Addr::new(11, 22, 33, number);
        self.router
            .ip(&format!("address add {public}/24 dev wan"))?;
        // At one stroke: a packet in between would not be translated.
        let rules = one_to_one(public, self.private);
        self.router.nft(&format!("delete table ip nat\n{rules}"))?;
        self.public = public;
        Ok(public)
    }
}

impl Site {
    /// Lets clients begin nothing through the router any more but TCP connections to one port.
    ///
    /// # Errors
    /// When the rule cannot be loaded.
    pub fn allow_only_tcp(&self, port: u16) -> Result<()> {
        self.router.nft(&format!(
            "table ip allow {{
                chain through {{
                    type filter hook forward priority -10;
                    iifname lan tcp dport {port} accept
                    iifname lan drop
                }}
            }}"
        ))
    }

    /// Lets no UDP pass the router any more, in either direction.
    ///
    /// # Errors
    /// When the rule cannot be loaded.
    pub fn block_udp(&self) -> Result<()> {
        self.router.nft(
            "table ip block {
                chain through { type filter hook forward priority -10; meta l4proto udp drop; }
            }",
        )
    }
}

/// Connects `inner` to `router` by a private /24 and returns the address of `inner`.
fn private_network(router: &Namespace, inner: &Namespace, network: [u8; 3]) -> Result<Ipv4Addr> {
    let [a, b, c] = network;
    let (gateway, address) = (Ipv4Addr::new(a, b, c, 1), Ipv4Addr::new(a, b, c, 2));
    cable(router, "lan", inner, "eth0")?;
    router.ip(&format!("address add {gateway}/24 dev lan"))?;
    inner.ip(&format!("address add {address}/24 dev eth0"))?;
    inner.ip(&format!("route add default via {gateway}"))?;
    router.sysctl("net.ipv4.ip_forward=1")?;
    Ok(address)
}

/// Nothing unsolicited comes in, except what a DNAT rule has asked for.
///
/// The input chain matters for mapping too: a packet that was let in to the router itself would leave a connection
/// entry behind, and the kernel would then give the client's own flow to that peer another port.
const FIREWALL: &str = "table ip filter {
    chain in { type filter hook input priority 0; policy accept; iifname wan drop; }
    chain through {
        type filter hook forward priority 0; policy drop;
        iifname lan accept
        ct state established,related accept
        ct status dnat accept
    }
}";

const SYMMETRIC: &str = "table ip nat {
    chain out { type nat hook postrouting priority srcnat; oifname wan masquerade fully-random; }
}";

/// Plain masquerading keeps the source port, and the map remembers whose port it is, so that anybody may answer to it.
const ENDPOINT_INDEPENDENT: &str = "table ip nat {
    map owner { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 5m; size 4096; }
    chain in { type nat hook prerouting priority dstnat; iifname wan udp dport @owner dnat ip to udp dport map @owner; }
    chain out {
        type nat hook postrouting priority srcnat;
        oifname wan ip protocol udp update @owner { udp sport : ip saddr . udp sport }
        oifname wan masquerade
    }
}";

fn one_to_one(public: Ipv4Addr, private: Ipv4Addr) -> String {
    format!(
        "table ip nat {{
            chain in {{ type nat hook prerouting priority dstnat; iifname wan ip daddr {public} dnat to {private}; }}
            chain out {{ type nat hook postrouting priority srcnat; oifname wan ip saddr {private} snat to {public}; }}
        }}"
    )
}
