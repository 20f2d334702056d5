//! All associations of one worker: by link, and by the client and socket that they live on.
//!
//! Nothing is entered here for a client that has not returned a cookie.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;
use turn_proto::{LinkId, Now, Path, Transport};

use super::{
    association::{Association, Broken, Polled, Stage, Ticket},
    cookie::{Cookies, Ends},
    hello::{Alert, CLIENT_HELLO, Hello, REFUSAL, VERIFY},
    records::{DTLS_1_2, HANDSHAKE, Record},
    settings::Dtls,
};
use crate::{
    Config, Tuning,
    source::LINKS,
    streams::{Found, Idle, Openings},
};

/// Bytes that the engine may have for the outside at once: more than the largest record there can be.
const SCRATCH: usize = 1 << 16;

/// The associations.
pub(crate) struct Associations {
    settings: Option<Dtls>,
    cookies: Cookies,
    clients: HashMap<(u32, SocketAddr), Pair, RandomState>,
    associations: HashMap<LinkId, Association, RandomState>,
    /// When associations in their handshake are to be woken.
    due: BTreeSet<(Duration, LinkId)>,
    idle: Idle,
    openings: Openings,
    /// Links count upwards from behind those of streams, so that no two share a number.
    next: u32,
    limit: usize,
    handshakes: usize,
    max_handshakes: usize,
    /// The instant that times are counted from.
    origin: Instant,
    /// The time by which certificates are judged.
    unix: u64,
    scratch: Vec<u8>,
}

/// What one client has on one socket. While a new handshake is under way, which may be another's who writes the client's
/// address, the old association lives on (RFC 6347 §4.2.8).
#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    open: Option<LinkId>,
    opening: Option<LinkId>,
}

/// What is to be done with a datagram.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Routed {
    /// It belongs to an association.
    To(LinkId),
    /// It is a hello without a cookie that is good; this is the answer.
    Ask([u8; VERIFY]),
    /// It is a hello with a good cookie.
    Begin,
    /// It belongs to nothing.
    Stray,
}

/// An association that has begun.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) link: LinkId,
    /// The one that is to be closed in its place.
    pub(crate) displaced: Option<LinkId>,
}

/// Why there is no association for a client whose cookie was good.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There are as many as there may be, and all have an allocation; or the client's network has as many as it may.
    Full,
    /// Client and server have nothing in common; this is the answer.
    Unfit([u8; REFUSAL]),
}

impl Associations {
    /// Makes an empty table. Times are counted from `origin`.
    pub(crate) fn new(config: &Config, cookies: Cookies, origin: Instant) -> Self {
        let mut table = Self {
            settings: None,
            cookies,
            clients: HashMap::default(),
            associations: HashMap::default(),
            due: BTreeSet::new(),
            idle: Idle::new(config.stream_patience),
            openings: Openings::new(config.handshake_patience),
            next: LINKS,
            limit: config.max_associations,
            handshakes: 0,
            max_handshakes: config.max_handshakes,
            origin,
            unix: 0,
            scratch: Vec::new(),
        };
        table.serve(config.secure_datagrams.clone());
        table
    }

    /// Changes how long associations may take, those that are there included.
    pub(crate) fn tune(&mut self, now: Duration, tuning: Tuning) {
        self.idle.set_patience(now, tuning.stream_patience);
        self.openings.set_patience(now, tuning.handshake_patience);
    }

    /// Begins associations with other settings from now on, where DTLS is served.
    pub(crate) fn renew(&mut self, settings: Dtls) {
        if self.is_on() {
            self.settings = Some(settings);
        }
    }

    /// Begins associations from now on, or none. Those that there are go on.
    pub(crate) fn serve(&mut self, settings: Option<Dtls>) {
        self.settings = settings;
        if self.is_on() {
            self.scratch.resize(SCRATCH, 0);
        }
    }

    /// Whether a client has an association on a socket.
    pub(crate) fn knows(&self, place: u32, client: SocketAddr) -> bool {
        self.clients.contains_key(&(place, client))
    }

    /// The associations on a socket, with or without an allocation.
    pub(crate) fn at(&self, place: u32, allocated: bool) -> impl Iterator<Item = LinkId> {
        let here = move |held: &&Association| held.place == place && held.allocated == allocated;
        (self.associations.values())
            .filter(here)
            .map(|held| held.path.link)
    }

    /// Whether DTLS is served.
    pub(crate) fn is_on(&self) -> bool {
        self.settings.is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.associations.len()
    }

    pub(crate) fn at_mut(&mut self, link: LinkId) -> Option<&mut Association> {
        self.associations.get_mut(&link)
    }

    /// Finds out what a datagram of a client is, which has come along this path to this socket.
    pub(crate) fn route(&mut self, now: Now, path: &Path, place: u32, datagram: &[u8]) -> Routed {
        let Some(record) = Record::first(datagram) else {
            return Routed::Stray;
        };
        let pair = self.clients.get(&(place, path.client)).copied();
        if record.is_plain_handshake(CLIENT_HELLO)
            && let Some(hello) = Hello::read(&record)
        {
            return self.route_hello(now, path, pair.unwrap_or_default(), &hello);
        }
        let link = match pair.unwrap_or_default() {
            // Of both, only the new one is in its handshake.
            Pair {
                open: Some(open),
                opening: Some(opening),
            } => match (record.epoch, record.kind) {
                (0, _) | (_, HANDSHAKE) => Some(opening),
                _ => Some(open),
            },
            Pair { open, opening } => open.or(opening),
        };
        link.map_or(Routed::Stray, Routed::To)
    }

    fn route_hello(&mut self, now: Now, path: &Path, pair: Pair, hello: &Hello<'_>) -> Routed {
        for link in [pair.opening, pair.open].into_iter().flatten() {
            let association = self.associations.get(&link);
            if association.is_some_and(|association| association.began_with(hello)) {
                return Routed::To(link);
            }
        }
        if !self.is_on() {
            return Routed::Stray;
        }
        let ends = Ends {
            client: path.client,
            server: path.server,
        };
        match self.cookies.verify(now.mono, ends, hello) {
            Some(_) => Routed::Begin,
            None => Routed::Ask(hello.verify_request(&self.cookies.ask(now.mono, ends, hello))),
        }
    }

    /// Begins an association with a client whose hello has a good cookie.
    pub(crate) fn begin(
        &mut self,
        now: Now,
        (path, place): (&Path, u32),
        datagram: &[u8],
        ticket: impl FnOnce() -> Option<Ticket>,
    ) -> Result<Begun, Refused> {
        let record = Record::first(datagram);
        let hello = record.and_then(|record| Hello::read(&record));
        let (Some(hello), Some(settings)) = (hello, self.settings.clone()) else {
            return Err(Refused::Full);
        };
        let unfit = |reason| Refused::Unfit(hello.refusal(reason));
        if hello.version != DTLS_1_2 {
            return Err(unfit(Alert::ProtocolVersion));
        }
        let suite = settings.suite(hello.offers());
        let suite = suite.ok_or_else(|| unfit(Alert::HandshakeFailure))?;
        // The client has begun anew before the end of its last attempt.
        let key = (place, path.client);
        if let Some(earlier) = self.clients.get(&key).and_then(|pair| pair.opening) {
            self.remove(earlier);
        }
        // Before anybody makes room: whose network has as many as it may takes no one's place.
        let ticket = ticket().ok_or(Refused::Full)?;
        let path = Path {
            transport: Transport::Dtls,
            link: self.vacant(),
            ..*path
        };
        let instant = self.origin + now.mono;
        let mut association = Association::new(
            instant,
            (path, place),
            &settings,
            (suite, &hello),
            &mut self.scratch,
        )
        .map_err(|Broken| unfit(Alert::HandshakeFailure))?;
        association.ticket = Some(ticket);
        let displaced = self.crowded(now.mono)?;
        if self.handshakes >= self.max_handshakes {
            self.give_up_oldest();
        }
        self.handshakes += 1;
        self.clients.entry(key).or_default().opening = Some(path.link);
        self.idle.watch(now.mono, path.link);
        self.openings.watch(now.mono, path.link);
        self.associations.insert(path.link, association);
        Ok(Begun {
            link: path.link,
            displaced,
        })
    }

    /// Names the association that makes room for one more, if there are too many: the oldest without an allocation. Whoever means
    /// to have one has it within some round trips, and whoever only holds a place keeps nobody out.
    fn crowded(&mut self, now: Duration) -> Result<Option<LinkId>, Refused> {
        if self.associations.len() < self.limit {
            return Ok(None);
        }
        let associations = &self.associations;
        let oldest = (self.idle).oldest(now, |link| found(associations.get(&link)));
        oldest.map(Some).ok_or(Refused::Full)
    }

    /// Takes a datagram of the client.
    pub(crate) fn receive(
        &mut self,
        now: Now,
        link: LinkId,
        datagram: &[u8],
    ) -> Result<(), Broken> {
        self.unix = now.unix;
        let instant = self.origin + now.mono;
        let association = self.associations.get_mut(&link).ok_or(Broken)?;
        association.receive(instant, datagram)
    }

    /// The next thing that an association has for the outside; its bytes are the first of [`Associations::bytes`].
    pub(crate) fn poll(&mut self, link: LinkId) -> Result<Polled, Broken> {
        let association = self.associations.get_mut(&link).ok_or(Broken)?;
        let polled = association.poll(self.unix, &mut self.scratch)?;
        if let Polled::Nothing(at) = polled {
            let wake_at = at.saturating_duration_since(self.origin);
            let wake_at = Some(wake_at).filter(|_| association.stage() == Stage::Handshake);
            let before = std::mem::replace(&mut association.wake_at, wake_at);
            if before != wake_at {
                self.due.extend(wake_at.map(|at| (at, link)));
                if let Some(before) = before {
                    self.due.remove(&(before, link));
                }
            }
        }
        Ok(polled)
    }

    /// What was polled last.
    pub(crate) fn bytes(&self, length: usize) -> &[u8] {
        self.scratch.get(..length).unwrap_or_default()
    }

    /// Notes that a handshake is complete; tells which association it replaces (RFC 6347 §4.2.8).
    pub(crate) fn opened(&mut self, link: LinkId) -> Option<LinkId> {
        let association = self.associations.get(&link)?;
        self.handshakes = self.handshakes.saturating_sub(1);
        let pair = self
            .clients
            .get_mut(&(association.place, association.path.client))?;
        pair.opening = pair.opening.filter(|opening| *opening != link);
        pair.open.replace(link)
    }

    /// Forgets an association.
    pub(crate) fn remove(&mut self, link: LinkId) -> Option<Association> {
        let association = self.associations.remove(&link)?;
        if association.stage() == Stage::Handshake {
            self.handshakes = self.handshakes.saturating_sub(1);
        }
        if let Some(at) = association.wake_at {
            self.due.remove(&(at, link));
        }
        let key = (association.place, association.path.client);
        if let Some(pair) = self.clients.get_mut(&key) {
            let others = |held: Option<LinkId>| held.filter(|held| *held != link);
            (pair.open, pair.opening) = (others(pair.open), others(pair.opening));
            if pair.open.is_none() && pair.opening.is_none() {
                self.clients.remove(&key);
            }
        }
        Some(association)
    }

    /// When there is something to do: [`Associations::wake`], [`Associations::overdue`] or [`Associations::slow_to_open`].
    pub(crate) fn next_look(&self) -> Option<Duration> {
        let due = self.due.first().map(|(at, _)| *at);
        let looks = [due, self.idle.next(), self.openings.next()];
        looks.into_iter().flatten().min()
    }

    /// An association that has done what was due; it has to be polled.
    pub(crate) fn wake(&mut self, now: Now) -> Option<(LinkId, Result<(), Broken>)> {
        let (_, link) = *self.due.first().filter(|(at, _)| *at <= now.mono)?;
        self.due.pop_first();
        let instant = self.origin + now.mono;
        let Some(association) = self.associations.get_mut(&link) else {
            return Some((link, Err(Broken)));
        };
        association.wake_at = None;
        Some((link, association.wake(instant)))
    }

    /// An association whose handshake takes too long.
    pub(crate) fn slow_to_open(&mut self, now: Duration) -> Option<LinkId> {
        let associations = &self.associations;
        self.openings.overdue(now, |link| {
            let association = associations.get(&link);
            association.is_some_and(|association| association.stage() == Stage::Handshake)
        })
    }

    /// An association that has had no allocation for too long.
    pub(crate) fn overdue(&mut self, now: Duration) -> Option<LinkId> {
        let associations = &self.associations;
        (self.idle).overdue(now, |link| found(associations.get(&link)))
    }

    /// Forgets the handshake that has been under way for longest: whoever means it is done within some round trips, and whoever
    /// only holds a place keeps nobody out. The state machine has not heard of it.
    fn give_up_oldest(&mut self) {
        let associations = &self.associations;
        let stage = |link| associations.get(&link).map(Association::stage);
        let oldest = (self.openings).oldest(|link| stage(link) == Some(Stage::Handshake));
        if let Some(oldest) = oldest {
            self.remove(oldest);
        }
    }

    fn vacant(&mut self) -> LinkId {
        loop {
            let link = LinkId(self.next);
            self.next = self.next.checked_add(1).unwrap_or(LINKS);
            if !self.associations.contains_key(&link) {
                return link;
            }
        }
    }
}

fn found(association: Option<&Association>) -> Found {
    match association {
        Some(association) if association.allocated => Found::Allocated,
        Some(_) => Found::Stranger,
        None => Found::Gone,
    }
}
