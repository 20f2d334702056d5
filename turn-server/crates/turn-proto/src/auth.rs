//! The long-term credential mechanism (RFC 8489 §9.2), cheapest check first: nothing costs an HMAC before its nonce is ours.

use std::sync::Arc;

use turn_wire::{IntegrityKey, MessageView, Method, attr};

use crate::{
    Access, ConnectionId, Now, Path, allocation::SessionKey, connections::Owner, reject::Reject,
    relay::Relay, slab::Key,
};
use turn_auth::NonceVerdict;

/// Who has sent a request.
pub(crate) struct Requester {
    /// USERNAME as sent.
    pub(crate) username: Box<str>,
    /// The user without a timestamp.
    pub(crate) user: Arc<str>,
    /// The key that answers are signed with; `None` without authentication.
    pub(crate) key: Option<SessionKey>,
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

impl Requester {
    /// What answers are signed with.
    pub(crate) fn integrity(&self) -> Option<&IntegrityKey> {
        self.key.as_ref().map(|key| &key.ready)
    }
}

impl Relay {
    /// Finds out who has sent a request, or why that is not believed.
    pub(crate) fn authenticate(
        &self,
        now: Now,
        path: &Path,
        view: &MessageView<'_>,
        lookup: Lookup<'_>,
    ) -> Result<Requester, Unproven> {
        let allocation = self.find(path);
        if self.config.access == Access::Anonymous {
            return Ok(Requester {
                username: "".into(),
                user: "".into(),
                key: None,
                allocation,
            });
        }
        if !view.has_integrity() {
            return Err(self.challenge(view, allocation.is_some()).into());
        }
        // §9.2.4: MESSAGE-INTEGRITY without the others is a bad request.
        let (Some(username), Some(realm), Some(nonce)) =
            (view.username(), view.realm(), view.nonce())
        else {
            return Err(Reject::BadRequest.into());
        };
        let lifetime = self.config.nonce_lifetime.as_secs();
        match self.config.nonce_key.check(
            nonce,
            path.client,
            path.transport as u8,
            now.unix,
            lifetime,
        ) {
            NonceVerdict::Fresh => {}
            NonceVerdict::Stale | NonceVerdict::Foreign => return Err(Reject::StaleNonce.into()),
        }
        if realm != self.config.credentials.realm {
            return Err(Reject::Unauthorized.into());
        }
        self.identify(now, view, username, allocation, lookup)
    }

    /// What to answer to a request without credentials: a challenge, or an error as short as the request.
    ///
    /// A request that would fail after authentication as well gets no challenge, which is three times as long: the address
    /// that asks may be a victim's (RFC 8656 §21.1.1).
    fn challenge(&self, view: &MessageView<'_>, has_allocation: bool) -> Reject {
        match view.method() {
            Method::BINDING => Reject::Unauthorized,
            Method::ALLOCATE
                if view
                    .attribute(attr::REQUESTED_TRANSPORT)
                    .is_some_and(|value| value.len() == 4) =>
            {
                Reject::Unauthorized
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

    fn identify(
        &self,
        now: Now,
        view: &MessageView<'_>,
        username: &str,
        allocation: Option<Key>,
        lookup: Lookup<'_>,
    ) -> Result<Requester, Unproven> {
        let held = self.owner(view, allocation);
        if let Some(Owner {
            username,
            user,
            key: Some(key),
        }) = held.as_ref().filter(|held| *held.username == *username)
            // The key that made the allocation is good as long as it lives, even if the credential has expired since:
            // a call outlives its credential (coturn does the same).
            && view.verify(&key.ready)
        {
            return Ok(Requester {
                username: username.clone(),
                user: Arc::clone(user),
                key: Some(key.clone()),
                allocation,
            });
        }
        let (user, key) = self.account(now, view, username, lookup)?;
        if held.is_some_and(|held| *held.username != *username) {
            // RFC 8656 §5: an allocation is managed by whoever made it. An Allocate would make one, and meets a 5-tuple in
            // use (§7.2 step 2): 441 is for the other requests (§19).
            let reject = if view.method() == Method::ALLOCATE {
                Reject::AllocationMismatch
            } else {
                Reject::WrongCredentials
            };
            return Err(reject.into());
        }
        Ok(Requester {
            username: username.into(),
            user,
            key: Some(key),
            allocation,
        })
    }

    /// Finds the user and the key that a request is signed with, among the credentials at hand or by asking.
    fn account(
        &self,
        now: Now,
        view: &MessageView<'_>,
        username: &str,
        lookup: Lookup<'_>,
    ) -> Result<(Arc<str>, SessionKey), Unproven> {
        let mut found = None;
        let account = self
            .config
            .credentials
            .authenticate(username, now.unix, |candidate| {
                let key = SessionKey::new(candidate.as_bytes());
                let right = view.verify(&key.ready);
                if right {
                    found = Some(key);
                }
                right
            });
        if let (Some(account), Some(key)) = (account, found) {
            return Ok((account.user.into(), key));
        }
        match lookup {
            Lookup::NotAsked if self.config.access == Access::Asked => {
                Err(Unproven::NeedsKey(username.into()))
            }
            // A user whom the driver does not know has cost an HMAC already, like one with a wrong password.
            Lookup::NotAsked | Lookup::Answered(None) => Err(Reject::Unauthorized.into()),
            Lookup::Answered(Some(key)) => {
                let key = SessionKey::new(key);
                if view.verify(&key.ready) {
                    Ok((username.into(), key))
                } else {
                    Err(Reject::Unauthorized.into())
                }
            }
        }
    }

    /// Who made what a request is about: an allocation, or a connection with a peer that awaits its client (RFC 6062 §4.3).
    fn owner(&self, view: &MessageView<'_>, allocation: Option<Key>) -> Option<Owner> {
        if let Some(held) = allocation.and_then(|key| self.allocations.get(key)) {
            return Some(Owner {
                username: held.username.clone(),
                user: Arc::clone(&held.user),
                key: held.key.clone(),
            });
        }
        if view.method() != Method::CONNECTION_BIND {
            return None;
        }
        let id = view.attribute(attr::CONNECTION_ID)?.try_into().ok()?;
        let id = ConnectionId(u32::from_be_bytes(id));
        self.shared.connections.owner(id)
    }
}
