//! What thousands of clients leave on the heap when they have gone: nothing. A program of its own, so that no other test's memory
//! counts; every allocation of this process is counted, the clients' as well, which end before it is looked at.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use std::{
    alloc::System,
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use support::{Client, Got, LOOPBACKS, Link, Server, Setup, peer, receive};
use turn_proto::Transport;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ON: &str = LOOPBACKS[0];
const CHANNEL: u16 = 0x4001;

/// Clients of a round: a block that each left behind would be seen as often.
const CLIENTS: usize = 200;

/// What may be there or not: a table that has just grown, or one more of the last answers, kept for whoever asks again.
const BLOCKS: isize = 8;
const BYTES: isize = 16 * 1024;

/// How long a connection may be silent. What is remembered of it stays as long.
const PATIENCE: Duration = Duration::from_secs(1);

/// TLS sessions that may be resumed are kept: 4,096 at most, two for each client. The rounds are compared when that table is full.
const REMEMBERED: usize = 4096 / 2 + 64;

/// How often it is looked whether the heap has come to rest.
const LOOKS: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    blocks: isize,
    bytes: isize,
}

fn held() -> Held {
    let stats = HEAP.stats();
    let difference = |more: usize, less: usize| more.cast_signed().wrapping_sub(less.cast_signed());
    Held {
        blocks: difference(stats.allocations, stats.deallocations),
        bytes: difference(stats.bytes_allocated, stats.bytes_deallocated),
    }
}

/// A client that gets a relay, talks both ways through it, and goes in the manner of its transport.
fn come_and_go(server: &Server, transport: Transport, peer: &UdpSocket, at: SocketAddr) {
    let mut client = server.client(transport, ON);
    let relayed = client.allocate();
    client.permit(at);
    client.send_indication(at, b"indication");
    assert_eq!(receive(peer).1, relayed);
    client.bind_channel(CHANNEL, at);
    client.send_channel(CHANNEL, b"channel");
    receive(peer);
    peer.send_to(b"answer", relayed).unwrap();
    assert_eq!(client.receive(), Got::Channel(CHANNEL, b"answer".to_vec()));
    leave(client, transport);
}

/// Streams are cut without a word; the others would be waited for until their lifetime is over.
fn leave(mut client: Client, transport: Transport) {
    if matches!(transport, Transport::Udp | Transport::Dtls) {
        client.release();
    }
    if let Link::Dtls(link) = &mut client.link {
        let close = link.engine.close();
        link.socket.send(&close).unwrap();
    }
}

/// Many of them; then what is still held when all are gone.
fn round(server: &Server, transport: Transport) -> Held {
    let (peer, at) = peer(ON);
    for _ in 0..CLIENTS {
        come_and_go(server, transport, &peer, at);
    }
    server.wait_for("all are gone", |stats| {
        let relay = &stats.relay;
        let live = relay.allocations_udp
            + relay.allocations_tcp
            + relay.allocations_tls
            + relay.allocations_dtls;
        live + stats.io.streams_open + stats.io.dtls_associations == 0
    });
    std::thread::sleep(PATIENCE);
    settled(server)
}

/// What is held when nothing more is given back; a busy machine takes its time for that.
fn settled(server: &Server) -> Held {
    let mut before = held();
    for _ in 0..LOOKS {
        std::thread::sleep(Duration::from_millis(300));
        while server.events.try_recv().is_ok() {}
        server.workers.stats();
        let now = held();
        if now == before {
            return now;
        }
        before = now;
    }
    panic!("the heap does not come to rest: {before:?}");
}

#[test]
fn clients_that_have_gone_leave_nothing_on_the_heap() {
    let mut setup = Setup::secure();
    setup.config.dtls = setup.config.udp.clone();
    setup.config.secure_datagrams = Some(support::IDENTITY.dtls());
    setup.config.stream_patience = PATIENCE;
    setup.config.handshake_patience = PATIENCE;
    let server = Server::with(setup);
    for _ in 0..REMEMBERED {
        server.client(Transport::Tls, ON).binding();
    }
    for transport in [
        Transport::Udp,
        Transport::Tcp,
        Transport::Tls,
        Transport::Dtls,
    ] {
        // Tables have their size after the first round.
        round(&server, transport);
        let (before, after) = (round(&server, transport), round(&server, transport));
        let (blocks, bytes) = (after.blocks - before.blocks, after.bytes - before.bytes);
        println!(
            "say: {CLIENTS} clients over {transport:?} left {blocks} blocks and {bytes} bytes; {after:?} is the server's and the test's"
        );
        assert!(
            blocks.abs() <= BLOCKS && bytes.abs() <= BYTES,
            "{transport:?}: {before:?} {after:?}"
        );
    }
}
