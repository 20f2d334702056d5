//! Whom a packet on one shared relay address is for: what each member permits, has sent to, and is known by.
//!
//! Everything here is bounded: by the number of members, by what each may permit and send to, and by a few remembered
//! transactions and names of each. A member that leaves takes everything along.

use std::collections::VecDeque;

use turn_wire::TransactionId;

use super::{
    Member,
    clue::{Clue, reversed},
    crowd::{Crowd, Map},
};
use crate::peer::{PeerAddr, PeerIp};

/// Transactions remembered of one member. Checks are paced 50 ms apart at most (RFC 8445 §14.2), so this is what is on its
/// way to and fro within 1.6 s.
const TRANSACTIONS: usize = 32;

/// Names remembered of one member: one for each peer agent, and another at each ICE restart.
const NAMES: usize = 16;

/// How many guests are looked at to find the only one that has no name yet.
const GUESTS: usize = 64;

/// A packet that has come, or that a member of this server sends to another.
pub(super) struct Arrival<'p> {
    /// Where it comes from, as sockets have it.
    pub(super) from: PeerAddr,
    /// The IP addresses by which it may have been permitted: that one, and for our own relays the one that clients are told.
    pub(super) known_as: [PeerIp; 2],
    /// Who sends it, if that is known.
    pub(super) sender: Option<Member>,
    pub(super) payload: &'p [u8],
}

/// Whom a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) member: Member,
    /// The packet itself has said so, and that its sender knows that member.
    pub(super) certain: bool,
}

/// The members of one shared relay address.
#[derive(Debug, Default)]
pub(super) struct Table {
    seats: Map<Member, Seat>,
    /// Who has sent to an address.
    flows: Map<PeerAddr, Crowd>,
    /// Who permits an IP address.
    guests: Map<PeerIp, Crowd>,
    asked: Map<(PeerAddr, TransactionId), Member>,
    named: Map<(PeerIp, Box<[u8]>), Member>,
    /// With whom here a member of this server talks, by what their checks have said.
    pairs: Map<Member, Member>,
}

/// What one member has here.
#[derive(Debug, Default)]
struct Seat {
    permits: Vec<PeerIp>,
    /// The addresses it has sent to, and the permission for each, as its client names it.
    flows: Map<PeerAddr, PeerIp>,
    asked: VecDeque<(PeerAddr, TransactionId)>,
    named: VecDeque<(PeerIp, Box<[u8]>)>,
}

impl Table {
    pub(super) fn join(&mut self, member: Member) {
        self.seats.entry(member).or_default();
    }

    pub(super) fn has(&self, member: Member) -> bool {
        self.seats.contains_key(&member)
    }

    pub(super) fn leave(&mut self, member: Member) {
        let Some(seat) = self.seats.remove(&member) else {
            return;
        };
        for peer in seat.flows.keys() {
            Crowd::leave(&mut self.flows, peer, member);
        }
        for ip in &seat.permits {
            Crowd::leave(&mut self.guests, ip, member);
        }
        for transaction in &seat.asked {
            forget(&mut self.asked, transaction, member);
        }
        for name in &seat.named {
            forget(&mut self.named, name, member);
        }
    }

    pub(super) fn permit(&mut self, member: Member, ip: PeerIp) {
        if let Some(seat) = self.seats.get_mut(&member)
            && !seat.permits.contains(&ip)
        {
            seat.permits.push(ip);
            Crowd::join(&mut self.guests, ip, member);
        }
    }

    /// Drops what a member may not do any more: permissions, and flows whose permission and channel are both gone.
    pub(super) fn restrict(
        &mut self,
        member: Member,
        permits: impl Fn(PeerIp) -> bool,
        bound: impl Fn(PeerAddr) -> bool,
    ) {
        let Some(seat) = self.seats.get_mut(&member) else {
            return;
        };
        seat.permits.retain(|ip| {
            let keep = permits(*ip);
            if !keep {
                Crowd::leave(&mut self.guests, ip, member);
            }
            keep
        });
        seat.flows.retain(|peer, named| {
            let keep = permits(*named) || bound(*peer);
            if !keep {
                Crowd::leave(&mut self.flows, peer, member);
            }
            keep
        });
    }

    /// Whether one more address may be sent to, of at most `max`.
    pub(super) fn has_room(&self, member: Member, to: PeerAddr, max: usize) -> bool {
        let seat = self.seats.get(&member);
        seat.is_some_and(|seat| seat.flows.len() < max || seat.flows.contains_key(&to))
    }

    /// Notes that a member sends; false if it may not send to so many addresses.
    pub(super) fn note(
        &mut self,
        member: Member,
        to: PeerAddr,
        named: PeerIp,
        max: usize,
        payload: &[u8],
    ) -> bool {
        match self.flows.get_mut(&to) {
            Some(crowd) if crowd.last == member => {}
            crowd => {
                let Some(seat) = self.seats.get_mut(&member) else {
                    return false;
                };
                match crowd {
                    Some(crowd) if seat.flows.contains_key(&to) => crowd.last = member,
                    _ if seat.flows.len() >= max => return false,
                    _ => {
                        seat.flows.insert(to, named);
                        Crowd::join(&mut self.flows, to, member);
                    }
                }
            }
        }
        if let Clue::Asks(id, name) = Clue::of(payload) {
            self.learn(member, to, id, name);
        }
        true
    }

    /// Remembers by what a member can be known when it is answered or asked back. Whoever was first stays known by it.
    fn learn(&mut self, member: Member, to: PeerAddr, id: TransactionId, name: Option<&[u8]>) {
        let Some(seat) = self.seats.get_mut(&member) else {
            return;
        };
        let transaction = (to, id);
        if *self.asked.entry(transaction).or_insert(member) == member
            && !seat.asked.contains(&transaction)
        {
            seat.asked.push_back(transaction);
        }
        if let Some(back) = name.and_then(reversed) {
            let name = (to.ip(), back);
            if *self.named.entry(name.clone()).or_insert(member) == member
                && !seat.named.contains(&name)
            {
                seat.named.push_back(name);
            }
        }
        if seat.asked.len() > TRANSACTIONS
            && let Some(old) = seat.asked.pop_front()
        {
            forget(&mut self.asked, &old, member);
        }
        if seat.named.len() > NAMES
            && let Some(old) = seat.named.pop_front()
        {
            forget(&mut self.named, &old, member);
        }
    }

    /// Forgets with whom here a member of this or another place talks.
    pub(super) fn unpair(&mut self, sender: Member) {
        self.pairs.remove(&sender);
    }

    /// Remembers that one member talks with another one here.
    pub(super) fn pair(&mut self, sender: Member, with: Member) {
        self.pairs.insert(sender, with);
    }

    /// Decides whom a packet is for; nobody, if it could be for several and nothing tells them apart.
    pub(super) fn route(&mut self, arrival: &Arrival<'_>) -> Option<Verdict> {
        let clue = Clue::of(arrival.payload);
        let mut verdict = self.judge(arrival, clue)?;
        // Being refused is no proof of being known.
        verdict.certain &= !matches!(clue, Clue::Answers(_, false));
        if verdict.certain
            && let Some(flow) = self.flows.get_mut(&arrival.from)
        {
            flow.knows(verdict.member);
        }
        Some(verdict)
    }

    fn judge(&self, arrival: &Arrival<'_>, clue: Clue<'_>) -> Option<Verdict> {
        let certain = |member: &Member| Verdict {
            member: *member,
            certain: true,
        };
        match clue {
            Clue::Answers(id, _) => {
                let asked = self.asked.get(&(arrival.from, id));
                if let Some(member) = asked.filter(|member| arrival.may_go_to(member)) {
                    return Some(certain(member));
                }
            }
            Clue::Asks(_, Some(name)) => {
                let name = (arrival.from.ip(), Box::from(name));
                let named = self.named.get(&name);
                if let Some(member) = named.filter(|member| arrival.may_go_to(member)) {
                    return Some(certain(member));
                }
            }
            _ => {}
        }
        let guess = match (clue, arrival.sender) {
            // Somebody whom none of those is who have names here: the only one that has none may be meant.
            (Clue::Asks(_, Some(_)), _) => {
                self.sole_guest(arrival).or_else(|| self.nameless(arrival))
            }
            (_, None) => {
                let flow = self.flows.get(&arrival.from).map(Crowd::meant);
                flow.or_else(|| self.sole_guest(arrival))
            }
            // The address is that of many members: only who talks with whom tells them apart.
            (_, Some(sender)) => {
                let paired = self.pairs.get(&sender).copied();
                let paired = paired.filter(|member| self.seats.contains_key(member));
                paired
                    .or_else(|| self.sole_guest(arrival))
                    .or_else(|| self.sole_sender(arrival))
            }
        };
        guess.map(|member| Verdict {
            member,
            certain: false,
        })
    }

    fn guests<'t>(&'t self, arrival: &'t Arrival<'_>) -> impl Iterator<Item = Member> + 't {
        let [one, other] = arrival.known_as;
        let second = (one != other).then_some(other);
        let crowds = [Some(one), second].into_iter().flatten();
        let members = crowds.filter_map(|ip| self.guests.get(&ip));
        let members = members.flat_map(|crowd| crowd.members.iter().copied());
        members
            .filter(|member| arrival.may_go_to(member))
            .take(GUESTS)
    }

    fn sole_guest(&self, arrival: &Arrival<'_>) -> Option<Member> {
        sole(self.guests(arrival))
    }

    fn nameless(&self, arrival: &Arrival<'_>) -> Option<Member> {
        let from = arrival.from.ip();
        sole(self.guests(arrival).filter(|member| {
            let seat = self.seats.get(member);
            seat.is_some_and(|seat| seat.named.iter().all(|(ip, _)| *ip != from))
        }))
    }

    fn sole_sender(&self, arrival: &Arrival<'_>) -> Option<Member> {
        let members = self.flows.get(&arrival.from)?.members.iter().copied();
        sole(
            members
                .filter(|member| arrival.may_go_to(member))
                .take(GUESTS),
        )
    }

    /// How much is remembered.
    pub(super) fn len(&self) -> usize {
        let crowds = self.flows.len() + self.guests.len();
        self.seats.len() + crowds + self.asked.len() + self.named.len() + self.pairs.len()
    }
}

impl Arrival<'_> {
    /// Nobody hears its own words by a guess.
    fn may_go_to(&self, member: &Member) -> bool {
        self.sender != Some(*member)
    }
}

/// The only member among these, who may be named twice.
fn sole(mut members: impl Iterator<Item = Member>) -> Option<Member> {
    let first = members.next()?;
    members.all(|member| member == first).then_some(first)
}

/// Forgets by what a member was known, unless another one is.
fn forget<K: std::hash::Hash + Eq>(known: &mut Map<K, Member>, key: &K, member: Member) {
    if known.get(key) == Some(&member) {
        known.remove(key);
    }
}
