//! Moves to another worker of the same server.

use std::{net::SocketAddr, sync::Arc};

use turn_proto::{Admin, Caps, Config, Good, Holder, IpRange, Output, Path, Transport};
use turn_wire::{Method, RequestBuilder, attr};

use super::{
    CHANNEL, CLIENT, ELSEWHERE, PEER, THIRD, allocate, at, heard_at, refresh, seconds, sends,
    ticket_of,
};
use crate::support::{Answer, Client, Got, Mail, World, address, config};

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
