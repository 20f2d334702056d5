//! What goes wrong beside packets that are lost: operators change their minds, streams break.

use std::sync::Arc;

use rand::Rng;
use rand::seq::IndexedRandom;
use turn_proto::{Admin, LinkId};

use super::{Granted, Network, SUSPECT, settings};

impl Network {
    /// The operator denies a peer or allows it again, or ends all that a user has.
    pub(super) fn operate(&mut self) {
        let now = self.world.now();
        if self.rng.random() {
            let username = self.clients.choose(&mut self.rng).unwrap().username.clone();
            for (client, granted) in self.clients.iter().zip(&mut self.granted) {
                if client.username == username {
                    *granted = Granted::default();
                }
            }
            let username = username.into();
            self.world
                .relay
                .on_command(now, Admin::EndUser { username });
        } else {
            self.suspected = !self.suspected;
            if self.suspected {
                let ip = SUSPECT.parse().unwrap();
                self.granted
                    .iter_mut()
                    .for_each(|granted| granted.withdraw(ip));
            }
            self.world.config = Arc::new(settings(&self.guard, self.suspected));
            let config = Arc::clone(&self.world.config);
            self.world.relay.on_command(now, Admin::Configure(config));
        }
        self.answers();
    }

    /// A client's stream breaks, and it comes back on another.
    pub(super) fn break_stream(&mut self, who: usize) {
        let link = self.clients[who].path.link;
        self.world.relay.on_link_closed(self.world.now(), link);
        self.answers();
        self.granted[who] = Granted::default();
        self.flight.retain(|packet| packet.who != who);
        self.next_link += 1;
        self.clients[who].path.link = LinkId(self.next_link);
    }
}
