//! Clients over DTLS: the same sessions as over UDP, on the same ports, and what DTLS adds.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use support::{Client, Got, LOOPBACKS, Server, Setup, peer, receive};
use turn_proto::{Event, Transport};

const CHANNEL: u16 = 0x4001;

fn server() -> Server {
    Server::with(Setup::secure_datagrams())
}

fn echo_both_ways(client: &mut Client, on: &str) {
    let (peer, peer_address) = peer(on);
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, peer_address);
    for length in [0, 1, 2, 3, 1_200, 16_000] {
        let payload = vec![length as u8; length];
        client.send_channel(CHANNEL, &payload);
        assert_eq!(receive(&peer), (payload.clone(), relayed));
        peer.send_to(&payload, relayed).unwrap();
        assert_eq!(client.receive(), Got::Channel(CHANNEL, payload));
    }
    client.release();
}

#[test]
fn dtls_and_plain_are_told_apart_on_both_ports() {
    let server = server();
    for on in LOOPBACKS {
        for port_of in [Transport::Udp, Transport::Dtls] {
            for spoken in [Transport::Dtls, Transport::Udp] {
                let mut client = Client::connect(spoken, server.address(port_of, on));
                echo_both_ways(&mut client, on);
            }
        }
    }
    let started = server.events.try_iter().filter_map(|event| match event {
        Event::Started { path, .. } => Some(path.transport),
        _ => None,
    });
    let expected = [Transport::Dtls, Transport::Udp].repeat(4);
    assert_eq!(started.collect::<Vec<_>>(), expected);
    assert_eq!(server.workers.stats().io.dtls_handshakes, 4);
}
