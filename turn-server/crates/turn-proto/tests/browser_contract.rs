//! What Chrome and Firefox rely on, rule by rule: each test names the browser and what it does if the rule is broken.
//!
//! Only what protocol answers can show is here. Ports, certificates and real pages are elsewhere.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::time::Duration;

use support::{Answer, Client, Got, World, address, config};
use turn_proto::{Alternate, Alternates, Config, Transport};
use turn_wire::{Class, Method, RequestBuilder};

const CLIENT: &str = "192.0.2.10:40000";
const PEER: &str = "203.0.113.5:9";
const NONCE: u16 = 0x0015;

/// Chrome's Allocate: REQUESTED-TRANSPORT and nothing else, neither LIFETIME nor a family.
fn chrome_allocate(client: &mut Client, world: &mut World) -> Answer {
    client.ask(world, Method::ALLOCATE, |request| {
        request.requested_transport(17)
    })
}

/// Each transport that a browser comes over.
fn clients() -> impl Iterator<Item = Client> {
    let transports = [Transport::Udp, Transport::Tcp, Transport::Tls];
    (transports.into_iter().zip(1..))
        .map(|(transport, link)| Client::ann(CLIENT).over(transport, link))
}

#[test]
fn chrome_gets_no_438_for_an_allocate_that_was_just_challenged() {
    // 438 to an Allocate is fatal. So is the second 401.
    for mut client in clients() {
        for wait in [0, 1, 39, 600] {
            let mut world = World::new(config());
            assert_eq!(client.challenge(&mut world).code(), Some(401));
            world.pass(Duration::from_secs(wait));
            assert_eq!(
                chrome_allocate(&mut client, &mut world).code(),
                None,
                "{wait}"
            );
        }
    }
}

#[test]
fn chrome_gets_no_438_when_the_clock_is_set_back_or_the_settings_are_read_again() {
    for mut client in clients() {
        let mut world = World::new(config());
        client.challenge(&mut world);
        world.unix_offset = -5;
        let again = std::sync::Arc::new(config());
        world
            .relay
            .on_command(world.now(), turn_proto::Admin::Configure(again));
        assert_eq!(chrome_allocate(&mut client, &mut world).code(), None);
    }
}

#[test]
fn chrome_gets_no_438_from_another_worker_than_the_one_that_challenged() {
    let mut first = World::new(config());
    let mut second = World::sharing(config(), first.shared.clone(), 1);
    let mut client = Client::ann(CLIENT);
    client.challenge(&mut first);
    assert_eq!(chrome_allocate(&mut client, &mut second).code(), None);
}

#[test]
fn a_second_allocate_with_credentials_is_never_401() {
    // A retransmission, and one with a new transaction id after an answer that was lost.
    for mut client in clients() {
        let mut world = World::new(config());
        client.challenge(&mut world);
        let id = client.id();
        let request = RequestBuilder::new(Method::ALLOCATE, id).requested_transport(17);
        let packet = client.sign(request);
        let first = Answer::of(world.send(&client.path, &packet));
        assert_eq!(first.code(), None);
        let again = Answer::of(world.send(&client.path, &packet));
        assert_eq!(again.bytes, first.bytes);
        assert_eq!(chrome_allocate(&mut client, &mut world).code(), Some(437));
    }
}

#[test]
fn chrome_gets_437_at_most_twice_and_then_finds_a_free_port() {
    // 437 makes it try another socket, twice at most: a new 5-tuple is never refused for an old one's sake.
    let mut world = World::new(config());
    Client::ann(CLIENT).allocate(&mut world);
    let mut reborn = Client::ann(CLIENT);
    // Its transactions are its own.
    reborn.id();
    assert_eq!(reborn.challenge(&mut world).code(), Some(401));
    assert_eq!(chrome_allocate(&mut reborn, &mut world).code(), Some(437));
    let mut elsewhere = Client::ann("192.0.2.10:40001");
    assert_eq!(chrome_allocate(&mut elsewhere, &mut world).code(), None);
}

#[test]
fn an_allocate_without_a_family_gets_an_ipv4_relay_over_either_family() {
    // Chrome names no family; it expects IPv4, over an IPv6 path as well (RFC 8656 §7.2).
    for client in [CLIENT, "[2001:db8::10]:40000"] {
        let mut world = World::new(config());
        let answer = chrome_allocate(&mut Client::ann(client), &mut world);
        assert!(answer.relayed().is_ipv4());
    }
}

#[test]
fn firefox_s_lifetime_of_an_hour_is_granted_and_more_is_cut_to_it() {
    for (asked, granted) in [(3600, 3600), (3601, 3600), (u32::MAX, 3600), (600, 600)] {
        let mut world = World::new(config());
        let mut client = Client::ann(CLIENT);
        let answer = client.ask(&mut world, Method::ALLOCATE, |request| {
            request.requested_transport(17).lifetime(asked)
        });
        assert_eq!(answer.lifetime(), granted);
        assert_eq!(client.refresh(&mut world, asked).lifetime(), granted);
    }
}

#[test]
fn granted_lifetimes_are_above_ten_seconds() {
    // Firefox refreshes ten seconds before the end and takes less for an error.
    for asked in [None, Some(1), Some(10), Some(11)] {
        let mut world = World::new(config());
        let mut client = Client::ann(CLIENT);
        let answer = client.ask(&mut world, Method::ALLOCATE, |request| {
            let request = request.requested_transport(17);
            match asked {
                Some(asked) => request.lifetime(asked),
                None => request,
            }
        });
        assert!(answer.lifetime() > 10, "{asked:?}");
        assert!(client.refresh(&mut world, 1).lifetime() > 10);
    }
}

#[test]
fn allocations_live_until_chrome_and_firefox_refresh_them() {
    // Chrome at lifetime - 60 s, Firefox at lifetime - 10 s.
    for before_the_end in [60, 10] {
        let mut world = World::new(config());
        let mut client = Client::ann(CLIENT);
        let lifetime = chrome_allocate(&mut client, &mut world).lifetime();
        for _ in 0..10 {
            let wait = u64::from(lifetime - before_the_end);
            world.pass(Duration::from_secs(wait));
            let mut answer = client.refresh(&mut world, lifetime);
            if answer.code() == Some(438) {
                client.nonce = answer.attribute(NONCE).unwrap();
                answer = client.refresh(&mut world, lifetime);
            }
            assert_eq!((answer.code(), answer.lifetime()), (None, lifetime));
        }
    }
}

#[test]
fn permissions_last_their_full_300_seconds_for_firefox_at_290() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let relayed = client.allocate(&mut world);
    client.permit(&mut world, PEER);
    for _ in 0..5 {
        // It refreshes on the first packet after 290 s, which may take a while to come, and sends that packet at once.
        world.pass(Duration::from_millis(299_999));
        let sent = client.send_indication(&mut world, PEER, b"media");
        assert!(matches!(sent, Got::ToPeer { .. }));
        assert!(world.peer_sends(address(PEER), relayed, b"media").is_some());
        let mut answer = client.permit(&mut world, PEER);
        if answer.code() == Some(438) {
            client.nonce = answer.attribute(NONCE).unwrap();
            answer = client.permit(&mut world, PEER);
        }
        assert_eq!(answer.code(), None);
        client.refresh(&mut world, 3600);
    }
    world.pass(Duration::from_secs(300));
    assert!(world.peer_sends(address(PEER), relayed, b"late").is_none());
}

#[test]
fn firefox_s_media_in_send_indications_comes_back_in_data_indications() {
    // It binds no channels at all.
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let relayed = client.allocate(&mut world);
    client.permit(&mut world, PEER);
    let (path, bytes) = world.peer_sends(address(PEER), relayed, b"media").unwrap();
    assert_eq!(path, client.path);
    let answer = Answer { bytes };
    assert_eq!(
        (answer.view().class(), answer.view().method()),
        (Class::Indication, Method::DATA)
    );
    assert_eq!(answer.attribute(0x0013).as_deref(), Some(&b"media"[..]));
}

#[test]
fn chrome_s_channels_are_numbered_from_0x4000_and_bound_again_every_four_minutes() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    client.allocate(&mut world);
    // CreatePermission and checks by Send come first; the channel follows the first payload.
    assert_eq!(client.permit(&mut world, PEER).code(), None);
    client.send_indication(&mut world, PEER, b"check");
    for number in 0x4000..0x4008 {
        let peer = format!("203.0.113.5:{number}");
        assert_eq!(client.bind(&mut world, number, &peer).code(), None);
    }
    for _ in 0..4 {
        world.pass(Duration::from_secs(240));
        for number in 0x4000..0x4008 {
            let sent = client.channel_data(&mut world, number, b"media");
            assert!(matches!(sent, Got::ToPeer { .. }), "{number:#x}");
            let peer = format!("203.0.113.5:{number}");
            let mut answer = client.bind(&mut world, number, &peer);
            if answer.code() == Some(438) {
                client.nonce = answer.attribute(NONCE).unwrap();
                answer = client.bind(&mut world, number, &peer);
            }
            assert_eq!(answer.code(), None);
        }
        client.refresh(&mut world, 600);
    }
}

#[test]
fn a_438_brings_a_nonce_that_works_and_the_realm() {
    // Chrome retries without bound, so a 438 after a 438 would be a storm; Firefox retries once.
    for mut client in clients() {
        let mut world = World::new(config());
        client.allocate(&mut world);
        for method in [
            Method::REFRESH,
            Method::CREATE_PERMISSION,
            Method::CHANNEL_BIND,
        ] {
            client.nonce = b"not ours".to_vec();
            let build = |request: RequestBuilder| match method {
                Method::REFRESH => request.lifetime(600),
                Method::CREATE_PERMISSION => request.xor_peer_address(address(PEER)),
                _ => (request.channel_number(0x4000)).xor_peer_address(address(PEER)),
            };
            let answer = client.ask(&mut world, method, build);
            assert_eq!(answer.code(), Some(438));
            assert_eq!(answer.attribute(0x0014).as_deref(), Some(&b"test.org"[..]));
            client.nonce = answer.attribute(NONCE).unwrap();
            assert_ne!(client.nonce, b"not ours");
            assert_eq!(client.ask(&mut world, method, build).code(), None);
        }
    }
}

#[test]
fn chrome_s_optional_logging_attribute_is_passed_over() {
    // 0xFF05 in every request of a logging build; it need not be understood.
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let request = RequestBuilder::new(Method::ALLOCATE, [7; 12])
        .requested_transport(17)
        .attribute(0xFF05, &[1; 24]);
    let answer = Answer::of(world.send(&client.path, &request.finish(None, false)));
    assert_eq!(answer.code(), Some(401));
    client.nonce = answer.attribute(NONCE).unwrap();
    let answer = client.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17).attribute(0xFF05, &[1; 24])
    });
    assert_eq!(answer.code(), None);
    let answer = client.ask(&mut world, Method::BINDING, |request| {
        request.attribute(0xFF05, b"x")
    });
    assert_eq!(answer.code(), None);
}

#[test]
fn answers_go_back_along_the_very_path_of_their_request() {
    // Chrome takes answers from the exact address that it asked. What is answered later names its path, to the server's side.
    let mut world = World::new(config());
    for (server, port) in [("198.51.100.1:3478", 40_000), ("198.51.100.1:80", 40_001)] {
        let mut client = Client::ann(&format!("192.0.2.10:{port}"));
        client.path.server = address(server);
        // `World::send` holds the later answer of Allocate against the path; Refresh is answered at once.
        client.allocate(&mut world);
        assert_eq!(client.refresh(&mut world, 600).code(), None);
        let records = world.relay.export(world.now());
        assert!(records.iter().any(|held| held.path == client.path));
    }
}

#[test]
fn firefox_s_deletion_on_close_is_answered_and_repeated_deletions_do_no_harm() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    client.allocate(&mut world);
    let answer = client.refresh(&mut world, 0);
    assert_eq!((answer.code(), answer.lifetime()), (None, 0));
    assert!(answer.signed_by(&client.key) && world.bound.is_empty());
    assert_eq!(client.refresh(&mut world, 0).code(), Some(437));
}

#[test]
fn a_denied_peer_is_403_and_costs_firefox_that_peer_only() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    client.allocate(&mut world);
    assert_eq!(client.permit(&mut world, "127.0.0.1:9").code(), Some(403));
    assert_eq!(client.permit(&mut world, PEER).code(), None);
}

#[test]
fn a_redirection_is_one_that_chrome_follows() {
    // Of the client's own family, and not this very server. It is believed without MESSAGE-INTEGRITY.
    let to = |server| Alternate {
        server: address(server),
        domain: None,
    };
    let mut world = World::new(Config {
        alternates: Alternates {
            any: vec![to("[2001:db8::7]:3478"), to("198.51.100.7:3478")],
            ..Alternates::default()
        },
        ..config()
    });
    for mut client in clients() {
        let answer = client.challenge(&mut world);
        assert_eq!(answer.code(), Some(300));
        let value = answer.attribute(0x8023).unwrap();
        assert_eq!(value, [0, 1, 0x0D, 0x96, 198, 51, 100, 7]);
    }
}

#[test]
fn time_limited_credentials_never_end_a_call_that_runs() {
    let mut world = World::new(config());
    let mut client = Client::timed(CLIENT, "carol", 60, &world);
    client.allocate(&mut world);
    for _ in 0..4 {
        world.pass(Duration::from_secs(540));
        let mut answer = client.refresh(&mut world, 600);
        if answer.code() == Some(438) {
            client.nonce = answer.attribute(NONCE).unwrap();
            answer = client.refresh(&mut world, 600);
        }
        assert_eq!(answer.code(), None);
        assert!(answer.signed_by(&client.key));
    }
}

#[test]
fn an_answer_has_the_fingerprint_that_its_request_has() {
    for has_fingerprint in [false, true] {
        let mut world = World::new(config());
        let mut client = Client::ann(CLIENT);
        client.fingerprint = has_fingerprint;
        let answer = chrome_allocate(&mut client, &mut world);
        let expected = if has_fingerprint {
            turn_wire::Fingerprint::Right
        } else {
            turn_wire::Fingerprint::Absent
        };
        assert_eq!(answer.view().fingerprint(), expected);
    }
}
