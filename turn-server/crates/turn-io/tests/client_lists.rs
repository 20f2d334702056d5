//! Lists of clients that are for one listener: over every transport, beside others on the same worker, and after a change.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use support::{
    Client, IDENTITY, LOOPBACKS, Link, Server, Setup, TcpLink,
    dtls::{AES, Engine, receive_from, socket},
};
use turn_proto::{Admin, ClientLists, IpRange, Listeners, Transport};

const ON: &str = LOOPBACKS[0];
const TRANSPORTS: [Transport; 4] = [
    Transport::Udp,
    Transport::Tcp,
    Transport::Tls,
    Transport::Dtls,
];
/// A Binding request with nothing in it.
const BINDING: [u8; 20] = *b"\0\x01\0\0\x21\x12\xA4\x42twelve bytes";

/// Two listeners of each transport in IPv4, and one in IPv6, on one worker.
fn server() -> Server {
    let mut setup = Setup::secure();
    let both: Vec<SocketAddr> = [ON, ON, LOOPBACKS[1]]
        .map(|on| on.parse().unwrap())
        .to_vec();
    setup.config.udp = both.clone();
    setup.config.tcp = both.clone();
    setup.config.tls = both.clone();
    setup.config.dtls = both;
    setup.config.secure_datagrams = Some(IDENTITY.dtls());
    Server::with(setup)
}

/// The listeners of a transport in IPv4.
fn both(server: &Server, transport: Transport) -> [SocketAddr; 2] {
    let listening = server.workers.listening().into_iter();
    let meant = listening.filter(|at| at.transport == transport && at.address.is_ipv4());
    let meant: Vec<_> = meant.map(|at| at.address).collect();
    meant.try_into().unwrap()
}

fn configure(server: &Server, lists: ClientLists) {
    let mut rules = support::rules(LOOPBACKS.map(support::ip).to_vec());
    rules.guard.clients = lists;
    server.workers.command(Admin::Configure(Arc::new(rules)));
    // Who answers has taken it over.
    server.workers.stats();
}

fn loopback() -> [IpRange; 1] {
    let ip = support::ip(ON);
    [IpRange::new(ip, ip).unwrap()]
}

/// What was dropped or closed because of the lists.
fn denied(server: &Server) -> u64 {
    let stats = server.workers.stats();
    stats.relay.dropped_denied_client + stats.io.streams_denied
}

/// Tries to get in where the lists keep everybody out, and sees that nothing comes back.
fn is_kept_out(server: &Server, transport: Transport, at: SocketAddr) {
    let before = denied(server);
    match transport {
        Transport::Udp | Transport::Dtls => {
            let socket = socket(at);
            let first = match transport {
                Transport::Udp => BINDING.to_vec(),
                _ => Engine::new(AES, &IDENTITY.material)
                    .steps()
                    .datagrams
                    .concat(),
            };
            socket.send(&first).unwrap();
            server.wait_for("it is dropped", |_| denied(server) == before + 1);
            // An answer would have been sent before it was counted otherwise.
            socket
                .set_read_timeout(Some(Duration::from_millis(10)))
                .unwrap();
            assert!(receive_from(&socket).is_err());
        }
        Transport::Tcp | Transport::Tls => {
            TcpLink::connect(at).wait_for_end();
            assert_eq!(denied(server), before + 1);
        }
    }
}

#[test]
fn whom_one_listener_keeps_out_the_others_serve() {
    let server = server();
    for transport in TRANSPORTS {
        let [closed, open] = both(&server, transport);
        for listeners in [Listeners::At(closed), Listeners::OnPort(closed.port())] {
            configure(
                &server,
                ClientLists::default().on(listeners, &[], &loopback()),
            );
            is_kept_out(&server, transport, closed);
            let before = denied(&server);
            Client::connect(transport, open).allocate();
            for other in TRANSPORTS.into_iter().filter(|other| *other != transport) {
                server.client(other, ON).binding();
            }
            server.client(transport, LOOPBACKS[1]).binding();
            assert_eq!(denied(&server), before);
        }
    }
}

#[test]
fn an_allow_list_of_one_listener_closes_that_one_alone() {
    let server = server();
    let elsewhere = "192.0.2.7".parse().unwrap();
    let elsewhere = [IpRange::new(elsewhere, elsewhere).unwrap()];
    for transport in TRANSPORTS {
        let [closed, open] = both(&server, transport);
        let lists = ClientLists::default().on(Listeners::At(closed), &elsewhere, &[]);
        configure(&server, lists);
        is_kept_out(&server, transport, closed);
        Client::connect(transport, open).allocate();
        // An exception for one is none for the other.
        let lists = ClientLists::new(&[], &loopback());
        configure(&server, lists.on(Listeners::At(open), &loopback(), &[]));
        is_kept_out(&server, transport, closed);
        Client::connect(transport, open).allocate();
    }
}

#[test]
fn a_list_that_changes_ends_what_came_by_its_listener_and_nothing_else() {
    let server = server();
    for transport in TRANSPORTS {
        configure(&server, ClientLists::default());
        let [closed, open] = both(&server, transport);
        let mut clients = [closed, open].map(|at| Client::connect(transport, at));
        for client in &mut clients {
            client.allocate();
        }
        let lists = ClientLists::default().on(Listeners::At(closed), &[], &loopback());
        configure(&server, lists);
        let stats = server.workers.stats();
        let live = stats.relay.allocations_udp
            + stats.relay.allocations_tcp
            + stats.relay.allocations_tls
            + stats.relay.allocations_dtls;
        assert_eq!(live, 1, "{transport:?}");
        let [gone, stays] = &mut clients;
        if let Link::Tcp(link) = &mut gone.link {
            link.wait_for_end();
        }
        // Which asserts that it is still there.
        stays.release();
    }
}

#[test]
fn on_a_listener_for_all_addresses_a_list_for_its_port_counts() {
    let mut setup = Setup::default();
    let all: Vec<SocketAddr> = vec!["0.0.0.0:0".parse().unwrap()];
    setup.config.udp = all.clone();
    setup.config.tcp = all;
    let server = Server::with(setup);
    for transport in [Transport::Udp, Transport::Tcp] {
        let at = server.address(transport, ON);
        let here = SocketAddr::new(support::ip(ON), at.port());
        for listeners in [Listeners::At(at), Listeners::OnPort(at.port())] {
            configure(&server, ClientLists::default());
            Client::connect(transport, here).binding();
            configure(
                &server,
                ClientLists::default().on(listeners, &[], &loopback()),
            );
            is_kept_out(&server, transport, here);
        }
    }
}

/// Whom a proxy names comes to the listener that the proxy has come to, whatever address the header says.
#[test]
fn a_list_of_one_listener_is_about_whom_a_proxy_names_there() {
    let mut setup = Setup::default();
    setup.config.tcp = vec![ON.parse().unwrap(); 2];
    setup.config.proxies = loopback().to_vec();
    let server = Server::with(setup);
    let [closed, open] = both(&server, Transport::Tcp);
    let named = "192.0.2.7".parse().unwrap();
    let named = [IpRange::new(named, named).unwrap()];
    configure(
        &server,
        ClientLists::default().on(Listeners::At(closed), &[], &named),
    );
    let header = |destination: SocketAddr| {
        let (ip, port) = (destination.ip(), destination.port());
        format!("PROXY TCP4 192.0.2.7 {ip} 50000 {port}\r\n")
    };
    let mut link = TcpLink::connect(closed);
    link.send(header(open).as_bytes()).unwrap();
    link.wait_for_end();
    assert_eq!(denied(&server), 1);
    let mut link = TcpLink::connect(open);
    link.send(header(closed).as_bytes()).unwrap();
    let mut client = Client::over(Link::Tcp(link));
    assert_eq!(client.binding().to_string(), "192.0.2.7:50000");
}
