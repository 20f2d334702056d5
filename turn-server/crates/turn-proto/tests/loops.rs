//! No loops: two servers wired at each other, with packets that claim to come from the other one, from a relay of it, or from a
//! relay of the server itself. Every packet leads to one other at most, and after one answer it is over.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::net::SocketAddr;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use support::{Client, Got, REALM, World, address, config, udp};
use turn_proto::{Config, Path, PeerPolicy};
use turn_wire::{Method, RequestBuilder, attr};

/// A server at its address; its world's relays are at the same.
struct Node {
    world: World,
    listens: SocketAddr,
}

impl Node {
    fn new(listens: &str) -> Self {
        let ip = address(listens).ip();
        let mut config = config();
        config.relays.addresses = vec![ip];
        config.peers = PeerPolicy {
            own: vec![ip],
            relays: vec![ip],
            ..config.peers
        };
        Self::with(listens, config)
    }

    fn with(listens: &str, config: Config) -> Self {
        Self {
            world: World::new(config),
            listens: address(listens),
        }
    }

    fn path(&self, client: SocketAddr) -> Path {
        Path {
            server: self.listens,
            ..udp(&client.to_string())
        }
    }

    /// A client of this server.
    fn client(&mut self, from: &str) -> (Client, SocketAddr) {
        let mut client = Client::ann(from);
        client.path = self.path(address(from));
        let relayed = client.allocate(&mut self.world);
        (client, relayed)
    }

    /// What comes of a packet that reaches this machine.
    fn take(&mut self, packet: &Packet) -> Option<Packet> {
        if packet.to != self.listens {
            let got = self.world.peer_sends(packet.from, packet.to, &packet.bytes);
            return got.map(|(path, bytes)| Packet {
                from: self.listens,
                to: path.client,
                bytes,
            });
        }
        let (from, to, bytes) = match self.world.send(&self.path(packet.from), &packet.bytes) {
            Got::Nothing => return None,
            Got::Reply(bytes) => (self.listens, packet.from, bytes),
            Got::ToPeer { from, to, payload } => (from, to, payload),
        };
        Some(Packet { from, to, bytes })
    }
}

#[derive(Clone, Debug)]
struct Packet {
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

/// Two servers and what lies between them.
struct Wire {
    nodes: [Node; 2],
}

impl Wire {
    /// Delivers a packet and all that comes of it; returns the packets that the servers have sent.
    fn deliver(&mut self, packet: &Packet) -> Vec<Packet> {
        let mut sent: Vec<Packet> = Vec::new();
        let mut next = Some(packet.clone());
        while let Some(packet) = next {
            let mut nodes = self.nodes.iter_mut();
            let there = nodes.find(|node| node.listens.ip() == packet.to.ip());
            next = there.and_then(|node| node.take(&packet));
            sent.extend(next.clone());
            assert!(sent.len() < 20, "it goes on and on: {packet:?}");
        }
        sent
    }
}

/// One of everything that could lead to an answer, and of what an answer could be.
fn trigger(rng: &mut StdRng, nonce: &[u8]) -> Vec<u8> {
    let mut bytes = match rng.random_range(0..10) {
        0 => return (0..rng.random_range(0..80)).map(|_| rng.random()).collect(),
        1 => {
            let mut data = vec![0x40, 1, 0, 8];
            data.extend([0; 8]);
            return data;
        }
        _ => {
            let method = *[1, 3, 4, 6, 7, 8, 9, 10, 11, 12, 0xFFF]
                .choose(rng)
                .unwrap();
            let mut request =
                RequestBuilder::new(Method::from_number(method).unwrap(), rng.random());
            for _ in 0..rng.random_range(0..5) {
                let (kind, value): (u16, &[u8]) = match rng.random_range(0..9) {
                    0 => (attr::REQUESTED_TRANSPORT, &[17, 0, 0, 0]),
                    1 => (attr::USERNAME, b"ann"),
                    2 => (attr::REALM, REALM.as_bytes()),
                    3 => (attr::NONCE, nonce),
                    4 => (attr::MESSAGE_INTEGRITY, &[5; 20]),
                    5 => (attr::CHANGE_REQUEST, &[0, 0, 0, 6]),
                    6 => (0x0002, &[0, 1, 0, 9, 192, 0, 2, 1]), // RESPONSE-ADDRESS of RFC 3489
                    7 => (attr::ERROR_CODE, &[0, 0, 4, 1]),
                    _ => (rng.random(), &[]),
                };
                request = request.attribute(kind, value);
            }
            request.finish(None, rng.random())
        }
    };
    // Any class: request, indication, success, error.
    if rng.random_ratio(2, 3) {
        bytes[0] = bytes[0] & 0xFE | rng.random_range(0..2);
        bytes[1] = bytes[1] & 0xEF | rng.random_range(0..2) << 4;
    }
    bytes
}

#[test]
fn servers_that_are_wired_at_each_other_fall_silent_after_one_answer() {
    let mut wire = Wire {
        nodes: [
            Node::new("198.51.100.1:3478"),
            Node::new("198.51.100.2:3478"),
        ],
    };
    let [(mut ann, here), (mut bea, there)] =
        [0, 1].map(|at| wire.nodes[at].client(&format!("192.0.2.1{at}:40000")));
    let [first, second] = [wire.nodes[0].listens, wire.nodes[1].listens];
    // Each client lets the other server and the other's relay in, and its own server's relays too.
    for peer in [second, there, here] {
        assert_eq!(
            ann.permit(&mut wire.nodes[0].world, &peer.to_string())
                .code(),
            None
        );
    }
    for peer in [first, here, there] {
        assert_eq!(
            bea.permit(&mut wire.nodes[1].world, &peer.to_string())
                .code(),
            None
        );
    }
    let clients = [ann.path.client, bea.path.client];
    let mut rng = StdRng::seed_from_u64(1);
    let (mut answered, mut relayed) = (0, 0);
    for _ in 0..20_000 {
        let (to, from) = *[
            (first, second),
            (second, first),
            (first, there),
            (first, here),
            (here, there),
            (here, first),
            (here, second),
            (here, here),
            (first, first),
        ]
        .choose(&mut rng)
        .unwrap();
        let bytes = trigger(&mut rng, &ann.nonce);
        let packet = Packet { from, to, bytes };
        let sent = wire.deliver(&packet);
        // A server answers once. A relay hands on once, and then it is with its client; the answer to what came from a relay
        // reaches that relay's client, if the relay lets it in.
        let at_clients = sent
            .iter()
            .filter(|packet| clients.contains(&packet.to))
            .count();
        assert!(at_clients <= 1, "{packet:?} became {sent:?}");
        assert!(sent.len() <= 1 + at_clients, "{packet:?} became {sent:?}");
        answered += sent.len() - at_clients;
        relayed += at_clients;
    }
    // The wires are connected: there was something that could have gone on.
    assert!(answered > 1000 && relayed > 1000, "{answered} {relayed}");
}

#[test]
fn a_chain_of_relays_ends_at_its_client() {
    let mut wire = Wire {
        nodes: [
            Node::new("198.51.100.1:3478"),
            Node::new("198.51.100.2:3478"),
        ],
    };
    let (mut ann, here) = wire.nodes[0].client("192.0.2.10:40000");
    let (mut bea, there) = wire.nodes[1].client("192.0.2.11:40000");
    let (mut bob, same) = wire.nodes[0].client("192.0.2.12:40000");
    // Everybody has a channel to the next: ann → bea's relay, bea → bob's relay, bob → ann's relay.
    assert_eq!(
        ann.bind(&mut wire.nodes[0].world, 0x4001, &there.to_string())
            .code(),
        None
    );
    assert_eq!(
        bea.bind(&mut wire.nodes[1].world, 0x4001, &same.to_string())
            .code(),
        None
    );
    assert_eq!(
        bob.bind(&mut wire.nodes[0].world, 0x4001, &here.to_string())
            .code(),
        None
    );
    let frame = |from: &Client| {
        let bytes = [&[0x40, 1, 0, 4][..], &[1, 2, 3, 4]].concat();
        Packet {
            from: from.path.client,
            to: from.path.server,
            bytes,
        }
    };
    // Relay to relay, and from there to its client: it is not sent on over that client's own channel.
    // Without a permission for where it comes from, not even there.
    let lengths = |wire: &mut Wire, clients: [&Client; 3]| {
        clients.map(|from| wire.deliver(&frame(from)).len())
    };
    assert_eq!(lengths(&mut wire, [&ann, &bea, &bob]), [2, 1, 1]);
    for (client, at, peer) in [
        (&mut ann, 0, same),
        (&mut bob, 0, there),
        (&mut bea, 1, here),
    ] {
        let world = &mut wire.nodes[at].world;
        assert_eq!(client.permit(world, &peer.to_string()).code(), None);
    }
    assert_eq!(lengths(&mut wire, [&ann, &bea, &bob]), [2, 2, 2]);
    // A relay that is its own peer hands its client its own words, once.
    assert_eq!(
        bob.bind(&mut wire.nodes[0].world, 0x4002, &same.to_string())
            .code(),
        None
    );
    let mut own = frame(&bob);
    own.bytes[1] = 2;
    let sent = wire.deliver(&own);
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[1].to, bob.path.client);
}

#[test]
fn our_own_listening_ports_are_nobodys_peer() {
    let mut node = Node::new("198.51.100.1:3478");
    let (mut ann, _) = node.client("192.0.2.10:40000");
    let listens = node.listens.to_string();
    assert_eq!(
        ann.bind(&mut node.world, 0x4001, &listens).code(),
        Some(403)
    );
    // A permission is for an address whatever the port, and ours may be a relay's; what is sent is looked at by port.
    ann.permit(&mut node.world, &listens);
    assert_eq!(
        ann.send_indication(&mut node.world, &listens, b"x"),
        Got::Nothing
    );
}
