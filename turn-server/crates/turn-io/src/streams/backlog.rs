//! Bytes that a connection did not take yet: bounded, and without memory of its own while empty.

/// Room that is kept for the next time; a larger one is given back once empty.
const KEPT: usize = 2 * 1024;

/// A queue of bytes.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    bytes: Vec<u8>,
    /// What comes before it is written already.
    start: usize,
}

impl Backlog {
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Adds bytes whatever their number: the rest of a message whose beginning is written.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        // Written bytes are moved over once they are the larger part, so each byte is moved at most once on average.
        if self.start > self.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds a message if the queue then holds no more than `limit` bytes, or was empty; tells whether it did.
    pub(crate) fn offer(&mut self, message: &[u8], limit: usize) -> bool {
        let fits = self.is_empty() || self.len().saturating_add(message.len()) <= limit;
        if fits {
            self.push(message);
        }
        fits
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Forgets the first `count` bytes, which are written.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = self.bytes.len().min(self.start.saturating_add(count));
        if self.is_empty() {
            self.bytes.clear();
            self.bytes.shrink_to(KEPT);
            self.start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Backlog, KEPT};

    #[test]
    fn bytes_come_out_in_order_across_partial_writes() {
        let mut backlog = Backlog::default();
        let mut out = Vec::new();
        for round in 0..200u8 {
            backlog.push(&[round; 7]);
            out.extend_from_slice(&backlog.as_slice()[..5]);
            backlog.consume(5);
        }
        out.extend_from_slice(backlog.as_slice());
        assert!(
            out.iter()
                .copied()
                .eq((0..200u8).flat_map(|round| [round; 7]))
        );
    }

    #[test]
    fn a_message_that_does_not_fit_is_refused_whole() {
        let mut backlog = Backlog::default();
        assert!(backlog.offer(&[1; 60], 100));
        assert!(!backlog.offer(&[2; 41], 100));
        assert!(backlog.offer(&[3; 40], 100));
        assert_eq!(backlog.len(), 100);
    }

    #[test]
    fn one_message_larger_than_the_limit_passes_when_nothing_waits() {
        let mut backlog = Backlog::default();
        assert!(backlog.offer(&[1; 300], 100));
        assert!(!backlog.offer(&[2], 100));
    }

    #[test]
    fn memory_is_given_back_and_does_not_grow_with_the_bytes_that_passed() {
        let mut backlog = Backlog::default();
        for _ in 0..1_000 {
            backlog.push(&[0; 60_000]);
            backlog.consume(59_000);
            backlog.consume(1_000);
        }
        assert!(backlog.is_empty() && backlog.bytes.capacity() <= KEPT);
        for _ in 0..1_000 {
            backlog.push(&[0; 1_000]);
            backlog.consume(if backlog.len() > 10_000 { 1_000 } else { 0 });
        }
        assert!(
            backlog.bytes.capacity() < 100_000,
            "{}",
            backlog.bytes.capacity()
        );
    }
}
