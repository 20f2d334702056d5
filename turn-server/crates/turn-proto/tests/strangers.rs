//! Those who have proved nothing: how often they are answered, and who is not heard at all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::{sync::Arc, time::Duration};

use support::{Client, Got, World, config, udp};
use turn_proto::{
    Admin, ClientLists, Config, EndReason, Event, Guard, IpRange, ReplyLimit, Transport,
};
use turn_wire::{Method, RequestBuilder};

/// A server whose strangers are answered so many times a second.
fn limited(per_second: u32) -> Config {
    let replies = ReplyLimit::new(per_second, [9; 16]).map(Arc::new);
    Config {
        guard: Guard {
            replies,
            ..Guard::default()
        },
        ..config()
    }
}

/// Binding requests until one is not answered.
fn exhaust(world: &mut World, client: &str) -> u32 {
    let request = RequestBuilder::new(Method::BINDING, [7; 12]).finish(None, false);
    (0..10_000)
        .take_while(|_| world.send(&udp(client), &request) != Got::Nothing)
        .count() as u32
}

#[test]
fn an_office_of_two_hundred_phones_behind_one_address_connects_at_once() {
    let mut world = World::new(limited(200));
    let mut phones: Vec<_> = (0..200)
        .map(|phone| {
            Client::timed(
                &format!("192.0.2.10:{}", 10_000 + phone),
                "phone",
                600,
                &world,
            )
        })
        .collect();
    let binding = RequestBuilder::new(Method::BINDING, [7; 12]).finish(None, false);
    // A browser asks its STUN server twice and allocates twice; all within the same instant, and every question sent again.
    for phone in &mut phones {
        for _ in 0..4 {
            assert!(matches!(world.send(&phone.path, &binding), Got::Reply(_)));
            assert_eq!(phone.challenge(&mut world).code(), Some(401));
        }
        let allocated = phone.ask(&mut world, Method::ALLOCATE, |request| {
            request.requested_transport(17)
        });
        // Twenty ports are all there are; what counts is that it was heard.
        assert!(matches!(allocated.code(), None | Some(508)));
    }
    assert_eq!(world.relay.stats().replies_withheld, 0);
}

#[test]
fn beyond_the_rate_strangers_hear_nothing_and_clients_do() {
    let mut world = World::new(limited(10));
    let mut ann = Client::ann("192.0.2.10:40000");
    ann.allocate(&mut world);
    let mut bob = Client::bob("192.0.2.11:40000");
    bob.challenge(&mut world);
    assert_eq!(exhaust(&mut world, "192.0.2.99:1"), 100 - 2);
    let stats = world.relay.stats();
    assert_eq!(
        (stats.replies_withheld, stats.unauthorized_withheld),
        (1, 0)
    );

    // The whole /24 hears nothing any more, whatever it asks without proof.
    for method in [Method::ALLOCATE, Method::REFRESH, Method::CREATE_PERMISSION] {
        let request = RequestBuilder::new(method, [8; 12]).requested_transport(17);
        assert_eq!(
            world.send(&udp("192.0.2.98:1"), &request.finish(None, false)),
            Got::Nothing
        );
    }
    let mut liar = Client::new("192.0.2.97:1", "ann", "wrong");
    liar.nonce = bob.nonce.clone();
    let id = liar.id();
    let lie = liar.sign(RequestBuilder::new(Method::ALLOCATE, id).requested_transport(17));
    assert_eq!(world.send(&liar.path, &lie), Got::Nothing);
    assert!(
        world
            .events
            .iter()
            .all(|event| !matches!(event, Event::Refused { .. }))
    );
    assert_eq!(world.relay.stats().replies_withheld, 5);
    assert_eq!(world.relay.stats().unauthorized_withheld, 1);

    // Who proves who it is, is answered, and so is whoever has an allocation, even with an old nonce or none.
    bob.allocate(&mut world);
    assert_eq!(ann.permit(&mut world, "203.0.113.5:9").code(), None);
    ann.nonce = vec![b'0'; ann.nonce.len()];
    assert_eq!(ann.refresh(&mut world, 600).code(), Some(438));
    assert!(exhaust(&mut world, "192.0.2.10:40000") > 9_000);
    // Other networks are, too, and a stream is no way to make us answer somebody else.
    assert!(exhaust(&mut world, "192.0.3.1:1") > 0);
    let mut stream = Client::ann("192.0.2.99:2").over(Transport::Tcp, 9);
    stream.allocate(&mut world);

    // Time brings tokens back.
    world.pass(Duration::from_secs(3));
    assert_eq!(exhaust(&mut world, "192.0.2.99:1"), 30);
}

#[test]
fn the_default_withholds_nothing() {
    let mut world = World::new(config());
    assert_eq!(exhaust(&mut world, "192.0.2.99:1"), 10_000);
}

#[test]
fn clients_on_the_deny_list_hear_nothing_and_lose_what_they_have() {
    let mut world = World::new(config());
    let mut ann = Client::ann("192.0.2.10:40000");
    let mut bob = Client::bob("192.0.2.11:40000").over(Transport::Tcp, 5);
    let (relayed, _) = (ann.allocate(&mut world), bob.allocate(&mut world));
    assert_eq!(ann.bind(&mut world, 0x4001, "203.0.113.5:9").code(), None);

    let range = |text: &str| IpRange::new(text.parse().unwrap(), text.parse().unwrap()).unwrap();
    let lists = ClientLists::new(&[], &[range("192.0.2.10"), range("192.0.2.11")]);
    let guard = Guard {
        clients: lists,
        ..Guard::default()
    };
    let denying = Config { guard, ..config() };
    world
        .relay
        .on_command(world.now(), Admin::Configure(Arc::new(denying)));
    assert!(world.drain().is_empty());
    assert_eq!(world.closed_links, [bob.path.link]);
    let denied = |event: &&Event| {
        matches!(
            event,
            Event::Ended {
                reason: EndReason::Denied,
                ..
            }
        )
    };
    assert_eq!(world.events.iter().filter(denied).count(), 2);
    assert!(world.bound.is_empty());
    assert_eq!(
        world.peer_sends("203.0.113.5:9".parse().unwrap(), relayed, b"x"),
        None
    );

    let binding = RequestBuilder::new(Method::BINDING, [7; 12]).finish(None, false);
    for path in [udp("192.0.2.10:40000"), udp("192.0.2.10:1"), bob.path] {
        assert_eq!(world.send(&path, &binding), Got::Nothing);
    }
    assert_eq!(ann.channel_data(&mut world, 0x4001, b"x"), Got::Nothing);
    assert_eq!(world.relay.stats().dropped_denied_client, 4);
    assert!(matches!(
        world.send(&udp("192.0.2.12:1"), &binding),
        Got::Reply(_)
    ));
    assert!(
        !world
            .relay
            .admits_client("::ffff:192.0.2.10".parse().unwrap(), bob.path.server)
    );
}
