//! The forty classes of malformed input against the program, a hundred members each, over its real transports.
//!
//! The classes and what may be answered are `fuzz::malformed`. Each member has a socket or a connection of its own, so
//! what is answered is answered to it. Needs root, for a namespace.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod wire;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, bail, ensure};
use e2e::certificate::{Algorithm, Certificate};
use e2e::http::Metrics;
use e2e::netns::Namespace;
use e2e::server::Server;
use fuzz::malformed::{Carrier, Class, Member, Outcome, Sender, Speaker, classes, padding_is_zero};
use turn_auth::LongTermKey;
use turn_wire::stream::{Frame, next_frame};
use turn_wire::{Class as MessageClass, IntegrityKey, Method, Packet, RequestBuilder, parse};
use wire::Wire;

const MEMBERS: u64 = 100;
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const TURN: SocketAddr = SocketAddr::new(HERE, 3478);
const METRICS: SocketAddr = SocketAddr::new(HERE, 9641);

#[test]
fn datagrams_meet_silence_or_the_right_code() {
    try_all("UDP", Carrier::Datagram, |_| {
        Ok(Box::new(|| Wire::udp(TURN)))
    });
}

#[test]
fn tcp_streams_meet_silence_or_the_right_code() {
    try_all("TCP", Carrier::Stream, |_| Ok(Box::new(|| Wire::tcp(TURN))));
}

#[test]
fn tls_streams_meet_silence_or_the_right_code() {
    try_all("TLS", Carrier::Stream, |certificate| {
        let config = wire::trusting(&certificate.certificate)?;
        Ok(Box::new(move || Wire::tls(TURN, &config)))
    });
}

type Connect = Box<dyn Fn() -> Result<Wire> + Send>;

fn try_all(transport: &str, carrier: Carrier, connector: fn(&Certificate) -> Result<Connect>) {
    let space = Namespace::new("malformed").unwrap();
    let certificate = Certificate::make(Algorithm::Ecdsa, HERE).unwrap();
    let connect = connector(&certificate).unwrap();
    let files = certificate.flags();
    let mut flags = vec![
        "--listening-ip=127.0.0.1",
        "--relay-ip=127.0.0.1",
        "--realm=example.org",
        "--lt-cred-mech",
        "--user=guest:secret",
        "--prometheus",
        "--min-port=50000",
        "--max-port=50999",
        "--no-tls=no",
        // Four thousand strangers from one address are meant here.
        "--unauth-reply-rate=0",
    ];
    flags.extend(files.iter().map(String::as_str));
    let server = Server::start(Some(&space), &flags).unwrap();
    let all = move || {
        for class in classes() {
            for seed in 0..MEMBERS {
                let tried = connect().and_then(|wire| try_member(&class, seed, carrier, wire));
                tried.with_context(|| {
                    format!("class {}: {}, seed {seed}", class.number, class.name)
                })?;
            }
        }
        Ok(())
    };
    space.inside(all).unwrap();
    let metrics = space.inside(|| Metrics::scrape(METRICS)).unwrap();
    assert_eq!(metrics.sum("turn_total_allocations"), Some(0.0));
    assert!(server.output().lines().all(|line| !line.contains("panick")));
    let classes = classes().len();
    println!(
        "\npromise: {classes} malformed classes over {transport}, {MEMBERS} members each | silence or the right code | {} of {} | -",
        classes as u64 * MEMBERS,
        classes as u64 * MEMBERS,
    );
}

fn try_member(class: &Class, seed: u64, carrier: Carrier, mut wire: Wire) -> Result<()> {
    let mut guest = Guest::new();
    if class.sender != Sender::Stranger {
        guest.challenge(&mut wire)?;
    }
    if class.sender == Sender::Holder {
        guest.ask(&mut wire, Method::ALLOCATE, |request| {
            request.requested_transport(17)
        })?;
    }
    let member = class.member(seed, carrier, &guest.0);
    let heard = match (carrier, class.sender) {
        // The allocation is asked for again, and ended.
        (Carrier::Datagram, Sender::Holder) => {
            let heard = wire.ask(&member.bytes)?;
            guest.ask(&mut wire, Method::REFRESH, |request| request.lifetime(0))?;
            heard
        }
        _ => wire.end(&member.bytes)?,
    };
    judge(&member, &heard)
        .with_context(|| format!("{:02x?} was answered {heard:02x?}", member.bytes))
}

/// Every answer is one of those allowed, and silence only where silence is.
fn judge(member: &Member, heard: &[u8]) -> Result<()> {
    let mut outcomes = Vec::new();
    let mut rest = heard;
    // What speaks TLS to a port that knows it may be told in TLS that it does so badly.
    if rest.first() == Some(&0x15)
        && member
            .bytes
            .first()
            .is_some_and(|byte| (20..64).contains(byte))
    {
        rest = &[];
    }
    while !rest.is_empty() {
        let Ok(Frame::Whole(length)) = next_frame(rest) else {
            bail!("something that is no message");
        };
        padding_is_zero(&rest[..length]);
        outcomes.push(outcome(&rest[..length])?);
        rest = &rest[length..];
    }
    if outcomes.is_empty() {
        outcomes.push(Outcome::Silence);
    }
    let allowed = outcomes
        .iter()
        .all(|outcome| member.allowed.contains(outcome));
    ensure!(allowed, "{outcomes:?} and not one of {:?}", member.allowed);
    Ok(())
}

fn outcome(answer: &[u8]) -> Result<Outcome> {
    let Ok(Packet::Stun(view)) = parse(answer) else {
        bail!("unreadable");
    };
    match (view.class(), view.attribute(turn_wire::attr::ERROR_CODE)) {
        (MessageClass::Success, _) => Ok(Outcome::Success),
        (MessageClass::Error, Some(&[_, _, hundreds, rest, ..])) => {
            Ok(Outcome::Code(u16::from(hundreds) * 100 + u16::from(rest)))
        }
        _ => bail!("neither success nor error"),
    }
}

/// The static user, over one connection.
struct Guest(Speaker);

impl Guest {
    fn new() -> Self {
        let key = LongTermKey::derive("guest", "example.org", "secret");
        Self(Speaker {
            username: "guest".to_owned(),
            realm: "example.org".to_owned(),
            nonce: Vec::new(),
            key: IntegrityKey::new(key.as_bytes()),
        })
    }

    fn challenge(&mut self, wire: &mut Wire) -> Result<()> {
        let request = RequestBuilder::new(Method::ALLOCATE, *b"challenge-me");
        let answer = wire.ask(&request.requested_transport(17).finish(None, false))?;
        let Ok(Packet::Stun(view)) = parse(&answer) else {
            bail!("no challenge: {answer:02x?}");
        };
        self.0.nonce = view.nonce().context("no NONCE")?.to_vec();
        Ok(())
    }

    fn ask(
        &self,
        wire: &mut Wire,
        method: Method,
        build: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<()> {
        // Kernels give a port out again before the server has forgotten a transaction of its last owner.
        let id = stun::agent::TransactionId::new().0;
        let request = build(RequestBuilder::new(method, id));
        let request = request.username(&self.0.username).realm(&self.0.realm);
        let request = request.nonce(&self.0.nonce);
        let answer = wire.ask(&request.finish(Some(&self.0.key), false))?;
        let outcome = outcome(&answer)?;
        ensure!(outcome == Outcome::Success, "{outcome:?}");
        Ok(())
    }
}
