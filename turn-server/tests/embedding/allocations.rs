//! What the crate's tests of allocations ask, seen from outside: lifetimes, permissions, channels, deletion, and what the
//! program is told.

use std::{net::SocketAddr, time::Duration};

use stun::message::METHOD_ALLOCATE;
use tokio::time::advance;
use turn_server::Server;

use crate::{
    client::{Client, lifetime, udp},
    network::{Make, Network, Running, World, config, receive},
};

fn peer(port: u16) -> SocketAddr {
    format!("1.2.3.5:{port}").parse().unwrap()
}

fn ours(world: &World) -> &Server {
    match &world.server {
        Running::Ours(server) => server,
        Running::Theirs(_) => panic!("the crate's"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_lifetime_is_the_default_unless_more_is_asked_for() {
    let world = World::new(Make::Ours).await;
    for (asked, granted) in [
        (None, 600),
        (Some(5), 600),
        (Some(1200), 1200),
        (Some(7200), 3600),
    ] {
        let mut attributes = udp();
        attributes.extend(asked.into_iter().flat_map(lifetime));
        let answer = world
            .client("ann")
            .await
            .ask(METHOD_ALLOCATE, attributes)
            .await;
        assert_eq!(answer.unwrap().lifetime(), granted, "{asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn lifetime_zero_deletes_and_frees_the_five_tuple() {
    let world = World::new(Make::Ours).await;
    let mut client = world.client("ann").await;
    client.allocate().await;
    let answer = client.refresh(0).await.unwrap();
    assert_eq!((answer.code(), answer.lifetime()), (None, 0));
    assert!(world.server.infos().await.is_empty());
    assert_eq!(client.refresh(600).await.unwrap().code(), Some(437));
    client.allocate().await;
}

#[tokio::test(start_paused = true)]
async fn an_allocation_ends_with_its_lifetime_and_a_refresh_prolongs_it() {
    let world = World::new(Make::Ours).await;
    let (mut short, mut long) = (world.client("short").await, world.client("long").await);
    let relayed = short.allocate().await;
    long.allocate().await;
    advance(Duration::from_secs(400)).await;
    long.refresh(600).await.unwrap();
    advance(Duration::from_secs(201)).await;
    assert_eq!(short.refresh(600).await.unwrap().code(), Some(437));
    assert_eq!(long.refresh(600).await.unwrap().code(), None);
    // The relay's conn is closed: its port can be bound again.
    world.network.server.bind(relayed).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_five_tuple_has_one_allocation() {
    let world = World::new(Make::Ours).await;
    let mut client = world.client("ann").await;
    client.allocate().await;
    let second = client.ask(METHOD_ALLOCATE, udp()).await.unwrap();
    assert_eq!(second.code(), Some(437));
    assert_eq!(world.server.infos().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_permission_is_for_an_address_whatever_the_port() {
    let world = World::new(Make::Ours).await;
    let mut client = world.client("ann").await;
    let relayed = client.allocate().await;
    let (named, other) = (
        world.network.peer_at(5000).await,
        world.network.peer_at(5001).await,
    );
    let stranger = world.client("stranger").await;
    named.send_to(b"early", relayed).await.unwrap();
    assert_eq!(client.hear().await, None);
    client.permit(&[peer(5000)]).await.unwrap();
    named.send_to(b"named", relayed).await.unwrap();
    assert_eq!(
        client.hear().await,
        Some((peer(5000).to_string(), b"named".to_vec()))
    );
    other.send_to(b"other", relayed).await.unwrap();
    assert_eq!(
        client.hear().await,
        Some((peer(5001).to_string(), b"other".to_vec()))
    );
    stranger.conn.send_to(b"stranger", relayed).await.unwrap();
    assert_eq!(client.hear().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_permission_lives_its_full_time_and_no_longer() {
    let world = World::new(Make::Ours).await;
    let mut client = world.client("ann").await;
    let relayed = client.allocate().await;
    let friend = world.network.peer_at(5000).await;
    client.permit(&[peer(5000)]).await.unwrap();
    advance(Duration::from_secs(297)).await;
    friend.send_to(b"in time", relayed).await.unwrap();
    assert!(client.hear().await.is_some());
    advance(Duration::from_secs(5)).await;
    friend.send_to(b"too late", relayed).await.unwrap();
    assert_eq!(client.hear().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_channel_carries_both_ways_and_brings_a_permission() {
    let world = World::new(Make::Ours).await;
    let mut client = world.client("ann").await;
    let relayed = client.allocate().await;
    let friend = world.network.peer_at(5000).await;
    assert_eq!(client.bind(0x4000, peer(5000)).await.unwrap().code(), None);
    client.channel_data(0x4000, b"there").await;
    assert_eq!(receive(&friend).await, Some((b"there".to_vec(), relayed)));
    friend.send_to(b"back", relayed).await.unwrap();
    assert_eq!(
        client.hear().await,
        Some(("0x4000".to_owned(), b"back".to_vec()))
    );
    // Another port of the same address has no channel, but the permission.
    let other = world.network.peer_at(5001).await;
    other.send_to(b"besides", relayed).await.unwrap();
    assert_eq!(
        client.hear().await,
        Some((peer(5001).to_string(), b"besides".to_vec()))
    );
}

#[tokio::test(start_paused = true)]
async fn a_number_and_a_peer_belong_to_each_other() {
    let world = World::new(Make::Ours).await;
    let mut client = world.client("ann").await;
    client.allocate().await;
    let mut bind = async |number, port| client.bind(number, peer(port)).await.unwrap().code();
    assert_eq!(bind(0x4000, 5000).await, None);
    assert_eq!(bind(0x4000, 5000).await, None);
    assert_eq!(bind(0x4000, 5001).await, Some(400));
    assert_eq!(bind(0x4001, 5000).await, Some(400));
    assert_eq!(bind(0x4001, 5001).await, None);
}

/// Binds a channel and tells after how many seconds, in steps of ten, it is gone.
async fn channel_ends_after(network: &Network, client: &mut Client) -> u64 {
    let relayed = client.allocate().await;
    client.refresh(3600).await.unwrap();
    let friend = network.peer_at(5000).await;
    client.bind(0x4000, peer(5000)).await.unwrap();
    let bound = tokio::time::Instant::now();
    loop {
        // A permission that outlives the channel shows the difference: the payload then comes in a Data indication.
        client.permit(&[peer(5000)]).await.unwrap();
        friend.send_to(b"?", relayed).await.unwrap();
        let (from, _) = client.hear().await.unwrap();
        if from != "0x4000" {
            return bound.elapsed().as_secs();
        }
        advance(Duration::from_secs(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_lives_as_long_as_the_program_says() {
    for (timeout, expected) in [(0, 600), (120, 120), (1200, 1200)] {
        let world = World::with(Make::Ours, |config| {
            config.channel_bind_timeout = Duration::from_secs(timeout);
        });
        let world = world.await;
        let mut client = world.client("ann").await;
        let lived = channel_ends_after(&world.network, &mut client).await;
        assert!(
            (expected..expected + 12).contains(&lived),
            "{lived} for {timeout}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn allocations_are_deleted_by_user_name() {
    let world = World::new(Make::Ours).await;
    let mut clients = Vec::new();
    for user in ["user", "user", "user2"] {
        let mut client = world.client(user).await;
        client.allocate().await;
        clients.push(client);
    }
    let server = ours(&world);
    server
        .delete_allocations_by_username("user".to_owned())
        .await
        .unwrap();
    let left = world.server.infos().await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].username, "user2");
    let mut codes = Vec::new();
    for client in &mut clients {
        codes.push(client.refresh(600).await.unwrap().code());
    }
    assert_eq!(codes, [Some(437), Some(437), None]);
    server
        .delete_allocations_by_username("nobody".to_owned())
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn infos_name_the_client_its_user_its_relay_and_its_bytes() {
    let world = World::new(Make::Ours).await;
    let server = ours(&world);
    assert!(world.server.infos().await.is_empty());
    let mut tuples = Vec::new();
    for (number, user) in (1..).zip(["user1", "user2", "user3"]) {
        let mut client = world.client(user).await;
        let relayed = client.allocate().await;
        client.permit(&[peer(5000)]).await.unwrap();
        for _ in 0..number {
            client.send(peer(5000), b"Hello").await;
        }
        let src_addr = client.mapped().await.unwrap();
        let infos = server.get_allocations_info(None).await.unwrap();
        assert_eq!(infos.len(), number);
        let (tuple, info) = infos
            .into_iter()
            .find(|(tuple, _)| tuple.src_addr == src_addr)
            .unwrap();
        assert_eq!(tuple, info.five_tuple);
        assert_eq!((info.username.as_str(), info.relay_addr), (user, relayed));
        assert_eq!(info.relayed_bytes, 5 * number);
        tuples.push(tuple);
    }
    let some = server
        .get_allocations_info(Some(tuples[..2].to_vec()))
        .await
        .unwrap();
    assert_eq!(some.len(), 2);
    assert!(!some.contains_key(&tuples[2]));
    assert!(
        server
            .get_allocations_info(Some(Vec::new()))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn the_program_is_told_of_every_end() {
    let (world, mut news) = World::notifying(Make::Ours, 1).await;
    let mut deleted = world.client("deleted").await;
    let mut killed = world.client("killed").await;
    let mut closed = world.client("closed").await;
    let relayed = deleted.allocate().await;
    killed.allocate().await;
    closed.allocate().await;
    deleted.permit(&[peer(5000)]).await.unwrap();
    deleted.send(peer(5000), &[0; 50]).await;
    deleted.refresh(0).await.unwrap();
    let info = news.recv().await.unwrap();
    assert_eq!(
        (info.username.as_str(), info.relay_addr),
        ("deleted", relayed)
    );
    assert_eq!(info.relayed_bytes, 50);
    let server = ours(&world);
    server
        .delete_allocations_by_username("killed".to_owned())
        .await
        .unwrap();
    assert_eq!(news.recv().await.unwrap().username, "killed");
    server.close().await.unwrap();
    assert_eq!(news.recv().await.unwrap().username, "closed");
    // The channel is let go of, so that whoever reads it comes to an end as well.
    drop(world);
    assert!(news.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn expiry_is_told_as_well() {
    let (world, mut news) = World::notifying(Make::Ours, 8).await;
    world.client("idle").await.allocate().await;
    assert_eq!(news.recv().await.unwrap().username, "idle");
}

#[tokio::test]
async fn a_server_on_threads_has_the_same_methods() {
    let server = Server::builder().user("user", "pass").start().unwrap();
    let conn = std::sync::Arc::new(tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let own = conn.local_addr().unwrap();
    let mut client = Client::new(conn, server.udp_address().unwrap(), "user", "pass");
    let relayed = client.allocate().await;
    let infos = server.get_allocations_info(None).await.unwrap();
    let info = infos.values().next().unwrap();
    assert_eq!((info.five_tuple.src_addr, info.relay_addr), (own, relayed));
    assert_eq!(info.username, "user");
    server
        .delete_allocations_by_username("user".to_owned())
        .await
        .unwrap();
    assert!(server.get_allocations_info(None).await.unwrap().is_empty());
    server.close().await.unwrap();
    assert_eq!(
        server.get_allocations_info(None).await.err(),
        Some(turn::Error::ErrClosed)
    );
    assert_eq!(server.stats(), turn_server::Stats::default());
}

#[tokio::test(start_paused = true)]
async fn the_crate_agrees_on_infos() {
    let network = Network::new().await;
    let config = config(network.listen().await, network.generator());
    let theirs = Running::start(Make::Theirs, config).await.unwrap();
    let mut client = network.client("ann", "pass").await;
    let relayed = client.allocate().await;
    let infos = theirs.infos().await;
    let src_addr = client.mapped().await.unwrap();
    assert_eq!(
        (infos[0].relay_addr, infos[0].five_tuple.src_addr),
        (relayed, src_addr)
    );
    assert_eq!(infos[0].five_tuple.dst_addr.to_string(), "0.0.0.0:3478");
    drop(theirs);
}
