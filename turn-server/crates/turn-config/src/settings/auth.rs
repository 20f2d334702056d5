//! Who may allocate: long-term accounts, REST secrets, nobody or everybody.

use std::time::Duration;

use crate::secret::Secret;

/// Says whom the relay believes.
///
/// Static accounts and secrets work at the same time (coturn ignores the accounts as soon as there is a secret).
#[derive(Clone)]
pub struct Auth {
    /// Anybody may allocate (`no-auth`); there are no users and no secrets then.
    pub anonymous: bool,
    /// Sent to clients, and part of every key. Never empty.
    pub realm: String,
    /// Static accounts, one per name.
    pub users: Vec<User>,
    /// Secrets of time-limited credentials (REST), in the order given.
    pub secrets: Vec<Secret<Vec<u8>>>,
    /// Stands between the time and the user in the name of a time-limited credential.
    pub rest_separator: char,
    /// How long a nonce is accepted; `None`: as long as the server runs.
    pub nonce_lifetime: Option<Duration>,
}

/// Describes one static account.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The name as given.
    pub name: String,
    /// How the name is proven.
    pub password: Password,
}

/// Says how an account is proven.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// The password itself; the key is made from it with the realm.
    Plain(Secret<String>),
    /// The ready key, MD5 of name, realm and password (`0x` and 32 hex digits; `turnadmin -k` prints it).
    Key(Secret<[u8; 16]>),
}
