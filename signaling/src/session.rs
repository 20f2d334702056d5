//! One connection, from its beginning to its end: a single task that reads, writes, paces and listens for silence.
//!
//! In: frames, time limits, close codes. Not in: what messages mean (`adapters`), what is allowed (`hub`).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use ice_api::{Host, IceConfig};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite;
use tracing::{debug, warn};

use crate::adapters::native::Native;
use crate::adapters::peerjs::{Claim, PeerJs};
use crate::adapters::socketio::engine::Line;
use crate::adapters::socketio::{self, SocketIo};
use crate::adapters::stream::Stream;
use crate::adapters::{Adapter, Opening, Request, Unwelcome};
use crate::hub::{
    CloseReason, Command, ConnectionId, Departure, Event, Identity, Name, Pace, Refusal, UserId,
};
use crate::ice::Asker;
use crate::identity::{Known, Unproven};
use crate::outbox::Outbox;
use crate::{Shared, chance, clock};

/// Keeps NAT bindings and proxies from forgetting us: their shortest usual limits are 30 s.
const PING_INTERVAL: Duration = Duration::from_secs(25);

/// Pings in a row that may remain without any sign of life.
const MAX_MISSED: u32 = 2;

/// How long a client may refuse to take one message, and to answer a close.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// How long a close frame may take to arrive where nothing more can be read: longer than a round trip around the world. What
/// was refused is still unread, and letting go of it resets the connection, which would overtake the frame.
pub(crate) const LINGER: Duration = Duration::from_millis(500);

/// Which protocol a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Rooms and calls.
    Native,
    /// Sender and receivers.
    Stream,
    /// The first message tells.
    FirstMessage,
    /// Peers; everything is said at the upgrade.
    PeerJs,
    /// Socket.IO; the first packet introduces.
    SocketIo,
}

/// What the upgrade said about its client.
pub(crate) struct Visitor {
    pub(crate) profile: Profile,
    pub(crate) host: Option<Host>,
    pub(crate) token: Option<String>,
    pub(crate) key: Option<String>,
    /// Has to show the run's key.
    pub(crate) wants_key: bool,
    /// The id that a peer asks for.
    pub(crate) claim: Option<Claim>,
}

impl Visitor {
    /// One of whom nothing else is known.
    pub(crate) fn new(profile: Profile) -> Visitor {
        Visitor {
            profile,
            host: None,
            token: None,
            key: None,
            wants_key: true,
            claim: None,
        }
    }
}

/// A close frame: a code (RFC 6455 §7.4, IANA's registry) and words.
type Farewell = (u16, &'static str);

const AUTHENTICATION_FAILED: Farewell = (close_code::POLICY, "Authentication failed");
const AUTHENTICATION_UNAVAILABLE: Farewell = (close_code::AGAIN, "Authentication is not available");
const NO_HELLO: Farewell = (close_code::POLICY, "No hello in time");
const TOO_BIG: Farewell = (close_code::SIZE, "Message too big");
const PROTOCOL_ERROR: Farewell = (close_code::PROTOCOL, "Protocol error");
const STOPPING: Farewell = (close_code::AWAY, "The server stops");

/// How a conversation ended, and the close frame that is still to be sent.
struct Ending(Departure, Option<Farewell>);

/// A conversation goes on, or has ended.
type Step = Result<(), Ending>;

/// What carries a conversation.
pub(crate) enum Wire {
    Socket(Box<WebSocket>),
    /// HTTP requests, a WebSocket, or first the one and then the other.
    Engine(Line),
}

impl Wire {
    async fn recv(&mut self) -> Option<Result<Message, axum::Error>> {
        match self {
            Wire::Socket(socket) => socket.recv().await,
            Wire::Engine(line) => line.recv().await,
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), axum::Error> {
        match self {
            Wire::Socket(socket) => socket.send(message).await,
            Wire::Engine(line) => {
                line.send(message).await;
                Ok(())
            }
        }
    }
}

/// Serves one connection until it ends.
pub(crate) async fn run(mut socket: Wire, shared: Arc<Shared>, visitor: Visitor) {
    let stopping = shared.board.stopping();
    let farewell = match introduce(&mut socket, &shared, &visitor).await {
        Ok(introduced) => converse(&mut socket, &shared, &visitor, introduced, stopping).await,
        Err(Ending(_, farewell)) => farewell,
    };
    match farewell {
        Some(farewell) => {
            shared.metrics.closes.count(code_word(farewell.0));
            close(&mut socket, farewell).await;
        }
        // A close of theirs is answered by reading on (RFC 6455 §5.5.1); where nothing comes any more, this ends at once.
        None => drop(timeout(CLOSE_LIMIT, socket.recv()).await),
    }
}

/// Somebody who may come in.
struct Introduced {
    identity: Identity,
    adapter: Box<dyn Adapter>,
    first: First,
}

/// What is done first, once the client is greeted.
enum First {
    Nothing,
    /// What the client said to introduce itself.
    Said(Utf8Bytes),
    /// What its upgrade asked for.
    Asked(Command),
}

/// Learns who is there, from the upgrade if that said enough, else from the first message.
async fn introduce(
    socket: &mut Wire,
    shared: &Shared,
    visitor: &Visitor,
) -> Result<Introduced, Ending> {
    let complete = visitor.token.is_some() && (visitor.key.is_some() || !visitor.wants_key);
    let first = match visitor.profile {
        Profile::PeerJs => None,
        Profile::Native | Profile::Stream if complete => None,
        _ => match timeout(shared.board.limits().hello, first_message(socket)).await {
            Ok(first) => Some(first?),
            Err(_) => return Err(Ending(Departure::Lost, Some(NO_HELLO))),
        },
    };
    let read = match visitor.profile {
        Profile::SocketIo => socketio::opening,
        _ => Opening::read,
    };
    let opening = first.as_ref().map(|text| read(text)).unwrap_or_default();
    let mut adapter: Box<dyn Adapter> = match visitor.profile {
        Profile::FirstMessage if opening.kind == "register" => Box::new(Stream::default()),
        Profile::Native | Profile::FirstMessage => Box::new(Native),
        Profile::Stream => Box::new(Stream::default()),
        Profile::PeerJs => Box::new(PeerJs::default()),
        Profile::SocketIo => Box::new(SocketIo::default()),
    };
    let identity = match identify(shared, visitor, &opening).await {
        Ok(identity) => identity,
        Err(unwelcome) => {
            shared.metrics.unwelcome.count(unwelcome.word());
            if let Some(text) = adapter.write_unwelcome(unwelcome) {
                // Whoever does not take it is closed all the same.
                let _ = timeout(WRITE_LIMIT, socket.send(Message::Text(text.into()))).await;
            }
            let farewell = match unwelcome {
                Unwelcome::Unavailable => AUTHENTICATION_UNAVAILABLE,
                _ => AUTHENTICATION_FAILED,
            };
            return Err(Ending(Departure::Closed, Some(farewell)));
        }
    };
    // Where tokens prove something, an id is its user's; else it belongs to whoever has its token.
    let owner = shared.identification.proves().then_some(&identity.user);
    let asked = visitor
        .claim
        .as_ref()
        .map(|claim| First::Asked(claim.command(owner)));
    Ok(Introduced {
        identity,
        adapter,
        first: asked.unwrap_or_else(|| first.map_or(First::Nothing, First::Said)),
    })
}

/// Says who is there, if whoever it is may come in.
async fn identify(
    shared: &Shared,
    visitor: &Visitor,
    opening: &Opening,
) -> Result<Identity, Unwelcome> {
    let said_nothing = match visitor.profile {
        Profile::PeerJs => visitor.claim.is_none(),
        Profile::SocketIo => opening.kind != "connect",
        _ => false,
    };
    if said_nothing {
        return Err(Unwelcome::NoName);
    }
    let key = visitor.key.as_deref().or(opening.key.as_deref());
    if visitor.wants_key && !shared.gate.is_key(key) {
        return Err(Unwelcome::BadKey);
    }
    let proves = shared.identification.proves();
    let token = match visitor.profile {
        // There it is the proof of an id, and no name.
        Profile::PeerJs if !proves => None,
        _ => visitor.token.as_deref().or(opening.token.as_deref()),
    };
    let known = match token {
        None if !proves => Known {
            user: chance::guest().ok_or(Unwelcome::NoName)?,
            name: None,
        },
        token => match shared.identification.user_of(token).await {
            Ok(known) => known,
            Err(Unproven::Unavailable) => return Err(Unwelcome::Unavailable),
            Err(Unproven::Wrong) if proves => return Err(Unwelcome::BadToken),
            Err(Unproven::Wrong) => return Err(Unwelcome::NoName),
        },
    };
    let said = match visitor.profile {
        Profile::SocketIo => opening.name.as_deref().and_then(Name::parse),
        // Theirs belong to rooms.
        _ => None,
    };
    Ok(Identity {
        user: UserId(known.user),
        // Peers cannot be called by their users' names.
        listed: token.is_some() && visitor.profile != Profile::PeerJs,
        name: known.name.or(said),
    })
}

async fn first_message(socket: &mut Wire) -> Result<Utf8Bytes, Ending> {
    loop {
        match understand(socket.recv().await)? {
            Heard::Text(text) => return Ok(text),
            Heard::SignOfLife => {}
        }
    }
}

/// Joins the hub and stays until either side ends it; returns the close frame still to be sent.
async fn converse(
    socket: &mut Wire,
    shared: &Shared,
    visitor: &Visitor,
    introduced: Introduced,
    mut stopping: watch::Receiver<bool>,
) -> Option<Farewell> {
    let Introduced {
        identity,
        adapter,
        first,
    } = introduced;
    let id = chance::connection_id();
    let user = identity.user.clone();
    let outbox = shared.board.connect(id, identity);
    shared.metrics.connections.count(adapter.name());
    debug!(%id, "connection opened");
    let pace = Pace::new(shared.board.limits());
    let mut session = Session {
        socket,
        shared,
        visitor,
        id,
        user,
        adapter,
        outbox,
        pace,
    };
    let ended = match session.begin(first).await {
        Ok(()) => session.listen(&mut stopping).await,
        Err(ending) => ending,
    };
    let Ending(departure, farewell) = ended;
    shared.board.disconnect(id, departure);
    debug!(%id, ?departure, "connection ended");
    farewell
}

struct Session<'a> {
    socket: &'a mut Wire,
    shared: &'a Shared,
    visitor: &'a Visitor,
    id: ConnectionId,
    user: UserId,
    adapter: Box<dyn Adapter>,
    outbox: Arc<Outbox>,
    pace: Pace,
}

impl Session<'_> {
    /// Greets, and only then does what the first message asks for.
    async fn begin(&mut self, first: First) -> Step {
        let greeting = self.outbox.next().await;
        self.tell(greeting).await?;
        match first {
            First::Said(text) => self.hear(&text).await,
            First::Asked(command) => {
                self.shared.board.handle(self.id, command);
                Ok(())
            }
            First::Nothing => Ok(()),
        }
    }

    async fn listen(&mut self, stopping: &mut watch::Receiver<bool>) -> Ending {
        let mut heartbeat = heartbeat();
        let mut missed = 0;
        let mut resume_at = Duration::ZERO;
        loop {
            let now = self.shared.board.now();
            let paused = (resume_at > now).then_some(resume_at);
            let step = tokio::select! {
                event = self.outbox.next() => self.tell(event).await,
                frame = self.socket.recv(), if paused.is_none() => {
                    missed = 0;
                    // Whatever comes counts, pings as well: they are answered.
                    resume_at = now + self.pace.take(now);
                    match understand(frame) {
                        Ok(Heard::Text(text)) => self.hear(&text).await,
                        Ok(Heard::SignOfLife) => Ok(()),
                        Err(ending) => Err(ending),
                    }
                }
                () = self.shared.board.sleep_until(paused.unwrap_or_default()), if paused.is_some() => Ok(()),
                _ = heartbeat.tick() => {
                    missed += 1;
                    if missed > MAX_MISSED { Err(Ending(Departure::Lost, None)) } else { self.send(Message::Ping(Default::default())).await }
                }
                () = stopped(stopping) => Err(Ending(Departure::Lost, Some(STOPPING))),
            };
            if let Err(ending) = step {
                return ending;
            }
        }
    }

    /// Does what a message asks for.
    async fn hear(&mut self, text: &str) -> Step {
        self.shared.metrics.messages.count();
        match self.adapter.read(text) {
            Ok(Request::Hub(command)) => self.shared.board.handle(self.id, command),
            Ok(Request::Hello) => {}
            Ok(Request::Ping) => {
                let pong = self.adapter.write_pong();
                self.send_text(pong).await?;
            }
            Ok(Request::IceServers) => match self.ice().await {
                Some(ice) => {
                    let answer = self.adapter.write_ice(&ice);
                    self.send_text(answer).await?;
                }
                None => self.tell(Event::Refused(Refusal::IceUnavailable)).await?,
            },
            Err(refusal) => self.tell(Event::Refused(refusal)).await?,
        }
        let ack = self.adapter.write_ack();
        self.send_text(ack).await
    }

    /// Writes an event to the client.
    async fn tell(&mut self, event: Event) -> Step {
        match event {
            Event::Closed(reason) => {
                if reason != CloseReason::TooSlow {
                    let text = self.adapter.write(&event, None);
                    self.send_text(text).await?;
                }
                Err(Ending(Departure::Closed, Some(farewell(reason))))
            }
            Event::PeerBacklog(messages) => {
                for message in messages {
                    let text = self.adapter.write(&Event::Peer(message), None);
                    self.send_text(text).await?;
                }
                Ok(())
            }
            Event::Joined(_) => {
                let ice = self.ice().await;
                let text = self.adapter.write(&event, ice.as_ref());
                self.send_text(text).await?;
                if ice.is_none() {
                    let text = self
                        .adapter
                        .write(&Event::Refused(Refusal::IceUnavailable), None);
                    self.send_text(text).await?;
                }
                Ok(())
            }
            event => {
                if let Event::Refused(refusal) = &event {
                    self.shared.metrics.refusals.count(refusal.code());
                }
                let text = self.adapter.write(&event, None);
                self.send_text(text).await
            }
        }
    }

    async fn ice(&mut self) -> Option<IceConfig> {
        let asker = Asker {
            host: self.visitor.host.as_ref(),
            user: self.user.0.as_str(),
            now_unix: clock::unix_time(),
        };
        match self.shared.ice.servers(asker).await {
            Ok(ice) => Some(ice),
            Err(error) => {
                self.shared.metrics.ice_failures.count();
                warn!(%error, "a client was given no ICE servers");
                None
            }
        }
    }

    async fn send_text(&mut self, text: Option<String>) -> Step {
        match text {
            Some(text) => self.send(Message::Text(text.into())).await,
            None => Ok(()),
        }
    }

    /// Writes one frame. While that waits, the outbox may fill up; then the client is too slow for good.
    async fn send(&mut self, message: Message) -> Step {
        let sent = tokio::select! {
            sent = timeout(WRITE_LIMIT, self.socket.send(message)) => sent,
            () = self.outbox.too_slow() => return Err(Ending(Departure::Lost, Some(farewell(CloseReason::TooSlow)))),
        };
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ending(Departure::Lost, None)),
            Err(_) => Err(Ending(
                Departure::Lost,
                Some(farewell(CloseReason::TooSlow)),
            )),
        }
    }
}

/// The first tick comes after one interval, and none are made up for.
fn heartbeat() -> Interval {
    let mut heartbeat = interval(PING_INTERVAL);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat.reset();
    heartbeat
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the switchboard is gone, which is a stop as well.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

enum Heard {
    Text(Utf8Bytes),
    SignOfLife,
}

/// Sorts what came from the socket.
fn understand(frame: Option<Result<Message, axum::Error>>) -> Result<Heard, Ending> {
    match frame {
        Some(Ok(Message::Text(text))) => Ok(Heard::Text(text)),
        // Some libraries send text as binary frames.
        Some(Ok(Message::Binary(bytes))) => match Utf8Bytes::try_from(bytes) {
            Ok(text) => Ok(Heard::Text(text)),
            Err(_) => Err(Ending(Departure::Lost, Some(PROTOCOL_ERROR))),
        },
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(Heard::SignOfLife),
        Some(Ok(Message::Close(frame))) => Err(Ending(departure(frame.as_ref()), None)),
        Some(Err(error)) => Err(Ending(Departure::Lost, complaint(error))),
        None => Err(Ending(Departure::Lost, None)),
    }
}

/// What browsers send when a page goes away or closes is leaving; what programs make up is not.
fn departure(frame: Option<&CloseFrame>) -> Departure {
    match frame.map(|frame| frame.code) {
        None | Some(close_code::NORMAL | close_code::AWAY | close_code::STATUS) => {
            Departure::Closed
        }
        Some(_) => Departure::Lost,
    }
}

/// The close frame for what tungstenite refuses to read; none if the connection is simply gone.
fn complaint(error: axum::Error) -> Option<Farewell> {
    match error.into_inner().downcast_ref::<tungstenite::Error>()? {
        tungstenite::Error::Capacity(_) => Some(TOO_BIG),
        tungstenite::Error::Protocol(
            tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => None,
        tungstenite::Error::Protocol(_) => Some(PROTOCOL_ERROR),
        tungstenite::Error::Utf8(_) => Some((close_code::INVALID, "Text is not UTF-8")),
        _ => None,
    }
}

fn farewell(reason: CloseReason) -> Farewell {
    match reason {
        CloseReason::Bye => (close_code::NORMAL, ""),
        CloseReason::Resumed => (4001, "Resumed on another connection"),
        CloseReason::Refused => (close_code::POLICY, "Refused"),
        CloseReason::Full => (close_code::AGAIN, "Too many connections"),
        CloseReason::TooSlow => (close_code::AGAIN, "Too slow"),
        CloseReason::Elsewhere => (close_code::RESTART, "The server ends soon: connect again"),
    }
}

/// A close code as a label.
fn code_word(code: u16) -> &'static str {
    match code {
        close_code::NORMAL => "1000",
        close_code::AWAY => "1001",
        close_code::PROTOCOL => "1002",
        close_code::INVALID => "1007",
        close_code::POLICY => "1008",
        close_code::SIZE => "1009",
        close_code::RESTART => "1012",
        close_code::AGAIN => "1013",
        _ => "other",
    }
}

/// Says why, and waits a little for the other side's close frame, so that ours arrives before the connection is reset. Behind
/// what could not be read, nothing is read any more, so that the wait is for a time.
async fn close(socket: &mut Wire, (code, reason): Farewell) {
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    let _ = timeout(CLOSE_LIMIT, async {
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            loop {
                match socket.recv().await {
                    Some(Ok(Message::Close(_))) => return,
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return sleep(LINGER).await,
                }
            }
        }
    })
    .await;
}
