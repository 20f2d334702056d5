//! Tests of the whole crate through its public face, in one program.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail loudly"
)]

mod agreement;
mod classic;
mod differential;
mod relayed_data;
mod rfc5769;
mod rfc8489;
mod roundtrip;
mod snapshots;
mod strict;
mod support;
mod values;
