//! Mobile sessions (RFC 8016) in virtual time: tickets, both 5-tuples at once, retransmissions, streams that break, workers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use support::{Answer, Client, Got, Mail, World, address, config};
use turn_proto::{
    Admin, Caps, Config, EndReason, Event, Good, Holder, IpRange, Output, Path, Transport,
};
use turn_wire::{Method, RequestBuilder, attr};

const CLIENT: &str = "192.0.2.10:40000";
const ELSEWHERE: &str = "198.18.0.7:555";
const THIRD: &str = "203.0.113.77:7777";
const PEER: &str = "203.0.113.5:9";
const CHANNEL: u16 = 0x4000;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Makes a mobile allocation with a channel; its relayed address and its ticket.
fn allocate(world: &mut World, client: &mut Client) -> (SocketAddr, Vec<u8>) {
    let answer = client.ask(world, Method::ALLOCATE, |request| {
        request.requested_transport(17).mobility_ticket(b"")
    });
    let relayed = answer.relayed();
    assert_eq!(client.bind(world, CHANNEL, PEER).code(), None);
    (relayed, ticket_of(&answer))
}

fn ticket_of(answer: &Answer) -> Vec<u8> {
    let ticket = answer.attribute(attr::MOBILITY_TICKET).unwrap();
    // coturn's client keeps tickets as strings of at most 32 characters.
    assert!(ticket.len() <= 32 && ticket.iter().all(u8::is_ascii_graphic));
    ticket
}

/// The same client at another place.
fn at(place: &str) -> Client {
    Client::ann(place)
}

fn move_to(world: &mut World, client: &mut Client, ticket: &[u8]) -> Answer {
    client.nonce = challenge(world, client, ticket);
    let id = client.id();
    let packet = refresh(client, id, ticket);
    Answer::of(world.send(&client.path, &packet))
}

fn refresh(client: &Client, id: [u8; 12], ticket: &[u8]) -> Vec<u8> {
    let request = RequestBuilder::new(Method::REFRESH, id)
        .lifetime(600)
        .mobility_ticket(ticket);
    client.sign(request)
}

/// A nonce for the new place, as one gets it there.
fn challenge(world: &mut World, client: &mut Client, ticket: &[u8]) -> Vec<u8> {
    let id = client.id();
    let packet = RequestBuilder::new(Method::REFRESH, id)
        .mobility_ticket(ticket)
        .finish(None, false);
    let answer = Answer::of(world.send(&client.path, &packet));
    answer.attribute(attr::NONCE).unwrap_or_else(|| {
        // A ticket that leads nowhere is not worth a challenge.
        assert_eq!(answer.code(), Some(437));
        client.challenge(world);
        client.nonce.clone()
    })
}

/// Where a peer's packet arrives.
fn heard_at(world: &mut World, relayed: SocketAddr) -> Option<Path> {
    world
        .peer_sends(address(PEER), relayed, b"x")
        .map(|(path, _)| path)
}

fn sends(world: &mut World, client: &mut Client) -> bool {
    let got = client.channel_data(world, CHANNEL, b"x");
    matches!(got, Got::ToPeer { to, .. } if to == address(PEER))
}

fn moves(world: &World) -> usize {
    let moved = |event: &&Event| matches!(event, Event::Moved { .. });
    world.events.iter().filter(moved).count()
}

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

/// Two workers of one server, and what they tell each other.
struct Neighbours {
    workers: [World; 2],
}

impl Neighbours {
    fn new() -> Self {
        let first = World::new(config());
        let second = World::sharing(config(), Arc::clone(&first.shared), 1);
        Self {
            workers: [first, second],
        }
    }

    /// Sends a packet to one worker and delivers all mail: what the client gets back, from whichever worker.
    fn send(&mut self, worker: usize, path: &Path, packet: &[u8]) -> Vec<Got> {
        let now = self.workers[worker].now();
        let mut got = Vec::new();
        let output = output_of(self.workers[worker].relay.on_client(now, path, packet));
        self.take(worker, packet, output, &mut got);
        self.deliver(&mut got);
        got
    }

    fn take(&mut self, worker: usize, packet: &[u8], output: Taken, got: &mut Vec<Got>) {
        match output {
            Taken::Nothing => {}
            Taken::Reply(bytes) => got.push(Got::Reply(bytes)),
            Taken::ToPeer(relay, to, range) => got.push(Got::ToPeer {
                from: self.workers[worker].bound[&relay],
                to,
                payload: packet[range].to_vec(),
            }),
        }
        self.drain(worker, got);
    }

    fn drain(&mut self, worker: usize, got: &mut Vec<Got>) {
        let answers = self.workers[worker].drain();
        got.extend(answers.into_iter().map(|(_, bytes)| Got::Reply(bytes)));
    }

    fn deliver(&mut self, got: &mut Vec<Got>) {
        loop {
            let from = (0..2).find(|worker| !self.workers[*worker].mail.is_empty());
            let Some(from) = from else { return };
            let (to, mail) = self.workers[from].mail.pop_front().unwrap();
            let to = usize::from(to);
            let now = self.workers[to].now();
            match mail {
                Mail::Message(message) => {
                    let relay = &mut self.workers[to].relay;
                    relay.on_message(now, from as u16, message);
                }
                Mail::Parcel(parcel, sockets) => {
                    let relays = self.workers[to].relay.on_parcel(now, *parcel).unwrap();
                    self.workers[to]
                        .bound
                        .extend(relays.into_iter().zip(sockets));
                }
            }
            self.drain(to, got);
            while let Some((path, packet)) = self.workers[to].returned.pop_front() {
                let output = output_of(self.workers[to].relay.on_returned(now, &path, &packet));
                self.take(to, &packet, output, got);
            }
        }
    }

    fn ask(&mut self, worker: usize, client: &mut Client, request: RequestBuilder) -> Answer {
        let packet = client.sign(request);
        let mut got = self.send(worker, &client.path, &packet);
        assert_eq!(got.len(), 1, "{got:?}");
        Answer::of(got.remove(0))
    }

    fn move_to(&mut self, worker: usize, client: &mut Client, ticket: &[u8]) -> Answer {
        let id = client.id();
        let packet = RequestBuilder::new(Method::REFRESH, id)
            .mobility_ticket(ticket)
            .finish(None, false);
        let got = self.send(worker, &client.path, &packet);
        let answer = Answer::of(got.into_iter().next().unwrap());
        match answer.attribute(attr::NONCE) {
            Some(nonce) => client.nonce = nonce,
            None => {
                client.challenge(&mut self.workers[worker]);
            }
        }
        let id = client.id();
        let request = RequestBuilder::new(Method::REFRESH, id)
            .lifetime(600)
            .mobility_ticket(ticket);
        self.ask(worker, client, request)
    }

    fn data(&mut self, worker: usize, client: &Client) -> Vec<Got> {
        let mut frame = CHANNEL.to_be_bytes().to_vec();
        frame.extend([0, 1, b'x']);
        self.send(worker, &client.path, &frame)
    }
}

enum Taken {
    Nothing,
    Reply(Vec<u8>),
    ToPeer(turn_proto::RelayId, SocketAddr, std::ops::Range<usize>),
}

fn output_of(output: Output<'_>) -> Taken {
    match output {
        Output::Reply(bytes) => Taken::Reply(bytes.to_vec()),
        Output::ToPeer {
            relay, to, range, ..
        } => Taken::ToPeer(relay, to, range),
        _ => Taken::Nothing,
    }
}

#[test]
fn a_session_follows_its_client_to_another_worker() {
    let mut two = Neighbours::new();
    let (mut old, mut new) = (at(CLIENT), at(ELSEWHERE));
    let (relayed, ticket) = allocate(&mut two.workers[0], &mut old);
    let answer = two.move_to(1, &mut new, &ticket);
    assert_eq!(answer.code(), None);
    let newer = ticket_of(&answer);
    // Requests on the new path go where the session is, data still goes to the old path.
    let id = new.id();
    let permit = RequestBuilder::new(Method::CREATE_PERMISSION, id)
        .xor_peer_address(address("203.0.113.6:1"));
    assert_eq!(two.ask(1, &mut new, permit).code(), None);
    assert_eq!(heard_at(&mut two.workers[0], relayed), Some(old.path));
    assert!(sends(&mut two.workers[0], &mut old));
    // The first data takes the session along, and is relayed itself.
    let got = two.data(1, &new);
    assert!(
        matches!(&got[..], [Got::ToPeer { from, to, .. }] if (*from, *to) == (relayed, address(PEER))),
        "{got:?}"
    );
    assert_eq!(heard_at(&mut two.workers[1], relayed), Some(new.path));
    assert!(!sends(&mut two.workers[0], &mut old));
    assert_eq!(
        (two.workers[0].bound.len(), two.workers[1].bound.len()),
        (0, 1)
    );
    let stats = two.workers.each_ref().map(|world| {
        let stats = world.relay.stats();
        (stats.allocations_udp, stats.channels, stats.permissions)
    });
    assert_eq!(stats, [(0, 0, 0), (1, 1, 2)]);
    assert_eq!(
        (
            two.workers[0].shared.ports.claimed(),
            two.workers[0].shared.quotas.count()
        ),
        (1, 1)
    );
    // And back again with the new ticket, which leads to the other worker now.
    let mut back = at(THIRD);
    assert_eq!(two.move_to(0, &mut back, &newer).code(), None);
    assert_eq!(two.data(0, &back).len(), 1);
    assert_eq!(heard_at(&mut two.workers[0], relayed), Some(back.path));
    // It lives as long as its last Refresh says, and ends whole.
    for world in &mut two.workers {
        world.pass(seconds(600));
    }
    assert_eq!(two.workers[0].shared.ports.claimed(), 0);
    assert_eq!(two.workers[0].shared.quotas.count(), 0);
    assert_eq!(
        (two.workers[0].bound.len(), two.workers[1].bound.len()),
        (0, 0)
    );
}

#[test]
fn a_retransmission_on_another_worker_gets_the_same_answer() {
    let mut two = Neighbours::new();
    let (mut old, mut new) = (at(CLIENT), at(ELSEWHERE));
    let (_, ticket) = allocate(&mut two.workers[0], &mut old);
    new.challenge(&mut two.workers[1]);
    let id = new.id();
    let packet = refresh(&new, id, &ticket);
    let first = two.send(1, &new.path, &packet);
    assert_eq!(Answer::of(first.clone().remove(0)).code(), None);
    assert_eq!(two.send(1, &new.path, &packet), first);
    assert_eq!(two.data(1, &new).len(), 1);
    assert_eq!(two.send(1, &new.path, &packet), first, "after the move");
}

#[test]
fn refusals_come_from_where_the_session_is() {
    let mut two = Neighbours::new();
    let mut old = at(CLIENT);
    let (_, ticket) = allocate(&mut two.workers[0], &mut old);
    let mut bob = Client::bob(ELSEWHERE);
    assert_eq!(two.move_to(1, &mut bob, &ticket).code(), Some(441));
    // Nothing of it is left: what comes next is the other worker's own.
    let id = bob.id();
    let request = RequestBuilder::new(Method::REFRESH, id);
    assert_eq!(two.ask(1, &mut bob, request).code(), Some(437));
    old.refresh(&mut two.workers[0], 0);
    let mut new = at(THIRD);
    assert_eq!(two.move_to(1, &mut new, &ticket).code(), Some(437));
}

#[test]
fn a_visitor_that_ends_its_session_is_told_so() {
    let mut two = Neighbours::new();
    let (mut old, mut new) = (at(CLIENT), at(ELSEWHERE));
    let (_, ticket) = allocate(&mut two.workers[0], &mut old);
    assert_eq!(two.move_to(1, &mut new, &ticket).code(), None);
    let id = new.id();
    let end = RequestBuilder::new(Method::REFRESH, id).lifetime(0);
    assert_eq!(two.ask(1, &mut new, end).lifetime(), 0);
    assert_eq!(two.workers[0].shared.ports.claimed(), 0);
    assert_eq!(two.workers[0].bound.len(), 0);
}

#[test]
fn the_end_of_a_session_is_known_to_the_worker_of_its_visitor() {
    let mut two = Neighbours::new();
    let mut old = at(CLIENT);
    let (_, ticket) = allocate(&mut two.workers[0], &mut old);
    let mut new = at(ELSEWHERE).over(Transport::Tcp, 5);
    assert_eq!(two.move_to(1, &mut new, &ticket).code(), None);
    assert!(two.workers[1].occupied[&new.path.link]);
    old.refresh(&mut two.workers[0], 0);
    two.deliver(&mut Vec::new());
    assert!(!two.workers[1].occupied[&new.path.link]);
    let id = new.id();
    let answer = two.ask(1, &mut new, RequestBuilder::new(Method::REFRESH, id));
    assert_eq!(answer.code(), Some(437));
    assert_eq!(new.allocate(&mut two.workers[1]).port() / 1000, 50);
}

#[test]
fn streams_that_break_on_either_worker_leave_one_session() {
    // The old stream: the session goes to the new place at once.
    let mut two = Neighbours::new();
    let mut old = at(CLIENT).over(Transport::Tcp, 7);
    let (relayed, ticket) = allocate(&mut two.workers[0], &mut old);
    let mut new = at(ELSEWHERE).over(Transport::Tcp, 5);
    two.move_to(1, &mut new, &ticket);
    let now = two.workers[0].now();
    two.workers[0].relay.on_link_closed(now, old.path.link);
    two.drain(0, &mut Vec::new());
    two.deliver(&mut Vec::new());
    assert_eq!(heard_at(&mut two.workers[1], relayed), Some(new.path));
    // The new stream, before it is used: the session stays.
    let mut two = Neighbours::new();
    let mut old = at(CLIENT);
    let (relayed, ticket) = allocate(&mut two.workers[0], &mut old);
    let newer = ticket_of(&two.move_to(1, &mut new, &ticket));
    let now = two.workers[1].now();
    two.workers[1].relay.on_link_closed(now, new.path.link);
    two.drain(1, &mut Vec::new());
    two.deliver(&mut Vec::new());
    assert_eq!(heard_at(&mut two.workers[0], relayed), Some(old.path));
    // The old one was broken before: the client's Refresh fetches the session.
    let mut lost = Neighbours::new();
    let mut old = at(CLIENT).over(Transport::Tcp, 7);
    let (relayed, ticket) = allocate(&mut lost.workers[0], &mut old);
    let now = lost.workers[0].now();
    lost.workers[0].relay.on_link_closed(now, old.path.link);
    lost.drain(0, &mut Vec::new());
    assert_eq!(lost.move_to(1, &mut new, &ticket).code(), None);
    assert_eq!(heard_at(&mut lost.workers[1], relayed), Some(new.path));
    assert_eq!(two.move_to(1, &mut at(THIRD), &newer).code(), None);
}

#[test]
fn what_a_reload_forbids_is_forbidden_to_a_session_that_comes_from_a_worker_before_it() {
    let deny = |place: &str| IpRange::new(address(place).ip(), address(place).ip()).unwrap();
    let reload = |two: &mut Neighbours, change: fn(&mut Config, IpRange), place| {
        let mut strict = config();
        change(&mut strict, deny(place));
        let world = &mut two.workers[1];
        let command = Admin::Configure(Arc::new(strict));
        world.relay.on_command(world.now(), command);
    };
    // Its peer.
    let mut two = Neighbours::new();
    let (mut old, mut new) = (at(CLIENT), at(ELSEWHERE));
    let (relayed, ticket) = allocate(&mut two.workers[0], &mut old);
    assert_eq!(two.move_to(1, &mut new, &ticket).code(), None);
    reload(
        &mut two,
        |strict, peer| strict.peers.deny = vec![peer],
        PEER,
    );
    assert_eq!(two.data(1, &new), [], "the packet that calls it there");
    assert_eq!(heard_at(&mut two.workers[1], relayed), None);
    let stats = two.workers[1].relay.stats();
    assert_eq!((stats.permissions, stats.channels), (0, 0));
    // How much it may send.
    let mut two = Neighbours::new();
    let (mut old, mut new) = (at(CLIENT), at(ELSEWHERE));
    let (_, ticket) = allocate(&mut two.workers[0], &mut old);
    assert_eq!(two.move_to(1, &mut new, &ticket).code(), None);
    let limit = |strict: &mut Config, _| {
        let caps = Caps::default().with(Holder::Session, Good::PacketsPerSecond, 1);
        strict.guard.caps = caps;
    };
    reload(&mut two, limit, PEER);
    let sent = (0..9).filter(|_| !two.data(1, &new).is_empty()).count();
    assert_eq!(sent, 2);
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
