//! Keys, time-limited credentials and nonces, as pure functions of what they are given.
//!
//! In: long-term keys, REST credentials minted and checked, the nonce that needs no table, and whom a relay believes. Not
//! in: messages (`turn-wire`), databases, and the answer to a client that is not believed. Time arrives as seconds of
//! the Unix clock; nothing here reads one.
//!
//! Minting and checking of a credential are one function each, [`rest::mint`] and [`Credentials::authenticate`], for all
//! who need them.
#![forbid(unsafe_code)]

mod credentials;
mod long_term;
mod nonce;
pub mod rest;
mod secret;

pub use credentials::{Account, Credentials};
pub use long_term::LongTermKey;
pub use nonce::{Nonce, NonceKey, NonceVerdict};
pub use secret::Secret;
