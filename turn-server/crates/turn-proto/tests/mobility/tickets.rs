//! What a ticket is: who gets one, who may use it, and what is said to who may not.

use std::sync::Arc;

use turn_proto::Transport;
use turn_wire::{Method, attr};

use super::{CLIENT, ELSEWHERE, THIRD, allocate, at, heard_at, move_to, refresh, sends, ticket_of};
use crate::support::{Answer, Client, World, config};

#[test]
fn nobody_moves_to_a_relay_of_ours_and_so_no_two_sessions_are_each_others_clients() {
    let mut world = World::new(config());
    let mut client = at(CLIENT);
    let (_, ticket) = allocate(&mut world, &mut client);
    let mut other = Client::bob(THIRD);
    let relayed = other.allocate(&mut world);
    let mut there = at(&relayed.to_string());
    assert_eq!(move_to(&mut world, &mut there, &ticket).code(), Some(405));
    // The ticket is as good as before.
    let mut elsewhere = at(ELSEWHERE);
    assert_eq!(move_to(&mut world, &mut elsewhere, &ticket).code(), None);
}

/// coturn goes by the session's nonce; here a nonce is of one address, and RFC 8489 §9.2.4 has the answer for another.
#[test]
fn a_ticket_with_the_nonce_of_the_old_place_gets_a_new_nonce() {
    let mut world = World::new(config());
    let mut old = at(CLIENT);
    let (_, ticket) = allocate(&mut world, &mut old);
    let mut new = at(ELSEWHERE);
    new.nonce.clone_from(&old.nonce);
    let id = new.id();
    let packet = refresh(&new, id, &ticket);
    let answer = Answer::of(world.send(&new.path, &packet));
    assert_eq!(answer.code(), Some(438));
    let nonce = answer.attribute(attr::NONCE).unwrap();
    assert_ne!(nonce, old.nonce);
    new.nonce = nonce;
    let id = new.id();
    let packet = refresh(&new, id, &ticket);
    let answer = Answer::of(world.send(&new.path, &packet));
    assert_eq!(answer.code(), None);
}

#[test]
fn a_ticket_is_given_to_who_asks_for_it_where_that_is_allowed() {
    let mut world = World::new(config());
    let mut plain = Client::bob(THIRD);
    let answer = plain.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17)
    });
    assert_eq!(answer.attribute(attr::MOBILITY_TICKET), None);
    let mut client = at(CLIENT);
    let (_, first) = allocate(&mut world, &mut client);
    let mut off = config();
    off.mobility = false;
    let mut world = World::new(off);
    let answer = client.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17).mobility_ticket(b"")
    });
    assert_eq!(answer.code(), Some(405));
    client.allocate(&mut world);
    let id = client.id();
    let packet = refresh(&client, id, &first);
    let answer = Answer::of(world.send(&client.path, &packet));
    assert_eq!(answer.code(), Some(405));
}

#[test]
fn a_ticket_in_an_allocate_request_is_empty() {
    let mut world = World::new(config());
    let answer = at(CLIENT).ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(17).mobility_ticket(b"x")
    });
    assert_eq!((answer.code(), world.bound.len()), (Some(400), 0));
}

#[test]
fn connections_with_peers_do_not_move() {
    let mut world = World::new(config());
    let mut client = at(CLIENT).over(Transport::Tcp, 7);
    let answer = client.ask(&mut world, Method::ALLOCATE, |request| {
        request.requested_transport(6).mobility_ticket(b"")
    });
    assert_eq!(answer.code(), Some(405));
}

#[test]
fn a_ticket_from_the_place_it_was_made_for_is_a_bad_request() {
    let mut world = World::new(config());
    let (mut old, mut new) = (at(CLIENT), at(ELSEWHERE));
    let (_, ticket) = allocate(&mut world, &mut old);
    let id = old.id();
    let packet = refresh(&old, id, &ticket);
    let answer = Answer::of(world.send(&old.path, &packet));
    assert_eq!(answer.code(), Some(400));
    let newer = ticket_of(&move_to(&mut world, &mut new, &ticket));
    let id = new.id();
    let packet = refresh(&new, id, &newer);
    let answer = Answer::of(world.send(&new.path, &packet));
    assert_eq!(answer.code(), Some(400));
}

#[test]
fn forged_tickets_are_bad_and_those_of_ended_sessions_mismatch() {
    let mut world = World::new(config());
    let mut old = at(CLIENT);
    let (_, ticket) = allocate(&mut world, &mut old);
    let mut forged = ticket.clone();
    forged[3] ^= 1;
    let mut new = at(ELSEWHERE);
    new.challenge(&mut world);
    for bad in [&forged[..], b"", b"\0", &[0xFF; 700]] {
        let id = new.id();
        let packet = refresh(&new, id, bad);
        let answer = Answer::of(world.send(&new.path, &packet));
        assert_eq!(answer.code(), Some(400), "{bad:?}");
    }
    old.refresh(&mut world, 0);
    let id = new.id();
    let packet = refresh(&new, id, &ticket);
    let answer = Answer::of(world.send(&new.path, &packet));
    assert_eq!(answer.code(), Some(437));
}

#[test]
fn a_stolen_ticket_is_worth_nothing() {
    let mut world = World::new(config());
    let mut old = at(CLIENT);
    let (relayed, ticket) = allocate(&mut world, &mut old);
    let mut bob = Client::bob(ELSEWHERE);
    assert_eq!(move_to(&mut world, &mut bob, &ticket).code(), Some(441));
    let mut forger = Client::new(ELSEWHERE, "ann", "a wrong guess");
    assert_eq!(move_to(&mut world, &mut forger, &ticket).code(), Some(401));
    assert!(!sends(&mut world, &mut bob));
    assert_eq!(heard_at(&mut world, relayed), Some(old.path));
    assert_eq!(move_to(&mut world, &mut at(THIRD), &ticket).code(), None);
}

#[test]
fn a_place_that_has_an_allocation_takes_no_other() {
    let mut world = World::new(config());
    let (mut old, mut other) = (at(CLIENT), at(ELSEWHERE));
    let (_, ticket) = allocate(&mut world, &mut old);
    let (relayed, _) = allocate(&mut world, &mut other);
    let id = other.id();
    let packet = refresh(&other, id, &ticket);
    let answer = Answer::of(world.send(&other.path, &packet));
    assert_eq!(answer.code(), Some(400));
    assert_eq!(heard_at(&mut world, relayed), Some(other.path));
}

#[test]
fn a_ticket_outlives_being_written_down() {
    let mut old = World::new(config());
    let mut client = at(CLIENT);
    let (_, ticket) = allocate(&mut old, &mut client);
    let records = old.relay.export(old.now());
    client.refresh(&mut old, 0);
    let mut new = World::sharing(config(), Arc::clone(&old.shared), 1);
    let relays = new.relay.import(new.now(), &records[0]).unwrap();
    new.bound.insert(relays[0], records[0].relays[0].local);
    assert!(new.relay.export(new.now()) == records);
    assert_eq!(move_to(&mut new, &mut at(ELSEWHERE), &ticket).code(), None);
}
