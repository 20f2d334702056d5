//! `turnutils_uclient` in every mode that says something about the server, against coturn and against ours.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::certificate::Authority;
use e2e::process::Process;
use e2e::server::{Server, free_port};
use e2e::uclient::{Peer, uclient};

use crate::lab::{Maker, PASSWORD, USERNAME};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// What a run has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judge {
    /// Every message comes back.
    All,
    /// Nine of ten do: over TLS the client loses some with every server.
    Most,
    /// Half of them do: it never counts what its passive ends receive, and ends that wait and have moved miss their first.
    Half,
    /// It sends what no server takes, or goes away early; what counts is that the server serves the next client.
    Survives,
}

/// What is shown about the mode, the client's flags, what counts.
type Mode = (&'static str, &'static str, Judge);

const MODES: &[Mode] = &[
    ("channels", "-y -c", Judge::All),
    ("channels to a peer", "-e -c", Judge::All),
    ("Send indications", "-y -c -s", Judge::All),
    (
        "RTP and RTCP: EVEN-PORT and its reservation",
        "-y",
        Judge::All,
    ),
    ("padded channel data", "-y -c -D", Judge::All),
    ("TCP", "-y -c -t", Judge::All),
    ("TCP, padded", "-y -c -t -D", Judge::All),
    ("TCP, Send indications", "-y -c -t -s", Judge::All),
    ("TLS", "-y -c -t -S", Judge::Most),
    ("TLS, Send indications", "-y -c -t -S -s", Judge::Most),
    ("DTLS", "-y -c -S", Judge::Most),
    ("DTLS, Send indications", "-y -c -S -s", Judge::Most),
    ("TCP relay", "-T", Judge::All),
    ("TCP relay, passive", "-T -P", Judge::Half),
    ("TCP relay over TLS", "-T -S", Judge::Most),
    ("IPv6 relay", "-y -c -x", Judge::All),
    ("IPv4 relay, by name", "-y -c -X", Judge::All),
    ("both families", "-y -Z", Judge::All),
    ("both families over TCP", "-y -Z -t", Judge::All),
    ("DONT-FRAGMENT, channels", "-y -c -g", Judge::All),
    ("DONT-FRAGMENT, Send indications", "-e -c -s -g", Judge::All),
    ("mobility", "-e -c -M", Judge::All),
    // An end that has moved and has not sent since is sent to where it was (RFC 8016 §3.2: make before break); coturn breaks.
    ("mobility, ends that wait", "-y -c -M", Judge::Half),
    ("mobility over TCP", "-y -c -M -t", Judge::All),
    ("mobility over TLS", "-y -c -M -t -S", Judge::Most),
    ("mobility over DTLS", "-y -c -M -S", Judge::Most),
    ("extra requests", "-y -c -G", Judge::All),
    ("ORIGIN", "-y -c -o http://example.org", Judge::All),
    ("bandwidth", "-y -c -a 100000", Judge::All),
    ("messages of 1 byte", "-y -c -l 1", Judge::All),
    ("messages of 1,400 bytes", "-y -c -l 1400", Judge::All),
    ("twenty clients", "-y -c -m 20", Judge::All),
    ("no permissions", "-y -c -I", Judge::Survives),
    ("random disconnects", "-y -c -B", Judge::Survives),
    ("negative tests", "-e -c -N", Judge::Survives),
    ("negative protocol tests", "-e -c -R", Judge::Survives),
    (
        "negative protocol tests over TCP",
        "-e -c -R -t",
        Judge::Survives,
    ),
    ("connect and exit", "-e -c -O", Judge::Survives),
    ("connect and exit over TCP", "-e -c -O -t", Judge::Survives),
];

/// A server with everything on.
struct Everything {
    _server: Server,
    plain: u16,
    tls: u16,
}

fn everything(maker: Maker) -> Result<Everything> {
    let (plain, tls) = (free_port(HERE)?, free_port(HERE)?);
    let certificate = Authority::make()?.certify("localhost", &[HERE])?;
    let mut flags: Vec<String> = [
        "--listening-ip=127.0.0.1",
        "--listening-ip=::1",
        "--relay-ip=127.0.0.1",
        "--relay-ip=::1",
        "--allow-loopback-peers",
        "--realm=example.org",
        "--lt-cred-mech",
        "--mobility",
    ]
    .map(str::to_owned)
    .into();
    flags.extend(certificate.flags());
    flags.extend([
        format!("--listening-port={plain}"),
        format!("--tls-listening-port={tls}"),
        format!("--user={USERNAME}:{PASSWORD}"),
    ]);
    if maker == Maker::Ours {
        let secure = ["--no-tls=no", "--dtls", "--no-dtls=no"];
        flags.extend(secure.map(str::to_owned));
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let _server = match maker {
        Maker::Ours => Server::start(None, &flags)?,
        Maker::Coturn => Server::coturn(None, &flags)?,
    };
    Ok(Everything {
        _server,
        plain,
        tls,
    })
}

/// Runs one mode and returns what is to be printed about it.
fn attempt(server: &Everything, flags: &str, judge: Judge) -> Result<String> {
    let words: Vec<&str> = flags.split(' ').collect();
    let port = if words.contains(&"-S") {
        server.tls
    } else {
        server.plain
    };
    let peer = if words.contains(&"-e") {
        Some(Peer::start(None, HERE)?)
    } else {
        None
    };
    let mut arguments = vec![
        "-u".to_owned(),
        USERNAME.to_owned(),
        "-w".to_owned(),
        PASSWORD.to_owned(),
    ];
    arguments.extend([
        "-n".to_owned(),
        "10".to_owned(),
        "-p".to_owned(),
        port.to_string(),
    ]);
    arguments.extend(
        words
            .iter()
            .filter(|word| **word != "-e")
            .map(|word| (*word).to_owned()),
    );
    if let Some(peer) = &peer {
        let target = [
            "-e".to_owned(),
            HERE.to_string(),
            "-r".to_owned(),
            peer.port.to_string(),
        ];
        arguments.extend(target);
    }
    arguments.push(HERE.to_string());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if judge == Judge::Survives {
        // Some of these never end by themselves, with no server.
        let mut process = Process::start(
            Command::new("turnutils_uclient").args(&arguments),
            "uclient",
        )?;
        let _ = process.wait(Duration::from_secs(8));
        process.stop();
        return attempt(server, "-y -c", Judge::All).map(|_| "served on".to_owned());
    }
    let totals = uclient(None, &arguments)?;
    let (sent, received) = (totals.sent, totals.received);
    let enough = match judge {
        Judge::All => received == sent,
        Judge::Most => received * 10 >= sent * 9,
        Judge::Half => received * 2 >= sent,
        Judge::Survives => true,
    };
    ensure!(
        sent > 0 && enough,
        "{sent} messages sent, {received} came back"
    );
    Ok(format!("{received} of {sent}"))
}

/// Runs all modes against both servers, some side by side; the rows come back in the order of the modes.
fn all_attempts() -> Result<Vec<[Result<String>; 2]>> {
    let servers = [everything(Maker::Ours)?, everything(Maker::Coturn)?];
    let mut queue = VecDeque::new();
    for number in 0..MODES.len() {
        queue.extend([(number, 0_usize), (number, 1)]);
    }
    let queue = Mutex::new(queue);
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().pop_front();
                    let Some((number, whose)) = next else {
                        return;
                    };
                    let (_, flags, judge) = MODES[number];
                    let result = attempt(&servers[whose], flags, judge);
                    results.lock().unwrap().push(((number, whose), result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(place, _)| *place);
    let mut results = results.into_iter().map(|(_, result)| result);
    let mut rows = Vec::new();
    while let (Some(ours), Some(coturn)) = (results.next(), results.next()) {
        rows.push([ours, coturn]);
    }
    Ok(rows)
}

#[test]
fn uclient_in_every_mode() {
    let rows = all_attempts().unwrap();
    assert_eq!(rows.len(), MODES.len());
    println!(
        "say: {:46} {:29} {:11} coturn",
        "turnutils_uclient", "flags", "ours"
    );
    let mut failures = Vec::new();
    for ((name, flags, _), [ours, coturn]) in MODES.iter().zip(&rows) {
        let text = |result: &Result<String>| result.as_ref().map_or("-", String::as_str).to_owned();
        println!(
            "say: {name:46} {flags:29} {:11} {}",
            text(ours),
            text(coturn)
        );
        if let (Err(error), Ok(_)) = (ours, coturn) {
            failures.push(format!("{name} ({flags}): {error:#}"));
        }
    }
    assert!(
        failures.is_empty(),
        "coturn serves these:\n{}",
        failures.join("\n")
    );
}
