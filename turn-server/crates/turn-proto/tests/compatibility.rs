//! What operators may ask for on behalf of old or talkative clients: reasons in words, MAPPED-ADDRESS, classic STUN.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use support::{Answer, Client, Got, World, config, udp};
use turn_proto::{Config, LinkId, Path, Transport};
use turn_wire::{Method, RequestBuilder};

const CLIENT: &str = "192.0.2.10:40000";

fn reason(answer: &Answer) -> String {
    String::from_utf8(answer.attribute(0x0009).unwrap()[4..].to_vec()).unwrap()
}

#[test]
fn reasons_are_spelled_out_where_they_are_wanted_and_affordable() {
    let mut world = World::new(Config {
        reasons: true,
        ..config()
    });
    // Over UDP a browser's first Allocate leaves no room for words.
    let mut client = Client::ann(CLIENT);
    let answer = client.challenge(&mut world);
    assert_eq!((reason(&answer).as_str(), answer.bytes.len()), ("", 60));
    let path = Path {
        transport: Transport::Tcp,
        link: LinkId(9),
        ..udp(CLIENT)
    };
    let request = RequestBuilder::new(Method::ALLOCATE, [1; 12]).requested_transport(17);
    let answer = Answer::of(world.send(&path, &request.finish(None, false)));
    assert_eq!(reason(&answer), "Unauthenticated");
    // Whoever has signed in is told everything.
    client.allocate(&mut world);
    let answer = client.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17)
    });
    assert_eq!(
        (answer.code(), reason(&answer).as_str()),
        (Some(437), "Allocation Mismatch")
    );
    assert!(answer.signed_by(&client.key));
    let answer = client.permit(&mut world, "[2001:db8::5]:9");
    assert_eq!(reason(&answer), "Peer Address Family Mismatch");
}

#[test]
fn no_reason_is_given_otherwise() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    client.allocate(&mut world);
    assert_eq!(reason(&client.permit(&mut world, "[2001:db8::5]:9")), "");
}

#[test]
fn mapped_address_stands_beside_its_disguise_where_it_is_wanted() {
    let binding = RequestBuilder::new(Method::BINDING, [1; 12]).finish(None, false);
    let mut world = World::new(Config {
        mapped_address: true,
        ..config()
    });
    let answer = Answer::of(world.send(&udp(CLIENT), &binding));
    assert_eq!(
        answer.attribute(0x0001).as_deref(),
        Some(&[0, 1, 0x9C, 0x40, 192, 0, 2, 10][..])
    );
    assert_eq!(answer.mapped(), support::address(CLIENT));
    let answer = Answer::of(World::new(config()).send(&udp(CLIENT), &binding));
    assert_eq!(answer.attribute(0x0001), None);
}

#[test]
fn classic_stun_is_answered_where_it_is_wanted_and_nothing_but_binding() {
    let classic = |kind: u8| [&[0, kind, 0, 0][..], &[0x11; 16]].concat();
    let wanted = || Config {
        classic_stun: true,
        ..config()
    };
    let mut world = World::new(wanted());
    let Got::Reply(answer) = world.send(&udp(CLIENT), &classic(1)) else {
        panic!("no answer")
    };
    let expected = [
        &[1, 1, 0, 12][..],
        &[0x11; 16],
        &[0, 1, 0, 8, 0, 1, 0x9C, 0x40, 192, 0, 2, 10],
    ];
    assert_eq!(answer, expected.concat());
    assert_eq!(world.relay.stats().binding_responses, 1);
    // Allocate and shared secrets (RFC 3489 §11.1) were never answered without a cookie.
    for kind in [2, 3] {
        assert_eq!(world.send(&udp(CLIENT), &classic(kind)), Got::Nothing);
    }
    for config in [
        config(),
        Config {
            binding: false,
            ..wanted()
        },
        Config {
            binding_needs_credentials: true,
            ..wanted()
        },
    ] {
        let mut world = World::new(config);
        assert_eq!(world.send(&udp(CLIENT), &classic(1)), Got::Nothing);
        assert_eq!(world.relay.stats().dropped_malformed, 1);
    }
}
