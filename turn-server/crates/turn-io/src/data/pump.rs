//! One direction of a joined connection: bytes from a reader to a writer, and the reader's end after the last of them.

use std::{
    io::{self, IoSlice, Write},
    net::Shutdown,
};

use mio::net::TcpStream;

use crate::streams::{Backlog, Bytes, Incoming, none_if_full, read_plain, retry_interrupted};

/// One side of a joined connection; nothing of it ever blocks.
pub(crate) trait Side {
    /// Reads what there is.
    fn read(&mut self, into: &mut [u8]) -> io::Result<Incoming>;
    /// Writes as much as fits at the moment, zero when nothing does.
    fn write(&mut self, from: &[u8]) -> io::Result<usize>;
    /// Says that nothing more follows; the other direction goes on. Tells whether that has been said, or must be tried again.
    fn finish(&mut self) -> bool;
}

/// One direction.
#[derive(Default)]
pub(crate) struct Pump {
    /// Read, and not yet written.
    backlog: Backlog,
    /// Whether there may be something to read.
    pub(crate) readable: bool,
    /// Whether the reader has come to its end.
    ended: bool,
    /// Whether the writer has been told of it.
    finished: bool,
}

/// What a step has come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// Bytes read.
    pub(crate) moved: usize,
    /// Whether another step would find something to do at once.
    pub(crate) more: bool,
}

impl Pump {
    /// Begins with bytes that were read elsewhere.
    pub(crate) fn with_backlog(backlog: Backlog) -> Self {
        Self {
            backlog,
            readable: true,
            ..Self::default()
        }
    }

    /// Whether all has been written and the end told.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Writes what waits; if nothing does any more, reads once, at most so many bytes, and writes that.
    ///
    /// # Errors
    /// When either side is broken.
    pub(crate) fn step(
        &mut self,
        from: &mut impl Side,
        to: &mut impl Side,
        scratch: &mut [u8],
        most: usize,
    ) -> io::Result<Step> {
        while !self.backlog.is_empty() {
            match to.write(self.backlog.as_slice())? {
                // The writer will be told when there is room again; nothing is read until then.
                0 => return Ok(Step::default()),
                count => self.backlog.consume(count),
            }
        }
        let mut step = Step::default();
        let room = most.min(scratch.len());
        if self.readable
            && !self.ended
            && let Some(scratch) = scratch.get_mut(..room).filter(|room| !room.is_empty())
        {
            match from.read(scratch)? {
                Incoming::Nothing { more } => {
                    self.readable = more;
                    step.more = more;
                }
                Incoming::End => self.ended = true,
                // A short read may have an end behind it, so it is not taken for the last.
                Incoming::Bytes { count, .. } => {
                    let bytes = scratch.get(..count).unwrap_or_default();
                    let written = to.write(bytes)?;
                    self.backlog.push(bytes.get(written..).unwrap_or_default());
                    step.moved = count;
                    // A partial write is followed by news of room, a whole one is not.
                    step.more = self.backlog.is_empty();
                }
            }
        }
        if self.ended && !self.finished && self.backlog.is_empty() {
            self.finished = to.finish();
        }
        Ok(step)
    }
}

impl Side for TcpStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<Incoming> {
        read_plain(self, into)
    }

    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        none_if_full(retry_interrupted(|| Write::write(self, from)))
    }

    fn finish(&mut self) -> bool {
        // It may be gone already, which is found by reading.
        let _ = self.shutdown(Shutdown::Write);
        true
    }
}

impl Side for Bytes {
    fn read(&mut self, into: &mut [u8]) -> io::Result<Incoming> {
        Bytes::read(self, into)
    }

    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        Bytes::write(self, &mut [IoSlice::new(from)])
    }

    fn finish(&mut self) -> bool {
        Bytes::finish(self)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, io};

    use super::{Incoming, Pump, Side, Step};

    /// A side whose reads and room are written down beforehand.
    #[derive(Default)]
    struct Script {
        reads: VecDeque<Vec<u8>>,
        ends: bool,
        room: usize,
        written: Vec<u8>,
        finished: bool,
    }

    impl Side for Script {
        fn read(&mut self, into: &mut [u8]) -> io::Result<Incoming> {
            match self.reads.pop_front() {
                Some(bytes) => {
                    into[..bytes.len()].copy_from_slice(&bytes);
                    Ok(Incoming::Bytes {
                        count: bytes.len(),
                        more: false,
                    })
                }
                None if self.ends => Ok(Incoming::End),
                None => Ok(Incoming::Nothing { more: false }),
            }
        }

        fn write(&mut self, from: &[u8]) -> io::Result<usize> {
            assert!(!self.finished, "writes after the end");
            let count = from.len().min(self.room);
            self.room -= count;
            self.written.extend_from_slice(&from[..count]);
            Ok(count)
        }

        fn finish(&mut self) -> bool {
            self.finished = true;
            true
        }
    }

    fn reader(reads: &[&[u8]], ends: bool) -> Script {
        Script {
            reads: reads.iter().map(|bytes| bytes.to_vec()).collect(),
            ends,
            ..Script::default()
        }
    }

    fn pump() -> Pump {
        Pump {
            readable: true,
            ..Pump::default()
        }
    }

    #[test]
    fn nothing_is_read_while_the_writer_has_no_room() {
        let (mut from, mut to) = (reader(&[b"first", b"second"], false), Script::default());
        to.room = 2;
        let mut pump = pump();
        let mut scratch = [0; 16];
        let step = pump
            .step(&mut from, &mut to, &mut scratch, usize::MAX)
            .unwrap();
        let expected = Step {
            moved: 5,
            more: false,
        };
        assert_eq!(step, expected);
        for _ in 0..3 {
            let step = pump
                .step(&mut from, &mut to, &mut scratch, usize::MAX)
                .unwrap();
            assert_eq!(step, Step::default());
        }
        assert_eq!(from.reads.len(), 1, "read without room");
        to.room = 100;
        pump.step(&mut from, &mut to, &mut scratch, usize::MAX)
            .unwrap();
        assert_eq!(to.written, b"firstsecond");
    }

    #[test]
    fn the_end_is_told_after_the_last_byte_and_once() {
        let (mut from, mut to) = (reader(&[b"last"], true), Script::default());
        to.room = 1;
        let mut pump = pump();
        let mut scratch = [0; 16];
        for _ in 0..3 {
            pump.step(&mut from, &mut to, &mut scratch, usize::MAX)
                .unwrap();
            assert!(!to.finished && !pump.is_finished());
        }
        to.room = 3;
        pump.step(&mut from, &mut to, &mut scratch, usize::MAX)
            .unwrap();
        assert!(to.finished && pump.is_finished());
        assert_eq!(to.written, b"last");
        pump.step(&mut from, &mut to, &mut scratch, usize::MAX)
            .unwrap();
    }

    #[test]
    fn it_reads_until_there_is_nothing_and_then_waits_for_news() {
        let (mut from, mut to) = (reader(&[b"a", b"b"], false), Script::default());
        to.room = 100;
        let mut pump = pump();
        let mut scratch = [0; 16];
        let mut steps = 0;
        while pump
            .step(&mut from, &mut to, &mut scratch, usize::MAX)
            .unwrap()
            .more
        {
            steps += 1;
        }
        assert_eq!((steps, pump.readable), (2, false));
        from.reads.push_back(b"c".to_vec());
        pump.step(&mut from, &mut to, &mut scratch, usize::MAX)
            .unwrap();
        assert_eq!(to.written, b"ab");
        pump.readable = true;
        pump.step(&mut from, &mut to, &mut scratch, usize::MAX)
            .unwrap();
        assert_eq!(to.written, b"abc");
    }

    #[test]
    fn no_more_is_read_than_may_pass_and_nothing_while_nothing_may() {
        /// Reads as much as it is let.
        struct Endless(usize);
        impl Side for Endless {
            fn read(&mut self, into: &mut [u8]) -> io::Result<Incoming> {
                assert!(!into.is_empty());
                self.0 += into.len();
                let count = into.len();
                Ok(Incoming::Bytes { count, more: true })
            }
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Ok(0)
            }
            fn finish(&mut self) -> bool {
                true
            }
        }
        let (mut from, mut to) = (Endless(0), Script::default());
        to.room = 1_000;
        let (mut pump, mut scratch) = (pump(), [0; 16]);
        for (most, expected) in [(3, 3), (0, 3), (100, 19)] {
            let step = pump.step(&mut from, &mut to, &mut scratch, most).unwrap();
            assert_eq!((from.0, to.written.len()), (expected, expected));
            assert_eq!(step.more, most > 0);
        }
    }
}
