//! Names of what can become ready, as numbers that the poller carries.

use mio::Token;
use turn_proto::{LinkId, RelayId};

use crate::data::Half;

/// Numbers of links stay below this, so that a token fits into 32 bits as well.
pub(crate) const LINKS: u32 = 1 << 28;

/// Links below are places of listening datagram sockets, which come and go while connections have theirs.
pub(crate) const LISTENERS: u32 = 1 << 16;

const KIND_BITS: u32 = 4;

/// Something a worker waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A command has come.
    Waker,
    /// A listening datagram socket, by its place.
    Listener(u32),
    /// The same that only those who have a session on it are still heard on.
    Retired(u32),
    /// A listening stream socket, by its place.
    Acceptor(u32),
    /// A relay socket.
    Relay(RelayId),
    /// A connection of a client.
    Stream(LinkId),
    /// A listening socket of a TCP allocation.
    PeerListener(RelayId),
    /// One half of a connection with a peer, by its place.
    Data(u32, Half),
}

impl Source {
    pub(crate) fn token(self) -> Token {
        let (kind, number) = match self {
            Self::Waker => (0, 0),
            Self::Listener(place) => (1, place),
            Self::Acceptor(place) => (2, place),
            Self::Relay(RelayId(number)) => (3, number),
            Self::Stream(LinkId(number)) => (4, number),
            Self::PeerListener(RelayId(number)) => (5, number),
            Self::Data(place, Half::Peer) => (6, place),
            Self::Data(place, Half::Client) => (7, place),
            Self::Retired(place) => (8, place),
        };
        Token(((number as usize) << KIND_BITS) | kind)
    }

    pub(crate) fn from_token(Token(token): Token) -> Option<Self> {
        let number = u32::try_from(token >> KIND_BITS).ok()?;
        Some(match token & ((1 << KIND_BITS) - 1) {
            0 => Self::Waker,
            1 => Self::Listener(number),
            2 => Self::Acceptor(number),
            3 => Self::Relay(RelayId(number)),
            4 => Self::Stream(LinkId(number)),
            5 => Self::PeerListener(RelayId(number)),
            6 => Self::Data(number, Half::Peer),
            7 => Self::Data(number, Half::Client),
            8 => Self::Retired(number),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use turn_proto::{LinkId, RelayId};

    use super::{Half, LINKS, LISTENERS, Source};

    #[test]
    fn every_source_comes_back_from_its_token() {
        let sources = [
            Source::Waker,
            Source::Listener(0),
            Source::Acceptor(7),
            Source::Relay(RelayId(LINKS - 1)),
            Source::Stream(LinkId(0)),
            Source::Stream(LinkId(LINKS - 1)),
            Source::PeerListener(RelayId(LINKS - 1)),
            Source::Data(0, Half::Peer),
            Source::Data(LINKS - 1, Half::Client),
            Source::Retired(LISTENERS - 1),
        ];
        for source in sources {
            assert_eq!(Source::from_token(source.token()), Some(source));
        }
    }
}
