//! Answers: what a handler has decided becomes bytes here, for every method alike.

use turn_wire::{Fingerprint, MessageView, Method};

use crate::{
    Action, Event, Now, Output, Path, Transport,
    auth::{Lookup, Requester, Unproven},
    reject::Reject,
    relay::Relay,
};

/// What a handler has decided to answer.
pub(crate) enum Done {
    /// The answer follows when the driver has replied.
    Later,
    /// Success without attributes.
    Success,
    /// Success of a Refresh: the lifetime in seconds, zero when the allocation is gone.
    Refreshed(u32),
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
        let lifetime = match done {
            Done::Later => return Output::Nothing,
            Done::Again(bytes) => {
                self.again = bytes.into();
                return Output::Reply(&self.again);
            }
            Done::Success => None,
            Done::Refreshed(lifetime) => Some(lifetime),
        };
        self.stats.successes += 1;
        let mut answer = self.responder.success(view.method(), view.transaction_id());
        if let Some(lifetime) = lifetime {
            answer = answer.lifetime(lifetime);
        }
        if let Some(software) = &self.config.software {
            answer = answer.software(software);
        }
        let bytes = answer.finish(requester.integrity(), fingerprint);
        if lifetime == Some(0) {
            self.recent.keep(*path, view.transaction_id(), bytes);
        }
        Output::Reply(bytes)
    }

    /// Writes an error response. Without a requester it is not signed, and it is as short as it can be.
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
        let mut answer =
            self.responder
                .error(view.method(), view.transaction_id(), reject.code(), "");
        match reject {
            Reject::Unauthorized | Reject::StaleNonce => {
                let nonce =
                    self.config
                        .nonce_key
                        .issue(path.client, path.transport as u8, now.unix);
                answer = answer.nonce(&nonce.0).realm(&self.config.credentials.realm);
            }
            Reject::UnknownAttributes(kinds) => answer = answer.unknown_attributes(kinds),
            _ => {}
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

    pub(crate) fn wants_fingerprint(&self, view: &MessageView<'_>) -> bool {
        self.config.always_fingerprint || view.fingerprint() == Fingerprint::Right
    }

    pub(crate) fn count(&mut self, reject: &Reject) {
        self.stats.errors += 1;
        match reject {
            Reject::Unauthorized => self.stats.unauthorized += 1,
            Reject::StaleNonce => self.stats.stale_nonces += 1,
            _ => {}
        }
    }

    fn report(&mut self, path: &Path, view: &MessageView<'_>, reject: &Reject) {
        let short = |name: &str| {
            name.chars()
                .take(LOGGED_NAME)
                .collect::<String>()
                .into_boxed_str()
        };
        self.act(Action::Event(Event::Refused {
            path: *path,
            method: method_name(view.method()),
            code: reject.code(),
            username: view.username().map(short),
        }));
    }
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
