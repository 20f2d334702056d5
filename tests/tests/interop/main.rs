//! Every client × every transport × both address families, on a server whose nonces live for three seconds.
//!
//! A cell is full when two ends of that client have sent each other data through the relay, over that transport and nothing
//! else, and have met a stale nonce meanwhile. It may be less than full only if the same run fails against coturn as well.
//! Needs root.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod browsers;
mod clients;
mod lab;
mod modes;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::thread;

use anyhow::{Result, anyhow, bail};
use e2e::browser::Kind;

use crate::clients::Client;
use crate::lab::{Endpoint, Family, Lab, Maker, Transport};

const NONCE_SECONDS: u32 = 3;
/// Longer than a nonce lives.
const PAUSE_SECONDS: u32 = 4;
/// Longer than any client is watched.
const FRESH_SECONDS: u32 = 600;
/// How many clients run side by side; most of the time each of them waits.
const SIDE_BY_SIDE: usize = 6;

/// What a cell says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// Data passed, a stale nonce too.
    Full,
    /// Data passes while the nonce is fresh; with a stale one the client gives up, with coturn as well.
    FreshOnly,
    /// Nothing passes, with coturn neither.
    Empty,
}

impl Mark {
    fn text(self) -> &'static str {
        match self {
            Self::Full => "yes",
            Self::FreshOnly => "fresh",
            Self::Empty => "-",
        }
    }
}

/// One attempt of a client to talk through a server.
struct Attempt<'a> {
    lab: &'a Lab,
    transport: Transport,
    maker: Maker,
    /// Whether its nonce grows stale before the client needs it.
    stale: bool,
}

impl Attempt<'_> {
    /// The outer error is a server that does not start, the inner one a client that is not served.
    fn make(&self, run: &mut dyn FnMut(&Endpoint, u32) -> Result<()>) -> Result<Result<()>> {
        let (nonce, pause) = if self.stale {
            (NONCE_SECONDS, PAUSE_SECONDS)
        } else {
            (FRESH_SECONDS, 0)
        };
        let endpoint = self.lab.start(self.maker, self.transport, nonce)?;
        let outcome = run(&endpoint, pause);
        if self.stale && outcome.is_ok() {
            let refused = endpoint.stale_nonces();
            if refused.is_empty() {
                return Ok(Err(anyhow!("the client never met a stale nonce")));
            }
            // Chrome gives up on a server that challenges an Allocate twice: a nonce is never stale right after it was issued.
            if self.maker == Maker::Ours && refused.iter().any(|line| line.contains("ALLOCATE")) {
                bail!("an Allocate was answered with 438: {refused:?}");
            }
        }
        Ok(outcome)
    }
}

/// Fills a cell; an error is what must not be: coturn serves this client and we do not.
fn cell(
    lab: &Lab,
    transport: Transport,
    run: &mut dyn FnMut(&Endpoint, u32) -> Result<()>,
) -> Result<Mark> {
    let mut attempt = |maker, stale| {
        let attempt = Attempt {
            lab,
            transport,
            maker,
            stale,
        };
        attempt.make(run)
    };
    let Err(with_stale) = attempt(Maker::Ours, true)? else {
        return Ok(Mark::Full);
    };
    if let Err(with_fresh) = attempt(Maker::Ours, false)? {
        return match attempt(Maker::Coturn, false)? {
            Ok(()) => Err(with_fresh.context("coturn serves this client")),
            Err(with_coturn) => {
                println!("not served: {with_fresh:#}\nnor by coturn: {with_coturn:#}");
                Ok(Mark::Empty)
            }
        };
    }
    match attempt(Maker::Coturn, true)? {
        Ok(()) => Err(with_stale.context("coturn serves this client when its nonce is stale")),
        Err(with_coturn) => {
            println!("with a stale nonce: {with_stale:#}\nand with coturn: {with_coturn:#}");
            Ok(Mark::FreshOnly)
        }
    }
}

type Cells = BTreeMap<(&'static str, Transport, Family), Result<Mark>>;

/// All cells of the clients that are programs.
fn programs(labs: &[(Family, Lab)], cells: &Mutex<Cells>) {
    let mut queue = VecDeque::new();
    for client in Client::ALL {
        for (family, lab) in labs {
            queue.extend(Transport::ALL.map(|transport| (client, transport, *family, lab)));
        }
    }
    let queue = Mutex::new(queue);
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().pop_front();
                    let Some((client, transport, family, lab)) = next else {
                        return;
                    };
                    let mark = cell(lab, transport, &mut |to, pause| client.run(lab, to, pause));
                    cells
                        .lock()
                        .unwrap()
                        .insert((client.name(), transport, family), mark);
                }
            });
        }
    });
}

/// All cells of one browser in one family, one after the other in one page.
fn browser(kind: Kind, name: &'static str, family: Family, lab: &Lab, cells: &Mutex<Cells>) {
    let page = browsers::open(lab, kind);
    let mut page = match page {
        Ok(page) => page,
        Err(error) => {
            cells
                .lock()
                .unwrap()
                .insert((name, Transport::Udp, family), Err(error));
            return;
        }
    };
    for transport in Transport::ALL {
        let mark = cell(lab, transport, &mut |to, pause| {
            browsers::pair(&mut page, to, pause)
        });
        cells
            .lock()
            .unwrap()
            .insert((name, transport, family), mark);
    }
}

fn print_table(cells: &Cells) {
    let columns: Vec<(Transport, Family)> = Transport::ALL
        .into_iter()
        .flat_map(|transport| Family::ALL.map(|family| (transport, family)))
        .collect();
    let mut head = format!("{:31}", "interop: client × transport");
    for (transport, family) in &columns {
        head.push_str(&format!(
            "{:10}",
            format!(
                "{} {}",
                transport.name(),
                family.name().trim_start_matches("IP")
            )
        ));
    }
    println!("say: {head}");
    let mut names: Vec<&str> = cells.keys().map(|(name, _, _)| *name).collect();
    names.dedup();
    for name in names {
        let mut line = format!("{name:31}");
        for (transport, family) in &columns {
            let mark = match cells.get(&(name, *transport, *family)) {
                Some(Ok(mark)) => mark.text(),
                Some(Err(_)) => "FAILED",
                None => "not run",
            };
            line.push_str(&format!("{mark:10}"));
        }
        println!("say: {line}");
    }
    println!(
        "say: yes: data both ways, and a stale nonce met; fresh: only before the nonce is stale, coturn's too; -: coturn neither"
    );
}

#[test]
fn every_client_over_every_transport_in_both_families() {
    clients::build_pion().unwrap();
    let labs = Family::ALL.map(|family| (family, Lab::new(family).unwrap()));
    let cells = Mutex::new(Cells::new());
    thread::scope(|scope| {
        scope.spawn(|| programs(&labs, &cells));
        scope.spawn(|| {
            for (kind, name) in [(Kind::Chromium, "Chromium"), (Kind::Firefox, "Firefox")] {
                for (family, lab) in &labs {
                    browser(kind, name, *family, lab, &cells);
                }
            }
        });
    });
    let cells = cells.into_inner().unwrap();
    print_table(&cells);
    let failures: Vec<String> = cells
        .iter()
        .filter_map(|((name, transport, family), mark)| {
            let error = mark.as_ref().err()?;
            Some(format!(
                "{name} over {} {}: {error:#}",
                transport.name(),
                family.name()
            ))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    let whole = (Client::ALL.len() + 2) * Transport::ALL.len() * Family::ALL.len();
    assert_eq!(cells.len(), whole, "a cell was not run");
}
