//! What somebody without any key sends in the name of a client that has a DTLS association: none of it is believed, and none of it
//! ends what is there (RFC 6347 §4.1.2.7).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use support::{
    Got, IDENTITY, LOOPBACKS, Server, Setup,
    dtls::{AES, Engine, receive_from, socket},
    peer, receive,
};
use turn_proto::Transport;

const CHANNEL: u16 = 0x4001;
const ON: &str = LOOPBACKS[0];

/// A record of this type and epoch.
fn record(kind: u8, epoch: u16, number: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0xFE, 0xFD];
    bytes.extend(epoch.to_be_bytes());
    bytes.extend(&number.to_be_bytes()[2..]);
    bytes.extend((body.len() as u16).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// A fragment of a handshake message.
fn handshake(kind: u8, number: u16, body: &[u8]) -> Vec<u8> {
    let length = &(body.len() as u32).to_be_bytes()[1..];
    let mut message = vec![kind];
    message.extend(length);
    message.extend(number.to_be_bytes());
    message.extend([0; 3]);
    message.extend(length);
    message.extend(body);
    message
}

#[test]
fn nothing_that_is_sent_without_the_key_is_believed_or_ends_an_association() {
    let server = Server::with(Setup::secure_datagrams());
    let mut client = server.client(Transport::Dtls, ON);
    let (peer, peer_address) = peer(ON);
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, peer_address);
    let data = client.channel_data(CHANNEL, b"forged");
    for kind in 0..=30 {
        for epoch in [0, 1, 2, 0xFFFF] {
            for number in [0, 1, 2, 5, 50, 1 << 40] {
                let socket = &client.dtls().socket;
                for body in [&data[..], &[2, 40], &[1, 0], &[1], &[], &[0; 60]] {
                    socket.send(&record(kind, epoch, number, body)).unwrap();
                }
                for (kind_of, at) in [(1, 0), (1, 9), (16, 2), (20, 3), (0, 1)] {
                    let body = handshake(kind_of, at, &[7; 40]);
                    socket.send(&record(kind, epoch, number, &body)).unwrap();
                }
            }
        }
        // It goes on as before, in both directions.
        let payload = [kind; 9];
        client.send_channel(CHANNEL, &payload);
        assert_eq!(receive(&peer), (payload.to_vec(), relayed), "{kind}");
        peer.send_to(&payload, relayed).unwrap();
        let echo = Got::Channel(CHANNEL, payload.to_vec());
        assert_eq!(client.receive(), echo, "{kind}");
    }
    assert_eq!(server.workers.stats().relay.allocations_dtls, 1);
}

#[test]
fn who_holds_handshakes_open_keeps_nobody_out() {
    let mut setup = Setup::secure_datagrams();
    setup.config.max_handshakes = 2;
    let server = Server::with(setup);
    let address = server.address(Transport::Dtls, ON);
    let mut slow = Vec::new();
    for _ in 0..5 {
        // Up to the server's first flight, which is not answered.
        let mut engine = Engine::new(AES, &IDENTITY.material);
        let socket = socket(address);
        let mut steps = engine.steps();
        for _ in 0..2 {
            socket.send(&steps.datagrams.concat()).unwrap();
            steps = engine.take(&receive_from(&socket).unwrap());
        }
        slow.push(socket);
    }
    let mut client = server.client(Transport::Dtls, ON);
    client.binding();
    let stats = server.workers.stats().io;
    assert_eq!((stats.dtls_handshakes, stats.dtls_refused), (1, 0));
}
