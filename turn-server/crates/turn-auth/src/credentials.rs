//! Whom the relay believes: static users, shared secrets and access tokens, all at once.
//!
//! Not in: where they are configured, quotas, and the answer to a client that is not believed.

use crate::long_term::{KeyAlgorithm, LongTermKey};
use crate::oauth::TokenKeys;
use crate::rest;
use crate::secret::Secret;
use crate::users::{Keys, Users};

/// The users and secrets of one realm.
pub struct Credentials {
    /// The realm that keys are derived for (RFC 8489 §9.2). Set it through [`Credentials::new`]: keys made before a change stay with the old one.
    pub realm: String,
    users: Users,
    secrets: Vec<Secret<Vec<u8>>>,
    separator: char,
    tokens: Option<TokenKeys>,
}

/// Who a request says that it is from, and how its key is made.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// USERNAME or USERHASH.
    pub user: User<'a>,
    /// PASSWORD-ALGORITHM, or MD5 without one.
    pub algorithm: KeyAlgorithm,
}

/// How a request names its user.
#[derive(Debug, Clone, Copy)]
pub enum User<'a> {
    /// By USERNAME (RFC 8489 §14.3).
    Name(&'a str),
    /// By USERHASH (RFC 8489 §14.4). Only static users are found so: names with an expiry in them are not known before they are sent.
    Hash(&'a [u8; 32]),
}

/// A client that has proven who it is.
pub struct Account {
    /// The name as USERNAME has it.
    pub username: String,
    /// The name that quotas go by: without the expiry, unless that is all there is.
    pub user: String,
    /// The key that its requests are signed with, and ours to it.
    pub key: LongTermKey,
    /// Last second in which the credential is accepted, Unix time; `None` for static users.
    pub expires_at: Option<u64>,
}

impl Credentials {
    /// Believes nobody yet, in a realm.
    pub fn new(realm: impl Into<String>) -> Self {
        let realm = realm.into();
        Self {
            users: Users::new(&realm),
            realm,
            secrets: Vec::new(),
            separator: ':',
            tokens: None,
        }
    }

    /// Believes a static user by password.
    #[must_use]
    pub fn with_user(self, name: &str, password: &str) -> Self {
        let keys = Keys::derive(name, &self.realm, password);
        self.with_keys(name, keys)
    }

    /// Believes a static user by a key of this realm; the last of several for one name counts.
    ///
    /// From an MD5 key no other can be made, and at the time of a challenge nobody has said who asks: with one such user
    /// [`Credentials::algorithms`] has MD5 alone, for all.
    #[must_use]
    pub fn with_key(self, name: &str, key: LongTermKey) -> Self {
        self.with_keys(name, Keys::from(key))
    }

    fn with_keys(mut self, name: &str, keys: Keys) -> Self {
        self.users.insert(name, keys);
        self
    }

    /// Believes whoever has a credential minted with this secret. Several are tried in the order given: newest first.
    #[must_use]
    pub fn with_secret(mut self, secret: Secret<Vec<u8>>) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Sets what stands between expiry and user in minted usernames; `:` otherwise.
    #[must_use]
    pub fn with_separator(mut self, separator: char) -> Self {
        self.separator = separator;
        self
    }

    /// Believes whoever has a token that one of these keys opens (RFC 7635).
    #[must_use]
    pub fn with_tokens(mut self, tokens: TokenKeys) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// The keys of access tokens, if such are accepted.
    pub fn tokens(&self) -> Option<&TokenKeys> {
        self.tokens.as_ref()
    }

    /// Tells whether nobody would be believed.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.secrets.is_empty() && self.tokens.is_none()
    }

    /// Lists the algorithms that every user's key can be made by, the best first (RFC 8489 §9.2.4).
    pub fn algorithms(&self) -> &'static [KeyAlgorithm] {
        if self.users.all_have_sha256() {
            &[KeyAlgorithm::Sha256, KeyAlgorithm::Md5]
        } else {
            &[KeyAlgorithm::Md5]
        }
    }

    /// Tells whether USERHASH finds every user, so that clients may be told to send it: a client that is told sends nothing else
    /// (RFC 8489 §9.2.5). Names that secrets vouch for, and the key ids of tokens, cannot be found by their hash.
    pub fn finds_by_hash(&self) -> bool {
        !self.users.is_empty() && self.secrets.is_empty() && self.tokens.is_none()
    }

    /// Finds the account of a claim by trying each key it could have; `matches` says whether a key verifies the request.
    ///
    /// How often `matches` is called depends on the configuration and on the form of the username, never on whether a
    /// user of that name exists: for one that does not, another's key is tried.
    pub fn authenticate(
        &self,
        claim: Claim<'_>,
        now_unix: u64,
        mut matches: impl FnMut(&LongTermKey) -> bool,
    ) -> Option<Account> {
        let minted = match claim.user {
            User::Name(name) => self.minted(name, now_unix),
            User::Hash(_) => None,
        };
        if minted.is_none() || !self.users.is_empty() {
            let nearest = self.users.nearest(claim.user, claim.algorithm);
            // A key that verifies a request in another's name proves nothing.
            let is_proven = nearest.key.is_some_and(&mut matches) & nearest.is_meant;
            if let (Some(key), true) = (nearest.key, is_proven) {
                return Some(Account {
                    username: nearest.name.to_owned(),
                    user: nearest.name.to_owned(),
                    key: key.clone(),
                    expires_at: None,
                });
            }
        }
        let (Some(name), User::Name(username)) = (minted, claim.user) else {
            return None;
        };
        let key = self.secrets.iter().find_map(|secret| {
            let password = rest::password(secret.expose(), username);
            let key = LongTermKey::derive_by(claim.algorithm, username, &self.realm, &password);
            matches(&key).then_some(key)
        })?;
        let user = if name.user.is_empty() {
            username
        } else {
            name.user
        };
        Some(Account {
            username: username.to_owned(),
            user: user.to_owned(),
            key,
            expires_at: Some(name.expires_at),
        })
    }

    /// Reads a username that a secret could vouch for now.
    fn minted<'a>(&self, username: &'a str, now_unix: u64) -> Option<rest::Name<'a>> {
        if self.secrets.is_empty() {
            return None;
        }
        rest::parse(username, self.separator).filter(|name| name.expires_at >= now_unix)
    }
}

#[cfg(test)]
mod tests;
