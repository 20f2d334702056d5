//! Answers: what a handler has decided becomes bytes here, for every method alike.

use std::sync::Arc;

use turn_auth::{Credentials, Offer, SecurityFeatures};
use turn_wire::{Fingerprint, MessageView, Method};

use crate::{
    Action, Event, Now, Output, Path, Transport,
    auth::{Lookup, Requester, Unproven},
    handle::resume,
    reject::Reject,
    relay::Relay,
    room::{Room, attribute_len},
};

/// What a handler has decided to answer.
pub(crate) enum Done {
    /// The answer follows when the driver has replied.
    Later,
    /// Success without attributes.
    Success,
    /// Success of a Refresh: the lifetime in seconds, zero when the allocation is gone.
    Refreshed(u32),
    /// Success of a Refresh from another 5-tuple: besides, the new ticket (RFC 8016 §3.2.2).
    Moved(u32, Box<[u8]>),
    /// These bytes, again.
    Again(Box<[u8]>),
}

/// The longest part of a user's name that is handed on to logs.
const LOGGED_NAME: usize = 64;

impl Relay {
    /// Answers a request other than Binding.
    pub(crate) fn request(
        &mut self,
        now: Now,
        path: &Path,
        view: &MessageView<'_>,
        lookup: Lookup<'_>,
    ) -> Output<'_> {
        if matches!(lookup, Lookup::NotAsked) {
            self.stats.count_request(view.method());
        }
        let requester = match self.authenticate(now, path, view, lookup) {
            Ok(requester) => requester,
            Err(Unproven::NeedsKey(username)) => return Output::NeedsKey { username },
            Err(Unproven::Refused(reject)) => return self.refuse(now, path, view, &reject, None),
        };
        match self.dispatch(now, path, view, &requester) {
            Ok(done) => self.confirm(path, view, done, &requester),
            Err(reject) => self.refuse(now, path, view, &reject, Some(&requester)),
        }
    }

    fn confirm(
        &mut self,
        path: &Path,
        view: &MessageView<'_>,
        done: Done,
        requester: &Requester,
    ) -> Output<'_> {
        let fingerprint = self.wants_fingerprint(view);
        let (lifetime, ticket) = match done {
            Done::Later => return Output::Nothing,
            Done::Again(bytes) => {
                self.again = bytes.into();
                return Output::Reply(&self.again);
            }
            Done::Success => {
                self.tell_of_success(path, view.method(), requester);
                (None, None)
            }
            Done::Refreshed(lifetime) => (Some(lifetime), None),
            Done::Moved(lifetime, ticket) => (Some(lifetime), Some(ticket)),
        };
        self.stats.successes += 1;
        let mut answer = self.responder.success(view.method(), view.transaction_id());
        if let Some(lifetime) = lifetime {
            answer = answer.lifetime(lifetime);
        }
        if let Some(ticket) = &ticket {
            answer = answer.mobility_ticket(ticket);
        }
        if let Some(software) = &self.config.software {
            answer = answer.software(software);
        }
        let bytes = answer.finish(requester.integrity(), fingerprint);
        if lifetime == Some(0) {
            self.recent.keep(*path, view.transaction_id(), bytes);
        }
        if let Some(key) = requester.allocation.filter(|_| ticket.is_some()) {
            resume::remember_answer(&mut self.allocations, key, bytes);
        }
        Output::Reply(bytes)
    }

    /// Writes an error response. Without a requester it is not signed, and over UDP it is as short as it can be.
    pub(crate) fn refuse(
        &mut self,
        now: Now,
        path: &Path,
        view: &MessageView<'_>,
        reject: &Reject,
        requester: Option<&Requester>,
    ) -> Output<'_> {
        let fingerprint = self.wants_fingerprint(view);
        self.count(reject);
        if requester.is_none() && !self.may_answer_stranger(now, path) {
            self.stats.unauthorized_withheld += u64::from(*reject == Reject::Unauthorized);
            return Output::Nothing;
        }
        if view.has_integrity() {
            self.report(path, view, reject);
        }
        let mut room = Room::of(path, view, requester.is_some(), fingerprint);
        let credentials = &self.config.credentials;
        let challenge = matches!(reject, Reject::Unauthorized | Reject::StaleNonce);
        let features = SecurityFeatures {
            password_algorithms: true,
            username_anonymity: self.hides_usernames(),
        };
        let full = Offer {
            features,
            algorithms: self.listed_algorithms(),
        };
        let offer = challenge.then(|| affordable(full, credentials, &mut room));
        let alternate = (*reject == Reject::TryAlternate)
            .then(|| {
                self.next_alternate = self.next_alternate.wrapping_add(1);
                self.config.alternates.pick(path, self.next_alternate)
            })
            .flatten();
        if let Some(alternate) = alternate {
            room.take(attribute_len(if alternate.server.is_ipv4() {
                8
            } else {
                20
            }));
        }
        let reason = self.reason(reject);
        let fits = room.take_if_free(reason.len().next_multiple_of(4));
        let reason = if fits { reason } else { "" };
        let (method, id) = (view.method(), view.transaction_id());
        let mut answer = self.responder.error(method, id, reject.code(), reason);
        if let Some(offer) = offer {
            let nonce = self.config.nonce_key.issue(
                path.challenged(),
                path.transport as u8,
                now.unix,
                offer,
            );
            answer = answer.nonce(nonce.as_bytes()).realm(&credentials.realm);
            if let Some(offer) = offer {
                answer = answer.password_algorithms(offer.algorithms);
            }
            if let Some(tokens) = credentials.tokens() {
                answer = answer.third_party_authorization(tokens.server());
            }
        }
        if let Some(alternate) = alternate {
            answer = answer.alternate_server(alternate.server);
            let secure = matches!(path.transport, Transport::Tls | Transport::Dtls);
            if let Some(domain) = alternate.domain.as_deref().filter(|_| secure) {
                answer = answer.alternate_domain(domain);
            }
        }
        if let Reject::UnknownAttributes(kinds) = reject {
            answer = answer.unknown_attributes(kinds);
        }
        Output::Reply(answer.finish(requester.and_then(Requester::integrity), fingerprint))
    }

    /// Decides whether one more answer goes to somebody who has proved nothing. Whoever has an allocation has proved it, and a
    /// stream proves that its client is where it says.
    pub(crate) fn may_answer_stranger(&mut self, now: Now, path: &Path) -> bool {
        let Some(limit) = &self.config.guard.replies else {
            return true;
        };
        let may = path.transport != Transport::Udp
            || self.find(path).is_some()
            || limit.take(now.mono, path.client.ip());
        self.stats.replies_withheld += u64::from(!may);
        may
    }

    /// What an answer to somebody who is known says in words.
    pub(crate) fn reason(&self, reject: &Reject) -> &'static str {
        if self.config.reasons {
            reject.reason()
        } else {
            ""
        }
    }

    pub(crate) fn wants_fingerprint(&self, view: &MessageView<'_>) -> bool {
        self.config.always_fingerprint || view.fingerprint() == Fingerprint::Right
    }

    pub(crate) fn count(&mut self, reject: &Reject) {
        self.stats.errors += 1;
        self.stats.count_error(reject.code());
        match reject {
            Reject::Unauthorized => self.stats.unauthorized += 1,
            Reject::StaleNonce => self.stats.stale_nonces += 1,
            Reject::QuotaReached(capped) | Reject::LimitReached(capped) => {
                self.stats.limits.count(*capped);
            }
            _ => {}
        }
    }

    /// Tells the log of a request that has succeeded, if it is to know.
    fn tell_of_success(&mut self, path: &Path, method: Method, requester: &Requester) {
        if !self.config.reported.peers {
            return;
        }
        let allocation = requester.allocation;
        let allocation = allocation.and_then(|key| self.allocations.get(key));
        self.act(Action::Event(Event::Served {
            session: allocation.map(|allocation| allocation.session),
            path: *path,
            user: Arc::clone(&requester.user),
            method: method_name(method),
        }));
    }

    fn report(&mut self, path: &Path, view: &MessageView<'_>, reject: &Reject) {
        let short = |name: &str| {
            name.chars()
                .take(LOGGED_NAME)
                .collect::<String>()
                .into_boxed_str()
        };
        let session = self.find(path).and_then(|key| self.allocations.get(key));
        let session = session.map(|allocation| allocation.session);
        self.act(Action::Event(Event::Refused {
            session,
            path: *path,
            method: method_name(view.method()),
            code: reject.code(),
            username: view.username().map(short),
        }));
    }
}

/// What a challenge offers: all that RFC 8489 has, or nothing where it would make the answer too long.
fn affordable<'a>(
    offer: Offer<'a>,
    credentials: &Credentials,
    room: &mut Room,
) -> Option<Offer<'a>> {
    const PLAIN_NONCE: usize = 16;
    const NONCE_WITH_COOKIE: usize = 29;
    let tokens = credentials.tokens();
    room.take(attribute_len(PLAIN_NONCE) + attribute_len(credentials.realm.len()));
    room.take(tokens.map_or(0, |tokens| attribute_len(tokens.server().len())));
    let more = attribute_len(NONCE_WITH_COOKIE) - attribute_len(PLAIN_NONCE)
        + attribute_len(offer.algorithms.len());
    room.take_if_free(more).then_some(offer)
}

/// A method's name as logs have it.
pub(crate) fn method_name(method: Method) -> &'static str {
    match method {
        Method::BINDING => "BINDING",
        Method::ALLOCATE => "ALLOCATE",
        Method::REFRESH => "REFRESH",
        Method::CREATE_PERMISSION => "CREATE_PERMISSION",
        Method::CHANNEL_BIND => "CHANNEL_BIND",
        Method::CONNECT => "CONNECT",
        Method::CONNECTION_BIND => "CONNECTION_BIND",
        _ => "unknown method",
    }
}
