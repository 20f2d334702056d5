//! Brings WebRTC clients together.
#![forbid(unsafe_code)]
pub mod hub;
