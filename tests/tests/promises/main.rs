//! What strangers are promised not to get, measured: ours beside Debian's coturn under the same load, a line for each promise.
//!
//! The stage `promises` puts these lines, and those of the tests that need no server, into one table. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod cost;
mod peers;
mod reflection;

use std::fmt::Display;

use anyhow::Result;
use e2e::netns::Namespace;
use e2e::server::Server;
use e2e::strangers;

/// Says one line of the table.
fn promise(what: &str, budget: &str, ours: impl Display, coturn: impl Display) {
    println!("\npromise: {what} | {budget} | {ours} | {coturn}");
}

/// Measures the same of both servers, one after the other: ours, and coturn. Each is alone in a namespace.
fn both<T>(flags: &[&str], measure: impl Fn(&Namespace, &Server) -> Result<T>) -> Result<[T; 2]> {
    let of = |start: fn(Option<&Namespace>, &[&str]) -> Result<Server>| {
        let space = strangers::space()?;
        // An address of each family that is not a loopback address.
        space.ip("addr add 10.0.0.1/32 dev lo")?;
        space.ip("addr add 2a00:1::1/128 dev lo")?;
        let server = start(Some(&space), flags)?;
        measure(&space, &server)
    };
    Ok([of(Server::start)?, of(Server::coturn)?])
}
