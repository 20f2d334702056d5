//! Clients over TCP: framing, slow readers, ends, and limits on those who have no allocation.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use std::{io::Write, net::Shutdown, sync::Arc, time::Duration};

use support::{Client, Got, LOOPBACKS, Server, Setup, peer, receive};
use turn_proto::{Admin, Caps, ClientLists, EndReason, Event, Good, Holder, IpRange, Transport};
use turn_wire::Method;

const CHANNEL: u16 = 0x4001;
const ON: &str = LOOPBACKS[0];

fn client(server: &Server) -> Client {
    server.client(Transport::Tcp, ON)
}

#[test]
fn messages_that_come_byte_by_byte_are_understood() {
    let server = Server::new();
    let (peer, peer_address) = peer(ON);
    let mut client = client(&server);
    let relayed = client.allocate();
    let mut bytes = client.build(Method::CHANNEL_BIND, |request| {
        request
            .channel_number(CHANNEL)
            .xor_peer_address(peer_address)
    });
    // A second and a third message right behind, so that their beginnings come with the end of another.
    bytes.extend(client.channel_data(CHANNEL, b"drip"));
    bytes.extend(client.channel_data(CHANNEL, b"drop!"));
    for byte in bytes {
        client.send(&[byte]);
        // Lets the server read each byte alone, most of the time.
        std::thread::yield_now();
    }
    assert_eq!(receive(&peer), (b"drip".to_vec(), relayed));
    assert_eq!(receive(&peer), (b"drop!".to_vec(), relayed));
}

#[test]
fn messages_cut_anywhere_are_put_together() {
    let server = Server::new();
    let (peer, peer_address) = peer(ON);
    let mut client = client(&server);
    client.allocate();
    client.bind_channel(CHANNEL, peer_address);
    let payloads: Vec<Vec<u8>> = (0..100)
        .map(|number| vec![number as u8; number * 7 % 1_400])
        .collect();
    let stream: Vec<u8> = payloads
        .iter()
        .flat_map(|payload| client.channel_data(CHANNEL, payload))
        .collect();
    for piece in stream.chunks(997) {
        client.send(piece);
    }
    for payload in payloads {
        assert_eq!(receive(&peer).0, payload);
    }
}

#[test]
fn bytes_that_are_no_message_close_that_stream_only() {
    let server = Server::new();
    let (_peer, peer_address) = peer(ON);
    let (mut good, mut bad) = (client(&server), client(&server));
    good.allocate();
    bad.allocate();
    bad.send(b"\xFFGET / HTTP/1.1\r\n\r\n");
    bad.tcp().wait_for_end();
    good.permit(peer_address);
    let stats = server.wait_for("the session's end", |stats| {
        stats.relay.allocations_tcp == 1
    });
    assert_eq!((stats.io.streams_misframed, stats.io.streams_open), (1, 1));
}

#[test]
fn a_message_before_the_nonsense_is_still_answered() {
    let server = Server::new();
    let mut client = client(&server);
    let mut bytes = client.build(Method::BINDING, |request| request);
    bytes.extend_from_slice(b"\xFF\xFF\xFF\xFF");
    client.send(&bytes);
    assert!(client.receive_bytes().is_ok());
    client.tcp().wait_for_end();
}

#[test]
fn the_end_of_a_stream_ends_its_session() {
    let server = Server::new();
    for end in [Shutdown::Both, Shutdown::Write] {
        let mut client = client(&server);
        client.allocate();
        client.tcp().socket.shutdown(end).unwrap();
        server.wait_for("the session's end", |stats| {
            (stats.relay.allocations_tcp, stats.io.streams_open) == (0, 0)
        });
    }
    assert_eq!(server.shared.ports.claimed(), 0);
    let ends = server.events.try_iter().filter(|event| {
        matches!(
            event,
            Event::Ended {
                reason: EndReason::LinkClosed,
                ..
            }
        )
    });
    assert_eq!(ends.count(), 2);
}

#[test]
fn what_is_sent_together_with_the_end_is_still_read() {
    let server = Server::new();
    let (peer, peer_address) = peer(ON);
    let mut client = client(&server);
    client.allocate();
    client.bind_channel(CHANNEL, peer_address);
    // More than one read takes, and no more than the peer's socket holds.
    let count = 80;
    for _ in 0..count {
        client.send_channel(CHANNEL, &[7; 1_000]);
    }
    client.tcp().socket.shutdown(Shutdown::Write).unwrap();
    for _ in 0..count {
        assert_eq!(receive(&peer).0, [7; 1_000]);
    }
    client.tcp().wait_for_end();
}

#[test]
fn a_client_that_does_not_read_loses_data_and_not_its_session() {
    let server = Server::new();
    let (peer, peer_address) = peer(ON);
    let mut client = client(&server);
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, peer_address);
    let mut sent = 0u32;
    while server.workers.stats().io.stream_messages_dropped < 100 {
        for _ in 0..50 {
            let mut payload = vec![0; 1_000];
            payload[..4].copy_from_slice(&sent.to_be_bytes());
            peer.send_to(&payload, relayed).unwrap();
            sent += 1;
        }
    }
    // What arrives is whole messages in order, with gaps; the session is still good for new ones.
    let mut last = None;
    peer.send_to(b"marker", relayed).unwrap();
    loop {
        let payload = match client.receive() {
            Got::Channel(CHANNEL, payload) => payload,
            other => panic!("after {last:?}: {other:?}"),
        };
        if payload == b"marker" {
            break;
        }
        assert_eq!(payload.len(), 1_000);
        let number = u32::from_be_bytes(payload[..4].try_into().unwrap());
        assert!(last.is_none_or(|last| last < number));
        last = Some(number);
        // The marker may have been one of those lost.
        peer.send_to(b"marker", relayed).unwrap();
    }
    let stats = server.workers.stats();
    assert_eq!((stats.io.streams_open, stats.relay.allocations_tcp), (1, 1));
}

#[test]
fn a_stranger_that_does_not_read_its_answers_is_closed() {
    let server = Server::new();
    let mut client = client(&server);
    let request = client.build(Method::BINDING, |request| request);
    let requests = request.repeat(500);
    client
        .tcp()
        .socket
        .set_write_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // Ends with an error once the server has closed.
    while client.tcp().socket.write_all(&requests).is_ok() {}
    let stats = server.wait_for("the close", |stats| stats.io.streams_open == 0);
    assert_eq!(stats.io.streams_overflowed, 1);
}

#[test]
fn a_stranger_cannot_make_the_server_hold_a_large_message() {
    let server = Server::new();
    let mut client = client(&server);
    // The beginning of a STUN message of 60,000 bytes.
    client.send(&[0x00, 0x01, 0xEA, 0x60]);
    client.send(&[0; 5_000]);
    client.tcp().wait_for_end();
    server.wait_for("the close", |stats| stats.io.streams_misframed == 1);
}

#[test]
fn what_looks_like_channel_data_is_refused_at_once_before_an_allocation() {
    let server = Server::new();
    let beginnings: [&[u8]; 5] = [
        b"G",
        b"GET / HTTP/1.1\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"\x40\x01\0\0",
        b"\x7F",
    ];
    for bytes in beginnings {
        let mut client = client(&server);
        client.send(bytes);
        client.tcp().wait_for_end();
    }
    // Also behind a request that was answered.
    let mut asker = client(&server);
    asker.binding();
    asker.send(b"G");
    asker.tcp().wait_for_end();
    let stats = server.wait_for("the closes", |stats| stats.io.streams_open == 0);
    assert_eq!((stats.io.streams_misframed, stats.io.streams_idle), (6, 0));
}

#[test]
fn channel_data_that_comes_after_the_end_of_an_allocation_is_dropped_and_closes_nothing() {
    let server = Server::new();
    let (_peer, peer_address) = peer(ON);
    let mut client = client(&server);
    client.allocate();
    client.bind_channel(CHANNEL, peer_address);
    client.release();
    client.send_channel(CHANNEL, b"late");
    client.allocate();
    assert_eq!(server.workers.stats().io.streams_misframed, 0);
}

#[test]
fn a_stranger_is_closed_after_a_while_and_who_has_an_allocation_is_not() {
    let mut setup = Setup::default();
    setup.config.stream_patience = Duration::from_millis(1_500);
    let server = Server::with(setup);
    let (_peer, peer_address) = peer(ON);
    let mut holder = client(&server);
    holder.allocate();
    let mut strangers = [client(&server), client(&server)];
    for stranger in &mut strangers {
        stranger.tcp().wait_for_end();
    }
    holder.permit(peer_address);
    holder.release();
    holder.tcp().wait_for_end();
    assert_eq!(server.workers.stats().io.streams_idle, 3);
}

#[test]
fn connections_beyond_the_limit_are_closed_and_room_is_used_again() {
    let mut setup = Setup::default();
    setup.config.max_streams = 2;
    let server = Server::with(setup);
    let (mut first, mut second) = (client(&server), client(&server));
    first.allocate();
    second.allocate();
    let mut third = client(&server);
    third.tcp().wait_for_end();
    let io = server.workers.stats().io;
    assert_eq!((io.streams_refused, io.streams_displaced), (1, 0));
    drop(first);
    server.wait_for("the close", |stats| stats.io.streams_open == 1);
    let mut fourth = client(&server);
    assert_eq!(fourth.binding(), fourth.local());
}

#[test]
fn who_holds_silent_connections_keeps_nobody_out_and_ends_no_session() {
    let in_all = |config: &mut turn_io::Config| config.max_streams = 3;
    let of_strangers = |config: &mut turn_io::Config| config.max_strangers = 2;
    for limit in [in_all as fn(&mut turn_io::Config), of_strangers] {
        let mut setup = Setup::default();
        limit(&mut setup.config);
        let server = Server::with(setup);
        let mut holder = client(&server);
        holder.allocate();
        let mut silent: Vec<_> = (0..2).map(|_| client(&server)).collect();
        let accepted = |count| move |stats: &turn_io::Stats| stats.io.streams_accepted == count;
        server.wait_for("all of them", accepted(3));
        for round in 0..5 {
            // In the order in which they came.
            silent.push(client(&server));
            silent.remove(0).tcp().wait_for_end();
            server.wait_for("the next", accepted(4 + round));
        }
        let last = silent.last_mut().unwrap();
        assert_eq!(last.binding(), last.local());
        holder.release();
        let io = server.workers.stats().io;
        assert_eq!((io.streams_refused, io.streams_displaced), (0, 5));
    }
}

/// Of two networks, one has as many as it may; what it tries besides takes nobody's place.
#[test]
fn who_may_have_no_more_makes_nobody_make_room() {
    let mut setup = Setup::default();
    setup.config.max_strangers = 2;
    setup.adjust = |rules| {
        rules.guard.caps = Caps::default().with(Holder::Network, Good::Connections, 1);
    };
    let server = Server::with(setup);
    // By IPv6, so of another network.
    let mut far = server.client(Transport::Tcp, LOOPBACKS[1]);
    far.binding();
    let mut near = client(&server);
    near.binding();
    for _ in 0..3 {
        client(&server).tcp().wait_for_end();
    }
    far.binding();
    near.binding();
    let io = server.workers.stats().io;
    assert_eq!((io.streams_refused, io.streams_displaced), (3, 0));
}

#[test]
fn many_connections_at_once_are_all_served() {
    let server = Server::new();
    let mut clients: Vec<_> = (0..200).map(|_| client(&server)).collect();
    for client in &mut clients {
        let request = client.build(Method::BINDING, |request| request);
        client.send(&request);
    }
    for client in &mut clients {
        assert!(client.receive_bytes().is_ok());
    }
    assert_eq!(server.workers.stats().io.streams_accepted, 200);
}

#[test]
fn a_session_that_is_released_leaves_its_stream_open_for_another() {
    let server = Server::new();
    let mut client = client(&server);
    for _ in 0..3 {
        client.allocate();
        client.release();
    }
    let stats = server.workers.stats();
    assert_eq!(
        (stats.relay.allocations_created, stats.io.streams_accepted),
        (3, 1)
    );
}

#[test]
fn a_network_has_no_more_connections_than_it_may_and_gets_them_back() {
    let mut setup = Setup::default();
    setup.config.workers = 2;
    let server = Server::with(setup);
    let mut rules = support::rules(LOOPBACKS.map(support::ip).to_vec());
    rules.guard.caps = Caps::default().with(Holder::Network, Good::Connections, 2);
    server.workers.command(Admin::Configure(Arc::new(rules)));
    server.workers.stats();

    let mut first = client(&server);
    let mut second = client(&server);
    first.binding();
    second.binding();
    client(&server).tcp().wait_for_end();
    let refused =
        |stats: &turn_io::Stats| stats.relay.limits.of(Holder::Network, Good::Connections);
    server.wait_for("it was counted", |stats| refused(stats) == 1);
    let mut elsewhere = server.client(Transport::Tcp, LOOPBACKS[1]);
    elsewhere.binding();

    drop((first, elsewhere));
    server.wait_for("their places are free", |stats| stats.io.streams_open == 1);
    client(&server).binding();
    drop(second);
    server.wait_for("all are gone", |stats| stats.io.streams_open == 0);
    assert!(server.shared.quotas.is_clear());
}

#[test]
fn clients_on_the_deny_list_are_closed_as_they_come_and_lose_what_they_have() {
    let server = Server::new();
    let mut before = client(&server);
    before.allocate();
    let mut datagrams = server.client(Transport::Udp, ON);
    datagrams.binding();

    let mut rules = support::rules(LOOPBACKS.map(support::ip).to_vec());
    let range = IpRange::new(support::ip(ON), support::ip(ON)).unwrap();
    rules.guard.clients = ClientLists::new(&[], &[range]);
    server.workers.command(Admin::Configure(Arc::new(rules)));
    server.workers.stats();

    before.tcp().wait_for_end();
    client(&server).tcp().wait_for_end();
    datagrams.send_indication("127.0.0.1:9".parse().unwrap(), b"x");
    let stats = server.wait_for("everything is refused", |stats| {
        stats.relay.dropped_denied_client == 1 && stats.io.streams_denied == 1
    });
    assert_eq!((stats.io.streams_open, stats.relay.allocations_tcp), (0, 0));
    let mut elsewhere = server.client(Transport::Tcp, LOOPBACKS[1]);
    assert_eq!(elsewhere.binding(), elsewhere.local());
}
