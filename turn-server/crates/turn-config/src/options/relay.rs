//! Options: relay addresses, ports and peers.

use crate::option::{Group, Kind, flag, number, option, port};

pub(super) static GROUP: Group = Group {
    title: "Relay",
    options: &[
        option("relay-ip", Kind::Address, "Local address to relay from; repeat it for several.")
            .short('E')
            .list()
            .unset("the address that the client came to")
            .example("192.0.2.10")
            .reloads(),
        option(
            "external-ip",
            Kind::External,
            "Public address behind a 1:1 NAT that clients are told: PUBLIC for all relay addresses of its family, or \
             PUBLIC/PRIVATE for one; repeat it for IPv4 and IPv6.",
        )
        .short('X')
        .list()
        .unset("clients are told the relay address itself")
        .example("203.0.113.10/192.0.2.10")
            .reloads(),
        option(
            "external-ip-from",
            Kind::Text,
            "Whom to ask for the public address, at the start and from then on: stun:HOST[:PORT] outside, interface:NAME of this \
             machine, or the metadata of aws, gcp or azure; what external-ip says counts more.",
        )
        .unset("nobody is asked")
        .example("stun:stun.example.org")
        .ours(),
        number("external-ip-check", 1, 86_400, "seconds", "Seconds between two questions for the public address.")
            .default("30")
            .example("30")
            .ours(),
        port("min-port", 1, "Lowest port of the relay range.").default("49152").example("49152"),
        port("max-port", 1, "Highest port of the relay range; each allocation takes one.")
            .default("65535")
            .example("65535"),
        option(
            "allowed-peer-ip",
            Kind::Range,
            "Peers that are allowed even if denied-peer-ip says no: IP, IP-IP or CIDR; repeatable.",
        )
        .list()
        .unset("none")
        .example("10.1.2.3")
            .reloads(),
        option("denied-peer-ip", Kind::Range, "Peers that are refused: IP, IP-IP or CIDR; repeatable.")
            .list()
            .unset("none")
            .example("10.0.0.0-10.255.255.255")
            .reloads(),
        flag("no-multicast-peers", "Refuse multicast peers; they are refused in any case.")
            .reloads(),
        flag("allow-loopback-peers", "Allow peers on loopback addresses; for tests only.")
            .reloads(),
        flag("allow-private-peers", "Allow peers in private ranges (RFC 1918, RFC 4193 and the like).")
            .ours()
            .default("yes")
            .reloads(),
        option(
            "nat64-prefix",
            Kind::Range,
            "IPv6 prefix behind which a NAT64 translator of this site reaches IPv4 (RFC 6052): peers there are judged by the \
             IPv4 address as well; repeatable.",
        )
        .list()
        .unset("the well-known prefixes only")
        .example("2001:db8:64::/96")
        .ours()
            .reloads(),
        option(
            "allocation-default-address-family",
            Kind::Choice(&["ipv4", "ipv6", "keep"]),
            "Family of the relayed address when the client names none; keep: that of the client.",
        )
        .short('A')
        .default("ipv4")
        .example("keep")
            .reloads(),
        flag("keep-address-family", "Older spelling of allocation-default-address-family=keep.").short('K')
            .reloads(),
        flag("no-udp-relay", "Refuse UDP allocations.")
            .reloads(),
        flag("no-tcp-relay", "Refuse TCP allocations (RFC 6062).")
            .reloads(),
        option(
            "relay-device",
            Kind::Text,
            "Network interface that peers are behind (SO_BINDTODEVICE): relayed packets leave by it, and come by no other.",
        )
        .short('i')
        .unset("as the routes say")
        .example("eth0"),
        flag("server-relay", "Let peers send without permission.")
            .no_effect("permissions are checked in any case, as RFC 8656 asks"),
        flag("mobility", "Let clients move to another address (RFC 8016).")
            .reloads(),
        flag(
            "multiplex-peer",
            "Let all UDP allocations share a few relay ports instead of taking one each, for containers and firewalls: packets \
             are told apart by the peer that they come from, and by what ICE says where two clients have the same one.",
        ),
        number("multiplex-peer-port", 1, 65_000, "port", "First port of the shared relay sockets.")
            .default("3480")
            .example("3480"),
        number(
            "multiplex-peer-ports",
            0,
            4096,
            "ports",
            "Number of shared relay ports, 0 for one per worker: so many clients at a time can talk to a peer that tells \
             clients apart by their addresses only.",
        )
        .ours()
        .default("0")
        .example("4"),
        number("multiplex-peer-max-peers", 1, 65_535, "peers", "Peers of one allocation on a shared socket.")
            .default("256")
            .example("256"),
        flag("rfc5766-channel-numbers", "Accept channel numbers above 0x4FFF.")
            .no_effect("channels 0x4000 to 0x7FFF are always accepted"),
        flag("no-loopback-peers", "Refuse peers on loopback addresses.")
            .removed("loopback peers are refused unless allow-loopback-peers is given"),
        option("udp-relay-servers", Kind::Text, "Number of UDP relay servers.")
            .example("4")
            .removed("use relay-threads"),
        option("ne", Kind::Text, "Choice of coturn's network engine.").example("3").removed("there is one network engine"),
    ],
};
