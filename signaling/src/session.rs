//! One connection, from its beginning to its end: a single task that reads, writes, paces and listens for silence.
//!
//! In: frames, time limits. Not in: who may come in (`entrance.rs`), how it ends (`closing.rs`), what messages mean (`adapters`), what
//! is allowed (`hub`).

mod closing;
mod entrance;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use futures_util::SinkExt;
use ice_api::{Host, IceConfig};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tracing::{debug, warn};

use crate::adapters::socketio::engine::Line;
use crate::adapters::{Adapter, Request};
use crate::hub::{CloseReason, ConnectionId, Departure, Event, Pace, Refusal, UserId};
use crate::ice::Asker;
use crate::outbox::Outbox;
use crate::{Shared, chance, clock};

use closing::{
    CLOSE_LIMIT, Ending, Farewell, Heard, STOPPING, Step, close, code_word, farewell, understand,
};
use entrance::{First, Introduced, introduce};
pub(crate) use entrance::{Profile, Visitor};

/// Keeps NAT bindings and proxies from forgetting us: their shortest usual limits are 30 s.
const PING_INTERVAL: Duration = Duration::from_secs(25);

/// Pings in a row that may remain without any sign of life.
const MAX_MISSED: u32 = 2;

/// How long a client may refuse to take one message.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// Events that are told before anything is heard again.
const IN_A_ROW: usize = 32;

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
            Wire::Engine(line) => line.send(message).await,
        }
    }

    /// Takes a message, and passes it on now or with the next ones.
    async fn feed(&mut self, message: Message) -> Result<(), axum::Error> {
        match self {
            Wire::Socket(socket) => socket.feed(message).await,
            Wire::Engine(line) => line.feed(message).await,
        }
    }

    /// Passes on what it took.
    async fn flush(&mut self) -> Result<(), axum::Error> {
        match self {
            Wire::Socket(socket) => socket.flush().await,
            Wire::Engine(line) => line.flush().await,
        }
    }
}

/// Serves one connection until it ends. What happens once in its life is boxed, so that it does not take room while the connection
/// is idle, which is what most are most of the time.
pub(crate) async fn run(mut socket: Wire, shared: Arc<Shared>, visitor: Visitor) {
    let stopping = shared.board.stopping();
    let farewell = match Box::pin(introduce(&mut socket, &shared, visitor)).await {
        Ok(introduced) => converse(&mut socket, &shared, introduced, stopping).await,
        Err(Ending(_, farewell)) => farewell,
    };
    match farewell {
        Some(farewell) => {
            shared.metrics.closes.count(code_word(farewell.0));
            Box::pin(close(&mut socket, farewell)).await;
        }
        // A close of theirs is answered by reading on (RFC 6455 §5.5.1); where nothing comes any more, this ends at once.
        None => drop(Box::pin(timeout(CLOSE_LIMIT, socket.recv())).await),
    }
}

/// Joins the hub and stays until either side ends it; returns the close frame still to be sent.
async fn converse(
    socket: &mut Wire,
    shared: &Shared,
    introduced: Introduced,
    mut stopping: watch::Receiver<bool>,
) -> Option<Farewell> {
    let Introduced {
        identity,
        host,
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
        host,
        id,
        user,
        adapter,
        outbox,
        pace,
        unflushed: false,
    };
    let ended = match Box::pin(session.begin(first)).await {
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
    host: Option<Host>,
    id: ConnectionId,
    user: UserId,
    adapter: Box<dyn Adapter>,
    outbox: Arc<Outbox>,
    pace: Pace,
    /// Something may not have been passed on yet.
    unflushed: bool,
}

impl Session<'_> {
    /// Greets, and only then does what the first message asks for.
    async fn begin(&mut self, first: First) -> Step {
        let greeting = self.outbox.next().await;
        self.tell(greeting).await?;
        match first {
            First::Said(text) => self.hear(&text).await?,
            First::Asked(command) => self.shared.board.handle(self.id, command),
            First::Nothing => {}
        }
        self.flush().await
    }

    async fn listen(&mut self, stopping: &mut watch::Receiver<bool>) -> Ending {
        let mut heartbeat = heartbeat();
        let mut missed = 0;
        let mut paused = None;
        loop {
            let woken = tokio::select! {
                event = self.outbox.next() => Woken::Told(event),
                frame = self.socket.recv(), if paused.is_none() => Woken::Heard(frame),
                () = pause(self.shared, paused), if paused.is_some() => {
                    paused = None;
                    continue;
                }
                _ = heartbeat.tick() => Woken::Beat,
                () = stopped(stopping) => Woken::Stopped,
            };
            let step = match woken {
                Woken::Told(event) => self.tell_all(event).await,
                Woken::Heard(frame) => {
                    missed = 0;
                    // Whatever comes counts, pings as well: they are answered.
                    let now = self.shared.board.now();
                    let wait = self.pace.take(now);
                    paused = (!wait.is_zero()).then(|| now + wait);
                    match understand(frame) {
                        Ok(Heard::Text(text)) => self.hear(&text).await,
                        Ok(Heard::SignOfLife) => Ok(()),
                        Err(ending) => Err(ending),
                    }
                }
                Woken::Beat if missed >= MAX_MISSED => Err(Ending(Departure::Lost, None)),
                Woken::Beat => {
                    missed += 1;
                    self.put(Message::Ping(Default::default())).await
                }
                Woken::Stopped => Err(self.stop().await),
            };
            let step = match step {
                Ok(()) => self.flush().await,
                ended => ended,
            };
            if let Err(ending) = step {
                return ending;
            }
        }
    }

    /// Tells of an event and of those that wait behind it, so that they leave in one write.
    async fn tell_all(&mut self, first: Event) -> Step {
        self.tell(first).await?;
        for _ in 1..IN_A_ROW {
            match self.outbox.pop() {
                Some(event) => self.tell(event).await?,
                None => break,
            }
        }
        Ok(())
    }

    /// Ends because the process does, but not before what was told until then: perhaps to go elsewhere.
    async fn stop(&mut self) -> Ending {
        while let Some(event) = self.outbox.pop() {
            if let Err(ending) = Box::pin(self.tell(event)).await {
                return ending;
            }
        }
        Ending(Departure::Lost, Some(STOPPING))
    }

    /// Does what a message asks for.
    async fn hear(&mut self, text: &str) -> Step {
        self.shared.metrics.messages.count();
        let answer = match self.adapter.read(text) {
            Ok(Request::Hub(command)) => {
                self.shared.board.handle(self.id, command);
                None
            }
            Ok(Request::Hello) => None,
            Ok(Request::Ping) => self.adapter.write_pong(),
            Ok(Request::IceServers) => match self.ice().await {
                Some(ice) => self.adapter.write_ice(&ice),
                None => self.write(&Event::Refused(Refusal::IceUnavailable)),
            },
            Err(refusal) => self.write(&Event::Refused(refusal)),
        };
        self.send_text(answer).await?;
        match self.adapter.write_ack() {
            Some(ack) => self.send_text(Some(ack)).await,
            None => Ok(()),
        }
    }

    /// Tells the client of an event.
    async fn tell(&mut self, event: Event) -> Step {
        match event {
            Event::Closed(_) | Event::PeerBacklog(_) | Event::Joined(_) => {
                Box::pin(self.tell_at_length(event)).await
            }
            event => {
                let text = self.write(&event);
                self.send_text(text).await
            }
        }
    }

    /// Tells what comes seldom, and takes more than one message.
    async fn tell_at_length(&mut self, event: Event) -> Step {
        match event {
            Event::Closed(reason) => {
                if reason != CloseReason::TooSlow {
                    let text = self.write(&event);
                    self.send_text(text).await?;
                }
                Err(Ending(Departure::Closed, Some(farewell(reason))))
            }
            Event::PeerBacklog(messages) => {
                for message in messages {
                    let text = self.write(&Event::Peer(message));
                    self.send_text(text).await?;
                }
                Ok(())
            }
            event => {
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
        }
    }

    fn write(&mut self, event: &Event) -> Option<String> {
        if let Event::Refused(refusal) = event {
            self.shared.metrics.refusals.count(refusal.code());
        }
        self.adapter.write(event, None)
    }

    async fn ice(&mut self) -> Option<IceConfig> {
        let asker = Asker {
            host: self.host.as_ref(),
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
            Some(text) => self.put(Message::Text(text.into())).await,
            None => Ok(()),
        }
    }

    /// Writes one frame, at the latest when it is flushed.
    async fn put(&mut self, message: Message) -> Step {
        self.unflushed = true;
        bounded(pin!(self.socket.feed(message)), &self.outbox).await
    }

    async fn flush(&mut self) -> Step {
        if !std::mem::take(&mut self.unflushed) {
            return Ok(());
        }
        bounded(pin!(self.socket.flush()), &self.outbox).await
    }
}

/// Waits for a client to take something. Meanwhile, the outbox may fill up; then the client is too slow for good.
/// What writes stays where it is, so that it takes its room once.
async fn bounded(
    mut writing: Pin<&mut impl Future<Output = Result<(), axum::Error>>>,
    outbox: &Outbox,
) -> Step {
    // Mostly it is taken at once, and needs no clock.
    let at_once = poll_fn(|context| Poll::Ready(writing.as_mut().poll(context))).await;
    let written = match at_once {
        Poll::Ready(written) => Ok(written),
        Poll::Pending => tokio::select! {
            written = timeout(WRITE_LIMIT, writing) => written,
            () = outbox.too_slow() => return Err(Ending(Departure::Lost, Some(farewell(CloseReason::TooSlow)))),
        },
    };
    match written {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Ending(Departure::Lost, None)),
        Err(_) => Err(Ending(
            Departure::Lost,
            Some(farewell(CloseReason::TooSlow)),
        )),
    }
}

/// What ended a wait.
enum Woken {
    Told(Event),
    Heard(Option<Result<Message, axum::Error>>),
    Beat,
    Stopped,
}

/// Waits until more may be read.
async fn pause(shared: &Shared, until: Option<Duration>) {
    if let Some(until) = until {
        // It happens to those who hurry, and so has no room in those who do not.
        Box::pin(shared.board.sleep_until(until)).await;
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
