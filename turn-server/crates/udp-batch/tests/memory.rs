//! What an arena costs in resident memory. A test program of its own: nothing else may allocate meanwhile.
#![allow(clippy::unwrap_used, reason = "a panic is the report")]
#![cfg(target_os = "linux")]

use std::{fs, net::UdpSocket, os::fd::AsFd};

use udp_batch::{Arena, Backend};

const SLOTS: usize = 128;
const KIB: usize = 1024;

fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("RssAnon:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        * KIB
}

/// Receives one datagram of `length` bytes into every slot, twice.
fn fill(arena: &mut Arena, length: usize) {
    let [server, client] = [(), ()].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let to = server.local_addr().unwrap();
    let packet = vec![1; length];
    for slot in (0..SLOTS).chain(0..SLOTS) {
        client.send_to(&packet, to).unwrap();
        assert_eq!(arena.receive(server.as_fd(), slot, 1).unwrap(), 1);
    }
}

#[test]
fn only_pages_that_packets_touched_are_resident() {
    let before = resident();
    let mut arena = Arena::new(Backend::Batched, SLOTS, 48, 4);
    let untouched = resident() - before;
    fill(&mut arena, 1_200);
    let common = resident() - before;
    fill(&mut arena, 65_507);
    let largest = resident() - before;
    println!(
        "resident KiB: untouched {}, common {}, largest {}",
        untouched / KIB,
        common / KIB,
        largest / KIB
    );
    assert!(untouched < 256 * KIB);
    assert!(common < 1_536 * KIB);
    assert!(largest < 9_216 * KIB);
}
