//! Answers to requests that ended an allocation, kept for a retransmission (RFC 8489 §6.3.1: the same answer again).
//!
//! Only authenticated clients get in, and only so many: an old answer gives way to a new one.

use std::collections::VecDeque;

use turn_wire::TransactionId;

use crate::Path;

/// 64 answers: a retransmission follows within half a second, so this covers 128 deletions a second per worker.
const KEPT: usize = 64;

/// The last few answers.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    answers: VecDeque<(Path, TransactionId, Box<[u8]>)>,
}

impl Recent {
    pub(crate) fn keep(&mut self, path: Path, id: TransactionId, answer: &[u8]) {
        if self.answers.len() >= KEPT {
            self.answers.pop_front();
        }
        self.answers.push_back((path, id, answer.into()));
    }

    pub(crate) fn find(&self, path: &Path, id: TransactionId) -> Option<&[u8]> {
        let found = self
            .answers
            .iter()
            .rev()
            .find(|(held, held_id, _)| *held_id == id && held == path);
        found.map(|(_, _, answer)| &answer[..])
    }
}
