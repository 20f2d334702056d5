//! The memory that clients over streams can make a server keep. A program of its own, so that no other test's memory counts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use support::{LOOPBACKS, Server, peer};
use turn_proto::Transport;

const CHANNEL: u16 = 0x4001;
const ON: &str = LOOPBACKS[0];

#[test]
fn clients_that_do_not_read_cost_bounded_memory() {
    // One after the other: they are in one process.
    for transport in [Transport::Tcp, Transport::Tls] {
        unread_data_is_dropped(transport);
    }
}

fn unread_data_is_dropped(transport: Transport) {
    let server = Server::secure();
    let (peer, peer_address) = peer(ON);
    let mut clients: Vec<_> = (0..20).map(|_| server.client(transport, ON)).collect();
    let relayed: Vec<_> = clients
        .iter_mut()
        .map(|client| {
            let relayed = client.allocate();
            client.bind_channel(CHANNEL, peer_address);
            relayed
        })
        .collect();
    let flood = |dropped: u64| {
        server.wait_for("losses", |stats| {
            for to in &relayed {
                peer.send_to(&[7; 1_000], to).unwrap();
            }
            stats.io.stream_messages_dropped >= dropped
        });
    };
    flood(1_000);
    let before = support::resident();
    flood(20_000);
    // Twenty megabytes more were offered.
    let grown = support::resident().saturating_sub(before);
    assert!(grown < 2 << 20, "{transport:?}: grown by {grown} bytes");
}
