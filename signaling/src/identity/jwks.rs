//! The keys that an issuer of tokens publishes, fetched and kept.
//!
//! In: when they are fetched: at first use, when they are old, and when a token names a key that is not among them. Not in:
//! what is in a set (`keys.rs`).
//!
//! An issuer that is down must not lock everybody out, and tokens with made-up keys must not make us hammer it: keys that were
//! fetched once are kept until newer ones come, and between two attempts there is a pause.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use tracing::{info, warn};

use super::keys::{Key, parse_set};
use super::token::{Claims, Expected, Flaw, Token};
use crate::clock::Clock;
use crate::web::{Bounds, WebUrl, exchange};

/// Somebody waits to come in. A set of keys has a few KiB.
const BOUNDS: Bounds = Bounds {
    time: Duration::from_secs(3),
    body: 256 * 1024,
};

/// When keys are fetched again.
#[derive(Clone, Copy, Debug)]
pub struct Freshness {
    /// From what age on.
    pub max_age: Duration,
    /// How long it is left at the last attempt, whatever asks for another.
    pub pause: Duration,
}

impl Default for Freshness {
    fn default() -> Freshness {
        Freshness {
            // A key that was withdrawn is taken for so long.
            max_age: Duration::from_secs(600),
            pause: Duration::from_secs(10),
        }
    }
}

/// Where an issuer publishes its keys.
pub struct KeySource {
    url: WebUrl,
    freshness: Freshness,
    clock: Clock,
    kept: Mutex<Kept>,
    /// Held while keys are fetched.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct Kept {
    keys: Option<Arc<Vec<Key>>>,
    fetched_at: Option<Duration>,
    tried_at: Option<Duration>,
}

/// There are no keys yet, and none can be had.
#[derive(Debug, thiserror::Error)]
#[error("no keys from {0}")]
pub(crate) struct NoKeys(WebUrl);

impl KeySource {
    /// Names the place; nothing is fetched before somebody comes.
    pub fn new(url: WebUrl, freshness: Freshness) -> KeySource {
        KeySource {
            url,
            freshness,
            clock: Clock::start(),
            kept: Mutex::default(),
            fetching: tokio::sync::Mutex::new(()),
        }
    }

    /// Checks a token with what is published.
    pub(crate) async fn verify(
        &self,
        token: &Token<'_>,
        expected: &Expected,
    ) -> Result<Result<Claims, Flaw>, NoKeys> {
        let keys = self.current().await?;
        let verdict = token.verify(&keys, expected);
        // A key that is not there, or was replaced without a name to tell: it may be newer than what we have.
        let may_be_new = match verdict {
            Err(Flaw::UnknownKey) => true,
            Err(Flaw::Signature) => !token.names_its_key(),
            _ => false,
        };
        if !may_be_new {
            return Ok(verdict);
        }
        self.fetch_after(&keys).await;
        let newer = self.kept().keys.unwrap_or(keys);
        Ok(token.verify(&newer, expected))
    }

    /// The keys that we have; fetched if there are none, or if they are old and nobody else is at it.
    async fn current(&self) -> Result<Arc<Vec<Key>>, NoKeys> {
        let Kept {
            keys, fetched_at, ..
        } = self.kept();
        match keys {
            Some(keys) => {
                let age = self
                    .clock
                    .now()
                    .saturating_sub(fetched_at.unwrap_or_default());
                if age >= self.freshness.max_age
                    && let Ok(_fetching) = self.fetching.try_lock()
                {
                    self.fetch().await;
                }
                Ok(self.kept().keys.unwrap_or(keys))
            }
            None => {
                let _fetching = self.fetching.lock().await;
                if self.kept().keys.is_none() {
                    self.fetch().await;
                }
                self.kept().keys.ok_or_else(|| NoKeys(self.url.clone()))
            }
        }
    }

    /// Fetches, unless somebody has since these were looked at.
    async fn fetch_after(&self, seen: &Arc<Vec<Key>>) {
        let _fetching = self.fetching.lock().await;
        let kept = self.kept().keys;
        if kept.is_some_and(|kept| Arc::ptr_eq(&kept, seen)) {
            self.fetch().await;
        }
    }

    async fn fetch(&self) {
        let now = self.clock.now();
        let tried_at = self.kept().tried_at;
        if tried_at.is_some_and(|at| now < at + self.freshness.pause) {
            return;
        }
        self.lock().tried_at = Some(now);
        match self.fetched().await {
            Ok(keys) => {
                info!(url = %self.url, keys = keys.len(), "keys of tokens fetched");
                let mut kept = self.lock();
                kept.keys = Some(Arc::new(keys));
                kept.fetched_at = Some(now);
            }
            Err(error) => warn!(%error, "keys of tokens cannot be fetched; those known are kept"),
        }
    }

    async fn fetched(&self) -> anyhow::Result<Vec<Key>> {
        let request = Request::get(&self.url.path)
            .header(header::HOST, self.url.authority())
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            .body(Body::empty())?;
        let (status, body) = exchange(&self.url, request, BOUNDS).await?;
        anyhow::ensure!(
            status == StatusCode::OK,
            "{}: it answers {status}",
            self.url
        );
        Ok(parse_set(&body)?)
    }

    fn kept(&self) -> Kept {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
