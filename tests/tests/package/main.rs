//! The Debian package on machines with systemd: the first start, the upgrade, coturn replaced and back again, and what the units
//! promise. Needs root, and the archive that the stage `package` makes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod installing;
mod runbook;
mod signaling;
mod support;
mod units;
