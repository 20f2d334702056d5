//! Why a request is refused, and the one place where that becomes a number.

use turn_wire::Malformed;

use crate::{Capped, PeerDenied};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reject {
    /// Another server is to be asked.
    TryAlternate,
    /// A mandatory attribute is missing, malformed or contradicts another.
    BadRequest,
    /// No credentials, or wrong ones.
    Unauthorized,
    /// The peer may not be reached.
    Forbidden(PeerDenied),
    /// The server takes no new allocations, because it is about to end.
    Draining,
    /// Moving to another 5-tuple is not allowed here.
    MobilityForbidden,
    /// Attributes that must be understood are not.
    UnknownAttributes(Vec<u16>),
    /// There is no allocation, or there is one already.
    AllocationMismatch,
    /// The nonce is too old or not ours.
    StaleNonce,
    /// No relay address of that family.
    UnsupportedFamily,
    /// The allocation belongs to another user.
    WrongCredentials,
    /// No relay of that transport.
    UnsupportedTransport,
    /// The peer's family is not the relayed address's.
    PeerFamilyMismatch,
    /// There is a connection with the peer already.
    ConnectionExists,
    /// The peer refuses the connection, or does not answer.
    ConnectFailed,
    /// The user, his network, or all together have enough allocations.
    QuotaReached(Capped),
    /// They have enough permissions or channels.
    LimitReached(Capped),
    /// No port, or no room.
    InsufficientCapacity,
}

impl Reject {
    /// The error code (RFC 8489 §14.8, RFC 8656 §19, RFC 6062 §6.3, RFC 8016 §3.4).
    pub(crate) fn code(&self) -> u16 {
        match self {
            Self::TryAlternate => 300,
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            // As in coturn. A client that is to ask elsewhere gets 300 in its place, where the operator says where.
            Self::Forbidden(_) | Self::Draining => 403,
            Self::MobilityForbidden => 405,
            Self::UnknownAttributes(_) => 420,
            Self::AllocationMismatch => 437,
            Self::StaleNonce => 438,
            Self::UnsupportedFamily => 440,
            Self::WrongCredentials => 441,
            Self::UnsupportedTransport => 442,
            Self::PeerFamilyMismatch => 443,
            Self::ConnectionExists => 446,
            Self::ConnectFailed => 447,
            Self::QuotaReached(_) => 486,
            Self::InsufficientCapacity | Self::LimitReached(_) => 508,
        }
    }

    /// Refuses a request for the attributes that it should understand and does not: all of them, each once, in the order in
    /// which they came (RFC 8489 §14.13).
    pub(crate) fn of_unknown(kinds: impl Iterator<Item = u16>) -> Result<(), Self> {
        // One bit for each kind that must be understood: a long request costs no more than its length.
        let mut seen = [0_u64; 512];
        let mut unknown = Vec::new();
        for kind in kinds {
            let bit = 1 << (kind % 64);
            if let Some(word) = seen.get_mut(usize::from(kind / 64))
                && *word & bit == 0
            {
                *word |= bit;
                unknown.push(kind);
            }
        }
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(Self::UnknownAttributes(unknown))
        }
    }

    /// What the number means (the phrases of RFC 8489 §14.8 and RFC 8656 §19).
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::TryAlternate => "Try Alternate",
            Self::BadRequest => "Bad Request",
            Self::Unauthorized => "Unauthenticated",
            Self::Forbidden(_) | Self::Draining => "Forbidden",
            Self::MobilityForbidden => "Mobility Forbidden",
            Self::UnknownAttributes(_) => "Unknown Attribute",
            Self::AllocationMismatch => "Allocation Mismatch",
            Self::StaleNonce => "Stale Nonce",
            Self::UnsupportedFamily => "Address Family not Supported",
            Self::WrongCredentials => "Wrong Credentials",
            Self::UnsupportedTransport => "Unsupported Transport Protocol",
            Self::PeerFamilyMismatch => "Peer Address Family Mismatch",
            Self::ConnectionExists => "Connection Already Exists",
            Self::ConnectFailed => "Connection Timeout or Failure",
            Self::QuotaReached(_) => "Allocation Quota Reached",
            Self::InsufficientCapacity | Self::LimitReached(_) => "Insufficient Capacity",
        }
    }
}

impl From<Malformed> for Reject {
    fn from(_: Malformed) -> Self {
        Self::BadRequest
    }
}

#[cfg(test)]
mod tests {
    use super::Reject;
    use crate::{Capped, ERROR_CODES, Good, Holder, PeerDenied};

    #[test]
    fn every_code_is_counted_and_every_counted_code_is_some_reason() {
        let capped = Capped {
            holder: Holder::User,
            good: Good::Allocations,
        };
        let all = [
            Reject::TryAlternate,
            Reject::BadRequest,
            Reject::Unauthorized,
            Reject::Forbidden(PeerDenied::Own),
            Reject::MobilityForbidden,
            Reject::UnknownAttributes(Vec::new()),
            Reject::AllocationMismatch,
            Reject::StaleNonce,
            Reject::UnsupportedFamily,
            Reject::WrongCredentials,
            Reject::UnsupportedTransport,
            Reject::PeerFamilyMismatch,
            Reject::ConnectionExists,
            Reject::ConnectFailed,
            Reject::QuotaReached(capped),
            Reject::LimitReached(capped),
            Reject::InsufficientCapacity,
        ];
        let mut codes: Vec<u16> = all.iter().map(Reject::code).collect();
        codes.dedup();
        assert_eq!(codes, ERROR_CODES);
    }
}
