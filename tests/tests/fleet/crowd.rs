//! Pairs of users in calls, who talk all the time and come back wherever a load balancer would send them.
//!
//! Most calls are between two nodes, some within one, and each node has the same share of the users whenever something happens to it.
//!
//! Everybody numbers what is said to the other. So whoever hears it knows what is missing, what comes twice and what comes
//! out of order; and notes when nothing came for long, and whether the call was ended.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{interval, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

const PATIENCE: Duration = Duration::from_secs(20);

/// How often everybody says something.
const PACE: Duration = Duration::from_millis(100);

/// Where clients are sent.
#[derive(Clone)]
pub(crate) struct Balancer(Arc<Mutex<Vec<Option<SocketAddr>>>>);

impl Balancer {
    pub(crate) fn new(nodes: impl Iterator<Item = SocketAddr>) -> Balancer {
        Balancer(Arc::new(Mutex::new(nodes.map(Some).collect())))
    }

    /// Sends clients to this node again, or no longer.
    pub(crate) fn set(&self, node: usize, address: Option<SocketAddr>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[node] = address;
    }

    /// The wanted node, or the next one.
    fn choose(&self, wanted: usize) -> Option<(usize, SocketAddr)> {
        let nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut candidates = (0..nodes.len()).map(|step| (wanted + step) % nodes.len());
        candidates.find_map(|node| Some((node, nodes[node]?)))
    }
}

/// Between whom something happens.
#[derive(Clone, Copy)]
pub(crate) enum Cut {
    /// Nothing that anybody has to notice.
    None,
    /// A node is away, with its clients.
    Dead(usize),
    /// A node is apart from the others.
    Off(usize),
    /// Each node is apart from the others.
    Everywhere,
}

impl Cut {
    /// Says whether it concerns a call of users at these nodes.
    fn is_between(self, one: usize, other: usize) -> bool {
        match self {
            Cut::None => false,
            Cut::Dead(node) => one == node || other == node,
            Cut::Off(node) => (one == node) != (other == node),
            Cut::Everywhere => one != other,
        }
    }
}

/// What one user has seen, or many.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    pub(crate) said: u64,
    pub(crate) heard: u64,
    pub(crate) lost: u64,
    /// Twice, or after something said later.
    pub(crate) disordered: u64,
    pub(crate) ended: u64,
    pub(crate) reconnected: u64,
    pub(crate) longest_silence: Duration,
    last: u64,
    last_at: Option<Instant>,
    /// The node that the user is connected to.
    at: usize,
}

impl Seen {
    /// Takes out what was seen since the last time.
    fn take(&mut self) -> Seen {
        let silent = self.last_at.map_or(Duration::ZERO, |at| at.elapsed());
        self.longest_silence = self.longest_silence.max(silent);
        let next = Seen {
            last: self.last,
            last_at: self.last_at,
            at: self.at,
            ..Seen::default()
        };
        std::mem::replace(self, next)
    }

    fn add(&mut self, other: &Seen) {
        self.said += other.said;
        self.heard += other.heard;
        self.lost += other.lost;
        self.disordered += other.disordered;
        self.ended += other.ended;
        self.reconnected += other.reconnected;
        self.longest_silence = self.longest_silence.max(other.longest_silence);
    }
}

/// Somebody in a call.
struct Caller {
    name: String,
    other: String,
    call: String,
    wanted: usize,
    balancer: Balancer,
    seen: Arc<Mutex<Seen>>,
    /// Changes when everybody is to go where it wants to be.
    round: watch::Receiver<u32>,
}

pub(crate) struct Crowd {
    nodes: usize,
    names: Vec<String>,
    /// What the two of each call have seen, one after the other.
    seen: Vec<Arc<Mutex<Seen>>>,
    /// Where the two of each call want to be.
    calls: Vec<(usize, usize)>,
    round: watch::Sender<u32>,
}

impl Crowd {
    /// Lets pairs call each other, the caller on one node and the callee on the next; and on each node some among themselves.
    pub(crate) async fn gather(
        pairs: usize,
        on_each: usize,
        nodes: usize,
        balancer: &Balancer,
    ) -> Result<Crowd> {
        let round = watch::Sender::new(0);
        let (mut seen, mut names) = (Vec::new(), Vec::new());
        let across = (0..pairs).map(|pair| (pair % nodes, (pair + 1) % nodes));
        let within = (0..on_each * nodes).map(|pair| (pair % nodes, pair % nodes));
        let calls: Vec<(usize, usize)> = across.chain(within).collect();
        for (pair, (here, there)) in calls.iter().copied().enumerate() {
            let (one, other) = (format!("caller-{pair}"), format!("callee-{pair}"));
            let call = format!("call-{pair}");
            let caller = |name: &str, other: &str, wanted: usize| Caller {
                name: name.to_owned(),
                other: other.to_owned(),
                call: call.clone(),
                wanted,
                balancer: balancer.clone(),
                seen: Arc::default(),
                round: round.subscribe(),
            };
            let one = caller(&one, &other, here);
            let other = caller(&one.other, &one.name, there);
            let (mut first, mut second) = (one.connect().await?, other.connect().await?);
            // The log has to bring the callee's arrival to the caller's node.
            second.until("connected").await?;
            first.until("connected").await?;
            sleep(Duration::from_millis(50)).await;
            first
                .send(json!({"type": "call-initiate", "callId": call, "recipientIds": [other.name], "callType": "video"}))
                .await?;
            second.until("incoming-call").await?;
            second
                .send(json!({"type": "call-answer", "callId": call}))
                .await?;
            first.until("call-answered").await?;
            for (line, said, to) in [
                (&mut first, "offer", &other.name),
                (&mut second, "answer", &one.name),
            ] {
                line.send(json!({"type": said, "callId": call, "recipientId": to, "sdp": "v=0"}))
                    .await?;
            }
            second.until("offer").await?;
            first.until("answer").await?;
            for (caller, line) in [(one, first), (other, second)] {
                seen.push(Arc::clone(&caller.seen));
                names.push(caller.name.clone());
                tokio::spawn(caller.talk(line));
            }
        }
        Ok(Crowd {
            nodes,
            names,
            seen,
            calls,
            round,
        })
    }

    /// Has everybody go back to where it wanted to be, and forgets what that cost. All nodes have the same share then.
    pub(crate) async fn spread(&self) -> Result<()> {
        self.round.send_modify(|round| *round += 1);
        let begun = Instant::now();
        let equal = vec![self.seen.len() / self.nodes; self.nodes];
        while self.shares() != equal {
            ensure!(
                begun.elapsed() < PATIENCE,
                "shares of the nodes: {:?}, and not {equal:?}",
                self.shares()
            );
            sleep(Duration::from_millis(20)).await;
        }
        // What was underway when somebody moved has come, or is missed.
        self.all_hear().await?;
        sleep(5 * PACE).await;
        let moved = self.seen();
        ensure!(moved.ended == 0, "a call ended because somebody moved");
        Ok(())
    }

    /// How many users each node has.
    fn shares(&self) -> Vec<usize> {
        let mut shares = vec![0; self.nodes];
        for one in &self.seen {
            shares[one.lock().unwrap_or_else(PoisonError::into_inner).at] += 1;
        }
        shares
    }

    /// Everybody.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Those who are connected to a node.
    pub(crate) fn names_at(&self, node: usize) -> Vec<String> {
        let is_there =
            |one: &Arc<Mutex<Seen>>| one.lock().unwrap_or_else(PoisonError::into_inner).at == node;
        let both = self.names.iter().zip(&self.seen);
        both.filter(|(_, seen)| is_there(seen))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// What all have seen since the last time.
    pub(crate) fn seen(&self) -> Seen {
        let (mut all, within) = self.seen_around(Cut::Everywhere);
        all.add(&within);
        all
    }

    /// The same, of the calls that a cut concerns, and of the others.
    pub(crate) fn seen_around(&self, cut: Cut) -> (Seen, Seen) {
        let (mut across, mut within) = (Seen::default(), Seen::default());
        for (pair, (one, other)) in self.seen.chunks(2).zip(&self.calls) {
            let side = match cut.is_between(*one, *other) {
                true => &mut across,
                false => &mut within,
            };
            for one in pair {
                side.add(&one.lock().unwrap_or_else(PoisonError::into_inner).take());
            }
        }
        (across, within)
    }

    /// Waits until everybody hears the other again.
    pub(crate) async fn all_hear(&self) -> Result<Duration> {
        let begun = Instant::now();
        for one in &self.seen {
            while one
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .last_at
                .is_none_or(|at| at <= begun)
            {
                ensure!(
                    begun.elapsed() < PATIENCE,
                    "somebody hears nothing any more"
                );
                sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(begun.elapsed())
    }
}

impl Caller {
    async fn connect(&self) -> Result<Line> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some((node, address)) = self.balancer.choose(self.wanted)
                && let Ok(line) = Line::open(address, &format!("/?token={}", self.name)).await
            {
                self.note(|seen| seen.at = node);
                return Ok(line);
            }
            sleep(Duration::from_millis(50)).await;
        }
        bail!("{} finds no node", self.name);
    }

    /// Talks and listens, on one connection after the other.
    async fn talk(mut self, mut line: Line) -> Result<()> {
        let mut pace = interval(PACE);
        let mut number = 0_u64;
        loop {
            let step = tokio::select! {
                message = line.recv() => match message {
                    Ok(message) => {
                        self.hear(&message);
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                _ = self.round.changed() => match self.is_elsewhere() {
                    true => Err(anyhow!("it goes back")),
                    false => Ok(()),
                },
                _ = pace.tick() => {
                    number += 1;
                    self.note(|seen| seen.said += 1);
                    line.send(json!({"type": "ice-candidate", "callId": self.call, "recipientId": self.other, "candidate": number})).await
                }
            };
            if step.is_err() {
                line = self.connect().await?;
                self.note(|seen| seen.reconnected += 1);
            }
        }
    }

    fn is_elsewhere(&self) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).at != self.wanted
    }

    fn hear(&self, message: &Value) {
        match message["type"].as_str() {
            Some("ice-candidate") => {
                let number = message["candidate"].as_u64().unwrap_or_default();
                self.note(|seen| {
                    seen.heard += 1;
                    match number.checked_sub(seen.last + 1) {
                        Some(missing) => {
                            seen.lost += missing;
                            seen.last = number;
                        }
                        None => seen.disordered += 1,
                    }
                    let now = Instant::now();
                    if let Some(before) = seen.last_at.replace(now) {
                        seen.longest_silence = seen.longest_silence.max(now - before);
                    }
                });
            }
            Some("call-ended") => self.note(|seen| seen.ended += 1),
            _ => {}
        }
    }

    fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// One connection.
pub(crate) struct Line(WebSocketStream<TcpStream>);

impl Line {
    pub(crate) async fn open(address: SocketAddr, path: &str) -> Result<Line> {
        let opened = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (socket, _) = client_async(format!("ws://{address}{path}"), stream).await?;
            Ok(Line(socket))
        };
        timeout(PATIENCE, opened).await?
    }

    pub(crate) async fn send(&mut self, message: Value) -> Result<()> {
        Ok(self.0.send(Message::text(message.to_string())).await?)
    }

    pub(crate) async fn recv(&mut self) -> Result<Value> {
        loop {
            match self.0.next().await.context("closed")?? {
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                Message::Close(frame) => bail!("closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// Skips messages until one of a type.
    pub(crate) async fn until(&mut self, kind: &str) -> Result<Value> {
        let found = async {
            loop {
                let message = self.recv().await?;
                if message["type"] == kind {
                    return Ok(message);
                }
            }
        };
        timeout(PATIENCE, found)
            .await
            .with_context(|| format!("no {kind} came"))?
    }
}

/// Asks a node who is there until it says what is expected; returns how long that took.
pub(crate) async fn until_present(
    address: SocketAddr,
    names: &[String],
    there: bool,
) -> Result<Duration> {
    let begun = Instant::now();
    let mut line = Line::open(address, "/?token=onlooker").await?;
    loop {
        line.send(json!({"type": "presence"})).await?;
        let answer = line.until("presence").await?;
        let users = answer["users"].as_array().context("a list")?;
        let is_there = |name: &String| users.iter().any(|user| user == name.as_str());
        if names.iter().all(|name| is_there(name) == there) {
            return Ok(begun.elapsed());
        }
        ensure!(
            begun.elapsed() < PATIENCE,
            "presence is wrong after {PATIENCE:?}: {users:?}"
        );
        // Twenty messages a second are allowed.
        sleep(Duration::from_millis(60)).await;
    }
}
