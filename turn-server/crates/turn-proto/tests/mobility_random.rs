//! Mobile sessions (RFC 8016) on three workers whose mail is late: random moves, ends and broken streams, and in the end nothing
//! is left of any of it. Nobody ever hears what is for another one's session.
//!
//! `SEEDS=N` runs N seeds (the default is 300), `SEED=X` one; a failure names its seed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use support::{Answer, Client, Got, Mail, World, address, config, each_seed};
use turn_proto::{Event, LinkId, Output, Path, Transport};
use turn_wire::{Class, HEADROOM, Method, RequestBuilder, TAILROOM, attr};

const WORKERS: usize = 3;
const OWNERS: usize = 4;
const STEPS: usize = 250;
const PEER: &str = "203.0.113.5:9";
const CHANNEL: u16 = 0x4000;

/// Seeds that have found something, besides those that are asked for.
const TELLING: [u64; 1] = [5741];

/// One place that a client may be at: a port of its own, or a stream.
struct Place {
    owner: usize,
    worker: usize,
    client: Client,
    open: bool,
}

struct Sim {
    rng: StdRng,
    workers: Vec<World>,
    /// What is under way from one worker to another, in order.
    mail: BTreeMap<(usize, usize), VecDeque<Mail>>,
    places: Vec<Place>,
    tickets: [Option<Vec<u8>>; OWNERS],
    relayed: BTreeMap<SocketAddr, usize>,
    /// Streams that the driver takes for occupied.
    occupied: BTreeMap<(usize, LinkId), bool>,
    moves: usize,
}

#[test]
fn whatever_moves_and_breaks_nothing_is_left_and_nobody_hears_anothers_data() {
    let run = |seed| Sim::new(seed).run();
    let moves: usize = each_seed(300, run).into_iter().sum();
    TELLING.into_iter().for_each(|seed| {
        run(seed);
    });
    assert!(moves > 0, "nobody has moved");
}

impl Sim {
    fn new(seed: u64) -> Self {
        let first = World::new(config());
        let shared = Arc::clone(&first.shared);
        let more = (1..WORKERS).map(|n| World::sharing(config(), Arc::clone(&shared), n as u16));
        let workers = [first].into_iter().chain(more).collect();
        let mut sim = Self {
            rng: StdRng::seed_from_u64(seed),
            workers,
            mail: BTreeMap::new(),
            places: Vec::new(),
            tickets: Default::default(),
            relayed: BTreeMap::new(),
            occupied: BTreeMap::new(),
            moves: 0,
        };
        for _ in 0..12 {
            sim.open_place();
        }
        sim
    }

    fn run(mut self) -> usize {
        for _ in 0..STEPS {
            self.step();
        }
        self.settle();
        self.check_streams();
        for place in 0..self.places.len() {
            self.close(place);
        }
        self.settle();
        for _ in 0..3 {
            self.pass(Duration::from_secs(4000));
            self.settle();
        }
        let shared = &self.workers[0].shared;
        assert_eq!(shared.ports.claimed(), 0, "ports");
        assert!(shared.quotas.is_clear(), "quotas");
        for world in &self.workers {
            assert!(world.bound.is_empty(), "sockets");
            let stats = world.relay.stats();
            let held = [
                stats.allocations_udp,
                stats.allocations_tcp,
                stats.allocations_tls,
                stats.permissions,
                stats.channels,
            ];
            assert_eq!(held, [0; 5], "gauges");
            assert!(world.relay.export(world.now()).is_empty());
        }
        assert!(
            self.occupied.values().all(|held| !held),
            "{:?}",
            self.occupied
        );
        self.moves
    }

    fn step(&mut self) {
        let place = self.rng.random_range(0..self.places.len());
        match self.rng.random_range(0..100) {
            0..30 => self.deliver_one(),
            30..36 => self.allocate(place),
            36..56 => self.move_to(place),
            56..70 => self.data(place),
            70..82 => self.peer_speaks(),
            82..86 => self.close(place),
            86..90 => self.open_place(),
            90..93 => self.request(place, Method::REFRESH, |request| request.lifetime(0)),
            93..95 => self.request(place, Method::REFRESH, |request| request.lifetime(600)),
            95..97 => self.request(place, Method::CREATE_PERMISSION, |request| {
                request.xor_peer_address(address(PEER))
            }),
            97..98 => self.pass(Duration::from_secs(35)),
            98..99 => self.pass(Duration::from_millis(50)),
            _ => self.thief(place),
        }
    }

    fn open_place(&mut self) {
        let owner = self.rng.random_range(0..OWNERS);
        let number = self.places.len() as u16;
        let mut client = Client::ann(&format!("192.0.2.{}:{}", 10 + owner, 1000 + number));
        let transports = [Transport::Udp, Transport::Tcp, Transport::Tls];
        let transport = *transports.choose(&mut self.rng).unwrap();
        if transport != Transport::Udp {
            client = client.over(transport, 10 + u32::from(number));
        }
        self.places.push(Place {
            owner,
            worker: self.rng.random_range(0..WORKERS),
            client,
            open: true,
        });
    }

    fn allocate(&mut self, place: usize) {
        if self.tickets[self.places[place].owner].is_some() {
            return;
        }
        self.request(place, Method::ALLOCATE, |request| {
            request.requested_transport(17).mobility_ticket(b"")
        });
        self.request(place, Method::CHANNEL_BIND, |request| {
            let request = request.channel_number(CHANNEL);
            request.xor_peer_address(address(PEER))
        });
    }

    fn move_to(&mut self, place: usize) {
        let Some(ticket) = self.tickets[self.places[place].owner].clone() else {
            return;
        };
        self.request(place, Method::REFRESH, |request| {
            request.lifetime(600).mobility_ticket(&ticket)
        });
    }

    /// Somebody else's ticket.
    fn thief(&mut self, place: usize) {
        let other = self.rng.random_range(0..OWNERS);
        let Some(ticket) = self.tickets[other].clone() else {
            return;
        };
        if other == self.places[place].owner {
            return;
        }
        let id = self.places[place].client.id();
        let request = RequestBuilder::new(Method::REFRESH, id).mobility_ticket(&ticket);
        let client = &self.places[place].client;
        let request = request
            .username("bob")
            .realm(&client.realm)
            .nonce(&client.nonce);
        let packet = request.finish(Some(&Client::bob("192.0.2.1:1").key), false);
        self.send(place, &packet);
    }

    fn request(
        &mut self,
        place: usize,
        method: Method,
        build: impl Fn(RequestBuilder) -> RequestBuilder,
    ) {
        let client = &mut self.places[place].client;
        let id = client.id();
        let request = build(RequestBuilder::new(method, id));
        let packet = if client.nonce.is_empty() {
            request.finish(None, false)
        } else {
            client.sign(request)
        };
        self.send(place, &packet);
        // A retransmission, now and then.
        if self.rng.random_ratio(1, 4) {
            self.send(place, &packet);
        }
    }

    fn data(&mut self, place: usize) {
        let mut frame = CHANNEL.to_be_bytes().to_vec();
        frame.extend([0, 4]);
        frame.extend((self.places[place].owner as u32).to_be_bytes());
        self.send(place, &frame);
    }

    fn send(&mut self, place: usize, packet: &[u8]) {
        let Place {
            worker,
            client,
            open,
            ..
        } = &self.places[place];
        if !open {
            return;
        }
        let (worker, path) = (*worker, client.path);
        let world = &mut self.workers[worker];
        let now = world.now();
        let got = taken(
            world.relay.on_client(now, &path, packet),
            packet,
            &world.bound,
        );
        self.take(worker, &path, got);
    }

    /// What a packet has led to.
    fn take(&mut self, worker: usize, path: &Path, got: Got) {
        match got {
            Got::Nothing => {}
            Got::Reply(bytes) => self.told(worker, path, bytes),
            Got::ToPeer { from, payload, .. } => {
                let owner = u32::from_be_bytes(payload.try_into().unwrap());
                assert_eq!(self.relayed[&from], owner as usize, "another one's relay");
            }
        }
        self.drain(worker);
    }

    fn drain(&mut self, worker: usize) {
        for (path, bytes) in self.workers[worker].drain() {
            self.told(worker, &path, bytes);
        }
        let world = &mut self.workers[worker];
        let mut marks = Vec::new();
        for event in world.events.drain(..) {
            match event {
                Event::Started { path, .. } => marks.push((path.link, true)),
                Event::Ended { path, .. } => marks.push((path.link, false)),
                Event::Moved { .. } => self.moves += 1,
                _ => {}
            }
        }
        marks.extend(std::mem::take(&mut world.occupied));
        for (to, mail) in world.mail.drain(..) {
            self.mail
                .entry((worker, usize::from(to)))
                .or_default()
                .push_back(mail);
        }
        for (link, held) in marks {
            let mut streams = self.places.iter().filter(|place| place.open);
            let is_open = |place: &Place| place.client.path.link == link;
            if link != LinkId(0) && streams.any(is_open) {
                self.occupied.insert((worker, link), held);
            }
        }
        while let Some((path, packet)) = self.workers[worker].returned.pop_front() {
            if self.is_gone(&path) {
                continue;
            }
            let world = &mut self.workers[worker];
            let now = world.now();
            let got = taken(
                world.relay.on_returned(now, &path, &packet),
                &packet,
                &world.bound,
            );
            self.take(worker, &path, got);
        }
    }

    /// An answer arrives at a place, if its stream is still there.
    fn told(&mut self, worker: usize, path: &Path, bytes: Vec<u8>) {
        let mut places = self.places.iter_mut();
        let place = places.find(|place| place.worker == worker && place.client.path == *path);
        let place = place.expect("an answer to nobody");
        if !place.open {
            return;
        }
        let answer = Answer::of(Got::Reply(bytes));
        if let Some(nonce) = answer.attribute(attr::NONCE) {
            place.client.nonce = nonce;
        }
        if answer.view().class() != Class::Success {
            return;
        }
        assert!(answer.signed_by(&place.client.key));
        if let Some(ticket) = answer.attribute(attr::MOBILITY_TICKET) {
            self.tickets[place.owner] = Some(ticket);
        }
        if answer.view().method() == Method::ALLOCATE {
            self.relayed.insert(answer.relayed(), place.owner);
        }
        if answer.view().method() == Method::REFRESH && answer.lifetime() == 0 {
            self.tickets[place.owner] = None;
        }
    }

    fn peer_speaks(&mut self) {
        let worker = self.rng.random_range(0..WORKERS);
        let world = &mut self.workers[worker];
        let Some((relay, local)) = world.bound.iter().next_back() else {
            return;
        };
        let (relay, owner) = (*relay, self.relayed.get(local).copied());
        let mut buf = vec![0; HEADROOM + 1 + TAILROOM];
        let range = HEADROOM..HEADROOM + 1;
        let out = (world.relay).on_peer(world.now(), relay, address(PEER), &mut buf, range);
        if let Some(out) = out {
            let ip = format!("192.0.2.{}", 10 + owner.expect("nobody's relay"));
            assert_eq!(out.path.client.ip().to_string(), ip, "another one hears it");
            let mut places = self.places.iter();
            let known = places.any(|place| (place.worker, place.client.path) == (worker, out.path));
            assert!(known, "a path of another worker: {:?}", out.path);
        }
        self.drain(worker);
    }

    fn close(&mut self, place: usize) {
        let Place {
            worker,
            client,
            open,
            ..
        } = &mut self.places[place];
        if client.path.transport == Transport::Udp || !*open {
            return;
        }
        *open = false;
        let (worker, link) = (*worker, client.path.link);
        let world = &mut self.workers[worker];
        world.relay.on_link_closed(world.now(), link);
        self.drain(worker);
        self.occupied.remove(&(worker, link));
    }

    fn deliver_one(&mut self) {
        let waiting = self.mail.iter().filter(|(_, mail)| !mail.is_empty());
        let ways: Vec<_> = waiting.map(|(way, _)| *way).collect();
        let Some((from, to)) = ways.choose(&mut self.rng).copied() else {
            return;
        };
        let mail = self.mail.get_mut(&(from, to)).unwrap().pop_front().unwrap();
        let world = &mut self.workers[to];
        let now = world.now();
        match mail {
            Mail::Message(message) => world.relay.on_message(now, from as u16, message),
            Mail::Parcel(parcel, sockets) => {
                let path = parcel.path();
                let relays = world.relay.on_parcel(now, *parcel).unwrap();
                world.bound.extend(relays.into_iter().zip(sockets));
                if self.is_gone(&path) {
                    self.workers[to].relay.on_link_closed(now, path.link);
                }
            }
        }
        self.drain(to);
    }

    fn is_gone(&self, path: &Path) -> bool {
        let mut closed = self.places.iter().filter(|place| !place.open);
        closed.any(|place| place.client.path == *path)
    }

    fn settle(&mut self) {
        while self.mail.values().any(|mail| !mail.is_empty()) {
            self.deliver_one();
        }
    }

    fn pass(&mut self, time: Duration) {
        for worker in 0..WORKERS {
            self.workers[worker].pass(time);
            for (path, bytes) in std::mem::take(&mut self.workers[worker].late_answers) {
                self.told(worker, &path, bytes);
            }
            self.drain(worker);
        }
    }

    /// A stream that a session is on must not be closed for idleness.
    fn check_streams(&self) {
        for (worker, world) in self.workers.iter().enumerate() {
            for record in world.relay.export(world.now()) {
                let mut places = self.places.iter();
                let place = places.find(|place| {
                    place.open && (place.worker, place.client.path) == (worker, record.path)
                });
                let stream = place.filter(|_| record.path.transport.is_stream());
                if let Some(place) = stream {
                    let held = self.occupied.get(&(worker, place.client.path.link));
                    assert_eq!(held, Some(&true), "taken for idle");
                }
            }
        }
    }
}

fn taken(
    output: Output<'_>,
    packet: &[u8],
    bound: &BTreeMap<turn_proto::RelayId, SocketAddr>,
) -> Got {
    match output {
        Output::Reply(bytes) => Got::Reply(bytes.to_vec()),
        Output::ToPeer {
            relay, to, range, ..
        } => Got::ToPeer {
            from: bound[&relay],
            to,
            payload: packet[range].to_vec(),
        },
        _ => Got::Nothing,
    }
}
