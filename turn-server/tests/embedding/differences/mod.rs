//! Where this server answers otherwise than the crate's: each conversation is had with both, and both outcomes are asserted,
//! ours first. When the crate changes its ways, its half fails here, and the table in `EMBEDDING.md` loses a line.

mod answers;
mod relaying;

use std::net::SocketAddr;

use crate::network::{Make, World};

/// Plays a scenario with either server.
pub(crate) async fn both<T>(scenario: impl AsyncFn(World) -> T) -> (T, T) {
    let ours = scenario(World::new(Make::Ours).await).await;
    (ours, scenario(World::new(Make::Theirs).await).await)
}

pub(crate) fn peer(port: u16) -> SocketAddr {
    format!("1.2.3.5:{port}").parse().unwrap()
}

/// The code of an answer: `None` where none came, 200 for success, 0 for an error response without a code.
pub(crate) fn code(answer: Option<crate::client::Answer>) -> Option<u16> {
    answer.map(|answer| answer.code().unwrap_or(200))
}
