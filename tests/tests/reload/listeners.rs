//! Addresses and ports that come and go with a reload, under clients.

use std::fs;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use e2e::certificate::{Algorithm, Certificate};
use e2e::process::{scratch_file, until};
use e2e::server::{free_port, turnctl};
use e2e::turn_client::{Answer, TurnClient};
use e2e::uclient;

use super::{GENEROUS, Reloadable, V4, exchanging, refreshes};

const GUEST: [&str; 4] = ["-u", "ann", "-w", "one"];

fn at(port: u16) -> SocketAddr {
    SocketAddr::new(V4, port)
}

/// Whether a stranger gets an answer over UDP.
fn answers(address: SocketAddr) -> bool {
    let client = TurnClient::new(address, "ann", "one").unwrap();
    client.is_alive().unwrap()
}

fn session(address: SocketAddr) -> (TurnClient, SocketAddr) {
    let mut client = TurnClient::new(address, "ann", "one").unwrap();
    match client.allocate(None).unwrap() {
        Answer::Success {
            relayed: Some(relayed),
            ..
        } => (client, relayed),
        other => panic!("{address}: {other:?}"),
    }
}

/// Waits until no socket of the server is there any more.
fn wait_until_closed(address: SocketAddr) {
    until("the socket is closed", GENEROUS, || {
        UdpSocket::bind(address).ok()
    })
    .unwrap();
}

/// coturn's clients over all transports, on ports that are taken from under them.
#[test]
fn ports_move_under_clients_who_lose_nothing() {
    let certificate = Certificate::make(Algorithm::Ecdsa, V4).unwrap();
    let secure = free_port(V4).unwrap();
    let socket = scratch_file("control").unwrap();
    let control = format!("--control-socket={}", socket.display());
    let mut held = Reloadable::start_with(
        |head| head.replace("no-tls\n", &format!("tls-listening-port={secure}\ndtls\n")),
        "user=ann:one\n",
        &[
            &control,
            &certificate.flags()[0],
            &certificate.flags()[1],
            "--relay-threads=2",
        ],
    );
    let plain = held.port;
    let status = || turnctl(&socket, &["status"]).unwrap();
    let running = [
        exchanging(plain, &[]),
        exchanging(plain, &["-t"]),
        exchanging(secure, &["-t", "-S"]),
        exchanging(secure, &["-S"]),
    ];
    // Each of the eight clients tries the server out by a session of its own, which over datagrams is left to expire.
    until("all sessions", GENEROUS, || {
        status().contains(", 16 since the start").then_some(())
    })
    .unwrap();

    let [new_plain, new_secure] = [(); 2].map(|()| free_port(V4).unwrap());
    held.head = held
        .head
        .replace(&plain.to_string(), &new_plain.to_string())
        .replace(&secure.to_string(), &new_secure.to_string());
    let said = held.reload("user=ann:one\n");
    assert!(
        said.contains("changed: listening-port, tls-listening-port"),
        "{said}"
    );
    for (transport, old, new) in [
        ("udp", plain, new_plain),
        ("tcp", plain, new_plain),
        ("dtls", secure, new_secure),
        ("tls", secure, new_secure),
    ] {
        for line in [
            format!("listening {transport} 127.0.0.1:{new}"),
            format!("not listening any more: {transport} 127.0.0.1:{old}"),
        ] {
            assert!(said.contains(&line), "no {line} in {said}");
        }
    }
    let shown = status();
    for line in [
        format!("listening    udp 127.0.0.1:{new_plain}\n"),
        format!("udp 127.0.0.1:{plain}, for 4 sessions left there only"),
        format!("dtls 127.0.0.1:{secure}, for 4 sessions left there only"),
    ] {
        assert!(shown.contains(&line), "no {line} in {shown}");
    }
    // Whoever is new is served on the new ports, over everything, and not on the old ones.
    for port in [new_plain, new_secure] {
        for flags in [&[][..], &["-t"], &["-t", "-S"], &["-S"]] {
            uclient::exchange(V4, port, &[&GUEST[..], flags].concat()).unwrap();
        }
    }
    for port in [plain, secure] {
        assert!(!answers(at(port)));
        assert!(TcpStream::connect(at(port)).is_err());
    }
    let page = turnctl(&socket, &["metrics"]).unwrap();
    assert!(
        !page.contains("{reason=\"listener_retired\"} 0"),
        "strangers are not counted"
    );
    let [udp, tcp, tls, dtls] = running.map(|running| running.join().unwrap());
    for totals in [udp, tcp, dtls] {
        assert!(totals.all_returned(), "{totals:?}");
    }
    // coturn's client takes one record of TLS at a time out of OpenSSL, and ends with some of them unread where it was kept from
    // its core. Most of what it has counted has come after the reload all the same, and we have dropped none of it.
    assert!(tls.received * 2 > tls.sent, "{tls:?}");
    let page = turnctl(&socket, &["metrics"]).unwrap();
    for reason in ["stream_queue_full", "socket_closed", "unexpected"] {
        let none = format!("turnpike_dropped_packets_total{{reason=\"{reason}\"}} 0\n");
        assert!(page.contains(&none), "{page}");
    }
    // What they have not given back ends otherwise.
    drop(turnctl(&socket, &["kill", "--user=ann"]));
    wait_until_closed(at(plain));
    wait_until_closed(at(secure));
}

#[test]
fn addresses_come_and_go_and_come_back_and_are_relayed_from() {
    let other: SocketAddr = SocketAddr::new("127.0.0.2".parse().unwrap(), 0);
    let mut held = Reloadable::start_with(
        |head| head.replace("relay-ip=127.0.0.1\n", ""),
        "user=ann:one\n",
        &["--relay-threads=2"],
    );
    let here = held.address();
    let there = SocketAddr::new(other.ip(), held.port);
    let with = "listening-ip=127.0.0.2\nuser=ann:one\n";
    let (mut first, relayed) = session(here);
    assert_eq!(relayed.ip(), here.ip());
    let said = held.reload(with);
    assert!(said.contains("changed: listening-ip"), "{said}");
    // Relayed from where the client came to, which is new as well.
    let (mut second, relayed) = session(there);
    assert_eq!(relayed.ip(), there.ip());
    assert!(matches!(
        first.permit(relayed).unwrap(),
        Answer::Success { .. }
    ));
    TcpStream::connect(there).unwrap();

    held.reload("user=ann:one\n");
    assert!(!answers(there) && answers(here));
    TcpStream::connect(there).unwrap_err();
    assert!(refreshes(&mut first) && refreshes(&mut second));
    assert!(second.is_alive().unwrap());
    // Its socket is still there, and is the one that comes back.
    held.reload(with);
    assert!(answers(there) && refreshes(&mut second));
    let (_third, relayed) = session(there);
    assert_eq!(relayed.ip(), there.ip());
    held.reload("user=ann:one\n");
    assert!(refreshes(&mut second));
}

#[test]
fn a_relay_address_changes_for_new_sessions_only() {
    let mut held = Reloadable::start("user=ann:one\n", &[]);
    let (mut old, relayed) = session(held.address());
    assert_eq!(relayed.ip(), V4);
    held.head = held
        .head
        .replace("relay-ip=127.0.0.1", "relay-ip=127.0.0.2");
    let said = held.reload("user=ann:one\n");
    assert!(said.contains("changed: relay-ip"), "{said}");
    let (mut new, relayed_new) = session(held.address());
    assert_eq!(relayed_new.ip().to_string(), "127.0.0.2");
    assert!(refreshes(&mut old));
    // Both are relays of ours, and reach each other.
    let granted = |answer| matches!(answer, Answer::Success { .. });
    assert!(granted(new.permit(relayed).unwrap()));
    assert!(granted(old.permit(relayed_new).unwrap()));

    held.head = held.head.replace("127.0.0.2", "192.0.2.1");
    let said = held.reload("user=ann:one\n");
    let line = held.head.lines().position(|it| it.starts_with("relay-ip"));
    let place = format!(
        "{}:{}: relay-ip: cannot bind",
        held.file.display(),
        line.unwrap() + 1
    );
    assert!(
        said.contains("the old settings are kept") && said.contains(&place),
        "{said}"
    );
    session(held.address());
}

#[test]
fn a_listener_that_cannot_be_had_changes_nothing_and_says_where() {
    let mut held = Reloadable::start("user=ann:one\n", &[]);
    let mut ann = held.try_out("ann", "one").unwrap();
    let taken = free_port(V4).unwrap();
    let busy = UdpSocket::bind(at(taken)).unwrap();
    let line = held.head.lines().count() + 2;
    for (option, remedy) in [
        (
            format!("aux-server=127.0.0.1:{taken}"),
            "in use by another program",
        ),
        (format!("listening-port={taken}"), "--listening-port"),
        ("aux-server=192.0.2.1:3478".to_owned(), "no such address"),
        ("listening-ip=192.0.2.1".to_owned(), "no such address"),
    ] {
        let said = held.reload(&format!("user=bob:two\n{option}\n"));
        let name = option.split('=').next().unwrap();
        let place = format!("{}:{line}: {name}: ", held.file.display());
        for part in ["the old settings are kept", &place, remedy] {
            assert!(said.contains(part), "no {part} in {said}");
        }
        assert!(refreshes(&mut ann));
        held.try_out("ann", "one").unwrap();
        assert_eq!(held.try_out("bob", "two").err(), Some(401));
    }
    drop(busy);
    held.reload(&format!("user=bob:two\naux-server=127.0.0.1:{taken}\n"));
    let mut bob = TurnClient::new(at(taken), "bob", "two").unwrap();
    assert!(matches!(
        bob.allocate(None).unwrap(),
        Answer::Success { .. }
    ));
}

#[test]
fn transports_are_turned_off_and_on_and_tls_begins_and_ends() {
    let certificate = Certificate::make(Algorithm::Ecdsa, V4).unwrap();
    let secure = free_port(V4).unwrap();
    let socket = scratch_file("control").unwrap();
    let mut held = Reloadable::start_with(
        |head| head.replace("no-tls\n", &format!("tls-listening-port={secure}\n")),
        "user=ann:one\n",
        &[&format!("--control-socket={}", socket.display())],
    );
    let files = format!(
        "user=ann:one\ncert={}\npkey={}\n",
        certificate.certificate.display(),
        certificate.key.display()
    );
    let port = held.port;
    let exchange = |port, flags: &[&str]| {
        uclient::exchange(V4, port, &[&GUEST[..], flags].concat()).unwrap();
    };
    let mut ann = held.try_out("ann", "one").unwrap();
    let connects = |port| TcpStream::connect(at(port)).is_ok();
    assert!(connects(port) && !connects(secure));

    held.reload("user=ann:one\nno-tcp\n");
    assert!(!connects(port) && answers(at(port)));
    held.reload(&format!("{files}no-udp\ndtls\n"));
    // Sessions over UDP live on beside DTLS on the same port, and nobody else comes by UDP.
    assert!(refreshes(&mut ann) && !answers(at(port)));
    exchange(port, &["-S"]);
    exchange(secure, &["-S"]);
    exchange(secure, &["-t", "-S"]);
    exchange(port, &["-t"]);
    held.reload("user=ann:one\n");
    assert!(!connects(secure) && refreshes(&mut ann));
    assert!(answers(at(port)));
    exchange(port, &["-t"]);
    held.reload("user=ann:one\nno-udp\n");
    assert!(refreshes(&mut ann) && !answers(at(port)));
    // coturn's clients over DTLS have sessions there as well.
    turnctl(&socket, &["kill", "--user=ann"]).unwrap();
    wait_until_closed(at(port));
}

/// What a client is told over HTTP follows, and so does whom it may not reach.
#[test]
fn lists_and_ice_servers_follow_the_listeners() {
    let http = at(free_port(V4).unwrap());
    let flag = format!("--http-listen={http}");
    let lines = "static-auth-secret=first\nhttp-api-key=key\n";
    let mut held = Reloadable::start(lines, &[&flag]);
    let urls = || {
        let bearer = ["Authorization: Bearer key"];
        e2e::http::get(http, "/v1/ice", &bearer).unwrap().body
    };
    let (old, new) = (held.port.to_string(), free_port(V4).unwrap());
    assert!(urls().contains(&old));
    held.head = held.head.replace(&old, &new.to_string());
    // A list for the listener that there will be.
    let denied = format!("{lines}denied-client-ip=127.0.0.0/8@{new}\n");
    let said = held.reload(&denied);
    assert!(
        said.contains("changed: listening-port, denied-client-ip"),
        "{said}"
    );
    assert!(!answers(at(new)));
    assert!(urls().contains(&new.to_string()) && !urls().contains(&old));
    held.reload(lines);
    assert!(answers(at(new)));
    // And none for the one that there was.
    let said = held.reload(&format!("{lines}denied-client-ip=127.0.0.0/8@{old}\n"));
    assert!(
        said.contains("is for a listener that there is not"),
        "{said}"
    );
}

#[test]
fn nat_discovery_begins_with_a_reload() {
    let mut held = Reloadable::start("user=ann:one\n", &[]);
    let other = free_port(V4).unwrap();
    let lines =
        format!("user=ann:one\nlistening-ip=127.0.0.2\nrfc5780\nalt-listening-port={other}\n");
    let discovers = |port: u16| {
        let socket = UdpSocket::bind(at(0)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(2)))
            .unwrap();
        // Binding with CHANGE-REQUEST: the answer is to come from the other address and port (RFC 5780 §7.2).
        let request = b"\0\x01\0\x08\x21\x12\xa4\x42twelve bytes\0\x03\0\x04\0\0\0\x06";
        socket.send_to(request, at(port)).unwrap();
        socket.recv_from(&mut [0; 200]).ok().map(|(_, from)| from)
    };
    assert_eq!(discovers(held.port), Some(held.address()));
    for _ in 0..2 {
        held.reload(&lines);
        let elsewhere = SocketAddr::new("127.0.0.2".parse().unwrap(), other);
        assert_eq!(discovers(held.port), Some(elsewhere));
        // The sockets have other places from now on.
        held.reload("user=ann:one\nlistening-ip=127.0.0.3\n");
        assert_ne!(discovers(held.port), Some(elsewhere));
    }
    fs::remove_file(&held.file).unwrap();
}
