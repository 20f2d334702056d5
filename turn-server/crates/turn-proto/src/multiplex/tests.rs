//! Whom a packet on a shared address is for, decided without any socket.

use std::net::IpAddr;

use turn_wire::{Method, RequestBuilder, Responder};

use super::{Member, Multiplex};
use crate::{
    peer::{PeerAddr, PeerIp},
    slab::Slab,
};

const MAX_PEERS: usize = 4;

fn peer(text: &str) -> PeerAddr {
    PeerAddr::of(text.parse().unwrap()).unwrap()
}

fn ip(text: &str) -> PeerIp {
    PeerIp::of(text.parse().unwrap()).unwrap()
}

fn relay_ip() -> IpAddr {
    "198.51.100.1".parse().unwrap()
}

/// Two ports of one address, and members by number.
struct World {
    multiplex: Multiplex,
    members: Vec<Member>,
}

impl World {
    /// As many members at the first place.
    fn new(count: usize) -> Self {
        let mut slab = Slab::default();
        let mut member = |_| Member {
            worker: 0,
            key: slab.insert(()).unwrap(),
        };
        let members: Vec<_> = (0..count).map(&mut member).collect();
        let multiplex = Multiplex::new(&[relay_ip()], 3480..=3481, 1, MAX_PEERS);
        for member in &members {
            multiplex.join(0, *member);
        }
        Self { multiplex, members }
    }

    fn permit(&self, member: usize, text: &str) {
        self.multiplex.permit(0, self.members[member], ip(text));
    }

    fn sends(&self, member: usize, to: &str, payload: &[u8]) -> bool {
        let to = peer(to);
        self.multiplex
            .note(0, self.members[member], to, to.ip(), payload)
    }

    /// The number of the member that gets a packet.
    fn gets(&self, from: &str, payload: &[u8]) -> Option<usize> {
        let member = self.multiplex.route(0, peer(from), payload)?;
        self.members.iter().position(|held| *held == member)
    }

    /// The number of the member that gets what another sends to their common address.
    fn hears(&self, sender: usize, payload: &[u8]) -> Option<usize> {
        let sender = self.members[sender];
        let told = ip("203.0.113.9");
        let member = self.multiplex.route_inside(sender, [0, 0], told, payload)?;
        self.members.iter().position(|held| *held == member)
    }
}

fn check(id: u8, name: &str) -> Vec<u8> {
    let request = RequestBuilder::new(Method::BINDING, [id; 12]).username(name);
    request.finish(None, true)
}

fn answer(id: u8) -> Vec<u8> {
    let mut responder = Responder::new();
    responder
        .success(Method::BINDING, [id; 12])
        .finish(None, true)
        .to_vec()
}

#[test]
fn a_peer_with_one_client_reaches_it_from_any_port_and_nobody_else_does() {
    let world = World::new(2);
    world.permit(0, "192.0.2.1");
    world.permit(1, "192.0.2.2");
    assert_eq!(world.gets("192.0.2.1:5", b"media"), Some(0));
    assert_eq!(world.gets("192.0.2.1:6", &check(1, "a:b")), Some(0));
    assert_eq!(world.gets("192.0.2.2:5", b"media"), Some(1));
    assert_eq!(world.gets("192.0.2.3:5", b"media"), None);
}

#[test]
fn media_goes_to_who_has_last_sent_to_that_very_port() {
    let world = World::new(2);
    for member in [0, 1] {
        world.permit(member, "192.0.2.1");
    }
    assert_eq!(
        world.gets("192.0.2.1:5", b"media"),
        None,
        "nothing tells the two apart"
    );
    assert!(world.sends(0, "192.0.2.1:5", b"media") && world.sends(1, "192.0.2.1:6", b"media"));
    assert_eq!(world.gets("192.0.2.1:5", b"media"), Some(0));
    assert_eq!(world.gets("192.0.2.1:6", b"media"), Some(1));
    assert_eq!(world.gets("192.0.2.1:7", b"media"), None);
    assert!(world.sends(1, "192.0.2.1:5", b"media"));
    assert_eq!(world.gets("192.0.2.1:5", b"media"), Some(1));
    assert!(world.sends(0, "192.0.2.1:5", b"media"));
    assert_eq!(world.gets("192.0.2.1:5", b"media"), Some(0));
}

#[test]
fn answers_and_checks_say_whom_they_are_for() {
    let world = World::new(3);
    for member in [0, 1, 2] {
        world.permit(member, "192.0.2.1");
    }
    assert!(world.sends(0, "192.0.2.1:5", &check(10, "sfu0:zero")));
    assert!(world.sends(1, "192.0.2.1:5", &check(11, "sfu1:one")));
    assert_eq!(world.gets("192.0.2.1:5", &answer(10)), Some(0));
    assert_eq!(world.gets("192.0.2.1:5", &answer(11)), Some(1));
    assert_eq!(world.gets("192.0.2.1:5", &check(20, "zero:sfu0")), Some(0));
    assert_eq!(world.gets("192.0.2.1:5", &check(21, "one:sfu1")), Some(1));
    // From another port of the peer's machine, too: an agent behind a symmetric NAT.
    assert_eq!(world.gets("192.0.2.1:6", &check(22, "one:sfu1")), Some(1));
    // A name that nobody has yet can only be that of the one without a name.
    assert_eq!(world.gets("192.0.2.1:5", &check(23, "two:sfu2")), Some(2));
    assert!(world.sends(2, "192.0.2.1:5", &check(12, "sfu2:two")));
    assert_eq!(world.gets("192.0.2.1:5", &check(24, "three:sfu3")), None);
}

#[test]
fn nobody_takes_over_a_name_or_a_transaction() {
    let world = World::new(2);
    for member in [0, 1] {
        world.permit(member, "192.0.2.1");
        assert!(world.sends(member, "192.0.2.1:5", &check(10, "sfu:zero")));
    }
    assert_eq!(world.gets("192.0.2.1:5", &answer(10)), Some(0));
    assert_eq!(world.gets("192.0.2.1:5", &check(1, "zero:sfu")), Some(0));
    world.multiplex.leave(0, world.members[0]);
    // It was free again, and the other one says it anew.
    assert!(world.sends(1, "192.0.2.1:5", &check(10, "sfu:zero")));
    assert_eq!(world.gets("192.0.2.1:5", &answer(10)), Some(1));
}

/// Whoever sends to another's peer gets nothing of what that says to the other.
#[test]
fn nobody_gets_a_peer_away_from_one_whom_it_knows() {
    let world = World::new(2);
    for member in [0, 1] {
        world.permit(member, "192.0.2.1");
    }
    assert!(world.sends(0, "192.0.2.1:5", &check(10, "sfu:zero")));
    assert_eq!(world.gets("192.0.2.1:5", &answer(10)), Some(0));
    for (number, words) in [(11, b"media".to_vec()), (12, check(12, "sfu:thief"))] {
        assert!(world.sends(1, "192.0.2.1:5", &words));
        // It is refused, for it does not know the password.
        let mut responder = Responder::new();
        let refusal = responder.error(Method::BINDING, [number; 12], 401, "");
        world.gets("192.0.2.1:5", refusal.finish(None, true));
        assert_eq!(world.gets("192.0.2.1:5", b"media"), Some(0));
    }
    // The peer takes up with the other one, and is that one's now.
    assert_eq!(world.gets("192.0.2.1:5", &check(20, "thief:sfu")), Some(1));
    assert_eq!(world.gets("192.0.2.1:5", b"media"), Some(1));
    world.multiplex.leave(0, world.members[1]);
    assert_eq!(world.gets("192.0.2.1:5", b"media"), Some(0));
}

#[test]
fn members_of_one_address_find_each_other_by_their_checks() {
    let world = World::new(4);
    let own = "198.51.100.1:3480";
    for member in 0..4 {
        // Two know the address from outside, two from inside.
        let known = ["203.0.113.9", "198.51.100.1"][member % 2];
        world.permit(member, known);
    }
    assert_eq!(world.hears(0, &check(1, "one:zero")), None, "not yet known");
    let calls = [
        (0, "one:zero"),
        (1, "zero:one"),
        (2, "three:two"),
        (3, "two:three"),
    ];
    for (member, name) in calls {
        assert!(world.sends(member, own, &check(member as u8, name)));
    }
    for (sender, receiver) in [(0, 1), (1, 0), (2, 3), (3, 2)] {
        assert_eq!(
            world.hears(sender, &check(9, calls[sender].1)),
            Some(receiver)
        );
        assert_eq!(world.hears(receiver, &answer(sender as u8)), Some(sender));
        assert_eq!(world.hears(sender, b"media"), Some(receiver));
    }
    // A refusal makes no pair.
    assert!(world.sends(3, own, &check(40, "one:three")));
    let mut responder = Responder::new();
    let refusal = responder.error(Method::BINDING, [40; 12], 401, "");
    let refusal = refusal.finish(None, true);
    assert_eq!(world.hears(0, refusal), Some(3));
    assert_eq!(world.hears(0, b"media"), Some(1));
    // The other half of a pair leaves: what it would have got goes to nobody else.
    world.multiplex.leave(0, world.members[1]);
    assert_eq!(world.hears(0, b"media"), None);
    assert_eq!(world.hears(2, b"media"), Some(3));
}

#[test]
fn two_members_without_ice_hear_each_other_and_nobody_hears_itself() {
    let world = World::new(2);
    world.permit(0, "203.0.113.9");
    assert_eq!(world.hears(0, b"to myself"), None);
    world.permit(1, "203.0.113.9");
    assert_eq!(world.hears(0, b"hello"), Some(1));
    assert_eq!(world.hears(1, b"hello"), Some(0));
}

#[test]
fn a_member_sends_to_so_many_addresses_and_no_more() {
    let world = World::new(2);
    for member in [0, 1] {
        world.permit(member, "192.0.2.1");
        for port in 1..=MAX_PEERS {
            assert!(world.sends(member, &format!("192.0.2.1:{port}"), b"x"));
        }
        assert!(!world.sends(member, "192.0.2.1:99", b"x"));
        assert!(world.sends(member, "192.0.2.1:1", b"x"));
    }
    let has_room = |to| world.multiplex.has_room(0, world.members[0], peer(to));
    assert!(has_room("192.0.2.1:1") && !has_room("192.0.2.1:99"));
}

#[test]
fn what_is_remembered_of_a_member_is_bounded() {
    let world = World::new(2);
    for member in [0, 1] {
        world.permit(member, "192.0.2.1");
    }
    for number in 0..=255u8 {
        assert!(world.sends(0, "192.0.2.1:5", &check(number, &format!("a{number}:b"))));
    }
    assert!(world.sends(1, "192.0.2.1:5", b"media"));
    // The earliest are known no more, so they count as media; the latest are.
    assert_eq!(world.gets("192.0.2.1:5", &answer(0)), Some(1));
    assert_eq!(world.gets("192.0.2.1:5", &check(1, "b:a0")), Some(1));
    assert_eq!(world.gets("192.0.2.1:5", &answer(255)), Some(0));
    assert_eq!(world.gets("192.0.2.1:5", &check(1, "b:a255")), Some(0));
}

#[test]
fn what_expires_is_forgotten_and_who_leaves_leaves_nothing() {
    let world = World::new(3);
    for member in 0..3 {
        world.permit(member, "192.0.2.1");
        world.permit(member, "192.0.2.2");
        let name = format!("sfu:{member}");
        assert!(world.sends(member, "192.0.2.1:5", &check(member as u8, &name)));
        assert!(world.sends(member, "192.0.2.2:5", b"media"));
    }
    let [first, second, third] = world.members[..] else {
        panic!("three members")
    };
    let keep = ip("192.0.2.2");
    world
        .multiplex
        .restrict(0, third, |held| held == keep, |_| false);
    world
        .multiplex
        .restrict(0, second, |_| false, |held| held == peer("192.0.2.1:5"));
    assert_eq!(
        world.gets("192.0.2.1:5", b"media"),
        Some(1),
        "its channel keeps it"
    );
    assert_eq!(world.gets("192.0.2.2:5", b"media"), Some(2));
    assert_eq!(world.multiplex.members(), 3);
    for member in [first, second, third] {
        world.multiplex.leave(0, member);
    }
    assert_eq!(world.multiplex.members(), 0);
    assert_eq!(world.multiplex.remembered(), 0);
}

#[test]
fn ports_are_owned_in_turn_and_the_emptiest_own_one_is_chosen() {
    let addresses = [relay_ip(), "2001:db8::1".parse().unwrap()];
    let multiplex = Multiplex::new(&addresses, 3480..=3483, 2, MAX_PEERS);
    let owners: Vec<_> = multiplex
        .sockets()
        .filter(|(address, _)| address.is_ipv4())
        .map(|(address, owner)| (address.port(), owner))
        .collect();
    assert_eq!(owners, [(3480, 0), (3481, 1), (3482, 0), (3483, 1)]);
    let mut slab = Slab::default();
    let mut chosen = Vec::new();
    for _ in 0..3 {
        let address = multiplex.choose(relay_ip(), 1, false).unwrap();
        let key = slab.insert(()).unwrap();
        let place = multiplex.place_of(address).unwrap();
        multiplex.join(place, Member { worker: 1, key });
        chosen.push(address.port());
    }
    assert_eq!(chosen, [3481, 3483, 3481]);
    // A worker beyond the ports takes the emptiest of the others'.
    assert_eq!(multiplex.choose(relay_ip(), 2, false).unwrap().port(), 3480);
    assert_eq!(
        multiplex.place_of("198.51.100.1:3484".parse().unwrap()),
        None
    );
    assert_eq!(
        multiplex.place_of("198.51.100.2:3480".parse().unwrap()),
        None
    );
    assert_eq!(
        multiplex.choose("192.0.2.1".parse().unwrap(), 0, false),
        None
    );
}

/// Two workers: a member leaves on its own while one of the other's is answered by it.
#[test]
fn nothing_is_remembered_of_a_member_that_leaves_while_it_is_spoken_to() {
    const OWN: &str = "198.51.100.1:3480";
    let world = World::new(20_000);
    let (stays, leave) = world.members.split_first().unwrap();
    let (multiplex, own) = (&world.multiplex, peer(OWN));
    std::thread::scope(|scope| {
        let check = check(1, "them:us");
        let leaving = scope.spawn(move || {
            for member in leave {
                multiplex.note(0, *member, own, own.ip(), &check);
                multiplex.leave(0, *member);
            }
        });
        let answer = answer(1);
        while !leaving.is_finished() {
            multiplex.route_inside(*stays, [0, 0], own.ip(), &answer);
        }
    });
    multiplex.leave(0, *stays);
    assert_eq!(multiplex.remembered(), 0);
}
