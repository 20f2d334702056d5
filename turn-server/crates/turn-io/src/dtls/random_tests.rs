//! The table under random input: hellos, good cookies with changed hellos behind them, records of every kind, into
//! handshakes at every step. Whatever comes, nothing panics, and there is never more than is allowed.

use std::{
    net::SocketAddr,
    panic,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use proptest::{collection::vec, prelude::*};
use turn_proto::{LinkId, Now, Path, Transport};

use super::{
    Associations, Begun, Cookies, Dtls, Polled, Refused, Routed, Ticket, provider::provider,
    records::Finish,
};
use crate::{Config, TlsMaterial};

/// Made once: the engine tries its cryptography whenever a configuration is made.
static SERVER: LazyLock<Dtls> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let material = TlsMaterial {
        certificates: made.cert.pem().into_bytes(),
        key: made.signing_key.serialize_pem().into_bytes(),
        tls12: true,
        ..TlsMaterial::default()
    };
    Dtls::new(&material).unwrap()
});

static CLIENT: LazyLock<Arc<dimpl::Config>> = LazyLock::new(|| {
    let config = dimpl::Config::builder().with_crypto_provider(provider());
    Arc::new(config.build().unwrap())
});

/// Panics in the engine are caught one by one; here they are counted.
static PANICS: LazyLock<Arc<AtomicUsize>> = LazyLock::new(|| {
    let count = Arc::new(AtomicUsize::new(0));
    let (counter, before) = (Arc::clone(&count), panic::take_hook());
    panic::set_hook(Box::new(move |info| {
        if info
            .location()
            .is_some_and(|at| at.file().contains("dimpl"))
        {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        before(info);
    }));
    count
});

/// A server's table, and a client that shakes hands with it step by step.
struct Scene {
    table: Associations,
    now: Now,
    path: Path,
    client: dimpl::Dtls,
    /// What the client would send next.
    flight: Vec<Vec<u8>>,
    connected: bool,
}

impl Scene {
    fn new() -> Self {
        let config = Config {
            secure_datagrams: Some(SERVER.clone()),
            max_associations: 2,
            ..Config::default()
        };
        let origin = Instant::now();
        let own = SERVER.certificate();
        let mut client = dimpl::Dtls::new_12(Arc::clone(&CLIENT), own, origin);
        client.set_active(true);
        let mut scene = Self {
            table: Associations::new(&config, Cookies::new().unwrap(), origin),
            now: Now {
                mono: Duration::from_secs(1),
                unix: 1_700_000_000,
            },
            path: Path {
                transport: Transport::Udp,
                link: LinkId(0),
                client: SocketAddr::from(([192, 0, 2, 1], 5000)),
                server: SocketAddr::from(([192, 0, 2, 2], 3478)),
            },
            client,
            flight: Vec::new(),
            connected: false,
        };
        scene.client.handle_timeout(origin).unwrap();
        scene.poll_client();
        scene
    }

    /// Gives the server a datagram, and the client what comes of it if it is to be told.
    fn serve(&mut self, datagram: &[u8], tell: bool) {
        let link = match self.table.route(self.now, &self.path, 0, datagram) {
            Routed::To(link) => link,
            Routed::Begin => {
                let ticket = || Some(Box::new(()) as Ticket);
                match self
                    .table
                    .begin(self.now, (&self.path, 0), datagram, ticket)
                {
                    Ok(Begun { link, displaced }) => {
                        displaced.and_then(|oldest| self.table.remove(oldest));
                        link
                    }
                    Err(Refused::Full | Refused::Unfit(_)) => return,
                }
            }
            Routed::Ask(request) => {
                assert!(request.len() <= datagram.len());
                if tell {
                    self.tell_client(&request);
                }
                return;
            }
            Routed::Stray => return,
        };
        if self.table.receive(self.now, link, datagram).is_err() {
            self.table.remove(link);
            return;
        }
        self.poll_server(link, tell);
    }

    fn poll_server(&mut self, link: LinkId, tell: bool) {
        loop {
            match self.table.poll(link) {
                Ok(Polled::Datagram(length)) => {
                    let datagram = self.table.bytes(length).to_vec();
                    if tell {
                        self.tell_client(&datagram);
                    }
                }
                Ok(Polled::Opened) => {
                    if let Some(earlier) = self.table.opened(link) {
                        self.table.remove(earlier);
                    }
                }
                Ok(Polled::Data(_) | Polled::Closed) => {}
                Ok(Polled::Nothing(_)) => return,
                Err(_) => {
                    self.table.remove(link);
                    return;
                }
            }
        }
    }

    fn tell_client(&mut self, datagram: &[u8]) {
        // Clients are not what is tested: one that is told nonsense may give up.
        if self.client.handle_packet(datagram).is_ok() {
            self.poll_client();
        }
    }

    fn poll_client(&mut self) {
        let mut buffer = vec![0; 1 << 14];
        loop {
            match self.client.poll_output(&mut buffer) {
                dimpl::Output::Packet(bytes) => {
                    let mut datagram = bytes.to_vec();
                    // The server's first choice among all suites has explicit nonces.
                    let finish = Finish {
                        ahead: 0,
                        explicit_nonce: true,
                    };
                    finish.apply(&mut datagram);
                    self.flight.push(datagram);
                }
                dimpl::Output::Connected => self.connected = true,
                dimpl::Output::Timeout(_) => return,
                _ => {}
            }
        }
    }
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// The client goes on.
    Honest,
    /// A part of what the client would send comes with some bytes changed, or cut off.
    Changed(usize, Vec<(usize, u8)>, usize),
    /// Bytes that begin as DTLS does.
    Bytes(u8, Vec<u8>),
    /// A record of this kind, epoch and number.
    Record(u8, u16, u16, Vec<u8>),
    /// A plain handshake message, or a fragment of one: type, sequence, length, offset.
    Message(u8, u16, u32, u32, Vec<u8>),
    /// The client sends data.
    Data(usize),
    /// Time passes.
    Later(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = || vec(any::<u8>(), 0..200);
    let small = prop_oneof![0..4_u32, Just(0), 0..0x0100_0000_u32];
    prop_oneof![
        4 => Just(Step::Honest),
        4 => (any::<usize>(), vec((any::<usize>(), any::<u8>()), 1..4), any::<usize>())
            .prop_map(|(which, changes, cut)| Step::Changed(which, changes, cut)),
        1 => (20_u8..64, bytes()).prop_map(|(first, rest)| Step::Bytes(first, rest)),
        2 => (20_u8..27, 0..3_u16, 0..9_u16, bytes())
            .prop_map(|(kind, epoch, number, body)| Step::Record(kind, epoch, number, body)),
        3 => (0..25_u8, 0..9_u16, small.clone(), small, bytes())
            .prop_map(|(kind, seq, length, offset, body)| {
                Step::Message(kind, seq, length, offset, body)
            }),
        1 => (0..3_000_usize).prop_map(Step::Data),
        1 => (1..3_000_u64).prop_map(Step::Later),
    ]
}

fn record(kind: u8, epoch: u16, number: u16, body: &[u8]) -> Vec<u8> {
    let mut record = vec![kind, 0xFE, 0xFD];
    record.extend(epoch.to_be_bytes());
    record.extend([0; 4]);
    record.extend(number.to_be_bytes());
    record.extend((body.len() as u16).to_be_bytes());
    record.extend(body);
    record
}

impl Scene {
    fn take(&mut self, step: Step) {
        match step {
            Step::Honest => {
                for datagram in std::mem::take(&mut self.flight) {
                    self.serve(&datagram, true);
                }
            }
            Step::Changed(which, changes, cut) => {
                let Some(datagram) = self.flight.get(which % self.flight.len().max(1)) else {
                    return;
                };
                let mut datagram = datagram.clone();
                for (place, value) in changes {
                    let length = datagram.len();
                    datagram[place % length] = value;
                }
                let length = datagram.len();
                if cut % 4 == 0 {
                    datagram.truncate(cut / 4 % length);
                }
                self.serve(&datagram, false);
            }
            Step::Bytes(first, mut rest) => {
                rest.insert(0, first);
                self.serve(&rest, false);
            }
            Step::Record(kind, epoch, number, body) => {
                self.serve(&record(kind, epoch, number, &body), false);
            }
            Step::Message(kind, seq, length, offset, body) => {
                let mut message = vec![kind];
                message.extend(&length.to_be_bytes()[1..]);
                message.extend(seq.to_be_bytes());
                message.extend(&offset.to_be_bytes()[1..]);
                message.extend(&(body.len() as u32).to_be_bytes()[1..]);
                message.extend(body);
                self.serve(&record(22, 0, seq, &message), false);
            }
            Step::Data(length) if self.connected => {
                if self.client.send_application_data(&vec![7; length]).is_ok() {
                    self.poll_client();
                }
            }
            Step::Data(_) => {}
            Step::Later(milliseconds) => {
                self.now.mono += Duration::from_millis(milliseconds);
                while let Some((link, woken)) = self.table.wake(self.now) {
                    match woken {
                        Ok(()) => self.poll_server(link, false),
                        Err(_) => drop(self.table.remove(link)),
                    }
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn nothing_panics_and_nothing_grows(steps in vec(step(), 1..60)) {
        let before = PANICS.load(Ordering::Relaxed);
        let mut scene = Scene::new();
        for step in steps {
            scene.take(step);
            assert!(scene.table.len() <= 2);
        }
        assert_eq!(PANICS.load(Ordering::Relaxed), before, "a panic in the engine");
    }
}

#[test]
fn honest_steps_lead_to_an_association() {
    let mut scene = Scene::new();
    for _ in 0..4 {
        scene.take(Step::Honest);
    }
    assert!(scene.connected);
    assert_eq!(scene.table.len(), 1);
}
