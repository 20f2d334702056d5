//! TCP allocations (RFC 6062) in virtual time: what is asked of the driver, what clients are told, and when all of it ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use support::{Answer, Client, Got, World, address, config};
use turn_proto::{
    Admin, Caps, ConnectionId, Event, Good, Holder, IpRange, Path, PeerPolicy, RelayId, Reply,
    Share, Transport,
};
use turn_wire::{Class, Family, MessageView, Method, Packet, RequestBuilder, attr};

const CLIENT: &str = "192.0.2.10:40000";
const DATA: &str = "192.0.2.10:40001";
const PEER: &str = "203.0.113.5:80";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A client on a control connection.
fn control() -> Client {
    Client::ann(CLIENT).over(Transport::Tcp, 7)
}

/// A client's further connection.
fn data_connection(link: u32) -> Client {
    Client::ann(DATA).over(Transport::Tcp, link)
}

fn request_allocation(
    world: &mut World,
    client: &mut Client,
    more: impl Fn(RequestBuilder) -> RequestBuilder,
) -> Answer {
    client.ask(world, Method::ALLOCATE, |request| {
        more(request.requested_transport(6))
    })
}

/// A world with a TCP allocation.
fn allocated() -> (World, Client, SocketAddr) {
    let mut world = World::new(config());
    let mut client = control();
    let answer = request_allocation(&mut world, &mut client, |request| request);
    assert!(answer.signed_by(&client.key));
    let relayed = answer.relayed();
    (world, client, relayed)
}

/// Sends a Connect request, which is answered later or refused at once.
fn connect(world: &mut World, client: &mut Client, peer: &str) -> Got {
    let id = client.id();
    let request = RequestBuilder::new(Method::CONNECT, id).xor_peer_address(address(peer));
    world.send(&client.path, &client.sign(request))
}

fn refused(got: Got) -> u16 {
    Answer::of(got).code().unwrap()
}

/// The connection that the driver has been asked for last.
fn asked_for(world: &World) -> ConnectionId {
    *world.connections.iter().next().unwrap().0
}

fn reply(world: &mut World, reply: Reply) -> Option<(Path, Answer)> {
    world.relay.on_reply(world.now(), reply);
    let mut answers = world.drain();
    assert!(answers.len() <= 1);
    let (path, bytes) = answers.pop()?;
    Some((path, Answer { bytes }))
}

/// Connects to a peer that accepts, and returns the CONNECTION-ID that the client is told.
fn connected(world: &mut World, client: &mut Client, peer: &str) -> ConnectionId {
    assert_eq!(connect(world, client, peer), Got::Nothing);
    let connection = world
        .connections
        .iter()
        .find(|(_, (_, to))| *to == address(peer))
        .map(|(id, _)| *id)
        .unwrap();
    let (path, answer) = reply(world, Reply::Connected { connection }).unwrap();
    assert_eq!((path, answer.code()), (client.path, None));
    assert!(answer.signed_by(&client.key));
    let told = answer.attribute(attr::CONNECTION_ID).unwrap();
    assert_eq!(told, connection.0.to_be_bytes());
    connection
}

fn bind(world: &mut World, client: &mut Client, connection: ConnectionId) -> Answer {
    client.ask(world, Method::CONNECTION_BIND, |request| {
        request.connection_id(connection.0)
    })
}

/// A peer's connection arrives: the CONNECTION-ID, and the indication to the client.
fn peer_connects(world: &mut World, from: &str) -> Option<(ConnectionId, Path, Vec<u8>)> {
    let relay = *world.listening.iter().next().unwrap();
    let now = world.now();
    let connection = world.relay.on_peer_connection(now, relay, address(from));
    let mut told = world.drain();
    assert_eq!(told.len(), usize::from(connection.is_some()));
    let connection = connection?;
    let local = world.bound[&relay];
    world.connections.insert(connection, (local, address(from)));
    let (path, bytes) = told.pop().unwrap();
    Some((connection, path, bytes))
}

#[test]
fn an_allocation_listens_on_a_port_of_the_pool() {
    let (world, _, relayed) = allocated();
    assert_eq!(world.listening.len(), 1);
    assert!(support::PORTS.contains(&relayed.port()));
    assert_eq!(world.shared.ports.claimed(), 1);
    assert_eq!(world.relay.stats().allocations_tcp, 1);
}

#[test]
fn contradictions_in_the_request_are_bad_requests() {
    let mut world = World::new(config());
    let mut client = control();
    let contradictions: [fn(RequestBuilder) -> RequestBuilder; 3] = [
        |request| request.even_port(false),
        |request| request.even_port(true),
        |request| request.reservation_token([1; 8]),
    ];
    for more in contradictions {
        let answer = request_allocation(&mut world, &mut client, more);
        assert_eq!(answer.code(), Some(400));
    }
    // Not understood at all (420), or understood and contradicting (400).
    let answer = request_allocation(&mut world, &mut client, |request| request.dont_fragment());
    assert!(matches!(answer.code(), Some(400 | 420)));
    assert_eq!(world.shared.ports.claimed(), 0);
    let answer = request_allocation(&mut world, &mut client, |request| {
        request.requested_family(Family::V6)
    });
    assert!(answer.relayed().is_ipv6());
}

#[test]
fn datagrams_cannot_control_a_tcp_allocation() {
    let mut world = World::new(config());
    for transport in [Transport::Udp, Transport::Dtls] {
        let mut client = Client::ann(CLIENT).over(transport, 0);
        let answer = request_allocation(&mut world, &mut client, |request| request);
        assert_eq!(answer.code(), Some(400), "{transport}");
    }
    let mut client = Client::ann(CLIENT).over(Transport::Tls, 9);
    request_allocation(&mut world, &mut client, |request| request).relayed();
}

#[test]
fn where_it_is_off_the_transport_is_not_supported() {
    let mut off = config();
    off.tcp_relay = false;
    let mut world = World::new(off);
    let mut client = control();
    let answer = request_allocation(&mut world, &mut client, |request| request);
    assert_eq!(answer.code(), Some(442));
    client.allocate(&mut world);
}

#[test]
fn datagram_methods_mean_nothing_on_it() {
    let (mut world, mut client, _) = allocated();
    assert_eq!(client.permit(&mut world, PEER).code(), None);
    assert_eq!(client.bind(&mut world, 0x4000, PEER).code(), Some(400));
    assert_eq!(client.send_indication(&mut world, PEER, b"x"), Got::Nothing);
    assert_eq!(client.channel_data(&mut world, 0x4000, b"x"), Got::Nothing);
}

#[test]
fn connect_leaves_from_the_relayed_address_and_needs_no_permission() {
    let (mut world, mut client, relayed) = allocated();
    let connection = connected(&mut world, &mut client, PEER);
    assert_eq!(world.connections[&connection], (relayed, address(PEER)));
    assert_eq!(world.relay.stats().peer_connections, 1);
}

#[test]
fn connect_without_a_tcp_allocation_is_a_mismatch() {
    let mut world = World::new(config());
    let mut client = control();
    client.challenge(&mut world);
    assert_eq!(refused(connect(&mut world, &mut client, PEER)), 437);
    client.allocate(&mut world);
    assert_eq!(refused(connect(&mut world, &mut client, PEER)), 437);
}

#[test]
fn connect_needs_a_peer_of_the_family_with_a_port() {
    let (mut world, mut client, _) = allocated();
    let answer = client.ask(&mut world, Method::CONNECT, |request| request);
    assert_eq!(answer.code(), Some(400));
    let portless = connect(&mut world, &mut client, "203.0.113.5:0");
    assert_eq!(refused(portless), 400);
    let other_family = connect(&mut world, &mut client, "[2001:db8::7]:80");
    assert_eq!(refused(other_family), 443);
}

#[test]
fn one_connection_per_peer_at_a_time() {
    let (mut world, mut client, _) = allocated();
    assert_eq!(connect(&mut world, &mut client, PEER), Got::Nothing);
    // Being connected.
    assert_eq!(refused(connect(&mut world, &mut client, PEER)), 446);
    let connection = asked_for(&world);
    reply(&mut world, Reply::Connected { connection });
    // Waiting.
    assert_eq!(refused(connect(&mut world, &mut client, PEER)), 446);
    let mut data = data_connection(8);
    assert_eq!(bind(&mut world, &mut data, connection).code(), None);
    assert!(world.relay.on_join(world.now(), connection));
    // In use.
    assert_eq!(refused(connect(&mut world, &mut client, PEER)), 446);
    // Another port of the same peer is another peer.
    connected(&mut world, &mut client, "203.0.113.5:81");
    world.relay.on_connection_closed(world.now(), connection);
    world.connections.remove(&connection);
    connected(&mut world, &mut client, PEER);
}

#[test]
fn the_policy_for_peers_is_that_of_datagrams() {
    let mut strict = config();
    strict.peers.deny = vec![IpRange::new(address(PEER).ip(), address(PEER).ip()).unwrap()];
    strict.peers.control = vec![address("203.0.113.9:5432")];
    let mut world = World::new(strict);
    let mut client = control();
    let relayed = request_allocation(&mut world, &mut client, |request| request).relayed();
    for denied in [
        PEER,
        "127.0.0.1:22",
        "169.254.169.254:80",
        // A backend, and our own address where no relay listens.
        "203.0.113.9:5432",
        support::SERVER,
    ] {
        let got = connect(&mut world, &mut client, denied);
        assert_eq!(refused(got), 403, "{denied}");
    }
    assert!(world.connections.is_empty());
    // A live relay may be reached: another client's, or its own.
    connected(&mut world, &mut client, &relayed.to_string());
    connected(&mut world, &mut client, "203.0.113.9:80");
}

#[test]
fn a_refused_connection_is_447() {
    let (mut world, mut client, _) = allocated();
    connect(&mut world, &mut client, PEER);
    let connection = asked_for(&world);
    let (path, answer) = reply(&mut world, Reply::ConnectFailed { connection }).unwrap();
    assert_eq!((path, answer.code()), (client.path, Some(447)));
    assert!(answer.signed_by(&client.key));
    world.connections.clear();
    assert_eq!(world.relay.stats().peer_connections, 0);
    connected(&mut world, &mut client, PEER);
}

#[test]
fn a_peer_that_does_not_answer_is_447_after_thirty_seconds() {
    let (mut world, mut client, _) = allocated();
    connect(&mut world, &mut client, PEER);
    let connection = asked_for(&world);
    world.pass(seconds(29));
    assert!(world.late_answers.is_empty() && world.connections.len() == 1);
    world.pass(seconds(1));
    let (path, bytes) = world.late_answers.pop().unwrap();
    assert_eq!((path, Answer { bytes }.code()), (client.path, Some(447)));
    assert!(world.connections.is_empty());
    // Too late.
    assert!(reply(&mut world, Reply::Connected { connection }).is_none());
    assert!(reply(&mut world, Reply::ConnectFailed { connection }).is_none());
}

#[test]
fn a_connection_that_nobody_binds_is_closed_after_thirty_seconds() {
    let (mut world, mut client, _) = allocated();
    world.pass(seconds(0));
    connect(&mut world, &mut client, PEER);
    world.pass(seconds(20));
    let connection = asked_for(&world);
    reply(&mut world, Reply::Connected { connection });
    // Thirty seconds from the success, not from the request.
    world.pass(seconds(29));
    assert_eq!(world.connections.len(), 1);
    world.pass(seconds(1));
    assert!(world.connections.is_empty());
    assert_eq!(world.relay.stats().peer_connections, 0);
    let mut data = data_connection(8);
    assert_eq!(bind(&mut world, &mut data, connection).code(), Some(400));
    assert!(!world.relay.on_join(world.now(), connection));
}

#[test]
fn a_bound_connection_lives_as_long_as_its_allocation() {
    let (mut world, mut client, _) = allocated();
    let connection = connected(&mut world, &mut client, PEER);
    let mut data = data_connection(8);
    let answer = bind(&mut world, &mut data, connection);
    assert_eq!(answer.code(), None);
    assert!(answer.signed_by(&data.key));
    assert_eq!(world.joins, [(data.path.link, connection, 0)]);
    assert!(world.relay.on_join(world.now(), connection));
    world.pass(seconds(599));
    assert_eq!(world.connections.len(), 1);
    world.pass(seconds(1));
    assert_eq!((world.connections.len(), world.bound.len()), (0, 0));
    assert_eq!(
        (world.shared.ports.claimed(), world.shared.quotas.count()),
        (0, 0)
    );
    assert_eq!(world.relay.poll_timeout(), None);
}

#[test]
fn the_end_of_the_control_connection_ends_all_of_it() {
    let (mut world, mut client, _) = allocated();
    for port in 80..90 {
        connected(&mut world, &mut client, &format!("203.0.113.5:{port}"));
    }
    connect(&mut world, &mut client, "203.0.113.6:80");
    assert_eq!(world.relay.stats().peer_connections, 11);
    world.relay.on_link_closed(world.now(), client.path.link);
    assert!(world.drain().is_empty());
    assert!(world.connections.is_empty() && world.bound.is_empty());
    assert_eq!(world.relay.stats().peer_connections, 0);
}

#[test]
fn a_connection_is_bound_once() {
    let (mut world, mut client, _) = allocated();
    let connection = connected(&mut world, &mut client, PEER);
    let mut data = data_connection(8);
    assert_eq!(bind(&mut world, &mut data, connection).code(), None);
    let mut second = data_connection(9);
    assert_eq!(bind(&mut world, &mut second, connection).code(), Some(400));
    assert!(world.relay.on_join(world.now(), connection));
    assert!(!world.relay.on_join(world.now(), connection));
}

#[test]
fn who_binds_is_who_allocated() {
    let (mut world, mut client, _) = allocated();
    let connection = connected(&mut world, &mut client, PEER);
    let mut bob = Client::bob(DATA).over(Transport::Tcp, 8);
    assert_eq!(bind(&mut world, &mut bob, connection).code(), Some(441));
    let mut forger = Client::new(DATA, "ann", "a wrong guess").over(Transport::Tcp, 9);
    assert_eq!(bind(&mut world, &mut forger, connection).code(), Some(401));
    let unsigned = RequestBuilder::new(Method::CONNECTION_BIND, [1; 12])
        .connection_id(connection.0)
        .finish(None, false);
    let answer = Answer::of(world.send(&forger.path, &unsigned));
    assert_eq!(answer.code(), Some(401));
    assert!(world.joins.is_empty());
    let mut data = data_connection(10);
    assert_eq!(bind(&mut world, &mut data, connection).code(), None);
}

#[test]
fn a_name_that_is_missing_or_nobodys_is_a_bad_request() {
    let (mut world, mut client, _) = allocated();
    let connection = connected(&mut world, &mut client, PEER);
    let mut data = data_connection(8);
    let answer = data.ask(&mut world, Method::CONNECTION_BIND, |request| request);
    assert_eq!(answer.code(), Some(400));
    let other = ConnectionId(connection.0 ^ 1);
    assert_eq!(bind(&mut world, &mut data, other).code(), Some(400));
    // Not before it is connected.
    connect(&mut world, &mut client, "203.0.113.6:80");
    let connecting = world.connections.keys().find(|id| **id != connection);
    let connecting = *connecting.unwrap();
    assert_eq!(bind(&mut world, &mut data, connecting).code(), Some(400));
}

#[test]
fn a_control_connection_and_a_datagram_bind_nothing() {
    let (mut world, mut client, _) = allocated();
    let connection = connected(&mut world, &mut client, PEER);
    assert_eq!(bind(&mut world, &mut client, connection).code(), Some(400));
    let mut datagrams = Client::ann(DATA);
    let answer = bind(&mut world, &mut datagrams, connection);
    assert_eq!(answer.code(), Some(400));
    assert!(world.joins.is_empty());
}

#[test]
fn a_credential_that_has_expired_still_binds() {
    let mut world = World::new(config());
    let mut client = Client::timed(CLIENT, "eve", 60, &world).over(Transport::Tcp, 7);
    request_allocation(&mut world, &mut client, |request| request).relayed();
    let mut data = Client::timed(DATA, "eve", 60, &world).over(Transport::Tcp, 8);
    world.pass(seconds(100));
    client.challenge(&mut world);
    let connection = connected(&mut world, &mut client, PEER);
    assert_eq!(bind(&mut world, &mut data, connection).code(), None);
}

#[test]
fn another_worker_accepts_the_binding_and_names_the_one_that_joins() {
    let (mut world, mut client, _) = allocated();
    let mut other = World::sharing(config(), Arc::clone(&world.shared), 3);
    let connection = connected(&mut world, &mut client, PEER);
    let mut data = data_connection(8);
    assert_eq!(bind(&mut other, &mut data, connection).code(), None);
    assert_eq!(other.joins, [(data.path.link, connection, 0)]);
    assert!(world.relay.on_join(world.now(), connection));
    assert!(!other.relay.on_join(other.now(), connection));
}

#[test]
fn a_peer_with_a_permission_is_announced() {
    let (mut world, mut client, _) = allocated();
    assert_eq!(client.permit(&mut world, "203.0.113.5:1").code(), None);
    let (connection, path, bytes) = peer_connects(&mut world, PEER).unwrap();
    assert_eq!(path, client.path);
    let Ok(Packet::Stun(view)) = turn_wire::parse(&bytes) else {
        panic!("{bytes:?}")
    };
    let kind = (view.class(), view.method());
    assert_eq!(kind, (Class::Indication, Method::CONNECTION_ATTEMPT));
    let peer = MessageView::xor_address(&view, attr::XOR_PEER_ADDRESS);
    assert_eq!(peer, Some(address(PEER)));
    let told = view.attribute(attr::CONNECTION_ID).unwrap();
    assert_eq!(told, connection.0.to_be_bytes());
    let mut data = data_connection(8);
    assert_eq!(bind(&mut world, &mut data, connection).code(), None);
    assert!(world.relay.on_join(world.now(), connection));
}

#[test]
fn a_peer_without_a_permission_is_not_accepted() {
    let (mut world, mut client, _) = allocated();
    assert!(peer_connects(&mut world, PEER).is_none());
    client.permit(&mut world, PEER);
    assert!(peer_connects(&mut world, "203.0.113.6:80").is_none());
    world.pass(seconds(300));
    assert!(peer_connects(&mut world, PEER).is_none());
    assert_eq!(world.relay.stats().peer_connections, 0);
    assert_eq!(world.relay.stats().dropped_peer, 3);
    // Nobody's relay.
    let now = world.now();
    let nobody = RelayId(77);
    let got = world.relay.on_peer_connection(now, nobody, address(PEER));
    assert!(got.is_none());
}

#[test]
fn a_peer_that_nobody_binds_is_closed_after_thirty_seconds() {
    let (mut world, mut client, _) = allocated();
    client.permit(&mut world, PEER);
    peer_connects(&mut world, PEER).unwrap();
    world.pass(seconds(29));
    assert_eq!(world.connections.len(), 1);
    world.pass(seconds(1));
    assert!(world.connections.is_empty());
}

#[test]
fn an_allocation_holds_a_bounded_number_of_connections() {
    let mut few = config();
    few.limits.connections = 2;
    let mut world = World::new(few);
    let mut client = control();
    request_allocation(&mut world, &mut client, |request| request).relayed();
    client.permit(&mut world, PEER);
    connected(&mut world, &mut client, "203.0.113.5:81");
    peer_connects(&mut world, PEER).unwrap();
    let third = connect(&mut world, &mut client, "203.0.113.5:82");
    assert_eq!(refused(third), 508);
    assert!(peer_connects(&mut world, "203.0.113.5:83").is_none());
}

#[test]
fn a_stricter_policy_closes_connections() {
    let (mut world, mut client, _) = allocated();
    connected(&mut world, &mut client, PEER);
    connected(&mut world, &mut client, "203.0.113.6:80");
    let mut strict = config();
    strict.peers = PeerPolicy {
        deny: vec![IpRange::new(address(PEER).ip(), address(PEER).ip()).unwrap()],
        ..strict.peers
    };
    let now = world.now();
    world
        .relay
        .on_command(now, Admin::Configure(Arc::new(strict)));
    assert!(world.drain().is_empty());
    let left: Vec<_> = world.connections.values().map(|(_, to)| *to).collect();
    assert_eq!(left, [address("203.0.113.6:80")]);
}

#[test]
fn bytes_that_pass_are_counted_for_the_session_and_for_all() {
    let (mut world, mut client, _) = allocated();
    let connection = connected(&mut world, &mut client, PEER);
    world
        .relay
        .on_connection_data(world.now(), connection, 1_000, 0);
    world
        .relay
        .on_connection_data(world.now(), connection, 0, 234);
    client.refresh(&mut world, 0);
    let traffic = world
        .events
        .iter()
        .find_map(|event| match event {
            Event::Ended { traffic, .. } => Some(*traffic),
            _ => None,
        })
        .unwrap();
    assert_eq!(
        (traffic.client_received_bytes, traffic.peer_sent_bytes),
        (1_000, 1_000)
    );
    assert_eq!(
        (traffic.peer_received_bytes, traffic.client_sent_bytes),
        (234, 234)
    );
    assert_eq!(world.relay.stats().traffic, traffic);
}

#[test]
fn connections_share_the_rates_of_their_session_and_wait_where_packets_are_dropped() {
    let mut limited = config();
    limited.guard.caps = Caps::default().with(Holder::Session, Good::BytesPerSecond, 40_000);
    let mut world = World::new(limited);
    let mut client = control();
    request_allocation(&mut world, &mut client, |request| request).relayed();
    let both = ["203.0.113.5:80", "203.0.113.5:81"];
    let both = both.map(|peer| connected(&mut world, &mut client, peer));
    let (mut passed, free) = (0, Share::Bytes(10_000));
    for turn in 0.. {
        let connection = both[turn % 2];
        let now = world.now();
        let [to_peer, to_client] = world.relay.connection_shares(now, connection);
        assert_eq!(to_client, free, "the other way");
        let Share::Bytes(bytes) = to_peer else { break };
        world.relay.on_connection_data(now, connection, bytes, 0);
        passed += bytes;
    }
    // A second's worth, and the share that goes over it.
    assert_eq!(passed, 50_000);
    let at = world.now + Duration::from_millis(250);
    for connection in both {
        let shares = world.relay.connection_shares(world.now(), connection);
        assert_eq!(shares, [Share::After(at), free]);
    }
    let limits = world.relay.stats().limits;
    assert_eq!(limits.of(Holder::Session, Good::BytesPerSecond), 3);
    world.pass(Duration::from_millis(250));
    let shares = world.relay.connection_shares(world.now(), both[0]);
    assert_eq!(shares, [free; 2]);
    // Where nothing is limited, nothing waits.
    let now = world.now();
    let unlimited = Admin::Configure(Arc::new(config()));
    world.relay.on_command(now, unlimited);
    let shares = world.relay.connection_shares(now, both[0]);
    assert_eq!(shares, [Share::Bytes(usize::MAX); 2]);
}

#[test]
fn the_end_of_one_of_two_families_ends_its_connections_only() {
    let mut world = World::new(config());
    let mut client = control();
    let answer = request_allocation(&mut world, &mut client, |request| {
        request.additional_family(Family::V6)
    });
    assert_eq!((answer.code(), world.listening.len()), (None, 2));
    let (v4, v6) = (PEER, "[2001:db8::7]:80");
    for peer in [v4, v6] {
        connected(&mut world, &mut client, peer);
    }
    let answer = client.ask(&mut world, Method::REFRESH, |request| {
        request.lifetime(0).requested_family(Family::V6)
    });
    assert_eq!(answer.code(), None);
    let left: Vec<_> = world.connections.values().map(|(_, to)| *to).collect();
    assert_eq!((left, world.listening.len()), (vec![address(v4)], 1));
}

#[test]
fn the_nonce_of_the_control_connection_serves_data_connections_too() {
    let (mut world, mut client, _) = allocated();
    let connection = connected(&mut world, &mut client, PEER);
    let mut data = data_connection(8);
    data.nonce = client.nonce.clone();
    assert_eq!(bind(&mut world, &mut data, connection).code(), None);
    // Not from another host, and not for datagrams from another port.
    let mut elsewhere = Client::ann("192.0.2.11:40000").over(Transport::Tcp, 9);
    elsewhere.nonce = client.nonce.clone();
    let answer = bind(&mut world, &mut elsewhere, connection);
    assert_eq!(answer.code(), Some(438));
    let mut datagrams = Client::ann(CLIENT);
    datagrams.challenge(&mut world);
    let mut other_port = Client::ann(DATA);
    other_port.nonce = datagrams.nonce.clone();
    let answer = other_port.refresh(&mut world, 600);
    assert_eq!(answer.code(), Some(438));
}
