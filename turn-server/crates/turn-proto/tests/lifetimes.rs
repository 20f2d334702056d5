//! Every lifetime, in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::time::Duration;

use support::{Client, Got, World, address, config};
use turn_proto::{EndReason, Event};
use turn_wire::Method;

const CLIENT: &str = "192.0.2.10:40000";
const PEER: &str = "203.0.113.5:9";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ended(world: &World) -> Vec<EndReason> {
    let reason = |event: &Event| {
        if let Event::Ended { reason, .. } = event {
            Some(*reason)
        } else {
            None
        }
    };
    world.events.iter().filter_map(reason).collect()
}

#[test]
fn an_allocation_lives_ten_minutes_and_not_a_second_more() {
    let mut world = World::new(config());
    Client::ann(CLIENT).allocate(&mut world);
    world.pass(seconds(599));
    assert_eq!(world.bound.len(), 1);
    world.pass(seconds(1));
    assert_eq!(
        (
            world.bound.len(),
            world.shared.ports.claimed(),
            world.shared.quotas.count()
        ),
        (0, 0, 0)
    );
    assert_eq!(ended(&world), [EndReason::Expired]);
    assert_eq!(world.relay.poll_timeout(), None);
}

#[test]
fn a_refresh_counts_from_now() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    client.allocate(&mut world);
    world.pass(seconds(500));
    assert_eq!(client.refresh(&mut world, 700).lifetime(), 700);
    world.pass(seconds(699));
    assert_eq!(world.bound.len(), 1);
    world.pass(seconds(1));
    assert_eq!(world.bound.len(), 0);
}

#[test]
fn a_refresh_may_shorten_a_life() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    client.allocate(&mut world);
    assert_eq!(client.refresh(&mut world, 3600).lifetime(), 3600);
    assert_eq!(client.refresh(&mut world, 600).lifetime(), 600);
    world.pass(seconds(600));
    assert_eq!(world.bound.len(), 0);
}

#[test]
fn lifetimes_are_kept_between_the_default_and_the_maximum() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let answer = client.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17).lifetime(u32::MAX)
    });
    assert_eq!(answer.lifetime(), 3600);
    assert_eq!(client.refresh(&mut world, 1).lifetime(), 600);
    assert_eq!(client.refresh(&mut world, 3601).lifetime(), 3600);
    let mut short = config();
    short.lifetimes.allocation_max = seconds(20);
    let mut world = World::new(short);
    let mut client = Client::ann(CLIENT);
    let answer = client.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17)
    });
    assert_eq!(answer.lifetime(), 20);
}

#[test]
fn a_permission_lives_its_full_five_minutes_both_ways() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let relayed = client.allocate(&mut world);
    assert_eq!(client.permit(&mut world, PEER).code(), None);
    world.pass(seconds(299));
    assert!(world.peer_sends(address(PEER), relayed, b"x").is_some());
    assert!(matches!(
        client.send_indication(&mut world, PEER, b"x"),
        Got::ToPeer { .. }
    ));
    world.pass(seconds(1));
    assert!(world.peer_sends(address(PEER), relayed, b"x").is_none());
    assert_eq!(client.send_indication(&mut world, PEER, b"x"), Got::Nothing);
    assert_eq!(world.relay.stats().permissions, 0);
}

#[test]
fn traffic_does_not_refresh_a_permission() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let relayed = client.allocate(&mut world);
    client.permit(&mut world, PEER);
    for _ in 0..30 {
        world.pass(seconds(10));
        client.send_indication(&mut world, PEER, b"x");
    }
    assert!(world.peer_sends(address(PEER), relayed, b"x").is_none());
}

#[test]
fn a_channel_lives_ten_minutes_and_carries_both_ways_by_itself() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let relayed = client.allocate(&mut world);
    client.bind(&mut world, 0x4000, PEER);
    world.pass(seconds(299));
    client.refresh(&mut world, 3600);
    world.pass(seconds(300));
    // 599 s: the permission that came with it is over, other ports of the peer are silent; the channel itself is not.
    assert!(
        world
            .peer_sends(address("203.0.113.5:10"), relayed, b"x")
            .is_none()
    );
    assert!(world.peer_sends(address(PEER), relayed, b"x").is_some());
    assert!(matches!(
        client.channel_data(&mut world, 0x4000, b"x"),
        Got::ToPeer { .. }
    ));
    world.pass(seconds(1));
    assert!(world.peer_sends(address(PEER), relayed, b"x").is_none());
    assert_eq!(client.channel_data(&mut world, 0x4000, b"x"), Got::Nothing);
    assert_eq!(world.relay.stats().channels, 0);
}

#[test]
fn an_expired_channel_may_be_bound_anew_to_somebody_else() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    client.allocate(&mut world);
    client.refresh(&mut world, 3600);
    client.bind(&mut world, 0x4000, PEER);
    world.pass(seconds(590));
    let answer = client.refresh(&mut world, 3600);
    client.nonce = answer.attribute(0x0015).unwrap_or(client.nonce.clone());
    world.pass(seconds(10));
    client.challenge(&mut world);
    assert_eq!(
        client.bind(&mut world, 0x4000, "203.0.113.6:9").code(),
        None
    );
    assert_eq!(client.bind(&mut world, 0x4001, PEER).code(), None);
}

#[test]
fn binding_a_channel_again_keeps_it() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let relayed = client.allocate(&mut world);
    client.refresh(&mut world, 3600);
    client.bind(&mut world, 0x4000, PEER);
    world.pass(seconds(500));
    client.bind(&mut world, 0x4000, PEER);
    world.pass(seconds(200));
    assert!(world.peer_sends(address(PEER), relayed, b"x").is_some());
    assert_eq!(world.relay.stats().channels, 1);
}

#[test]
fn a_clock_that_jumps_ends_no_session() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    let relayed = client.allocate(&mut world);
    client.permit(&mut world, PEER);
    for jump in [86_400, -86_400, i64::from(u32::MAX)] {
        world.unix_offset = jump;
        world.pass(seconds(1));
        assert!(world.peer_sends(address(PEER), relayed, b"x").is_some());
    }
    assert_eq!(world.bound.len(), 1);
}

#[test]
fn everything_is_returned_when_everything_has_expired() {
    let mut world = World::new(config());
    for port in 1..=20 {
        let mut client = Client::ann(&format!("192.0.2.10:{port}"));
        client.allocate(&mut world);
        client.permit(&mut world, PEER);
        client.bind(&mut world, 0x4000, "203.0.113.7:7");
    }
    world.pass(seconds(3600));
    let stats = world.relay.stats();
    assert_eq!(
        (stats.permissions, stats.channels, stats.allocations_udp),
        (0, 0, 0)
    );
    assert_eq!(
        (
            world.bound.len(),
            world.shared.ports.claimed(),
            world.shared.quotas.count()
        ),
        (0, 0, 0)
    );
    assert_eq!(world.relay.poll_timeout(), None);
}

/// A deadline that comes nearer again and again, as only somebody with a bad intention moves it, costs no more than one that stays.
/// Each move used to leave an entry behind until the old time, and each end of a session a pass over all of them.
#[test]
fn deadlines_that_move_leave_no_trail() {
    let mut world = World::new(config());
    let mut ann = Client::ann("192.0.2.10:40000");
    ann.allocate(&mut world);
    assert_eq!(ann.refresh(&mut world, 3_600).code(), None);
    // The first deadline falls due, and the next one is an hour's.
    world.pass(seconds(601));
    ann.challenge(&mut world);
    for lifetime in (2_300..2_900).rev() {
        assert_eq!(ann.refresh(&mut world, lifetime).code(), None);
    }
    assert!(world.relay.deadlines() < 300, "{}", world.relay.deadlines());
    // What is left falls due; a permission that is made anew leaves one behind until then.
    for _ in 0..8 {
        world.pass(seconds(500));
        ann.challenge(&mut world);
        assert_eq!(ann.refresh(&mut world, 3_600).code(), None);
        assert_eq!(ann.permit(&mut world, "203.0.113.5:9").code(), None);
    }
    assert!(world.relay.deadlines() <= 10, "{}", world.relay.deadlines());
}
