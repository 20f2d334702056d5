//! The long-term credential mechanism (RFC 8489 §9.2), cheapest check first: nothing costs an HMAC before its nonce is ours.

use std::sync::Arc;

use turn_auth::{Claim, KeyAlgorithm, NonceVerdict, SecurityFeatures, User};
use turn_wire::{Integrity, IntegrityKey, MessageView, Method, attr};

use crate::{
    Access, KeyOrigin, Now, Path, password_algorithms, reject::Reject, relay::Relay,
    session_key::SessionKey, slab::Key,
};

/// Who has sent a request.
pub(crate) struct Requester {
    /// USERNAME as sent, or the one that USERHASH stands for.
    pub(crate) username: Box<str>,
    /// The user without a timestamp.
    pub(crate) user: Arc<str>,
    /// The key that answers are signed with; `None` without authentication.
    pub(crate) key: Option<SessionKey>,
    /// When the credential expires (seconds since 1970), if it does and is no token.
    pub(crate) expires_at: Option<u64>,
    /// The allocation on the request's path.
    pub(crate) allocation: Option<Key>,
}

/// What is known of the key of a user whom the credentials at hand do not know.
#[derive(Clone, Copy)]
pub(crate) enum Lookup<'k> {
    /// Nobody has been asked.
    NotAsked,
    /// The driver's answer; `None` where it does not know the user either.
    Answered(Option<&'k [u8]>),
}

/// Why a request goes no further.
pub(crate) enum Unproven {
    /// It is refused.
    Refused(Reject),
    /// The driver is to find the key of this user first.
    NeedsKey(Box<str>),
}

impl From<Reject> for Unproven {
    fn from(reject: Reject) -> Self {
        Self::Refused(reject)
    }
}

/// What a request claims, as far as it can be read without a key.
#[derive(Clone, Copy)]
pub(crate) struct Claimed<'a> {
    pub(crate) claim: Claim<'a>,
    /// Which attribute its answers carry.
    pub(crate) answers: Integrity,
}

impl Requester {
    /// What answers are signed with.
    pub(crate) fn integrity(&self) -> Option<&IntegrityKey> {
        self.key.as_ref().map(|key| &key.ready)
    }

    /// When the lifetime of the token ends that the request was made with, Unix time.
    pub(crate) fn token_expires_at(&self) -> Option<u64> {
        match self.key.as_ref()?.secret.origin {
            KeyOrigin::Token { expires_at } => Some(expires_at),
            KeyOrigin::Password(_) => None,
        }
    }

    /// The name that quotas count: none for tokens, for one key id is that of all clients of an authorization server.
    pub(crate) fn counted_user(&self) -> Arc<str> {
        match self.token_expires_at() {
            Some(_) => "".into(),
            None => Arc::clone(&self.user),
        }
    }
}

impl Relay {
    /// Finds out who has sent a request, or why that is not believed: the steps of RFC 8489 §9.2.4, but the nonce is looked at
    /// before the key, which costs more.
    pub(crate) fn authenticate(
        &self,
        now: Now,
        path: &Path,
        view: &MessageView<'_>,
        lookup: Lookup<'_>,
    ) -> Result<Requester, Unproven> {
        let allocation = self.subject(path, view);
        if self.config.access == Access::Anonymous {
            return Ok(Requester {
                username: "".into(),
                user: "".into(),
                key: None,
                expires_at: None,
                allocation,
            });
        }
        // First: neither MESSAGE-INTEGRITY nor MESSAGE-INTEGRITY-SHA256.
        if !view.has_integrity() {
            return Err(self.challenge(path, view, allocation.is_some()).into());
        }
        // Second: one of them without the others is a bad request.
        let name = view.username().map(User::Name);
        let user = name.or_else(|| view.userhash().map(User::Hash));
        let (Some(user), Some(realm), Some(nonce)) = (user, view.realm(), view.nonce()) else {
            return Err(Reject::BadRequest.into());
        };
        let verdict = self.judge_nonce(now, path, nonce);
        if verdict == NonceVerdict::Foreign {
            return Err(Reject::StaleNonce.into());
        }
        // Third: the algorithms must be those that came with the nonce.
        let algorithm = self.algorithm(view, nonce)?;
        if verdict == NonceVerdict::Stale {
            return Err(Reject::StaleNonce.into());
        }
        // Sessions go on in the realm that they were made in when the operator has changed it since.
        let is_other_realm = realm != self.config.credentials.realm;
        if is_other_realm && !self.is_signed_by_owner(view, allocation) {
            return Err(Reject::Unauthorized.into());
        }
        let claimed = Claimed {
            claim: Claim { user, algorithm },
            answers: answers_by(view),
        };
        self.identify(now, view, claimed, allocation, lookup)
    }

    fn judge_nonce(&self, now: Now, path: &Path, nonce: &[u8]) -> NonceVerdict {
        self.config.nonce_key.check(
            nonce,
            path.challenged(),
            path.transport as u8,
            now.unix,
            self.config.nonce_lifetime.as_secs(),
            self.listed_algorithms(),
        )
    }

    /// The value of PASSWORD-ALGORITHMS in challenges.
    pub(crate) fn listed_algorithms(&self) -> &'static [u8] {
        match self.config.access {
            // Whoever is asked for keys has those that all clients know.
            Access::Asked => password_algorithms::listed(&[KeyAlgorithm::Md5]),
            _ => password_algorithms::listed(self.config.credentials.algorithms()),
        }
    }

    /// Whether clients are told to send USERHASH: everybody must be found by it.
    pub(crate) fn hides_usernames(&self) -> bool {
        self.config.access == Access::Authenticated && self.config.credentials.finds_by_hash()
    }

    /// How the key of a request is made; 400 if it answers a challenge that was never sent (RFC 8489 §9.2.4).
    fn algorithm(&self, view: &MessageView<'_>, nonce: &[u8]) -> Result<KeyAlgorithm, Reject> {
        let features = SecurityFeatures::of_nonce(nonce).unwrap_or_default();
        let listed = self.listed_algorithms();
        password_algorithms::chosen(
            view.attribute(attr::PASSWORD_ALGORITHMS),
            view.attribute(attr::PASSWORD_ALGORITHM),
            if features.password_algorithms {
                listed
            } else {
                &[]
            },
        )
        .ok_or(Reject::BadRequest)
    }

    /// What to answer to a request without credentials: a challenge, or an error as short as the request.
    ///
    /// A request that would fail after authentication as well gets no challenge, which is three times as long: the address
    /// that asks may be a victim's (RFC 8656 §21.1.1).
    fn challenge(&self, path: &Path, view: &MessageView<'_>, has_allocation: bool) -> Reject {
        match view.method() {
            Method::BINDING => Reject::Unauthorized,
            Method::ALLOCATE
                if view
                    .attribute(attr::REQUESTED_TRANSPORT)
                    .is_some_and(|value| value.len() == 4) =>
            {
                // RFC 8489 §10: whoever is sent elsewhere need not sign in here first.
                if !has_allocation && self.redirects(path) {
                    Reject::TryAlternate
                } else {
                    Reject::Unauthorized
                }
            }
            Method::CONNECTION_BIND if view.attribute(attr::CONNECTION_ID).is_some() => {
                Reject::Unauthorized
            }
            Method::REFRESH
            | Method::CREATE_PERMISSION
            | Method::CHANNEL_BIND
            | Method::CONNECT => {
                if has_allocation {
                    Reject::Unauthorized
                } else {
                    Reject::AllocationMismatch
                }
            }
            _ => Reject::BadRequest,
        }
    }
}

/// Which attribute the answers to a request carry (RFC 8489 §9.2.4): MESSAGE-INTEGRITY only if its client has chosen no algorithm.
///
/// A client that chose none and sent MESSAGE-INTEGRITY-SHA256 alone could check nothing else in the answer (§9.1.4).
fn answers_by(view: &MessageView<'_>) -> Integrity {
    if view.attribute(attr::PASSWORD_ALGORITHM).is_none() && view.has_sha1_integrity() {
        Integrity::Sha1
    } else {
        Integrity::Sha256
    }
}
