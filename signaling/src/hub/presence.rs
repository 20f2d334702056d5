//! Who is online, and telling those who want to know.
//!
//! In: the list, and changes gathered for a second, so that a thousand arrivals are one message per watcher. Not in: who
//! is whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConnectionId, Deadline, Event, Hub, Outbound, UserId};

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Presence {
    online: BTreeSet<UserId>,
    pub(super) watchers: BTreeSet<ConnectionId>,
    /// The latest state of everybody who came or went since the last telling. A watcher that began in between hears of
    /// some twice, which is harmless, because it is told states and not steps.
    changes: BTreeMap<UserId, bool>,
}

impl Presence {
    pub(super) fn unwatch(&mut self, id: ConnectionId) {
        self.watchers.remove(&id);
    }
}

impl Hub {
    /// Notes that a listed user came or went.
    pub(super) fn announce(&mut self, now: Duration, user: &UserId, online: bool) {
        if online {
            self.presence.online.insert(user.clone());
        } else {
            self.presence.online.remove(user);
        }
        if self.presence.watchers.is_empty() {
            return;
        }
        self.presence.changes.insert(user.clone(), online);
        if !self.timers.is_set(&Deadline::Presence) {
            self.timers
                .set(Deadline::Presence, now + self.limits.presence_interval);
        }
    }

    pub(super) fn presence(&mut self, from: ConnectionId, watch: Option<bool>, out: &mut Outbound) {
        match watch {
            Some(true) => {
                self.presence.watchers.insert(from);
            }
            Some(false) => self.presence.unwatch(from),
            None => {}
        }
        let users = self
            .presence
            .online
            .iter()
            .take(self.limits.presence_page)
            .cloned()
            .collect();
        out.push((
            from,
            Event::Presence {
                users,
                total: self.presence.online.len(),
            },
        ));
    }

    pub(super) fn tell_presence(&mut self, out: &mut Outbound) {
        let changes: Vec<(UserId, bool)> = std::mem::take(&mut self.presence.changes)
            .into_iter()
            .collect();
        for page in changes.chunks(self.limits.presence_page.max(1)) {
            let pick = |wanted: bool| -> Arc<[UserId]> {
                page.iter()
                    .filter(|(_, online)| *online == wanted)
                    .map(|(user, _)| user.clone())
                    .collect()
            };
            let (online, offline) = (pick(true), pick(false));
            for watcher in &self.presence.watchers {
                out.push((
                    *watcher,
                    Event::PresenceChanged {
                        online: online.clone(),
                        offline: offline.clone(),
                    },
                ));
            }
        }
    }
}
