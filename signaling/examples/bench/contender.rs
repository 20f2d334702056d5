//! Who is compared, and their processes as the kernel sees them.
//!
//! In: starting, ending, memory, processor time. Not in: what is said to them.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::sleep;

/// How long anything may take before the bench gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Which protocol is spoken, which is also which work is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Dialect {
    PeerJs,
    SocketIo,
    Native,
    Stream,
}

#[derive(Debug)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) dialect: Dialect,
    /// The file to run with node; ours without.
    pub(crate) script: Option<&'static str>,
}

impl Contender {
    pub(crate) fn is_ours(&self) -> bool {
        self.script.is_none()
    }
}

pub(crate) const CONTENDERS: [Contender; 6] = [
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
    Contender {
        name: "ours, stream",
        dialect: Dialect::Stream,
        script: None,
    },
];

/// Whether our own service keeps the pace that it imposes on clients. Others have none.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    Kept,
    Lifted,
}

/// A contender's process, on the last of the machine's cores; killed when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Running {
    pub(crate) async fn start(contender: &Contender, pace: Pace) -> Running {
        let port = free_port();
        let command = match contender.script {
            None => vec![
                std::env::current_exe().unwrap().into(),
                match pace {
                    Pace::Kept => "serve-paced".into(),
                    Pace::Lifted => "serve".into(),
                },
                port.to_string().into(),
            ],
            Some(script) => {
                let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/clients/bench");
                vec![
                    "node".into(),
                    folder.join(script).into(),
                    port.to_string().into(),
                ]
            }
        };
        Running::launch(&command, port).await
    }

    /// Starts our own service, run by another program if there are words for one: as built into this one, or a `signaling`.
    pub(crate) async fn start_under(runner: &[String], program: Option<&Path>) -> Running {
        let port = free_port();
        let mut command: Vec<OsString> = runner.iter().map(OsString::from).collect();
        match program {
            None => command.extend([
                std::env::current_exe().unwrap().into(),
                "serve-paced".into(),
                port.to_string().into(),
            ]),
            Some(program) => {
                command.extend([program.into(), format!("--listen=127.0.0.1:{port}").into()])
            }
        }
        Running::launch(&command, port).await
    }

    async fn launch(words: &[OsString], port: u16) -> Running {
        let child = Command::new("taskset")
            .args(["--cpu-list", &last_core().to_string()])
            .args(words)
            // One core's worth, of whatever is built on tokio.
            .env("TOKIO_WORKER_THREADS", "1")
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts; npm ci in tests/clients");
        let address = ([127, 0, 0, 1], port).into();
        let running = Running { child, address };
        let begun = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            assert!(begun.elapsed() < PATIENCE, "{words:?} does not start");
            sleep(Duration::from_millis(20)).await;
        }
        running
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as an operator does, and waits until it has.
    pub(crate) async fn end(mut self) {
        work_counts::signal(self.pid(), "-TERM").unwrap();
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap()
    }

    /// What of its memory is in RAM and its own: of a file that others map, it needs no copy.
    pub(crate) fn resident_kib(&self) -> f64 {
        let status = self.proc("status");
        let line = status
            .lines()
            .find(|line| line.starts_with("RssAnon"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Seconds of processor time, its own and the kernel's for it, in hundredths as Linux counts them.
    pub(crate) fn cpu(&self) -> f64 {
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

    /// How often its threads have gone to sleep.
    pub(crate) fn sleeps(&self) -> u64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        threads
            .map(|thread| {
                let status = std::fs::read_to_string(thread.unwrap().path().join("status"));
                let status = status.unwrap_or_default();
                let line = status
                    .lines()
                    .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
                line.map_or(0, |count| count.trim().parse().unwrap())
            })
            .sum()
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn last_core() -> usize {
    std::thread::available_parallelism().map_or(0, |cores| cores.get() - 1)
}
