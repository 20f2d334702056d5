//! What a relayed packet says about whom it is for: only STUN inside it tells (RFC 8445 §7).
//!
//! ICE agents check their pairs in both directions and all the time. A check carries `USERNAME`, the receiver's fragment
//! before the sender's, and its answer repeats the check's transaction id: so a client that has sent one check is known by
//! both. Media and DTLS say nothing.

use turn_wire::{Class, Packet, TransactionId};

/// The longest name that is remembered: a fragment has up to 256 characters (RFC 8445 §5.3), but no known agent uses more
/// than 32, and what a client makes us remember has to end somewhere.
const LONGEST_NAME: usize = 128;

/// What a packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clue<'p> {
    /// It asks, perhaps under a name that a client has.
    Asks(TransactionId, Option<&'p [u8]>),
    /// It answers this transaction, and whether by success: an agent refuses whoever lacks its password (RFC 8445 §7.3).
    Answers(TransactionId, bool),
    /// Nothing.
    Nothing,
}

impl<'p> Clue<'p> {
    /// Reads a packet; most are told apart from STUN by their first byte.
    pub(super) fn of(payload: &'p [u8]) -> Self {
        let may_be_stun = payload.first().is_some_and(|byte| *byte <= 0b11);
        let Some(Ok(Packet::Stun(view))) = may_be_stun.then(|| turn_wire::parse(payload)) else {
            return Self::Nothing;
        };
        match view.class() {
            Class::Request => {
                let name = view.username().map(str::as_bytes);
                let name = name.filter(|name| name.len() <= LONGEST_NAME && name.contains(&b':'));
                Self::Asks(view.transaction_id(), name)
            }
            class @ (Class::Success | Class::Error) => {
                Self::Answers(view.transaction_id(), class == Class::Success)
            }
            Class::Indication => Self::Nothing,
        }
    }
}

/// The name under which the other side asks back: both fragments, the other way round.
pub(super) fn reversed(name: &[u8]) -> Option<Box<[u8]>> {
    let colon = name.iter().position(|byte| *byte == b':')?;
    let (receiver, sender) = (name.get(..colon)?, name.get(colon + 1..)?);
    Some([sender, b":", receiver].concat().into())
}

#[cfg(test)]
mod tests {
    use turn_wire::{Method, RequestBuilder};

    use super::{Clue, reversed};

    #[test]
    fn checks_and_their_answers_are_read_and_all_else_says_nothing() {
        let check = RequestBuilder::new(Method::BINDING, [1; 12]).username("them:us");
        let check = check.finish(None, true);
        assert_eq!(Clue::of(&check), Clue::Asks([1; 12], Some(b"them:us")));
        let mut answer = turn_wire::Responder::new();
        let answer = answer.success(Method::BINDING, [2; 12]).finish(None, true);
        assert_eq!(Clue::of(answer), Clue::Answers([2; 12], true));
        let keepalive = RequestBuilder::indication(Method::BINDING, [3; 12]).finish(None, true);
        for silent in [&keepalive[..], b"", &[0; 20], &[0x80; 40], &[22, 254, 253]] {
            assert_eq!(Clue::of(silent), Clue::Nothing);
        }
        // A name without two halves is not ICE's, and a very long one is not kept.
        for name in ["alice".to_owned(), format!("a:{}", "b".repeat(127))] {
            let request = RequestBuilder::new(Method::BINDING, [4; 12]).username(&name);
            let request = request.finish(None, false);
            assert_eq!(Clue::of(&request), Clue::Asks([4; 12], None));
        }
    }

    #[test]
    fn a_name_is_reversed_at_its_first_colon() {
        assert_eq!(reversed(b"them:us").as_deref(), Some(&b"us:them"[..]));
        assert_eq!(reversed(b"alice"), None);
    }
}
