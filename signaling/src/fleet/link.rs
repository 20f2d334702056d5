//! A node's way into the fleet and out of it, by Redis.
//!
//! In: writing entries, reading the log, coming in and coming back. Not in: one connection (`client.rs`), what entries do
//! (`replica.rs`), and the node's own part in it (`post.rs`).

use std::io;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::client::{Client, RedisAddress};
use super::post::{Mail, Post};
use super::replica::{Read, Replica, SILENCE};
use super::resp::{Malformed, Reply};
use super::{LogId, entry};

/// How long nothing may come back before the node goes on alone. Until then its clients wait, which they notice less than
/// that somebody else's node is out of reach.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// How often a node says that it lives.
const BEAT: Duration = Duration::from_secs(1);

/// How long a node waits until it tries again to reach Redis.
const PAUSE: Duration = Duration::from_millis(250);

/// How long nodes that have the state may take to give it, times how often they are asked: longer together than a dead one is
/// believed to live, so that its turn has gone to another.
const ANSWER: Duration = Duration::from_secs(1);
const QUESTIONS: u32 = 6;

/// Entries that Redis keeps at least. Whoever is further behind comes in anew.
const LOG_LENGTH: &[u8] = b"20000";

/// Why the connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("no answer in time")]
    Silent,
    #[error("no answer to TLS in time: there may be none at that port")]
    SilentTls,
    #[error("{0}")]
    Malformed(#[from] Malformed),
    #[error("Redis says: {0}")]
    Refused(String),
    #[error("an answer of another kind than expected")]
    Unexpected,
    #[error("an entry cannot be read: {0}")]
    Entry(#[from] postcard::Error),
    #[error("{0}")]
    Apart(&'static str),
}

/// Keeps a node in the fleet for as long as it lives.
pub(crate) async fn run(address: RedisAddress, post: Post) {
    let mut complained = false;
    while post.is_open() {
        let ended = Link::open(&address, &post).await;
        let ended = match ended {
            Ok(link) => link.serve(&mut complained).await,
            Err(broken) => Err(broken),
        };
        let Err(broken) = ended else { return };
        // What came apart is not mended by waiting; what broke may be back at once.
        let apart = matches!(broken, Broken::Apart(_) | Broken::Entry(_));
        if post.go_alone(apart) {
            warn!("this node goes on alone: {broken}");
            complained = true;
        } else if !complained && !post.is_logging() {
            warn!("Redis cannot be reached, this node is alone: {broken}");
            complained = true;
        }
        sleep(PAUSE).await;
    }
}

/// Two connections: one writes, one waits for what is new.
struct Link<'a> {
    writer: Client,
    reader: Client,
    log: Vec<u8>,
    post: &'a Post,
}

impl<'a> Link<'a> {
    async fn open(address: &RedisAddress, post: &'a Post) -> Result<Link<'a>, Broken> {
        let log = format!("turnpike:signaling:{}:log", entry::VERSION).into_bytes();
        Ok(Link {
            writer: Client::connect(address).await?,
            reader: Client::connect(address).await?,
            log,
            post,
        })
    }

    async fn serve(mut self, complained: &mut bool) -> Result<(), Broken> {
        if !self.goes_on_where_it_was().await? {
            self.come_in().await?;
        }
        let Link {
            writer,
            reader,
            log,
            post,
        } = self;
        *complained = false;
        tokio::select! {
            ended = write(writer, &log, post) => ended,
            ended = read(reader, &log, post) => ended,
        }
    }

    /// Says whether the log still has what was read last, so that a short break was only that.
    async fn goes_on_where_it_was(&mut self) -> Result<bool, Broken> {
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
    async fn come_in(&mut self) -> Result<(), Broken> {
        let mut first_asked_at = None;
        for _ in 0..QUESTIONS {
            let asked = self.post.question()?;
            let asked_at = add(&mut self.writer, &self.log, &asked).await?;
            if first_asked_at.is_none() && !self.somebody_lives(asked_at).await? {
                break;
            }
            let since = *first_asked_at.get_or_insert(asked_at);
            if let Some((at, replica)) = self.answer(since).await? {
                let nodes = self.post.come_in(at, replica);
                info!("nodes of the fleet: {}", nodes + 1);
                return Ok(());
            }
        }
        let from = self.end_of_log().await?;
        self.post.found(from);
        info!("nodes of the fleet: 1");
        Ok(())
    }

    /// Says whether anybody wrote shortly before.
    async fn somebody_lives(&mut self, asked_at: LogId) -> Result<bool, Broken> {
        let before = format!("({asked_at}");
        let range: [&[u8]; 6] = [
            b"XREVRANGE",
            &self.log,
            before.as_bytes(),
            b"-",
            b"COUNT",
            b"1",
        ];
        let Reply::List(entries) = self.writer.ask(&range).await? else {
            return Err(Broken::Unexpected);
        };
        let last = entries.into_iter().next().and_then(stream_entry);
        Ok(last.is_some_and(|(at, _)| at.time() + SILENCE >= asked_at.time()))
    }

    /// The answer to a question asked since then. One to an earlier question, which may have been underway for long, is not taken:
    /// what came behind it in the log was told to our connections already, and would be told again.
    async fn answer(&mut self, since: LogId) -> Result<Option<(LogId, Replica)>, Broken> {
        let key = self.post.snapshot_key();
        let step = Duration::from_millis(25);
        for _ in 0..ANSWER.as_millis() / step.as_millis() {
            match self.writer.ask(&[b"GET", key.as_bytes()]).await? {
                Reply::Bytes(bytes) => {
                    self.writer.ask(&[b"DEL", key.as_bytes()]).await?;
                    let (at, replica) = postcard::from_bytes(&bytes)?;
                    if at >= since {
                        return Ok(Some((at, replica)));
                    }
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

/// Writes what the node has to say, as much at once as there is; and that it lives.
async fn write(mut writer: Client, log: &[u8], post: &Post) -> Result<(), Broken> {
    loop {
        if timeout(BEAT, post.something_to_send()).await.is_err() {
            post.beat();
        }
        while let Some(mail) = post.next()? {
            match mail {
                Mail::Entry(bytes) => {
                    add(&mut writer, log, &bytes).await?;
                }
                Mail::Snapshot(key, bytes) => {
                    let set: [&[u8]; 5] = [b"SET", key.as_bytes(), &bytes, b"PX", b"30000"];
                    writer.ask(&set).await?;
                }
            }
        }
        if !post.is_open() {
            return Ok(());
        }
    }
}

async fn add(writer: &mut Client, log: &[u8], bytes: &[u8]) -> Result<LogId, Broken> {
    let add: [&[u8]; 8] = [b"XADD", log, b"MAXLEN", b"~", LOG_LENGTH, b"*", b"e", bytes];
    match writer.ask(&add).await? {
        Reply::Bytes(id) => LogId::parse(&id).ok_or(Broken::Unexpected),
        _ => Err(Broken::Unexpected),
    }
}

/// Reads the log and does what is in it. The node's own beats are in it: when they fail to come, nothing else comes either.
async fn read(mut reader: Client, log: &[u8], post: &Post) -> Result<(), Broken> {
    loop {
        let from = post
            .reading_from()
            .ok_or(Broken::Apart("out of the fleet"))?;
        let from = from.to_string();
        let read: [&[u8]; 8] = [
            b"XREAD",
            b"BLOCK",
            b"1900",
            b"COUNT",
            b"256",
            b"STREAMS",
            log,
            from.as_bytes(),
        ];
        let entries = match reader.ask(&read).await? {
            Reply::Nil => return Err(Broken::Silent),
            Reply::List(streams) => entries_of(streams).ok_or(Broken::Unexpected)?,
            _ => return Err(Broken::Unexpected),
        };
        for entry in entries {
            let (at, bytes) = stream_entry(entry).ok_or(Broken::Unexpected)?;
            match post.read(at, entry::Entry::decode(&bytes)?) {
                Read::Done | Read::Stranger | Read::Asked => {}
                Read::Gap => return Err(Broken::Apart("an entry of the log is missing")),
                Read::Replaced => return Err(Broken::Apart("another node's state is everybody's")),
                Read::Buried => return Err(Broken::Apart("the others believed this node dead")),
            }
        }
        if post.is_buried() {
            return Err(Broken::Apart("the others believed this node dead"));
        }
    }
}

/// The entries out of XREAD's answer about one stream.
fn entries_of(streams: Vec<Reply>) -> Option<Vec<Reply>> {
    let Reply::List(stream) = streams.into_iter().next()? else {
        return None;
    };
    match stream.into_iter().nth(1)? {
        Reply::List(entries) => Some(entries),
        _ => None,
    }
}

/// The id and the one field of an entry.
fn stream_entry(entry: Reply) -> Option<(LogId, Vec<u8>)> {
    let Reply::List(parts) = entry else {
        return None;
    };
    let mut parts = parts.into_iter();
    let (Reply::Bytes(id), Reply::List(fields)) = (parts.next()?, parts.next()?) else {
        return None;
    };
    let Reply::Bytes(value) = fields.into_iter().nth(1)? else {
        return None;
    };
    Some((LogId::parse(&id)?, value))
}
