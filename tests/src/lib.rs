//! What the end-to-end tests share: servers, foreign clients, browsers and networks, each one value that cleans up after itself.
//!
//! Nothing here knows the project's crates: the tests look at the programs from outside, the way an operator does.
//! The tests themselves are in `tests/`, the command that runs them all is `run`.
#![forbid(unsafe_code)]

pub mod answer;
pub mod browser;
pub mod call;
pub mod certificate;
pub mod classic;
pub mod conversation;
pub mod flood;
pub mod http;
pub mod line;
pub mod machine;
pub mod nat;
pub mod natdiscovery;
pub mod netns;
pub mod postgres;
pub mod process;
pub mod server;
pub mod strangers;
pub mod turn_client;
pub mod uclient;
