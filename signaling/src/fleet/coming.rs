//! How a node gets the state of the fleet, when it is new, comes back, or was away for long.
//!
//! In: going on where it was, asking those who have the state, declaring its own. Not in: writing and reading afterwards (`link.rs`).

use std::time::Duration;

use tokio::time::sleep;
use tracing::{info, warn};

use super::lately::Lately;
use super::link::{Broken, Link, PAGE, add, stream_entry};
use super::replica::{Replica, SILENCE};
use super::resp::Reply;
use super::{LogId, entry};

/// How long nodes that have the state may take to give it: together longer than a dead one is believed to live, so that its turn has
/// gone to another. Each time that `ANSWER` is over they are asked again.
const ALL_ANSWERS: Duration = Duration::from_secs(6);
const ANSWER: Duration = Duration::from_secs(1);

/// How long it takes at most until one of those who ask declares its state to be everybody's, if nobody else has one.
const FOUNDING: Duration = Duration::from_millis(250);

impl Link<'_> {
    /// Says whether the log still has what was read last, so that a short break was only that.
    pub(super) async fn goes_on_where_it_was(&mut self) -> Result<bool, Broken> {
        let Some(last) = self.post.reading_from() else {
            return Ok(false);
        };
        let last = last.to_string();
        let range: [&[u8]; 4] = [b"XRANGE", &self.log, last.as_bytes(), last.as_bytes()];
        let there = match self.writer.ask(&range).await? {
            Reply::List(entries) => !entries.is_empty(),
            _ => return Err(Broken::Unexpected),
        };
        if !there {
            self.post.go_alone(true);
            warn!("Redis came back without the log: this node comes in anew");
        }
        self.post.write_again();
        Ok(there)
    }

    /// Gets the state from those who have it, or declares its own to be everybody's.
    pub(super) async fn come_in(&mut self) -> Result<(), Broken> {
        let mut first_asked_at = None;
        let mut patience = ALL_ANSWERS;
        while !patience.is_zero() {
            let asked = self.post.question()?;
            let asked_at = add(&mut self.writer, &self.log, &asked, LogId::default()).await?;
            let since = *first_asked_at.get_or_insert(asked_at);
            let lately = self.lately(asked_at).await?;
            let me = self.post.me();
            let wait = match (lately.can_answer(&me), lately.is_first_to_found(&me)) {
                (true, _) => ANSWER,
                (false, false) => FOUNDING,
                (false, true) => break,
            };
            if let Some((at, replica)) = self.answer(since, wait).await? {
                let nodes = self.post.come_in(at, replica);
                info!("nodes of the fleet: {}", nodes + 1);
                return Ok(());
            }
            patience = patience.saturating_sub(wait);
        }
        let from = self.end_of_log().await?;
        self.post.found(from);
        info!("nodes of the fleet: 1");
        Ok(())
    }

    /// Says what those wrote who are believed to live, up to where somebody is found who can answer.
    async fn lately(&mut self, asked_at: LogId) -> Result<Lately, Broken> {
        let (me, mut lately) = (self.post.me(), Lately::default());
        let from = asked_at
            .time()
            .saturating_sub(SILENCE)
            .as_millis()
            .to_string();
        let mut to = asked_at.to_string();
        loop {
            let range: [&[u8]; 6] = [
                b"XREVRANGE",
                &self.log,
                to.as_bytes(),
                from.as_bytes(),
                b"COUNT",
                PAGE,
            ];
            let Reply::List(entries) = self.writer.ask(&range).await? else {
                return Err(Broken::Unexpected);
            };
            let mut last = None;
            for entry in entries {
                let (at, bytes) = stream_entry(entry).ok_or(Broken::Unexpected)?;
                lately.note(&entry::Entry::decode(&bytes)?);
                last = Some(at);
            }
            match last {
                Some(at) if !lately.can_answer(&me) => to = format!("({at}"),
                _ => return Ok(lately),
            }
        }
    }

    /// The answer to a question asked since then. One to an earlier question, which may have been underway for long, is not taken:
    /// what came behind it in the log was told to our connections already, and would be told again.
    async fn answer(
        &mut self,
        since: LogId,
        within: Duration,
    ) -> Result<Option<(LogId, Replica)>, Broken> {
        let key = self.post.snapshot_key();
        let step = Duration::from_millis(25);
        for _ in 0..within.as_millis() / step.as_millis() {
            match self.writer.ask(&[b"GET", key.as_bytes()]).await? {
                Reply::Bytes(bytes) => {
                    let (at, replica) = postcard::from_bytes(&bytes)?;
                    if at >= since {
                        self.writer.ask(&[b"DEL", key.as_bytes()]).await?;
                        return Ok(Some((at, replica)));
                    }
                    // The right one takes its place; to delete it could delete that.
                    sleep(step).await;
                }
                Reply::Nil => sleep(step).await,
                _ => return Err(Broken::Unexpected),
            }
        }
        Ok(None)
    }

    async fn end_of_log(&mut self) -> Result<LogId, Broken> {
        let range: [&[u8]; 6] = [b"XREVRANGE", &self.log, b"+", b"-", b"COUNT", b"1"];
        let Reply::List(entries) = self.writer.ask(&range).await? else {
            return Err(Broken::Unexpected);
        };
        let last = entries.into_iter().next().and_then(stream_entry);
        last.map(|(at, _)| at).ok_or(Broken::Unexpected)
    }
}
