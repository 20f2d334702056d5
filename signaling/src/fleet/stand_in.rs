//! Nodes around what stands for Redis, with everything between that is theirs, in virtual time.
//!
//! In: the six commands that nodes use, and a Redis that stands still: what is sent to it meanwhile is done when it goes on, even if
//! whoever sent it has hung up. Not in: the rules of nodes without links (`tests.rs`), and a real Redis (`tests/tests/fleet`).

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::LogId;
use super::client::{Client, Way};
use super::link::{self, Broken};
use super::resp::{Reader, Reply};
use crate::chance;
use crate::clock::Clock;
use crate::hub::{
    CallId, CallSignal, CallType, Command, ConnectionId, Event, Identity, Limits, Name, Payload,
    SignalKind, UserId,
};
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::switchboard::Switchboard;

/// What stands for Redis; cheap to clone.
#[derive(Clone)]
struct Redis(Arc<Inner>);

struct Inner {
    clock: Clock,
    store: Mutex<Store>,
    /// Says `false` while it stands still.
    goes: watch::Sender<bool>,
    /// How many entries there were, ever.
    written: watch::Sender<u64>,
}

#[derive(Default)]
struct Store {
    log: Vec<(LogId, Vec<u8>)>,
    values: HashMap<Vec<u8>, Vec<u8>>,
    /// The first value that each key had.
    first: HashMap<Vec<u8>, Vec<u8>>,
}

impl Redis {
    fn new() -> Redis {
        Redis(Arc::new(Inner {
            clock: Clock::start(),
            store: Mutex::default(),
            goes: watch::Sender::new(true),
            written: watch::Sender::new(0),
        }))
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.store.lock().unwrap()
    }

    async fn stand_still_for(&self, span: Duration) {
        self.0.goes.send_replace(false);
        sleep(span).await;
        self.0.goes.send_replace(true);
    }

    async fn serve(self, mut stream: DuplexStream) -> io::Result<()> {
        let mut reader = Reader::default();
        let mut goes = self.0.goes.subscribe();
        loop {
            while let Some(command) = reader.next().unwrap() {
                let _ = goes.wait_for(|goes| *goes).await;
                let reply = self.reply(&words(command)).await;
                // Whoever has hung up does not want to know.
                let _ = stream.write_all(&reply).await;
            }
            if stream.read_buf(reader.received()).await? == 0 {
                return Ok(());
            }
        }
    }

    async fn reply(&self, words: &[Vec<u8>]) -> Vec<u8> {
        let text = |index: usize| std::str::from_utf8(&words[index]).unwrap();
        match text(0) {
            "XADD" => bulk(self.add(words[7].clone()).to_string().as_bytes()),
            "XRANGE" => {
                let (from, to) = (LogId::parse(&words[2]), LogId::parse(&words[3]));
                let store = self.store();
                entries(
                    store
                        .log
                        .iter()
                        .filter(|(at, _)| Some(*at) >= from && Some(*at) <= to),
                )
            }
            "XREVRANGE" => {
                let (to, from) = (text(2), text(3));
                let exclusive = to.starts_with('(');
                let to = LogId::parse(to.trim_start_matches('(').as_bytes());
                let from: u64 = from.parse().unwrap_or_default();
                let store = self.store();
                let within = store.log.iter().rev().filter(|(at, _)| {
                    at.millis >= from && to.is_none_or(|to| *at < to || !exclusive && *at == to)
                });
                entries(within.take(text(5).parse().unwrap()))
            }
            "XREAD" => self.read(LogId::parse(&words[7]).unwrap(), text(2)).await,
            "GET" => match self.store().values.get(&words[1]) {
                Some(value) => bulk(value),
                None => b"$-1\r\n".to_vec(),
            },
            "SET" => {
                let mut store = self.store();
                store.values.insert(words[1].clone(), words[2].clone());
                let first = store.first.entry(words[1].clone());
                first.or_insert_with(|| words[2].clone());
                b"+OK\r\n".to_vec()
            }
            "DEL" => {
                self.store().values.remove(&words[1]);
                b":1\r\n".to_vec()
            }
            other => format!("-ERR {other}\r\n").into_bytes(),
        }
    }

    fn add(&self, entry: Vec<u8>) -> LogId {
        let mut store = self.store();
        // Its clock is far behind the nodes' own.
        let since = Duration::from_secs(1_700_000_000) + self.0.clock.now();
        let id = LogId {
            millis: u64::try_from(since.as_millis()).unwrap(),
            number: u64::try_from(store.log.len()).unwrap(),
        };
        store.log.push((id, entry));
        self.0.written.send_modify(|count| *count += 1);
        id
    }

    async fn read(&self, from: LogId, block: &str) -> Vec<u8> {
        let mut written = self.0.written.subscribe();
        let block = Duration::from_millis(block.parse().unwrap());
        let new = async {
            loop {
                let found = {
                    let store = self.store();
                    let new = store.log.iter().filter(|(at, _)| *at > from);
                    entries(new.take(256))
                };
                if found != b"*0\r\n" {
                    return found;
                }
                written.changed().await.unwrap();
            }
        };
        match timeout(block, new).await {
            Ok(found) => [b"*1\r\n*2\r\n$3\r\nlog\r\n", found.as_slice()].concat(),
            Err(_) => b"*-1\r\n".to_vec(),
        }
    }
}

fn words(command: Reply) -> Vec<Vec<u8>> {
    let Reply::List(words) = command else {
        panic!("no command: {command:?}");
    };
    let bytes = |word| match word {
        Reply::Bytes(bytes) => bytes,
        other => panic!("no word: {other:?}"),
    };
    words.into_iter().map(bytes).collect()
}

fn bulk(bytes: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

fn entries<'a>(entries: impl Iterator<Item = &'a (LogId, Vec<u8>)>) -> Vec<u8> {
    let entries: Vec<Vec<u8>> = entries
        .map(|(at, entry)| {
            let id = bulk(at.to_string().as_bytes());
            [b"*2\r\n", id.as_slice(), b"*2\r\n$1\r\ne\r\n", &bulk(entry)].concat()
        })
        .collect();
    [
        format!("*{}\r\n", entries.len()).into_bytes(),
        entries.concat(),
    ]
    .concat()
}

/// A node's way to it, which can be cut: then nothing comes back, and nobody is refused. Or it is gone: what is connected breaks, and
/// nothing new is.
#[derive(Clone)]
struct Line {
    redis: Redis,
    cut: watch::Receiver<bool>,
    gone: watch::Receiver<bool>,
}

impl Way for Line {
    async fn open(&self) -> Result<Client, Broken> {
        let mut gone = self.gone.clone();
        let there = timeout(link::PATIENCE, gone.wait_for(|gone| !*gone)).await;
        if there.is_err() {
            return Err(Broken::Silent);
        }
        let (here, near) = duplex(1024 * 1024);
        let (far, there) = duplex(1024 * 1024);
        tokio::spawn(self.redis.clone().serve(there));
        let (passes, mut gone) = (pass(near, far, self.cut.clone()), self.gone.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = passes => {}
                _ = gone.wait_for(|gone| *gone) => {}
            }
        });
        Ok(Client::over(Box::new(here)))
    }
}

/// Passes on what comes; what comes while the line is cut, when it is not any more.
async fn pass(near: DuplexStream, far: DuplexStream, cut: watch::Receiver<bool>) {
    let (near_in, near_out) = tokio::io::split(near);
    let (far_in, far_out) = tokio::io::split(far);
    let forth = pass_one_way(near_in, far_out, cut.clone());
    let back = pass_one_way(far_in, near_out, cut);
    tokio::join!(forth, back);
}

async fn pass_one_way(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut cut: watch::Receiver<bool>,
) {
    let mut bytes = Vec::new();
    while from.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {
        let _ = cut.wait_for(|cut| !*cut).await;
        let _ = to.write_all(&bytes).await;
        bytes.clear();
    }
    let _ = to.shutdown().await;
}

struct Node {
    board: Switchboard,
    cut: watch::Sender<bool>,
    gone: watch::Sender<bool>,
}

impl Node {
    async fn start(redis: &Redis, number: usize) -> Node {
        let name = Name::parse(&format!("node-{number}"));
        let board = Switchboard::node(Limits::default(), None, Arc::<Metrics>::default(), name);
        let (cut, gone) = (watch::Sender::new(false), watch::Sender::new(false));
        let line = Line {
            redis: redis.clone(),
            cut: cut.subscribe(),
            gone: gone.subscribe(),
        };
        tokio::spawn(link::run(line, board.post()));
        Node { board, cut, gone }
    }

    fn connect(&self, who: &str) -> (ConnectionId, Arc<Outbox>) {
        let id = chance::connection_id();
        let user = UserId(Name::parse(who).unwrap());
        let identity = Identity {
            user,
            listed: true,
            name: None,
        };
        (id, self.board.connect(id, identity))
    }
}

async fn fleet(nodes: usize) -> (Redis, Vec<Node>) {
    let redis = Redis::new();
    let mut fleet = Vec::new();
    for number in 0..nodes {
        fleet.push(Node::start(&redis, number).await);
        until_together(&fleet).await;
    }
    (redis, fleet)
}

/// Waits until all nodes see as many as there are; says how long that took.
async fn until_together(nodes: &[Node]) -> Duration {
    let clock = Clock::start();
    while nodes.iter().any(|node| node.board.nodes() != nodes.len()) {
        assert!(clock.now() < Duration::from_secs(60), "they do not meet");
        sleep(Duration::from_millis(10)).await;
    }
    clock.now()
}

fn call() -> CallId {
    CallId(Name::parse("c").unwrap())
}

/// Ann at one node calls bob at another one, who accepts.
async fn in_call(ann: (&Node, ConnectionId), bob: (&Node, ConnectionId)) {
    sleep(Duration::from_millis(100)).await;
    let initiate = Command::CallInitiate {
        call: call(),
        recipients: vec![UserId(Name::parse("bob").unwrap())],
        call_type: CallType::Video,
    };
    ann.0.board.handle(ann.1, initiate);
    sleep(Duration::from_millis(100)).await;
    bob.0.board.handle(bob.1, Command::CallAnswer(call()));
    sleep(Duration::from_millis(100)).await;
}

fn tells_bob(number: usize) -> Command {
    let raw = serde_json::value::RawValue::from_string(number.to_string()).unwrap();
    Command::CallSignal(CallSignal {
        kind: SignalKind::Opaque,
        call: call(),
        to: UserId(Name::parse("bob").unwrap()),
        data: Payload::from(raw),
    })
}

/// What somebody was told in a call.
fn told(outbox: &Outbox) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(event) = outbox.pop() {
        if let Event::CallSignal { data, .. } = event {
            told.push(data.as_str().to_owned());
        }
    }
    told
}

#[tokio::test(start_paused = true)]
async fn a_redis_that_stood_still_costs_hardly_more_than_that() {
    for nodes in [1, 2, 3, 5] {
        let (redis, fleet) = fleet(nodes).await;
        for seconds in [3, 6, 40] {
            redis.stand_still_for(Duration::from_secs(seconds)).await;
            let healed = until_together(&fleet).await;
            let limit = Duration::from_millis(1_500);
            assert!(healed < limit, "{nodes} nodes, {seconds} s: {healed:?}");
            sleep(Duration::from_secs(10)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_started_again_waits_for_nobody() {
    let (redis, mut fleet) = fleet(1).await;
    drop(fleet.pop());
    sleep(Duration::from_millis(500)).await;
    let again = Node::start(&redis, 0).await;
    let alone = until_together(&[again]).await;
    assert!(alone < Duration::from_millis(500), "{alone:?}");
}

/// An answer to a question of long ago may still lie there: whoever took it would read all that came since, and tell it again.
#[tokio::test(start_paused = true)]
async fn a_node_that_comes_back_tells_nothing_twice() {
    let (redis, fleet) = fleet(2).await;
    let (ann, _) = fleet[0].connect("ann");
    let (bob, hears) = fleet[1].connect("bob");
    in_call((&fleet[0], ann), (&fleet[1], bob)).await;
    for number in 0..5 {
        fleet[0].board.handle(ann, tells_bob(number));
    }
    sleep(Duration::from_millis(100)).await;
    assert_eq!(told(&hears), ["0", "1", "2", "3", "4"]);
    // Longer than it waits, and shorter than it is believed to live.
    fleet[1].cut.send_replace(true);
    sleep(Duration::from_millis(3_500)).await;
    assert_eq!(fleet[1].board.nodes(), 0, "it is alone");
    {
        let mut store = redis.store();
        let first = store.first.clone();
        assert_eq!(first.len(), 1, "one has asked");
        store.values.extend(first);
    }
    // Whoever has the state is slow to give it.
    fleet[0].cut.send_replace(true);
    fleet[1].cut.send_replace(false);
    sleep(Duration::from_millis(500)).await;
    fleet[0].cut.send_replace(false);
    until_together(&fleet).await;
    assert_eq!(told(&hears), [""; 0]);
    fleet[0].board.handle(ann, tells_bob(5));
    sleep(Duration::from_millis(100)).await;
    assert_eq!(told(&hears), ["5"]);
}

/// Whatever it waits for when that happens: an answer, something to read, or to be connected.
#[tokio::test(start_paused = true)]
async fn a_node_that_is_cut_off_goes_on_alone_after_its_patience() {
    let (_redis, fleet) = fleet(3).await;
    for node in [1, 2] {
        for hundredths in 0..40 {
            sleep(Duration::from_millis(5_000 + hundredths * 50)).await;
            until_together(&fleet).await;
            let Node { board, cut, gone } = &fleet[node];
            let away = if node == 1 { cut } else { gone };
            away.send_replace(true);
            let clock = Clock::start();
            while board.nodes() > 0 {
                sleep(Duration::from_millis(10)).await;
            }
            let waited = clock.now();
            let limit = link::PATIENCE + Duration::from_millis(50);
            assert!(waited < limit, "{waited:?}");
            away.send_replace(false);
        }
    }
}

/// As on a machine that has too much to do: each time is over before the next, and does not begin where the last one ended.
#[tokio::test(start_paused = true)]
async fn a_redis_that_stands_still_again_and_again_costs_each_time_the_same() {
    let (redis, fleet) = fleet(3).await;
    for round in 0..20 {
        redis
            .stand_still_for(Duration::from_millis(2_100 + round * 150))
            .await;
        let healed = until_together(&fleet).await;
        assert!(healed < Duration::from_millis(1_500), "{round}: {healed:?}");
    }
}

/// What it asked while it was cut off is all heard at once.
#[tokio::test(start_paused = true)]
async fn a_node_that_was_cut_off_is_back_at_once() {
    let (_redis, fleet) = fleet(3).await;
    for node in &fleet {
        for tenths in [25, 47, 60, 95] {
            node.cut.send_replace(true);
            sleep(Duration::from_millis(tenths * 100)).await;
            node.cut.send_replace(false);
            let healed = until_together(&fleet).await;
            assert!(healed < Duration::from_millis(500), "{tenths}: {healed:?}");
            sleep(Duration::from_secs(5)).await;
        }
    }
}

/// The one that is left has to find out twice: that Redis is back, and that nobody else is.
#[tokio::test(start_paused = true)]
async fn who_died_while_redis_stood_still_is_missed_in_time() {
    let (redis, mut fleet) = fleet(2).await;
    let _bob = fleet[1].connect("bob");
    sleep(Duration::from_millis(1_500)).await;
    assert_eq!(fleet[0].board.census().users, 1);
    let clock = Clock::start();
    drop(fleet.pop());
    redis.stand_still_for(Duration::from_millis(2_500)).await;
    while fleet[0].board.census().users > 0 {
        assert!(clock.now() < Duration::from_secs(12), "he is still there");
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(fleet[0].board.nodes(), 1);
}
