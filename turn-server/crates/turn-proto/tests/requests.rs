//! Requests and their answers: what RFC 8489 and RFC 8656 oblige the server to say.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::time::Duration;

use support::{Answer, Client, Got, World, address, config, udp};
use turn_proto::{Access, Transport};
use turn_wire::{Family, Method, RequestBuilder};

const CLIENT: &str = "192.0.2.10:40000";

#[test]
fn binding_tells_the_client_its_address_in_thirty_two_bytes() {
    let mut world = World::new(config());
    let request = RequestBuilder::new(Method::BINDING, [1; 12]).finish(None, false);
    let answer = Answer::of(world.send(&udp(CLIENT), &request));
    assert_eq!(
        (answer.code(), answer.mapped(), answer.bytes.len()),
        (None, address(CLIENT), 32)
    );
    let mirrored = RequestBuilder::new(Method::BINDING, [1; 12]).finish(None, true);
    let answer = Answer::of(world.send(&udp(CLIENT), &mirrored));
    assert_eq!(answer.view().fingerprint(), turn_wire::Fingerprint::Right);
}

#[test]
fn the_challenge_is_short_and_its_nonce_works() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let answer = client.challenge(&mut world);
    assert_eq!((answer.code(), answer.bytes.len()), (Some(401), 60));
    assert_eq!(answer.attribute(0x0014).as_deref(), Some(&b"test.org"[..]));
    assert!(!answer.view().has_integrity());
    client.allocate(&mut world);
    assert_eq!(world.bound.len(), 1);
}

#[test]
fn hopeless_requests_without_credentials_get_twenty_eight_bytes() {
    let mut world = World::new(config());
    for (method, code) in [
        (Method::ALLOCATE, 400),
        (Method::REFRESH, 437),
        (Method::CREATE_PERMISSION, 437),
        (Method::CHANNEL_BIND, 437),
    ] {
        let answer = Answer::of(world.send(
            &udp(CLIENT),
            &RequestBuilder::new(method, [2; 12]).finish(None, false),
        ));
        assert_eq!(
            (answer.code(), answer.bytes.len()),
            (Some(code), 28),
            "{method:?}"
        );
    }
}

#[test]
fn allocate_answers_with_all_that_the_client_needs() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let answer = client.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17)
    });
    let relayed = answer.relayed();
    assert_eq!(relayed.ip(), address(support::SERVER).ip());
    assert!(support::PORTS.contains(&relayed.port()));
    assert_eq!((answer.mapped(), answer.lifetime()), (address(CLIENT), 600));
    assert!(answer.signed_by(&client.key));
    assert!(world.bound.values().any(|local| *local == relayed));
}

#[test]
fn time_limited_credentials_are_believed_until_they_expire() {
    let mut world = World::new(config());
    let mut good = Client::timed(CLIENT, "carol", 60, &world);
    good.allocate(&mut world);
    let mut late = Client::timed("192.0.2.10:40001", "carol", 60, &world);
    world.pass(Duration::from_secs(61));
    let answer = late.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17)
    });
    assert_eq!(answer.code(), Some(401));
    // The call that runs is not cut off by its credential.
    assert_eq!(good.refresh(&mut world, 600).code(), None);
}

#[test]
fn wrong_password_unknown_user_and_wrong_realm_look_the_same() {
    let mut world = World::new(config());
    let mut answers = Vec::new();
    for (user, password, realm) in [
        ("ann", "wrong", "test.org"),
        ("nobody", "x", "test.org"),
        ("ann", "secret of ann", "else.org"),
    ] {
        let mut client = Client::new(CLIENT, user, password);
        client.realm = realm.into();
        let answer = client.ask(&mut world, Method::ALLOCATE, |request| {
            request.requested_transport(17)
        });
        assert_eq!(answer.code(), Some(401));
        answers.push(answer.bytes);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert!(world.bound.is_empty());
}

#[test]
fn integrity_without_nonce_realm_or_username_is_a_bad_request() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    client.challenge(&mut world);
    let new = || RequestBuilder::new(Method::ALLOCATE, [9; 12]).requested_transport(17);
    for request in [
        new().realm(&client.realm).nonce(&client.nonce),
        new().username("ann").nonce(&client.nonce),
        new().username("ann").realm(&client.realm),
    ] {
        let answer =
            Answer::of(world.send(&client.path, &request.finish(Some(&client.key), false)));
        assert_eq!(answer.code(), Some(400));
    }
}

#[test]
fn a_nonce_grows_stale_and_belongs_to_one_address() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    client.allocate(&mut world);
    world.pass(Duration::from_secs(599));
    assert_eq!(client.refresh(&mut world, 600).code(), None);
    world.pass(Duration::from_secs(2));
    let answer = client.refresh(&mut world, 600);
    assert_eq!(answer.code(), Some(438));
    client.nonce = answer.attribute(0x0015).unwrap();
    assert_eq!(client.refresh(&mut world, 600).code(), None);
    let mut thief = Client::ann("192.0.2.66:40000");
    thief.nonce = client.nonce.clone();
    assert_eq!(thief.refresh(&mut world, 600).code(), Some(438));
}

#[test]
fn a_retransmitted_allocate_gets_the_same_bytes_and_one_port() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    client.challenge(&mut world);
    let packet =
        client.sign(RequestBuilder::new(Method::ALLOCATE, [5; 12]).requested_transport(17));
    let first = world.send(&client.path, &packet);
    world.pass(Duration::from_millis(500));
    assert_eq!(world.send(&client.path, &packet), first);
    assert_eq!((world.bound.len(), world.shared.ports.claimed()), (1, 1));
    let other = client.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17)
    });
    assert_eq!(other.code(), Some(437));
}

#[test]
fn a_retransmission_during_the_bind_waits_for_its_answer() {
    let mut world = World::new(config());
    world.hold_binds = true;
    let mut client = Client::ann(CLIENT);
    client.challenge(&mut world);
    let packet =
        client.sign(RequestBuilder::new(Method::ALLOCATE, [5; 12]).requested_transport(17));
    assert_eq!(world.send(&client.path, &packet), Got::Nothing);
    assert_eq!(world.send(&client.path, &packet), Got::Nothing);
    // Whatever else comes meanwhile finds no allocation.
    assert_eq!(client.permit(&mut world, "203.0.113.5:9").code(), Some(437));
    let (relay, local) = world.held.pop().unwrap();
    assert!(world.held.is_empty());
    world.bind(relay, local, false);
    assert_eq!(world.drain().len(), 1);
    assert!(matches!(world.send(&client.path, &packet), Got::Reply(_)));
}

#[test]
fn a_retransmitted_deletion_gets_the_same_bytes() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    client.allocate(&mut world);
    let packet = client.sign(RequestBuilder::new(Method::REFRESH, [6; 12]).lifetime(0));
    let first = Answer::of(world.send(&client.path, &packet));
    assert_eq!((first.code(), first.lifetime()), (None, 0));
    assert_eq!(
        Answer::of(world.send(&client.path, &packet)).bytes,
        first.bytes
    );
    assert_eq!(client.refresh(&mut world, 0).code(), Some(437));
    assert_eq!(
        (
            world.bound.len(),
            world.shared.ports.claimed(),
            world.shared.quotas.count()
        ),
        (0, 0, 0)
    );
}

#[test]
fn what_is_missing_or_contradictory_is_a_bad_request() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let ask = |client: &mut Client,
               world: &mut World,
               build: &dyn Fn(RequestBuilder) -> RequestBuilder| {
        client.ask(world, Method::ALLOCATE, build).code()
    };
    assert_eq!(ask(&mut client, &mut world, &|r| r), Some(400));
    assert_eq!(
        ask(&mut client, &mut world, &|r| r.attribute(0x0019, &[17])),
        Some(400)
    );
    let token = [0; 8];
    assert_eq!(
        ask(&mut client, &mut world, &|r| r
            .requested_transport(17)
            .reservation_token(token)
            .even_port(true)),
        Some(400)
    );
    assert_eq!(
        ask(&mut client, &mut world, &|r| r
            .requested_transport(17)
            .requested_family(Family::V6)
            .additional_family(Family::V6)),
        Some(400)
    );
    client.allocate(&mut world);
    assert_eq!(
        client
            .ask(&mut world, Method::CREATE_PERMISSION, |r| r)
            .code(),
        Some(400)
    );
    assert_eq!(
        client
            .ask(&mut world, Method::CHANNEL_BIND, |r| r
                .channel_number(0x4000))
            .code(),
        Some(400)
    );
    assert_eq!(
        client.bind(&mut world, 0x3FFF, "203.0.113.5:9").code(),
        Some(400)
    );
    assert_eq!(
        client.bind(&mut world, 0x5000, "203.0.113.5:9").code(),
        Some(400)
    );
    assert_eq!(
        client.bind(&mut world, 0x4000, "203.0.113.5:0").code(),
        Some(400)
    );
    assert_eq!(
        client.ask(&mut world, Method::SEND, |r| r).code(),
        Some(400)
    );
}

#[test]
fn unknown_attributes_are_listed_after_authentication() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let answer = client.ask(&mut world, Method::ALLOCATE, |request| {
        request
            .requested_transport(17)
            .attribute(0x7F01, b"what")
            .attribute(0x7F02, b"")
            .attribute(0xFF00, b"optional")
    });
    assert_eq!(answer.code(), Some(420));
    assert_eq!(
        answer.attribute(0x000A).as_deref(),
        Some(&[0x7F, 0x01, 0x7F, 0x02][..])
    );
    assert!(answer.signed_by(&client.key));
}

#[test]
fn transports_and_families_that_are_not_served_say_so() {
    let mut v4_only = config();
    v4_only.relays.addresses.truncate(1);
    v4_only.tcp_relay = false;
    let mut world = World::new(v4_only);
    let mut client = Client::ann(CLIENT);
    let code = |client: &mut Client,
                world: &mut World,
                build: &dyn Fn(RequestBuilder) -> RequestBuilder| {
        client.ask(world, Method::ALLOCATE, build).code()
    };
    for protocol in (0..=255).filter(|protocol| *protocol != 17) {
        assert_eq!(
            code(&mut client, &mut world, &|r| r
                .requested_transport(protocol)),
            Some(442)
        );
    }
    assert_eq!(
        code(&mut client, &mut world, &|r| r
            .requested_transport(17)
            .requested_family(Family::V6)),
        Some(440)
    );
    assert_eq!(
        code(&mut client, &mut world, &|r| r
            .requested_transport(17)
            .attribute(0x0017, &[9, 0, 0, 0])),
        Some(440)
    );
}

#[test]
fn an_absent_family_is_ipv4_where_there_is_one_and_ipv6_elsewhere() {
    let mut world = World::new(config());
    assert!(
        Client::ann("[2001:db8::9]:4000")
            .allocate(&mut world)
            .is_ipv4()
    );
    let mut client = Client::ann(CLIENT);
    let v6 = client.ask(&mut world, Method::ALLOCATE, |r| {
        r.requested_transport(17).requested_family(Family::V6)
    });
    assert!(v6.relayed().is_ipv6());
    let mut v6_only = config();
    v6_only.relays.addresses.remove(0);
    assert!(
        Client::ann("[2001:db8::9]:4000")
            .allocate(&mut World::new(v6_only))
            .is_ipv6()
    );
}

#[test]
fn peers_of_the_other_family_are_a_mismatch() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    client.allocate(&mut world);
    assert_eq!(
        client.permit(&mut world, "[2001:db8::5]:9").code(),
        Some(443)
    );
    assert_eq!(
        client
            .bind(&mut world, 0x4000, "[::ffff:203.0.113.5]:9")
            .code(),
        Some(443)
    );
    assert_eq!(
        client
            .ask(&mut world, Method::REFRESH, |r| r
                .requested_family(Family::V6))
            .code(),
        Some(443)
    );
    assert_eq!(
        client
            .ask(&mut world, Method::REFRESH, |r| r
                .requested_family(Family::V4))
            .code(),
        None
    );
}

#[test]
fn denied_peers_are_forbidden_and_one_of_them_spoils_the_request() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    client.allocate(&mut world);
    assert_eq!(client.permit(&mut world, "224.0.0.1:9").code(), Some(403));
    assert_eq!(
        client.permit(&mut world, "169.254.169.254:80").code(),
        Some(403)
    );
    assert_eq!(
        client.bind(&mut world, 0x4000, "198.51.100.1:22").code(),
        Some(403)
    );
    let both = client.ask(&mut world, Method::CREATE_PERMISSION, |request| {
        request
            .xor_peer_address(address("203.0.113.5:9"))
            .xor_peer_address(address("0.0.0.0:9"))
    });
    assert_eq!(both.code(), Some(403));
    assert_eq!(
        client.send_indication(&mut world, "203.0.113.5:9", b"x"),
        Got::Nothing
    );
    assert_eq!(world.relay.stats().permissions, 0);
}

#[test]
fn an_allocation_is_managed_by_its_owner_only() {
    let mut world = World::new(config());
    let mut ann = Client::ann(CLIENT);
    ann.allocate(&mut world);
    let mut bob = Client::bob(CLIENT);
    assert_eq!(bob.refresh(&mut world, 0).code(), Some(441));
    // RFC 8656 §19: 441 is for requests other than Allocate, which meets a 5-tuple in use.
    let again = bob.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17)
    });
    assert_eq!(again.code(), Some(437));
    let mut liar = Client::new(CLIENT, "bob", "wrong");
    assert_eq!(liar.refresh(&mut world, 0).code(), Some(401));
    let mut forger = Client::new(CLIENT, "ann", "wrong");
    assert_eq!(forger.refresh(&mut world, 0).code(), Some(401));
    assert_eq!(ann.refresh(&mut world, 600).code(), None);
}

#[test]
fn requests_without_an_allocation_are_a_mismatch() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    assert_eq!(client.refresh(&mut world, 600).code(), Some(437));
    assert_eq!(client.permit(&mut world, "203.0.113.5:9").code(), Some(437));
    assert_eq!(
        client.bind(&mut world, 0x4000, "203.0.113.5:9").code(),
        Some(437)
    );
}

#[test]
fn a_channel_and_its_peer_belong_together() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    client.allocate(&mut world);
    assert_eq!(
        client.bind(&mut world, 0x4000, "203.0.113.5:9").code(),
        None
    );
    assert_eq!(
        client.bind(&mut world, 0x4000, "203.0.113.5:9").code(),
        None
    );
    assert_eq!(
        client.bind(&mut world, 0x4000, "203.0.113.5:10").code(),
        Some(400)
    );
    assert_eq!(
        client.bind(&mut world, 0x4001, "203.0.113.5:9").code(),
        Some(400)
    );
    assert_eq!(
        client.bind(&mut world, 0x4001, "203.0.113.5:10").code(),
        None
    );
    assert_eq!(
        (
            world.relay.stats().channels,
            world.relay.stats().permissions
        ),
        (2, 1)
    );
}

#[test]
fn a_method_that_nobody_knows_gets_no_challenge() {
    let mut world = World::new(config());
    for method in [[0x00, 0x0D], [0x3E, 0xEF]] {
        let mut packet = RequestBuilder::new(Method::REFRESH, [2; 12]).finish(None, false);
        packet[..2].copy_from_slice(&method);
        let answer = Answer::of(world.send(&udp(CLIENT), &packet));
        assert_eq!((answer.code(), answer.bytes.len()), (Some(400), 28));
    }
}

#[test]
fn attributes_behind_the_integrity_are_not_obeyed() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    client.allocate(&mut world);
    let mut packet = client.sign(RequestBuilder::new(Method::REFRESH, [8; 12]).lifetime(600));
    packet.extend([0x00, 0x0D, 0x00, 0x04, 0, 0, 0, 0]);
    let length = u16::try_from(packet.len() - 20).unwrap();
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    match world.send(&client.path, &packet) {
        Got::Reply(bytes) => assert_eq!(Answer { bytes }.lifetime(), 600),
        other => assert_eq!(other, Got::Nothing),
    }
    assert_eq!(world.bound.len(), 1);
}

#[test]
fn only_requests_are_ever_answered() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let challenge = client.challenge(&mut world);
    let binding = RequestBuilder::new(Method::BINDING, [1; 12]).finish(None, false);
    let success = Answer::of(world.send(&client.path, &binding));
    for packet in [
        challenge.bytes,
        success.bytes,
        RequestBuilder::indication(Method::BINDING, [1; 12]).finish(None, false),
        RequestBuilder::indication(Method::DATA, [1; 12]).finish(None, false),
        RequestBuilder::indication(Method::ALLOCATE, [1; 12]).finish(None, false),
        b"garbage".to_vec(),
        Vec::new(),
        vec![0x40, 0x00, 0x00, 0x00],
        vec![0xC0; 40],
    ] {
        assert_eq!(
            world.send(&client.path, &packet),
            Got::Nothing,
            "{packet:?}"
        );
    }
    let mut broken = RequestBuilder::new(Method::BINDING, [1; 12]).finish(None, true);
    *broken.last_mut().unwrap() ^= 1;
    assert_eq!(world.send(&client.path, &broken), Got::Nothing);
}

#[test]
fn without_authentication_anybody_relays_and_nothing_is_signed() {
    let mut open = config();
    open.access = Access::Anonymous;
    let mut world = World::new(open);
    let packet = RequestBuilder::new(Method::ALLOCATE, [4; 12])
        .requested_transport(17)
        .finish(None, false);
    let answer = Answer::of(world.send(&udp(CLIENT), &packet));
    assert_eq!(answer.code(), None);
    assert!(!answer.view().has_integrity());
}

#[test]
fn switches_for_stun_and_turn_are_obeyed() {
    let mut stun_only = config();
    stun_only.turn = false;
    let mut world = World::new(stun_only);
    let allocate = RequestBuilder::new(Method::ALLOCATE, [4; 12])
        .requested_transport(17)
        .finish(None, false);
    let binding = RequestBuilder::new(Method::BINDING, [4; 12]).finish(None, false);
    assert_eq!(world.send(&udp(CLIENT), &allocate), Got::Nothing);
    assert!(matches!(world.send(&udp(CLIENT), &binding), Got::Reply(_)));
    let mut no_stun = config();
    no_stun.binding = false;
    assert_eq!(
        World::new(no_stun).send(&udp(CLIENT), &binding),
        Got::Nothing
    );
    let mut secure = config();
    secure.binding_needs_credentials = true;
    let mut world = World::new(secure);
    assert_eq!(
        Answer::of(world.send(&udp(CLIENT), &binding)).code(),
        Some(401)
    );
    let mut client = Client::ann(CLIENT);
    client.challenge(&mut world);
    assert_eq!(
        client
            .ask(&mut world, Method::BINDING, |request| request)
            .mapped(),
        address(CLIENT)
    );
}

#[test]
fn a_closed_stream_or_association_ends_its_allocation() {
    for transport in [Transport::Tcp, Transport::Tls, Transport::Dtls] {
        let mut world = World::new(config());
        let mut client = Client::ann(CLIENT).over(transport, 77);
        client.allocate(&mut world);
        assert_eq!(world.bound.len(), 1);
        world.relay.on_link_closed(world.now(), client.path.link);
        world.drain();
        assert_eq!(
            (world.bound.len(), world.shared.ports.claimed()),
            (0, 0),
            "{transport}"
        );
        let stats = world.relay.stats();
        let alive = [
            stats.allocations_tcp,
            stats.allocations_tls,
            stats.allocations_dtls,
        ];
        assert_eq!(alive, [0; 3]);
    }
}
