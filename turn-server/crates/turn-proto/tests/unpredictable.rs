//! What nobody may guess: ports, nonces, tokens and the ids of indications.
//!
//! The generator is the caller's, by type a cryptographic one; what is tested is that nothing of it is lost on the way.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::{collections::HashSet, ops::RangeInclusive};

use support::{Answer, Client, World, config};
use turn_proto::Shared;
use turn_wire::Method;

const PORTS: RangeInclusive<u16> = 49_152..=65_535;

fn world() -> World {
    let config = config();
    let shared = Shared::new(&config.relays.addresses, PORTS, 0, 0);
    World::sharing(config, shared, 0)
}

/// χ² of counts that should all be the same, and what it may be: seven standard deviations above its mean, which a fair source
/// exceeds once in some ten thousand million times.
fn assert_even(what: &str, counts: &[u32]) {
    let expected = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
    let chi: f64 = counts
        .iter()
        .map(|count| (f64::from(*count) - expected).powi(2) / expected)
        .sum();
    let freedom = (counts.len() - 1) as f64;
    let most = freedom + 7.0 * (2.0 * freedom).sqrt();
    println!("{what}: χ² {chi:.1}, at most {most:.1}");
    assert!(chi < most, "{what}: χ² {chi:.1} of {counts:?}");
    // Nor more even than chance is.
    assert!(
        chi > freedom - 7.0 * (2.0 * freedom).sqrt(),
        "{what}: χ² {chi:.1}"
    );
}

#[test]
fn ports_are_spread_evenly_and_say_nothing_about_the_next_one() {
    let mut world = world();
    let mut client = Client::ann("192.0.2.10:40000");
    let ports: Vec<u16> = (0..20_000)
        .map(|_| {
            let port = client.allocate(&mut world).port();
            assert_eq!(client.refresh(&mut world, 0).code(), None);
            port
        })
        .collect();
    let spread = |values: &mut dyn Iterator<Item = u16>| {
        let mut counts = vec![0; 64];
        values.for_each(|value| counts[usize::from(value) * 64 / 16_384] += 1);
        counts
    };
    let offsets: Vec<u16> = ports.iter().map(|port| port - PORTS.start()).collect();
    assert_even("ports", &spread(&mut offsets.iter().copied()));
    let steps = offsets
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]) % 16_384);
    assert_even("steps", &spread(&mut { steps }));
    let low_bits: Vec<u32> = (0..16)
        .map(|low| offsets.iter().filter(|port| **port % 16 == low).count() as u32)
        .collect();
    assert_even("low bits", &low_bits);
}

#[test]
fn bits_of_nonces_tokens_and_ids_are_as_often_one_as_zero() {
    let mut world = world();
    let (mut nonces, mut tokens, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..4_000_u16 {
        let mut client = Client::ann(&format!("192.0.2.10:{}", 1_000 + number));
        client.challenge(&mut world);
        nonces.push(String::from_utf8(client.nonce.clone()).unwrap());
        let pair = client.ask(&mut world, Method::ALLOCATE, |request| {
            request.requested_transport(17).even_port(true)
        });
        tokens.push(pair.attribute(0x0022).unwrap());
        client.permit(&mut world, "203.0.113.5:9");
        let (_, data) = world
            .peer_sends("203.0.113.5:9".parse().unwrap(), pair.relayed(), b"x")
            .unwrap();
        ids.push(Answer { bytes: data }.view().transaction_id().to_vec());
        client.refresh(&mut world, 0);
        world.pass(std::time::Duration::from_secs(31));
    }
    for (what, values) in [("tokens", &tokens), ("ids", &ids)] {
        assert_eq!(
            values.iter().collect::<HashSet<_>>().len(),
            values.len(),
            "{what} repeat"
        );
        for bit in 0..values[0].len() * 8 {
            let ones = values
                .iter()
                .filter(|value| value[bit / 8] >> (bit % 8) & 1 == 1)
                .count() as u32;
            assert_even_bit(what, bit, ones);
        }
    }
    assert_eq!(
        nonces.iter().collect::<HashSet<_>>().len(),
        nonces.len(),
        "nonces repeat"
    );
    // Ten characters at the end of a nonce are of its keyed part alone: each is any of 64, equally often.
    let keyed = |nonce: &String| nonce[nonce.len() - 10..].to_owned();
    let mut counts = vec![0; 128];
    nonces
        .iter()
        .flat_map(|nonce| keyed(nonce).into_bytes())
        .for_each(|byte| counts[usize::from(byte)] += 1);
    let seen: Vec<u32> = counts.into_iter().filter(|count| *count > 0).collect();
    assert_eq!(seen.len(), 64, "{nonces:?}");
    assert_even("nonces", &seen);
}

fn assert_even_bit(what: &str, bit: usize, ones: u32) {
    // Of 4,000 tosses, six standard deviations of 31.6.
    assert!(
        (1_810..=2_190).contains(&ones),
        "{what}: bit {bit} is one in {ones} of 4,000"
    );
}
