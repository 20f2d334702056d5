//! A Redis and nodes of `signaling` around it, each of which can be killed, stopped and cut off.
//!
//! A node reaches Redis through a line of its own: a proxy in this process that passes bytes on until it is cut, and then passes
//! none while the connections stay open, as a network does that has fallen apart.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::process::Process;
use e2e::server::{free_port, signaling_command};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::redis::{HERE, Redis};

/// How long something may take to start on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Site {
    pub(crate) redis: Redis,
    nodes: Vec<Node>,
    /// What all nodes are started with besides.
    flags: Vec<String>,
}

struct Node {
    address: SocketAddr,
    process: Option<Process>,
    line: Line,
}

impl Site {
    /// Starts nodes around a Redis, which have found each other when this returns.
    pub(crate) async fn start(redis: Redis, nodes: usize) -> Result<Site> {
        Site::with(redis, nodes, Vec::new()).await
    }

    /// Starts them with flags of one's own.
    pub(crate) async fn with(redis: Redis, nodes: usize, flags: Vec<String>) -> Result<Site> {
        let mut site = Site {
            redis,
            nodes: Vec::new(),
            flags,
        };
        for _ in 0..nodes {
            let line = Line::to(site.redis.address()).await?;
            let address = (HERE, free_port(HERE)?).into();
            site.nodes.push(Node {
                address,
                process: None,
                line,
            });
        }
        for node in 0..nodes {
            site.start_node(node)?;
        }
        Ok(site)
    }

    pub(crate) fn address(&self, node: usize) -> SocketAddr {
        self.nodes[node].address
    }

    pub(crate) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Starts a node that is not running, and waits until it is among the others.
    pub(crate) fn start_node(&mut self, index: usize) -> Result<()> {
        let others = self.nodes.iter().filter(|node| node.process.is_some());
        let expected = format!("nodes of the fleet: {}", others.count() + 1);
        let node = &mut self.nodes[index];
        let mut command = signaling_command()?;
        command
            .arg(format!("--listen={}", node.address))
            .args(self.redis.flags(node.line.address))
            .arg(format!("--node-name=node-{index}"))
            .args(&self.flags);
        let mut process = Process::start(&mut command, &format!("signaling-{index}"))?;
        process.wait_for_output(&[&expected], PATIENCE)?;
        node.process = Some(process);
        Ok(())
    }

    /// Kills a node (SIGKILL): it says goodbye to nobody.
    pub(crate) fn kill_node(&mut self, index: usize) -> Result<()> {
        let process = self.nodes[index].process.take().context("it runs")?;
        signal(&process, Signal::KILL)
    }

    /// Ends a node in good order (SIGTERM).
    pub(crate) fn end_node(&mut self, index: usize) -> Result<()> {
        let mut process = self.nodes[index].process.take().context("it runs")?;
        signal(&process, Signal::TERM)?;
        process.wait(PATIENCE).map(|_| ())
    }

    pub(crate) fn signal_node(&self, index: usize, with: Signal) -> Result<()> {
        signal(self.nodes[index].process.as_ref().context("it runs")?, with)
    }

    /// Cuts a node off from Redis, or mends that.
    pub(crate) fn cut(&self, index: usize, cut: bool) {
        self.nodes[index].line.cut.store(cut, Ordering::Relaxed);
    }

    /// Counts how often a node's log says something.
    pub(crate) fn says(&self, index: usize, what: &str) -> usize {
        let process = self.nodes[index].process.as_ref();
        process.map_or(0, |process| process.output().matches(what).count())
    }
}

pub(crate) fn signal(process: &Process, with: Signal) -> Result<()> {
    let id = i32::try_from(process.id())?;
    Ok(kill_process(Pid::from_raw(id).context("an id")?, with)?)
}

/// A way to Redis that can be cut.
struct Line {
    address: SocketAddr,
    cut: Arc<AtomicBool>,
}

impl Line {
    async fn to(target: SocketAddr) -> Result<Line> {
        let listener = TcpListener::bind((HERE, 0)).await?;
        let address = listener.local_addr()?;
        let cut = Arc::new(AtomicBool::new(false));
        let cuts = Arc::clone(&cut);
        tokio::spawn(async move {
            while let Ok((here, _)) = listener.accept().await {
                tokio::spawn(pass(here, target, Arc::clone(&cuts)));
            }
        });
        Ok(Line { address, cut })
    }
}

/// Passes bytes both ways. While the line is cut, what comes waits in the sockets.
async fn pass(here: TcpStream, target: SocketAddr, cut: Arc<AtomicBool>) {
    while cut.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let Ok(there) = TcpStream::connect(target).await else {
        return;
    };
    let (here_in, here_out) = here.into_split();
    let (there_in, there_out) = there.into_split();
    tokio::select! {
        () = pass_one_way(here_in, there_out, &cut) => {}
        () = pass_one_way(there_in, here_out, &cut) => {}
    }
}

async fn pass_one_way(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    cut: &AtomicBool,
) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length) = from.read(&mut buffer).await {
        while cut.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if length == 0 || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
