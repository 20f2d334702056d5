//! Tokens that a service of the operator's knows: it is asked for each, and its answers are kept for a moment.
//!
//! In: the question, the answer, how many may be open at a time. Not in: what is done with the answer.
//!
//! Asked is `POST URL` with `{"token": TOKEN}`. 200 with `{"user": NAME, "name": SHOWN?}` is yes, 4xx is no, and everything else
//! is no answer, which lets nobody in and says to come back.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use ring::digest;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::warn;
use turn_auth::Secret;

use super::{Known, Unproven};
use crate::clock::Clock;
use crate::hub::Name;
use crate::web::{Bounds, WebUrl, exchange};

/// Somebody waits to come in, and has to wait no longer than for the question and for its turn.
const BOUNDS: Bounds = Bounds {
    time: Duration::from_secs(3),
    body: 65_536,
};

/// Questions at a time; whoever comes beyond waits.
const AT_A_TIME: usize = 64;

/// How long an answer is kept: short, because a user who was thrown out must not come back for long, and long enough that a
/// page with three connections asks once.
const YES_KEPT: Duration = Duration::from_secs(30);
const NO_KEPT: Duration = Duration::from_secs(5);

/// Answers that are kept; the oldest gives way.
const MOST_KEPT: usize = 4_096;

/// A token without the token: what is kept tells nobody how to come in.
type Fingerprint = [u8; 32];

/// A service that knows tokens.
pub struct CallOut {
    url: WebUrl,
    key: Option<Secret<String>>,
    clock: Clock,
    turns: Semaphore,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    answers: HashMap<Fingerprint, Answer>,
    /// In the order in which they came.
    order: VecDeque<Fingerprint>,
    /// Questions that are open, so that many with one token are one question.
    open: HashMap<Fingerprint, Arc<tokio::sync::Mutex<()>>>,
}

#[derive(Clone)]
struct Answer {
    said: Option<Known>,
    until: Duration,
}

#[derive(Deserialize)]
struct Said {
    user: String,
    name: Option<String>,
}

impl CallOut {
    /// Asks at `url`, with `key` as our own credentials.
    pub fn new(url: WebUrl, key: Option<Secret<String>>) -> CallOut {
        CallOut {
            url,
            key,
            clock: Clock::start(),
            turns: Semaphore::new(AT_A_TIME),
            kept: Mutex::default(),
        }
    }

    pub(crate) async fn user_of(&self, token: &str) -> Result<Known, Unproven> {
        let fingerprint = fingerprint(token);
        if let Some(said) = self.known(&fingerprint) {
            return said.ok_or(Unproven::Wrong);
        }
        let open = Open::question(self, fingerprint);
        let _asking = open.turn.lock().await;
        let answer = match self.known(&fingerprint) {
            Some(said) => Ok(said),
            None => self
                .ask(token)
                .await
                .inspect(|said| self.keep(fingerprint, said.clone())),
        };
        answer?.ok_or(Unproven::Wrong)
    }

    async fn ask(&self, token: &str) -> Result<Option<Known>, Unproven> {
        let turn = timeout(BOUNDS.time, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            warn!(url = %self.url, "too many tokens are being asked about");
            return Err(Unproven::Unavailable);
        };
        self.asked(token).await.map_err(|error| {
            warn!(%error, "nobody says whose a token is");
            Unproven::Unavailable
        })
    }

    async fn asked(&self, token: &str) -> anyhow::Result<Option<Known>> {
        let mut request = Request::post(&self.url.path)
            .header(header::HOST, self.url.authority())
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", key.expose()));
        }
        let question = serde_json::json!({"token": token}).to_string();
        let (status, body) =
            exchange(&self.url, request.body(Body::from(question))?, BOUNDS).await?;
        match status {
            StatusCode::OK => {}
            // These are about us and not about the token.
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                anyhow::bail!("{}: it answers {status}", self.url)
            }
            status if status.is_client_error() => return Ok(None),
            status => anyhow::bail!("{}: it answers {status}", self.url),
        }
        let said: Said = serde_json::from_slice(&body)?;
        let user = Name::parse(&said.user);
        let user =
            user.ok_or_else(|| anyhow::anyhow!("{}: its user cannot be a name", self.url))?;
        Ok(Some(Known {
            user,
            name: said.name.as_deref().and_then(Name::parse),
        }))
    }

    fn known(&self, fingerprint: &Fingerprint) -> Option<Option<Known>> {
        let now = self.clock.now();
        let kept = self.lock();
        let answer = kept.answers.get(fingerprint)?;
        (now < answer.until).then(|| answer.said.clone())
    }

    fn keep(&self, fingerprint: Fingerprint, said: Option<Known>) {
        let life = if said.is_some() { YES_KEPT } else { NO_KEPT };
        let until = self.clock.now() + life;
        let mut kept = self.lock();
        if kept
            .answers
            .insert(fingerprint, Answer { said, until })
            .is_none()
        {
            kept.order.push_back(fingerprint);
        }
        while kept.order.len() > MOST_KEPT {
            if let Some(oldest) = kept.order.pop_front() {
                kept.answers.remove(&oldest);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question that somebody waits to have answered. The last of those who have it in common takes it away, also if nobody waits to
/// the end.
struct Open<'a> {
    callout: &'a CallOut,
    fingerprint: Fingerprint,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Open<'_> {
    fn question(callout: &CallOut, fingerprint: Fingerprint) -> Open<'_> {
        let turn = Arc::clone(callout.lock().open.entry(fingerprint).or_default());
        Open {
            callout,
            fingerprint,
            turn,
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut kept = self.callout.lock();
        // This one and the one in the table.
        if Arc::strong_count(&self.turn) <= 2 {
            kept.open.remove(&self.fingerprint);
        }
    }
}

fn fingerprint(token: &str) -> Fingerprint {
    let mut fingerprint = Fingerprint::default();
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    fingerprint.copy_from_slice(digest.as_ref());
    fingerprint
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_question_that_everybody_gives_up_is_forgotten() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", silent.local_addr().unwrap());
        let callout = CallOut::new(url.parse().unwrap(), None);
        let moment = Duration::from_millis(50);
        for token in ["a", "b"] {
            let two = async { tokio::join!(callout.user_of(token), callout.user_of(token)) };
            assert!(timeout(moment, two).await.is_err(), "it was answered");
        }
        assert!(callout.lock().open.is_empty());
    }
}
