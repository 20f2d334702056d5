//! NAT behaviour discovery (RFC 5780): where answers to Binding come from and go to, and what they cost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use support::{Answer, SERVER, World, address, config, udp};
use turn_proto::{Config, DiscoveryAddress, LinkId, NatDiscovery, Output, Path, Transport};
use turn_wire::{Method, RequestBuilder};

const CHANGE_REQUEST: u16 = 0x0003;
const PADDING: u16 = 0x0026;
const RESPONSE_PORT: u16 = 0x0027;
const RESPONSE_ORIGIN: u16 = 0x802B;
const OTHER_ADDRESS: u16 = 0x802C;
const CLIENT: &str = "203.0.113.7:4000";

fn discovering() -> Config {
    let one = |place: u32, ip: &str| DiscoveryAddress {
        local: ip.parse().unwrap(),
        public: ip.parse().unwrap(),
        links: [LinkId(place), LinkId(place + 2)],
    };
    let addresses = vec![one(0, "198.51.100.1"), one(1, "198.51.100.2")];
    Config {
        discovery: NatDiscovery::new([3478, 3479], addresses),
        ..config()
    }
}

/// Sends a Binding request with these attributes; the answer and the way it takes.
fn ask(world: &mut World, path: &Path, attributes: &[(u16, &[u8])]) -> (Path, Answer) {
    let mut request = RequestBuilder::new(Method::BINDING, [7; 12]);
    for (kind, value) in attributes {
        request = request.attribute(*kind, value);
    }
    let packet = request.finish(None, false);
    let bytes = match world.relay.on_client(world.now(), path, &packet) {
        Output::Reply(bytes) => Some(bytes.to_vec()),
        Output::Nothing => None,
        Output::ToPeer { .. } | Output::NeedsKey { .. } => panic!("relayed"),
    };
    let mut sent = world.drain();
    match bytes {
        Some(bytes) => {
            assert!(sent.is_empty());
            (*path, Answer { bytes })
        }
        None => {
            let (path, bytes) = sent.pop().expect("an answer");
            assert!(sent.is_empty());
            (path, Answer { bytes })
        }
    }
}

/// An address that is not disguised.
fn plain(answer: &Answer, kind: u16) -> String {
    let value = answer.attribute(kind).expect("an address");
    let [0, 1, high, low, a, b, c, d] = value[..] else {
        panic!("no IPv4 address: {value:?}")
    };
    format!("{a}.{b}.{c}.{d}:{}", u16::from_be_bytes([high, low]))
}

#[test]
fn every_binding_answer_tells_where_it_comes_from_and_where_the_other_place_is() {
    let mut world = World::new(discovering());
    let (way, answer) = ask(&mut world, &udp(CLIENT), &[]);
    assert_eq!(way, udp(CLIENT));
    assert_eq!(answer.mapped(), address(CLIENT));
    assert_eq!(plain(&answer, RESPONSE_ORIGIN), SERVER);
    assert_eq!(plain(&answer, OTHER_ADDRESS), "198.51.100.2:3479");
}

#[test]
fn a_change_request_is_answered_from_the_place_it_names() {
    let cases = [
        (0b010, 2, "198.51.100.1:3479"),
        (0b100, 1, "198.51.100.2:3478"),
        (0b110, 3, "198.51.100.2:3479"),
    ];
    let mut world = World::new(discovering());
    for (bits, link, origin) in cases {
        let (way, answer) = ask(
            &mut world,
            &udp(CLIENT),
            &[(CHANGE_REQUEST, &[0, 0, 0, bits])],
        );
        assert_eq!((way.link, way.server), (LinkId(link), address(origin)));
        assert_eq!(way.client, address(CLIENT));
        assert_eq!(answer.mapped(), address(CLIENT));
        assert_eq!(plain(&answer, RESPONSE_ORIGIN), origin);
        // Unlike the origin it does not depend on what was asked for (RFC 5780 §7.4).
        assert_eq!(plain(&answer, OTHER_ADDRESS), "198.51.100.2:3479");
    }
}

#[test]
fn a_response_port_moves_the_answer_to_another_port_of_the_same_address() {
    let mut world = World::new(discovering());
    for value in [&[0x30, 0x39][..], &[0x30, 0x39, 0, 0]] {
        let (way, answer) = ask(&mut world, &udp(CLIENT), &[(RESPONSE_PORT, value)]);
        assert_eq!(way.client, address("203.0.113.7:12345"));
        assert_eq!((way.link, way.server), (LinkId(0), address(SERVER)));
        assert_eq!(answer.mapped(), address(CLIENT));
    }
    let both: [(u16, &[u8]); 2] = [
        (RESPONSE_PORT, &[0x30, 0x39, 0, 0]),
        (CHANGE_REQUEST, &[0, 0, 0, 6]),
    ];
    let (way, _) = ask(&mut world, &udp(CLIENT), &both);
    assert_eq!(
        (way.link, way.client),
        (LinkId(3), address("203.0.113.7:12345"))
    );
}

#[test]
fn padding_is_not_understood_so_that_nobody_gets_a_long_answer() {
    let mut world = World::new(discovering());
    let cases: [&[(u16, &[u8])]; 3] = [
        &[(PADDING, b"")],
        &[(PADDING, &[0; 1500])],
        // RFC 5780 §7.5: the two together must not be processed.
        &[(RESPONSE_PORT, &[0x30, 0x39, 0, 0]), (PADDING, b"")],
    ];
    for attributes in cases {
        let (way, answer) = ask(&mut world, &udp(CLIENT), attributes);
        assert_eq!((way, answer.code()), (udp(CLIENT), Some(420)));
        assert_eq!(answer.attribute(0x000A).unwrap(), [0x00, 0x26]);
        assert!(answer.bytes.len() <= 40);
    }
}

#[test]
fn malformed_or_misplaced_attributes_are_bad_requests() {
    let mut world = World::new(discovering());
    let stream = Path {
        transport: Transport::Tcp,
        link: LinkId(9),
        ..udp(CLIENT)
    };
    let cases: [(Path, u16, &[u8]); 6] = [
        (udp(CLIENT), CHANGE_REQUEST, b""),
        (udp(CLIENT), CHANGE_REQUEST, &[0; 8]),
        (udp(CLIENT), RESPONSE_PORT, &[1]),
        (udp(CLIENT), RESPONSE_PORT, &[0, 0, 0, 0]),
        (stream, CHANGE_REQUEST, &[0, 0, 0, 2]),
        (stream, RESPONSE_PORT, &[0x30, 0x39, 0, 0]),
    ];
    for (path, kind, value) in cases {
        let (way, answer) = ask(&mut world, &path, &[(kind, value)]);
        assert_eq!(
            (way, answer.code()),
            (path, Some(400)),
            "{kind:#06x} {value:?}"
        );
    }
    // A stream learns about the other place all the same.
    let (_, answer) = ask(&mut world, &stream, &[]);
    assert_eq!(plain(&answer, OTHER_ADDRESS), "198.51.100.2:3479");
}

#[test]
fn where_discovery_is_off_or_does_not_listen_its_attributes_are_unknown() {
    let elsewhere = Path {
        server: address("198.51.100.1:5349"),
        ..udp(CLIENT)
    };
    for (config, path) in [(config(), udp(CLIENT)), (discovering(), elsewhere)] {
        let mut world = World::new(config);
        let (_, answer) = ask(&mut world, &path, &[]);
        assert_eq!(answer.bytes.len(), 32);
        for (kind, value) in [
            (CHANGE_REQUEST, &[0, 0, 0, 2][..]),
            (RESPONSE_PORT, &[0x30, 0x39, 0, 0]),
        ] {
            let (way, answer) = ask(&mut world, &path, &[(kind, value)]);
            assert_eq!((way, answer.code()), (path, Some(420)));
            assert_eq!(answer.attribute(0x000A).unwrap(), kind.to_be_bytes());
        }
        // Clients of the RFC 3489 age send it whatever they want; coturn answers them, too.
        let (_, answer) = ask(&mut world, &path, &[(CHANGE_REQUEST, &[0; 4])]);
        assert_eq!(answer.mapped(), address(CLIENT));
    }
}

/// What an unproven request of 20 bytes is answered with, headers of IP and UDP aside: 2.8 times as much over IPv4 where
/// discovery is on, 1.6 times where it is off.
#[test]
fn discovery_makes_answers_longer_by_twenty_four_bytes() {
    for (config, length) in [(config(), 32), (discovering(), 56)] {
        let (_, answer) = ask(&mut World::new(config), &udp(CLIENT), &[]);
        assert_eq!(answer.bytes.len(), length);
    }
}

/// A Binding request of the age before the magic cookie, with a CHANGE-REQUEST of these bits; the answer and its way.
fn ask_classic(world: &mut World, path: &Path, bits: u8) -> (Path, Answer) {
    let packet = [&[0, 1, 0, 8][..], &[0x11; 16], &[0, 3, 0, 4, 0, 0, 0, bits]].concat();
    let reply = match world.relay.on_client(world.now(), path, &packet) {
        Output::Reply(bytes) => Some((*path, bytes.to_vec())),
        _ => None,
    };
    let (path, mut bytes) = reply.or_else(|| world.drain().pop()).expect("an answer");
    assert_eq!(bytes[4..20], [0x11; 16]);
    // So that it can be read like the others.
    bytes[4..8].copy_from_slice(&[0x21, 0x12, 0xA4, 0x42]);
    (path, Answer { bytes })
}

#[test]
fn clients_of_classic_stun_are_answered_from_where_they_ask() {
    let classic = || Config {
        classic_stun: true,
        ..discovering()
    };
    let mut world = World::new(classic());
    for (bits, from) in [
        (0, "198.51.100.1:3478"),
        (2, "198.51.100.1:3479"),
        (4, "198.51.100.2:3478"),
        (6, "198.51.100.2:3479"),
    ] {
        let (path, answer) = ask_classic(&mut world, &udp(CLIENT), bits);
        assert_eq!(path.server, address(from));
        assert_eq!(path.client, address(CLIENT));
        let told = [0x0001, 0x0004, 0x0005].map(|kind| plain(&answer, kind));
        assert_eq!(told, [CLIENT, from, "198.51.100.2:3479"]);
    }
    // Over a stream, and where there is no other place, the attribute is unknown (RFC 8489 §11).
    let stream = Path {
        transport: Transport::Tcp,
        ..udp(CLIENT)
    };
    let mut alone = World::new(Config {
        discovery: None,
        ..classic()
    });
    for (world, path) in [(&mut world, stream), (&mut alone, udp(CLIENT))] {
        let (back, answer) = ask_classic(world, &path, 6);
        assert_eq!(back.server, path.server);
        assert_eq!(answer.attribute(0x000A).as_deref(), Some(&[0, 3, 0, 3][..]));
    }
}
