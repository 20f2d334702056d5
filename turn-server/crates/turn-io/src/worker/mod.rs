//! One worker: the loop that waits, and the order of a turn. What is done for each kind of socket is in the files below.

mod accepting;
mod actions;
mod associations;
mod data;
mod datagrams;
mod errors;
mod flush;
mod guests;
mod listening;
mod moving;
mod passing;
mod resting;
mod sockets;
mod streams;

use std::{
    collections::VecDeque,
    io, mem,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, SyncSender},
    },
    thread,
    time::Duration,
};

use mio::{Events, Poll, event::Event as Readiness};
use turn_proto::{
    Admin, Event, IpRange, LinkId, Now, Passed, Piece, Relay, Reply, Selection, SessionId,
    SessionRecord, SessionView,
};
use turn_wire::{HEADROOM, TAILROOM};
use udp_batch::Arena;

pub(crate) use self::listening::Change;
use self::{data::Leaving, moving::Returned, resting::Resting, sockets::Sockets};
use crate::{
    Config, Counters, DEPTHS, Dtls, GuestHook, Spoken, Stats, TURN_TIMES, Tls, Tuning,
    bind::RelayWish,
    clock::Clock,
    colleagues::Colleagues,
    data::{DataConnections, PeerListeners},
    dtls::{Associations, Cookies},
    kept_sockets::KeptSockets,
    mailbox::{Mail, Mailboxes},
    relay_sockets::{RelaySockets, SharedSocket},
    source::{LISTENERS, Source},
    streams::{Entrance, HttpAnswers, Streams},
};

/// Datagrams that one socket may deliver before it is the others' turn.
const BATCH: usize = 64;

/// Receive slots. Twice a batch, so that a full batch always fits behind what is queued already, and the batches of many
/// sockets with a packet or two each are flushed together.
const SLOTS: usize = 2 * BATCH;

/// Packets after which a turn ends, whatever is still ready: at 3 µs each, commands, timers and the clock are late by a few
/// milliseconds at most.
const TURN: usize = 1024;

/// Of how many turns one is measured.
const MEASURED: u64 = 16;

/// Places of sessions that an operator's question looks at in one turn: a few hundred microseconds.
const PIECE: u32 = 512;

/// Events taken from the poller at once; the rest stays with the kernel until the next turn.
const EVENTS: usize = 1024;

/// What others ask of a worker.
pub(crate) enum Command {
    /// Give a sign of life: this number.
    Alive(usize, Sender<usize>),
    /// Tell the counters.
    Stats(Sender<Stats>),
    /// Tell the allocations.
    Sessions(Sender<Vec<SessionRecord>>),
    /// Describe some of the selected sessions, from a place on.
    List(Arc<Selection>, u32, Sender<Piece<SessionView>>),
    /// End some of the selected sessions, from a place on.
    End(Arc<Selection>, u32, Sender<Piece<SessionId>>),
    /// Tell the state machine.
    Admin(Admin),
    /// Accept connections with these settings from now on.
    Tls(Tls),
    /// Begin associations with these settings from now on.
    Dtls(Dtls),
    /// Believe these proxies from now on.
    Proxies(Vec<IpRange>),
    /// Speak this from now on.
    Speak(Spoken),
    /// Listen elsewhere.
    Listening(Change),
    /// Tell how many sessions there are on a listener.
    SessionsAt(LinkId, Sender<usize>),
    /// Be as patient as this from now on.
    Tune(Tuning),
    /// Take what another worker hands over.
    Mail(Mail),
    /// Serve a packet for one of its clients.
    Passed(Passed),
    /// End.
    Stop,
}

/// What a worker is given: everything whose making can fail.
pub(crate) struct Parts {
    pub(crate) poll: Poll,
    pub(crate) shared_relays: Vec<SharedSocket>,
    pub(crate) colleagues: Colleagues,
    pub(crate) relay: Relay,
    pub(crate) number: u16,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) commands: Receiver<Command>,
    pub(crate) clock: Clock,
    pub(crate) cookies: Cookies,
    pub(crate) kept: KeptSockets,
}

/// One thread's share of the server.
pub(crate) struct Worker {
    colleagues: Colleagues,
    /// Packets for clients of this worker that have come by no socket.
    passed: VecDeque<Passed>,
    relay: Relay,
    /// Its place among the workers.
    number: u16,
    mailboxes: Mailboxes,
    clock: Clock,
    /// Read once per turn.
    now: Now,
    /// When the first timer is due, as it was found last, and whether it may be another one by now.
    due_at: Option<Duration>,
    timers_moved: bool,
    /// When packets are left to gather.
    resting: Resting,
    poll: Poll,
    commands: Receiver<Command>,
    events: Option<SyncSender<Event>>,
    sockets: Sockets,
    /// What connections that come may begin with.
    entrance: Entrance,
    /// Whose connections begin with a PROXY header.
    proxies: Vec<IpRange>,
    /// Who takes connections over that speak HTTP.
    guests: Option<GuestHook>,
    /// Who speaks HTTP and is no guest.
    http: HttpAnswers,
    /// Whether every datagram of a client is for the state machine as it is: plain ones are served, and no others.
    plain_only: bool,
    /// The same, but others are served as well.
    plain_datagrams: bool,
    /// Handshakes begun in the batch that is served.
    handshakes_begun: usize,
    arena: Arena,
    /// Slots below may be in use by the outbox.
    used_slots: usize,
    sender: udp_batch::Sender,
    /// When to accept connections again after a failure.
    accept_again: Option<Duration>,
    /// When to look whether listeners that are not wanted any more have sessions.
    look_at_retired_at: Option<Duration>,
    /// Connections to close once the outbox is flushed.
    doomed: Vec<LinkId>,
    /// Packets that other workers have sent back, until the message that brought them is served.
    returned: Returned,
    /// The stream that becomes a data connection, until the message that asked for it is served.
    leaving: Option<Leaving>,
    /// Answers to the state machine, until it has finished asking.
    replies: VecDeque<Reply>,
    stopping: bool,
}

impl Worker {
    /// Allocates the buffers. Called on the worker's own thread, so that they are near its core.
    pub(crate) fn new(config: &Config, parts: Parts) -> Self {
        let relays = RelaySockets::new(parts.kept, parts.shared_relays, RelayWish::of(config));
        let streams = Streams::new(LISTENERS, config);
        let entrance = Entrance {
            plain: config.plain_streams,
            tls: config.security.clone(),
            proxied: false,
        };
        let associations = Associations::new(config, parts.cookies, parts.clock.origin());
        let data = DataConnections::new(config.max_peer_connections);
        Self {
            colleagues: parts.colleagues,
            passed: VecDeque::new(),
            relay: parts.relay,
            number: parts.number,
            mailboxes: parts.mailboxes,
            clock: parts.clock,
            now: parts.clock.read(),
            due_at: None,
            timers_moved: true,
            resting: Resting::new(config.latency_budget),
            poll: parts.poll,
            commands: parts.commands,
            events: config.events.clone(),
            sockets: Sockets::new(
                relays,
                (streams, associations),
                (data, PeerListeners::new(config.relay_device)),
            ),
            entrance,
            proxies: config.proxies.clone(),
            guests: config.guests.clone(),
            http: config.http.clone(),
            plain_only: config.plain_datagrams && config.secure_datagrams.is_none(),
            plain_datagrams: config.plain_datagrams,
            handshakes_begun: 0,
            arena: Arena::new(config.backend, SLOTS, HEADROOM, TAILROOM),
            used_slots: 0,
            sender: udp_batch::Sender::new(config.backend, SLOTS),
            accept_again: None,
            look_at_retired_at: None,
            doomed: Vec::new(),
            leaving: None,
            returned: Returned::new(),
            replies: VecDeque::new(),
            stopping: false,
        }
    }

    /// Works until told to stop.
    ///
    /// # Errors
    /// When the poller fails, which leaves nothing to wait for.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        while !self.stopping {
            let due_at = self.look_at_timers();
            self.wait(&mut events, due_at)?;
            let now = self.clock.read_after(self.now);
            let last_turn = mem::replace(&mut self.now, now);
            self.sockets.counters.turns += 1;
            if due_at.is_some_and(|at| at <= self.now.mono) {
                self.serve_timers();
            }
            for event in &events {
                self.note(event);
            }
            let packets = self.serve_ready();
            self.finish_turn();
            self.measure_turn();
            if self.resting.is_wanted() {
                let since = self.now.mono.saturating_sub(last_turn.mono);
                self.rest(packets, since);
            }
        }
        Ok(())
    }

    fn rest(&mut self, packets: usize, since: Duration) {
        let more = self.sockets.ready_count() > 0;
        if let Some(rest) = self.resting.after_turn(packets, since, more) {
            thread::sleep(rest);
        }
    }

    /// Measures some turns, the first among them: the clock is read once more, and by no packet.
    fn measure_turn(&mut self) {
        let counters = &mut self.sockets.counters;
        if counters.turns % MEASURED == 1 {
            let took = self.clock.mono().saturating_sub(self.now.mono);
            counters.turn_times.record_time(&TURN_TIMES, took);
        }
    }

    fn wait(&mut self, events: &mut Events, due_at: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(events, self.timeout(due_at)) {
            // The last turn's events may still stand there, which is harmless: readiness is only ever tried.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            other => other,
        }
    }

    /// How long there is nothing to do but wait. What the last turn took is not taken off: timers are in seconds.
    fn timeout(&self, due_at: Option<Duration>) -> Option<Duration> {
        if self.sockets.ready_count() > 0 {
            return Some(Duration::ZERO);
        }
        Some(due_at?.saturating_sub(self.now.mono))
    }

    /// When the first timer of all is due. Looked up after turns that did more than relay: relaying moves none.
    fn look_at_timers(&mut self) -> Option<Duration> {
        if mem::take(&mut self.timers_moved) {
            self.due_at = self.next_due();
        }
        debug_assert_eq!(self.due_at, self.next_due(), "a timer moved unnoticed");
        self.due_at
    }

    fn next_due(&self) -> Option<Duration> {
        let timers = [
            self.relay.poll_timeout(),
            self.sockets.streams.next_look(),
            self.sockets.associations.next_look(),
            self.sockets.data.next_look(),
            self.accept_again,
            self.look_at_retired_at,
        ];
        earliest(timers)
    }

    #[cold]
    fn serve_timers(&mut self) {
        self.timers_moved = true;
        let now = self.now.mono;
        if self.relay.poll_timeout().is_some_and(|at| at <= now) {
            self.relay.on_timeout(self.now);
            self.serve_actions();
        }
        while let Some(link) = self.sockets.streams.overdue(now) {
            self.sockets.counters.streams_idle += 1;
            self.lose_stream(link);
        }
        while let Some(link) = self.sockets.streams.slow_to_open(now) {
            self.sockets.counters.streams_unopened += 1;
            self.lose_stream(link);
        }
        self.serve_association_timers();
        self.serve_silent_data();
        if self.look_at_retired_at.is_some_and(|at| at <= now) {
            self.look_at_retired();
        }
        if self.accept_again.is_some_and(|at| at <= now) {
            self.accept_again = None;
            for place in (0..).take(self.sockets.acceptors.len()) {
                self.sockets.enlist(Source::Acceptor(place));
            }
            for relay in self.sockets.peer_listeners.relays() {
                self.sockets.enlist(Source::PeerListener(relay));
            }
        }
    }

    fn note(&mut self, event: &Readiness) {
        match Source::from_token(event.token()) {
            Some(source @ Source::Listener(_)) => self.sockets.enlist(source),
            Some(source @ Source::Relay(_)) if !event.is_error() => self.sockets.enlist(source),
            Some(source) => self.note_rare(source, event),
            None => {}
        }
    }

    #[inline(never)]
    fn note_rare(&mut self, source: Source, event: &Readiness) {
        self.timers_moved = true;
        match source {
            Source::Waker => self.serve_commands(),
            Source::Stream(link) => self.note_stream(link, event),
            Source::Data(place, half) => self.note_data(place, half, event),
            Source::Relay(relay) if event.is_error() => {
                self.serve_errors(relay);
                self.sockets.enlist(Source::Relay(relay));
            }
            source => self.sockets.enlist(source),
        }
    }

    /// Serves ready sources until all had their turn, or this one has lasted long enough; tells how many packets that were.
    fn serve_ready(&mut self) -> usize {
        let mut packets = 0;
        for _ in 0..self.sockets.ready_count() {
            let Some(source) = self.sockets.next_ready() else {
                break;
            };
            let served = match source {
                Source::Listener(place) => self.serve_listener(place, false),
                Source::Relay(relay) => self.serve_relay(relay),
                source => self.serve_rare(source),
            };
            if !self.passed.is_empty() {
                self.serve_passed();
            }
            if served.more {
                self.sockets.enlist(source);
            }
            // A source that was ready for nothing has cost a system call, too.
            packets += served.packets.max(1);
            if packets >= TURN {
                break;
            }
        }
        packets
    }

    /// Serves a source other than datagrams. It stays a function: the room that it needs on the stack would be laid out by every
    /// turn otherwise.
    #[inline(never)]
    fn serve_rare(&mut self, source: Source) -> Served {
        self.timers_moved = true;
        match source {
            Source::Waker => Served::NOTHING,
            Source::Listener(place) => self.serve_listener(place, false),
            Source::Retired(place) => self.serve_listener(place, true),
            Source::Acceptor(place) => self.serve_acceptor(place),
            Source::Relay(relay) => self.serve_relay(relay),
            Source::Stream(link) => self.serve_stream(link),
            Source::PeerListener(relay) => self.serve_peer_listener(relay),
            Source::Data(place, _) => self.serve_data(place),
        }
    }

    fn serve_commands(&mut self) {
        let mut letters = 0;
        while let Ok(command) = self.commands.try_recv() {
            letters += 1;
            match command {
                Command::Alive(number, asker) => {
                    // Who asked may have given up meanwhile.
                    let _ = asker.send(number);
                }
                Command::Stats(asker) => {
                    let streams_open = self.sockets.streams.len() as u64;
                    let dtls_associations = self.sockets.associations.len() as u64;
                    let io = Counters {
                        streams_open,
                        dtls_associations,
                        ..self.sockets.counters
                    };
                    // Who asked may have given up meanwhile.
                    let _ = asker.send(Stats {
                        relay: self.relay.stats(),
                        io,
                    });
                }
                Command::Sessions(asker) => {
                    let _ = asker.send(self.relay.export(self.now));
                }
                Command::List(selection, first, asker) => {
                    let piece = (self.relay).list_sessions(self.now, &selection, first, PIECE);
                    let _ = asker.send(piece);
                }
                Command::End(selection, first, asker) => {
                    let _ = asker.send(self.relay.end_sessions(self.now, &selection, first, PIECE));
                    self.serve_actions();
                }
                Command::Admin(command) => {
                    self.relay.on_command(self.now, command);
                    self.serve_actions();
                }
                Command::Tls(tls) => self.entrance.tls = Some(tls),
                Command::Dtls(dtls) => self.sockets.associations.renew(dtls),
                Command::Speak(spoken) => self.speak(spoken),
                Command::Listening(change) => self.change_listening(change),
                Command::SessionsAt(link, asker) => {
                    let _ = asker.send(self.sessions_at(link));
                }
                Command::Proxies(proxies) => self.proxies = proxies,
                Command::Tune(tuning) => {
                    self.sockets.streams.tune(self.now.mono, tuning);
                    self.sockets.associations.tune(self.now.mono, tuning);
                }
                Command::Mail(Mail::DataConnection { connection, client }) => {
                    self.join(connection, *client);
                }
                Command::Mail(Mail::Message { from, message }) => {
                    self.relay.on_message(self.now, from, message);
                    self.serve_actions();
                    self.serve_returned();
                }
                Command::Mail(Mail::Parcel { parcel, sockets }) => {
                    self.take_parcel(*parcel, sockets);
                    self.serve_returned();
                }
                Command::Passed(passed) => {
                    self.colleagues.taken(self.number);
                    self.passed.push_back(passed);
                }
                Command::Stop => self.stopping = true,
            }
        }
        if letters > 0 {
            let depths = &mut self.sockets.counters.mailbox_depths;
            depths.record(&DEPTHS, letters);
        }
        self.serve_passed();
    }

    /// Sends what is queued and closes what is to be closed, which may lead to more of both.
    fn finish_turn(&mut self) {
        loop {
            self.flush();
            self.used_slots = 0;
            if let Some(link) = self.doomed.pop() {
                self.lose_stream(link);
            } else if let Some(link) = self.sockets.broken_associations.pop() {
                self.break_association(link);
            } else {
                break;
            }
            self.timers_moved = true;
        }
        self.colleagues.wake();
    }

    /// The first of at least [`BATCH`] slots that nothing queued lies in; flushes when there are not as many left.
    fn free_slots(&mut self) -> usize {
        if self.used_slots + BATCH > SLOTS {
            self.flush();
            self.used_slots = 0;
        }
        self.used_slots
    }
}

/// The first of several moments. A loop over plain values, which every turn of every worker goes through.
fn earliest<const N: usize>(moments: [Option<Duration>; N]) -> Option<Duration> {
    let mut first = Duration::MAX;
    for moment in moments {
        first = first.min(moment.unwrap_or(Duration::MAX));
    }
    (first < Duration::MAX).then_some(first)
}

/// What serving a source has come to.
struct Served {
    packets: usize,
    /// Whether it may have more to read.
    more: bool,
}

impl Served {
    const NOTHING: Self = Self {
        packets: 0,
        more: false,
    };
}
