//! Calls that are over, told to a service of the operator's, signed as Standard Webhooks wants it.
//!
//! In: the request, its signature, how often it is tried. <https://www.standardwebhooks.com/>: `webhook-id`, `webhook-timestamp`,
//! and in `webhook-signature` `v1,` and the HMAC-SHA256 of `ID.TIMESTAMP.BODY` in base64.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::warn;
use turn_auth::Secret;

use super::{Counts, Entry, Ticket};
use crate::clock::unix_time;
use crate::web::{Bounds, WebUrl, exchange};

const BOUNDS: Bounds = Bounds {
    time: Duration::from_secs(10),
    body: 65_536,
};

/// How long it is waited before each further attempt. Half a minute bridges a restart; what takes longer would hold up all
/// others, because they are told in their order.
const WAITS: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
];

/// How a secret in the specification's own form begins.
const SECRET_PREFIX: &str = "whsec_";

/// Where calls are told, and the keys that say it is us.
pub struct Webhook {
    url: WebUrl,
    keys: Vec<hmac::Key>,
    waits: Vec<Duration>,
}

#[derive(Serialize)]
struct Told<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// Seconds since 1970, as in the header.
    timestamp: u64,
    data: &'a Entry,
}

impl Webhook {
    /// Tells at `url`, signed with each of `secrets`: `whsec_` and base64, or the plain bytes. Several while one replaces another.
    pub fn new(url: WebUrl, secrets: &[Secret<String>]) -> Webhook {
        let keys = secrets.iter().map(|secret| {
            let text = secret.expose();
            let coded = text.strip_prefix(SECRET_PREFIX);
            let decoded = coded.and_then(|coded| STANDARD.decode(coded).ok());
            let bytes = decoded.unwrap_or_else(|| text.as_bytes().to_vec());
            hmac::Key::new(hmac::HMAC_SHA256, &bytes)
        });
        Webhook {
            url,
            keys: keys.collect(),
            waits: WAITS.to_vec(),
        }
    }

    /// Waits so long before further attempts.
    pub fn with_waits(mut self, waits: &[Duration]) -> Webhook {
        self.waits = waits.to_vec();
        self
    }

    pub(super) async fn run(
        self,
        mut tickets: mpsc::Receiver<Option<Ticket>>,
        counts: Arc<Counts>,
    ) {
        while let Some(Some(ticket)) = tickets.recv().await {
            let counter = match self.tell(&ticket.entry).await {
                true => &counts.told,
                false => &counts.untold,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tries until it is taken or hopeless; says whether it was taken.
    async fn tell(&self, entry: &Entry) -> bool {
        let mut waits = self.waits.iter();
        loop {
            let cause = match self.attempt(entry).await {
                Ok(Verdict::Taken) => return true,
                Ok(Verdict::Unwanted(status)) => {
                    warn!(url = %self.url, status, "the webhook wants no calls");
                    return false;
                }
                Err(error) => error,
            };
            let Some(wait) = waits.next() else {
                warn!(error = %cause, "the webhook is not told of a call");
                return false;
            };
            sleep(*wait).await;
        }
    }

    async fn attempt(&self, entry: &Entry) -> anyhow::Result<Verdict> {
        let timestamp = unix_time();
        let body = serde_json::to_string(&Told {
            kind: "call.ended",
            timestamp,
            data: entry,
        })?;
        let request = Request::post(&self.url.path)
            .header(header::HOST, self.url.authority())
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &entry.id)
            .header("webhook-timestamp", timestamp)
            .header(
                "webhook-signature",
                self.signatures(&entry.id, timestamp, &body),
            )
            .body(Body::from(body))?;
        let (status, _) = exchange(&self.url, request, BOUNDS).await?;
        match status.as_u16() {
            200..=299 => Ok(Verdict::Taken),
            // Too early, too slow or too often: those are about the moment. Every other 4xx is about us.
            408 | 425 | 429 => anyhow::bail!("{}: it answers {status}", self.url),
            400..=499 => Ok(Verdict::Unwanted(status.as_u16())),
            _ => anyhow::bail!("{}: it answers {status}", self.url),
        }
    }

    fn signatures(&self, id: &str, timestamp: u64, body: &str) -> String {
        let signed = format!("{id}.{timestamp}.{body}");
        let signatures = self.keys.iter().map(|key| {
            let signature = hmac::sign(key, signed.as_bytes());
            format!("v1,{}", STANDARD.encode(signature))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

enum Verdict {
    Taken,
    Unwanted(u16),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_signed_as_the_specification_s_example_is() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let webhook = Webhook::new("https://h/".parse().unwrap(), &[secret]);
        let body = r#"{"test": 2432232314}"#;
        assert_eq!(
            webhook.signatures("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }
}
