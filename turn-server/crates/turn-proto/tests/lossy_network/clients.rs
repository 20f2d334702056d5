//! What clients ask and send, how it travels, and what they make of the answers.

use std::net::SocketAddr;
use std::time::Duration;

use rand::Rng;
use rand::seq::IndexedRandom;
use turn_proto::{ConnectionId, LinkId};
use turn_wire::{Class, Method, Packet, RequestBuilder, attr};

use super::support::{Answer, Got, address};
use super::{About, CHANNEL, Granted, Network, PEERS, PERMISSION, SUSPECT, Way};

impl Network {
    /// A client says something: it goes on its way, once, twice or not at all. Streams lose nothing.
    pub(super) fn ask(&mut self, who: usize) {
        let peer = address(PEERS.choose(&mut self.rng).unwrap());
        let number = 0x4000 + self.rng.random_range(0..3_u16);
        let stream = self.clients[who].path.transport.is_stream();
        let protocol = if stream && self.rng.random() { 6 } else { 17 };
        let lifetime = [0, 600, 1200].choose(&mut self.rng).copied().unwrap();
        let client = &mut self.clients[who];
        if client.nonce.is_empty() {
            client.challenge(&mut self.world);
        }
        let id = client.id();
        let new = |method| RequestBuilder::new(method, id);
        let live = self.granted[who]
            .relayed
            .is_some_and(|(_, until)| until > self.world.now);
        let what = self.rng.random_range(if live { 2..16 } else { 0..6 });
        let (about, request) = match what {
            0..=2 => (
                About::Allocate,
                new(Method::ALLOCATE).requested_transport(protocol),
            ),
            3 => (About::Refresh, new(Method::REFRESH).lifetime(lifetime)),
            4 | 5 => {
                let request = new(Method::CREATE_PERMISSION).xor_peer_address(peer);
                (About::Permit(peer), request)
            }
            6 => {
                let request = new(Method::CHANNEL_BIND).channel_number(number);
                (About::Bind(number, peer), request.xor_peer_address(peer))
            }
            7 if stream => (About::Connect, new(Method::CONNECT).xor_peer_address(peer)),
            8 | 9 if stream => return self.attach(who),
            _ => return self.speak(who, number, peer),
        };
        let bytes = client.sign(request);
        self.depart(Way { who, bytes, about });
    }

    /// A client sends data, by a channel or by an indication.
    pub(super) fn speak(&mut self, who: usize, number: u16, peer: SocketAddr) {
        // Most of the time to somebody whom it may reach.
        let bound = self.granted[who]
            .channels
            .get(&number)
            .map(|(peer, _)| *peer);
        let peer = bound.filter(|_| self.rng.random()).unwrap_or(peer);
        let bytes = if self.rng.random() {
            let [high, low] = number.to_be_bytes();
            vec![high, low, 0, 4, 1, 2, 3, 4]
        } else {
            let send = RequestBuilder::indication(Method::SEND, self.clients[who].id());
            send.xor_peer_address(peer)
                .data(b"data")
                .finish(None, false)
        };
        let about = About::Data(peer);
        self.depart(Way { who, bytes, about });
    }

    pub(super) fn depart(&mut self, packet: Way) {
        let stream = self.clients[packet.who].path.transport.is_stream();
        let copies = if stream {
            1
        } else {
            [0, 1, 1, 1, 2, 3][self.rng.random_range(0..6)]
        };
        self.flight.extend(std::iter::repeat_n(packet, copies));
    }

    /// One of the packets under way reaches the server: any datagram, the first of a stream.
    pub(super) fn arrive(&mut self) {
        if self.flight.is_empty() {
            return;
        }
        let mut index = self.rng.random_range(0..self.flight.len());
        let who = self.flight[index].who;
        if self.clients[who].path.transport.is_stream() {
            index = self
                .flight
                .iter()
                .position(|packet| packet.who == who)
                .unwrap();
        }
        let packet = self.flight.remove(index);
        let path = self.clients[who].path;
        let now = self.world.now;
        match self.world.send(&path, &packet.bytes) {
            Got::Nothing => {}
            Got::ToPeer { from, to, .. } => {
                let granted = &self.granted[who];
                assert!(matches!(packet.about, About::Data(_)));
                assert!(granted.reaches(to, now), "{to} was never granted");
                assert_eq!(granted.relayed.map(|(relayed, _)| relayed), Some(from));
                assert!(!self.suspected || to.ip().to_string() != SUSPECT);
                self.relayed += 1;
            }
            Got::Reply(bytes) => self.answered(who, packet.about, &Answer { bytes }),
        }
        self.answers();
    }

    /// The server has answered, so it has granted or withdrawn. The client hears it, or does not.
    pub(super) fn answered(&mut self, who: usize, about: About, answer: &Answer) {
        let now = self.world.now;
        let granted = &mut self.granted[who];
        if answer.code().is_none() {
            match about {
                About::Allocate => {
                    let relayed = answer.relayed();
                    let until = now + Duration::from_secs(answer.lifetime().into());
                    assert!(self.world.bound.values().any(|bound| *bound == relayed));
                    // Else it is what was answered before, again, to a copy of the request.
                    if granted
                        .relayed
                        .is_none_or(|(held, until)| held != relayed || until <= now)
                    {
                        *granted = Granted {
                            relayed: Some((relayed, until)),
                            ..Granted::default()
                        };
                    }
                }
                About::Refresh if answer.lifetime() == 0 => {
                    // A copy that comes later is told the same, and ends nothing that has begun since.
                    if self.ended.insert((who, answer.view().transaction_id())) {
                        *granted = Granted::default();
                    }
                }
                About::Refresh => {
                    let until = now + Duration::from_secs(answer.lifetime().into());
                    granted.relayed = granted.relayed.map(|(relayed, _)| (relayed, until));
                }
                About::Permit(peer) => {
                    granted.permissions.insert(peer.ip(), now + PERMISSION);
                }
                About::Bind(number, peer) => {
                    granted.permissions.insert(peer.ip(), now + PERMISSION);
                    granted.channels.insert(number, (peer, now + CHANNEL));
                }
                About::Connect | About::Data(_) => panic!("answered at once"),
            }
        }
        let heard = self.clients[who].path.transport.is_stream() || self.rng.random_ratio(3, 4);
        if let (true, Some(nonce)) = (heard, answer.attribute(attr::NONCE)) {
            self.clients[who].nonce = nonce;
        }
    }

    /// A client fetches a peer's connection with one of its own (RFC 6062 §4.3). The driver joins them, or closes what came late.
    pub(super) fn attach(&mut self, who: usize) {
        let mine: Vec<_> = self.told.iter().filter(|(told, _)| *told == who).collect();
        let Some((_, connection)) = mine.choose(&mut self.rng).copied().copied() else {
            return;
        };
        self.next_link += 1;
        let client = &mut self.clients[who];
        let control = (client.path, std::mem::take(&mut client.nonce));
        client.path.link = LinkId(self.next_link);
        client.path.client.set_port(7);
        let answer = client.ask(&mut self.world, Method::CONNECTION_BIND, |request| {
            request.connection_id(connection.0)
        });
        (client.path, client.nonce) = control;
        if answer.code().is_some() {
            return;
        }
        let joining = self
            .world
            .joins
            .pop()
            .expect("a success and nothing to join");
        assert_eq!(joining, (LinkId(self.next_link), connection, 0));
        assert!(self.world.connections.contains_key(&connection));
        let until = self.granted[who].relayed.map(|(_, until)| until);
        assert!(until.is_some_and(|until| until > self.world.now));
        if self.world.relay.on_join(self.world.now(), connection) {
            self.joined += 1;
            let now = self.world.now();
            self.world
                .relay
                .on_connection_data(now, connection, 100, 100);
        }
    }

    /// Answers that came of something else than the packet that was just read: to Connect, late, and indications.
    pub(super) fn answers(&mut self) {
        let mut late = std::mem::take(&mut self.world.late_answers);
        late.extend(self.world.drain());
        for (path, bytes) in late {
            let who = self.clients.iter().position(|client| client.path == path);
            let Ok(Packet::Stun(view)) = turn_wire::parse(&bytes) else {
                panic!("unreadable");
            };
            let told = view.attribute(attr::CONNECTION_ID);
            if let (Some(who), Some(told), true) = (who, told, view.class() != Class::Error) {
                let connection = ConnectionId(u32::from_be_bytes(told.try_into().unwrap()));
                self.told.push((who, connection));
            }
        }
    }
}
