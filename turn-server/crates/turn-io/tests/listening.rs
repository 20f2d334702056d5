//! Listening elsewhere while clients are served: new addresses, removed ones with sessions, and ones that come back.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use support::{Client, Got, IDENTITY, LOOPBACKS, PATIENCE, Server, Setup, peer, receive};
use turn_io::{Endpoints, Spoken, StartError, Turned};
use turn_proto::Transport;

const CHANNEL: u16 = 0x4001;
const ON: &str = LOOPBACKS[0];
const ALL: [Transport; 4] = [
    Transport::Udp,
    Transport::Tcp,
    Transport::Tls,
    Transport::Dtls,
];

/// What all of it is served with.
fn spoken() -> Spoken {
    Spoken {
        plain_datagrams: true,
        plain_streams: true,
        tls: Some(IDENTITY.tls()),
        dtls: Some(IDENTITY.dtls()),
    }
}

/// A server with everything, on free ports of 127.0.0.1.
fn server(workers: usize) -> Server {
    let mut setup = Setup::default();
    let on = vec![ON.parse().unwrap()];
    setup.config.workers = workers;
    (setup.config.udp, setup.config.tcp) = (on.clone(), on.clone());
    (setup.config.tls, setup.config.dtls) = (on.clone(), on);
    setup.config.security = Some(IDENTITY.tls());
    setup.config.secure_datagrams = Some(IDENTITY.dtls());
    Server::with(setup)
}

/// Where a server listens now.
fn endpoints(server: &Server) -> Endpoints {
    let all = server.workers.listening();
    let of = |transport| {
        let meant = all.iter().filter(|it| it.transport == transport);
        meant.map(|it| it.address).collect()
    };
    Endpoints {
        udp: of(Transport::Udp),
        tcp: of(Transport::Tcp),
        tls: of(Transport::Tls),
        dtls: of(Transport::Dtls),
        behind_proxy: Vec::new(),
    }
}

/// A port that nobody has over UDP, nor over TCP.
fn free() -> SocketAddr {
    loop {
        let udp = UdpSocket::bind(ON).unwrap();
        let address = udp.local_addr().unwrap();
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

fn turn(server: &mut Server, to: &Endpoints) -> Turned {
    turn_speaking(server, to, &spoken())
}

fn turn_speaking(server: &mut Server, to: &Endpoints, spoken: &Spoken) -> Turned {
    let opening = server.workers.open(to, &[]).unwrap();
    let turned = opening.turned().clone();
    server.workers.turn_to(opening, spoken);
    // Once they answer, they have obeyed.
    server.workers.stats();
    turned
}

/// A client with an allocation and a channel, and its peer.
struct Call {
    client: Client,
    peer: UdpSocket,
    relayed: SocketAddr,
}

impl Call {
    fn begin(transport: Transport, server: SocketAddr) -> Self {
        let mut client = Client::connect(transport, server);
        let (peer, peer_address) = peer(ON);
        let relayed = client.allocate();
        client.bind_channel(CHANNEL, peer_address);
        Self {
            client,
            peer,
            relayed,
        }
    }

    /// Sends both ways, and asks for something new.
    fn goes_on(&mut self) {
        for payload in [b"there".to_vec(), vec![7; 1200]] {
            self.client.send_channel(CHANNEL, &payload);
            assert_eq!(receive(&self.peer), (payload.clone(), self.relayed));
            self.peer.send_to(&payload, self.relayed).unwrap();
            assert_eq!(self.client.receive(), Got::Channel(CHANNEL, payload));
        }
        let (other, other_address) = peer(ON);
        self.client.permit(other_address);
        self.client.send_indication(other_address, b"new");
        assert_eq!(receive(&other), (b"new".to_vec(), self.relayed));
        self.client.binding();
    }
}

/// A Binding request of somebody new.
const BINDING: [u8; 20] = *b"\0\x01\0\0\x21\x12\xa4\x42twelve bytes";

/// Whether a stranger gets an answer, who waits for it for a while.
fn answers_strangers(address: SocketAddr) -> bool {
    let socket = UdpSocket::bind(ON).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    socket.send_to(&BINDING, address).unwrap();
    socket.recv(&mut [0; 100]).is_ok()
}

/// Waits until nobody has the port of an address any more.
fn wait_until_closed(address: SocketAddr) {
    for _ in 0..PATIENCE.as_millis() {
        if UdpSocket::bind(address).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("{address} is never closed");
}

#[test]
fn new_addresses_are_served_over_every_transport_by_every_worker() {
    let mut server = server(2);
    let mut wanted = endpoints(&server);
    let [one, other] = [free(), free()];
    wanted.udp.push(one);
    wanted.tcp.push(one);
    wanted.tls.push(other);
    wanted.dtls.push(other);
    let turned = turn(&mut server, &wanted);
    assert_eq!(turned.closed, []);
    let opened = turned.opened.iter().map(|it| (it.transport, it.address));
    assert_eq!(
        opened.collect::<Vec<_>>(),
        [
            (Transport::Udp, one),
            (Transport::Dtls, other),
            (Transport::Tcp, one),
            (Transport::Tls, other)
        ]
    );
    assert_eq!(endpoints(&server), wanted);
    for (transport, address) in ALL.into_iter().zip([one, one, other, other]) {
        // The kernel deals them to both workers.
        for _ in 0..8 {
            Call::begin(transport, address).goes_on();
        }
    }
    // What was there serves on.
    for transport in ALL {
        Call::begin(transport, server.address(transport, ON)).goes_on();
    }
}

#[test]
fn sessions_live_on_where_nobody_else_is_served_any_more() {
    let mut server = server(1);
    let old = endpoints(&server);
    let mut calls: Vec<Call> = ALL
        .into_iter()
        .map(|transport| Call::begin(transport, server.address(transport, ON)))
        .collect();
    let mut idle = Client::connect(Transport::Dtls, old.dtls[0]);
    idle.binding();
    let at = free();
    let wanted = Endpoints {
        udp: vec![at],
        tcp: vec![at],
        ..Endpoints::default()
    };
    let turned = turn(&mut server, &wanted);
    assert_eq!((turned.opened.len(), turned.closed.len()), (2, 4));
    for call in &mut calls {
        call.goes_on();
    }
    Call::begin(Transport::Udp, at).goes_on();
    Call::begin(Transport::Tcp, at).goes_on();

    for address in [old.udp[0], old.dtls[0]] {
        assert!(!answers_strangers(address));
    }
    for address in [old.tcp[0], old.tls[0]] {
        let error = TcpStream::connect(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
    assert_eq!(server.workers.stats().io.datagrams_unwanted, 2);
    let retired = server.workers.retired();
    let retired: Vec<_> = (retired.iter())
        .map(|(it, sessions)| (it.transport, it.address, *sessions))
        .collect();
    assert_eq!(
        retired,
        [
            (Transport::Udp, old.udp[0], 1),
            (Transport::Dtls, old.dtls[0], 1)
        ]
    );
    // The association without an allocation was told good-bye.
    assert_eq!(server.workers.stats().io.dtls_associations, 1);

    for mut call in calls {
        call.goes_on();
        call.client.release();
    }
    wait_until_closed(old.udp[0]);
    wait_until_closed(old.dtls[0]);
    assert_eq!(server.workers.retired(), []);
    assert_eq!(endpoints(&server), wanted);
}

#[test]
fn what_has_no_sessions_is_closed_at_once_and_can_be_had_again() {
    let mut server = server(2);
    let old = endpoints(&server);
    for _ in 0..3 {
        let turned = turn(&mut server, &Endpoints::default());
        assert_eq!((turned.opened.len(), turned.closed.len()), (0, 4));
        assert_eq!(endpoints(&server), Endpoints::default());
        // Not by another program: by this one, which must know that it has closed it.
        let turned = turn(&mut server, &old);
        assert_eq!((turned.opened.len(), turned.closed.len()), (4, 0));
        for transport in ALL {
            Call::begin(transport, server.address(transport, ON)).goes_on();
        }
    }
}

#[test]
fn a_retired_address_comes_back_with_all_of_its_sessions() {
    let mut server = server(3);
    let old = endpoints(&server);
    let mut calls: Vec<Call> = (0..12)
        .map(|number| {
            let transport = [Transport::Udp, Transport::Dtls][number % 2];
            Call::begin(transport, server.address(transport, ON))
        })
        .collect();
    for _ in 0..5 {
        turn(&mut server, &Endpoints::default());
        // The sockets of workers without a session stay as well, or the kernel would deal these clients anew.
        calls.iter_mut().for_each(Call::goes_on);
        let held: usize = server.workers.retired().iter().map(|(_, held)| held).sum();
        assert_eq!(held, 12);
        let turned = turn(&mut server, &old);
        assert_eq!(turned.opened.len(), 4);
        calls.iter_mut().for_each(Call::goes_on);
        for _ in 0..6 {
            assert!(answers_strangers(old.udp[0]));
        }
    }
    assert_eq!(server.workers.stats().io.undeliverable, 0);
}

#[test]
fn the_sockets_of_all_workers_are_closed_together() {
    let mut server = server(3);
    let old = endpoints(&server).udp[0];
    let mut calls: Vec<Call> = (0..12).map(|_| Call::begin(Transport::Udp, old)).collect();
    turn(&mut server, &Endpoints::default());
    while let Some(mut ended) = calls.pop() {
        ended.client.release();
        // Longer than workers take to look whether they have sessions left, now and then.
        if calls.len().is_multiple_of(4) {
            std::thread::sleep(Duration::from_millis(1100));
        }
        calls.iter_mut().for_each(Call::goes_on);
    }
    wait_until_closed(old);
}

#[test]
fn an_address_that_cannot_be_had_changes_nothing() {
    let mut server = server(2);
    let old = endpoints(&server);
    let mut call = Call::begin(Transport::Udp, old.udp[0]);
    let busy = TcpListener::bind(ON).unwrap();
    let (one, busy_at) = (free(), busy.local_addr().unwrap());
    let foreign: SocketAddr = "192.0.2.1:3478".parse().unwrap();
    for (tcp, relays) in [
        (busy_at, vec![]),
        (foreign, vec![]),
        (one, vec![foreign.ip()]),
    ] {
        let wanted = Endpoints {
            udp: vec![one],
            tcp: vec![tcp],
            ..Endpoints::default()
        };
        let error = server.workers.open(&wanted, &relays).err().unwrap();
        let is_meant = match &error {
            StartError::InUse(at) => at.address == busy_at,
            StartError::NotLocal(at) => at.address == foreign,
            StartError::RelayNotLocal(ip) => *ip == foreign.ip(),
            _ => false,
        };
        assert!(is_meant, "{error}");
        assert_eq!(endpoints(&server), old);
        drop(UdpSocket::bind(one).unwrap());
        drop(TcpListener::bind(one).unwrap());
        call.goes_on();
        assert!(answers_strangers(old.udp[0]));
    }
    // Neither does one that is opened and not turned to.
    let wanted = Endpoints {
        udp: vec![one],
        ..Endpoints::default()
    };
    drop(server.workers.open(&wanted, &[]).unwrap());
    drop(UdpSocket::bind(one).unwrap());
    assert_eq!(endpoints(&server), old);
    turn(&mut server, &wanted);
    call.goes_on();
    Call::begin(Transport::Udp, one).goes_on();
}

#[test]
fn places_are_used_again() {
    let mut server = server(2);
    let old = endpoints(&server);
    let mut highest = 0;
    for _ in 0..50 {
        let at = free();
        let wanted = Endpoints {
            udp: vec![at, old.udp[0]],
            tcp: vec![at],
            ..Endpoints::default()
        };
        let opening = server.workers.open(&wanted, &[]).unwrap();
        let links = opening.links();
        assert!(links.iter().map(|(at, _)| *at).eq(wanted.udp.clone()));
        highest = links.iter().map(|(_, link)| link.0).fold(highest, u32::max);
        server.workers.turn_to(opening, &spoken());
        assert!(answers_strangers(at));
        let mut client = Client::connect(Transport::Tcp, at);
        assert_eq!(client.binding(), client.local());
    }
    assert!(highest < 4, "{highest}");
}

#[test]
fn what_is_spoken_changes_and_sessions_speak_on() {
    let mut server = server(1);
    let at = endpoints(&server);
    let mut calls: Vec<Call> = ALL
        .into_iter()
        .map(|transport| Call::begin(transport, server.address(transport, ON)))
        .collect();
    let secure = Spoken {
        plain_datagrams: false,
        plain_streams: false,
        ..spoken()
    };
    turn_speaking(&mut server, &at, &secure);
    calls.iter_mut().for_each(Call::goes_on);
    assert!(!answers_strangers(at.udp[0]));
    let mut plain = Client::connect(Transport::Tcp, at.tcp[0]);
    plain.send(&BINDING);
    plain.tcp().wait_for_end();
    Call::begin(Transport::Dtls, at.udp[0]).goes_on();
    Call::begin(Transport::Tls, at.tcp[0]).goes_on();

    let plain = Spoken {
        tls: None,
        dtls: None,
        ..spoken()
    };
    turn_speaking(&mut server, &at, &plain);
    calls.iter_mut().for_each(Call::goes_on);
    assert!(answers_strangers(at.dtls[0]));
    Call::begin(Transport::Udp, at.dtls[0]).goes_on();
    Call::begin(Transport::Tcp, at.tls[0]).goes_on();
    let handshakes = server.workers.stats().io.dtls_handshakes;
    let link = support::TcpLink::connect(at.tls[0]);
    assert!(link.into_secure(&IDENTITY).is_err());
    assert_eq!(server.workers.stats().io.dtls_handshakes, handshakes);
}

#[test]
fn an_address_goes_behind_a_proxy_and_comes_back() {
    let mut server = server(1);
    let old = endpoints(&server);
    let behind = Endpoints {
        tcp: Vec::new(),
        behind_proxy: old.tcp.clone(),
        ..old.clone()
    };
    let turned = turn(&mut server, &behind);
    assert_eq!(turned, Turned::default());
    let mut client = Client::connect(Transport::Tcp, old.tcp[0]);
    client.send(&BINDING);
    client.tcp().wait_for_end();
    turn(&mut server, &old);
    Call::begin(Transport::Tcp, old.tcp[0]).goes_on();
}

#[test]
fn connections_that_are_complete_when_a_port_is_shut_are_served() {
    let mut server = server(1);
    let old = endpoints(&server);
    for _ in 0..20 {
        let mut waiting: Vec<Client> = (0..20)
            .map(|_| Client::connect(Transport::Tcp, old.tcp[0]))
            .collect();
        turn(&mut server, &Endpoints::default());
        for client in &mut waiting {
            assert_eq!(client.binding(), client.local());
        }
        turn(&mut server, &old);
    }
}
