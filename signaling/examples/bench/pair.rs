//! Two who talk: one says numbers and times, the other checks that they arrive in their order.
//!
//! In: how two meet in each protocol, alone or among others. Not in: how much they say, which is a row's matter.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::contender::Dialect;
use crate::line::Line;

/// Bytes that one tells the other.
pub(crate) const SIGNAL: usize = 500;

/// Messages under way between two: as many as a browser's candidates, not as many as memory holds.
const WINDOW: u64 = 32;

/// Two who are in a call or a room, or know each other's ids.
pub(crate) struct Pair {
    pub(crate) sender: Line,
    pub(crate) receiver: Line,
    envelope: Envelope,
}

/// What is around a signal.
#[derive(Clone)]
pub(crate) struct Envelope(String, &'static str);

impl Envelope {
    /// A message that carries `text`.
    pub(crate) fn around(&self, text: &str) -> String {
        format!("{}{text}{}", self.0, self.1)
    }
}

impl Pair {
    pub(crate) async fn meet(server: SocketAddr, dialect: Dialect, number: usize) -> Pair {
        let mut pairs = Pair::gather(server, dialect, &format!("p{number}"), 1).await;
        pairs.pop().unwrap()
    }

    /// So many pairs in one room or call; in protocols without, just so many.
    pub(crate) async fn gather(
        server: SocketAddr,
        dialect: Dialect,
        place: &str,
        pairs: usize,
    ) -> Vec<Pair> {
        let mut lines = Vec::new();
        for number in 0..2 * pairs {
            let name = format!("{place}-{number}");
            lines.push((Line::open(server, dialect, &name).await, name));
        }
        let addresses = match dialect {
            Dialect::PeerJs | Dialect::Stream => {
                lines.iter().map(|(_, name)| name.clone()).collect()
            }
            Dialect::SocketIo => call(&mut lines, place).await,
            Dialect::Native => room(&mut lines, place).await,
        };
        let mut lines = lines.into_iter().map(|(line, _)| line);
        let (mut found, mut number) = (Vec::new(), 0);
        while let (Some(sender), Some(receiver)) = (lines.next(), lines.next()) {
            let to: &String = &addresses[number + 1];
            number += 2;
            let envelope = match dialect {
                Dialect::PeerJs | Dialect::Stream => Envelope(
                    format!(r#"{{"type":"CANDIDATE","dst":"{to}","payload":""#),
                    r#""}"#,
                ),
                Dialect::SocketIo => Envelope(
                    format!(r#"42["webrtc-signal",{{"callId":"{place}","to":"{to}","signal":""#),
                    r#""}]"#,
                ),
                Dialect::Native => Envelope(
                    format!(r#"{{"type":"signal","to":"{to}","data":""#),
                    r#""}"#,
                ),
            };
            found.push(Pair {
                sender,
                receiver,
                envelope,
            });
        }
        found
    }

    pub(crate) fn envelope(&self) -> Envelope {
        self.envelope.clone()
    }

    /// Says so many things at once, and waits until they have arrived.
    pub(crate) async fn pass(&mut self, at_once: usize) {
        let text = format!("{:#<SIGNAL$}", "");
        let message = self.envelope.around(&text);
        self.sender.writing.say_often(&message, at_once).await;
        for _ in 0..at_once {
            self.receiver.until("#").await;
        }
    }

    /// Says numbers and times, and checks that they arrive in their order.
    pub(crate) async fn talk(
        self,
        epoch: Instant,
        messages: usize,
        pace: Option<(Duration, Duration)>,
    ) -> (Pair, Heard) {
        let Pair {
            sender: Line {
                reading,
                mut writing,
            },
            mut receiver,
            envelope,
        } = self;
        let arrived = Arc::new(AtomicU64::new(0));
        let (counter, own) = (Arc::clone(&arrived), envelope.clone());
        let saying = tokio::spawn(async move {
            for number in 0..messages {
                if let Some((gap, offset)) = pace {
                    let due = epoch + offset + gap.mul_f64(number as f64);
                    tokio::time::sleep_until(due.into()).await;
                } else {
                    while number as u64 >= counter.load(Ordering::Relaxed) + WINDOW {
                        tokio::task::yield_now().await;
                    }
                }
                let at = epoch.elapsed().as_nanos();
                let mut text = format!("#{number:08}@{at:020}#");
                text.extend(std::iter::repeat_n('x', SIGNAL - text.len()));
                writing.say(&own.around(&text)).await;
            }
            writing
        });
        let mut heard = Heard::default();
        for expected in 0..messages {
            let text = receiver.until("#").await;
            let part = text.split('#').nth(1).unwrap();
            let (number, at) = part.split_once('@').unwrap();
            heard.wrong += u64::from(number.parse() != Ok(expected));
            let at: u64 = at.parse().unwrap();
            heard.latencies.push(epoch.elapsed().as_nanos() as u64 - at);
            arrived.fetch_add(1, Ordering::Relaxed);
        }
        let sender = Line {
            reading,
            writing: saying.await.unwrap(),
        };
        let pair = Pair {
            sender,
            receiver,
            envelope,
        };
        (pair, heard)
    }
}

/// Has the first call all others, and returns by what name each is addressed.
async fn call(lines: &mut [(Line, String)], call: &str) -> Vec<String> {
    let names: Vec<String> = lines.iter().map(|(_, name)| name.clone()).collect();
    let others = names[1..].join(r#"",""#);
    let initiate = format!(
        r#"42["call-initiate",{{"callId":"{call}","participants":["{others}"],"type":"video"}}]"#
    );
    let (first, rest) = lines.split_first_mut().unwrap();
    first.0.say(&initiate).await;
    for (line, _) in rest {
        line.until("call-incoming").await;
        line.say(&format!(r#"42["call-accept",{{"callId":"{call}"}}]"#))
            .await;
        first.0.until("call-accepted").await;
    }
    names
}

/// Has all join a room, and returns by what id each is addressed.
async fn room(lines: &mut [(Line, String)], room: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for (line, _) in lines {
        line.say(&format!(r#"{{"type":"join","room":"{room}"}}"#))
            .await;
        let joined = line.until(r#""joined""#).await;
        let own = joined.split(r#""self":""#).nth(1).unwrap();
        ids.push(own.split('"').next().unwrap().to_owned());
    }
    ids
}

#[derive(Default)]
pub(crate) struct Heard {
    /// How long each message took, in nanoseconds.
    pub(crate) latencies: Vec<u64>,
    /// Messages that were lost or came in another order.
    pub(crate) wrong: u64,
}

impl Heard {
    /// The latency that this share of all messages did not exceed, in milliseconds.
    pub(crate) fn at(&mut self, share: f64) -> f64 {
        self.latencies.sort_unstable();
        let index = (self.latencies.len().saturating_sub(1)) as f64 * share;
        let nanoseconds = self.latencies.get(index as usize).copied();
        nanoseconds.unwrap_or_default() as f64 / 1_000_000.0
    }
}

/// Lets the first of each pair say so much to the second, all at the same rate or as fast as it goes, and returns what all have heard.
pub(crate) async fn all_talk(
    pairs: Vec<Pair>,
    messages: usize,
    gap: Option<Duration>,
) -> (Vec<Pair>, Heard) {
    let epoch = Instant::now();
    let of = pairs.len() as f64;
    let tasks: Vec<_> = pairs
        .into_iter()
        .enumerate()
        .map(|(index, pair)| {
            // Nobody begins at the same moment.
            let offset = gap.map(|gap| gap.mul_f64(index as f64 / of));
            tokio::spawn(pair.talk(epoch, messages, gap.zip(offset)))
        })
        .collect();
    let (mut back, mut all) = (Vec::new(), Heard::default());
    for task in tasks {
        let (pair, mut heard) = task.await.unwrap();
        back.push(pair);
        all.latencies.append(&mut heard.latencies);
        all.wrong += heard.wrong;
    }
    (back, all)
}
