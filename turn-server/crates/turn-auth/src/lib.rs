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
mod oauth;
pub mod rest;
mod secret;
mod security_features;
mod ticket;
mod users;

pub use credentials::{Account, Claim, Credentials, User};
pub use long_term::{KeyAlgorithm, LongTermKey, userhash};
pub use nonce::{Nonce, NonceKey, NonceVerdict, Offer};
pub use oauth::{Token, TokenAlgorithm, TokenKey, TokenKeys, TokenRefused};
pub use secret::Secret;
pub use security_features::SecurityFeatures;
pub use ticket::{TicketKey, TicketName};
