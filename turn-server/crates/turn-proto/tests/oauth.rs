//! Access tokens instead of passwords (RFC 7635).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::{sync::Arc, time::Duration};

use support::{Answer, Client, REALM, START, World, address, config, udp};
use turn_auth::{Credentials, TokenAlgorithm, TokenKey, TokenKeys};
use turn_proto::{Config, KeyOrigin};
use turn_wire::{Integrity, IntegrityKey, Method, RequestBuilder, attr};

const CLIENT: &str = "192.0.2.10:40000";
const THIRD_PARTY_AUTHORIZATION: u16 = 0x802E;

/// Tokens for `turn.example`, sealed by coturn's `turnutils_oauth`, made at 1,700,001,000 for 600 seconds. The MAC key is twenty times
/// `m` in the first and twenty times `n` in the second, which another key seals.
const NORTH: &str = "000c6162636465666768696a6b6c27bd590fcc2e002a8b7ac18704c66df0041b75e68238b763d4d714f78a3210b4b4eab6e0099c74159cb9ee07f8e2cb7491fb";
const UNION: &str = "000c6162636465666768696a6b6ccdcce3cf64d27a750f0fcedf33afa28486ad5003c6c908788f2453054a66718ce63a150e6830321892453d7a997d81951101";

fn world() -> World {
    let key = |algorithm, key: &[u8]| TokenKey::new(algorithm, key, None).unwrap();
    let tokens = TokenKeys::new("turn.example")
        .with_key(
            "north",
            key(TokenAlgorithm::A256Gcm, b"01234567890123456789012345678901"),
        )
        .with_key("union", key(TokenAlgorithm::A128Gcm, b"0123456789012345"));
    let credentials = Credentials::new(REALM)
        .with_user("ann", "secret of ann")
        .with_tokens(tokens);
    World::new(Config {
        credentials: Arc::new(credentials),
        ..config()
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = (text.chars().filter_map(|digit| digit.to_digit(16)))
        .map(|digit| digit as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn client(kid: &str, mac_key: u8) -> Client {
    let mut client = Client::new(CLIENT, kid, "no password");
    client.key = IntegrityKey::new(&[mac_key; 20]);
    client
}

fn allocate(client: &mut Client, world: &mut World, token: &[u8]) -> Answer {
    client.ask(world, Method::ALLOCATE, |request| {
        request
            .requested_transport(17)
            .lifetime(3000)
            .access_token(token)
    })
}

#[test]
fn challenges_name_the_server_that_tokens_are_for() {
    let mut world = world();
    let answer = Client::ann(CLIENT).challenge(&mut world);
    assert_eq!(
        answer.attribute(THIRD_PARTY_AUTHORIZATION).as_deref(),
        Some(&b"turn.example"[..])
    );
    // It comes with a stale nonce too: coturn's client gives tokens up otherwise.
    let mut client = client("north", b'm');
    client.nonce = b"stale".to_vec();
    let answer = allocate(&mut client, &mut world, &unhex(NORTH));
    assert_eq!(answer.code(), Some(438));
    assert!(answer.attribute(THIRD_PARTY_AUTHORIZATION).is_some());
    let mut without = World::new(config());
    let answer = Client::ann(CLIENT).challenge(&mut without);
    assert_eq!(answer.attribute(THIRD_PARTY_AUTHORIZATION), None);
}

#[test]
fn a_token_of_coturns_tool_makes_an_allocation_no_longer_than_itself() {
    let mut world = world();
    assert_eq!(world.now().unix, START + 1000);
    world.pass(Duration::from_secs(100));
    let mut client = client("north", b'm');
    let answer = allocate(&mut client, &mut world, &unhex(NORTH));
    assert_eq!((answer.code(), answer.lifetime()), (None, 500));
    assert!(answer.signed_by(&client.key));
    // §10: only Allocate and Refresh carry the token; its key is kept for the others.
    assert_eq!(client.permit(&mut world, "203.0.113.5:9").code(), None);
    let answer = client.refresh(&mut world, 3000);
    assert_eq!((answer.code(), answer.lifetime()), (None, 500));
    world.pass(Duration::from_secs(500));
    assert!(world.bound.is_empty());
}

#[test]
fn a_refresh_may_bring_another_token_of_another_key() {
    let mut world = world();
    let mut first = client("north", b'm');
    assert_eq!(allocate(&mut first, &mut world, &unhex(NORTH)).code(), None);
    let mut second = client("union", b'n');
    second.nonce = first.nonce.clone();
    let answer = second.ask(&mut world, Method::REFRESH, |request| {
        request.lifetime(700).access_token(&unhex(UNION))
    });
    assert_eq!((answer.code(), answer.lifetime()), (None, 600));
    assert!(answer.signed_by(&second.key));
    assert_eq!(second.permit(&mut world, "203.0.113.5:9").code(), None);
    // The first one's key is forgotten.
    assert_eq!(first.permit(&mut world, "203.0.113.6:9").code(), Some(401));
}

#[test]
fn a_token_proves_no_request_but_allocate_and_refresh() {
    // §10: the client must not send it in others; sent there, it does not stand for the key of the allocation.
    let mut world = world();
    let mut first = client("north", b'm');
    assert_eq!(allocate(&mut first, &mut world, &unhex(NORTH)).code(), None);
    let permit = |request: RequestBuilder, token: &str| {
        let request = request.xor_peer_address(address("203.0.113.5:9"));
        request.access_token(&unhex(token))
    };
    let answer = first.ask(&mut world, Method::CREATE_PERMISSION, |request| {
        permit(request, NORTH)
    });
    assert_eq!(answer.code(), None);
    let mut second = client("union", b'n');
    second.nonce = first.nonce.clone();
    let answer = second.ask(&mut world, Method::CREATE_PERMISSION, |request| {
        permit(request, UNION)
    });
    assert_eq!(answer.code(), Some(401));
}

#[test]
fn tokens_are_signed_for_by_sha256_as_well() {
    let mut world = world();
    let mut client = client("north", b'm');
    client.key = IntegrityKey::of(Integrity::Sha256, &[b'm'; 20]);
    let answer = allocate(&mut client, &mut world, &unhex(NORTH));
    assert!(answer.code().is_none() && answer.signed_by(&client.key));
}

#[test]
fn a_client_that_signs_with_sixteen_bytes_of_the_key_as_coturn_s_does_is_believed() {
    let mut world = world();
    let mut client = client("north", b'm');
    client.key = IntegrityKey::new(&[b'm'; 16]);
    let answer = allocate(&mut client, &mut world, &unhex(NORTH));
    assert!(answer.code().is_none() && answer.signed_by(&client.key));
    let answer = client.permit(&mut world, "203.0.113.5:9");
    assert!(answer.code().is_none() && answer.signed_by(&client.key));
    for length in [0, 15, 17, 19, 21] {
        let mut other = Client::new("192.0.2.10:40001", "north", "");
        other.key = IntegrityKey::new(&vec![b'm'; length]);
        let answer = allocate(&mut other, &mut world, &unhex(NORTH));
        assert_eq!(answer.code(), Some(401), "{length}");
    }
}

#[test]
fn whatever_is_wrong_with_a_token_a_new_one_is_asked_for() {
    let north = unhex(NORTH);
    let mut tampered = north.clone();
    tampered[20] ^= 1;
    for (kid, mac_key, token) in [
        ("north", b'x', north.clone()),
        ("union", b'm', north.clone()),
        ("south", b'm', north.clone()),
        ("north", b'm', tampered),
        ("north", b'm', north[..north.len() - 1].to_vec()),
        ("north", b'm', vec![0xFF; 2]),
        ("north", b'm', Vec::new()),
        ("ann", b'm', north.clone()),
    ] {
        let mut world = world();
        let mut client = client(kid, mac_key);
        let answer = allocate(&mut client, &mut world, &token);
        assert_eq!(answer.code(), Some(401), "{kid}");
        assert!(answer.attribute(THIRD_PARTY_AUTHORIZATION).is_some());
        assert!(!answer.view().has_integrity() && world.bound.is_empty());
    }
    let mut world = world();
    world.pass(Duration::from_secs(605));
    let answer = allocate(&mut client("north", b'm'), &mut world, &north);
    assert_eq!(answer.code(), Some(401));
}

#[test]
fn passwords_go_on_working_beside_tokens_and_do_not_mix_with_them() {
    let mut world = world();
    let mut ann = Client::ann(CLIENT);
    ann.allocate(&mut world);
    assert_eq!(ann.refresh(&mut world, 600).code(), None);
    let mut other = client("north", b'm');
    other.nonce = ann.nonce.clone();
    let answer = other.ask(&mut world, Method::REFRESH, |request| {
        request.access_token(&unhex(NORTH))
    });
    assert_eq!(answer.code(), Some(441));
}

#[test]
fn tokens_are_not_counted_by_user_for_they_name_none() {
    let template = world();
    let mut world = World::with_quotas(
        Config {
            credentials: Arc::clone(&template.config.credentials),
            ..config()
        },
        1,
        0,
    );
    for port in [40_000, 40_001, 40_002] {
        let mut client = client("north", b'm');
        client.path = udp(&format!("192.0.2.10:{port}"));
        assert_eq!(
            allocate(&mut client, &mut world, &unhex(NORTH)).code(),
            None
        );
    }
    Client::ann("192.0.2.10:40003").allocate(&mut world);
    let mut second = Client::ann("192.0.2.10:40004");
    let answer = second.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17)
    });
    assert_eq!(answer.code(), Some(486));
}

#[test]
fn a_session_that_is_handed_over_keeps_its_token_s_key_and_end() {
    let mut old = world();
    let mut client = client("north", b'm');
    assert_eq!(allocate(&mut client, &mut old, &unhex(NORTH)).code(), None);
    let records = old.relay.export(old.now());
    let secret = records[0].key.as_ref().unwrap();
    let expires_at = START + 1600;
    assert_eq!(secret.origin, KeyOrigin::Token { expires_at });
    let mut new = world();
    new.now = old.now;
    new.relay.import(new.now(), &records[0]).unwrap();
    new.pass(Duration::from_secs(300));
    let answer = client.refresh(&mut new, 600);
    assert_eq!((answer.code(), answer.lifetime()), (None, 300));
}

#[test]
fn a_token_is_an_unknown_attribute_where_none_are_accepted() {
    let mut world = World::new(config());
    let answer = allocate(&mut Client::ann(CLIENT), &mut world, b"token");
    assert_eq!(answer.code(), Some(420));
    assert_eq!(answer.attribute(0x000A).as_deref(), Some(&[0, 0x1B][..]));
    let packet = RequestBuilder::indication(Method::SEND, [1; 12])
        .xor_peer_address(address("203.0.113.5:9"))
        .access_token(b"token")
        .data(b"x")
        .finish(None, false);
    assert_eq!(world.send(&udp(CLIENT), &packet), support::Got::Nothing);
}

#[test]
fn a_ticket_is_worth_nothing_without_the_key_of_its_session() {
    // The owner's own token may come along with the ticket, or not.
    for token in [Some(NORTH), None] {
        let mut world = world();
        let mut owner = client("north", b'm');
        let answer = owner.ask(&mut world, Method::ALLOCATE, |request| {
            let request = request.requested_transport(17).mobility_ticket(b"");
            request.access_token(&unhex(NORTH))
        });
        let ticket = answer.attribute(attr::MOBILITY_TICKET).unwrap();
        let move_by = |world: &mut World, mut client: Client, token: Option<&str>| {
            client.path = udp("198.18.0.7:555");
            let answer = client.ask(world, Method::REFRESH, |request| {
                let request = request.lifetime(600).mobility_ticket(&ticket);
                match token {
                    Some(token) => request.access_token(&unhex(token)),
                    None => request,
                }
            });
            answer.code()
        };
        // Whoever has overheard the ticket, and has a token of his own.
        let thief = client("union", b'n');
        assert_eq!(move_by(&mut world, thief, Some(UNION)), Some(441));
        assert_eq!(owner.permit(&mut world, "203.0.113.5:9").code(), None);
        assert_eq!(move_by(&mut world, client("north", b'm'), token), None);
    }
}
