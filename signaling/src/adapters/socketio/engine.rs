//! Engine.IO 4: one conversation over whichever carrier there is, HTTP requests or a WebSocket.
//!
//! In: packets in both directions, long polling, the move from polling to a WebSocket. Not in: paths and statuses
//! (`http.rs`), what messages mean (`mod.rs`). Of the protocol's packets only text ones are spoken.
//!
//! A session talks to its [`Line`] as it would to a WebSocket, and over one it has nothing in between. Where a client polls, the
//! other end is a [`Link`], which requests and a WebSocket that is to take over find by the conversation's id. Both
//! directions are bounded: whoever does not fetch what waits, or sends faster than the session reads, waits or is given up.
//!
//! A conversation by requests needs no connection of its own, so that one client could hold all there may be, and keep everybody
//! out. So they are a part of all, and a newcomer takes the place of the one that has had no request waiting for longest: real clients
//! nearly always have one.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::ready;
use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use futures_util::{Sink, SinkExt};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite;

use crate::places::{Place, Places};

/// Separates the packets of one HTTP body.
const SEPARATOR: char = '\u{1e}';

/// Bytes that may wait for a client to fetch them before the session has to wait.
const ROOM: usize = 65_536;

/// How long a client may take to complete its move to a WebSocket.
const LIMIT: Duration = Duration::from_secs(10);

/// What came from a client; `None` when there is nothing more to come.
type Frame = Option<Result<Message, axum::Error>>;

/// The same on its way to the session. A channel has room for 32 of what it carries, however few may be in it; so it carries little.
type Parcel = Box<Frame>;

/// The two ends of a conversation: the session's and the client's.
pub(super) type Ends = (Line, Arc<Link>);

/// What part of all conversations may be by requests.
const POLLING_PART: usize = 4;

/// All conversations of a process that are by requests, by their ids.
#[derive(Clone)]
pub(crate) struct Engines {
    links: Arc<Mutex<HashMap<String, Arc<Link>>>>,
    places: Arc<Places>,
}

impl Engines {
    /// Holds a part of all conversations, of which there are so many at most.
    pub(crate) fn new(most: usize) -> Engines {
        Engines {
            links: Arc::default(),
            places: Places::new(most.div_ceil(POLLING_PART)),
        }
    }

    /// Begins a conversation by requests; another one makes room if it has to.
    pub(super) fn open(&self, sid: String) -> Option<Ends> {
        let place = self.places.give()?;
        let (sender, incoming) = mpsc::channel(1);
        let link = Arc::new(Link {
            sid: sid.clone(),
            state: Mutex::default(),
            filled: Notify::new(),
            drained: Notify::new(),
            moved: Notify::new(),
            incoming: sender,
            posting: tokio::sync::Mutex::new(()),
            place: Mutex::new(Some(Arc::clone(&place))),
        });
        self.lock().insert(sid, Arc::clone(&link));
        let polled = Polled {
            incoming,
            removal: Some(place.removal()),
            link: Arc::clone(&link),
            engines: self.clone(),
        };
        Some((Line::Polled(polled), link))
    }

    pub(super) fn find(&self, sid: &str) -> Option<Arc<Link>> {
        self.lock().get(sid).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The session's end of a conversation.
pub(crate) enum Line {
    /// Requests bring and fetch packets.
    Polled(Polled),
    /// Packets are the messages of a WebSocket.
    Direct(Direct),
}

impl Line {
    /// A conversation that begins on a WebSocket, with a packet.
    pub(super) fn direct(socket: WebSocket, greeting: String) -> Line {
        Line::Direct(Direct::new(Box::new(socket), [greeting].into()))
    }

    pub(crate) async fn recv(&mut self) -> Frame {
        loop {
            match self {
                Line::Polled(polled) => match polled.recv().await {
                    Come::Frame(frame) => return frame,
                    Come::Socket(socket) => self.take_over(socket),
                },
                Line::Direct(direct) => return direct.recv().await,
            }
        }
    }

    /// Hands a message over, at the latest when it is flushed; waits while too much waits to be fetched.
    pub(crate) async fn feed(&mut self, message: Message) -> Result<(), axum::Error> {
        loop {
            match self {
                // Boxed, as all that waits seldom: where it does not, it takes no room.
                Line::Polled(polled) => match Box::pin(polled.send(&message)).await {
                    Some(socket) => self.take_over(socket),
                    None => return Ok(()),
                },
                Line::Direct(direct) => return direct.feed(message).await,
            }
        }
    }

    pub(crate) async fn flush(&mut self) -> Result<(), axum::Error> {
        match self {
            Line::Polled(_) => Ok(()),
            Line::Direct(direct) => direct.socket.flush().await,
        }
    }

    pub(crate) async fn send(&mut self, message: Message) -> Result<(), axum::Error> {
        self.feed(message).await?;
        self.flush().await
    }

    /// From here on, everything passes over the WebSocket, and first what no request has fetched.
    fn take_over(&mut self, socket: Box<WebSocket>) {
        if let Line::Polled(polled) = self {
            let left = std::mem::take(&mut polled.link.lock().queue);
            *self = Line::Direct(Direct::new(socket, left));
        }
    }
}

/// A conversation over a WebSocket.
pub(crate) struct Direct {
    socket: Box<WebSocket>,
    /// What is to be sent before anything else.
    left: VecDeque<String>,
    flushed: bool,
}

impl Direct {
    fn new(socket: Box<WebSocket>, left: VecDeque<String>) -> Direct {
        Direct {
            socket,
            left,
            flushed: false,
        }
    }

    async fn recv(&mut self) -> Frame {
        if !self.flushed
            && let Err(error) = Box::pin(self.send_left()).await
        {
            return Some(Err(error));
        }
        Some(match self.socket.recv().await? {
            Ok(Message::Text(packet)) => read(packet),
            Ok(Message::Binary(_)) => Err(not_spoken()),
            other => other,
        })
    }

    async fn feed(&mut self, message: Message) -> Result<(), axum::Error> {
        if !self.flushed {
            Box::pin(self.send_left()).await?;
        }
        match written(&message) {
            Some(packet) => self.socket.feed(Message::Text(packet)).await,
            None => self.socket.feed(message).await,
        }
    }

    /// Sends what is left. Nothing is lost or said twice when the future is dropped.
    async fn send_left(&mut self) -> Result<(), axum::Error> {
        let sending = poll_fn(|context| {
            let mut socket = Pin::new(&mut *self.socket);
            while !self.left.is_empty() {
                ready!(socket.as_mut().poll_ready(context))?;
                if let Some(packet) = self.left.pop_front() {
                    socket.as_mut().start_send(Message::Text(packet.into()))?;
                }
            }
            socket.poll_flush(context)
        });
        sending.await?;
        self.left = VecDeque::new();
        self.flushed = true;
        Ok(())
    }
}

/// A conversation over requests.
pub(crate) struct Polled {
    incoming: mpsc::Receiver<Parcel>,
    /// Notified when another conversation has this one's place; `None` once that is over.
    removal: Option<Arc<Notify>>,
    link: Arc<Link>,
    engines: Engines,
}

/// What a session hears of a client that polls.
enum Come {
    Frame(Frame),
    /// It has moved here.
    Socket(Box<WebSocket>),
}

impl Polled {
    async fn recv(&mut self) -> Come {
        let Some(removal) = &self.removal else {
            return Come::Frame(None);
        };
        tokio::select! {
            biased;
            () = removal.notified() => {
                // Nothing more is heard of it, whatever it says.
                self.removal = None;
                self.incoming.close();
                Come::Frame(None)
            }
            // What requests have brought came before the move.
            parcel = self.incoming.recv() => Come::Frame(parcel.and_then(|parcel| *parcel)),
            socket = self.link.socket() => Come::Socket(socket),
        }
    }

    /// Puts a message where requests fetch it, unless there is a WebSocket for it.
    async fn send(&self, message: &Message) -> Option<Box<WebSocket>> {
        loop {
            if let Some(socket) = self.link.lock().socket.take() {
                return Some(socket);
            }
            if self.link.push(message) {
                return None;
            }
            self.link.drained.notified().await;
        }
    }
}

impl Drop for Polled {
    fn drop(&mut self) {
        self.engines.lock().remove(&self.link.sid);
        self.link.end();
    }
}

/// The client's end of a conversation, while it polls.
pub(crate) struct Link {
    sid: String,
    state: Mutex<State>,
    filled: Notify,
    drained: Notify,
    moved: Notify,
    incoming: mpsc::Sender<Parcel>,
    /// Held by the request that brings packets: two at once would have no order.
    posting: tokio::sync::Mutex<()>,
    /// Its place among the conversations by requests, for as long as it is one.
    place: Mutex<Option<Arc<Place>>>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<String>,
    bytes: usize,
    carrier: Carrier,
    /// A request waits for packets.
    polling: bool,
    ended: bool,
    /// Where the client has moved, until the session goes there.
    socket: Option<Box<WebSocket>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Carrier {
    #[default]
    Polling,
    /// A WebSocket is there and not in use yet: requests are let go.
    Upgrading,
    /// The session goes on there.
    Socket,
}

impl Link {
    pub(super) fn sid(&self) -> &str {
        &self.sid
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.filled.notify_waiters();
        self.filled.notify_one();
        self.drained.notify_one();
    }

    fn place(&self) -> MutexGuard<'_, Option<Arc<Place>>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_busy(&self, is_busy: bool) {
        if let Some(place) = &*self.place() {
            place.is_busy(is_busy);
        }
    }

    /// Keeps a message to be fetched; `false` if there is no room.
    fn push(&self, message: &Message) -> bool {
        if let Message::Close(_) = message {
            self.end();
        }
        let Some(packet) = written(message) else {
            return true;
        };
        {
            let mut state = self.lock();
            if state.ended {
                return true;
            }
            if !state.queue.is_empty() && state.bytes + packet.len() > ROOM {
                return false;
            }
            state.bytes += packet.len();
            state.queue.push_back(packet.to_string());
        }
        self.filled.notify_one();
        true
    }

    fn end(&self) {
        self.change(|state| {
            if !state.ended {
                state.ended = true;
                state.socket = None;
                if state.carrier != Carrier::Socket {
                    state.queue.push_back("1".to_owned());
                }
            }
        });
    }

    /// Waits for what a request fetches; `None` if it has no business to fetch anything.
    pub(super) async fn poll(&self) -> Option<String> {
        let _polling = Polling::begin(self)?;
        loop {
            {
                let mut state = self.lock();
                match state.carrier {
                    Carrier::Socket => return Some("6".to_owned()),
                    Carrier::Upgrading if state.queue.is_empty() => return Some("6".to_owned()),
                    _ => {}
                }
                let mut body = String::new();
                while let Some(next) = state.queue.front().map(String::len) {
                    if !body.is_empty() && body.len() + next >= ROOM {
                        break;
                    }
                    if !body.is_empty() {
                        body.push(SEPARATOR);
                    }
                    state.bytes = state.bytes.saturating_sub(next);
                    body.extend(state.queue.pop_front());
                }
                if !body.is_empty() {
                    if state.ended {
                        let _ = self.incoming.try_send(Box::new(None));
                    }
                    self.drained.notify_one();
                    return Some(body);
                }
                if state.ended {
                    return None;
                }
            }
            self.filled.notified().await;
        }
    }

    /// Takes the packets that a request brings; `false` if they cannot be taken.
    pub(super) async fn post(&self, body: &str) -> bool {
        let Ok(_posting) = self.posting.try_lock() else {
            return false;
        };
        if self.lock().carrier == Carrier::Socket {
            return false;
        }
        for packet in body.split(SEPARATOR) {
            if self
                .incoming
                .send(Box::new(Some(read(packet.into()))))
                .await
                .is_err()
            {
                return false;
            }
        }
        true
    }

    /// Lets a WebSocket take over, if the client has moved there in time; else it goes on polling.
    pub(super) async fn carry(&self, mut socket: WebSocket) {
        let moved = matches!(timeout(LIMIT, self.probed(&mut socket)).await, Ok(true));
        if moved {
            self.place().take();
        }
        self.change(|state| match moved && !state.ended {
            true => {
                state.carrier = Carrier::Socket;
                state.socket = Some(Box::new(socket));
            }
            false if state.carrier == Carrier::Upgrading => state.carrier = Carrier::Polling,
            false => {}
        });
        self.moved.notify_one();
    }

    /// Answers the probe of a WebSocket and waits until the client has stopped polling.
    async fn probed(&self, socket: &mut WebSocket) -> bool {
        if !matches!(socket.recv().await, Some(Ok(Message::Text(text))) if text == "2probe") {
            return false;
        }
        {
            let mut state = self.lock();
            if state.carrier != Carrier::Polling || state.ended {
                return false;
            }
            state.carrier = Carrier::Upgrading;
        }
        if socket.send(Message::Text("3probe".into())).await.is_err() {
            return false;
        }
        self.change(|_| {});
        matches!(socket.recv().await, Some(Ok(Message::Text(text))) if text == "5")
    }

    /// Waits until the client has moved to a WebSocket.
    async fn socket(&self) -> Box<WebSocket> {
        loop {
            if let Some(socket) = self.lock().socket.take() {
                return socket;
            }
            self.moved.notified().await;
        }
    }
}

/// A request that waits; there is at most one.
struct Polling<'a>(&'a Link);

impl Polling<'_> {
    fn begin(link: &Link) -> Option<Polling<'_>> {
        if std::mem::replace(&mut link.lock().polling, true) {
            return None;
        }
        link.is_busy(true);
        Some(Polling(link))
    }
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.0.is_busy(false);
        self.0.lock().polling = false;
    }
}

/// Reads a packet as the frame of a WebSocket that would mean the same.
fn read(packet: Utf8Bytes) -> Result<Message, axum::Error> {
    match packet.as_bytes().first() {
        Some(b'4') => Ok(Message::Text(packet)),
        Some(b'2' | b'3' | b'6') => Ok(Message::Pong(Default::default())),
        Some(b'1') => Ok(Message::Close(None)),
        _ => Err(not_spoken()),
    }
}

/// The packet for a message, if it is one.
fn written(message: &Message) -> Option<Utf8Bytes> {
    match message {
        Message::Text(packet) => Some(packet.clone()),
        Message::Ping(_) => Some(Utf8Bytes::from_static("2")),
        Message::Close(_) | Message::Binary(_) | Message::Pong(_) => None,
    }
}

fn not_spoken() -> axum::Error {
    axum::Error::new(tungstenite::Error::Protocol(
        tungstenite::error::ProtocolError::InvalidCloseSequence,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> (Line, Arc<Link>, Engines) {
        let engines = Engines::new(1);
        let (line, link) = engines.open("s".to_owned()).unwrap();
        (line, link, engines)
    }

    fn text(text: &str) -> Message {
        Message::Text(text.into())
    }

    #[tokio::test]
    async fn a_request_fetches_all_that_waits_in_order() {
        let (mut line, link, _) = open();
        line.send(text("4a")).await.unwrap();
        line.send(Message::Ping(Default::default())).await.unwrap();
        line.send(text("4b")).await.unwrap();
        assert_eq!(link.poll().await.as_deref(), Some("4a\u{1e}2\u{1e}4b"));
    }

    #[tokio::test]
    async fn two_requests_at_once_have_no_order_and_the_second_gets_nothing() {
        let (mut line, link, _) = open();
        let waiting = tokio::spawn({
            let link = Arc::clone(&link);
            async move { link.poll().await }
        });
        while !link.lock().polling {
            tokio::task::yield_now().await;
        }
        assert_eq!(link.poll().await, None);
        line.send(text("4a")).await.unwrap();
        assert_eq!(waiting.await.unwrap().as_deref(), Some("4a"));
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_leaves_place_for_the_next() {
        let (mut line, link, _) = open();
        let given_up = timeout(Duration::from_millis(1), link.poll()).await;
        assert!(given_up.is_err());
        line.send(text("4a")).await.unwrap();
        assert_eq!(link.poll().await.as_deref(), Some("4a"));
    }

    #[tokio::test]
    async fn packets_arrive_as_the_frames_they_mean() {
        let (mut line, link, _) = open();
        let posting = tokio::spawn(async move { link.post("4x\u{1e}3\u{1e}b4AAA\u{1e}1").await });
        assert_eq!(line.recv().await.unwrap().unwrap(), text("4x"));
        assert!(matches!(line.recv().await, Some(Ok(Message::Pong(_)))));
        assert!(matches!(line.recv().await, Some(Err(_))), "binary");
        assert!(matches!(line.recv().await, Some(Ok(Message::Close(None)))));
        assert!(posting.await.unwrap());
    }

    #[tokio::test]
    async fn a_session_waits_for_a_client_that_fetches_nothing() {
        let (mut line, link, _) = open();
        let large = "x".repeat(40_000);
        line.send(text(&large)).await.unwrap();
        let second = timeout(Duration::from_millis(10), line.send(text(&large))).await;
        assert!(second.is_err(), "more than {ROOM} bytes wait");
        assert_eq!(link.lock().queue.len(), 1);
    }

    #[tokio::test]
    async fn a_conversation_that_ended_says_so_once_and_is_forgotten() {
        let (mut line, link, engines) = open();
        line.send(Message::Close(None)).await.unwrap();
        assert_eq!(link.poll().await.as_deref(), Some("1"));
        assert_eq!(link.poll().await, None);
        drop(line);
        assert!(engines.find("s").is_none());
        assert!(!link.post("4x").await);
    }

    #[tokio::test]
    async fn who_has_no_request_waiting_for_longest_makes_room_for_a_newcomer() {
        let engines = Engines::new(8);
        let open = |sid: &str| engines.open(sid.to_owned()).unwrap();
        let (_waits, waiting) = open("waits");
        let poll = tokio::spawn(async move { waiting.poll().await });
        let (mut idle, _) = open("idle");
        tokio::task::yield_now().await;
        let (mut newcomer, link) = open("newcomer");
        assert!(idle.recv().await.is_none() && idle.recv().await.is_none());
        assert!(!poll.is_finished());
        // It has another carrier now, and takes no place any more.
        link.place().take();
        let (mut next, _) = open("next");
        let moment = Duration::from_millis(10);
        for line in [&mut newcomer, &mut next] {
            assert!(timeout(moment, line.recv()).await.is_err(), "it is lost");
        }
    }
}
