//! Measures this service beside the npm servers `peer` and `socket.io` doing the same work, in one run on one machine.
//!
//! ```text
//! cargo run --release -p signaling --example bench            the whole comparison
//! cargo run --release -p signaling --example bench -- --smoke a moment of each; counts and order are checked, times mean nothing
//! ```
//!
//! A contender is a process of its own; the load is this one. What is said about CPU is the contender's own time as the kernel
//! counts it, so that the two need no cores of their own: messages per second and core are messages per second of that time.
//! Connections speak WebSocket without a library, because one would take more time than the servers. The npm packages are
//! those of `tests/clients`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a bench measures time, and a panic is its report"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ice_api::{Endpoint, Issuer};
use signaling::hub::Limits;
use signaling::{Config, Doors, Gate, HistoryKeys, Identification, Signaling};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes that one tells the other.
const SIGNAL: usize = 500;

/// Which protocol is spoken, which is also which work is done.
#[derive(Clone, Copy, PartialEq)]
enum Dialect {
    PeerJs,
    SocketIo,
    Native,
}

struct Contender {
    name: &'static str,
    dialect: Dialect,
    /// The file to run with node; ours without.
    script: Option<&'static str>,
}

const CONTENDERS: [Contender; 5] = [
    Contender {
        name: "ours, PeerJS",
        dialect: Dialect::PeerJs,
        script: None,
    },
    Contender {
        name: "npm peer",
        dialect: Dialect::PeerJs,
        script: Some("peer.mjs"),
    },
    Contender {
        name: "ours, Socket.IO",
        dialect: Dialect::SocketIo,
        script: None,
    },
    Contender {
        name: "npm socket.io",
        dialect: Dialect::SocketIo,
        script: Some("socketio.mjs"),
    },
    Contender {
        name: "ours, native",
        dialect: Dialect::Native,
        script: None,
    },
];

struct Size {
    idle: usize,
    pairs: usize,
    messages: usize,
    paced: Duration,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread();
    match arguments.first().map(String::as_str) {
        Some("serve") => {
            // One core's worth: messages per second and core are to be seen as they are.
            let mut runtime = runtime;
            let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(serve(arguments[1].parse().unwrap()));
        }
        first => {
            let smoke = first == Some("--smoke");
            let size = match smoke {
                true => Size {
                    idle: 50,
                    pairs: 5,
                    messages: 40,
                    paced: Duration::from_millis(300),
                },
                false => Size {
                    idle: 15_000,
                    pairs: 200,
                    messages: 1_000,
                    paced: Duration::from_secs(5),
                },
            };
            let mut runtime = runtime;
            let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(compare(&size));
        }
    }
}

/// Our own service, without the pace that it would impose on one connection.
async fn serve(port: u16) {
    let limits = Limits {
        rate: 1_000_000,
        burst: 1_000_000,
        outbox: 4_096,
        ..Limits::default()
    };
    let signaling = Signaling::start(Config {
        limits,
        gate: Gate::default(),
        identification: Identification::Anonymous,
        ice: Arc::new(Issuer::here(Endpoint::plain(3478))),
        call_log: None,
        history_keys: HistoryKeys::default(),
        doors: Doors::default(),
        api: None,
        fleet: None,
    });
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    println!("ready");
    let (_stop, stopping) = watch::channel(false);
    signaling::server::serve(listener, signaling.router(), 20_000, stopping)
        .await
        .unwrap();
}

async fn compare(size: &Size) {
    println!(
        "{:<18} {:>12} {:>14} {:>14} {:>10} {:>10} {:>10}",
        "", "KiB per idle", "messages/s", "messages/s", "p50 at", "p99 at", "lost or"
    );
    println!(
        "{:<18} {:>12} {:>14} {:>14} {:>10} {:>10} {:>10}",
        "", "connection", "and core", "at most", "half", "half", "disordered"
    );
    let mut rows = Vec::new();
    for contender in &CONTENDERS {
        let row = measure(contender, size).await;
        println!(
            "{:<18} {:>12.1} {:>14.0} {:>14.0} {:>7.2} ms {:>7.2} ms {:>10}",
            contender.name,
            row.idle_kib,
            row.per_core,
            row.per_second,
            row.p50_ms,
            row.p99_ms,
            row.wrong
        );
        assert_eq!(
            row.wrong, 0,
            "{} loses or disorders messages",
            contender.name
        );
        rows.push(row);
    }
    for (ours, theirs) in [(0, 1), (2, 3)] {
        println!(
            "{} beside {}: memory {:.2}x, messages per core {:.1}x",
            CONTENDERS[ours].name,
            CONTENDERS[theirs].name,
            rows[ours].idle_kib / rows[theirs].idle_kib,
            rows[ours].per_core / rows[theirs].per_core
        );
    }
}

struct Row {
    idle_kib: f64,
    per_core: f64,
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    wrong: u64,
}

async fn measure(contender: &Contender, size: &Size) -> Row {
    let server = Running::start(contender).await;
    let before = server.resident_kib();
    let mut idle = Vec::new();
    for number in 0..size.idle {
        idle.push(Line::open(&server, contender.dialect, &format!("idle-{number}")).await);
    }
    sleep(Duration::from_millis(500)).await;
    let idle_kib = (server.resident_kib() - before) / size.idle as f64;
    drop(idle);
    drop(server);

    let server = Running::start(contender).await;
    let mut pairs = Vec::new();
    for number in 0..size.pairs {
        pairs.push(Pair::meet(&server, contender.dialect, number).await);
    }
    let (cpu, begun) = (server.cpu(), Instant::now());
    let (pairs, flood) = run(pairs, size.messages, None).await;
    let took = begun.elapsed().as_secs_f64();
    let used = (server.cpu() - cpu).max(0.01);
    let total = (size.pairs * size.messages) as f64;
    let (per_core, per_second) = (total / used, total / took);

    // Half of what it can do, evenly.
    let rate = (per_core.min(per_second) / 2.0).max(1.0);
    let gap = Duration::from_secs_f64(size.pairs as f64 / rate);
    let messages = (size.paced.as_secs_f64() / gap.as_secs_f64()).max(5.0) as usize;
    let (_pairs, paced) = run(pairs, messages, Some(gap)).await;
    let mut latencies = paced.latencies;
    latencies.sort_unstable();
    let at = |share: f64| {
        let index = ((latencies.len() - 1) as f64 * share) as usize;
        latencies[index] as f64 / 1_000_000.0
    };
    Row {
        idle_kib,
        per_core,
        per_second,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        wrong: flood.wrong + paced.wrong,
    }
}

#[derive(Default)]
struct Heard {
    latencies: Vec<u64>,
    wrong: u64,
}

/// Lets the first of each pair say so much to the second, and returns what all have heard.
async fn run(pairs: Vec<Pair>, messages: usize, gap: Option<Duration>) -> (Vec<Pair>, Heard) {
    let epoch = Instant::now();
    let tasks: Vec<_> = pairs
        .into_iter()
        .enumerate()
        .map(|(index, pair)| {
            // Nobody begins at the same moment.
            let offset = gap.map(|gap| gap.mul_f64(index as f64 / 200.0 % 1.0));
            tokio::spawn(pair.talk(epoch, messages, gap.zip(offset)))
        })
        .collect();
    let (mut back, mut all) = (Vec::new(), Heard::default());
    for task in tasks {
        let (pair, mut heard) = task.await.unwrap();
        back.push(pair);
        all.latencies.append(&mut heard.latencies);
        all.wrong += heard.wrong;
    }
    (back, all)
}

/// Two who are in a call, or know each other's ids.
struct Pair {
    sender: Line,
    receiver: Line,
    envelope: (String, String),
}

impl Pair {
    async fn meet(server: &Running, dialect: Dialect, number: usize) -> Pair {
        let (one, other, call) = (
            format!("a{number}"),
            format!("b{number}"),
            format!("c{number}"),
        );
        let mut sender = Line::open(server, dialect, &one).await;
        let mut receiver = Line::open(server, dialect, &other).await;
        let envelope = match dialect {
            Dialect::PeerJs => (
                format!(r#"{{"type":"CANDIDATE","dst":"{other}","payload":""#),
                r#""}"#,
            ),
            Dialect::SocketIo => {
                sender.say(&format!(r#"42["call-initiate",{{"callId":"{call}","participants":["{other}"],"type":"video"}}]"#)).await;
                receiver.until("call-incoming").await;
                receiver
                    .say(&format!(r#"42["call-accept",{{"callId":"{call}"}}]"#))
                    .await;
                sender.until("call-accepted").await;
                (
                    format!(r#"42["webrtc-signal",{{"callId":"{call}","to":"{other}","signal":""#),
                    r#""}]"#,
                )
            }
            Dialect::Native => {
                sender
                    .say(&format!(r#"{{"type":"join","room":"{call}"}}"#))
                    .await;
                sender.until(r#""joined""#).await;
                receiver
                    .say(&format!(r#"{{"type":"join","room":"{call}"}}"#))
                    .await;
                receiver.until(r#""joined""#).await;
                let joined = sender.until("peer-joined").await;
                let id = joined
                    .split(r#""id":""#)
                    .nth(1)
                    .unwrap()
                    .split('"')
                    .next()
                    .unwrap()
                    .to_owned();
                (
                    format!(r#"{{"type":"signal","to":"{id}","data":""#),
                    r#""}"#,
                )
            }
        };
        let envelope = (envelope.0, envelope.1.to_owned());
        Pair {
            sender,
            receiver,
            envelope,
        }
    }

    /// Says numbers and times, and checks that they arrive in their order.
    async fn talk(
        self,
        epoch: Instant,
        messages: usize,
        pace: Option<(Duration, Duration)>,
    ) -> (Pair, Heard) {
        let Pair {
            sender,
            mut receiver,
            envelope,
        } = self;
        let Line {
            reading,
            mut writing,
            received,
        } = sender;
        let said = Arc::new(AtomicU64::new(0));
        let (counter, own) = (Arc::clone(&said), envelope.clone());
        let saying = tokio::spawn(async move {
            for number in 0..messages {
                if let Some((gap, offset)) = pace {
                    let due = epoch + offset + gap.mul_f64(number as f64);
                    tokio::time::sleep_until(due.into()).await;
                } else {
                    // As much under way as a browser's candidates, not as much as memory holds.
                    while number as u64 >= counter.load(Ordering::Relaxed) + 32 {
                        tokio::task::yield_now().await;
                    }
                }
                let at = epoch.elapsed().as_nanos();
                let mut text = format!("{}#{number:08}@{at:020}#", own.0);
                text.extend(std::iter::repeat_n('x', SIGNAL - 31));
                text.push_str(&own.1);
                write(&mut writing, &text).await;
            }
            writing
        });
        let mut heard = Heard::default();
        for expected in 0..messages {
            let text = receiver.until("#").await;
            let part = text.split('#').nth(1).unwrap();
            let (number, at) = part.split_once('@').unwrap();
            heard.wrong += u64::from(number.parse() != Ok(expected));
            let at: u64 = at.parse().unwrap();
            heard.latencies.push(epoch.elapsed().as_nanos() as u64 - at);
            said.fetch_add(1, Ordering::Relaxed);
        }
        let sender = Line {
            reading,
            writing: saying.await.unwrap(),
            received,
        };
        (
            Pair {
                sender,
                receiver,
                envelope,
            },
            heard,
        )
    }
}

/// One connection.
struct Line {
    reading: OwnedReadHalf,
    writing: OwnedWriteHalf,
    received: Vec<u8>,
}

impl Line {
    async fn open(server: &Running, dialect: Dialect, name: &str) -> Line {
        let path = match dialect {
            Dialect::PeerJs => format!("/peerjs?key=peerjs&id={name}&token=t&version=1.5.5"),
            Dialect::SocketIo => "/socket.io/?EIO=4&transport=websocket".to_owned(),
            Dialect::Native => format!("/ws?token={name}"),
        };
        let stream = TcpStream::connect(server.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (reading, mut writing) = stream.into_split();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            server.address
        );
        writing.write_all(request.as_bytes()).await.unwrap();
        let mut line = Line {
            reading,
            writing,
            received: Vec::new(),
        };
        let end = loop {
            match line
                .received
                .windows(4)
                .position(|four| four == b"\r\n\r\n")
            {
                Some(end) => break end + 4,
                None => line.more().await,
            }
        };
        line.received.drain(..end);
        match dialect {
            Dialect::PeerJs => line.until("OPEN").await,
            Dialect::SocketIo => {
                line.until("0{").await;
                line.say(&format!(r#"40{{"token":"{name}"}}"#)).await;
                line.until("40{").await
            }
            Dialect::Native => line.until("connected").await,
        };
        line.received.shrink_to_fit();
        line
    }

    async fn more(&mut self) {
        let read = timeout(PATIENCE, self.reading.read_buf(&mut self.received)).await;
        assert!(read.expect("nothing comes").unwrap() > 0, "closed");
    }

    async fn say(&mut self, text: &str) {
        write(&mut self.writing, text).await;
    }

    /// Skips texts until one contains something. Pings of Socket.IO are left to its patience.
    async fn until(&mut self, part: &str) -> String {
        loop {
            while let Some(text) = self.text() {
                if text.contains(part) {
                    return text;
                }
            }
            self.more().await;
        }
    }

    fn text(&mut self) -> Option<String> {
        let (start, length) = match *self.received.get(1)? {
            126 => (
                4,
                usize::from(u16::from_be_bytes(*self.received.get(2..)?.first_chunk()?)),
            ),
            127 => panic!("a frame of more than 64 KiB"),
            length => (2, usize::from(length)),
        };
        let payload = self.received.get(start..start + length)?;
        let text = String::from_utf8_lossy(payload).into_owned();
        self.received.drain(..start + length);
        Some(text)
    }
}

/// Writes a masked text frame; the mask of zeros is one as good as any other to whoever has to undo it.
async fn write(writing: &mut OwnedWriteHalf, text: &str) {
    let length = u16::try_from(text.len()).unwrap();
    let mut frame = vec![0x81];
    if length < 126 {
        frame.push(0x80 | length as u8);
    } else {
        frame.push(0x80 | 126);
        frame.extend_from_slice(&length.to_be_bytes());
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text.as_bytes());
    writing.write_all(&frame).await.unwrap();
}

/// A contender's process, killed when dropped.
struct Running {
    child: Child,
    address: SocketAddr,
}

impl Running {
    async fn start(contender: &Contender) -> Running {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut command = match contender.script {
            None => {
                let mut command = Command::new(std::env::current_exe().unwrap());
                command.arg("serve");
                command
            }
            Some(script) => {
                let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/clients/bench");
                let mut command = Command::new("node");
                command.arg(folder.join(script));
                command
            }
        };
        let child = command
            .arg(port.to_string())
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts; npm ci in tests/clients");
        let address = ([127, 0, 0, 1], port).into();
        let running = Running { child, address };
        let begun = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            assert!(
                begun.elapsed() < PATIENCE,
                "{} does not start",
                contender.name
            );
            sleep(Duration::from_millis(20)).await;
        }
        running
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap()
    }

    fn resident_kib(&self) -> f64 {
        let status = self.proc("status");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Seconds of CPU time, its own and the kernel's for it, in hundredths as Linux counts them.
    fn cpu(&self) -> f64 {
        let stat = self.proc("stat");
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
        (ticks(11) + ticks(12)) / 100.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
