//! 300 Try Alternate: who is sent where (RFC 8489 §10, RFC 8656 §7.2).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::net::SocketAddr;

use support::{Answer, Client, SERVER, World, address, config, udp};
use turn_proto::{Access, Alternate, Alternates, Config, LinkId, Path, Transport};
use turn_wire::{Method, RequestBuilder};

const CLIENT: &str = "192.0.2.10:40000";
const CLIENT6: &str = "[2001:db8::10]:40000";
const ALTERNATE_SERVER: u16 = 0x8023;
const ALTERNATE_DOMAIN: u16 = 0x8003;

fn to(servers: &[&str]) -> Vec<Alternate> {
    let alternate = |server: &&str| Alternate {
        server: address(server),
        domain: None,
    };
    servers.iter().map(alternate).collect()
}

fn redirecting(alternates: Alternates) -> World {
    World::new(Config {
        alternates,
        ..config()
    })
}

fn any(servers: &[&str]) -> World {
    redirecting(Alternates {
        any: to(servers),
        ..Alternates::default()
    })
}

fn over(transport: Transport, client: &str) -> Path {
    Path {
        transport,
        link: LinkId(5),
        ..udp(client)
    }
}

fn allocate(world: &mut World, path: &Path) -> Answer {
    let request = RequestBuilder::new(Method::ALLOCATE, [3; 12]).requested_transport(17);
    Answer::of(world.send(path, &request.finish(None, false)))
}

/// The address in ALTERNATE-SERVER, read by its bytes.
fn alternate(answer: &Answer) -> SocketAddr {
    let value = answer
        .attribute(ALTERNATE_SERVER)
        .expect("ALTERNATE-SERVER");
    let port = u16::from_be_bytes([value[2], value[3]]);
    match value[1] {
        1 => SocketAddr::new(<[u8; 4]>::try_from(&value[4..]).unwrap().into(), port),
        2 => SocketAddr::new(<[u8; 16]>::try_from(&value[4..]).unwrap().into(), port),
        other => panic!("family {other}"),
    }
}

#[test]
fn an_allocate_is_sent_elsewhere_in_forty_bytes_before_it_has_signed_in() {
    let mut world = any(&["198.51.100.7:3478"]);
    let answer = allocate(&mut world, &udp(CLIENT));
    assert_eq!((answer.code(), answer.bytes.len()), (Some(300), 40));
    assert_eq!(alternate(&answer), address("198.51.100.7:3478"));
    assert!(!answer.view().has_integrity());
    assert!(world.bound.is_empty());
    // Without REQUESTED-TRANSPORT it is not worth it.
    let bare = RequestBuilder::new(Method::ALLOCATE, [3; 12]).finish(None, false);
    let answer = Answer::of(world.send(&udp(CLIENT), &bare));
    assert_eq!((answer.code(), answer.bytes.len()), (Some(400), 28));
}

#[test]
fn an_allocate_that_is_signed_gets_a_signed_answer() {
    // RFC 8489 §10: the answer may be authenticated where that is possible.
    let mut world = any(&["198.51.100.7:3478"]);
    let mut client = Client::ann(CLIENT);
    // The nonce is another method's, for Allocate gets none.
    client.nonce = challenge_of_binding(CLIENT);
    let answer = client.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17)
    });
    assert_eq!(answer.code(), Some(300));
    assert!(answer.signed_by(&client.key));
    let mut stranger = Client::new(CLIENT, "ann", "wrong");
    stranger.nonce = client.nonce.clone();
    let answer = stranger.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17)
    });
    assert_eq!(answer.code(), Some(401));
}

/// The nonce that another relay with the same key gives this client.
fn challenge_of_binding(client: &str) -> Vec<u8> {
    let mut world = World::new(config());
    let mut client = Client::ann(client);
    client.challenge(&mut world);
    client.nonce
}

#[test]
fn without_authentication_clients_are_sent_elsewhere_too() {
    let mut world = World::new(Config {
        access: Access::Anonymous,
        alternates: Alternates {
            any: to(&["198.51.100.7:3478"]),
            ..Alternates::default()
        },
        ..config()
    });
    assert_eq!(allocate(&mut world, &udp(CLIENT)).code(), Some(300));
}

#[test]
fn clients_are_sent_to_their_own_family_in_turns() {
    let mut world = any(&[
        "198.51.100.7:3478",
        "[2001:db8::7]:3478",
        "198.51.100.8:3478",
        "[2001:db8::8]:3478",
    ]);
    for (client, servers) in [
        (CLIENT, ["198.51.100.7:3478", "198.51.100.8:3478"]),
        (CLIENT6, ["[2001:db8::7]:3478", "[2001:db8::8]:3478"]),
    ] {
        let mut met: Vec<_> = (0..4)
            .map(|_| alternate(&allocate(&mut world, &udp(client))))
            .collect();
        assert_eq!((met[0], met[1]), (met[2], met[3]));
        met.truncate(2);
        met.sort_unstable();
        assert_eq!(met, servers.map(address));
    }
}

#[test]
fn a_client_without_a_server_of_its_family_stays() {
    let mut world = any(&["[2001:db8::7]:3478"]);
    assert_eq!(allocate(&mut world, &udp(CLIENT)).code(), Some(401));
    assert_eq!(allocate(&mut world, &udp(CLIENT6)).code(), Some(300));
}

#[test]
fn nobody_is_sent_in_circles() {
    // This server is one of the list: it was chosen before.
    let mut world = any(&["198.51.100.7:3478", SERVER]);
    assert_eq!(allocate(&mut world, &udp(CLIENT)).code(), Some(401));
    Client::ann(CLIENT).allocate(&mut world);
}

#[test]
fn each_transport_has_its_list() {
    let mut world = redirecting(Alternates {
        any: to(&["198.51.100.1:1"]),
        udp: Vec::new(),
        tcp: to(&["198.51.100.1:2"]),
        tls: to(&["198.51.100.1:3"]),
    });
    let mut port = |transport| alternate(&allocate(&mut world, &over(transport, CLIENT))).port();
    assert_eq!(port(Transport::Udp), 1);
    assert_eq!(port(Transport::Tcp), 2);
    assert_eq!(port(Transport::Tls), 3);
    assert_eq!(port(Transport::Dtls), 3);
    let mut world = redirecting(Alternates {
        udp: to(&["198.51.100.1:4"]),
        tls: to(&["198.51.100.1:5"]),
        ..Alternates::default()
    });
    let mut answer = |transport| allocate(&mut world, &over(transport, CLIENT));
    assert_eq!(alternate(&answer(Transport::Dtls)).port(), 4);
    assert_eq!(answer(Transport::Tcp).code(), Some(401));
}

#[test]
fn a_name_for_the_certificate_is_sent_where_there_is_one() {
    // RFC 8489 §10: over TLS and DTLS, when the other server has another certificate.
    let mut world = redirecting(Alternates {
        any: vec![Alternate {
            server: address("198.51.100.7:5349"),
            domain: Some("turn7.example.org".into()),
        }],
        ..Alternates::default()
    });
    for (transport, domain) in [
        (Transport::Udp, None),
        (Transport::Tcp, None),
        (Transport::Tls, Some(&b"turn7.example.org"[..])),
        (Transport::Dtls, Some(&b"turn7.example.org"[..])),
    ] {
        let answer = allocate(&mut world, &over(transport, CLIENT));
        assert_eq!(answer.code(), Some(300));
        assert_eq!(answer.attribute(ALTERNATE_DOMAIN).as_deref(), domain);
    }
}

#[test]
fn sessions_and_other_methods_stay() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    client.allocate(&mut world);
    let records = world.relay.export(world.now());
    let mut world = any(&["198.51.100.7:3478"]);
    world.now = std::time::Duration::from_secs(1000);
    let relay = world.relay.import(world.now(), &records[0]);
    assert!(relay.is_some());
    assert_eq!(client.refresh(&mut world, 600).code(), None);
    assert_eq!(allocate(&mut world, &client.path).code(), Some(401));
    let binding = RequestBuilder::new(Method::BINDING, [4; 12]).finish(None, false);
    assert_eq!(Answer::of(world.send(&udp(CLIENT), &binding)).code(), None);
}
