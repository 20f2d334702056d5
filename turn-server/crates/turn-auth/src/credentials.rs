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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_700_000_000;

    fn secret(text: &str) -> Secret<Vec<u8>> {
        Secret::new(text.as_bytes().to_vec())
    }

    fn both() -> Credentials {
        Credentials::new("turnpike")
            .with_user("alice", "wonderland")
            .with_secret(secret("newest"))
            .with_secret(secret("older"))
    }

    /// Authenticates as a client does that knows its password, and says how many keys were tried.
    fn sign_in(
        credentials: &Credentials,
        username: &str,
        password: &str,
    ) -> (Option<Account>, usize) {
        let theirs = LongTermKey::derive(username, &credentials.realm, password);
        let mut tried = 0;
        let account = credentials.authenticate(username, NOW, |key| {
            tried += 1;
            key.as_bytes() == theirs.as_bytes()
        });
        (account, tried)
    }

    fn believed(
        credentials: &Credentials,
        username: &str,
        password: &str,
    ) -> Option<(String, Option<u64>)> {
        sign_in(credentials, username, password)
            .0
            .map(|account| (account.user, account.expires_at))
    }

    #[test]
    fn nobody_is_believed_without_users_and_secrets() {
        let nobody = Credentials::new("turnpike");
        assert!(nobody.is_empty());
        assert!(nobody.authenticate("alice", NOW, |_| true).is_none());
        assert!(
            nobody
                .authenticate("1700000600:alice", NOW, |_| true)
                .is_none()
        );
    }

    #[test]
    fn static_user_is_believed_with_the_right_password_only() {
        assert!(!both().is_empty());
        assert_eq!(
            believed(&both(), "alice", "wonderland"),
            Some(("alice".to_owned(), None))
        );
        assert_eq!(believed(&both(), "alice", "Wonderland"), None);
        assert_eq!(believed(&both(), "Alice", "wonderland"), None);
    }

    #[test]
    fn static_user_is_believed_by_its_key_from_hex() {
        // printf 'alice:turnpike:wonderland' | md5sum
        let key = LongTermKey::from_hex("d4ca192aa290c0a7d49f765fee7bbe60").unwrap();
        let credentials = Credentials::new("turnpike").with_key("alice", key);
        assert_eq!(
            believed(&credentials, "alice", "wonderland"),
            Some(("alice".to_owned(), None))
        );
    }

    #[test]
    fn account_carries_the_key_that_matched() {
        let minted = rest::mint(b"older", "bob", 600, NOW, ':');
        let (account, _) = sign_in(&both(), &minted.username, &minted.password);
        let expected = LongTermKey::derive(&minted.username, "turnpike", &minted.password);
        assert_eq!(account.unwrap().key.as_bytes(), expected.as_bytes());
    }

    #[test]
    fn minted_credential_is_believed_under_every_secret_and_named_without_its_expiry() {
        for text in ["newest", "older"] {
            let minted = rest::mint(text.as_bytes(), "bob", 600, NOW, ':');
            let expected = Some(("bob".to_owned(), Some(NOW + 600)));
            assert_eq!(
                believed(&both(), &minted.username, &minted.password),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn secrets_are_tried_in_the_order_given() {
        let credentials = Credentials::new("turnpike")
            .with_secret(secret("newest"))
            .with_secret(secret("older"));
        let minted = |text: &str| rest::mint(text.as_bytes(), "bob", 600, NOW, ':');
        let (newest, older) = (minted("newest"), minted("older"));
        assert_eq!(
            sign_in(&credentials, &newest.username, &newest.password).1,
            1
        );
        assert_eq!(sign_in(&credentials, &older.username, &older.password).1, 2);
    }

    #[test]
    fn credential_of_a_foreign_secret_is_not_believed() {
        let minted = rest::mint(b"foreign", "bob", 600, NOW, ':');
        assert_eq!(believed(&both(), &minted.username, &minted.password), None);
    }

    #[test]
    fn credential_is_believed_to_its_last_second() {
        for (expires_at, is_believed) in [(NOW - 1, false), (NOW, true), (NOW + 1, true)] {
            let minted = rest::mint(b"newest", "bob", expires_at, 0, ':');
            assert_eq!(
                believed(&both(), &minted.username, &minted.password).is_some(),
                is_believed,
                "{expires_at}"
            );
        }
    }

    #[test]
    fn expiry_at_and_beyond_64_bits_neither_overflows_nor_panics() {
        for (username, is_believed) in [
            ("18446744073709551615:x", true),
            ("18446744073709551616:x", false),
        ] {
            let password = rest::password(b"newest", username);
            assert_eq!(
                believed(&both(), username, &password).is_some(),
                is_believed,
                "{username}"
            );
        }
    }

    #[test]
    fn moving_the_expiry_of_a_credential_spoils_its_password() {
        let minted = rest::mint(b"newest", "bob", 600, NOW, ':');
        assert_eq!(believed(&both(), "1700009999:bob", &minted.password), None);
    }

    #[test]
    fn bare_expiry_is_its_own_quota_name() {
        let minted = rest::mint(b"newest", "", 600, NOW, ':');
        let expected = Some(("1700000600".to_owned(), Some(NOW + 600)));
        assert_eq!(
            believed(&both(), &minted.username, &minted.password),
            expected
        );
    }

    #[test]
    fn user_before_its_expiry_has_the_same_quota_name() {
        let password = rest::password(b"newest", "bob:1700000600");
        assert_eq!(
            believed(&both(), "bob:1700000600", &password),
            Some(("bob".to_owned(), Some(NOW + 600)))
        );
    }

    #[test]
    fn separator_is_the_configured_one() {
        let credentials = Credentials::new("turnpike")
            .with_secret(secret("newest"))
            .with_separator('|');
        let minted = rest::mint(b"newest", "bob", 600, NOW, '|');
        assert_eq!(
            believed(&credentials, &minted.username, &minted.password)
                .map(|(user, _)| user)
                .as_deref(),
            Some("bob")
        );
        let colon = rest::mint(b"newest", "bob", 600, NOW, ':');
        assert_eq!(
            believed(&credentials, &colon.username, &colon.password),
            None
        );
    }

    #[test]
    fn static_user_named_like_a_credential_is_believed_by_either_password() {
        let credentials = both().with_user("1700000600:bob", "static");
        assert_eq!(
            believed(&credentials, "1700000600:bob", "static"),
            Some(("1700000600:bob".to_owned(), None))
        );
        let minted = rest::password(b"newest", "1700000600:bob");
        assert_eq!(
            believed(&credentials, "1700000600:bob", &minted),
            Some(("bob".to_owned(), Some(NOW + 600)))
        );
    }

    #[test]
    fn unknown_user_costs_as_many_tries_as_a_wrong_password() {
        let only_static = Credentials::new("turnpike").with_user("alice", "wonderland");
        let only_minted = Credentials::new("turnpike").with_secret(secret("newest"));
        let named = both().with_user("1700000600:known", "static");
        for (credentials, known, unknown, tries) in [
            (only_static, "alice", "mallory", 1),
            (both(), "alice", "mallory", 1),
            (named, "1700000600:known", "1700000600:unknown", 3),
            (only_minted, "1700000600:bob", "1700000600:mallory", 1),
        ] {
            assert_eq!(sign_in(&credentials, known, "wrong").1, tries, "{known}");
            assert_eq!(
                sign_in(&credentials, unknown, "wrong").1,
                tries,
                "{unknown}"
            );
        }
    }

    #[test]
    fn names_that_no_key_could_belong_to_still_cost_one_try() {
        let only_minted = Credentials::new("turnpike").with_secret(secret("newest"));
        for username in ["", "mallory", "0:mallory", "1699999999:expired"] {
            assert_eq!(sign_in(&only_minted, username, "wrong").1, 1, "{username}");
        }
    }

    #[test]
    fn nobody_signs_in_with_the_key_that_stands_in_for_unknown_users() {
        assert_eq!(believed(&both(), "", ""), None);
        assert!(both().authenticate("mallory", NOW, |_| true).is_none());
    }

    proptest! {
        #[test]
        fn no_username_is_believed_without_a_key_that_matches(username in "[0-9]{1,22}:?[a-z]{0,5}|\\PC{0,30}", now in any::<u64>()) {
            prop_assert!(both().authenticate(&username, now, |_| false).is_none());
        }

        #[test]
        fn minted_credentials_are_believed_until_they_expire(user in "\\PC{0,20}", ttl in 0..10_000_u64, later in 0..20_000_u64) {
            let minted = rest::mint(b"newest", &user, ttl, NOW, ':');
            let theirs = LongTermKey::derive(&minted.username, "turnpike", &minted.password);
            let account = both().authenticate(&minted.username, NOW + later, |key| key.as_bytes() == theirs.as_bytes());
            prop_assert_eq!(account.is_some(), later <= ttl);
        }
    }
}
