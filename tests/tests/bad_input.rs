//! What must not hurt: garbage, strangers, greed, and clients that vanish.
//!
//! Every server here is alone in a namespace of its own, so ports can be named and nothing else is disturbed. Needs root.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::browser::{Kind, Page};
use e2e::http::Metrics;
use e2e::nat::Internet;
use e2e::netns::Namespace;
use e2e::process::until;
use e2e::server::Server;
use e2e::turn_client::{Answer, TurnClient};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const TURN: SocketAddr = SocketAddr::new(HERE, 3478);
const METRICS: SocketAddr = SocketAddr::new(HERE, 9641);
/// A deadline for what takes seconds when the machine is idle.
const GENEROUS: Duration = Duration::from_secs(60);

/// A server on 127.0.0.1:3478 in its own namespace, with one static user and metrics.
struct Alone {
    space: Namespace,
    server: Server,
}

impl Alone {
    fn new(more_flags: &[&str]) -> Result<Self> {
        let space = Namespace::new("alone")?;
        let mut flags = vec![
            "--listening-ip=127.0.0.1",
            "--relay-ip=127.0.0.1",
            "--allow-loopback-peers",
        ];
        flags.extend([
            "--realm=example.org",
            "--lt-cred-mech",
            "--user=guest:secret",
            "--prometheus",
        ]);
        flags.extend(more_flags);
        let server = Server::start(Some(&space), &flags)?;
        Ok(Self { space, server })
    }

    fn client(&self) -> Result<TurnClient> {
        self.space
            .inside(|| TurnClient::new(TURN, "guest", "secret"))
    }

    fn allocations(&self) -> Result<f64> {
        self.space
            .inside(|| Metrics::scrape(METRICS))?
            .sum("turn_total_allocations")
            .context("no turn_total_allocations")
    }

    fn resident_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .context("no VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
    }
}

/// Datagrams that no STUN or TURN message begins with, or that stop in the middle of one.
fn unparsable() -> Vec<Vec<u8>> {
    let binding = [
        0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
    ];
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = binding.to_vec();
        change(&mut bytes);
        bytes
    };
    let mut all: Vec<Vec<u8>> = (1..binding.len())
        .map(|length| binding[..length].to_vec())
        .collect();
    all.extend([
        with(&|bytes| bytes[4] = 0x22),            // another cookie
        with(&|bytes| bytes[3] = 4),               // longer than it is
        with(&|bytes| bytes[3] = 1),               // no multiple of four
        with(&|bytes| bytes.push(0)),              // a byte too many
        with(&|bytes| bytes.extend([0, 0, 0, 0])), // a whole attribute too many
        with(&|bytes| bytes[0] = 0x80),            // neither STUN nor ChannelData
        with(&|bytes| bytes[0] = 0xc0),            // the same
        with(&|bytes| {
            bytes[3] = 4;
            bytes.extend([0x80, 0x22, 0xff, 0xff]);
        }), // an attribute that reaches out of it
        with(&|bytes| bytes[1] = 0x11),            // an indication: never answered
        with(&|bytes| {
            bytes[0] = 1;
            bytes[1] = 1;
        }), // a response that nobody asked for
        vec![0x40, 0, 0, 4, 1, 2, 3, 4],           // data for a channel that nobody bound
        vec![0x40, 0, 0xff, 0xff, 1],              // and shorter than it says
        vec![0; 1400],
        vec![0xff; 1400],
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ]);
    all
}

#[test]
fn unparsable_datagrams_are_dropped_in_silence() {
    let alone = Alone::new(&[]).unwrap();
    let client = alone.client().unwrap();
    for datagram in unparsable() {
        client.throw(&datagram).unwrap();
    }
    // Whatever the server had answered would be in front of this answer, which would then belong to another request.
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    request.extend(*b"the-last-one");
    let answer = client
        .raw(&request)
        .unwrap()
        .expect("a binding request is answered after all that");
    assert_eq!(&answer[..2], &[1, 1], "a success response: {answer:02x?}");
    assert_eq!(
        &answer[8..20],
        b"the-last-one",
        "something else was answered first: {answer:02x?}"
    );
    assert_eq!(alone.allocations().unwrap(), 0.0);
}

#[test]
fn an_unparsable_stream_ends_without_an_answer_and_alone() {
    let alone = Alone::new(&[]).unwrap();
    for garbage in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(), // a TLS client
        &[0xff; 64],
        &[0; 64],
    ] {
        let heard = alone.space.inside(|| until_closed(garbage)).unwrap();
        assert_eq!(heard, b"", "{garbage:02x?} was answered");
    }
    assert!(alone.client().unwrap().is_alive().unwrap());
}

/// Sends on a new connection and reads until the server closes it.
fn until_closed(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(TURN)?;
    stream.set_read_timeout(Some(GENEROUS))?;
    stream.write_all(bytes)?;
    let mut heard = Vec::new();
    match stream.read_to_end(&mut heard) {
        Ok(_) => Ok(heard),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(heard),
        Err(error) => Err(error).context("the server keeps a connection that speaks no TURN"),
    }
}

#[test]
fn nothing_is_stored_for_strangers() {
    let alone = Alone::new(&["--unauth-reply-rate=0"]).unwrap();
    // Enough to bring every lazily grown buffer to its size before the measurement.
    strangers(&alone, 5_000).unwrap();
    let before = alone.resident_bytes().unwrap();
    let seen = strangers(&alone, 50_000).unwrap();
    assert!(
        seen > 49_000,
        "only {seen} of 50,000 were answered: the server saw no flood"
    );
    let grown = alone.resident_bytes().unwrap().saturating_sub(before);
    // 40 bytes for each would be 2 MB.
    assert!(
        grown < 1_000_000,
        "{grown} bytes more after 50,000 unauthenticated requests"
    );
    assert_eq!(alone.allocations().unwrap(), 0.0);
    assert!(alone.client().unwrap().is_alive().unwrap());
}

/// Sends Allocate requests without credentials, each from a port of its own as far as there are ports, and counts the answers.
fn strangers(alone: &Alone, requests: u32) -> Result<u32> {
    let allocate = [0, 3, 0, 8, 0x21, 0x12, 0xa4, 0x42];
    let transport = [0, 0x19, 0, 4, 17, 0, 0, 0];
    alone.space.inside(|| {
        let mut answered = 0;
        for number in 0..requests {
            let socket = std::net::UdpSocket::bind((HERE, 0))?;
            socket.set_read_timeout(Some(Duration::from_secs(2)))?;
            let id: Vec<u8> = number
                .to_be_bytes()
                .iter()
                .cycle()
                .take(12)
                .copied()
                .collect();
            socket.send_to(&[allocate.as_slice(), &id, &transport].concat(), TURN)?;
            answered += u32::from(socket.recv(&mut [0; 128]).is_ok());
        }
        Ok(answered)
    })
}

#[test]
fn a_full_port_range_answers_508_until_a_port_is_free_again() {
    let alone = Alone::new(&["--min-port=50000", "--max-port=50003"]).unwrap();
    let mut clients: Vec<TurnClient> = (0..4).map(|_| alone.client().unwrap()).collect();
    for client in &mut clients {
        let answer = client.allocate(None).unwrap();
        assert!(matches!(answer, Answer::Success { .. }), "{answer:?}");
    }
    let mut latecomer = alone.client().unwrap();
    assert_eq!(latecomer.allocate(None).unwrap(), Answer::Refused(508));

    assert!(matches!(
        clients[0].refresh(0).unwrap(),
        Answer::Success { .. }
    ));
    until("the freed port is given out", GENEROUS, || {
        matches!(latecomer.allocate(None).unwrap(), Answer::Success { .. }).then_some(())
    })
    .unwrap();
}

#[test]
fn a_client_behind_a_new_nat_binding_leaves_its_old_allocation_to_expire() {
    let alone = Alone::new(&["--max-allocate-lifetime=5"]).unwrap();
    let mut before = alone.client().unwrap();
    let answer = before.allocate(Some(3600)).unwrap();
    assert!(
        matches!(
            answer,
            Answer::Success {
                lifetime: Some(5),
                ..
            }
        ),
        "{answer:?}"
    );

    // The NAT forgets the binding: the same client comes from another port, where it has no allocation, and makes a new one.
    let mut after = alone.client().unwrap();
    assert_eq!(after.refresh(5).unwrap(), Answer::Refused(437));
    assert!(matches!(
        after.allocate(Some(3600)).unwrap(),
        Answer::Success { .. }
    ));
    assert_eq!(alone.allocations().unwrap(), 2.0);

    until(
        "the abandoned allocation is gone, the one in use is not",
        GENEROUS,
        || {
            assert!(
                matches!(after.refresh(5).unwrap(), Answer::Success { .. }),
                "the allocation in use is gone"
            );
            (alone.allocations().unwrap() == 1.0).then_some(())
        },
    )
    .unwrap();
    until("both are gone", GENEROUS, || {
        (alone.allocations().unwrap() == 0.0).then_some(())
    })
    .unwrap();
}

#[test]
fn a_killed_browser_leaves_no_allocation_behind_its_lifetime() {
    let internet = Internet::new().unwrap();
    let server = internet.host("server").unwrap();
    let client = internet.host("client").unwrap();
    let flags = [
        "--realm=example.org",
        "--lt-cred-mech",
        "--user=guest:secret",
        "--prometheus",
        "--max-allocate-lifetime=10",
    ];
    let _server = Server::start(Some(&server.space), &flags).unwrap();
    let allocations = || {
        let metrics = server
            .space
            .inside(|| Metrics::scrape(SocketAddr::new(server.address, 9641)))
            .unwrap();
        metrics.sum("turn_total_allocations").unwrap()
    };

    let mut page = Page::open(&client.space, Kind::Chromium, "about:blank").unwrap();
    let gather = format!(
        "(async () => {{
            globalThis.peer = new RTCPeerConnection({{
                iceServers: [{{ urls: 'turn:{}', username: 'guest', credential: 'secret' }}],
                iceTransportPolicy: 'relay',
            }});
            peer.createDataChannel('any');
            await peer.setLocalDescription();
            while (peer.iceGatheringState !== 'complete') await new Promise((resolve) => setTimeout(resolve, 50));
            return peer.localDescription.sdp;
        }})()",
        server.address
    );
    let description = page.evaluate(&gather).unwrap();
    assert!(
        description.as_str().unwrap().contains("typ relay"),
        "{description}"
    );

    // Alive, the browser refreshes: the allocation outlasts its lifetime.
    std::thread::sleep(Duration::from_secs(13));
    assert!(allocations() >= 1.0);
    client.space.kill_processes();
    until("the dead browser's allocation is gone", GENEROUS, || {
        (allocations() == 0.0).then_some(())
    })
    .unwrap();
}
