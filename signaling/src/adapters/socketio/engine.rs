//! Engine.IO 4: one conversation over whichever carrier there is, HTTP requests or a WebSocket.
//!
//! In: packets in both directions, long polling, the move from polling to a WebSocket. Not in: paths and statuses
//! (`http.rs`), what messages mean (`mod.rs`). Of the protocol's packets only text ones are spoken.
//!
//! A session talks to its [`Line`] as it would to a WebSocket. The other end is a [`Link`], which requests and a WebSocket
//! find by the conversation's id. Both directions are bounded: whoever does not fetch what waits, or sends faster than the
//! session reads, waits or is given up.
//!
//! A conversation by requests needs no connection of its own, so that one client could hold all there may be, and keep everybody
//! out. So they are a part of all, and a newcomer takes the place of the one that has had no request waiting for longest: real clients
//! nearly always have one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite;

use crate::places::{Place, Places};
use crate::session::LINGER;

/// Separates the packets of one HTTP body.
const SEPARATOR: char = '\u{1e}';

/// Bytes that may wait for a client to fetch them before the session has to wait.
const ROOM: usize = 65_536;

/// How long a client may refuse to take one packet, and to complete its move to a WebSocket.
const LIMIT: Duration = Duration::from_secs(10);

/// What came from a client; `None` when there is nothing more to come.
type Frame = Option<Result<Message, axum::Error>>;

/// The same on its way to the session. A channel has room for 32 of what it carries, however few may be in it; so it carries little.
type Parcel = Box<Frame>;

/// The two ends of a conversation: the session's and the client's.
pub(super) type Ends = (Line, Arc<Link>);

/// What part of all conversations may be by requests.
const POLLING_PART: usize = 4;

/// All conversations of a process, by their ids.
#[derive(Clone)]
pub(crate) struct Engines {
    links: Arc<Mutex<HashMap<String, Arc<Link>>>>,
    most: usize,
    polling: Arc<Places>,
}

impl Engines {
    pub(crate) fn new(most: usize) -> Engines {
        Engines {
            links: Arc::default(),
            most,
            polling: Places::new(most.div_ceil(POLLING_PART)),
        }
    }

    /// Begins a conversation by requests; another one makes room if it has to.
    pub(super) fn open(&self, sid: String) -> Option<Ends> {
        let place = self.polling.give()?;
        self.begin(sid, Some(place))
    }

    /// Begins one over a WebSocket, unless there are too many.
    pub(super) fn open_socket(&self, sid: String) -> Option<Ends> {
        self.begin(sid, None)
    }

    fn begin(&self, sid: String, place: Option<Arc<Place>>) -> Option<Ends> {
        let mut links = self.lock();
        // Those by requests have their places, and some that lost theirs may not have noticed yet.
        if place.is_none() && links.len() >= self.most {
            return None;
        }
        let (sender, incoming) = mpsc::channel(1);
        let removal = place.as_ref().map(|place| place.removal());
        let link = Arc::new(Link {
            sid: sid.clone(),
            state: Mutex::default(),
            filled: Notify::new(),
            drained: Notify::new(),
            incoming: sender,
            posting: tokio::sync::Mutex::new(()),
            place: Mutex::new(place),
        });
        links.insert(sid, Arc::clone(&link));
        let line = Line {
            incoming,
            removal,
            link: Arc::clone(&link),
            engines: self.clone(),
        };
        Some((line, link))
    }

    pub(super) fn find(&self, sid: &str) -> Option<Arc<Link>> {
        self.lock().get(sid).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The session's end of a conversation.
pub(crate) struct Line {
    incoming: mpsc::Receiver<Parcel>,
    /// Notified when another conversation has this one's place; `None` if that is over, or cannot be.
    removal: Option<Arc<Notify>>,
    link: Arc<Link>,
    engines: Engines,
}

impl Line {
    pub(crate) async fn recv(&mut self) -> Frame {
        let lost = match &self.removal {
            None => return self.incoming.recv().await.and_then(|parcel| *parcel),
            Some(removal) => tokio::select! {
                biased;
                () = removal.notified() => None,
                parcel = self.incoming.recv() => return parcel.and_then(|parcel| *parcel),
            },
        };
        // Nothing more is heard of it, whatever it says.
        self.removal = None;
        self.incoming.close();
        lost
    }

    /// Hands a message over; waits while too much waits to be fetched.
    pub(crate) async fn send(&mut self, message: Message) {
        match message {
            Message::Text(text) => self.link.push(format!("4{text}")).await,
            Message::Ping(_) => self.link.push("2".to_owned()).await,
            Message::Close(frame) => self.link.end(frame),
            Message::Binary(_) | Message::Pong(_) => {}
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.engines.lock().remove(&self.link.sid);
        self.link.end(None);
    }
}

/// The client's end of a conversation.
pub(crate) struct Link {
    sid: String,
    state: Mutex<State>,
    filled: Notify,
    drained: Notify,
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
    farewell: Option<CloseFrame>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Carrier {
    #[default]
    Polling,
    /// A WebSocket is there and not in use yet: requests are let go.
    Upgrading,
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

    /// Notes that it is carried by a WebSocket from now on.
    fn has_socket(&self) {
        self.change(|state| state.carrier = Carrier::Socket);
        self.place().take();
    }

    fn place(&self) -> MutexGuard<'_, Option<Arc<Place>>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_busy(&self, is_busy: bool) {
        if let Some(place) = &*self.place() {
            place.is_busy(is_busy);
        }
    }

    async fn push(&self, packet: String) {
        loop {
            {
                let mut state = self.lock();
                if state.ended {
                    return;
                }
                if state.queue.is_empty() || state.bytes + packet.len() <= ROOM {
                    state.bytes += packet.len();
                    state.queue.push_back(packet);
                    break;
                }
            }
            self.drained.notified().await;
        }
        self.filled.notify_one();
    }

    fn end(&self, farewell: Option<CloseFrame>) {
        self.change(|state| {
            if !state.ended {
                state.ended = true;
                state.farewell = farewell;
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
                .send(Box::new(Some(read(packet))))
                .await
                .is_err()
            {
                return false;
            }
        }
        true
    }

    /// Carries packets over a WebSocket until either side ends.
    pub(super) async fn carry(&self, mut socket: WebSocket, first: Option<String>) {
        if let Some(first) = first {
            self.has_socket();
            let sent = Box::pin(send(&mut socket, Message::Text(first.into())));
            if sent.await.is_err() {
                let _ = self.incoming.send(Box::new(None)).await;
                return;
            }
        } else if !self.moved(&mut socket).await {
            // The client goes on polling.
            self.change(|state| {
                if state.carrier == Carrier::Upgrading {
                    state.carrier = Carrier::Polling;
                }
            });
            return;
        }
        self.pump(&mut socket).await;
    }

    /// Says whether the client has moved to a WebSocket in time. Boxed: the task outlives it by far.
    async fn moved(&self, socket: &mut WebSocket) -> bool {
        let moving = Box::pin(timeout(LIMIT, self.take_over(socket)));
        matches!(moving.await, Ok(true))
    }

    /// Answers the probe of a WebSocket and waits until the client has stopped polling.
    async fn take_over(&self, socket: &mut WebSocket) -> bool {
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
        if !matches!(socket.recv().await, Some(Ok(Message::Text(text))) if text == "5") {
            return false;
        }
        self.has_socket();
        true
    }

    async fn pump(&self, socket: &mut WebSocket) {
        let mut place = None;
        let mut reads = true;
        loop {
            tokio::select! {
                // A frame is only read once the session has room for it, and meanwhile packets still go out.
                permit = self.incoming.reserve(), if place.is_none() && reads => match permit {
                    Ok(permit) => place = Some(permit),
                    Err(_) => return,
                },
                frame = socket.recv(), if place.is_some() => {
                    let over = frame.is_none();
                    // What cannot be read is the end, of which the session is still to say why.
                    reads = matches!(frame, Some(Ok(_)));
                    let frame = frame.map(|frame| match frame {
                        Ok(Message::Text(text)) => read(&text),
                        Ok(Message::Binary(_)) => Err(not_spoken()),
                        other => other,
                    });
                    if let Some(place) = place.take() {
                        place.send(Box::new(frame));
                    }
                    if over {
                        return;
                    }
                }
                packet = self.next() => match packet {
                    Ok(packet) => {
                        if send(socket, Message::Text(packet.into())).await.is_err() {
                            drop(place.take());
                            let _ = self.incoming.send(Box::new(None)).await;
                            return;
                        }
                    }
                    Err(farewell) => {
                        Box::pin(take_leave(socket, farewell)).await;
                        drop(place.take());
                        let _ = self.incoming.try_send(Box::new(None));
                        return;
                    }
                },
            }
        }
    }

    /// The next packet for the WebSocket, or how the conversation ended.
    async fn next(&self) -> Result<String, Option<CloseFrame>> {
        loop {
            {
                let mut state = self.lock();
                if let Some(packet) = state.queue.pop_front() {
                    state.bytes = state.bytes.saturating_sub(packet.len());
                    self.drained.notify_one();
                    return Ok(packet);
                }
                if state.ended {
                    return Err(state.farewell.take());
                }
            }
            self.filled.notified().await;
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

async fn send(socket: &mut WebSocket, message: Message) -> Result<(), ()> {
    match timeout(LIMIT, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(()),
    }
}

/// Sends the close frame and waits for theirs. What was refused is still unread where nothing more can be read (see [`LINGER`]).
async fn take_leave(socket: &mut WebSocket, farewell: Option<CloseFrame>) {
    let _ = send(socket, Message::Close(farewell)).await;
    let unread = async {
        loop {
            match socket.recv().await {
                Some(Ok(Message::Close(_))) => return false,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return true,
            }
        }
    };
    if let Ok(true) = timeout(LIMIT, unread).await {
        sleep(LINGER).await;
    }
}

/// Reads a packet as the frame of a WebSocket that would mean the same.
fn read(packet: &str) -> Result<Message, axum::Error> {
    match packet.as_bytes().first() {
        Some(b'4') => Ok(Message::Text(packet.get(1..).unwrap_or_default().into())),
        Some(b'2' | b'3' | b'6') => Ok(Message::Pong(Default::default())),
        Some(b'1') => Ok(Message::Close(None)),
        _ => Err(not_spoken()),
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
        line.send(text("a")).await;
        line.send(Message::Ping(Default::default())).await;
        line.send(text("b")).await;
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
        line.send(text("a")).await;
        assert_eq!(waiting.await.unwrap().as_deref(), Some("4a"));
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_leaves_place_for_the_next() {
        let (mut line, link, _) = open();
        let given_up = timeout(Duration::from_millis(1), link.poll()).await;
        assert!(given_up.is_err());
        line.send(text("a")).await;
        assert_eq!(link.poll().await.as_deref(), Some("4a"));
    }

    #[tokio::test]
    async fn packets_arrive_as_the_frames_they_mean() {
        let (mut line, link, _) = open();
        let posting = tokio::spawn(async move { link.post("4x\u{1e}3\u{1e}b4AAA\u{1e}1").await });
        assert_eq!(line.recv().await.unwrap().unwrap(), text("x"));
        assert!(matches!(line.recv().await, Some(Ok(Message::Pong(_)))));
        assert!(matches!(line.recv().await, Some(Err(_))), "binary");
        assert!(matches!(line.recv().await, Some(Ok(Message::Close(None)))));
        assert!(posting.await.unwrap());
    }

    #[tokio::test]
    async fn a_session_waits_for_a_client_that_fetches_nothing() {
        let (mut line, link, _) = open();
        let large = "x".repeat(40_000);
        line.send(text(&large)).await;
        let second = timeout(Duration::from_millis(10), line.send(text(&large))).await;
        assert!(second.is_err(), "more than {ROOM} bytes wait");
        assert_eq!(link.lock().queue.len(), 1);
    }

    #[tokio::test]
    async fn a_conversation_that_ended_says_so_once_and_is_forgotten() {
        let (mut line, link, engines) = open();
        assert!(
            engines.open_socket("t".to_owned()).is_none(),
            "one too many"
        );
        line.send(Message::Close(None)).await;
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
        link.has_socket();
        let (mut next, _) = open("next");
        let moment = Duration::from_millis(10);
        for line in [&mut newcomer, &mut next] {
            assert!(timeout(moment, line.recv()).await.is_err(), "it is lost");
        }
    }
}
