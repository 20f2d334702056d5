//! Limits by session, user, network and in total: the code that a refusal has, its own counter, and that all comes back; and
//! what becomes of an allocation when its credential expires.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::{sync::Arc, time::Duration};

use support::{Client, Got, World, address, config};
use turn_proto::{
    Admin, Caps, Config, CredentialExpiry, EndReason, Event, Good, Guard, Holder, Shared,
};

const PEER: &str = "203.0.113.5:9";

fn limited(holder: Holder, good: Good, limit: u64) -> Config {
    guarded(Guard {
        caps: Caps::default().with(holder, good, limit),
        ..Guard::default()
    })
}

fn guarded(guard: Guard) -> Config {
    Config { guard, ..config() }
}

/// A world with ports enough.
fn world(config: Config) -> World {
    let shared = Shared::new(&config.relays.addresses, 50_000..=59_999, 0, 0);
    World::sharing(config, shared, 0)
}

/// Ann twice, from one network, and Bob from another.
fn three() -> [Client; 3] {
    [
        Client::ann("192.0.2.10:40000"),
        Client::ann("192.0.2.11:40000"),
        Client::bob("192.0.9.10:40000"),
    ]
}

#[test]
fn allocations_beyond_a_limit_are_refused_with_486() {
    for (holder, limit, codes) in [
        (Holder::User, 1, [None, Some(486), None]),
        (Holder::Network, 1, [None, Some(486), None]),
        (Holder::Total, 2, [None, None, Some(486)]),
    ] {
        let mut world = world(limited(holder, Good::Allocations, limit));
        let mut clients = three();
        let asked = clients.each_mut().map(|client| {
            let ask = client.ask(&mut world, turn_wire::Method::ALLOCATE, |request| {
                request.requested_transport(17)
            });
            ask.code()
        });
        assert_eq!(asked, codes, "{holder:?}");
        assert_eq!(world.relay.stats().limits.of(holder, Good::Allocations), 1);
        // As soon as one ends, the next one may begin.
        clients[0].refresh(&mut world, 0);
        let refused = codes.iter().position(Option::is_some).unwrap();
        clients[refused].allocate(&mut world);
        clients
            .iter_mut()
            .for_each(|client| drop(client.refresh(&mut world, 0)));
        assert!(world.shared.quotas.is_clear());
    }
}

#[test]
fn permissions_and_channels_beyond_a_limit_are_refused_with_508_and_come_back() {
    for good in [Good::Permissions, Good::Channels] {
        for (holder, limit, codes) in [
            (Holder::User, 1, [None, Some(508), None]),
            (Holder::Network, 1, [None, Some(508), None]),
            (Holder::Total, 2, [None, None, Some(508)]),
        ] {
            let mut world = world(limited(holder, good, limit));
            let mut clients = three();
            let bound = clients.each_mut().map(|client| {
                client.allocate(&mut world);
                client.bind(&mut world, 0x4001, PEER).code()
            });
            assert_eq!(bound, codes, "{holder:?} {good:?}");
            // Refused as a whole: no half of it stays; and what is there may be refreshed.
            let stats = world.relay.stats();
            assert_eq!((stats.permissions, stats.channels), (2, 2));
            assert_eq!(stats.limits.of(holder, good), 1);
            let granted = codes.iter().rposition(Option::is_none).unwrap();
            assert_eq!(clients[granted].bind(&mut world, 0x4001, PEER).code(), None);

            // A permission ends after five minutes, a channel after ten.
            world.pass(Duration::from_secs(601 - 1));
            let mut clients = three();
            clients[2].allocate(&mut world);
            assert_eq!(clients[2].bind(&mut world, 0x4001, PEER).code(), None);
            world.pass(Duration::from_secs(3600));
            assert!(world.shared.quotas.is_clear(), "{holder:?} {good:?}");
        }
    }
}

#[test]
fn several_peers_at_once_are_permitted_together_or_not_at_all() {
    let mut world = world(limited(Holder::User, Good::Permissions, 3));
    let mut ann = Client::ann("192.0.2.10:40000");
    ann.allocate(&mut world);
    let mut ask = |world: &mut World, peers: &[u8]| {
        let build = |request| {
            peers
                .iter()
                .fold(request, |request: turn_wire::RequestBuilder, last| {
                    request.xor_peer_address(address(&format!("203.0.113.{last}:9")))
                })
        };
        ann.ask(world, turn_wire::Method::CREATE_PERMISSION, build)
            .code()
    };
    assert_eq!(ask(&mut world, &[1, 2]), None);
    assert_eq!(ask(&mut world, &[2, 3, 4]), Some(508));
    assert_eq!(ask(&mut world, &[3, 3, 2]), None);
    assert_eq!(ask(&mut world, &[4]), Some(508));
    assert_eq!(world.relay.stats().permissions, 3);
}

#[test]
fn the_cap_of_one_allocation_has_its_own_counter() {
    let mut settings = config();
    settings.limits.permissions = 1;
    settings.limits.channels = 1;
    let mut world = world(settings);
    let mut ann = Client::ann("192.0.2.10:40000");
    ann.allocate(&mut world);
    assert_eq!(ann.bind(&mut world, 0x4001, PEER).code(), None);
    assert_eq!(ann.permit(&mut world, "203.0.113.6:9").code(), Some(508));
    assert_eq!(
        ann.bind(&mut world, 0x4002, "203.0.113.5:10").code(),
        Some(508)
    );
    let limits = world.relay.stats().limits;
    assert_eq!(limits.of(Holder::Session, Good::Permissions), 1);
    assert_eq!(limits.of(Holder::Session, Good::Channels), 1);
}

#[test]
fn packets_beyond_a_rate_are_dropped_both_ways_and_counted() {
    for holder in Holder::ALL {
        for (good, limit) in [(Good::PacketsPerSecond, 10), (Good::BytesPerSecond, 1_040)] {
            let mut world = world(limited(holder, good, limit));
            let mut ann = Client::ann("192.0.2.10:40000");
            let relayed = ann.allocate(&mut world);
            ann.bind(&mut world, 0x4001, PEER);
            let payload = [7; 100];
            let sent = (0..100)
                .filter(|_| ann.channel_data(&mut world, 0x4001, &payload) != Got::Nothing)
                .count();
            // A second's worth, and the one that goes over it.
            assert_eq!(sent, 11, "{holder:?} {good:?}");
            assert_eq!(
                ann.send_indication(&mut world, PEER, &payload),
                Got::Nothing
            );
            let back = (0..100)
                .filter(|_| world.peer_sends(address(PEER), relayed, &payload).is_some())
                .count();
            assert_eq!(back, 11, "{holder:?} {good:?}");
            assert_eq!(world.relay.stats().limits.of(holder, good), 89 + 1 + 89);
            let traffic = world.relay.stats().traffic;
            assert_eq!(
                (traffic.peer_sent_packets, traffic.client_sent_packets),
                (11, 11)
            );
            world.pass(Duration::from_secs(1));
            assert_ne!(ann.channel_data(&mut world, 0x4001, &payload), Got::Nothing);
            assert_eq!(
                world.relay.flows(world.now()),
                [],
                "who is limited is not forwarded unasked"
            );
        }
    }
}

#[test]
fn users_share_a_rate_between_their_sessions_and_nobody_elses() {
    let mut world = world(limited(Holder::User, Good::PacketsPerSecond, 10));
    let mut clients = three();
    let through = clients.each_mut().map(|client| {
        client.allocate(&mut world);
        client.bind(&mut world, 0x4001, PEER);
        (0..100)
            .filter(|_| client.channel_data(&mut world, 0x4001, b"x") != Got::Nothing)
            .count()
    });
    assert_eq!(through, [11, 0, 11]);
}

#[test]
fn who_ends_and_begins_anew_has_used_up_what_it_had() {
    for holder in [Holder::User, Holder::Network, Holder::Total] {
        let mut world = world(limited(holder, Good::PacketsPerSecond, 10));
        let mut ann = Client::ann("192.0.2.10:40000");
        let mut through = |world: &mut World| {
            ann.allocate(world);
            ann.bind(world, 0x4001, PEER);
            let sent = (0..100)
                .filter(|_| ann.channel_data(world, 0x4001, b"x") != Got::Nothing)
                .count();
            ann.refresh(world, 0);
            sent
        };
        let sent: Vec<usize> = (0..3).map(|_| through(&mut world)).collect();
        assert_eq!(sent, [11, 0, 0], "{holder:?}");
        assert!(world.shared.quotas.is_clear());
        world.pass(Duration::from_secs(2));
        assert_eq!(through(&mut world), 11, "{holder:?}");
    }
}

#[test]
fn a_rate_that_is_set_later_holds_for_sessions_that_are_there() {
    let mut world = world(config());
    let mut ann = Client::ann("192.0.2.10:40000");
    ann.allocate(&mut world);
    ann.bind(&mut world, 0x4001, PEER);
    let mut through = |world: &mut World| {
        (0..100)
            .filter(|_| ann.channel_data(world, 0x4001, b"x") != Got::Nothing)
            .count()
    };
    assert_eq!(through(&mut world), 100);
    let strict = limited(Holder::Session, Good::PacketsPerSecond, 10);
    world
        .relay
        .on_command(world.now(), Admin::Configure(Arc::new(strict)));
    assert_eq!(through(&mut world), 11);
    world
        .relay
        .on_command(world.now(), Admin::Configure(Arc::new(config())));
    assert_eq!(through(&mut world), 100);
}

#[test]
fn connections_are_counted_with_those_of_their_network() {
    let mut world = world(limited(Holder::Network, Good::Connections, 1));
    let (here, near, far) = (
        address("192.0.2.1:1"),
        address("192.0.2.2:1"),
        address("192.0.3.1:1"),
    );
    let held = world.relay.admit_connection(here.ip()).unwrap();
    assert!(world.relay.admit_connection(near.ip()).is_none());
    assert!(world.relay.admit_connection(far.ip()).is_some());
    assert_eq!(
        world
            .relay
            .stats()
            .limits
            .of(Holder::Network, Good::Connections),
        1
    );
    drop(held);
    assert!(world.relay.admit_connection(near.ip()).is_some());
    assert!(world.shared.quotas.is_clear());
}

fn expiring(expiry: CredentialExpiry) -> (World, Client) {
    let mut world = world(guarded(Guard {
        expiry,
        ..Guard::default()
    }));
    let mut client = Client::timed("192.0.2.10:40000", "ann", 1_000, &world);
    client.allocate(&mut world);
    (world, client)
}

/// A Refresh with a nonce of today, so that only the credential is old.
fn refresh(world: &mut World, client: &mut Client, lifetime: u32) -> (Option<u16>, Option<u32>) {
    client.challenge(world);
    let answer = client.refresh(world, lifetime);
    let granted = answer.code().is_none().then(|| answer.lifetime());
    (answer.code(), granted)
}

#[test]
fn a_call_outlives_its_credential_by_default() {
    let (mut world, mut client) = expiring(CredentialExpiry::default());
    for _ in 0..5 {
        world.pass(Duration::from_secs(500));
        assert_eq!(refresh(&mut world, &mut client, 600), (None, Some(600)));
    }
}

#[test]
fn an_expired_credential_refreshes_nothing_where_that_is_refused() {
    let (mut world, mut client) = expiring(CredentialExpiry::RefuseRefresh);
    world.pass(Duration::from_secs(500));
    assert_eq!(refresh(&mut world, &mut client, 600), (None, Some(600)));
    world.pass(Duration::from_secs(500));
    // It is over, but what was granted is granted: permissions too, and it may be given back.
    assert_eq!(refresh(&mut world, &mut client, 600), (Some(401), None));
    assert_eq!(client.permit(&mut world, PEER).code(), None);
    world.pass(Duration::from_secs(99));
    assert_eq!(world.bound.len(), 1);
    assert_eq!(refresh(&mut world, &mut client, 0), (None, Some(0)));
    assert!(world.bound.is_empty());
    // Static accounts do not expire.
    let mut bob = Client::bob("192.0.2.11:1");
    bob.allocate(&mut world);
    assert_eq!(refresh(&mut world, &mut bob, 600), (None, Some(600)));
}

#[test]
fn an_allocation_ends_with_its_credential_where_that_is_asked_for() {
    let (mut world, mut client) = expiring(CredentialExpiry::EndSession);
    world.pass(Duration::from_secs(500));
    // The client is told how long it really is.
    assert_eq!(refresh(&mut world, &mut client, 3_600), (None, Some(500)));
    world.pass(Duration::from_secs(400));
    assert_eq!(refresh(&mut world, &mut client, 600), (None, Some(100)));
    world.pass(Duration::from_secs(99));
    assert_eq!(world.bound.len(), 1);
    world.pass(Duration::from_secs(1));
    assert!(world.bound.is_empty());
    let expired = |event: &&Event| {
        matches!(
            event,
            Event::Ended {
                reason: EndReason::CredentialExpired,
                ..
            }
        )
    };
    assert_eq!(world.events.iter().filter(expired).count(), 1);

    // A lifetime that ends by itself ends as ever.
    let mut bob = Client::bob("192.0.2.11:1");
    bob.allocate(&mut world);
    world.pass(Duration::from_secs(600));
    assert!(matches!(
        world.events.last(),
        Some(Event::Ended {
            reason: EndReason::Expired,
            ..
        })
    ));
}
