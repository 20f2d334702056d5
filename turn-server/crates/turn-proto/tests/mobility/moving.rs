//! A move: both places while it lasts, one when it is over, and nothing that stays behind.

use turn_proto::Transport;
use turn_wire::Method;

use super::{
    CHANNEL, CLIENT, ELSEWHERE, PEER, THIRD, allocate, at, challenge, heard_at, move_to, moves,
    refresh, seconds, sends, ticket_of,
};
use crate::support::{Answer, Got, World, address, config};

#[test]
fn the_old_place_is_served_until_data_comes_from_the_new_one() {
    for indication in [false, true] {
        let mut world = World::new(config());
        let (mut old, mut new) = (at(CLIENT), at(ELSEWHERE));
        let (relayed, ticket) = allocate(&mut world, &mut old);
        let answer = move_to(&mut world, &mut new, &ticket);
        assert_eq!((answer.code(), answer.lifetime()), (None, 600));
        assert!(answer.signed_by(&new.key));
        assert_ne!(ticket_of(&answer), ticket);
        // Both ways over the old one, and requests over both.
        assert_eq!(heard_at(&mut world, relayed), Some(old.path));
        assert!(sends(&mut world, &mut old));
        assert_eq!(old.permit(&mut world, PEER).code(), None);
        assert_eq!(new.permit(&mut world, PEER).code(), None);
        assert_eq!(new.refresh(&mut world, 600).code(), None);
        assert_eq!(heard_at(&mut world, relayed), Some(old.path));
        assert_eq!(moves(&world), 0);
        // The first data from the new place.
        let got = if indication {
            new.send_indication(&mut world, PEER, b"x")
        } else {
            new.channel_data(&mut world, CHANNEL, b"x")
        };
        assert!(matches!(got, Got::ToPeer { from, .. } if from == relayed));
        assert_eq!(heard_at(&mut world, relayed), Some(new.path));
        assert!(!sends(&mut world, &mut old));
        assert_eq!(old.refresh(&mut world, 600).code(), Some(437));
        assert_eq!(moves(&world), 1);
    }
}

#[test]
fn quota_ports_and_gauges_are_one_sessions_all_the_time() {
    let mut world = World::with_quotas(config(), 1, 0);
    let (mut old, mut new) = (at(CLIENT), at(ELSEWHERE).over(Transport::Tls, 9));
    let (relayed, ticket) = allocate(&mut world, &mut old);
    let whole = |world: &World| {
        (
            world.bound.len(),
            world.shared.ports.claimed(),
            world.shared.quotas.count(),
        )
    };
    let second = |world: &mut World| {
        let answer = at(THIRD).ask(world, Method::ALLOCATE, |request| {
            request.requested_transport(17)
        });
        answer.code()
    };
    assert_eq!(second(&mut world), Some(486));
    move_to(&mut world, &mut new, &ticket);
    assert_eq!((whole(&world), second(&mut world)), ((1, 1, 1), Some(486)));
    assert!(sends(&mut world, &mut new));
    assert_eq!((whole(&world), second(&mut world)), ((1, 1, 1), Some(486)));
    let stats = world.relay.stats();
    assert_eq!((stats.allocations_udp, stats.allocations_tls), (0, 1));
    let padded = world.peer_sends(address(PEER), relayed, b"xyz").unwrap().1;
    assert_eq!(padded.len(), 8, "streams are padded");
    assert_eq!(new.refresh(&mut world, 0).lifetime(), 0);
    assert_eq!(whole(&world), (0, 0, 0));
    let stats = world.relay.stats();
    assert_eq!((stats.allocations_udp, stats.allocations_tls), (0, 0));
    assert_eq!((stats.channels, stats.permissions), (0, 0));
    assert_eq!(world.occupied.values().collect::<Vec<_>>(), [&true]);
}

#[test]
fn a_retransmission_gets_the_same_answer_for_thirty_seconds() {
    let mut world = World::new(config());
    let (mut old, mut new) = (at(CLIENT), at(ELSEWHERE));
    let (_, ticket) = allocate(&mut world, &mut old);
    new.nonce = challenge(&mut world, &mut new, &ticket);
    let id = new.id();
    let packet = refresh(&new, id, &ticket);
    let first = world.send(&new.path, &packet);
    world.pass(seconds(29));
    assert_eq!(world.send(&new.path, &packet), first);
    // Also after the client has moved for good.
    assert!(sends(&mut world, &mut new));
    assert_eq!(world.send(&new.path, &packet), first);
    // For nothing else: neither another request, nor from another place.
    let id = new.id();
    let other = refresh(&new, id, &ticket);
    let answer = Answer::of(world.send(&new.path, &other));
    assert_eq!(answer.code(), Some(400));
    let mut third = at(THIRD);
    third.challenge(&mut world);
    let id = third.id();
    let packet_there = refresh(&third, id, &ticket);
    let answer = Answer::of(world.send(&third.path, &packet_there));
    assert_eq!(answer.code(), Some(437));
    world.pass(seconds(1));
    let answer = Answer::of(world.send(&new.path, &packet));
    assert_eq!(answer.code(), Some(400));
}

#[test]
fn the_latest_of_many_moves_counts_and_leaves_nothing_behind() {
    let mut world = World::new(config());
    let mut old = at(CLIENT);
    let (relayed, mut ticket) = allocate(&mut world, &mut old);
    let mut places = Vec::new();
    for port in 1..=50 {
        let mut place = at(&format!("198.18.0.7:{port}"));
        ticket = ticket_of(&move_to(&mut world, &mut place, &ticket));
        places.push(place);
    }
    let mut last = places.pop().unwrap();
    for mut place in places {
        assert!(!sends(&mut world, &mut place), "an earlier place is served");
        assert_eq!(place.permit(&mut world, PEER).code(), Some(437));
    }
    assert_eq!(heard_at(&mut world, relayed), Some(old.path));
    assert!(sends(&mut world, &mut last));
    assert_eq!(heard_at(&mut world, relayed), Some(last.path));
    assert_eq!((world.bound.len(), moves(&world)), (1, 1));
}

#[test]
fn who_turns_back_before_sending_is_where_it_was() {
    let mut world = World::new(config());
    let (mut old, mut new) = (at(CLIENT), at(ELSEWHERE));
    let (relayed, ticket) = allocate(&mut world, &mut old);
    let newer = ticket_of(&move_to(&mut world, &mut new, &ticket));
    let id = old.id();
    let packet = refresh(&old, id, &newer);
    let back = Answer::of(world.send(&old.path, &packet));
    assert_eq!(back.code(), None);
    assert!(!sends(&mut world, &mut new));
    assert_eq!(heard_at(&mut world, relayed), Some(old.path));
    assert_eq!(move_to(&mut world, &mut new, &newer).code(), Some(437));
    assert_eq!(
        move_to(&mut world, &mut new, &ticket_of(&back)).code(),
        None
    );
}

#[test]
fn a_session_is_ended_from_either_place() {
    for from_new in [false, true] {
        let mut world = World::new(config());
        let (mut old, mut new) = (at(CLIENT), at(ELSEWHERE));
        let (_, ticket) = allocate(&mut world, &mut old);
        move_to(&mut world, &mut new, &ticket);
        let ender = if from_new { &mut new } else { &mut old };
        assert_eq!(ender.refresh(&mut world, 0).lifetime(), 0);
        assert_eq!((world.bound.len(), world.shared.ports.claimed()), (0, 0));
        assert!(!sends(&mut world, &mut old) && !sends(&mut world, &mut new));
    }
}
