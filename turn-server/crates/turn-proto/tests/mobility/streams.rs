//! Moves between connections: which end of which stream ends what.

use turn_proto::{EndReason, Event, Transport};

use super::{
    CLIENT, ELSEWHERE, THIRD, allocate, at, heard_at, move_to, moves, seconds, sends, ticket_of,
};
use crate::support::{World, config};

#[test]
fn a_broken_stream_leaves_the_session_to_its_client() {
    let mut world = World::new(config());
    let mut old = at(CLIENT).over(Transport::Tcp, 7);
    let (relayed, ticket) = allocate(&mut world, &mut old);
    world.relay.on_link_closed(world.now(), old.path.link);
    assert!(world.drain().is_empty());
    assert_eq!(world.bound.len(), 1);
    // Break before make: there is nobody to wait for.
    let mut new = at(ELSEWHERE).over(Transport::Tcp, 8);
    assert_eq!(move_to(&mut world, &mut new, &ticket).code(), None);
    assert_eq!(heard_at(&mut world, relayed), Some(new.path));
    assert!(sends(&mut world, &mut new));
    assert!(world.occupied[&new.path.link]);
    let newer = ticket.clone();
    world.relay.on_link_closed(world.now(), new.path.link);
    assert!(world.drain().is_empty());
    // Nobody comes: it ends with its lifetime, and nothing is left.
    assert_eq!(
        move_to(&mut world, &mut at(THIRD), &newer).code(),
        Some(437),
        "the old ticket"
    );
    world.pass(seconds(600));
    assert_eq!(world.bound.len(), 0);
    assert_eq!(
        (world.shared.ports.claimed(), world.shared.quotas.count()),
        (0, 0)
    );
    assert_eq!(world.relay.stats().allocations_tcp, 0);
    let ended = world.events.iter().filter_map(|event| match event {
        Event::Ended { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(ended.collect::<Vec<_>>(), [EndReason::Expired]);
}

#[test]
fn the_end_of_the_old_stream_completes_a_move() {
    let mut world = World::new(config());
    let mut old = at(CLIENT).over(Transport::Tcp, 7);
    let (relayed, ticket) = allocate(&mut world, &mut old);
    let mut new = at(ELSEWHERE);
    move_to(&mut world, &mut new, &ticket);
    world.relay.on_link_closed(world.now(), old.path.link);
    assert!(world.drain().is_empty());
    assert_eq!(heard_at(&mut world, relayed), Some(new.path));
    assert_eq!(moves(&world), 1);
}

#[test]
fn the_end_of_the_new_stream_undoes_a_move() {
    let mut world = World::new(config());
    let mut old = at(CLIENT);
    let (relayed, ticket) = allocate(&mut world, &mut old);
    let mut new = at(ELSEWHERE).over(Transport::Tcp, 7);
    let newer = ticket_of(&move_to(&mut world, &mut new, &ticket));
    world.relay.on_link_closed(world.now(), new.path.link);
    assert!(world.drain().is_empty());
    assert_eq!(heard_at(&mut world, relayed), Some(old.path));
    assert_eq!(move_to(&mut world, &mut at(THIRD), &newer).code(), None);
}
