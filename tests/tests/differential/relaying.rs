//! Permissions, channels and relayed data (RFC 8656 §9 to §12), and TCP allocations (RFC 6062).

use std::net::UdpSocket;

use anyhow::Result;
use e2e::conversation::{Conversation, say};

use crate::Case;
use crate::allocating::allocated;
use crate::words::*;

pub(crate) const CASES: &[Case] = &[
    ("CreatePermission", |c| {
        allocated(c)?;
        let asked = || say(CREATE_PERMISSION);
        c.ask("one peer", &asked().with(peer_at("127.0.0.1", 9)))?;
        c.ask("port zero", &asked().with(peer_at("127.0.0.1", 0)))?;
        c.ask(
            "two peers",
            &asked()
                .with(peer_at("127.0.0.1", 9))
                .with(peer_at("127.0.0.2", 9)),
        )?;
        c.ask(
            "the same twice",
            &asked()
                .with(peer_at("127.0.0.1", 9))
                .with(peer_at("127.0.0.1", 10)),
        )?;
        c.ask("no peer", &asked())
    }),
    ("CreatePermission for a peer of the other family", |c| {
        allocated(c)?;
        c.ask("IPv6", &say(CREATE_PERMISSION).with(peer_at("::1", 9)))?;
        let both = say(CREATE_PERMISSION)
            .with(peer_at("127.0.0.1", 9))
            .with(peer_at("::1", 9));
        c.ask("both", &both)
    }),
    ("CreatePermission for a peer that is denied", |c| {
        allocated(c)?;
        c.ask(
            "alone",
            &say(CREATE_PERMISSION).with(peer_at("192.0.2.1", 9)),
        )?;
        let both = say(CREATE_PERMISSION)
            .with(peer_at("127.0.0.1", 9))
            .with(peer_at("192.0.2.1", 9));
        c.ask("beside one that is not", &both)
    }),
    ("CreatePermission for addresses that are no peer's", |c| {
        allocated(c)?;
        for ip in ["0.0.0.0", "224.0.0.1", "255.255.255.255", "169.254.1.1"] {
            c.ask(ip, &say(CREATE_PERMISSION).with(peer_at(ip, 9)))?;
        }
        Ok(())
    }),
    ("CreatePermission in an IPv6 allocation", |c| {
        c.challenge()?;
        c.ask("allocate", &say(ALLOCATE).with(udp()).with(family(2)))?;
        for ip in [
            "::1",
            "127.0.0.1",
            "::ffff:127.0.0.1",
            "::",
            "ff02::1",
            "fe80::1",
        ] {
            c.ask(ip, &say(CREATE_PERMISSION).with(peer_at(ip, 9)))?;
        }
        Ok(())
    }),
    ("XOR-PEER-ADDRESS that is malformed", |c| {
        allocated(c)?;
        c.ask(
            "4 bytes",
            &say(CREATE_PERMISSION).with(plain(XOR_PEER_ADDRESS, &[0, 1, 0, 0])),
        )?;
        c.ask(
            "no family",
            &say(CREATE_PERMISSION).with(plain(XOR_PEER_ADDRESS, &[0, 7, 0, 0, 1, 2, 3, 4])),
        )?;
        c.ask(
            "empty",
            &say(CREATE_PERMISSION).with(plain(XOR_PEER_ADDRESS, b"")),
        )
    }),
    ("ChannelBind", |c| {
        allocated(c)?;
        c.ask("bind", &bind(0x4000, "127.0.0.1", 9))?;
        c.ask("the same again", &bind(0x4000, "127.0.0.1", 9))?;
        c.ask("the number to another peer", &bind(0x4000, "127.0.0.1", 10))?;
        c.ask("the peer to another number", &bind(0x4001, "127.0.0.1", 9))?;
        c.ask("another number and peer", &bind(0x4001, "127.0.0.1", 10))
    }),
    ("channel numbers", |c| {
        allocated(c)?;
        for (port, number) in [
            (10, 0x0000),
            (11, 0x3fff),
            (12, 0x4000),
            (13, 0x4fff),
            (14, 0x5000),
            (15, 0x7ffe),
            (16, 0x7fff),
            (17, 0x8000),
            (18, 0xffff),
        ] {
            c.ask(&format!("{number:#06x}"), &bind(number, "127.0.0.1", port))?;
        }
        Ok(())
    }),
    ("ChannelBind with a part missing or wrong", |c| {
        allocated(c)?;
        c.ask(
            "no number",
            &say(CHANNEL_BIND).with(peer_at("127.0.0.1", 9)),
        )?;
        c.ask("no peer", &say(CHANNEL_BIND).with(channel(0x4000)))?;
        c.ask("nothing", &say(CHANNEL_BIND))?;
        c.ask(
            "a number of 2 bytes",
            &say(CHANNEL_BIND)
                .with(plain(0x000c, &[0x40, 0]))
                .with(peer_at("127.0.0.1", 9)),
        )?;
        c.ask("port zero", &bind(0x4000, "127.0.0.1", 0))
    }),
    ("ChannelBind to peers that may not be reached", |c| {
        allocated(c)?;
        c.ask("denied", &bind(0x4000, "192.0.2.1", 9))?;
        c.ask("the other family", &bind(0x4001, "::1", 9))?;
        c.ask("multicast", &bind(0x4002, "224.0.0.1", 9))
    }),
    ("two peers in one ChannelBind", |c| {
        allocated(c)?;
        c.ask(
            "bind",
            &bind(0x4000, "127.0.0.1", 9).with(peer_at("127.0.0.1", 10)),
        )?;
        c.ask("the first is bound", &bind(0x4000, "127.0.0.1", 9))
    }),
    ("Send indications", |c| {
        let peer_socket = permitted(c)?;
        let to = peer_socket.local_addr()?;
        c.ask("permitted", &send(to.port()).with(data(b"hello")))?;
        c.peer_hears("the peer", &peer_socket)?;
        c.ask("without data", &send(to.port()))?;
        c.peer_hears("the peer, of nothing", &peer_socket)?;
        c.ask("with empty data", &send(to.port()).with(data(b"")))?;
        c.peer_hears("the peer, of emptiness", &peer_socket)?;
        c.ask("without a peer", &say(SEND).unsigned().with(data(b"hello")))?;
        c.ask(
            "with DONT-FRAGMENT",
            &send(to.port()).with(dont_fragment()).with(data(b"whole")),
        )?;
        c.peer_hears("the peer, unfragmented", &peer_socket)?;
        c.ask(
            "with what must be understood",
            &send(to.port()).with(data(b"odd")).with(plain(0x7abc, b"")),
        )?;
        c.peer_hears("the peer, of the odd one", &peer_socket)
    }),
    ("a Send indication that is signed", |c| {
        let peer_socket = permitted(c)?;
        let to = peer_socket.local_addr()?;
        c.ask("signed", &say(SEND).with(peer(to)).with(data(b"signed")))?;
        c.peer_hears("the peer", &peer_socket)
    }),
    ("a Send indication without a permission", |c| {
        allocated(c)?;
        let peer_socket = UdpSocket::bind("127.0.0.1:0")?;
        let to = peer_socket.local_addr()?;
        c.ask("send", &send(to.port()).with(data(b"hello")))?;
        c.peer_hears("the peer", &peer_socket)
    }),
    ("a Send request", |c| {
        let peer_socket = permitted(c)?;
        let to = peer_socket.local_addr()?;
        c.ask("send", &say(0x0006).with(peer(to)).with(data(b"hello")))?;
        c.peer_hears("the peer", &peer_socket)
    }),
    ("data from a peer", |c| {
        let peer_socket = permitted(c)?;
        let relayed = c.relayed()?;
        peer_socket.send_to(b"to the client", relayed)?;
        c.listen("permitted")?;
        peer_socket.send_to(b"", relayed)?;
        c.listen("empty")
    }),
    ("data from a peer without a permission", |c| {
        allocated(c)?;
        let peer_socket = UdpSocket::bind("127.0.0.1:0")?;
        peer_socket.send_to(b"to the client", c.relayed()?)?;
        c.listen("nothing passes")
    }),
    ("channel data both ways", |c| {
        allocated(c)?;
        let peer_socket = UdpSocket::bind("127.0.0.1:0")?;
        let port = peer_socket.local_addr()?.port();
        c.ask("bind", &bind(0x4abc, "127.0.0.1", port))?;
        c.channel_data(0x4abc, b"there");
        c.peer_hears("the peer", &peer_socket)?;
        peer_socket.send_to(b"back", c.relayed()?)?;
        c.listen("the client")?;
        c.channel_data(0x4abc, b"");
        c.peer_hears("the peer, of emptiness", &peer_socket)?;
        c.channel_data(0x4abd, b"nowhere");
        c.peer_hears("the peer, of another channel", &peer_socket)?;
        c.ask("an indication besides", &send(port).with(data(b"and so")))?;
        c.peer_hears("the peer, by indication", &peer_socket)
    }),
    ("a channel gives the permission, too", |c| {
        allocated(c)?;
        let (bound, other) = (
            UdpSocket::bind("127.0.0.1:0")?,
            UdpSocket::bind("127.0.0.1:0")?,
        );
        c.ask(
            "bind",
            &bind(0x4000, "127.0.0.1", bound.local_addr()?.port()),
        )?;
        other.send_to(b"from another port", c.relayed()?)?;
        c.listen("another port of that address")
    }),
    ("data to another client's relay", |c| {
        allocated(c)?;
        let mut other = c.another()?;
        allocated(&mut other)?;
        let (one, two) = (c.relayed()?, other.relayed()?);
        c.ask("permission", &say(CREATE_PERMISSION).with(peer(two)))?;
        other.ask(
            "the other's permission",
            &say(CREATE_PERMISSION).with(peer(one)),
        )?;
        c.ask(
            "send",
            &say(SEND).unsigned().with(peer(two)).with(data(b"across")),
        )?;
        other.listen("the other hears")?;
        c.note_all(other);
        Ok(())
    }),
    ("data after the end", |c| {
        let peer_socket = permitted(c)?;
        let relayed = c.relayed()?;
        c.ask("end", &say(REFRESH).with(lifetime(0)))?;
        peer_socket.send_to(b"too late", relayed)?;
        c.listen("nothing passes")?;
        c.ask(
            "send",
            &send(peer_socket.local_addr()?.port()).with(data(b"too late")),
        )?;
        c.peer_hears("the peer", &peer_socket)
    }),
    ("Connect in a UDP allocation", |c| {
        allocated(c)?;
        c.ask("connect", &say(CONNECT).with(peer_at("127.0.0.1", 9)))
    }),
    ("ConnectionBind to what is not there", |c| {
        c.challenge()?;
        c.ask("no number", &say(CONNECTION_BIND))?;
        c.ask(
            "a number that nobody has",
            &say(CONNECTION_BIND).with(plain(0x002a, &[1, 2, 3, 4])),
        )
    }),
    ("UDP's requests in a TCP allocation", |c| {
        c.challenge()?;
        c.ask("allocate", &say(ALLOCATE).with(transport(6)))?;
        c.ask("ChannelBind", &bind(0x4000, "127.0.0.1", 9))?;
        c.ask(
            "CreatePermission",
            &say(CREATE_PERMISSION).with(peer_at("127.0.0.1", 9)),
        )?;
        c.ask("Connect without a peer", &say(CONNECT))?;
        c.ask(
            "Connect to a denied peer",
            &say(CONNECT).with(peer_at("192.0.2.1", 9)),
        )?;
        c.ask(
            "Connect to the other family",
            &say(CONNECT).with(peer_at("::1", 9)),
        )?;
        c.ask(
            "Connect to where nobody listens",
            &say(CONNECT).with(peer_at("127.0.0.1", 1)),
        )
    }),
];

fn bind(number: u16, ip: &str, port: u16) -> e2e::conversation::Say {
    say(CHANNEL_BIND)
        .with(channel(number))
        .with(peer_at(ip, port))
}

/// A Send indication to a port of 127.0.0.1.
fn send(port: u16) -> e2e::conversation::Say {
    say(SEND).unsigned().with(peer_at("127.0.0.1", port))
}

/// Allocates, opens a peer and permits it.
fn permitted(c: &mut Conversation) -> Result<UdpSocket> {
    allocated(c)?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    c.ask(
        "permission",
        &say(CREATE_PERMISSION).with(peer(socket.local_addr()?)),
    )?;
    Ok(socket)
}
