//! What strangers cost: memory, and other people's calls.

use anyhow::Result;
use e2e::flood::{Flooded, NEWCOMERS, live_through};
use e2e::netns::Namespace;
use e2e::server::Server;
use e2e::strangers::{FLAGS, growth, median, space};

use crate::{both, promise};

/// coturn 4.6 keeps some 20 KB of each: a tenth of our strangers is enough to see that.
const STRANGERS: [u32; 2] = [200_000, 20_000];

#[test]
fn nothing_is_kept_of_a_stranger() {
    let [ours, coturn] = STRANGERS;
    type Start = fn(Option<&Namespace>, &[&str]) -> Result<Server>;
    let measure = |start: Start, strangers, rounds| {
        let space = space().unwrap();
        let server = start(Some(&space), &FLAGS).unwrap();
        growth(&space, server.id(), strangers, rounds).unwrap()
    };
    let ours_grew = median(&measure(Server::start, ours, 3));
    let coturn_grew = median(&measure(Server::coturn, coturn, 1));
    promise(
        "memory after one request of each of 200,000 addresses",
        "64 KiB",
        format!("{} KiB", ours_grew / 1024),
        format!("{} KiB after 20,000", coturn_grew / 1024),
    );
    assert!(ours_grew <= 64 * 1024, "{ours_grew}");
}

#[test]
fn a_flood_hurts_neither_calls_nor_newcomers() {
    let flags = [&FLAGS[..], &["--relay-threads=2"]].concat();
    let [ours, coturn] = both(&flags, |space, _| Ok(live_through(space))).unwrap();
    let ours = ours.unwrap();
    let kept = |flooded: &Flooded| {
        format!(
            "{} of {} lost at {:.0}/s, {} of {} without",
            flooded.loud.lost(),
            flooded.loud.sent,
            flooded.rate,
            flooded.quiet.lost(),
            flooded.quiet.sent
        )
    };
    let newcomers = |flooded: &Flooded| format!("{} of {NEWCOMERS}", flooded.newcomers);
    let of_coturn = |say: &dyn Fn(&Flooded) -> String| match &coturn {
        Ok(flooded) => say(flooded),
        Err(error) => format!("none: {error}").replace('\n', " "),
    };
    promise(
        "calls under a flood of unauthenticated requests",
        "no more lost",
        kept(&ours),
        of_coturn(&kept),
    );
    promise(
        "newcomers with a password meanwhile",
        "all welcome",
        newcomers(&ours),
        of_coturn(&newcomers),
    );
    // How many may be lost is judged by the stage `hostile`, on its own: here another server has just been measured.
    assert_eq!(ours.newcomers, NEWCOMERS);
}
