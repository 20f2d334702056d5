//! Mobile sessions across workers (RFC 8016): the client's new 5-tuple is where the kernel puts it, the session where it was.
//!
//! ```text
//!   client ── Refresh, ticket ──▶ B ── Visit ──▶ A    A has the session; from now on B passes on what comes on this path
//!   client ◀──────────────────── B ◀── Answer ── A    A goes on serving the old 5-tuple
//!   client ── first data ──────▶ B ── Visit ──▶ A    the client has moved: the session goes where it is
//!                                B ◀── parcel ── A    session, sockets and that packet
//! ```
//!
//! Messages between two workers keep their order, so whatever A sends back after the parcel finds the session at B.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use turn_wire::{Class, MessageView, Method, Packet};

use crate::{
    Action, EndReason, Event, LinkId, Now, Output, Path, RelayId,
    allocation::Allocation,
    relay::{ClientKey, Relay},
    relayed::{Relayed, Version},
    slab::Key,
};

/// Links of visitors: above all that a driver uses.
const VISITORS: u32 = 1 << 31;

/// Packets of one path that may be on their way to another worker. More are lost: requests are sent again.
const UNANSWERED: u8 = 32;

/// Paths that another worker has been asked about and not answered yet.
const ASKED: usize = 256;

/// What one worker's state machine tells another's. Plain data, made and read here.
#[derive(Debug)]
pub struct Message(Said);

#[derive(Debug)]
enum Said {
    /// A packet for a session that the other has; `by_ticket` if only its ticket says so.
    Visit {
        path: Path,
        packet: Vec<u8>,
        by_ticket: bool,
    },
    /// What to answer to it, perhaps nothing; whether the path belongs to a session of the sender.
    Answer {
        path: Path,
        bytes: Vec<u8>,
        welcome: bool,
    },
    /// It is for nobody here.
    Return { path: Path, packet: Vec<u8> },
    /// The path belongs to no session of the sender any more.
    Forget { path: Path },
    /// The stream of a visitor has ended.
    Leave { path: Path },
}

/// A session on its way to another worker, with the packet that has called it there.
pub struct Parcel {
    allocation: Box<Allocation>,
    path: Path,
    packet: Vec<u8>,
}

impl Parcel {
    /// Where its client is by now.
    pub fn path(&self) -> Path {
        self.path
    }
}

impl std::fmt::Debug for Parcel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parcel").finish_non_exhaustive()
    }
}

/// A path whose session another worker has.
pub(crate) struct Elsewhere {
    path: Path,
    worker: u16,
    /// Whether the other has said so; else it has only been asked.
    welcome: bool,
    unanswered: u8,
}

/// Such paths.
pub(crate) type Away = HashMap<ClientKey, Elsewhere, RandomState>;

impl Relay {
    /// Passes a packet on to the worker that has its session; tells whether it did.
    pub(crate) fn pass_on(&mut self, path: &Path, packet: &[u8]) -> bool {
        let Some(away) = self.away.get_mut(&path.into()) else {
            return false;
        };
        if away.unanswered < UNANSWERED {
            away.unanswered += 1;
            let (worker, by_ticket) = (away.worker, !away.welcome);
            self.visit(worker, path, packet, by_ticket);
        }
        true
    }

    /// Asks another worker about a Refresh whose ticket leads there; tells whether it did.
    pub(crate) fn ask_neighbour(
        &mut self,
        path: &Path,
        view: &MessageView<'_>,
        packet: &[u8],
    ) -> bool {
        if view.class() != Class::Request || self.find(path).is_some() {
            return false;
        }
        let Some((worker, _)) = self.led_to(view).filter(|to| to.0 != self.worker) else {
            return false;
        };
        let asked = self.away.values().filter(|away| !away.welcome).count();
        if asked >= ASKED {
            return false;
        }
        let away = Elsewhere {
            path: *path,
            worker,
            welcome: false,
            unanswered: 1,
        };
        self.away.insert(path.into(), away);
        self.visit(worker, path, packet, true);
        true
    }

    /// Takes a message of another worker.
    pub fn on_message(&mut self, now: Now, from: u16, message: Message) {
        match message.0 {
            Said::Visit {
                path,
                packet,
                by_ticket,
            } => self.visited(now, from, path, packet, by_ticket),
            Said::Answer {
                path,
                bytes,
                welcome,
            } => self.answered_by_neighbour(from, path, bytes, welcome),
            Said::Return { path, packet } => {
                self.one_answered(&path);
                self.act(Action::Serve { path, packet });
            }
            Said::Forget { path } => {
                // Late news of one worker are no news of another one, nor of a session that is here by now.
                let away = self.away.get(&(&path).into());
                if away.is_some_and(|away| away.worker == from) {
                    self.away.remove(&(&path).into());
                    self.occupied(&path, false);
                }
            }
            Said::Leave { path } => {
                if let Some(key) = self.visitors.get(&(from, (&path).into())).copied() {
                    self.forget_pending(key);
                }
            }
        }
    }

    /// Takes over a session of another worker, and names its relay sockets in the order in which they came.
    pub fn on_parcel(&mut self, now: Now, parcel: Parcel) -> Option<Vec<RelayId>> {
        let Parcel {
            mut allocation,
            path,
            packet,
        } = parcel;
        self.away.remove(&(&path).into());
        let from = std::mem::replace(&mut allocation.path, path);
        let moved = Event::Moved {
            session: allocation.session,
            user: allocation.user.clone(),
            from,
            to: path,
        };
        let (permissions, channels) = (allocation.permissions.len(), allocation.channels.len());
        let own = own_relays(&allocation);
        let key = self.adopt(*allocation)?;
        self.stats.permissions += permissions as u64;
        self.stats.channels += channels as u64;
        if let Some(mobility) = self
            .allocations
            .get(key)
            .and_then(|held| held.mobility.as_ref())
        {
            mobility.ticket.lead_to(self.worker, key);
        }
        self.act(Action::Event(moved));
        self.occupied(&path, true);
        if !packet.is_empty() {
            self.act(Action::Serve { path, packet });
        }
        self.enter_shared(key);
        // The worker that it comes from may not have reloaded yet.
        self.conform(now, key);
        Some(own.map(|version| RelayId::new(key, version)).collect())
    }

    /// Serves a packet that another worker has sent back, here and not there.
    pub fn on_returned(&mut self, now: Now, path: &Path, packet: &[u8]) -> Output<'_> {
        self.client_packet(now, path, packet)
    }

    /// A stream has ended that another worker has the session of.
    pub(crate) fn leave_neighbour(&mut self, link: LinkId) {
        let of_link =
            |away: &&Elsewhere| away.path.transport.is_connection() && away.path.link == link;
        let Some((path, worker)) = (self.away.values())
            .find(of_link)
            .map(|away| (away.path, away.worker))
        else {
            return;
        };
        self.away.remove(&(&path).into());
        self.post(worker, Said::Leave { path });
    }

    /// Tells a visitor's worker that there is no session for it.
    pub(crate) fn dismiss(&mut self, worker: u16, path: Path) {
        self.visitors.remove(&(worker, (&path).into()));
        self.post(worker, Said::Forget { path });
    }

    /// Sends a session to the worker that its client has moved to.
    pub(crate) fn send_over(&mut self, _now: Now, key: Key, packet: Vec<u8>) {
        let allocation = self.allocations.get_mut(key);
        let mobility = allocation.and_then(|held| held.mobility.as_mut());
        let Some(mobility) = mobility else { return };
        let Some(pending) = mobility.pending.take_if(|pending| pending.home.is_some()) else {
            return;
        };
        let Some((worker, path)) = pending.home else {
            return;
        };
        let was_lost = std::mem::replace(&mut mobility.lost, false);
        // The Refresh may still be repeated, from where the client is as its own worker knows it.
        if let Some(moved) = mobility.moved.as_mut() {
            moved.path = path;
        }
        self.visitors.remove(&(worker, (&path).into()));
        self.unlink_client(&pending.path);
        let Some(allocation) = self.abandon(key) else {
            return;
        };
        if !was_lost {
            self.occupied(&allocation.path, false);
        }
        let relays = own_relays(&allocation);
        let relays = relays.map(|version| RelayId::new(key, version)).collect();
        let parcel = Box::new(Parcel {
            allocation,
            path,
            packet,
        });
        self.act(Action::HandOver {
            worker,
            relays,
            parcel,
        });
    }

    /// Ends a session that could not be taken over; its sockets are closed by whoever has them.
    pub fn on_lost_parcel(&mut self, parcel: Parcel) {
        let allocation = parcel.allocation;
        self.act(Action::Event(Event::Ended {
            session: allocation.session,
            path: allocation.path,
            user: allocation.user.clone(),
            reason: EndReason::LinkClosed,
            traffic: allocation.traffic,
        }));
    }

    fn visited(&mut self, now: Now, from: u16, path: Path, packet: Vec<u8>, by_ticket: bool) {
        let known = self.visitors.get(&(from, (&path).into())).copied();
        let by_ticket = by_ticket.then(|| self.session_of_ticket(&packet)).flatten();
        let Some(key) = known.or(by_ticket) else {
            // A Refresh whose session has ended is answered where it came in, like everything that is for nobody.
            return self.post(from, Said::Return { path, packet });
        };
        if known.is_some() && is_data(&packet) {
            return self.send_over(now, key, packet);
        }
        let here = Path {
            link: LinkId(VISITORS | key.index()),
            ..path
        };
        self.visitor = Some((from, path));
        let answer = match self.client_packet(now, &here, &packet) {
            Output::Reply(bytes) => bytes.to_vec(),
            _ => Vec::new(),
        };
        self.visitor = None;
        let welcome = self.visitors.contains_key(&(from, (&path).into()));
        self.post(
            from,
            Said::Answer {
                path,
                bytes: answer,
                welcome,
            },
        );
        let lost = |held: &Allocation| held.mobility.as_ref().is_some_and(|held| held.lost);
        if welcome && self.allocations.get(key).is_some_and(lost) {
            self.send_over(now, key, Vec::new());
        }
    }

    fn answered_by_neighbour(&mut self, from: u16, path: Path, bytes: Vec<u8>, welcome: bool) {
        let is_free = self.find(&path).is_none();
        match self.away.get_mut(&(&path).into()) {
            Some(away) if away.worker == from => {
                let was_welcome = std::mem::replace(&mut away.welcome, welcome);
                self.one_answered(&path);
                if welcome != was_welcome {
                    self.occupied(&path, welcome);
                }
            }
            // What came back of an earlier visit has been taken for the last of this one.
            None if welcome && is_free => {
                let away = Elsewhere {
                    path,
                    worker: from,
                    welcome,
                    unanswered: 0,
                };
                self.away.insert((&path).into(), away);
                self.occupied(&path, true);
            }
            _ => {}
        }
        // Also where the path is forgotten by now: that is how the client's end of its session arrives here.
        if !bytes.is_empty() {
            self.act(Action::Send { path, bytes });
        }
    }

    /// One packet that was passed on is accounted for. A path that is asked about and not welcome is forgotten with the last.
    fn one_answered(&mut self, path: &Path) {
        if let Some(away) = self.away.get_mut(&path.into()) {
            away.unanswered = away.unanswered.saturating_sub(1);
            if away.unanswered == 0 && !away.welcome {
                self.away.remove(&path.into());
            }
        }
    }

    fn session_of_ticket(&self, packet: &[u8]) -> Option<Key> {
        let Ok(Packet::Stun(view)) = turn_wire::parse(packet) else {
            return None;
        };
        let (worker, key) = self.led_to(&view)?;
        (worker == self.worker).then_some(key)
    }

    fn visit(&mut self, worker: u16, path: &Path, packet: &[u8], by_ticket: bool) {
        let (path, packet) = (*path, packet.to_vec());
        self.post(
            worker,
            Said::Visit {
                path,
                packet,
                by_ticket,
            },
        );
    }

    fn post(&mut self, worker: u16, said: Said) {
        let message = Message(said);
        self.act(Action::Post { worker, message });
    }

    fn occupied(&mut self, path: &Path, occupied: bool) {
        if path.transport.is_connection() {
            let link = path.link;
            self.act(Action::Occupied { link, occupied });
        }
    }
}

/// Which relay sockets are the allocation's alone; shared ones are there on every worker.
fn own_relays(allocation: &Allocation) -> impl Iterator<Item = Version> + use<> {
    let own = |held: &&Relayed| held.claim.place().is_none();
    let own: Vec<Version> = allocation
        .relays
        .iter()
        .filter(own)
        .map(|held| Version::of(held.local.ip()))
        .collect();
    own.into_iter()
}

/// Whether a packet is what shows that its client has moved: ChannelData or a Send indication (RFC 8016 §3.2.2).
fn is_data(packet: &[u8]) -> bool {
    match turn_wire::parse(packet) {
        Ok(Packet::ChannelData(_)) => true,
        Ok(Packet::Stun(view)) => {
            (view.class(), view.method()) == (Class::Indication, Method::SEND)
        }
        Err(_) => false,
    }
}
