//! Whose key has signed a request: the one that made the allocation, one in a token, or one made of a password.

use std::sync::Arc;

use turn_auth::{KeyAlgorithm, User, userhash};
use turn_wire::{MessageView, Method, attr};

use crate::{
    Access, ConnectionId, KeyOrigin, Now,
    auth::{Claimed, Lookup, Requester, Unproven},
    connections::Owner,
    reject::Reject,
    relay::Relay,
    session_key::SessionKey,
    slab::Key,
};

/// The length of a long-term key by MD5.
const MD5_KEY_LEN: usize = 16;

impl Relay {
    /// Finds out whose key has signed a request, among those that its claim could mean.
    pub(crate) fn identify(
        &self,
        now: Now,
        view: &MessageView<'_>,
        claimed: Claimed<'_>,
        allocation: Option<Key>,
        lookup: Lookup<'_>,
    ) -> Result<Requester, Unproven> {
        let held = self.owner(view, allocation);
        if let (Some(token), User::Name(kid)) =
            (view.attribute(attr::ACCESS_TOKEN), claimed.claim.user)
            && self.config.credentials.tokens().is_some()
            && takes_tokens(view.method())
        {
            let key = self.key_in_token(now, view, claimed, kid, token)?;
            // RFC 7635 §10: a later token may have been sealed with another key.
            if held.is_some_and(|held| !held.is_by_token() || !may_bring_token(view, &held)) {
                return Err(Reject::WrongCredentials.into());
            }
            return Ok(Requester {
                username: kid.into(),
                user: kid.into(),
                key: Some(key),
                expires_at: None,
                allocation,
            });
        }
        let own = (held.as_ref()).filter(|held| is_name_of(claimed.claim.user, held, view));
        // The key that made the allocation is good as long as it lives, even if the credential has expired since:
        // a call outlives its credential (coturn does the same).
        if let Some(own) = own
            && let Some(key) = own.key.as_ref()
            && key.secret.origin.is_good_for(claimed.claim.algorithm, now)
            && key.verifies(view)
        {
            return Ok(Requester {
                username: own.username.clone(),
                user: Arc::clone(&own.user),
                key: Some(key.answering_by(claimed.answers)),
                expires_at: self.credential_until(allocation),
                allocation,
            });
        }
        // Whoever has made an allocation was in time then, and may go on by another algorithm than at first.
        let as_of = if own.is_some() { 0 } else { now.unix };
        let requester = self.account(as_of, view, claimed, lookup)?;
        if held.is_some() && own.is_none() {
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
            allocation,
            ..requester
        })
    }

    /// Finds the name, the user and the key that a request is signed with, among the credentials at hand or by asking.
    fn account(
        &self,
        as_of: u64,
        view: &MessageView<'_>,
        claimed: Claimed<'_>,
        lookup: Lookup<'_>,
    ) -> Result<Requester, Unproven> {
        let proven = |key: &[u8], by| {
            SessionKey::proven(view, key, KeyOrigin::Password(by), claimed.answers)
        };
        let mut found = None;
        let account = (self.config.credentials).authenticate(claimed.claim, as_of, |candidate| {
            found = proven(candidate.as_bytes(), candidate.algorithm());
            found.is_some()
        });
        if let (Some(account), Some(key)) = (account, found) {
            return Ok(Requester {
                username: account.username.into(),
                user: account.user.into(),
                key: Some(key),
                expires_at: account.expires_at,
                allocation: None,
            });
        }
        match (lookup, claimed.claim.user) {
            (Lookup::NotAsked, User::Name(name)) if self.config.access == Access::Asked => {
                Err(Unproven::NeedsKey(name.into()))
            }
            (Lookup::Answered(Some(key)), User::Name(name)) => {
                let key = proven(key, KeyAlgorithm::Md5).ok_or(Reject::Unauthorized)?;
                Ok(Requester {
                    username: name.into(),
                    user: name.into(),
                    key: Some(key),
                    expires_at: None,
                    allocation: None,
                })
            }
            // A user whom the driver does not know has cost an HMAC already, like one with a wrong password.
            _ => Err(Reject::Unauthorized.into()),
        }
    }

    /// Takes the key out of a request's token (RFC 7635 §8); whatever is wrong with it, a new one is asked for.
    fn key_in_token(
        &self,
        now: Now,
        view: &MessageView<'_>,
        claimed: Claimed<'_>,
        kid: &str,
        token: &[u8],
    ) -> Result<SessionKey, Reject> {
        let tokens = self.config.credentials.tokens();
        let opened = tokens.and_then(|tokens| tokens.open(kid, token, now.unix).ok());
        let key = opened.and_then(|opened| {
            let origin = KeyOrigin::Token {
                expires_at: opened.expires_at,
            };
            let mac_key = opened.mac_key.expose();
            let proven = |key| SessionKey::proven(view, key, origin, claimed.answers);
            // RFC 7635 §8 means the whole key. coturn, and so the clients tried against it, sign with as much of it as a
            // long-term key has.
            proven(mac_key).or_else(|| proven(mac_key.get(..MD5_KEY_LEN)?))
        });
        key.ok_or(Reject::Unauthorized)
    }

    /// Whether the key that made what a request is about has signed the request.
    pub(crate) fn is_signed_by_owner(
        &self,
        view: &MessageView<'_>,
        allocation: Option<Key>,
    ) -> bool {
        let key = self
            .owner(view, allocation)
            .and_then(|held| held.key.clone());
        key.is_some_and(|key| key.verifies(view))
    }

    fn credential_until(&self, allocation: Option<Key>) -> Option<u64> {
        self.allocations.get(allocation?)?.credential_until
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

/// Whether a request names the owner of what it is about, in the realm that it names.
fn is_name_of(user: User<'_>, held: &Owner, view: &MessageView<'_>) -> bool {
    match user {
        User::Name(name) => *held.username == *name,
        User::Hash(hash) => userhash(&held.username, view.realm().unwrap_or_default()) == *hash,
    }
}

/// Whether a token may prove a request of this method (RFC 7635 §10). The others are about what an Allocate has made, and are proven
/// by the key of that one: any token would do for ConnectionBind otherwise, whoever has made the connection.
fn takes_tokens(method: Method) -> bool {
    matches!(method, Method::ALLOCATE | Method::REFRESH | Method::BINDING)
}

/// Whether a token may come with a request about what somebody has made. From its 5-tuple, another one may. From another
/// 5-tuple only the key of the session shows whose it is: tickets are sent in the clear, and anybody may have a token
/// (RFC 8016 §3.2.2: the request is authenticated like every other one for that allocation).
fn may_bring_token(view: &MessageView<'_>, held: &Owner) -> bool {
    let by_ticket =
        view.method() == Method::REFRESH && view.attribute(attr::MOBILITY_TICKET).is_some();
    let key = held.key.as_ref();
    !by_ticket || key.is_some_and(|key| key.verifies(view))
}

impl KeyOrigin {
    /// Whether a request that claims this algorithm can have been signed with such a key.
    fn is_good_for(self, algorithm: KeyAlgorithm, now: Now) -> bool {
        match self {
            Self::Password(made_by) => made_by == algorithm,
            // An allocation ends with its token; a new one has to come in time (RFC 7635 §10).
            Self::Token { expires_at } => now.unix < expires_at,
        }
    }
}
