//! The server inside a program: what the `turn` crate's own tests ask of a server, asked of ours in our words, and every
//! point in which the two differ, shown on both.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod allocations;
mod brought;
mod client;
mod differences;
mod handlers;
mod lifecycle;
mod network;
mod one_line;
mod places;
mod serving;
