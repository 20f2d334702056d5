//! Start and end: what a server takes, and that it gives all of it back, whatever the end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Mutex, Semaphore};
use turn::Error;
use turn_server::Server;
use webrtc_util::vnet::net::Net;

use crate::{
    brought::{Failing, Keeping, Slow},
    client::{Client, udp},
    network::{Make, Network, Pass, Running, SERVER, World, config},
};
use stun::message::METHOD_ALLOCATE;

/// Lets everything that is ready happen: in paused time, until only sleeping is left.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn without_a_conn_it_listens_on_a_free_port() {
    let servers: Vec<_> = (0..50)
        .map(|_| {
            Server::builder()
                .auth_handler(Arc::new(Pass))
                .start()
                .unwrap()
        })
        .collect();
    for server in &servers {
        let address = server.udp_address().unwrap();
        let conn = Arc::new(tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let mut client = Client::new(conn, address, "anybody", "pass");
        assert_ne!(client.allocate().await.port(), 0);
    }
    assert_eq!(servers[0].tcp_address(), None);
}

#[test]
fn outside_a_runtime_it_does_not_start() {
    let error = Server::builder()
        .auth_handler(Arc::new(Pass))
        .start()
        .err()
        .unwrap();
    assert!(error.to_string().contains("tokio"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_server_closes_its_conns() {
    let World { network, server } = World::new(Make::Ours).await;
    let relayed = network.client("ann", "pass").await.allocate().await;
    network
        .server
        .bind(relayed)
        .await
        .err()
        .expect("the relay's port is taken");
    drop(server);
    settle().await;
    network.server.bind(relayed).await.unwrap();
    network.server.bind(SERVER.parse().unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_dropped_server_frees_the_ports_of_real_sockets() {
    let server = Server::builder()
        .auth_handler(Arc::new(Pass))
        .start()
        .unwrap();
    let address = server.udp_address().unwrap();
    let conn = Arc::new(tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let relayed = Client::new(conn, address, "ann", "pass").allocate().await;
    drop(server);
    for taken in [address, relayed] {
        // The tasks end when the runtime comes to them.
        while std::net::UdpSocket::bind(taken).is_err() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_server_has_let_go_of_everything() {
    let network = Network::new().await;
    let conn = network.listen().await;
    let server = Server::new(config(Arc::clone(&conn), network.generator()))
        .await
        .unwrap();
    let mut client = network.client("ann", "pass").await;
    let relayed = client.allocate().await;
    server.close().await.unwrap();
    network.server.bind(relayed).await.unwrap();
    settle().await;
    assert_eq!(Arc::strong_count(&conn), 1);
    server.close().await.unwrap();
    assert_eq!(client.mapped().await, None);
    assert_eq!(
        server.get_allocations_info(None).await.err(),
        Some(Error::ErrClosed)
    );
    let deleted = server
        .delete_allocations_by_username("ann".to_owned())
        .await;
    assert_eq!(deleted.err(), Some(Error::ErrClosed));
}

#[tokio::test(start_paused = true)]
async fn a_conn_that_the_program_closes_ends_alone() {
    let network = Network::new().await;
    let second = network
        .server
        .bind("0.0.0.0:3479".parse().unwrap())
        .await
        .unwrap();
    let server = Server::builder()
        .config(config(network.listen().await, network.generator()))
        .conn(Arc::clone(&second))
        .relay_address_generator(network.generator())
        .start()
        .unwrap();
    let mut lost = network.client("ann", "pass").await;
    lost.server = "1.2.3.4:3479".parse().unwrap();
    let relayed = lost.allocate().await;
    second.close().await.unwrap();
    settle().await;
    network.server.bind(relayed).await.unwrap();
    network.client("ann", "pass").await.allocate().await;
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_the_program_closes_ends_its_allocation() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let network = Network::new().await;
    let generator = Keeping {
        inner: network.generator(),
        kept: Arc::clone(&kept),
    };
    let config = config(network.listen().await, generator);
    let server = Server::new(config).await.unwrap();
    let mut client = network.client("ann", "pass").await;
    let relayed = client.allocate().await;
    let relay = kept.lock().await.pop().unwrap();
    relay.close().await.unwrap();
    settle().await;
    assert_eq!(client.refresh(600).await.unwrap().code(), Some(437));
    assert!(server.get_allocations_info(None).await.unwrap().is_empty());
    network.server.bind(relayed).await.unwrap();
    client.allocate().await;
}

/// A client whose Allocate request waits for the generator, in a network where relays are on port 5000 alone.
async fn waiting() -> (Network, Server, Client, Arc<Semaphore>) {
    let network = Network::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let generator = Slow {
        inner: network.generator(),
        gate: Arc::clone(&gate),
    };
    let server = Server::new(config(network.listen().await, generator))
        .await
        .unwrap();
    let mut client = network.client("ann", "pass").await;
    assert!(client.ask(METHOD_ALLOCATE, udp()).await.is_none());
    (network, server, client, gate)
}

/// Tells whether any port is taken that the network gives to relays.
pub(crate) async fn any_relay(net: &Net) -> bool {
    for port in 5000..6000 {
        let address = format!("1.2.3.4:{port}").parse().unwrap();
        match net.bind(address).await {
            Ok(conn) => conn.close().await.unwrap(),
            Err(_) => return true,
        }
    }
    false
}

#[tokio::test(start_paused = true)]
async fn a_slow_generator_holds_up_nobody_else() {
    let (network, _server, mut client, gate) = waiting().await;
    assert!(network.client("bob", "pass").await.mapped().await.is_some());
    // The retransmission waits as well, and one answer comes in the end.
    gate.add_permits(1);
    settle().await;
    assert_eq!(client.refresh(600).await.unwrap().code(), None);
    assert!(any_relay(&network.server).await);
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_comes_after_the_end_is_closed() {
    let (network, server, _, gate) = waiting().await;
    server.close().await.unwrap();
    gate.add_permits(1);
    settle().await;
    assert!(!any_relay(&network.server).await);
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_comes_after_its_allocation_is_closed() {
    let (network, server, mut client, gate) = waiting().await;
    server
        .delete_allocations_by_username("ann".to_owned())
        .await
        .unwrap();
    // The next request takes the same place in all tables, and must not get the first one's relay as well.
    assert!(client.ask(METHOD_ALLOCATE, udp()).await.is_none());
    gate.add_permits(1);
    settle().await;
    assert!(!any_relay(&network.server).await);
    gate.add_permits(1);
    settle().await;
    assert_eq!(client.refresh(600).await.unwrap().code(), None);
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_generator_that_never_answers_is_given_up() {
    let (_network, _server, mut client, _gate) = waiting().await;
    let bytes = loop {
        if let Some((bytes, _)) = crate::network::receive(&client.conn).await {
            break bytes;
        }
    };
    let mut answer = stun::message::Message::new();
    answer.unmarshal_binary(&bytes).unwrap();
    assert_eq!(crate::client::Answer(answer).code(), Some(508));
    assert_eq!(client.refresh(600).await.unwrap().code(), Some(437));
}

/// How many of five packets after a hundred failed reads are answered.
async fn answered_after_errors(make: Make) -> usize {
    let network = Network::new().await;
    let broken = Arc::new(AtomicBool::new(true));
    let conn = Arc::new(Failing {
        inner: network.listen().await,
        broken: Arc::clone(&broken),
    });
    let _server = Running::start(make, config(conn, network.generator()))
        .await
        .unwrap();
    let client = network.client("ann", "pass").await;
    for _ in 0..100 {
        client.throw(b"lost").await;
    }
    tokio::time::sleep(Duration::from_secs(200)).await;
    broken.store(false, Ordering::Relaxed);
    let mut answered = 0;
    for _ in 0..5 {
        answered += usize::from(client.mapped().await.is_some());
    }
    answered
}

#[tokio::test(start_paused = true)]
async fn errors_of_a_conn_do_not_end_its_listener() {
    assert_eq!(answered_after_errors(Make::Ours).await, 5);
    assert_eq!(answered_after_errors(Make::Theirs).await, 0);
}
