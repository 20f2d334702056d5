//! The call log of a fleet: a call is one row in PostgreSQL and has one name at the webhook, whoever of the nodes dies.
//!
//! Needs root, because PostgreSQL is run as its own user.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::postgres::Postgres;
use e2e::process::scratch_file;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

use crate::crowd::Line;
use crate::redis::{HERE, Redis};
use crate::site::{PATIENCE, Site};

/// How often a webhook was told of a call, by the call's name in the log.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<BTreeMap<String, usize>>>);

impl Told {
    /// Listens.
    async fn listen() -> Result<(Told, SocketAddr)> {
        let listener = TcpListener::bind((HERE, 0)).await?;
        let address = listener.local_addr()?;
        let told = Told::default();
        let own = told.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(own.clone().hear(stream));
            }
        });
        Ok((told, address))
    }

    /// Takes one request: its body is as long as its head says.
    async fn hear(self, stream: TcpStream) -> Result<()> {
        let mut stream = BufReader::new(stream);
        let (mut id, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            let Some((name, value)) = line.trim().split_once(": ") else {
                if line.trim().is_empty() {
                    break;
                }
                continue;
            };
            match name.to_ascii_lowercase().as_str() {
                "webhook-id" => value.clone_into(&mut id),
                "content-length" => length = value.parse()?,
                _ => {}
            }
        }
        // A node that is killed may have begun to tell.
        ensure!(!id.is_empty(), "the head ended too early");
        stream.read_exact(&mut vec![0; length]).await?;
        *self.0.lock().unwrap().entry(id).or_default() += 1;
        let taken = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
        Ok(stream.write_all(taken).await?)
    }

    fn calls(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn times(&self) -> usize {
        self.0.lock().unwrap().values().sum()
    }
}

/// Somebody on each of two nodes.
struct Pair {
    ann: Line,
    bob: Line,
}

impl Pair {
    async fn of(caller: SocketAddr, callee: SocketAddr) -> Result<Pair> {
        let mut pair = Pair {
            ann: Line::open(caller, "/?token=ann").await?,
            bob: Line::open(callee, "/?token=bob").await?,
        };
        pair.ann.until("connected").await?;
        pair.bob.until("connected").await?;
        Ok(pair)
    }

    /// Has calls begin and end, one after the other.
    async fn calls(&mut self, named: &str, count: usize) -> Result<()> {
        for number in 0..count {
            let call = format!("{named}-{number}");
            let initiate = json!({"type": "call-initiate", "callId": call, "recipientIds": ["bob"], "callType": "audio"});
            self.ann.send(initiate).await?;
            self.bob.until("incoming-call").await?;
            let answer = json!({"type": "call-answer", "callId": call});
            self.bob.send(answer).await?;
            self.ann.until("call-answered").await?;
            self.ann
                .send(json!({"type": "call-end", "callId": call}))
                .await?;
            self.bob.until("call-ended").await?;
        }
        Ok(())
    }
}

/// Waits until there are as many rows, and sees that they are of as many calls, and stay so many.
async fn rows(server: &Postgres, expected: usize) -> Result<()> {
    let begun = Instant::now();
    let count = || server.ask("SELECT count(*) FROM calls");
    // There is no table before the first call.
    while count().unwrap_or_default() != expected.to_string() {
        ensure!(
            begun.elapsed() < PATIENCE,
            "{:?} rows of {expected}",
            count()
        );
        sleep(Duration::from_millis(50)).await;
    }
    // Longer than a node is believed to live that does not.
    sleep(Duration::from_secs(5)).await;
    let rows = server.ask("SELECT count(*) || ' ' || count(DISTINCT call_id) FROM calls")?;
    ensure!(rows == format!("{expected} {expected}"), "{rows}");
    let recipients = server.ask("SELECT count(*) FROM call_recipients")?;
    ensure!(recipients == expected.to_string(), "{recipients}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_recorded_once_and_none_is_lost_with_the_node_that_records() -> Result<()> {
    let server = Postgres::start()?;
    let (told, webhook) = Told::listen().await?;
    let (url, secret) = (scratch_file("postgres-url")?, scratch_file("secret")?);
    fs::write(&url, format!("{}\n", server.url()))?;
    fs::write(&secret, "a secret of the webhook's\n")?;
    let flags = vec![
        format!("--call-log-postgres-file={}", url.display()),
        format!("--webhook-url=http://{webhook}/calls"),
        format!("--webhook-secret-file={}", secret.display()),
    ];
    let mut site = Site::with(Redis::plain()?, 2, flags).await?;
    let mut pair = Pair::of(site.address(0), site.address(1)).await?;
    pair.calls("calm", 10).await?;
    rows(&server, 10).await?;
    ensure!(told.times() == 10, "told {} times", told.times());

    // The database is away, so that the node that records has everything in its memory when it dies.
    server.crash()?;
    pair.calls("storm", 10).await?;
    drop(pair);
    site.kill_node(0)?;
    server.resume().context("PostgreSQL comes back")?;
    rows(&server, 20).await?;
    ensure!(told.calls() == 20, "told of {} calls", told.calls());
    println!(
        "say: 20 calls are 20 rows; the webhook was told {} times",
        told.times()
    );

    // The next one records now, and the one that comes back as well.
    site.start_node(0)?;
    let mut pair = Pair::of(site.address(1), site.address(0)).await?;
    pair.calls("after", 5).await?;
    rows(&server, 25).await?;
    ensure!(told.calls() == 25, "told of {} calls", told.calls());
    Ok(())
}
