//! Connections that a proxy brings: the client is whom the proxy names (PROXY protocol, versions 1 and 2).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use support::{Client, IDENTITY, LOOPBACKS, Link, Server, Setup, TcpLink};
use turn_proto::{Caps, ClientLists, Event, Good, Holder, IpRange, Transport};
use turn_wire::{Method, attr};

const ON: &str = LOOPBACKS[0];
const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 3478\r\n";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
const CLIENT: &str = "192.0.2.7:50000";

fn loopback() -> IpRange {
    let ip = support::ip(ON);
    IpRange::new(ip, ip).unwrap()
}

/// TLS, and proxies at 127.0.0.1.
fn setup() -> Setup {
    let mut setup = Setup::secure();
    setup.config.proxies = vec![loopback()];
    setup
}

/// A connection that begins with these bytes.
fn link(address: SocketAddr, header: &[u8]) -> TcpLink {
    let mut link = TcpLink::connect(address);
    link.send(header).unwrap();
    link
}

fn seen(link: TcpLink) -> String {
    Client::over(Link::Tcp(link)).binding().to_string()
}

#[test]
fn the_client_is_whom_the_proxy_names_over_tcp_and_over_tls() {
    let server = Server::with(setup());
    for port_of in [Transport::Tcp, Transport::Tls] {
        let address = server.address(port_of, ON);
        assert_eq!(seen(link(address, V1)), CLIENT);
        let secure = link(address, V1).into_secure(&IDENTITY).unwrap();
        let mut client = Client::over(Link::Tcp(secure));
        client.allocate();
        let started = server.events.try_iter().find_map(|event| match event {
            Event::Started { path, .. } => Some(path),
            _ => None,
        });
        let path = started.unwrap();
        assert_eq!(
            (path.client.to_string().as_str(), path.transport),
            (CLIENT, Transport::Tls)
        );
    }
}

#[test]
fn a_header_that_comes_byte_by_byte_is_put_together() {
    let server = Server::with(setup());
    let mut link = TcpLink::connect(server.address(Transport::Tcp, ON));
    for byte in V1 {
        link.send(&[*byte]).unwrap();
        std::thread::yield_now();
    }
    assert_eq!(seen(link), CLIENT);
}

#[test]
fn what_the_proxy_sends_for_itself_is_its_own() {
    let server = Server::with(setup());
    let link = link(server.address(Transport::Tcp, ON), LOCAL);
    let own = link.socket.local_addr().unwrap().to_string();
    assert_eq!(seen(link), own);
}

#[test]
fn a_proxy_without_a_header_is_closed_and_so_is_one_that_is_cut_off() {
    let server = Server::with(setup());
    let address = server.address(Transport::Tcp, ON);
    for bytes in [
        b"\0\x01\0\0".as_slice(),
        b"\x16\x03\x01",
        b"PROXY TCP9 x\r\n",
    ] {
        link(address, bytes).wait_for_end();
    }
    let mut cut = link(address, &V1[..20]);
    cut.socket.shutdown(std::net::Shutdown::Write).unwrap();
    cut.wait_for_end();
    let stats = server.wait_for("the closes", |stats| stats.io.streams_open == 0);
    assert_eq!(stats.io.streams_unopened, 4);
}

#[test]
fn a_header_that_takes_too_long_is_closed() {
    let mut setup = setup();
    setup.config.handshake_patience = Duration::from_millis(200);
    let server = Server::with(setup);
    let address = server.address(Transport::Tcp, ON);
    let mut silent = TcpLink::connect(address);
    silent.wait_for_end();
    link(address, &V1[..10]).wait_for_end();
    assert_eq!(server.workers.stats().io.streams_idle, 0);
}

#[test]
fn a_header_of_somebody_who_is_no_proxy_is_nonsense() {
    let mut setup = setup();
    let elsewhere = "192.0.2.1".parse().unwrap();
    setup.config.proxies = vec![IpRange::new(elsewhere, elsewhere).unwrap()];
    let server = Server::with(setup);
    let address = server.address(Transport::Tcp, ON);
    link(address, V1).wait_for_end();
    let direct = TcpLink::connect(address);
    let own = direct.socket.local_addr().unwrap().to_string();
    assert_eq!(seen(direct), own);
}

#[test]
fn a_port_for_proxies_wants_a_header_of_all_and_serves_listed_ones_only() {
    let elsewhere = "192.0.2.1".parse().unwrap();
    for (proxies, served) in [
        (vec![], true),
        (vec![loopback()], true),
        (vec![IpRange::new(elsewhere, elsewhere).unwrap()], false),
    ] {
        let mut setup = Setup::default();
        setup.config.tcp = Vec::new();
        setup.config.behind_proxy = vec![ON.parse().unwrap()];
        setup.config.proxies = proxies;
        let server = Server::with(setup);
        let address = server.address(Transport::Tcp, ON);
        if served {
            assert_eq!(seen(link(address, V1)), CLIENT);
            link(address, b"\0\x01\0\0").wait_for_end();
        } else {
            link(address, V1).wait_for_end();
            assert_eq!(server.workers.stats().io.streams_denied, 1);
        }
    }
}

/// A header that names this client.
fn header(client: &str) -> Vec<u8> {
    let (ip, port) = client.split_once(':').unwrap();
    format!("PROXY TCP4 {ip} 198.51.100.1 {port} 3478\r\n").into_bytes()
}

fn client_of(address: SocketAddr, client: &str) -> Client {
    Client::over(Link::Tcp(link(address, &header(client))))
}

#[test]
fn lists_of_clients_are_about_whom_the_proxy_names_and_not_about_the_proxy() {
    let mut setup = setup();
    setup.adjust = |rules| {
        let range = |text: &str| IpRange::new(text.parse().unwrap(), text.parse().unwrap());
        let denied = ["127.0.0.1", "192.0.2.66"].map(|ip| range(ip).unwrap());
        rules.guard.clients = ClientLists::new(&[], &denied);
    };
    let server = Server::with(setup);
    let address = server.address(Transport::Tcp, ON);
    assert_eq!(seen(link(address, V1)), CLIENT);
    link(address, &header("192.0.2.66:1000")).wait_for_end();
    // Of itself the proxy has nothing to say.
    link(address, LOCAL).wait_for_end();
    let stats = server.wait_for("both are refused", |stats| stats.io.streams_denied == 2);
    assert_eq!(stats.io.streams_unopened, 0);
}

#[test]
fn limits_are_those_of_whom_the_proxy_names() {
    let mut setup = setup();
    setup.adjust = |rules| {
        let caps = Caps::default().with(Holder::Network, Good::Connections, 2);
        rules.guard.caps = caps.with(Holder::Network, Good::Allocations, 1);
    };
    let server = Server::with(setup);
    let address = server.address(Transport::Tcp, ON);
    let mut near = ["192.0.2.1:1", "192.0.2.2:1"].map(|client| client_of(address, client));
    near[0].allocate();
    near[1].binding();
    assert_eq!(near[1].request_allocation().error(), Some(486));
    client_of(address, "192.0.2.3:1").tcp().wait_for_end();
    // Through the same proxy, from elsewhere.
    let mut far = client_of(address, "198.51.100.1:1");
    far.allocate();
    drop((near, far));
    server.wait_for("all are gone", |stats| stats.io.streams_open == 0);
    assert!(server.shared.quotas.is_clear());
}

/// RFC 6062 §5.4: control and data connection come through the proxy, each with a header.
#[test]
fn a_data_connection_to_a_peer_comes_through_the_proxy_too() {
    let server = Server::with(setup());
    let address = server.address(Transport::Tcp, ON);
    let listener = TcpListener::bind(ON).unwrap();
    let mut control = client_of(address, "192.0.2.7:1");
    control.allocate_over(6);
    let peer = listener.local_addr().unwrap();
    let answer = control.request(Method::CONNECT, |request| request.xor_peer_address(peer));
    let id = answer.view().attribute(attr::CONNECTION_ID).unwrap();
    let id = u32::from_be_bytes(id.try_into().unwrap());
    let (mut peer, _) = listener.accept().unwrap();
    let mut data = client_of(address, "192.0.2.7:2");
    data.learn_nonce();
    let answer = data.request(Method::CONNECTION_BIND, |request| request.connection_id(id));
    assert!(answer.is_success(), "{:?}", answer.error());
    let mut data = data.into_stream();
    let mut bytes = [0; 5];
    data.write_all(b"hello").unwrap();
    peer.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"hello");
    peer.write_all(b"world").unwrap();
    data.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"world");
}

/// RFC 8016 §3.2.1: the ticket is the client's, wherever a proxy says that it is now.
#[test]
fn a_session_moves_to_another_address_behind_the_proxy() {
    let server = Server::with(setup());
    let address = server.address(Transport::Tcp, ON);
    let mut before = client_of(address, "192.0.2.7:1");
    before.learn_nonce();
    let answer = before.request(Method::ALLOCATE, |request| {
        request.requested_transport(17).mobility_ticket(&[])
    });
    let ticket = answer.view().attribute(attr::MOBILITY_TICKET).unwrap();
    let mut after = client_of(address, "198.51.100.9:2");
    after.learn_nonce();
    let answer = after.request(Method::REFRESH, |request| request.mobility_ticket(ticket));
    assert!(answer.is_success(), "{:?}", answer.error());
    let (peer, at) = support::peer(ON);
    after.permit(at);
    after.send_indication(at, b"moved");
    assert_eq!(support::receive(&peer).0, b"moved");
}

#[test]
fn proxies_are_believed_from_when_they_are_named_until_they_are_not() {
    let server = Server::with(Setup::default());
    let address = server.address(Transport::Tcp, ON);
    for (proxies, served) in [(vec![], false), (vec![loopback()], true), (vec![], false)] {
        server.workers.trust_proxies(&proxies);
        server.workers.stats();
        if served {
            assert_eq!(seen(link(address, V1)), CLIENT);
        } else {
            link(address, V1).wait_for_end();
        }
    }
}
