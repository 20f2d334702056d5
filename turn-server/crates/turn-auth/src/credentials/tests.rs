//! Tests of whom the relay believes.

use super::*;
use crate::long_term::userhash;
use proptest::prelude::*;

const NOW: u64 = 1_700_000_000;

fn secret(text: &str) -> Secret<Vec<u8>> {
    Secret::new(text.as_bytes().to_vec())
}

fn md5(username: &str) -> Claim<'_> {
    Claim {
        user: User::Name(username),
        algorithm: KeyAlgorithm::Md5,
    }
}

fn both() -> Credentials {
    Credentials::new("turnpike")
        .with_user("alice", "wonderland")
        .with_secret(secret("newest"))
        .with_secret(secret("older"))
}

/// Authenticates as a client does that knows its password, and says how many keys were tried.
fn sign_in(credentials: &Credentials, username: &str, password: &str) -> (Option<Account>, usize) {
    sign_in_by(credentials, KeyAlgorithm::Md5, username, password)
}

fn sign_in_by(
    credentials: &Credentials,
    algorithm: KeyAlgorithm,
    username: &str,
    password: &str,
) -> (Option<Account>, usize) {
    let theirs = LongTermKey::derive_by(algorithm, username, &credentials.realm, password);
    let hash = userhash(username, &credentials.realm);
    let claim = |user| Claim { user, algorithm };
    let mut tried = 0;
    let account = credentials.authenticate(claim(User::Name(username)), NOW, |key| {
        tried += 1;
        key.as_bytes() == theirs.as_bytes()
    });
    let mut tried_by_hash = 0;
    let by_hash = credentials.authenticate(claim(User::Hash(&hash)), NOW, |key| {
        tried_by_hash += 1;
        key.as_bytes() == theirs.as_bytes()
    });
    // USERHASH finds the static users, and costs one try whoever it stands for.
    let static_user = account.as_ref().filter(|found| found.expires_at.is_none());
    assert_eq!(
        by_hash.map(|found| found.username).as_deref(),
        static_user.map(|found| found.username.as_str())
    );
    assert_eq!(tried_by_hash, 1);
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
    assert!(nobody.authenticate(md5("alice"), NOW, |_| true).is_none());
    assert!(
        nobody
            .authenticate(md5("1700000600:alice"), NOW, |_| true)
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
    assert!(both().authenticate(md5("mallory"), NOW, |_| true).is_none());
}

#[test]
fn every_credential_but_a_bare_key_signs_in_by_sha256_too() {
    let key = LongTermKey::from_hex("d4ca192aa290c0a7d49f765fee7bbe60").unwrap();
    let minted = rest::mint(b"older", "bob", 600, NOW, ':');
    let by_sha256 = |credentials: &Credentials, name: &str, password: &str| {
        sign_in_by(credentials, KeyAlgorithm::Sha256, name, password)
    };
    assert!(by_sha256(&both(), "alice", "wonderland").0.is_some());
    assert!(
        by_sha256(&both(), &minted.username, &minted.password)
            .0
            .is_some()
    );
    assert_eq!(
        both().algorithms(),
        [KeyAlgorithm::Sha256, KeyAlgorithm::Md5]
    );
    // RFC 8489 §9.2.2: H(A1) of a SIP system is an MD5 key, and nothing else can be made of it.
    let bare = both().with_key("alice", key);
    assert_eq!(bare.algorithms(), [KeyAlgorithm::Md5]);
    let (account, tried) = by_sha256(&bare, "alice", "wonderland");
    assert!(account.is_none());
    assert_eq!(tried, by_sha256(&bare, "nobody", "wonderland").1);
}

#[test]
fn usernames_may_be_anonymous_where_every_user_is_known() {
    // RFC 8489 §9.2.5: a client that is told of username anonymity sends USERHASH and nothing else.
    let users = || Credentials::new("turnpike").with_user("alice", "wonderland");
    assert!(users().finds_by_hash());
    assert!(!users().with_secret(secret("newest")).finds_by_hash());
    assert!(!Credentials::new("turnpike").finds_by_hash());
}

proptest! {
    #[test]
    fn no_username_is_believed_without_a_key_that_matches(username in "[0-9]{1,22}:?[a-z]{0,5}|\\PC{0,30}", now in any::<u64>()) {
        prop_assert!(both().authenticate(md5(&username), now, |_| false).is_none());
    }

    #[test]
    fn minted_credentials_are_believed_until_they_expire(user in "\\PC{0,20}", ttl in 0..10_000_u64, later in 0..20_000_u64) {
        let minted = rest::mint(b"newest", &user, ttl, NOW, ':');
        let theirs = LongTermKey::derive(&minted.username, "turnpike", &minted.password);
        let account = both().authenticate(md5(&minted.username), NOW + later, |key| key.as_bytes() == theirs.as_bytes());
        prop_assert_eq!(account.is_some(), later <= ttl);
    }
}

#[test]
fn nobody_is_believed_only_where_there_are_no_users_secrets_or_tokens() {
    let none = || Credentials::new("turnpike");
    assert!(none().is_empty());
    assert!(none().tokens().is_none());
    let tokens = none().with_tokens(TokenKeys::new("turn.example"));
    assert_eq!(tokens.tokens().map(TokenKeys::server), Some("turn.example"));
    let some = [
        none().with_user("alice", "wonderland"),
        none().with_secret(secret("newest")),
        tokens,
    ];
    assert!(some.iter().all(|credentials| !credentials.is_empty()));
}

#[test]
fn a_key_proves_nothing_in_the_name_of_another() {
    // With one user, that one is the nearest to all.
    let credentials = Credentials::new("turnpike").with_user("alice", "wonderland");
    for name in ["", "bob", "alicf", "Alice"] {
        let hash = userhash(name, "turnpike");
        for user in [User::Name(name), User::Hash(&hash)] {
            let claim = Claim {
                user,
                algorithm: KeyAlgorithm::Md5,
            };
            assert!(credentials.authenticate(claim, NOW, |_| true).is_none());
        }
    }
}
