//! Two clients of one server reach each other through it: on one worker or on two, over every transport, by the address
//! that clients are told or by the one that sockets are bound to. And nothing goes round in circles.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use std::net::{IpAddr, SocketAddr};

use support::{Client, Got, LOOPBACKS, Server, Setup};
use turn_proto::{External, IpRange, PeerPolicy, Transport};

const CHANNEL: u16 = 0x4001;
const PUBLIC: &str = "203.0.113.9";

/// How a client calls its peer's relayed address.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Name {
    /// As it was told.
    External,
    /// By the address that the socket is bound to.
    Internal,
}

/// How data goes to and fro.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Method {
    Channel,
    Indication,
}

/// A client and where its allocation lives.
struct Placed {
    client: Client,
    relayed: SocketAddr,
}

/// Two workers behind a 1:1 NAT. The deny list is the one that locked coturn's users out of their own relay
/// (<https://github.com/coturn/coturn/issues/584>): it names the very range in which the relay address lies, and so does
/// the rule that closes loopback.
fn server() -> Server {
    let mut setup = Setup::default();
    setup.config.workers = 2;
    setup.adjust = |rules| {
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        let last = "127.255.255.255".parse().unwrap();
        rules.externals = vec![External {
            local: loopback,
            public: PUBLIC.parse().unwrap(),
        }];
        rules.peers = PeerPolicy {
            own: vec![loopback],
            relays: vec![loopback],
            deny: IpRange::new("127.0.0.0".parse().unwrap(), last)
                .into_iter()
                .collect(),
            ..PeerPolicy::default()
        };
    };
    Server::with(setup)
}

/// A client with an allocation on this worker.
fn place(server: &Server, transport: Transport, worker: u16) -> Placed {
    let (client, relayed) = server.place(transport, worker);
    assert_eq!(relayed.ip().to_string(), PUBLIC);
    Placed { client, relayed }
}

impl Placed {
    /// How others call it.
    fn named(&self, name: Name) -> SocketAddr {
        match name {
            Name::External => self.relayed,
            Name::Internal => SocketAddr::new("127.0.0.1".parse().unwrap(), self.relayed.port()),
        }
    }

    fn admit(&mut self, peer: SocketAddr, method: Method) {
        match method {
            Method::Channel => self.client.bind_channel(CHANNEL, peer),
            Method::Indication => self.client.permit(peer),
        }
    }

    /// Says something to `other`, which must hear it from this one by the name that it uses for it.
    fn say(&mut self, other: &mut Self, name: Name, method: Method, words: &[u8]) {
        let expected = match method {
            Method::Channel => {
                self.client.send_channel(CHANNEL, words);
                Got::Channel(CHANNEL, words.to_vec())
            }
            Method::Indication => {
                self.client.send_indication(other.named(name), words);
                Got::Data(self.named(name), words.to_vec())
            }
        };
        assert_eq!(other.client.receive(), expected);
    }
}

fn converse(one: &mut Placed, other: &mut Placed, name: Name, method: Method) {
    one.admit(other.named(name), method);
    other.admit(one.named(name), method);
    for words in [&b"hello"[..], b"", b"again"] {
        one.say(other, name, method, words);
        other.say(one, name, method, words);
    }
}

#[test]
fn any_two_clients_reach_each_other_by_either_address_on_one_worker_and_on_two() {
    let server = server();
    let transports = [Transport::Udp, Transport::Tcp];
    let mut relayed = 0;
    for workers in [[0, 0], [0, 1], [1, 0], [1, 1]] {
        for (one, other) in transports
            .iter()
            .flat_map(|one| transports.map(|two| (*one, two)))
        {
            for name in [Name::External, Name::Internal] {
                for method in [Method::Channel, Method::Indication] {
                    println!("{workers:?} {one} {other} {name:?} {method:?}");
                    let mut one = place(&server, one, workers[0]);
                    let mut other = place(&server, other, workers[1]);
                    converse(&mut one, &mut other, name, method);
                    relayed += 6;
                    one.client.release();
                    other.client.release();
                }
            }
        }
    }
    let traffic = server.workers.stats().relay.traffic;
    assert_eq!(
        (traffic.peer_sent_packets, traffic.peer_received_packets),
        (relayed, relayed)
    );
}

/// One client may call its peer by the inside address while the other uses the outside one.
#[test]
fn two_clients_may_call_each_other_by_different_addresses() {
    let server = server();
    for worker in [0, 1] {
        let mut one = place(&server, Transport::Udp, 0);
        let mut other = place(&server, Transport::Tcp, worker);
        one.admit(other.named(Name::External), Method::Channel);
        other.admit(one.named(Name::Internal), Method::Indication);
        one.client.send_channel(CHANNEL, b"inwards");
        let heard = Got::Data(one.named(Name::Internal), b"inwards".to_vec());
        assert_eq!(other.client.receive(), heard);
        let inside = one.named(Name::Internal);
        other.client.send_indication(inside, b"outwards");
        let heard = Got::Channel(CHANNEL, b"outwards".to_vec());
        assert_eq!(one.client.receive(), heard);
    }
}

/// What two relays have been made to send each other, and a relay to itself, is relayed once per packet of a client: each
/// hop needs a client that forwards, so no packet goes round by itself.
#[test]
fn chains_of_relays_die_out() {
    let server = server();
    let mut one = place(&server, Transport::Udp, 0);
    let mut other = place(&server, Transport::Udp, 1);
    // To itself: the client hears its own words, once.
    let own = one.named(Name::External);
    one.client.bind_channel(CHANNEL + 1, own);
    one.client.send_channel(CHANNEL + 1, b"echo");
    let echo = Got::Channel(CHANNEL + 1, b"echo".to_vec());
    assert_eq!(one.client.receive(), echo);
    // In a ring: both relays permit each other and themselves, by both names.
    for name in [Name::External, Name::Internal] {
        one.client.permit(other.named(name));
        other.client.permit(one.named(name));
    }
    one.admit(other.named(Name::External), Method::Channel);
    other.admit(one.named(Name::External), Method::Channel);
    one.say(&mut other, Name::External, Method::Channel, b"round");
    // Whatever had gone on by itself would have come before this.
    for _ in 0..3 {
        one.say(&mut other, Name::External, Method::Channel, b"there");
        other.say(&mut one, Name::External, Method::Channel, b"back");
        one.client.send_channel(CHANNEL + 1, b"echo");
        let echo = Got::Channel(CHANNEL + 1, b"echo".to_vec());
        assert_eq!(one.client.receive(), echo);
    }
    let traffic = server.workers.stats().relay.traffic;
    assert_eq!(
        (traffic.peer_sent_packets, traffic.peer_received_packets),
        (11, 11)
    );
}

/// Nothing but live relays is reached at our own addresses, though every port of them may be permitted.
#[test]
fn what_is_no_live_relay_stays_closed() {
    let server = server();
    let (victim, address) = support::peer(LOOPBACKS[0]);
    let mut one = place(&server, Transport::Udp, 0);
    let mut other = place(&server, Transport::Udp, 1);
    one.client.permit(other.named(Name::External));
    other.client.permit(one.named(Name::External));
    let outside = SocketAddr::new(PUBLIC.parse().unwrap(), address.port());
    one.client.send_indication(outside, b"to a service");
    one.client.send_indication(other.relayed, b"to a relay");
    let heard = Got::Data(one.relayed, b"to a relay".to_vec());
    assert_eq!(other.client.receive(), heard);
    assert_eq!(server.workers.stats().relay.dropped_policy, 1);
    victim.set_nonblocking(true).unwrap();
    assert!(victim.recv(&mut [0; 64]).is_err());
}
