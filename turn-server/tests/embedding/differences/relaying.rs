//! Lifetimes, peers, ports, and what one client does to others.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use stun::message::METHOD_ALLOCATE;
use tokio::{net::UdpSocket, sync::mpsc};
use turn::relay::relay_static::RelayAddressGeneratorStatic;
use webrtc_util::vnet::net::Net;

use super::{both, code, peer};
use crate::{
    brought::Odd,
    client::{Client, lifetime, udp},
    network::{Make, Network, Running, World, config, receive},
    places::{even, reserved},
};

// Lifetimes and peers.

#[tokio::test(start_paused = true)]
async fn a_lifetime_is_clamped_and_not_reset() {
    let outcome = both(async |world| {
        let mut granted = Vec::new();
        for asked in [7200, 3600, 1, 0] {
            let mut attributes = udp();
            attributes.extend(lifetime(asked));
            let answer = world
                .client("ann")
                .await
                .ask(METHOD_ALLOCATE, attributes)
                .await;
            let answer = answer.unwrap();
            granted.push(answer.code().map_or_else(|| Ok(answer.lifetime()), Err));
        }
        granted
    });
    let (ours, theirs) = outcome.await;
    assert_eq!(ours, [Ok(3600), Ok(3600), Ok(600), Ok(600)]);
    assert_eq!(theirs, [Ok(600), Ok(600), Ok(1), Err(508)]);
}

#[tokio::test(start_paused = true)]
async fn every_peer_of_a_request_gets_its_permission() {
    let outcome = both(async |world| {
        let mut client = world.client("ann").await;
        let second = world.client("second").await;
        let at_second = second.mapped().await.unwrap();
        let relayed = client.allocate().await;
        assert_eq!(
            code(client.permit(&[peer(5000), at_second]).await),
            Some(200)
        );
        second.conn.send_to(b"hello", relayed).await.unwrap();
        client.hear().await.is_some()
    });
    assert_eq!(outcome.await, (true, false));
}

#[tokio::test(start_paused = true)]
async fn the_clouds_address_for_credentials_is_no_peer() {
    let outcome = both(async |world| {
        let mut client = world.client("ann").await;
        client.allocate().await;
        code(
            client
                .permit(&["169.254.169.254:80".parse().unwrap()])
                .await,
        )
    });
    assert_eq!(outcome.await, (Some(403), Some(200)));
}

#[tokio::test(start_paused = true)]
async fn channel_numbers_are_of_their_range() {
    let outcome = both(async |world| {
        let mut client = world.client("ann").await;
        client.allocate().await;
        let mut codes = Vec::new();
        for (number, port) in [
            (0x1234, 5000),
            (0x3FFF, 5001),
            (0x8000, 5002),
            (0x4000, 5003),
        ] {
            codes.push(code(client.bind(number, peer(port)).await));
        }
        codes
    });
    let (ours, theirs) = outcome.await;
    assert_eq!(ours, [Some(400), Some(400), Some(400), Some(200)]);
    assert_eq!(theirs, [Some(200); 4]);
}

// Ports.

/// Relays on the loopback address of the machine.
fn static_on_loopback() -> RelayAddressGeneratorStatic {
    RelayAddressGeneratorStatic {
        relay_address: "127.0.0.1".parse().unwrap(),
        address: "127.0.0.1".to_owned(),
        net: Arc::new(Net::new(None)),
    }
}

/// What a server on real sockets makes of EVEN-PORT: whether it reserves without being asked to, whether the token leads to
/// the next port, and what it says to a token that it has never made.
async fn reservations(make: Make) -> (bool, bool, Option<u16>) {
    let conn = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let address = conn.local_addr().unwrap();
    let config = config(conn, static_on_loopback());
    let _server = Running::start(make, config).await.unwrap();
    let ask = async |attributes| {
        let own = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let mut client = Client::new(own, address, "ann", "pass");
        client.ask(METHOD_ALLOCATE, attributes).await.unwrap()
    };
    let plain = ask(even(false)).await.token().is_some();
    let first = ask(even(true)).await;
    let second = ask(reserved(&first.token().unwrap())).await;
    let next = second.relayed().port() == first.relayed().port() + 1;
    (plain, next, code(Some(ask(reserved(&[7; 8])).await)))
}

#[tokio::test]
async fn a_reservation_is_of_the_next_port_and_only_on_request() {
    assert_eq!(reservations(Make::Ours).await, (false, true, Some(508)));
    // That the crate's port is not the next one is left to chance: it takes no notice of the token.
    let (plain, _, made_up) = reservations(Make::Theirs).await;
    assert_eq!((plain, made_up), (true, Some(200)));
}

#[tokio::test(start_paused = true)]
async fn an_even_port_is_to_be_had_on_a_virtual_network() {
    let outcome = both(async |world| {
        let mut client = world.client("ann").await;
        code(client.ask(METHOD_ALLOCATE, even(false)).await)
    });
    // The crate tries a port and leaves it open, so that it cannot be bound again.
    assert_eq!(outcome.await, (Some(200), Some(508)));
}

/// How often a generator of odd ports is asked for an even one, and what the client is told.
async fn asked_for_even(make: Make) -> (usize, Option<u16>) {
    let network = Network::new().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let odd = Odd {
        net: Arc::clone(&network.server),
        asked: Arc::clone(&asked),
    };
    let _server = Running::start(make, config(network.listen().await, odd))
        .await
        .unwrap();
    let answer = network
        .client("ann", "pass")
        .await
        .ask(METHOD_ALLOCATE, even(false))
        .await;
    (asked.load(Ordering::Relaxed), code(answer))
}

#[tokio::test(start_paused = true)]
async fn a_generator_of_odd_ports_is_not_asked_for_ever() {
    let (asked, answer) = asked_for_even(Make::Ours).await;
    assert!(asked < 20, "{asked}");
    assert_eq!(answer, Some(508));
    // The crate stops because this generator does; otherwise its listener would be gone.
    assert!(asked_for_even(Make::Theirs).await.0 > 400);
}

// What one client does to others.

#[tokio::test(start_paused = true)]
async fn the_end_of_an_allocation_is_not_the_end_of_its_listener() {
    let outcome = both(async |world| {
        let mut client = world.client("ann").await;
        client.allocate().await;
        client.refresh(0).await;
        world.client("bob").await.mapped().await.is_some()
    });
    assert_eq!(outcome.await, (true, false));
}

/// Whether a second deletion is answered, and another client, when nobody reads of the first: on real sockets, because the
/// crate's listener would not live so long on a virtual network.
async fn unread_news(make: Make) -> (bool, bool) {
    let (notify, _news) = mpsc::channel(1);
    let conn = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let address = conn.local_addr().unwrap();
    let mut config = config(conn, static_on_loopback());
    config.alloc_close_notify = Some(notify);
    let _server = Running::start(make, config).await.unwrap();
    let client = async || {
        let own = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        Client::new(own, address, "ann", "pass")
    };
    let (mut first, mut second) = (client().await, client().await);
    first.allocate().await;
    second.allocate().await;
    first.refresh(0).await.unwrap();
    let deleted = second.refresh(0).await.is_some();
    (deleted, client().await.mapped().await.is_some())
}

#[tokio::test]
async fn a_program_that_does_not_read_its_news_stops_nobody() {
    assert_eq!(unread_news(Make::Ours).await, (true, true));
    assert_eq!(unread_news(Make::Theirs).await, (false, false));
}

#[tokio::test(start_paused = true)]
async fn datagrams_come_whole_or_not_at_all() {
    let outcome = both(async |world| {
        let mut client = world.client("ann").await;
        let relayed = client.allocate().await;
        let friend = world.network.peer_at(5000).await;
        client.bind(0x4000, peer(5000)).await.unwrap();
        friend.send_to(&[7; 4000], relayed).await.unwrap();
        let heard = client.hear().await.map(|(_, data)| data.len());
        client.channel_data(0x4000, &[8; 4000]).await;
        let reached = receive(&friend).await.map(|(data, _)| data.len());
        (heard, reached)
    });
    assert_eq!(
        outcome.await,
        ((Some(4000), Some(4000)), (Some(1500), None))
    );
}

#[tokio::test(start_paused = true)]
async fn the_largest_datagrams_pass() {
    let world = World::new(Make::Ours).await;
    let mut client = world.client("ann").await;
    let relayed = client.allocate().await;
    let friend = world.network.peer_at(5000).await;
    client.bind(0x4000, peer(5000)).await.unwrap();
    friend.send_to(&[7; 65_500], relayed).await.unwrap();
    assert_eq!(
        client.hear().await.map(|(_, data)| data.len()),
        Some(65_500)
    );
    client.channel_data(0x4000, &[8; 65_500]).await;
    assert_eq!(
        receive(&friend).await.map(|(data, _)| data.len()),
        Some(65_500)
    );
}
