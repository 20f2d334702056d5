//! Relay addresses: the crate's generators and a program's own, ports in pairs, both families.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use stun::{
    attributes::{ATTR_EVEN_PORT, ATTR_REQUESTED_ADDRESS_FAMILY, ATTR_RESERVATION_TOKEN, AttrType},
    message::METHOD_ALLOCATE,
};
use tokio::net::UdpSocket;
use turn::{
    Error,
    relay::{
        RelayAddressGenerator, relay_none::RelayAddressGeneratorNone,
        relay_range::RelayAddressGeneratorRanges, relay_static::RelayAddressGeneratorStatic,
    },
    server::config::ServerConfig,
};
use turn_server::Server;
use webrtc_util::vnet::net::Net;

use crate::{
    brought::Loopback,
    client::{Answer, Attributes, Client, udp},
    lifecycle::any_relay,
    network::{Make, Network, Running, World, config, receive},
};

pub(crate) fn even(reserve: bool) -> Attributes {
    let mut attributes = udp();
    attributes.push((ATTR_EVEN_PORT, vec![u8::from(reserve) << 7]));
    attributes
}

pub(crate) fn reserved(token: &[u8]) -> Attributes {
    let mut attributes = udp();
    attributes.push((ATTR_RESERVATION_TOKEN, token.to_vec()));
    attributes
}

fn family(kind: AttrType, family: u8) -> Attributes {
    let mut attributes = udp();
    attributes.push((kind, vec![family, 0, 0, 0]));
    attributes
}

async fn allocate(client: &mut Client, attributes: Attributes) -> Answer {
    client
        .ask(METHOD_ALLOCATE, attributes)
        .await
        .expect("no answer")
}

/// A world whose relays come from a generator that is made for its network.
async fn relaying<G: RelayAddressGenerator + Send + Sync + 'static>(
    generator: impl FnOnce(&Network) -> G,
) -> World {
    let network = Network::new().await;
    let config = config(network.listen().await, generator(&network));
    let server = Running::start(Make::Ours, config).await.unwrap();
    World { network, server }
}

#[tokio::test(start_paused = true)]
async fn a_static_generator_tells_clients_another_address_than_it_binds() {
    let world = relaying(|network| RelayAddressGeneratorStatic {
        relay_address: "9.9.9.9".parse().unwrap(),
        address: "1.2.3.4".to_owned(),
        net: Arc::clone(&network.server),
    });
    let world = world.await;
    let mut client = world.client("ann").await;
    let relayed = client.allocate().await;
    assert_eq!(relayed.ip(), IpAddr::from([9, 9, 9, 9]));
    let peer = world.network.peer_at(5000).await;
    let at = peer.local_addr().unwrap();
    client.permit(&[at]).await.unwrap();
    client.send(at, b"from inside").await;
    let (_, from) = receive(&peer).await.unwrap();
    assert_eq!(from, SocketAddr::new([1, 2, 3, 4].into(), relayed.port()));
}

/// Three ports.
fn range(network: &Network) -> RelayAddressGeneratorRanges {
    RelayAddressGeneratorRanges {
        relay_address: "1.2.3.4".parse().unwrap(),
        min_port: 50_000,
        max_port: 50_002,
        max_retries: 1000,
        address: "1.2.3.4".to_owned(),
        net: Arc::clone(&network.server),
    }
}

#[tokio::test(start_paused = true)]
async fn a_range_is_kept_to_and_ends_in_508() {
    let world = relaying(range).await;
    let mut ports = Vec::new();
    for number in 0..3 {
        ports.push(
            world
                .client(&format!("user{number}"))
                .await
                .allocate()
                .await
                .port(),
        );
    }
    ports.sort_unstable();
    assert_eq!(ports, [50_000, 50_001, 50_002]);
    let late = allocate(&mut world.client("late").await, udp()).await;
    assert_eq!(late.code(), Some(508));
}

#[tokio::test(start_paused = true)]
async fn a_port_is_free_again_after_its_allocation() {
    let world = relaying(range).await;
    for _ in 0..10 {
        let mut client = world.client("ann").await;
        client.allocate().await;
        client.refresh(0).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_generator_that_finds_itself_wanting_prevents_the_start() {
    let network = Network::new().await;
    let nowhere = RelayAddressGeneratorNone {
        address: String::new(),
        net: Arc::clone(&network.server),
    };
    let error = Server::new(config(network.listen().await, nowhere))
        .await
        .err();
    assert_eq!(error, Some(Error::ErrListeningAddressInvalid));
    for (min, max, expected) in [
        (0, 1, Error::ErrMinPortNotZero),
        (1, 0, Error::ErrMaxPortNotZero),
        (2, 1, Error::ErrMaxPortLessThanMinPort),
    ] {
        let mut wanting = range(&network);
        (wanting.min_port, wanting.max_port) = (min, max);
        let conn = network
            .server
            .bind("0.0.0.0:0".parse().unwrap())
            .await
            .unwrap();
        assert_eq!(
            Server::new(config(conn, wanting)).await.err(),
            Some(expected)
        );
    }
    let none = ServerConfig {
        conn_configs: Vec::new(),
        ..config(
            network
                .server
                .bind("0.0.0.0:0".parse().unwrap())
                .await
                .unwrap(),
            network.generator(),
        )
    };
    assert_eq!(
        Server::new(none).await.err(),
        Some(Error::ErrNoAvailableConns)
    );
}

#[tokio::test(start_paused = true)]
async fn an_even_port_is_even() {
    let world = World::new(Make::Ours).await;
    for number in 0..20 {
        let mut client = world.client(&format!("user{number}")).await;
        assert_eq!(
            allocate(&mut client, even(false)).await.relayed().port() % 2,
            0
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_port_is_reserved_and_taken_up_once() {
    let world = World::new(Make::Ours).await;
    let first = allocate(&mut world.client("ann").await, even(true)).await;
    let (token, port) = (first.token().expect("no token"), first.relayed().port());
    assert_eq!(port % 2, 0);
    let foreign = allocate(&mut world.client("bob").await, reserved(&token)).await;
    assert_eq!(foreign.code(), Some(508));
    let mut second = world.client("ann").await;
    let relayed = allocate(&mut second, reserved(&token)).await.relayed();
    assert_eq!(relayed.port(), port + 1);
    // And it relays.
    let peer = world.network.peer_at(5000).await;
    second.permit(&[peer.local_addr().unwrap()]).await.unwrap();
    peer.send_to(b"to the odd port", relayed).await.unwrap();
    assert!(second.hear().await.is_some());
    let again = allocate(&mut world.client("ann").await, reserved(&token)).await;
    assert_eq!(again.code(), Some(508));
}

#[tokio::test(start_paused = true)]
async fn a_reservation_that_nobody_takes_up_is_closed() {
    let world = World::new(Make::Ours).await;
    let first = allocate(&mut world.client("ann").await, even(true)).await;
    let mut next = first.relayed();
    next.set_port(next.port() + 1);
    world
        .network
        .server
        .bind(next)
        .await
        .err()
        .expect("the port is reserved");
    tokio::time::sleep(Duration::from_secs(31)).await;
    world.network.server.bind(next).await.unwrap();
    let late = allocate(
        &mut world.client("ann").await,
        reserved(&first.token().unwrap()),
    )
    .await;
    assert_eq!(late.code(), Some(508));
}

#[tokio::test(start_paused = true)]
async fn pairs_leave_nothing_behind() {
    let world = World::new(Make::Ours).await;
    for number in 0..20 {
        let mut client = world.client(&format!("user{number}")).await;
        let answer = allocate(&mut client, even(true)).await;
        assert_eq!(answer.relayed().port() % 2, 0);
        client.refresh(0).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert!(!any_relay(&world.network.server).await);
}

/// A client of a server on real sockets.
async fn on_loopback(
    listen: &str,
    generator: impl RelayAddressGenerator + Send + Sync + 'static,
) -> (Server, Client) {
    let conn = Arc::new(UdpSocket::bind(listen).await.unwrap());
    let address = conn.local_addr().unwrap();
    let server = Server::new(config(conn, generator)).await.unwrap();
    let own = Arc::new(UdpSocket::bind(listen).await.unwrap());
    (server, Client::new(own, address, "user", "pass"))
}

#[tokio::test]
async fn an_ipv6_client_gets_the_family_that_it_asks_for() {
    let (_server, mut client) = on_loopback("[::1]:0", Loopback).await;
    assert_eq!(
        client.mapped().await,
        Some(client.conn.local_addr().unwrap())
    );
    let relayed = allocate(&mut client, family(ATTR_REQUESTED_ADDRESS_FAMILY, 2))
        .await
        .relayed();
    assert!(relayed.is_ipv6());
    client.refresh(0).await.unwrap();
    // Without the attribute it is IPv4 (RFC 8656 §7.2).
    assert!(client.allocate().await.is_ipv4());
}

#[tokio::test]
async fn a_family_that_the_generator_lacks_is_440() {
    let v4_only = RelayAddressGeneratorStatic {
        relay_address: "127.0.0.1".parse().unwrap(),
        address: "127.0.0.1".to_owned(),
        net: Arc::new(Net::new(None)),
    };
    let (_server, mut client) = on_loopback("127.0.0.1:0", v4_only).await;
    let answer = allocate(&mut client, family(ATTR_REQUESTED_ADDRESS_FAMILY, 2)).await;
    assert_eq!(answer.code(), Some(440));
    client.allocate().await;
}

#[tokio::test]
async fn both_families_at_once() {
    let (_server, mut client) = on_loopback("127.0.0.1:0", Loopback).await;
    let answer = allocate(&mut client, family(AttrType(0x8000), 2)).await;
    let relayed = answer.0.attributes.0.iter();
    let families: Vec<u8> = relayed
        .filter(|held| held.typ.value() == 0x0016)
        .map(|held| held.value[1])
        .collect();
    assert_eq!(families, [1, 2]);
}

#[tokio::test]
async fn the_builder_relays_from_where_it_listens() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let handler = Arc::new(crate::network::Pass);
        let builder = Server::builder()
            .listen(listen.parse().unwrap())
            .auth_handler(handler);
        let server = builder.relay_ports(50_000..=50_100).start().unwrap();
        let own = Arc::new(UdpSocket::bind(listen).await.unwrap());
        let address = server.udp_address().unwrap();
        let mut client = Client::new(own, address, "user", "pass");
        let wanted = if address.is_ipv4() { 1 } else { 2 };
        let relayed = allocate(&mut client, family(ATTR_REQUESTED_ADDRESS_FAMILY, wanted))
            .await
            .relayed();
        assert_eq!(relayed.ip(), address.ip());
        assert!((50_000..=50_100).contains(&relayed.port()));
    }
}
