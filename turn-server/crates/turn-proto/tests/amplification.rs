//! How much longer an answer to a stranger is than what he sent: whoever writes somebody else's address on his packets must not
//! gain by us.
//!
//! `SEEDS=N` tries N thousand random requests (the default is 50); the largest ratio of each class is printed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use support::{Answer, Client, Got, REALM, World, config, seed_of_today, udp};
use turn_proto::Path;
use turn_wire::{Method, RequestBuilder, attr};

/// The budgets, by class of answer: payload of the answer over payload of the request.
const BUDGETS: [(&str, f64); 5] = [
    ("Binding, IPv4", 1.6),
    ("Binding, IPv6", 2.2),
    // To what a browser asks first, 28 bytes.
    ("401", 2.15),
    ("420 with its list", 1.6),
    ("other errors", 1.4),
];

/// What was asked and what came of it, the worst of a class.
type Worst = BTreeMap<&'static str, (f64, Vec<u8>, usize)>;

fn class(answer: &Answer, path: &Path) -> &'static str {
    match answer.code() {
        None if path.client.is_ipv4() => "Binding, IPv4",
        None => "Binding, IPv6",
        Some(401) => "401",
        Some(420) => "420 with its list",
        Some(_) => "other errors",
    }
}

fn judge(world: &mut World, worst: &mut Worst, path: &Path, request: &[u8]) {
    let Got::Reply(bytes) = world.send(path, request) else {
        return;
    };
    let ratio = bytes.len() as f64 / request.len() as f64;
    let class = class(
        &Answer {
            bytes: bytes.clone(),
        },
        path,
    );
    let entry = worst.entry(class).or_insert((0.0, Vec::new(), 0));
    if ratio > entry.0 {
        *entry = (ratio, request.to_vec(), bytes.len());
    }
}

const METHODS: [u16; 9] = [
    0x001, // Binding
    0x003, // Allocate
    0x004, // Refresh
    0x006, // Send, which is no request
    0x008, // CreatePermission
    0x009, // ChannelBind
    0x00A, // Connect (RFC 6062)
    0x002, // Shared Secret, which is gone
    0xFFF,
];

fn number(method: u16) -> Method {
    Method::from_number(method).unwrap()
}

/// Attributes that a stranger may send, short ones first of all: they make a small request.
fn attribute(rng: &mut StdRng, nonce: &[u8]) -> (u16, Vec<u8>) {
    let mut short = |lengths: &[usize]| vec![rng.random(); *lengths.choose(rng).unwrap()];
    let value = short(&[0, 0, 1, 4, 4, 8, 20]);
    match rng.random_range(0..12) {
        0 => (attr::REQUESTED_TRANSPORT, vec![17, 0, 0, 0]),
        1 => (attr::REQUESTED_TRANSPORT, value),
        2 => (attr::USERNAME, b"a".to_vec()),
        3 => (attr::REALM, REALM.into()),
        4 => (attr::NONCE, nonce.to_vec()),
        5 => (attr::NONCE, value),
        6 => (attr::MESSAGE_INTEGRITY, vec![1; 20]),
        7 => (0x0003, vec![0, 0, 0, rng.random_range(0..8)]), // CHANGE-REQUEST
        8 => (0x0026, value),                                 // PADDING
        9 => (rng.random_range(0x0030..0x7FFF), Vec::new()),  // unknown, and must be understood
        10 => (rng.random_range(0x8000..=0xFFFF), value),
        _ => (rng.random(), value),
    }
}

#[test]
fn no_answer_to_a_stranger_is_longer_than_its_budget() {
    assert_eq!(REALM.len(), 8, "the budgets are for such a realm");
    let rounds: u64 = std::env::var("SEEDS").map_or(50, |seeds| seeds.parse().unwrap());
    let seed = seed_of_today();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut world = World::new(config());
    let paths = [udp("192.0.2.10:40000"), udp("[2001:db8:9::1]:40000")];
    let nonces = paths.map(|path| {
        let mut client = Client::ann(&path.client.to_string());
        client.challenge(&mut world);
        client.nonce
    });
    let mut worst = Worst::new();
    // The smallest of each: nothing but a header, and a header with one attribute.
    for (path, nonce) in paths.iter().zip(&nonces) {
        for method in METHODS {
            let bare = RequestBuilder::new(number(method), [7; 12]);
            judge(&mut world, &mut worst, path, &bare.finish(None, false));
            // Every attribute alone, by the methods that anybody may use; by the others, those that must be understood.
            let kinds = if matches!(method, 1 | 3) {
                0..=u16::MAX
            } else {
                0..=0x60
            };
            for kind in kinds {
                let one = RequestBuilder::new(number(method), [7; 12]);
                judge(
                    &mut world,
                    &mut worst,
                    path,
                    &one.attribute(kind, &[]).finish(None, false),
                );
            }
        }
        for _ in 0..rounds * 1000 {
            let method = *METHODS.choose(&mut rng).unwrap();
            let mut request = RequestBuilder::new(number(method), rng.random());
            for _ in 0..rng.random_range(0..6) {
                let (kind, value) = attribute(&mut rng, nonce);
                request = request.attribute(kind, &value);
            }
            let request = request.finish(None, rng.random());
            judge(&mut world, &mut worst, path, &request);
        }
    }
    for (class, (ratio, request, answer)) in &worst {
        println!(
            "{class}: at most {ratio:.2}x, {answer} bytes to {} bytes {request:02x?}",
            request.len()
        );
    }
    for (class, budget) in BUDGETS {
        let (ratio, request, answer) = &worst[class];
        assert!(
            *ratio <= budget,
            "{class}: {answer} bytes to {request:02x?} are more than {budget}x"
        );
    }
    let tried = rounds * 1000 * paths.len() as u64;
    for (class, budget) in BUDGETS {
        let ratio = worst[class].0;
        println!(
            "\npromise: largest of the answers to {tried} random requests: {class} | {budget:.2}x | {ratio:.2}x | -"
        );
    }
    // What is measured is what was meant: each class was met at its smallest request.
    assert_eq!(worst["Binding, IPv4"].1.len(), 20);
    assert_eq!(worst["401"].1.len(), 28);
    assert_eq!(world.relay.stats().traffic, Default::default());
}
