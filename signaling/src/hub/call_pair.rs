//! What passed between two members of a call, as far as it decides what may pass next.
//!
//! In: candidates follow their description and reach those who were still being rung, and of two crossing offers one goes first.
//! Not in: who the two are, and how they are told (`call_signals.rs`).
//!
//! Plain WebRTC clients lose what comes too early: `addIceCandidate` fails before `setRemoteDescription`, and whoever makes
//! the peer connection only once a person has accepted hears nothing of what came while it rang. They also have no rollback
//! when both sides offer at once. That is settled here, so that no client has to.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Limits, Payload, SignalKind, UserId};

/// Two members of a call.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Pair {
    users: [UserId; 2],
    /// Which of them has told the other its description.
    described: [bool; 2],
    /// The latest offer that nobody answered, and when it passed.
    pending: Option<(Passing, Duration)>,
    /// An offer that crossed it and waits. It is stale once the other is answered: its sender had to roll it back to answer.
    crossed: Option<Passing>,
    /// Candidates that came before their description.
    early: Vec<Passing>,
    /// Candidates that passed while their recipient was being rung; repeated when it answers, because adding one twice is harmless.
    missed: Vec<Passing>,
    /// Opaque signals to somebody who is still being rung. Nobody knows what they are, and so whether they could be repeated.
    sealed: Vec<Passing>,
}

/// Something of `from` that is to be told to the other.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Passing {
    pub(super) from: UserId,
    pub(super) kind: SignalKind,
    pub(super) data: Payload,
}

impl Pair {
    pub(super) fn new(one: &UserId, other: &UserId) -> Pair {
        let users = [one.clone(), other.clone()];
        Pair {
            users,
            described: [false; 2],
            pending: None,
            crossed: None,
            early: Vec::new(),
            missed: Vec::new(),
            sealed: Vec::new(),
        }
    }

    pub(super) fn is_between(&self, one: &UserId, other: &UserId) -> bool {
        self.users.contains(one) && self.users.contains(other)
    }

    pub(super) fn involves(&self, user: &UserId) -> bool {
        self.users.contains(user)
    }

    pub(super) fn other<'a>(&'a self, user: &UserId) -> &'a UserId {
        let [one, other] = &self.users;
        if one == user { other } else { one }
    }

    /// The offer of `from` that the other has not answered yet.
    pub(super) fn offer_of(&self, from: &UserId) -> Option<Payload> {
        let (offer, _) = self.pending.as_ref()?;
        (offer.from == *from).then(|| offer.data.clone())
    }

    /// Says whether something waits for [`Pair::release`].
    pub(super) fn holds(&self) -> bool {
        self.crossed.is_some() || !self.early.is_empty()
    }

    /// Notes an offer and returns what passes now. `ringing`: its recipient has not accepted yet. One that there is no room for, of
    /// `free` bytes, passes as well: it is not told again to who is called elsewhere, nor does another one wait for its answer.
    pub(super) fn offer(
        &mut self,
        now: Duration,
        mut offer: Passing,
        ringing: bool,
        free: usize,
        limits: &Limits,
    ) -> Vec<Passing> {
        // The one before it makes room.
        let is_kept = offer.data.as_str().len() <= free + self.offer_bytes();
        if let Some((other, at)) = &self.pending
            && is_kept
            && other.from != offer.from
            && now < *at + limits.hold
        {
            self.crossed = Some(offer);
            return Vec::new();
        }
        if ringing {
            // A renegotiation presumes a connection. As long as it rings there is none, and this is simply a newer offer.
            offer.kind = SignalKind::Offer;
        }
        self.describe(&offer.from);
        let mut passing = vec![offer.clone()];
        passing.append(&mut self.early_of(&offer.from));
        if ringing {
            self.missed.extend_from_slice(&passing[1..]);
        }
        self.pending = is_kept.then_some((offer, now));
        passing
    }

    /// Bytes of the offers that wait to be answered, or to pass.
    pub(super) fn offer_bytes(&self) -> usize {
        let pending = self.pending.as_ref().map(|(offer, _)| offer);
        let waiting = pending.into_iter().chain(&self.crossed);
        waiting.map(|offer| offer.data.as_str().len()).sum()
    }

    /// Notes an answer and returns what passes now.
    pub(super) fn answer(&mut self, answer: Passing) -> Vec<Passing> {
        if self
            .pending
            .as_ref()
            .is_some_and(|(offer, _)| offer.from != answer.from)
        {
            self.pending = None;
            self.crossed = None;
        }
        self.describe(&answer.from);
        let mut passing = self.early_of(&answer.from);
        let (mut missed, kept) = std::mem::take(&mut self.missed)
            .into_iter()
            .partition(|missed| missed.from != answer.from);
        self.missed = kept;
        passing.insert(0, answer);
        passing.append(&mut missed);
        passing
    }

    /// Says whether a candidate of `from` would have to be kept now.
    pub(super) fn keeps_candidates(&self, from: &UserId, ringing: bool) -> bool {
        ringing || !self.has_described(from)
    }

    /// Notes a candidate and returns what passes now; what has to wait is kept within bounds, of which `free` bytes are left.
    pub(super) fn candidate(
        &mut self,
        candidate: Passing,
        ringing: bool,
        free: usize,
        limits: &Limits,
    ) -> Vec<Passing> {
        let waits = self.keeps_candidates(&candidate.from, ringing);
        let described = self.has_described(&candidate.from);
        let kept = if described {
            &mut self.missed
        } else {
            &mut self.early
        };
        let room = kept
            .iter()
            .filter(|kept| kept.from == candidate.from)
            .count()
            < limits.held_candidates
            && candidate.data.as_str().len() <= free;
        if room && waits {
            kept.push(candidate.clone());
        }
        if described {
            vec![candidate]
        } else {
            Vec::new()
        }
    }

    /// Keeps an opaque signal until its recipient has accepted, within bounds; returns what passes now.
    pub(super) fn opaque(
        &mut self,
        said: Passing,
        ringing: bool,
        free: usize,
        limits: &Limits,
    ) -> Vec<Passing> {
        let room = self.sealed.len() < limits.held_candidates && said.data.as_str().len() <= free;
        if ringing && room {
            self.sealed.push(said);
            return Vec::new();
        }
        vec![said]
    }

    /// Takes out what was kept for `user` to accept.
    pub(super) fn unseal(&mut self, user: &UserId) -> Vec<Passing> {
        let (kept, others) = std::mem::take(&mut self.sealed)
            .into_iter()
            .partition(|sealed| sealed.from != *user);
        self.sealed = others;
        kept
    }

    /// Lets pass what waited long enough: better early than never.
    pub(super) fn release(&mut self, now: Duration) -> Vec<Passing> {
        let mut passing = Vec::new();
        if let Some(offer) = self.crossed.take() {
            self.describe(&offer.from);
            self.pending = Some((offer.clone(), now));
            passing.push(offer);
        }
        passing.append(&mut self.early);
        passing
    }

    /// Bytes of the candidates that wait.
    pub(super) fn held_bytes(&self) -> usize {
        let held = self.early.iter().chain(&self.missed).chain(&self.sealed);
        held.map(|candidate| candidate.data.as_str().len()).sum()
    }

    /// Says whether something is kept to be repeated to `user`.
    pub(super) fn keeps_for(&self, user: &UserId) -> bool {
        self.involves(user) && self.missed.iter().any(|missed| missed.from != *user)
    }

    /// Drops what is kept to be repeated to `user`.
    pub(super) fn forget_missed(&mut self, user: &UserId) {
        if self.involves(user) {
            self.missed.retain(|missed| missed.from == *user);
            self.missed.shrink_to_fit();
        }
    }

    fn has_described(&self, user: &UserId) -> bool {
        let mut users = self.users.iter().zip(self.described);
        users.any(|(of, described)| described && of == user)
    }

    fn describe(&mut self, user: &UserId) {
        for (of, described) in self.users.iter().zip(&mut self.described) {
            *described |= of == user;
        }
    }

    fn early_of(&mut self, user: &UserId) -> Vec<Passing> {
        let (now, later) = std::mem::take(&mut self.early)
            .into_iter()
            .partition(|early| early.from == *user);
        self.early = later;
        now
    }
}
