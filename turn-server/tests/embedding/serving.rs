//! What the crate's server tests ask: Binding, a NAT on the way, a relay and back, over real sockets and a virtual network.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::UdpSocket;
use turn::{
    client::{Client as CrateClient, ClientConfig},
    relay::relay_static::RelayAddressGeneratorStatic,
};
use turn_server::Server;
use webrtc_util::{Conn, vnet::net::Net};

use crate::client::Client;
use crate::network::{Make, NAT_IP, Network, SERVER, SharedConn, World, config, receive};

/// A client of the crate, which is how its users will come.
async fn crate_client(conn: SharedConn, server: &str, vnet: Option<Arc<Net>>) -> CrateClient {
    let client = CrateClient::new(ClientConfig {
        stun_serv_addr: server.to_owned(),
        turn_serv_addr: server.to_owned(),
        username: "user".to_owned(),
        password: "pass".to_owned(),
        realm: String::new(),
        software: String::new(),
        rto_in_ms: 0,
        conn,
        vnet,
    })
    .await
    .unwrap();
    client.listen().await.unwrap();
    client
}

/// A server on real sockets of the loopback address, and where it listens.
async fn on_loopback() -> (Server, SocketAddr) {
    let conn = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let address = conn.local_addr().unwrap();
    let generator = RelayAddressGeneratorStatic {
        relay_address: "127.0.0.1".parse().unwrap(),
        address: "0.0.0.0".to_owned(),
        net: Arc::new(Net::new(None)),
    };
    (Server::new(config(conn, generator)).await.unwrap(), address)
}

/// Sends back whatever comes, forever.
fn echo(conn: SharedConn) {
    tokio::spawn(async move {
        let mut buf = vec![0; 65_535];
        while let Ok((length, from)) = conn.recv_from(&mut buf).await {
            conn.send_to(&buf[..length], from).await.unwrap();
        }
    });
}

#[tokio::test]
async fn a_binding_request_over_real_sockets_tells_the_clients_address() {
    let (server, address) = on_loopback().await;
    let conn = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let own = conn.local_addr().unwrap();
    let client = crate_client(conn, &address.to_string(), None).await;
    assert_eq!(client.send_binding_request().await.unwrap(), own);
    client.close().await.unwrap();
    server.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_crates_client_relays_over_real_sockets() {
    let (server, address) = on_loopback().await;
    relay_and_back(&address.to_string()).await;
    server.close().await.unwrap();
}

#[tokio::test]
async fn one_thread_is_enough() {
    let (server, address) = on_loopback().await;
    relay_and_back(&address.to_string()).await;
    server.close().await.unwrap();
}

async fn relay_and_back(server: &str) {
    let conn = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let client = crate_client(conn, server, None).await;
    let relay = client.allocate().await.unwrap();
    let peer: SharedConn = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let at = peer.local_addr().unwrap();
    echo(Arc::clone(&peer));
    let mut buf = vec![0; 1500];
    // The first goes in a Send indication, later ones through the channel that the client has bound meanwhile.
    for round in 0..10_u8 {
        relay.send_to(&[round; 100], at).await.unwrap();
        let (length, from) = relay.recv_from(&mut buf).await.unwrap();
        assert_eq!((&buf[..length], from), (&[round; 100][..], at));
    }
    relay.close().await.unwrap();
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_clients_come_and_go_at_once_and_each_hears_its_own() {
    let (server, address) = on_loopback().await;
    let peer: SharedConn = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let at = peer.local_addr().unwrap();
    echo(peer);
    let clients = (0..32_u8).map(|number| {
        tokio::spawn(async move {
            let conn = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
            let mut client = Client::new(conn, address, &format!("user{number}"), "pass");
            // Places in the server's tables are used again and again, by one client and by another.
            for round in 0..5_u8 {
                client.allocate().await;
                client.bind(0x4000, at).await.unwrap();
                for message in 0..10_u8 {
                    let data = [number, round, message];
                    client.channel_data(0x4000, &data).await;
                    assert_eq!(
                        client.hear().await,
                        Some(("0x4000".to_owned(), data.to_vec()))
                    );
                }
                assert_eq!(client.refresh(0).await.unwrap().code(), None);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    assert!(server.get_allocations_info(None).await.unwrap().is_empty());
    server.close().await.unwrap();
}

#[tokio::test]
async fn a_client_behind_a_nat_learns_the_nats_address() {
    let world = World::new(Make::Ours).await;
    let net = Arc::clone(&world.network.inside);
    let conn = net.bind("0.0.0.0:0".parse().unwrap()).await.unwrap();
    let client = crate_client(conn, SERVER, Some(net)).await;
    let mapped = client.send_binding_request().await.unwrap();
    assert_eq!(mapped.ip().to_string(), NAT_IP);
    client.close().await.unwrap();
}

#[tokio::test]
async fn a_client_behind_a_nat_is_reached_through_its_relay() {
    let world = World::new(Make::Ours).await;
    let name = "turn.example.org".to_owned();
    let mut wan = world.network.wan.lock().await;
    wan.add_host(name, "1.2.3.4".to_owned()).await.unwrap();
    drop(wan);
    let net = Arc::clone(&world.network.inside);
    let conn = net.bind("0.0.0.0:0".parse().unwrap()).await.unwrap();
    let client = crate_client(conn, "turn.example.org:3478", Some(net)).await;
    let relay = client.allocate().await.unwrap();
    let relayed = relay.local_addr().unwrap();
    assert_eq!(relayed.ip().to_string(), "1.2.3.4");
    let peer = world.network.peer_at(5678).await;
    let mut buf = vec![0; 1500];
    for _ in 0..10 {
        relay
            .send_to(b"Hello", peer.local_addr().unwrap())
            .await
            .unwrap();
        let (heard, from) = receive(&peer).await.unwrap();
        assert_eq!((heard.as_slice(), from), (&b"Hello"[..], relayed));
        peer.send_to(b"and back", from).await.unwrap();
        let (length, from) = relay.recv_from(&mut buf).await.unwrap();
        assert_eq!(
            (&buf[..length], from),
            (&b"and back"[..], peer.local_addr().unwrap())
        );
    }
    client.close().await.unwrap();
}

#[tokio::test]
async fn two_clients_meet_at_their_relays() {
    let world = World::new(Make::Ours).await;
    let (mut ann, mut bob) = (world.client("ann").await, world.client("bob").await);
    let (at_ann, at_bob) = (ann.allocate().await, bob.allocate().await);
    ann.permit(&[at_bob]).await.unwrap();
    bob.permit(&[at_ann]).await.unwrap();
    ann.send(at_bob, b"hello bob").await;
    assert_eq!(
        bob.hear().await,
        Some((at_ann.to_string(), b"hello bob".to_vec()))
    );
    bob.send(at_ann, b"hello ann").await;
    assert_eq!(
        ann.hear().await,
        Some((at_bob.to_string(), b"hello ann".to_vec()))
    );
}

#[tokio::test(start_paused = true)]
async fn the_crates_client_gets_over_a_stale_nonce() {
    let network = Network::new().await;
    let server = Server::builder()
        .config(config(network.listen().await, network.generator()))
        .nonce_lifetime(Duration::from_secs(1))
        .start()
        .unwrap();
    let conn = network
        .client
        .bind("0.0.0.0:0".parse().unwrap())
        .await
        .unwrap();
    let client = crate_client(conn, SERVER, Some(Arc::clone(&network.client))).await;
    let relay = client.allocate().await.unwrap();
    // Nonces are dated by the Unix clock, which does not pause.
    std::thread::sleep(Duration::from_millis(2100));
    // Writing makes the client ask for a permission, with a nonce that is too old by now.
    let peer = network.peer_at(5678).await;
    relay
        .send_to(b"late", peer.local_addr().unwrap())
        .await
        .unwrap();
    let (heard, _) = receive(&peer).await.unwrap();
    assert_eq!(heard, b"late");
    drop(server);
}

#[tokio::test]
async fn several_conns_are_served_side_by_side() {
    let network = Network::new().await;
    let second = network
        .server
        .bind("0.0.0.0:3479".parse().unwrap())
        .await
        .unwrap();
    let server = Server::builder()
        .config(config(network.listen().await, network.generator()))
        .conn(second)
        .relay_address_generator(network.generator())
        .start()
        .unwrap();
    let mut first = network.client("ann", "pass").await;
    let mut other = network.client("ann", "pass").await;
    other.server = "1.2.3.4:3479".parse().unwrap();
    let relays = [first.allocate().await, other.allocate().await];
    assert_ne!(relays[0], relays[1]);
    let infos = server.get_allocations_info(None).await.unwrap();
    let mut ports: Vec<_> = infos.keys().map(|tuple| tuple.dst_addr.port()).collect();
    ports.sort_unstable();
    assert_eq!(ports, [3478, 3479]);
}
