//! The same conversations with coturn and with ours: every difference is explained in `tests/DIFFERENCES.md`, and nothing
//! is explained there that does not happen.
//!
//! A conversation is one client's requests, one after the other, each built byte by byte; what comes back is reduced to what
//! does not depend on chance (`e2e::answer`). Each is held over UDP and over TCP with both servers, under the same options.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod allocating;
mod page;
mod relaying;
mod signing;
mod words;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;

use anyhow::{Context, Result};
use e2e::conversation::{Accounts, Conversation};
use e2e::line::Transport;
use e2e::netns::Namespace;
use e2e::server::{Server, free_port};

use crate::page::Row;

/// What a conversation is called and what is said in it.
type Case = (&'static str, fn(&mut Conversation) -> Result<()>);
/// Conversation, step, transport, answer.
type Heard = (&'static str, String, Transport, String);

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ACCOUNTS: Accounts = Accounts {
    user: ("guest", "guest-password"),
    other: ("host", "host-password"),
};
/// The options of both servers. 192.0.2.1 stands for every peer that the operator denies.
const OPTIONS: &[&str] = &[
    "--listening-ip=127.0.0.1",
    "--listening-ip=::1",
    "--relay-ip=127.0.0.1",
    "--relay-ip=::1",
    "--allow-loopback-peers",
    "--denied-peer-ip=192.0.2.0-192.0.2.255",
    "--realm=example.org",
    "--lt-cred-mech",
    "--user=guest:guest-password",
    "--user=host:host-password",
    "--no-software-attribute",
    "--mobility",
];
/// What coturn since 4.7 does unasked, and ours: XOR-MAPPED-ADDRESS alone in answers to Binding, NAT discovery on demand.
const COTURN_ONLY: &[&str] = &[
    "--no-tls",
    "--no-dtls",
    "--no-rfc5780",
    "--no-stun-backward-compatibility",
    "--response-origin-only-with-rfc5780",
];

fn cases() -> impl Iterator<Item = &'static Case> {
    [allocating::CASES, signing::CASES, relaying::CASES]
        .into_iter()
        .flatten()
}

/// Holds every conversation with one server.
fn all_heard(
    start: fn(Option<&Namespace>, &[&str]) -> Result<Server>,
    more: &[&str],
) -> Result<Vec<Heard>> {
    let port = free_port(HERE)?;
    let port_flag = format!("--listening-port={port}");
    let mut options = OPTIONS.to_vec();
    options.extend(more);
    options.push(&port_flag);
    let _server = start(None, &options)?;
    let (mut heard, mut kept) = (Vec::new(), Vec::new());
    for (name, hold) in cases() {
        for transport in [Transport::Udp, Transport::Tcp] {
            let address = SocketAddr::new(HERE, port);
            let conversation = || {
                let mut conversation = Conversation::open(transport, address, ACCOUNTS)?;
                hold(&mut conversation)?;
                Ok::<_, anyhow::Error>(conversation.end())
            };
            let (account, lines) =
                conversation().with_context(|| format!("{name}, over {transport:?}"))?;
            kept.extend(lines);
            heard.extend(
                account
                    .into_iter()
                    .map(|(step, answer)| (*name, step, transport, answer)),
            );
        }
    }
    Ok(heard)
}

/// Puts both accounts side by side and keeps what differs; a difference over both transports is one.
fn differences(ours: &[Heard], coturn: &[Heard]) -> BTreeSet<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (one, other) in ours.iter().zip(coturn) {
        assert_eq!((one.0, &one.1, one.2), (other.0, &other.1, other.2));
        if one.3 == other.3 {
            continue;
        }
        let row = Row {
            conversation: one.0.to_owned(),
            step: one.1.clone(),
            over: format!("{:?}", one.2).to_uppercase(),
            ours: one.3.clone(),
            coturn: other.3.clone(),
        };
        let twin = rows.iter_mut().find(|known| {
            (&known.conversation, &known.step, &known.ours, &known.coturn)
                == (&row.conversation, &row.step, &row.ours, &row.coturn)
        });
        match twin {
            Some(known) => known.over = "both".to_owned(),
            None => rows.push(row),
        }
    }
    rows.into_iter().collect()
}

#[test]
fn every_difference_from_coturn_is_explained_and_every_explanation_is_needed() {
    let (ours, coturn) = thread::scope(|scope| {
        let ours = scope.spawn(|| all_heard(Server::start, &[]));
        let coturn = scope.spawn(|| all_heard(Server::coturn, COTURN_ONLY));
        (ours.join().unwrap(), coturn.join().unwrap())
    });
    let (ours, coturn) = (ours.expect("ours"), coturn.expect("coturn"));
    assert_eq!(ours.len(), coturn.len());
    let found = differences(&ours, &coturn);
    let explained = page::explained().unwrap();

    println!(
        "say: {} conversations of {} steps over UDP and over TCP; {} differences from coturn, explained in tests/DIFFERENCES.md",
        cases().count(),
        ours.len() / 2,
        found.len()
    );
    let unexplained: Vec<String> = found.difference(&explained).map(Row::to_string).collect();
    let unneeded: Vec<String> = explained.difference(&found).map(Row::to_string).collect();
    assert!(
        unexplained.is_empty() && unneeded.is_empty(),
        "not explained in tests/DIFFERENCES.md:\n{}\nexplained there, but it does not happen:\n{}",
        unexplained.join("\n"),
        unneeded.join("\n")
    );
}

/// Sixty is what the test promises; a name that stands for two conversations would hide one of them.
#[test]
fn there_are_enough_conversations_and_each_has_a_name_of_its_own() {
    let names: BTreeSet<&str> = cases().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), cases().count());
    assert!(names.len() >= 60, "{}", names.len());
}
