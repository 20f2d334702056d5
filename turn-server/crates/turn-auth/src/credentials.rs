//! Whom the relay believes: static users and shared secrets, both at once.
//!
//! Not in: where they are configured, quotas, and the answer to a client that is not believed.

use std::collections::HashMap;

use crate::long_term::LongTermKey;
use crate::rest;
use crate::secret::Secret;

/// The users and secrets of one realm.
pub struct Credentials {
    /// The realm that keys are derived for (RFC 8489 §9.2). Set it through [`Credentials::new`]: keys made before a change stay with the old one.
    pub realm: String,
    users: HashMap<String, LongTermKey>,
    secrets: Vec<Secret<Vec<u8>>>,
    separator: char,
    /// Stands in for the key of a user that does not exist.
    dummy: LongTermKey,
}

/// A client that has proven who it is.
pub struct Account {
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
        let dummy = LongTermKey::derive("", &realm, "");
        Self {
            realm,
            users: HashMap::new(),
            secrets: Vec::new(),
            separator: ':',
            dummy,
        }
    }

    /// Believes a static user by password.
    #[must_use]
    pub fn with_user(self, name: &str, password: &str) -> Self {
        let key = LongTermKey::derive(name, &self.realm, password);
        self.with_key(name, key)
    }

    /// Believes a static user by the key of this realm; the last of several for one name counts.
    #[must_use]
    pub fn with_key(mut self, name: &str, key: LongTermKey) -> Self {
        self.users.insert(name.to_owned(), key);
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

    /// Tells whether nobody would be believed.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.secrets.is_empty()
    }

    /// Finds the account of `username` by trying each key it could have; `matches` says whether a key verifies the request.
    ///
    /// How often `matches` is called depends on the configuration and on the form of the username, never on whether a
    /// user of that name exists: for one that does not, a key that nobody has is tried.
    pub fn authenticate(
        &self,
        username: &str,
        now_unix: u64,
        mut matches: impl FnMut(&LongTermKey) -> bool,
    ) -> Option<Account> {
        let minted = self.minted(username, now_unix);
        if minted.is_none() || !self.users.is_empty() {
            let known = self.users.get(username);
            let verified = matches(known.unwrap_or(&self.dummy));
            if let (Some(key), true) = (known, verified) {
                return Some(Account {
                    user: username.to_owned(),
                    key: key.clone(),
                    expires_at: None,
                });
            }
        }
        let name = minted?;
        let key = self.secrets.iter().find_map(|secret| {
            let password = rest::password(secret.expose(), username);
            let key = LongTermKey::derive(username, &self.realm, &password);
            matches(&key).then_some(key)
        })?;
        let user = if name.user.is_empty() {
            username
        } else {
            name.user
        };
        Some(Account {
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
