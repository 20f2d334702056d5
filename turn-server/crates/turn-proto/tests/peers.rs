//! Peers that nobody may reach: every row of the registries, in every form that leads there, by every method.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use support::{Client, Got, World, config};
use turn_proto::{Admin, Config, IpRange, Nat64Prefix, PeerPolicy, Transport};
use turn_wire::{Family, Method};

/// IANA's IPv4 Special-Purpose Address Registry, multicast, what is reserved, and where clouds hand out credentials.
const V4_ROWS: &str = "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.0.0/29 \
    192.0.0.8/32 192.0.0.9/32 192.0.0.10/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 \
    192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 \
    255.255.255.255/32 169.254.169.254/32 168.63.129.16/32 100.100.100.200/32 192.0.0.192/32";

/// IANA's IPv6 Special-Purpose Address Registry, multicast, what is deprecated or unassigned.
const V6_ROWS: &str = "::1/128 ::/128 ::ffff:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001::/32 \
    2001:1::1/128 2001:1::2/128 2001:1::3/128 2001:2::/48 2001:3::/32 2001:4:112::/48 2001:10::/28 2001:20::/28 2001:30::/28 \
    2001:db8::/32 2002::/16 2620:4f:8000::/48 3ffe::/16 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8 ::/96 \
    ::ffff:0:0:0/96 4000::/3 8000::/1 fd00:ec2::254/128 fd20:ce::254/128";

/// The site's own translator.
const SITE: &str = "2a00:1450:4001:64::";

fn config_without_private() -> Config {
    let mut config = config();
    config.peers.allow_private = false;
    config.peers.nat64 = vec![Nat64Prefix::new(SITE.parse().unwrap(), 96).unwrap()];
    config
}

/// First, last and an inner address of a row.
fn members(row: &str) -> Vec<IpAddr> {
    let (first, length) = row.split_once('/').unwrap();
    let length: u32 = length.parse().unwrap();
    match first.parse().unwrap() {
        IpAddr::V4(first) => {
            let rest = u32::MAX.checked_shr(length).unwrap_or(0);
            [0, rest / 3, rest]
                .map(|more| Ipv4Addr::from(first.to_bits() | more).into())
                .into()
        }
        IpAddr::V6(first) => {
            let rest = u128::MAX.checked_shr(length).unwrap_or(0);
            [0, rest / 3, rest]
                .map(|more| Ipv6Addr::from(first.to_bits() | more).into())
                .into()
        }
    }
}

/// Every IPv6 form that leads to an IPv4 address.
fn forms(v4: Ipv4Addr) -> Vec<(&'static str, Ipv6Addr)> {
    let ([a, b, c, d], bits) = (v4.octets(), u128::from(v4.to_bits()));
    let under =
        |prefix: &str| Ipv6Addr::from_bits(prefix.parse::<Ipv6Addr>().unwrap().to_bits() | bits);
    let six = |prefix: u16| {
        Ipv6Addr::from([
            prefix,
            u16::from_be_bytes([a, b]),
            u16::from_be_bytes([c, d]),
            1,
            0,
            0,
            0,
            1,
        ])
    };
    let local = Ipv6Addr::from([0, 0x64, 0xff, 0x9b, 0, 1, a, b, 0, c, d, 0, 0, 0, 0, 0]);
    let teredo = "2001:0:808:808:8000:1::"
        .parse::<Ipv6Addr>()
        .unwrap()
        .to_bits()
        | (bits ^ 0xffff_ffff);
    let server = "2001::8000:1:f7f7:f7f7"
        .parse::<Ipv6Addr>()
        .unwrap()
        .to_bits()
        | bits << 64;
    vec![
        ("mapped", v4.to_ipv6_mapped()),
        ("compatible", under("::")),
        ("SIIT", under("::ffff:0:0:0")),
        ("NAT64", under("64:ff9b::")),
        ("NAT64, local /48", local),
        ("NAT64, local /96", under("64:ff9b:1:7::")),
        ("NAT64, the site's", under(SITE)),
        ("6to4", six(0x2002)),
        ("Teredo client", Ipv6Addr::from_bits(teredo)),
        ("Teredo server", Ipv6Addr::from_bits(server)),
        ("ISATAP", under("2a00:1450:4001:9:0:5efe::")),
        ("ISATAP, global", under("2a00:1450:4001:9:200:5efe::")),
    ]
}

/// Every address of the table, in every form.
fn table() -> Vec<(&'static str, IpAddr)> {
    let mut all = Vec::new();
    for ip in V4_ROWS.split_whitespace().flat_map(members) {
        let IpAddr::V4(v4) = ip else { panic!("{ip}") };
        all.push(("plain", ip));
        all.extend(forms(v4).into_iter().map(|(form, ip)| (form, ip.into())));
    }
    all.extend(
        V6_ROWS
            .split_whitespace()
            .flat_map(members)
            .map(|ip| ("plain", ip)),
    );
    all
}

/// A client with an IPv4 and one with an IPv6 relayed address.
fn clients(world: &mut World) -> [Client; 2] {
    [
        ("192.0.2.10:40000", Family::V4),
        ("192.0.2.10:40001", Family::V6),
    ]
    .map(|(from, family)| {
        let mut client = Client::ann(from);
        let build = |request: turn_wire::RequestBuilder| {
            request.requested_transport(17).requested_family(family)
        };
        assert_eq!(client.ask(world, Method::ALLOCATE, build).code(), None);
        client
    })
}

#[test]
fn no_row_of_the_registries_is_reached_in_any_form_by_any_method() {
    let mut world = World::new(config_without_private());
    let [v4, v6] = &mut clients(&mut world);
    let mut number = 0x4000;
    let table = table();
    assert!(table.len() > 1000, "{}", table.len());
    for (form, ip) in &table {
        let peer = SocketAddr::new(*ip, 80).to_string();
        // An IPv4 address in IPv6 clothes is of neither family.
        let expected = |own: bool| Some(if own && *form != "mapped" { 403 } else { 443 });
        for (client, own) in [(&mut *v4, ip.is_ipv4()), (&mut *v6, ip.is_ipv6())] {
            let expected = if ip.to_canonical() == *ip {
                expected(own)
            } else {
                Some(443)
            };
            assert_eq!(
                client.permit(&mut world, &peer).code(),
                expected,
                "{form} {peer}"
            );
            assert_eq!(
                client.bind(&mut world, number, &peer).code(),
                expected,
                "{form} {peer}"
            );
            number = 0x4000 + (number + 1) % 0x1000;
            let sent = client.send_indication(&mut world, &peer, b"x");
            assert_eq!(sent, Got::Nothing, "{form} {peer}");
            assert_eq!(
                client.channel_data(&mut world, number, b"x"),
                Got::Nothing,
                "{form} {peer}"
            );
        }
    }
    let stats = world.relay.stats();
    assert_eq!(
        (
            stats.permissions,
            stats.channels,
            stats.traffic.peer_sent_packets
        ),
        (0, 0, 0)
    );

    // It is the address that is refused, and not everything.
    for (client, peer) in [(v4, "8.8.8.8:80"), (v6, "[2a00:1450:4001:9::8888]:80")] {
        assert_eq!(client.bind(&mut world, 0x4FFF, peer).code(), None);
        assert!(matches!(
            client.channel_data(&mut world, 0x4FFF, b"x"),
            Got::ToPeer { .. }
        ));
    }
}

#[test]
fn no_row_of_the_registries_is_connected_to() {
    let mut world = World::new(config_without_private());
    let mut clients = [(1, Family::V4), (2, Family::V6)].map(|(link, family)| {
        let mut client = Client::ann("192.0.2.10:40000").over(Transport::Tcp, link);
        let build = |request: turn_wire::RequestBuilder| {
            request.requested_transport(6).requested_family(family)
        };
        let answer = client.ask(&mut world, Method::ALLOCATE, build);
        assert_eq!(answer.code(), None);
        client
    });
    for (form, ip) in table() {
        let peer = SocketAddr::new(ip, 80);
        for (client, own) in clients.iter_mut().zip([ip.is_ipv4(), ip.is_ipv6()]) {
            let reached = own && ip.to_canonical() == ip;
            let expected = Some(if reached { 403 } else { 443 });
            let answer = client.ask(&mut world, Method::CONNECT, |request| {
                request.xor_peer_address(peer)
            });
            assert_eq!(answer.code(), expected, "{form} {peer}");
        }
    }
}

#[test]
fn a_detour_is_open_where_both_ends_of_it_are() {
    let range = |text: &str| IpRange::new(text.parse().unwrap(), text.parse().unwrap()).unwrap();
    for (form, outer) in forms(Ipv4Addr::new(8, 8, 8, 8)) {
        let mut config = config_without_private();
        config.peers.allow = vec![range(&outer.to_string())];
        let mut world = World::new(config);
        let [_, v6] = &mut clients(&mut world);
        let expected = (form == "mapped").then_some(443);
        assert_eq!(
            v6.permit(&mut world, &format!("[{outer}]:80")).code(),
            expected,
            "{form}"
        );
    }
    for (form, outer) in forms(Ipv4Addr::new(10, 8, 8, 8)) {
        let mut config = config_without_private();
        config.peers.allow = vec![range(&outer.to_string())];
        let mut world = World::new(config);
        let [_, v6] = &mut clients(&mut world);
        let expected = Some(if form == "mapped" { 443 } else { 403 });
        assert_eq!(
            v6.permit(&mut world, &format!("[{outer}]:80")).code(),
            expected,
            "{form}"
        );
    }
}

#[test]
fn what_lists_deny_from_now_on_is_purged_whatever_it_was_named() {
    let mut world = World::new(config());
    let [v4, v6] = &mut clients(&mut world);
    let through = "[2a00:1450:4001:9:0:5efe:808:808]:80";
    assert_eq!(v4.bind(&mut world, 0x4001, "8.8.8.8:80").code(), None);
    assert_eq!(v4.permit(&mut world, "9.9.9.9:80").code(), None);
    assert_eq!(v6.bind(&mut world, 0x4001, through).code(), None);

    let mut strict = config();
    let denied = |text: &str| IpRange::new(text.parse().unwrap(), text.parse().unwrap());
    strict.peers = PeerPolicy {
        deny: vec![denied("8.8.8.8").unwrap()],
        ..strict.peers
    };
    world
        .relay
        .on_command(world.now(), Admin::Configure(Arc::new(strict)));
    assert_eq!(v4.channel_data(&mut world, 0x4001, b"x"), Got::Nothing);
    assert_eq!(
        v4.send_indication(&mut world, "8.8.8.8:80", b"x"),
        Got::Nothing
    );
    assert_eq!(v6.channel_data(&mut world, 0x4001, b"x"), Got::Nothing);
    assert!(matches!(
        v4.send_indication(&mut world, "9.9.9.9:80", b"x"),
        Got::ToPeer { .. }
    ));
    let stats = world.relay.stats();
    assert_eq!((stats.permissions, stats.channels), (1, 0));
}
