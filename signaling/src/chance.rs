//! Random values, and the only place that draws them. The generator is seeded by the operating system and cryptographic.

use crate::hub::{ConnectionId, MemberId, Name, ResumeKey, Seat};

#[expect(clippy::disallowed_methods, reason = "the one place")]
pub(crate) fn connection_id() -> ConnectionId {
    ConnectionId(rand::random())
}

#[expect(clippy::disallowed_methods, reason = "the one place")]
pub(crate) fn seat() -> Seat {
    Seat {
        member: MemberId(rand::random()),
        resume: ResumeKey(rand::random()),
    }
}

/// An id for a peer that asked for one; so long that nobody guesses another's.
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub(crate) fn peer_id() -> String {
    let number: u128 = rand::random();
    format!("{number:032x}")
}

/// How names begin that the server gives.
pub(crate) const GUEST: &str = "guest-";

/// A name for somebody who gave none.
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub(crate) fn guest() -> Option<Name> {
    let number: u64 = rand::random();
    Name::parse(&format!("{GUEST}{number:016x}"))
}
