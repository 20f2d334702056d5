//! Refuses requests of two kinds again and again, to see whether the work tells them apart: nobody may learn from it whether a
//! user exists, or how much of a guess was right.
//!
//! `refusals count PAIR` does the same work for both kinds, in the functions `one` and `other`, for a counter of instructions.
//! `refusals time [SAMPLES]` takes the time of each request, in random order, and prints Welch's t of each pair: what lies within
//! 4.5 may be chance (Reparaz, Balasch and Verbauwhede, "Dude, is my code constant time?", 2017).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test program"
)]

use std::hint::black_box;
use std::time::Instant;

use fuzz::support::{Client, REALM, START, World, config};
use rand::{Rng, SeedableRng, rngs::StdRng};
use turn_auth::{Credentials, LongTermKey, userhash};
use turn_proto::{Now, Output, Path};
use turn_wire::{Integrity, IntegrityKey, Method, RequestBuilder, TransactionId, attr};

/// Requests of each kind.
const POOL: usize = 64;
/// How often `count` refuses each.
const ROUNDS: usize = 8;
/// Users of the server. The names asked for are as long as theirs.
const USERS: u32 = 1000;

/// Two kinds of requests that are to be refused alike.
struct Pair {
    name: &'static str,
    make: fn(&Maker) -> [Vec<u8>; 2],
}

const PAIRS: [Pair; 5] = [
    Pair {
        name: "MESSAGE-INTEGRITY wrong at its beginning or its end",
        make: |maker| {
            let message = maker.named("user0007").finish(Some(&maker.right), false);
            [message.len() - 20, message.len() - 1].map(|at| flipped(&message, at))
        },
    },
    Pair {
        name: "MESSAGE-INTEGRITY-SHA256 wrong at its beginning or its end",
        make: |maker| {
            let message = maker
                .named("user0007")
                .finish(Some(&maker.right_256), false);
            [message.len() - 32, message.len() - 1].map(|at| flipped(&message, at))
        },
    },
    Pair {
        name: "an unknown user or a wrong password",
        make: |maker| {
            maker
                .unknown_and_known()
                .map(|name| maker.named(&name).finish(Some(&maker.wrong), false))
        },
    },
    Pair {
        name: "an unknown USERHASH or a wrong password",
        make: |maker| {
            maker.unknown_and_known().map(|name| {
                let hash = userhash(&name, REALM);
                let request = maker.request().attribute(attr::USERHASH, &hash);
                let request = request.realm(REALM).nonce(&maker.nonce);
                request.finish(Some(&maker.wrong), false)
            })
        },
    },
    Pair {
        name: "a nonce wrong at its beginning or its end",
        make: |maker| {
            let message = maker.named("user0007").finish(Some(&maker.right), false);
            let nonce = maker.nonce.as_slice();
            let at = message
                .windows(nonce.len())
                .position(|part| part == nonce)
                .unwrap();
            // Behind the cookie are the seconds, and then the hash.
            let start = at + nonce.len() - 8;
            [start, at + nonce.len() - 1].map(|at| {
                let mut wrong = message.clone();
                wrong[at] = if wrong[at] == b'A' { b'B' } else { b'A' };
                wrong
            })
        },
    },
];

fn name_of(number: u32) -> String {
    format!("user{number:04}")
}

/// What requests are made with.
struct Maker {
    id: TransactionId,
    nonce: Vec<u8>,
    right: IntegrityKey,
    right_256: IntegrityKey,
    wrong: IntegrityKey,
}

impl Maker {
    /// Another two with each request. Any user may be the known one, as any may be the nearest to the unknown one: where
    /// they are in memory makes no difference then.
    fn unknown_and_known(&self) -> [String; 2] {
        let number = u32::from(u16::from_be_bytes([self.id[0], self.id[1]])) % USERS;
        [USERS, 0].map(|from| name_of(from + number))
    }

    fn request(&self) -> RequestBuilder {
        RequestBuilder::new(Method::ALLOCATE, self.id).requested_transport(17)
    }

    fn named(&self, name: &str) -> RequestBuilder {
        let request = self.request().username(name);
        request.realm(REALM).nonce(&self.nonce)
    }
}

fn flipped(message: &[u8], at: usize) -> Vec<u8> {
    let mut message = message.to_vec();
    message[at] ^= 1;
    message
}

/// A server and the requests to it.
struct Bench {
    world: World,
    path: Path,
    now: Now,
    pools: [Vec<Vec<u8>>; 2],
}

impl Bench {
    fn new(pair: &Pair) -> Self {
        let credentials = (0..USERS).fold(Credentials::new(REALM), |held, number| {
            held.with_user(&name_of(number), "a password")
        });
        let mut settings = config();
        settings.credentials = credentials.into();
        let mut world = World::new(settings);
        let mut client = Client::new("192.0.2.9:50000", "user0007", "a password");
        client.challenge(&mut world);
        let right = LongTermKey::derive("user0007", REALM, "a password");
        let mut maker = Maker {
            id: [0; 12],
            nonce: client.nonce.clone(),
            right: IntegrityKey::new(right.as_bytes()),
            right_256: IntegrityKey::of(Integrity::Sha256, right.as_bytes()),
            wrong: IntegrityKey::new(&[7; 16]),
        };
        let mut pools = [Vec::new(), Vec::new()];
        let mut random = StdRng::seed_from_u64(START);
        for _ in 0..POOL {
            maker.id = random.random();
            for (pool, message) in pools.iter_mut().zip((pair.make)(&maker)) {
                pool.push(message);
            }
        }
        let mut bench = Self {
            path: client.path,
            now: world.now(),
            world,
            pools,
        };
        bench.check();
        bench
    }

    /// All are refused, and each as its twin is.
    fn check(&mut self) {
        for place in 0..POOL {
            let answers = [0, 1].map(|kind| {
                let request = self.pools[kind][place].clone();
                let Output::Reply(bytes) =
                    self.world.relay.on_client(self.now, &self.path, &request)
                else {
                    panic!("no answer");
                };
                bytes.to_vec()
            });
            assert_eq!(answers[0], answers[1]);
            assert_eq!(answers[0][..2], [0x01, 0x13]);
        }
    }

    fn refuse(&mut self, request: &[u8]) {
        let output = self.world.relay.on_client(self.now, &self.path, request);
        black_box(output);
    }

    /// Takes what has been queued, or queues would grow now and then.
    fn settle(&mut self) {
        self.world.drain();
        self.world.events.clear();
    }
}

/// Alike but for a number, without which the compiler would make them one function.
#[inline(never)]
fn one(bench: &mut Bench, request: &[u8]) {
    bench.refuse(black_box(request));
    black_box(1);
}

#[inline(never)]
fn other(bench: &mut Bench, request: &[u8]) {
    bench.refuse(black_box(request));
    black_box(2);
}

fn count(pair: &Pair) {
    let mut bench = Bench::new(pair);
    let mut slot = bench.pools[0][0].clone();
    // Queues get their size, and libraries find out what the processor can do.
    for _ in 0..POOL {
        bench.refuse(black_box(&slot));
        bench.settle();
    }
    for place in (0..POOL).cycle().take(POOL * ROUNDS) {
        slot.copy_from_slice(&bench.pools[0][place]);
        one(&mut bench, &slot);
        bench.settle();
        slot.copy_from_slice(&bench.pools[1][place]);
        other(&mut bench, &slot);
        bench.settle();
    }
}

/// Mean and variance of a growing sample (Welford).
#[derive(Clone, Copy, Default)]
struct Sample {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Sample {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let off = value - self.mean;
        self.mean += off / self.count;
        self.squares += off * (value - self.mean);
    }
}

/// Welch's t of two samples.
fn welch([one, other]: &[Sample; 2]) -> f64 {
    let error = |sample: &Sample| sample.squares / (sample.count - 1.0) / sample.count;
    (one.mean - other.mean) / (error(one) + error(other)).sqrt()
}

fn time(pair: &Pair, samples: usize) {
    let mut bench = Bench::new(pair);
    let mut random = StdRng::from_os_rng();
    let mut slot = bench.pools[0][0].clone();
    let mut times = Vec::with_capacity(samples);
    for number in 0..samples {
        let kind = usize::from(random.random::<bool>());
        // From one place, so that where a request lies makes no difference.
        slot.copy_from_slice(&bench.pools[kind][number % POOL]);
        let begun = Instant::now();
        bench.refuse(black_box(&slot));
        times.push((kind, begun.elapsed().as_nanos() as u32));
        bench.settle();
    }
    // Interruptions are no part of the work: the slowest are left out, more and more of them, and the worst case counts.
    let mut sorted: Vec<u32> = times.iter().map(|(_, time)| *time).collect();
    sorted.sort_unstable();
    let mut worst = 0.0_f64;
    for kept in [50, 75, 90, 95, 99, 100] {
        let limit = sorted[(samples * kept / 100).min(samples - 1)];
        let mut kinds = [Sample::default(); 2];
        for (kind, time) in times.iter().filter(|(_, time)| *time <= limit) {
            kinds[*kind].add(f64::from(*time));
        }
        let t = welch(&kinds);
        worst = if t.abs() > worst.abs() { t } else { worst };
    }
    println!(
        "\npromise: time of refusals: {} | |t| < 4.5 | {:.1} of {samples} requests, {} ns each | -",
        pair.name,
        worst.abs(),
        sorted[samples / 2],
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = arguments.get(1).map(|text| text.parse().expect("a number"));
    match arguments.first().map(String::as_str) {
        Some("count") => count(&PAIRS[number.unwrap_or(0)]),
        Some("time") => {
            for pair in &PAIRS {
                time(pair, number.unwrap_or(1_000_000));
            }
        }
        Some("names") => PAIRS.iter().for_each(|pair| println!("{}", pair.name)),
        _ => panic!("refusals names | count PAIR | time [SAMPLES]"),
    }
}
