//! What must hold of any bytes: one function per target, each of which panics when its promise is broken.
//!
//! In here: the promises. Not in here: where bytes come from. `tests/replay.rs` runs the committed corpora on stable;
//! `libfuzzer/` looks for new inputs with coverage, and `discover` counts how many it tried.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a broken promise is told"
)]

#[path = "../../../turn-server/crates/turn-wire/tests/wire/agreement.rs"]
mod agreement;
mod authentication;
mod bytes;
mod codec;
mod framing;
pub mod malformed;
mod proxy;
mod sessions;
#[path = "../../../turn-server/crates/turn-proto/tests/support/mod.rs"]
pub mod support;
mod view;

/// A target's name and what it runs on any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets, by the names of their corpora.
pub const TARGETS: [Target; 6] = [
    ("codec", codec::run),
    ("view", view::run),
    ("framing", framing::run),
    ("proxy", proxy::run),
    ("authentication", authentication::run),
    ("sessions", sessions::run),
];

/// Runs one target.
///
/// # Panics
/// When a promise is broken, or when there is no target of that name.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    (target.expect("a known target").1)(data);
}
