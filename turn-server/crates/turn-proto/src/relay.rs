//! The state machine itself: inputs, outputs and the tables they share. What a request means is in `handle`.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use foldhash::fast::RandomState;
use rand::CryptoRng;
use turn_wire::{Class, Fingerprint, MessageView, Method, Packet, Responder};

use crate::{
    Action, Admin, Config, ConnectionId, ConnectionTicket, CredentialExpiry, EndReason, Event,
    IcmpReport, LinkId, Now, Output, Path, RelayId, Reply, SessionId, Shared, Stats, ToClient,
    Transport,
    allocation::Allocation,
    auth::Lookup,
    connections::PeerConnection,
    neighbours::Away,
    recent::Recent,
    relayed::Version,
    slab::{Key, Slab},
    timers::{Due, Timers},
};

/// A TURN/STUN server for one worker. The crate's head has the driver's side of the contract.
pub struct Relay {
    pub(crate) config: Arc<Config>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) rng: Box<dyn CryptoRng + Send>,
    pub(crate) worker: u16,
    sessions: u64,
    pub(crate) allocations: Slab<Allocation>,
    /// Allocations by 5-tuple; the key is compact because every packet is looked up by it.
    clients: HashMap<ClientKey, Key, RandomState>,
    /// Allocations by stream, for streams only.
    streams: HashMap<LinkId, Key, RandomState>,
    /// Connections with peers (RFC 6062).
    pub(crate) connections: HashMap<ConnectionId, PeerConnection, RandomState>,
    /// Paths of sessions that other workers have.
    pub(crate) away: Away,
    /// Sessions here whose clients move to paths of other workers, by worker and path there.
    pub(crate) visitors: HashMap<(u16, ClientKey), Key, RandomState>,
    /// Where the packet comes from that is being served, if from another worker.
    pub(crate) visitor: Option<(u16, Path)>,
    pub(crate) timers: Timers,
    actions: VecDeque<Action>,
    pub(crate) responder: Responder,
    /// Bytes of an answer that is sent again.
    pub(crate) again: Vec<u8>,
    pub(crate) recent: Recent,
    pub(crate) next_relay: usize,
    /// Whose turn it is among the servers that clients are sent to.
    pub(crate) next_alternate: usize,
    pub(crate) stats: Stats,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ClientKey {
    ip: u128,
    /// The link in the upper half, the port in the lower, and whether the address is IPv4.
    link_port: u64,
}

impl ClientKey {
    fn is_on(&self, link: LinkId) -> bool {
        self.link_port >> 32 == u64::from(link.0)
    }
}

impl From<&Path> for ClientKey {
    fn from(path: &Path) -> Self {
        let (ip, v4) = match path.client.ip() {
            IpAddr::V4(ip) => (u128::from(ip.to_bits()), 1 << 16),
            IpAddr::V6(ip) => (ip.to_bits(), 0),
        };
        Self {
            ip,
            link_port: u64::from(path.link.0) << 32 | v4 | u64::from(path.client.port()),
        }
    }
}

impl Relay {
    /// Makes the state machine of one worker. `worker` numbers its sessions; `rng` makes ports, tokens and transaction ids.
    pub fn new(
        config: Arc<Config>,
        shared: Arc<Shared>,
        worker: u16,
        mut rng: impl CryptoRng + Send + 'static,
    ) -> Self {
        let next_relay = rng.next_u32() as usize;
        shared.tickets.draw_key(|| {
            let mut key = [0; 16];
            rng.fill_bytes(&mut key);
            key
        });
        Self {
            config,
            shared,
            rng: Box::new(rng),
            worker,
            sessions: 0,
            allocations: Slab::default(),
            clients: HashMap::default(),
            streams: HashMap::default(),
            connections: HashMap::default(),
            away: Away::default(),
            visitors: HashMap::default(),
            visitor: None,
            timers: Timers::default(),
            actions: VecDeque::new(),
            responder: Responder::new(),
            again: Vec::new(),
            recent: Recent::default(),
            next_relay,
            next_alternate: next_relay,
            stats: Stats::default(),
        }
    }

    /// Takes a packet from a client: one datagram, or one whole frame of a stream.
    #[inline]
    pub fn on_client(&mut self, now: Now, path: &Path, packet: &[u8]) -> Output<'_> {
        if !self.admits_client(path.client.ip(), path.server) {
            self.stats.dropped_denied_client += 1;
            return Output::Nothing;
        }
        if !self.away.is_empty() && self.pass_on(path, packet) {
            return Output::Nothing;
        }
        match &turn_wire::parse(packet) {
            Ok(Packet::ChannelData(frame)) => self.channel_data(now, path, packet, frame),
            Ok(Packet::Stun(view)) => {
                if self.config.mobility && self.ask_neighbour(path, view, packet) {
                    return Output::Nothing;
                }
                self.stun(now, path, packet, view)
            }
            Err(error) => self.unreadable(now, path, packet, *error),
        }
    }

    /// Takes a packet that is to be served here and not by another worker.
    pub(crate) fn client_packet(&mut self, now: Now, path: &Path, packet: &[u8]) -> Output<'_> {
        match &turn_wire::parse(packet) {
            Ok(Packet::ChannelData(frame)) => self.channel_data(now, path, packet, frame),
            Ok(Packet::Stun(view)) => self.stun(now, path, packet, view),
            Err(_) => Output::Nothing,
        }
    }

    /// Takes a request again that was answered with [`Output::NeedsKey`], with what the driver has found: the user's key, or
    /// that there is no such user.
    pub fn on_client_with_key(
        &mut self,
        now: Now,
        path: &Path,
        packet: &[u8],
        key: Option<&[u8]>,
    ) -> Output<'_> {
        let Ok(Packet::Stun(view)) = turn_wire::parse(packet) else {
            return Output::Nothing;
        };
        match (view.class(), view.method()) {
            (Class::Request, Method::BINDING) => {
                self.binding(now, path, &view, Lookup::Answered(key))
            }
            (Class::Request, _) => self.request(now, path, &view, Lookup::Answered(key)),
            _ => Output::Nothing,
        }
    }

    /// Tells whether the operator's lists let a client in at a listener. Its packets are dropped otherwise; its connections need
    /// not be accepted.
    #[inline]
    pub fn admits_client(&self, client: IpAddr, listener: SocketAddr) -> bool {
        self.config.guard.clients.admits(client, listener)
    }

    /// Counts a new connection of a client. The ticket is kept as long as the connection; `None` when there are too many.
    pub fn admit_connection(&mut self, client: IpAddr) -> Option<ConnectionTicket> {
        let admitted = self.shared.quotas.connect(&self.config.guard.caps, client);
        admitted
            .map_err(|capped| self.stats.limits.count(capped))
            .ok()
    }

    /// Takes a datagram from a peer and writes the header for the client in front of it.
    ///
    /// `buf` has [`turn_wire::HEADROOM`] bytes before `payload` and [`turn_wire::TAILROOM`] behind it.
    #[inline]
    pub fn on_peer(
        &mut self,
        now: Now,
        relay: RelayId,
        from: SocketAddr,
        buf: &mut [u8],
        payload: std::ops::Range<usize>,
    ) -> Option<ToClient> {
        self.peer_datagram(now, relay, from, buf, payload)
    }

    /// Takes an ICMP error about a datagram that a relay socket has sent (RFC 8656 §11.5).
    pub fn on_icmp(&mut self, now: Now, relay: RelayId, report: IcmpReport) {
        self.peer_error(now, relay, report);
    }

    /// Takes the driver's answer to an [`Action::Bind`], [`Action::Listen`] or [`Action::Connect`].
    pub fn on_reply(&mut self, now: Now, reply: Reply) {
        match reply {
            Reply::Bound { relay } => self.bound(now, relay),
            Reply::BoundAt {
                relay,
                local,
                relayed,
            } => self.bound_at(now, relay, local, relayed),
            Reply::BindFailed { relay, cause } => self.bind_failed(now, relay, cause),
            Reply::Connected { connection } => self.connected(now, connection),
            Reply::ConnectFailed { connection } => self.connect_failed(connection),
        }
    }

    /// Takes the news that a stream or an association has ended: its allocation ends with it (RFC 8656 §3.1).
    ///
    /// A mobile one waits for its client (RFC 8016 §3.2.2).
    pub fn on_link_closed(&mut self, now: Now, link: LinkId) {
        match self.streams.get(&link).copied() {
            None => self.leave_neighbour(link),
            Some(key) if self.outlive_link(now, key, link) => {}
            Some(key) => self.end(now, key, EndReason::LinkClosed),
        }
    }

    /// Takes the news that a relay socket was closed by others: its allocation is of no use any more, and its client learns that
    /// from the answer to its next request.
    pub fn on_relay_closed(&mut self, now: Now, relay: RelayId) {
        let key = self.by_relay(relay).is_some();
        if let Some(key) = self.allocations.key_at(relay.index()).filter(|_| key) {
            self.end(now, key, EndReason::RelayClosed);
        }
    }

    /// Whether packets on this path belong to a session: of this worker, or of another one to which they are passed on.
    pub fn knows(&self, path: &Path) -> bool {
        self.find(path).is_some() || self.away.contains_key(&path.into())
    }

    /// How many clients have a session on a link that many share, a listening datagram socket. Looks at all clients.
    pub fn clients_at(&self, link: LinkId) -> usize {
        let here = self.clients.keys().chain(self.away.keys());
        here.filter(|client| client.is_on(link)).count()
    }

    /// Takes an operator's command.
    pub fn on_command(&mut self, now: Now, command: Admin) {
        match command {
            Admin::Configure(config) => {
                self.config = config;
                for key in self.allocations.keys() {
                    self.conform(now, key);
                }
            }
            Admin::EndUser { username } => {
                for key in self.allocations.keys() {
                    let held = self.allocations.get(key);
                    if held.is_some_and(|held| held.username == username) {
                        self.end(now, key, EndReason::Commanded);
                    }
                }
            }
        }
    }

    /// Lets time-outs happen that are due.
    pub fn on_timeout(&mut self, now: Now) {
        while let Some(due) = self.timers.pop_due(now.mono) {
            match due {
                Due::Allocation(key) => self.look_after(now, key),
                Due::Connection(id) => self.look_after_connection(now, id),
                Due::Reservation(token) => {
                    if let Some(claim) = self.shared.reservations.expire(token, now.mono) {
                        self.act(Action::Release { claim });
                    }
                }
            }
        }
    }

    /// Drops deadlines that nobody waits for any more, if they are many.
    fn compact_timers(&mut self) {
        let (allocations, connections) = (&self.allocations, &self.connections);
        let holders = allocations.len() + connections.len();
        self.timers.compact(holders, |at, due| match due {
            Due::Allocation(key) => allocations.get(key).is_some_and(|held| held.wake_at == at),
            Due::Connection(id) => connections.contains_key(&id),
            Due::Reservation(_) => true,
        });
    }

    /// How many deadlines are kept; each allocation has one that is of use.
    pub fn deadlines(&self) -> usize {
        self.timers.len()
    }

    /// The monotonic time at which [`Relay::on_timeout`] is next wanted.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// Whether there is nothing to do: [`Relay::poll`] would give none.
    #[inline]
    pub fn wants_nothing(&self) -> bool {
        self.actions.is_empty()
    }

    /// The next thing to do, until there is none.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Counters and gauges of this worker.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    #[inline(never)]
    fn stun(&mut self, now: Now, path: &Path, packet: &[u8], view: &MessageView<'_>) -> Output<'_> {
        if view.fingerprint() == Fingerprint::Wrong {
            self.stats.dropped_malformed += 1;
            return Output::Nothing;
        }
        match view.kind() {
            (Method::BINDING, Class::Request) => self.binding(now, path, view, Lookup::NotAsked),
            (_, Class::Request) if self.config.turn => {
                self.request(now, path, view, Lookup::NotAsked)
            }
            (Method::SEND, Class::Indication) => self.send_indication(now, path, packet, view),
            // A Binding indication keeps a NAT open; an error answering an error would loop. Neither is answered.
            _ => {
                self.stats.dropped_unexpected += 1;
                Output::Nothing
            }
        }
    }

    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    #[inline(always)]
    pub(crate) fn find(&self, path: &Path) -> Option<Key> {
        self.clients.get(&ClientKey::from(path)).copied()
    }

    /// Whether a client is sent to another server.
    pub(crate) fn redirects(&self, path: &Path) -> bool {
        self.config.alternates.has(path)
    }

    pub(crate) fn by_relay(&mut self, relay: RelayId) -> Option<&mut Allocation> {
        self.allocations
            .at_mut(relay.index())
            .filter(|allocation| allocation.relays.of(relay.version()).is_some())
    }

    pub(crate) fn next_session(&mut self) -> SessionId {
        self.sessions += 1;
        SessionId(u64::from(self.worker) * 1_000_000_000_000_000 + self.sessions)
    }

    /// Enters an allocation into all tables.
    pub(crate) fn adopt(&mut self, allocation: Allocation) -> Option<Key> {
        let (path, wake_at) = (allocation.path, allocation.wake_at);
        let key = self.allocations.insert(allocation)?;
        self.link_client(&path, key, true);
        self.timers.arm(wake_at, Due::Allocation(key));
        *self.gauge(path.transport) += 1;
        Some(key)
    }

    /// Lets an allocation be found by a 5-tuple, and by its stream if that is one of this worker.
    pub(crate) fn link_client(&mut self, path: &Path, key: Key, is_here: bool) {
        self.clients.insert(ClientKey::from(path), key);
        if path.transport.is_connection() && is_here {
            self.streams.insert(path.link, key);
        }
    }

    pub(crate) fn unlink_client(&mut self, path: &Path) {
        self.clients.remove(&ClientKey::from(path));
        if path.transport.is_connection() {
            self.streams.remove(&path.link);
        }
    }

    /// Takes an allocation out of all tables; its port and its place in the quota are returned by dropping it.
    pub(crate) fn abandon(&mut self, key: Key) -> Option<Box<Allocation>> {
        let allocation = self.allocations.remove(key)?;
        if let Some(multiplex) = &self.shared.multiplex {
            for place in (allocation.relays.iter()).filter_map(|held| held.claim.place()) {
                multiplex.leave(place, self.member(key));
            }
        }
        let mobility = allocation.mobility.as_ref();
        if mobility.is_none_or(|mobility| !mobility.lost) {
            self.unlink_client(&allocation.path);
        }
        if let Some(pending) = mobility.and_then(|mobility| mobility.pending) {
            self.drop_pending(pending);
        }
        *self.gauge(allocation.path.transport) -= 1;
        self.stats.permissions -= allocation.permissions.len() as u64;
        self.stats.channels -= allocation.channels.len() as u64;
        self.compact_timers();
        Some(allocation)
    }

    /// Ends an allocation for good.
    pub(crate) fn end(&mut self, now: Now, key: Key, reason: EndReason) {
        self.disconnect(key, |_, _| true);
        self.tell_of_forgotten(key, |_| true);
        let Some(allocation) = self.abandon(key) else {
            return;
        };
        for version in allocation.relays.versions() {
            if let Some(relay) = allocation.own_socket(key, version) {
                self.act(Action::Unbind { relay });
            }
        }
        let lasted = now.mono.saturating_sub(allocation.started_at);
        self.stats.count_end(reason, lasted, &allocation.traffic);
        self.act(Action::Event(Event::Ended {
            session: allocation.session,
            path: allocation.path,
            user: Arc::clone(&allocation.user),
            reason,
            traffic: allocation.traffic,
        }));
    }

    /// Ends one of an allocation's two relayed addresses, and all that goes through it.
    pub(crate) fn end_relayed(&mut self, key: Key, version: Version, reason: EndReason) {
        self.disconnect(key, |_, peer| Version::of(peer.ip().ip()) == version);
        let Some(allocation) = self.allocations.get_mut(key) else {
            return;
        };
        let Some(relayed) = allocation.relays.of(version).map(|relayed| relayed.told) else {
            return;
        };
        let (session, socket) = (allocation.session, allocation.own_socket(key, version));
        let place = (allocation.relays.of(version)).and_then(|relayed| relayed.claim.place());
        let (permissions, channels) = allocation.forget_relayed(version);
        self.stats.permissions -= permissions as u64;
        self.stats.channels -= channels as u64;
        if let (Some(place), Some(multiplex)) = (place, &self.shared.multiplex) {
            multiplex.leave(place, self.member(key));
        }
        if let Some(relay) = socket {
            self.act(Action::Unbind { relay });
        }
        self.act(Action::Event(Event::HalfEnded {
            session,
            relayed,
            reason,
        }));
    }

    /// Wakes up for an allocation: it ends, or what has expired of it goes, and the next wake-up is arranged.
    fn look_after(&mut self, now: Now, key: Key) {
        let Some(allocation) = self.allocations.get_mut(key) else {
            return;
        };
        if allocation.wake_at > now.mono {
            // An older entry of the heap; the one for `wake_at` follows.
            return;
        }
        let relays = &allocation.relays;
        let expired = |version: &Version| {
            let held = relays.of(*version);
            held.is_some_and(|relayed| relayed.expires_at <= now.mono)
        };
        let gone: Vec<Version> = relays.versions().filter(expired).collect();
        if gone.len() == relays.versions().count() {
            let cut_short = self.config.guard.expiry == CredentialExpiry::EndSession
                && (allocation.credential_until).is_some_and(|at| at <= now.unix);
            let reason = if cut_short {
                EndReason::CredentialExpired
            } else {
                EndReason::Expired
            };
            return self.end(now, key, reason);
        }
        for version in gone {
            self.end_relayed(key, version, EndReason::Expired);
        }
        self.tell_of_forgotten(key, |permission| permission.expires_at <= now.mono);
        let Some(allocation) = self.allocations.get_mut(key) else {
            return;
        };
        let (permissions, channels) = allocation.forget_expired(now.mono);
        allocation.wake_at = allocation.next_expiry();
        self.stats.permissions -= permissions as u64;
        self.stats.channels -= channels as u64;
        self.timers.arm(allocation.wake_at, Due::Allocation(key));
        self.restrict_shared(key);
    }

    /// Makes sure that the timers look at an allocation no later than its next expiry.
    pub(crate) fn rearm(&mut self, key: Key) {
        let Some(allocation) = self.allocations.get_mut(key) else {
            return;
        };
        let next = allocation.next_expiry();
        if next < allocation.wake_at {
            allocation.wake_at = next;
            self.timers.arm(next, Due::Allocation(key));
            self.compact_timers();
        }
    }

    pub(crate) fn gauge(&mut self, transport: Transport) -> &mut u64 {
        match transport {
            Transport::Udp => &mut self.stats.allocations_udp,
            Transport::Tcp => &mut self.stats.allocations_tcp,
            Transport::Tls => &mut self.stats.allocations_tls,
            Transport::Dtls => &mut self.stats.allocations_dtls,
        }
    }
}
