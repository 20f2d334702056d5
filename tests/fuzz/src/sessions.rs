//! Several clients in virtual time: any sequence of requests, data, loss, duplicates, disorder, clock jumps and failures
//! leaves the books balanced, and in the end everything is given back.

use std::time::Duration;

use arbitrary::{Result, Unstructured};
use turn_proto::{BindFailure, Path, Transport};
use turn_wire::{Method, RequestBuilder};

use crate::{
    bytes,
    support::{Client, Got, World, behind_nat, config},
};

const PEERS: [&str; 6] = [
    "203.0.113.5:9",
    "203.0.113.5:10",
    "[2001:db8::7]:9",
    "8.8.8.8:53",
    "127.0.0.1:80",
    "198.51.100.1:50000",
];

/// Steps that one input may take; more bytes are not read.
const STEPS: usize = 48;

struct Play {
    world: World,
    clients: Vec<Client>,
    /// Packets under way that something else overtakes.
    late: Vec<(Path, Vec<u8>)>,
}

/// Plays until the bytes are used up, and then lets everything expire.
pub(crate) fn run(data: &[u8]) {
    let mut source = Unstructured::new(data);
    let first = source.arbitrary::<u8>().unwrap_or_default();
    let settings = if first & 1 == 0 {
        config()
    } else {
        behind_nat()
    };
    let mut play = Play {
        world: World::with_quotas(
            settings,
            u32::from(first >> 1 & 3),
            u32::from(first >> 3 & 7),
        ),
        clients: (0..4).map(client).collect(),
        late: Vec::new(),
    };
    for _ in 0..STEPS {
        if source.is_empty() || play.step(&mut source).is_err() {
            break;
        }
        play.balance();
    }
    play.end();
}

fn client(number: u32) -> Client {
    let address = format!("192.0.2.10:{}", 1000 + number);
    match number {
        0 => Client::ann(&address),
        1 => Client::bob(&address),
        2 => Client::ann(&address).over(Transport::Tcp, 12),
        _ => Client::bob(&address).over(Transport::Tls, 13),
    }
}

impl Play {
    fn step(&mut self, source: &mut Unstructured<'_>) -> Result<()> {
        let (what, detail) = (source.arbitrary::<u8>()?, source.arbitrary::<u8>()?);
        let who = usize::from(what >> 6);
        match what & 0xF {
            0..=2 => self.request(source, who, Method::ALLOCATE, detail)?,
            3 => self.request(source, who, Method::REFRESH, detail)?,
            4 | 5 => self.request(source, who, Method::CREATE_PERMISSION, detail)?,
            6 | 7 => self.request(source, who, Method::CHANNEL_BIND, detail)?,
            8 => self.data_from_client(who, detail),
            9 => self.data_from_peer(detail),
            10 => self.world.pass(Duration::from_secs(u64::from(detail))),
            11 => self.world.pass(Duration::from_secs(u64::from(detail) * 16)),
            12 => self.world.unix_offset = (i64::from(detail) - 128) * 30,
            13 => self.fail(detail),
            14 => self.deliver_late(detail),
            _ => self.close_or_garble(source, who, detail)?,
        }
        Ok(())
    }

    /// A request with what it needs, more or less, and its fate on the way: delivered, doubled, lost, late.
    fn request(
        &mut self,
        source: &mut Unstructured<'_>,
        who: usize,
        method: Method,
        detail: u8,
    ) -> Result<()> {
        let client = &mut self.clients[who];
        if client.nonce.is_empty() {
            client.challenge(&mut self.world);
        }
        let peer = PEERS[usize::from(detail & 7) % PEERS.len()]
            .parse()
            .expect("an address");
        let message = RequestBuilder::new(method, client.id());
        let message = match method {
            Method::ALLOCATE => message.requested_transport(17),
            Method::CREATE_PERMISSION => message.xor_peer_address(peer),
            Method::CHANNEL_BIND => message
                .channel_number(0x4000 + u16::from(detail >> 6))
                .xor_peer_address(peer),
            _ => message.lifetime(u32::from(detail & 7) * 300),
        };
        let message = if detail & 8 == 0 {
            message
        } else {
            bytes::attributes(source, message)?
        };
        let packet = client.sign(message);
        let path = client.path;
        match detail >> 4 & 3 {
            0 | 1 => self.deliver(who, &path, &packet),
            2 => {
                let first = self.world.send(&path, &packet);
                let again = self.world.send(&path, &packet);
                let success = |got: &Got| matches!(got, Got::Reply(bytes) if bytes[..2] == [1, 3]);
                if method == Method::ALLOCATE && success(&first) {
                    assert_eq!(first, again, "a retransmission is answered alike");
                }
            }
            _ if self.late.len() < 4 => self.late.push((path, packet)),
            _ => {}
        }
        Ok(())
    }

    fn deliver(&mut self, who: usize, path: &Path, packet: &[u8]) {
        if let Got::Reply(answer) = self.world.send(path, packet)
            && let Ok(turn_wire::Packet::Stun(view)) = turn_wire::parse(&answer)
            && let Some(nonce) = view.nonce()
        {
            self.clients[who].nonce = nonce.to_vec();
        }
    }

    fn deliver_late(&mut self, detail: u8) {
        if self.late.is_empty() {
            return;
        }
        let (mut path, packet) = self
            .late
            .swap_remove(usize::from(detail & 3) % self.late.len());
        if detail & 4 != 0 {
            // Somebody else has seen it and sends it as his own.
            path.client.set_port(6666);
        }
        self.world.send(&path, &packet);
    }

    fn data_from_client(&mut self, who: usize, detail: u8) {
        let peer = PEERS[usize::from(detail & 7) % PEERS.len()];
        let client = &mut self.clients[who];
        let got = if detail & 8 == 0 {
            client.channel_data(&mut self.world, 0x4000 + u16::from(detail >> 6), b"payload")
        } else {
            client.send_indication(&mut self.world, peer, b"payload")
        };
        if let Got::ToPeer { payload, to, .. } = got {
            assert_eq!(payload, b"payload");
            assert!(!to.ip().is_loopback(), "loopback is never a peer");
        }
    }

    fn data_from_peer(&mut self, detail: u8) {
        let peer = PEERS[usize::from(detail & 7) % PEERS.len()]
            .parse()
            .expect("an address");
        let relays: Vec<_> = self.world.bound.values().copied().collect();
        if let Some(to) = relays.get(usize::from(detail >> 3) % relays.len().max(1)) {
            self.world.peer_sends(peer, *to, b"payload");
        }
    }

    fn fail(&mut self, detail: u8) {
        if self.world.failures.len() < 4 {
            self.world.failures.push_back(match detail % 3 {
                0 => BindFailure::InUse,
                1 => BindFailure::NotLocal,
                _ => BindFailure::Other,
            });
        }
    }

    fn close_or_garble(
        &mut self,
        source: &mut Unstructured<'_>,
        who: usize,
        detail: u8,
    ) -> Result<()> {
        let path = self.clients[who].path;
        if detail & 1 == 0 && path.transport.is_stream() {
            self.world.relay.on_link_closed(self.world.now(), path.link);
            self.world.drain();
        } else {
            let length = usize::from(detail >> 2).min(source.len());
            self.world.send(&path, source.bytes(length)?);
        }
        Ok(())
    }

    fn balance(&self) {
        let stats = self.world.relay.stats();
        let alive = stats.allocations_udp + stats.allocations_tcp + stats.allocations_tls;
        // Four clients, and who repeats a request over a connection of his own from the same address: over streams, a nonce is
        // for an address (RFC 6062 §4.3).
        assert!(alive <= 6, "more allocations than 5-tuples");
        assert!(
            stats.allocations_udp <= 2,
            "a datagram was repeated from elsewhere"
        );
        assert!(self.world.bound.len() as u64 >= alive);
        assert!(self.world.shared.ports.claimed() >= self.world.bound.len());
        assert!(u64::from(self.world.shared.quotas.count()) >= alive);
    }

    /// After the longest lifetime nothing is left: ports, descriptors, quotas, timers, permissions, channels.
    fn end(mut self) {
        self.world.pass(Duration::from_secs(4000));
        let stats = self.world.relay.stats();
        assert_eq!((stats.permissions, stats.channels), (0, 0));
        assert_eq!(
            stats.allocations_udp + stats.allocations_tcp + stats.allocations_tls,
            0
        );
        assert!(self.world.bound.is_empty());
        assert_eq!(
            (
                self.world.shared.ports.claimed(),
                self.world.shared.quotas.count()
            ),
            (0, 0)
        );
        assert_eq!(self.world.relay.poll_timeout(), None);
    }
}
