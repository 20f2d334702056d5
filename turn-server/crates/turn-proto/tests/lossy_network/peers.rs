//! What peers send and accept, by datagrams and by streams.

use rand::Rng;
use rand::seq::IndexedRandom;
use turn_proto::Reply;

use super::support::address;
use super::{Granted, Network, PEERS};

impl Network {
    /// The driver's side of connections to peers: they are accepted, refused, closed, or nothing is heard of them.
    pub(super) fn connections(&mut self) {
        for connection in self.world.connections.keys() {
            if !self.asked.contains(connection) {
                self.asked.push(*connection);
            }
        }
        if self.asked.is_empty() || self.rng.random_ratio(2, 3) {
            return;
        }
        let connection = self
            .asked
            .swap_remove(self.rng.random_range(0..self.asked.len()));
        let now = self.world.now();
        match self.rng.random_range(0..4) {
            0 | 1 => {
                let reply = Reply::Connected { connection };
                self.world.relay.on_reply(now, reply);
            }
            2 => {
                let known = self.world.connections.contains_key(&connection);
                self.world.relay.on_connection_closed(now, connection);
                if known {
                    self.world.connections.remove(&connection);
                }
            }
            _ => return,
        }
        self.answers();
    }

    /// A datagram of a peer arrives at some relayed address.
    pub(super) fn peer_speaks(&mut self) {
        let from = address(PEERS.choose(&mut self.rng).unwrap());
        let relays: Vec<_> = self.world.bound.values().copied().collect();
        let Some(to) = relays.choose(&mut self.rng).copied() else {
            return;
        };
        let Some((path, _)) = self.world.peer_sends(from, to, b"data") else {
            return;
        };
        let who = self.clients.iter().position(|client| client.path == path);
        let granted = &self.granted[who.expect("somebody who is gone hears it")];
        assert_eq!(granted.relayed.map(|(relayed, _)| relayed), Some(to));
        assert!(
            granted.reaches(from, self.world.now),
            "{from} may not be heard"
        );
        self.relayed += 1;
    }

    /// A peer connects to a relayed address that listens.
    pub(super) fn peer_of_a_stream(&mut self) {
        let from = address(PEERS.choose(&mut self.rng).unwrap());
        let listening: Vec<_> = self.world.listening.iter().copied().collect();
        let Some(relay) = listening.choose(&mut self.rng).copied() else {
            return;
        };
        let local = self.world.bound[&relay];
        let now = self.world.now();
        if let Some(connection) = self.world.relay.on_peer_connection(now, relay, from) {
            self.world.connections.insert(connection, (local, from));
            let mut all = self.granted.iter();
            let held = |granted: &&Granted| {
                let live = granted.relayed.filter(|(_, until)| *until > now.mono);
                live.is_some_and(|(held, _)| held == local)
            };
            let owner = all.find(held).expect("somebody's");
            assert!(owner.reaches(from, now.mono), "{from} has no permission");
        }
        self.answers();
    }
}
