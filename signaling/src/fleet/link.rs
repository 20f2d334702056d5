//! A node's way into the fleet and out of it, by Redis.
//!
//! In: writing entries and reading the log. Not in: how a node gets the state first (`coming.rs`), one connection (`client.rs`), what
//! entries do (`replica.rs`), and the node's own part in it (`post.rs`).

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::warn;

use super::client::{Client, Way};
use super::post::{Mail, Post};
use super::replica::Read;
use super::resp::{Malformed, Reply};
use super::trail::Trail;
use super::{LogId, entry};

/// How long nothing may come back before the node goes on alone. Until then its clients wait, which they notice less than
/// that somebody else's node is out of reach.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// How often a node says that it lives.
const BEAT: Duration = Duration::from_secs(1);

/// How long a node waits until it tries again to reach Redis.
const PAUSE: Duration = Duration::from_millis(250);

/// Entries read at a time.
pub(super) const PAGE: &[u8] = b"256";

/// Why the connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
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
pub(crate) async fn run(way: impl Way, post: Post) {
    let mut complained = false;
    while post.is_open() {
        let ended = tokio::select! {
            ended = link(&way, &post, &mut complained) => ended,
            () = silence(&post) => Err(Broken::Silent),
        };
        let Err(broken) = ended else { return };
        // What came apart is not mended by waiting; what broke may be back at once.
        let apart = matches!(broken, Broken::Apart(_) | Broken::Entry(_));
        if post.go_alone(apart) || apart && !complained && !post.is_logging() {
            warn!("this node goes on alone: {broken}");
            complained = true;
        } else if !complained && !post.is_logging() {
            warn!("Redis cannot be reached, this node is alone: {broken}");
            complained = true;
        }
        sleep(PAUSE).await;
    }
}

async fn link(way: &impl Way, post: &Post, complained: &mut bool) -> Result<(), Broken> {
    Link::open(way, post).await?.serve(complained).await
}

/// Waits until nothing of the log was read for too long, whatever it is that is waited for meanwhile.
async fn silence(post: &Post) {
    loop {
        match post.patience() {
            Some(Duration::ZERO) => return,
            Some(patience) => sleep(patience).await,
            None => sleep(PAUSE).await,
        }
    }
}

/// Two connections: one writes, one waits for what is new.
pub(super) struct Link<'a> {
    pub(super) writer: Client,
    reader: Client,
    pub(super) log: Vec<u8>,
    pub(super) post: &'a Post,
}

impl<'a> Link<'a> {
    async fn open(way: &impl Way, post: &'a Post) -> Result<Link<'a>, Broken> {
        let log = format!("turnpike:signaling:{}:log", entry::VERSION).into_bytes();
        Ok(Link {
            writer: way.open().await?,
            reader: way.open().await?,
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
        let trail = Mutex::default();
        tokio::select! {
            ended = write(writer, &log, post, &trail) => ended,
            ended = read(reader, &log, post, &trail) => ended,
        }
    }
}

/// Writes what the node has to say, as much at once as there is; and that it lives.
async fn write(
    mut writer: Client,
    log: &[u8],
    post: &Post,
    trail: &Mutex<Trail>,
) -> Result<(), Broken> {
    loop {
        if timeout(BEAT, post.something_to_send()).await.is_err() {
            post.beat();
        }
        while let Some(mail) = post.next()? {
            match mail {
                Mail::Entry(bytes) => {
                    let kept_from = lock(trail).begins_at();
                    add(&mut writer, log, &bytes, kept_from).await?;
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

/// Adds an entry to the log, and takes those out of it that are too old, about.
pub(super) async fn add(
    writer: &mut Client,
    log: &[u8],
    bytes: &[u8],
    kept_from: LogId,
) -> Result<LogId, Broken> {
    let kept_from = kept_from.to_string();
    let kept_from = kept_from.as_bytes();
    let add: [&[u8]; 8] = [b"XADD", log, b"MINID", b"~", kept_from, b"*", b"e", bytes];
    match writer.ask(&add).await? {
        Reply::Bytes(id) => LogId::parse(&id).ok_or(Broken::Unexpected),
        _ => Err(Broken::Unexpected),
    }
}

/// Reads the log and does what is in it. The node's own beats are in it: when they fail to come, nothing else comes either.
async fn read(
    mut reader: Client,
    log: &[u8],
    post: &Post,
    trail: &Mutex<Trail>,
) -> Result<(), Broken> {
    loop {
        let swamped = Broken::Apart("more happens here than Redis takes");
        let from = post.reading_from().ok_or(swamped)?;
        let from = from.to_string();
        let read: [&[u8]; 8] = [
            b"XREAD",
            b"BLOCK",
            b"1900",
            b"COUNT",
            PAGE,
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
            lock(trail).note(at, bytes.len());
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

/// Held for a moment by one of two that run in turns.
fn lock(trail: &Mutex<Trail>) -> std::sync::MutexGuard<'_, Trail> {
    trail.lock().unwrap_or_else(PoisonError::into_inner)
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
pub(super) fn stream_entry(entry: Reply) -> Option<(LogId, Vec<u8>)> {
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
