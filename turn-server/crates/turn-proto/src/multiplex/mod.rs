//! One relay port for many allocations (coturn's `multiplex-peer`): which shared sockets there are, and whose packet it is.
//!
//! A relayed address is not a socket: where ports are few, allocations share them, and a packet from a peer is told apart
//! by where it comes from and by what it says. In here: the shared addresses, their members, and that decision. Not in
//! here: permissions, which are examined all the same before anything reaches a client.
//!
//! # How it is decided
//!
//! 1. The packet says it (`clue`): an answer goes to who has asked, an ICE check to who has checked that agent.
//! 2. Else it goes to the member whom the peer at that very address and port has last answered or checked; where no ICE is
//!    spoken, to the one that has last sent there.
//! 3. Else to the only member that permits its IP address. Never to two, and to nobody if there are several.
//!
//! What is left undecided: two members that send to the *same* address and port of a peer from the *same* shared port are
//! one address for that peer. It cannot tell them apart, so neither can we; only with a further shared port they are two.
//! New allocations go to the port with the fewest members for that reason.
//!
//! # Between members
//!
//! A packet for a shared address of this server is not sent through the kernel: it would come back from an address that is
//! that of many, and who has sent it is known here. Who talks with whom is learned from their checks.
//!
//! # Workers
//!
//! Each shared socket is read by one worker, its owner; all send through it. A packet for a member on another worker is
//! passed on ([`crate::Action::PassOn`]). With a port per worker that does not happen, and the locks here are never waited for.

mod clue;
mod crowd;
mod table;

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use self::table::{Arrival, Table};
use crate::{
    peer::{PeerAddr, PeerIp},
    slab::Key,
};

/// An allocation among all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Member {
    pub(crate) worker: u16,
    pub(crate) key: Key,
}

impl Member {
    /// The worker on which the allocation lives.
    pub fn worker(self) -> u16 {
        self.worker
    }
}

/// The relay addresses that allocations share.
#[derive(Debug)]
pub struct Multiplex {
    ports: RangeInclusive<u16>,
    relays: Box<[SharedRelay]>,
    max_peers: usize,
}

#[derive(Debug)]
struct SharedRelay {
    local: SocketAddr,
    owner: u16,
    members: AtomicUsize,
    table: Mutex<Table>,
}

impl Multiplex {
    /// Shares these ports of every relay address among `workers`, which own them in turn. Each member may send to `max_peers`
    /// addresses and permit as many.
    pub fn new(
        addresses: &[IpAddr],
        ports: RangeInclusive<u16>,
        workers: usize,
        max_peers: usize,
    ) -> Self {
        let owned = ports.clone().zip((0..workers.max(1)).cycle());
        let relays = owned.flat_map(|(port, owner)| {
            addresses.iter().map(move |ip| SharedRelay {
                local: SocketAddr::new(*ip, port),
                owner: u16::try_from(owner).unwrap_or(u16::MAX),
                members: AtomicUsize::new(0),
                table: Mutex::default(),
            })
        });
        Self {
            relays: relays.collect(),
            ports,
            max_peers,
        }
    }

    /// The ports, of every address.
    pub(crate) fn ports(&self) -> RangeInclusive<u16> {
        self.ports.clone()
    }

    /// The shared sockets in the order of their places, each with the worker that reads it.
    pub fn sockets(&self) -> impl Iterator<Item = (SocketAddr, usize)> + '_ {
        let relays = self.relays.iter();
        relays.map(|relay| (relay.local, usize::from(relay.owner)))
    }

    /// How many allocations share all of the sockets; one with two relayed addresses counts twice.
    pub fn members(&self) -> usize {
        let relays = self.relays.iter();
        relays
            .map(|relay| relay.members.load(Ordering::Relaxed))
            .sum()
    }

    /// How many things are remembered of all members: zero when there is none.
    pub fn remembered(&self) -> usize {
        self.relays.iter().map(|relay| relay.table().len()).sum()
    }

    /// How many addresses a member may send to or permit.
    pub(crate) fn max_peers(&self) -> usize {
        self.max_peers
    }

    /// The place of an address, if it is shared.
    pub(crate) fn place_of(&self, address: SocketAddr) -> Option<u32> {
        if !self.ports.contains(&address.port()) {
            return None;
        }
        // Port by port, all addresses of one after the other.
        let addresses = self.relays.len() / self.ports.len().max(1);
        let first = usize::from(address.port() - self.ports.start()) * addresses;
        let mut relays = self.relays.get(first..first + addresses)?.iter();
        let place = relays.position(|relay| relay.local == address)?;
        u32::try_from(first + place).ok()
    }

    /// The address for a new member: one that its worker reads, if there is any, and of these the one with fewest members.
    pub(crate) fn choose(&self, ip: IpAddr, worker: u16, even: bool) -> Option<SocketAddr> {
        let fits = |relay: &&SharedRelay| {
            let local = relay.local;
            local.ip() == ip && (!even || local.port().is_multiple_of(2))
        };
        let relays = self.relays.iter().filter(fits);
        let busy = |relay: &&SharedRelay| {
            let members = relay.members.load(Ordering::Relaxed);
            (relay.owner != worker, members)
        };
        relays.min_by_key(busy).map(|relay| relay.local)
    }

    pub(crate) fn join(&self, place: u32, member: Member) {
        if let Some(relay) = self.relay(place) {
            relay.members.fetch_add(1, Ordering::Relaxed);
            relay.table().join(member);
        }
    }

    pub(crate) fn leave(&self, place: u32, member: Member) {
        if let Some(relay) = self.relay(place) {
            relay.members.fetch_sub(1, Ordering::Relaxed);
            relay.table().leave(member);
        }
        // It may have talked with members of the others.
        for relay in &self.relays {
            relay.table().unpair(member);
        }
    }

    pub(crate) fn permit(&self, place: u32, member: Member, ip: PeerIp) {
        if let Some(relay) = self.relay(place) {
            relay.table().permit(member, ip);
        }
    }

    pub(crate) fn restrict(
        &self,
        place: u32,
        member: Member,
        permits: impl Fn(PeerIp) -> bool,
        bound: impl Fn(PeerAddr) -> bool,
    ) {
        if let Some(relay) = self.relay(place) {
            relay.table().restrict(member, permits, bound);
        }
    }

    /// Whether a member may send to one more address.
    pub(crate) fn has_room(&self, place: u32, member: Member, to: PeerAddr) -> bool {
        let relay = self.relay(place);
        relay.is_some_and(|relay| relay.table().has_room(member, to, self.max_peers))
    }

    /// Notes that a member sends to an address, which it calls by the IP address `named`; false if it may not.
    pub(crate) fn note(
        &self,
        place: u32,
        member: Member,
        to: PeerAddr,
        named: PeerIp,
        payload: &[u8],
    ) -> bool {
        let relay = self.relay(place);
        relay.is_some_and(|relay| {
            let mut table = relay.table();
            table.note(member, to, named, self.max_peers, payload)
        })
    }

    /// Decides whom a packet of a peer is for.
    pub(crate) fn route(&self, place: u32, from: PeerAddr, payload: &[u8]) -> Option<Member> {
        let arrival = Arrival {
            from,
            known_as: [from.ip(); 2],
            sender: None,
            payload,
        };
        let verdict = self.relay(place)?.table().route(&arrival)?;
        Some(verdict.member)
    }

    /// Decides whom a packet is for that a member of one place sends to another place, or to its own; `told` is the address
    /// by which clients know the sender.
    pub(crate) fn route_inside(
        &self,
        sender: Member,
        places: [u32; 2],
        told: PeerIp,
        payload: &[u8],
    ) -> Option<Member> {
        let [own, other] = places;
        let from = PeerAddr::of(self.relay(own)?.local)?;
        let arrival = Arrival {
            from,
            known_as: [from.ip(), told],
            sender: Some(sender),
            payload,
        };
        // One lock at a time: members of two places may send to each other at once.
        let verdict = self.relay(other)?.table().route(&arrival)?;
        if verdict.certain {
            self.relay(other)?.table().pair(sender, verdict.member);
            self.relay(own)?.table().pair(verdict.member, sender);
            // It may have left on its own worker meanwhile, and then nobody else takes this back.
            if !self.relay(other)?.table().has(verdict.member) {
                self.relay(own)?.table().unpair(verdict.member);
            }
        }
        Some(verdict.member)
    }

    fn relay(&self, place: u32) -> Option<&SharedRelay> {
        self.relays.get(usize::try_from(place).ok()?)
    }
}

impl SharedRelay {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
