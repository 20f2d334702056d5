//! Browsers on quickstart's own pages, on one machine: what a newcomer sees within a minute of the first command.
//!
//! The machine is a namespace with one network interface and a default route, so that quickstart has its standard ports.
//! Needs root; run with `--test-threads=1`, because two browsers with video fill two cores.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::browser::Kind::{self, Chromium, Firefox};
use e2e::browser::Page;
use e2e::call::{Call, Measured, Quickstart};
use e2e::http::Metrics;
use e2e::nat::{Host, Internet};
use e2e::netns::Namespace;

mod controls;
mod diagnosis;
mod own_page;
mod people;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PATIENCE: Duration = Duration::from_secs(45);

/// A machine on which somebody has just typed `turnserver`.
struct Machine {
    quickstart: Quickstart,
    host: Host,
    _internet: Internet,
}

impl Machine {
    fn new() -> Result<Self> {
        Self::running(Quickstart::start)
    }

    fn running(start: impl FnOnce(&Namespace) -> Result<Quickstart>) -> Result<Self> {
        let internet = Internet::new()?;
        let host = internet.host("machine")?;
        let quickstart = start(&host.space)?;
        Ok(Self {
            quickstart,
            host,
            _internet: internet,
        })
    }

    fn open(&self, kind: Kind, page: &str, query: &str) -> Result<Page> {
        Page::open(
            &self.host.space,
            kind,
            &self.quickstart.url(HERE, page, query),
        )
    }

    fn metrics(&self) -> Result<Metrics> {
        self.host
            .space
            .inside(|| Metrics::scrape(SocketAddr::new(HERE, 9641)))
    }
}

/// Clicks a button once it can be.
fn click(page: &mut Page, selector: &str) -> Result<()> {
    page.wait_for(
        &format!("document.querySelector('{selector}')?.disabled === false"),
        PATIENCE,
    )?;
    page.evaluate(&format!("document.querySelector('{selector}').click()"))?;
    Ok(())
}

/// Calls through the relay and compares what the browsers say with what the relay has counted.
fn relayed_call(kinds: [Kind; 2]) -> Result<()> {
    let machine = Machine::running(Quickstart::with_metrics)?;
    let [one, other] = kinds;
    let places = [(&machine.host.space, one), (&machine.host.space, other)];
    let mut call = Call::open(&machine.quickstart, HERE, places, true)?;
    call.connected()?;
    call.media_flows()?; // The first frames are behind us: from here on, the counters move steadily.

    let before = machine.metrics()?;
    let measured = call.media_flows()?;
    let after = machine.metrics()?;
    measured.relay_to_relay()?;
    counters_match(&measured, &before, &after)?;
    ensure!(
        after.sum("turn_total_allocations") >= Some(2.0),
        "fewer than two allocations carry a call"
    );
    call.chat_arrives()
}

/// What the pages received has passed the relay: it counted no less, and little more. Beside media it counts connectivity
/// checks, the headers of indications (36 bytes each), and the moments before and after the pages' own measurement.
fn counters_match(measured: &Measured, before: &Metrics, after: &Metrics) -> Result<()> {
    #[expect(clippy::cast_precision_loss, reason = "a few megabytes")]
    let received = measured.bytes() as f64;
    ensure!(received > 50_000.0, "hardly any media: {measured}");
    for name in [
        "turn_total_traffic_rcvb",
        "turn_total_traffic_sentb",
        "turn_total_traffic_peer_rcvb",
        "turn_total_traffic_peer_sentb",
    ] {
        let grown = after.sum(name).with_context(|| format!("no {name}"))?
            - before.sum(name).unwrap_or(0.0);
        let plausible = received * 0.98..=received * 1.35 + 50_000.0;
        ensure!(
            plausible.contains(&grown),
            "the pages received {received} bytes, {name} grew by {grown}"
        );
    }
    Ok(())
}

#[test]
fn two_chromium_pages_call_through_the_relay() {
    relayed_call([Chromium, Chromium]).unwrap();
}

#[test]
fn two_firefox_pages_call_through_the_relay() {
    relayed_call([Firefox, Firefox]).unwrap();
}

#[test]
fn chromium_and_firefox_call_through_the_relay() {
    relayed_call([Chromium, Firefox]).unwrap();
}

/// One camera, one receiver: the sender and receiver pages.
fn stream(sender: Kind, receiver: Kind) -> Result<()> {
    let machine = Machine::new()?;
    let mut receiver = machine.open(receiver, "receive", "relay=1")?;
    let mut sender = machine.open(sender, "send", "relay=1")?;
    sender.evaluate("document.querySelector('[data-testid=start]').click()")?;
    sender.connected(PATIENCE)?;
    receiver.connected(PATIENCE)?;
    let decodes =
        "window.turnpike.stats().then((peers) => peers.some((peer) => peer.framesDecoded > 0))";
    receiver.wait_for(decodes, PATIENCE)?;

    let before = [sender.peer_stats()?, receiver.peer_stats()?];
    std::thread::sleep(Duration::from_secs(5));
    let after = [sender.peer_stats()?, receiver.peer_stats()?];
    ensure!(
        after[0].frames_sent > before[0].frames_sent,
        "the sender stands still: {before:?} then {after:?}"
    );
    ensure!(
        after[1].frames_decoded > before[1].frames_decoded,
        "the receiver stands still: {before:?} then {after:?}"
    );
    ensure!(
        after[1].bytes_received > before[1].bytes_received,
        "nothing arrives: {before:?} then {after:?}"
    );
    ensure!(
        after
            .iter()
            .all(|stats| stats.local_candidate_type.as_deref() == Some("relay")),
        "not relayed: {after:?}"
    );
    Ok(())
}

#[test]
fn a_camera_is_sent_from_chromium_and_received_in_chromium() {
    stream(Chromium, Chromium).unwrap();
}

#[test]
fn a_camera_is_sent_from_firefox_and_received_in_chromium() {
    stream(Firefox, Chromium).unwrap();
}
