//! The key of a session: what it was made of, and which attribute it signs answers with (RFC 8489 §9.2.4).

use turn_auth::KeyAlgorithm;
use turn_wire::{Integrity, IntegrityKey, MessageView};

/// A session's key as plain data, for whoever takes the session over. It is a secret, and has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionSecret {
    /// The key itself.
    pub bytes: Box<[u8]>,
    /// What it was made of.
    pub origin: KeyOrigin,
    /// Which attribute answers carry.
    pub integrity: Integrity,
}

/// What the key of a session was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    /// A password, by this algorithm.
    Password(KeyAlgorithm),
    /// An access token (RFC 7635).
    Token {
        /// When the lifetime of the token ends, Unix time.
        expires_at: u64,
    },
}

/// The key of a session, ready for use.
#[derive(Clone)]
pub(crate) struct SessionKey {
    pub(crate) secret: SessionSecret,
    /// Signs answers.
    pub(crate) ready: IntegrityKey,
}

impl SessionKey {
    pub(crate) fn new(secret: SessionSecret) -> Self {
        Self {
            ready: IntegrityKey::of(secret.integrity, &secret.bytes),
            secret,
        }
    }

    /// The key of a request, if that verifies it.
    pub(crate) fn proven(
        view: &MessageView<'_>,
        bytes: &[u8],
        origin: KeyOrigin,
        answers: Integrity,
    ) -> Option<Self> {
        let key = Self::new(SessionSecret {
            bytes: bytes.into(),
            origin,
            integrity: answers,
        });
        key.verifies(view).then_some(key)
    }

    /// Whether it proves a request, by whichever attribute counts there.
    pub(crate) fn verifies(&self, view: &MessageView<'_>) -> bool {
        match view.integrity() {
            Some(integrity) if integrity == self.secret.integrity => view.verify(&self.ready),
            Some(integrity) => view.verify(&IntegrityKey::of(integrity, &self.secret.bytes)),
            None => false,
        }
    }

    /// The same key for answers by another attribute.
    pub(crate) fn answering_by(&self, integrity: Integrity) -> Self {
        if integrity == self.secret.integrity {
            return self.clone();
        }
        let mut secret = self.secret.clone();
        secret.integrity = integrity;
        Self::new(secret)
    }
}
