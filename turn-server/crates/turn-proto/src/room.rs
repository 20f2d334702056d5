//! How long an error response may become: over UDP an answer to somebody who has proven nothing may go to a victim of his.

use turn_wire::MessageView;

use crate::{Path, Transport};

/// How long an error response may become. Over UDP whoever asks may be somebody else's victim until a key has proven the opposite.
pub(crate) struct Room {
    left: usize,
}

impl Room {
    /// What an answer to a source without proof may be long, in hundredths of its request: the challenge that a browser's first
    /// Allocate needs, and nothing above (60 bytes for 28).
    const FACTOR: usize = 215;

    pub(crate) fn of(
        path: &Path,
        view: &MessageView<'_>,
        is_proven: bool,
        fingerprint: bool,
    ) -> Self {
        if is_proven || path.transport != Transport::Udp {
            return Self { left: usize::MAX };
        }
        let mut room = Self {
            left: view.packet_len() * Self::FACTOR / 100,
        };
        // The header, and ERROR-CODE without a reason.
        room.take(20 + attribute_len(4));
        room.take(if fingerprint { attribute_len(4) } else { 0 });
        room
    }

    /// Counts what has to be sent in any case.
    pub(crate) fn take(&mut self, length: usize) {
        self.left = self.left.saturating_sub(length);
    }

    /// Counts what is sent if there is room for it.
    pub(crate) fn take_if_free(&mut self, length: usize) -> bool {
        let is_free = length <= self.left;
        self.left -= if is_free { length } else { 0 };
        is_free
    }
}

/// The length of an attribute with its header and padding.
pub(crate) fn attribute_len(value: usize) -> usize {
    4 + value.next_multiple_of(4)
}
