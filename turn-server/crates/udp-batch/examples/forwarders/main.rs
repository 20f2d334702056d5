//! What other ways to move datagrams would bring: `cargo run --release -p udp-batch --example forwarders [ROUNDS]`, and under
//! `chrt -f 5` where other programs run.
//!
//! A bare forwarder, as the relay's floor is one, in several ways that take turns under the same load; each figure is the median
//! of the rounds, each ratio the median of the rounds' own ratios. Clients' packets carry the number of their flow in front, which
//! is taken off on the way to the peer and put on again on the way back. Each flow has a relay socket of its own.
//!
//! Not in here: the ways themselves (`batches`, `ring`). What they brought is in docs/performance.md.
#![cfg(target_os = "linux")]

mod batches;
mod ring;

use std::{
    fs, io,
    net::{SocketAddr, UdpSocket},
    os::fd::AsFd,
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use socket2::SockRef;
use udp_batch::{Arena, Backend};

/// The number of a flow, in front of its client's packets.
const HEADER: usize = 4;
const PAYLOAD: usize = 160;
const WARM_UP: Duration = Duration::from_millis(200);
const WINDOW: Duration = Duration::from_secs(1);
/// As much as the kernel grants: stalls of the machine are not to be measured.
const BUFFER: usize = 4 << 20;
/// Packets that are sent late at once; those beyond are given up.
const BACKLOG: u64 = 64;
const FORWARDER_CORE: usize = 0;
const GENERATOR_CORE: usize = 1;

/// A way to move datagrams.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// epoll, recvmmsg, and the shortest call that sends.
    Batches,
    /// The same, with relay sockets that are connected to the peer.
    Connected,
    /// The same as the first, but the poller is asked again and again for so long before the thread sleeps.
    Spinning(Duration),
    /// io_uring: multishot receive on all sockets, sends submitted together with the next wait.
    Ring,
}

const WAYS: [(&str, Way); 5] = [
    ("recvmmsg, sendto", Way::Batches),
    ("connected relay sockets", Way::Connected),
    (
        "spinning for 20 µs",
        Way::Spinning(Duration::from_micros(20)),
    ),
    (
        "spinning for 100 µs",
        Way::Spinning(Duration::from_micros(100)),
    ),
    ("io_uring, multishot", Way::Ring),
];

/// What is to be forwarded.
struct Load {
    name: &'static str,
    flows: usize,
    rate: u64,
    to_clients: bool,
}

const LOADS: [Load; 3] = [
    Load {
        name: "1 flow, 20,000 packets/s, to the peer",
        flows: 1,
        rate: 20_000,
        to_clients: false,
    },
    Load {
        name: "1,000 flows, 100,000 packets/s, to the peer",
        flows: 1_000,
        rate: 100_000,
        to_clients: false,
    },
    Load {
        name: "1,000 flows, 100,000 packets/s, to the clients",
        flows: 1_000,
        rate: 100_000,
        to_clients: true,
    },
];

/// The sockets of one measurement, and what its two threads tell each other.
struct Stage {
    listener: UdpSocket,
    relays: Vec<UdpSocket>,
    client: UdpSocket,
    client_address: SocketAddr,
    peer: UdpSocket,
    peer_address: SocketAddr,
    /// Passed when the forwarder is on its core.
    ready: Barrier,
    stop: AtomicBool,
    /// System calls of the forwarder.
    calls: AtomicU64,
}

impl Stage {
    fn set(load: &Load) -> io::Result<Self> {
        let (listener, client, peer) = (open()?, open()?, open()?);
        client.connect(listener.local_addr()?)?;
        Ok(Self {
            client_address: client.local_addr()?,
            peer_address: peer.local_addr()?,
            relays: (0..load.flows).map(|_| open()).collect::<io::Result<_>>()?,
            listener,
            client,
            peer,
            ready: Barrier::new(2),
            stop: AtomicBool::new(false),
            calls: AtomicU64::new(0),
        })
    }

    fn count_call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn forward(&self, way: Way) -> io::Result<()> {
        let pinned = pin(FORWARDER_CORE);
        self.ready.wait();
        pinned?;
        match way {
            Way::Batches => batches::run(self, false, Duration::ZERO),
            Way::Connected => batches::run(self, true, Duration::ZERO),
            Way::Spinning(patience) => batches::run(self, false, patience),
            Way::Ring => ring::run(self),
        }
    }
}

fn open() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    SockRef::from(&socket).set_recv_buffer_size(BUFFER)?;
    Ok(socket)
}

/// What one measurement has found, per packet that arrived.
#[derive(Clone, Copy)]
struct Found {
    microseconds: f64,
    calls: f64,
    lost: f64,
}

fn main() -> io::Result<()> {
    let rounds = std::env::args().nth(1).and_then(|word| word.parse().ok());
    let rounds: usize = rounds.unwrap_or(5).max(1);
    pin(GENERATOR_CORE)?;
    for load in &LOADS {
        println!("\n{}", load.name);
        println!("  way                       CPU µs/packet  ÷ first  calls/packet  lost %");
        let mut found: [Vec<Found>; WAYS.len()] = [const { Vec::new() }; WAYS.len()];
        for _ in 0..rounds {
            for ((_, way), found) in WAYS.iter().zip(&mut found) {
                found.push(measure(load, *way)?);
            }
        }
        for ((name, _), way) in WAYS.iter().zip(&found) {
            let median = |of: fn(&Found) -> f64| median(way.iter().map(of));
            let pairs = way.iter().zip(&found[0]);
            let ratio =
                self::median(pairs.map(|(way, first)| way.microseconds / first.microseconds));
            println!(
                "  {name:<25} {:>13.2}  {ratio:>7.2}  {:>12.2}  {:>6.2}",
                median(|found| found.microseconds),
                median(|found| found.calls),
                median(|found| found.lost),
            );
        }
    }
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn measure(load: &Load, way: Way) -> io::Result<Found> {
    let stage = Stage::set(load)?;
    thread::scope(|scope| {
        let forwarder = scope.spawn(|| stage.forward(way));
        let generator = Generator::new(&stage, load);
        stage.ready.wait();
        let mut generator = generator?;
        generator.run(WARM_UP)?;
        let reading = |generator: &Generator<'_>| -> io::Result<[u64; 4]> {
            let calls = stage.calls.load(Ordering::Relaxed);
            Ok([run_time()?, calls, generator.sent, generator.arrived])
        };
        let before = reading(&generator)?;
        generator.run(WINDOW)?;
        let after = reading(&generator)?;
        stage.stop.store(true, Ordering::Relaxed);
        // Wakes it, whichever socket it waits for.
        generator.send()?;
        match forwarder.join() {
            Ok(ended) => ended?,
            Err(_) => return Err(io::Error::other("the forwarder has panicked")),
        }
        let mut grown = [0.0; 4];
        for ((grown, after), before) in grown.iter_mut().zip(after).zip(before) {
            *grown = (after - before) as f64;
        }
        let [nanoseconds, calls, sent, arrived] = grown;
        Ok(Found {
            microseconds: nanoseconds / 1e3 / arrived,
            calls: calls / arrived,
            lost: (1.0 - arrived / sent).max(0.0) * 100.0,
        })
    })
}

/// Sends at a rate and takes what arrives, spinning.
struct Generator<'s> {
    stage: &'s Stage,
    load: &'s Load,
    arena: Arena,
    addresses: Vec<SocketAddr>,
    packet: [u8; HEADER + PAYLOAD],
    next: usize,
    sent: u64,
    arrived: u64,
}

impl<'s> Generator<'s> {
    fn new(stage: &'s Stage, load: &'s Load) -> io::Result<Self> {
        let addresses = stage.relays.iter().map(UdpSocket::local_addr);
        Ok(Self {
            stage,
            load,
            arena: Arena::new(Backend::detect(), 64, 0, 0),
            addresses: addresses.collect::<io::Result<_>>()?,
            packet: [0; HEADER + PAYLOAD],
            next: 0,
            sent: 0,
            arrived: 0,
        })
    }

    fn run(&mut self, span: Duration) -> io::Result<()> {
        let began = Instant::now();
        let mut done = 0;
        loop {
            let elapsed = began.elapsed();
            if elapsed >= span {
                return Ok(());
            }
            let due = elapsed.as_micros() as u64 * self.load.rate / 1_000_000;
            done = done.max(due.saturating_sub(BACKLOG));
            while done < due {
                self.send()?;
                done += 1;
            }
            self.receive()?;
        }
    }

    fn send(&mut self) -> io::Result<()> {
        let (stage, flow) = (self.stage, self.next);
        self.next = (flow + 1) % self.addresses.len();
        if self.load.to_clients {
            let to = self.addresses[flow];
            stage.peer.send_to(&self.packet[HEADER..], to)?;
        } else {
            self.packet[..HEADER].copy_from_slice(&(flow as u32).to_be_bytes());
            stage.client.send(&self.packet)?;
        }
        self.sent += 1;
        Ok(())
    }

    fn receive(&mut self) -> io::Result<()> {
        let sink = if self.load.to_clients {
            &self.stage.client
        } else {
            &self.stage.peer
        };
        let slots = self.arena.slots();
        self.arrived += self.arena.receive(sink.as_fd(), 0, slots)? as u64;
        Ok(())
    }
}

/// Nanoseconds that all threads but this one have run: the forwarder, and what a ring may have beside it.
fn run_time() -> io::Result<u64> {
    let own = fs::read_link("/proc/thread-self")?;
    let mut total = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?;
        if own.file_name() != Some(&task.file_name()) {
            let text = fs::read_to_string(task.path().join("schedstat"))?;
            let ran = text.split_whitespace().next();
            total += ran.and_then(|ran| ran.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(total)
}

/// Keeps this thread on one core.
fn pin(core: usize) -> io::Result<()> {
    // SAFETY: a set of bits, for which zeroes are a value; the kernel reads it while it is borrowed, and as much as there is.
    let pinned = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    };
    if pinned == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
