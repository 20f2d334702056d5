//! The receive buffers: fixed slots in one allocation, filled by either backend.
//!
//! ```text
//! slot   ├─headroom─┤─payload (up to MAX_DATAGRAM)────────┤─tailroom─┤   next slot: one stride further
//! ```
//! A slot may hold a train: datagrams of one sender and one length, of which the last may be shorter, that the kernel hands
//! over as one. They lie end to end, until they are moved apart so that each has its headroom and tailroom:
//! ```text
//! train  ├─headroom─┤─first─┤─second┤─last┤
//! apart  ├─headroom─┤─first─┤─tailroom─┤─headroom─┤─second┤─tailroom─┤─headroom─┤─last┤─tailroom─┤
//! ```

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    ops::Range,
    os::fd::BorrowedFd,
};

#[cfg(target_os = "linux")]
use crate::linux;
use crate::{Backend, memory::Memory, plain};

/// Bytes of payload that fit into a slot: the largest value of UDP's length field, so that nothing is ever cut off.
pub const MAX_DATAGRAM: usize = 65_535;

/// Datagrams in the longest train that Linux makes (`UDP_MAX_SEGMENTS`; 64 before version 6.9).
const LONGEST_TRAIN: usize = 128;

const CACHE_LINE: usize = 64;

/// Cache lines by which slots are moved apart. Slots at distances of a large power of two would share the same few sets of
/// the caches, since only the first bytes of each are used. 37 lines hold a packet of a common MTU, and 37 is odd.
const SKEW_LINES: usize = 37;

/// Fixed buffers for received packets, allocated once, with room before and behind each payload.
///
/// The owner decides which slots are in use: [`Arena::receive`] overwrites the slots it is given.
pub struct Arena {
    memory: Memory,
    stride: usize,
    headroom: usize,
    /// What lies between two datagrams of a train that were moved apart.
    gap: usize,
    slot_bytes: usize,
    received: Vec<Received>,
    inbound: Inbound,
}

/// One slot: the whole buffer, and what the last datagram received into it left there.
pub struct Slot<'a> {
    /// Headroom, payload, tailroom.
    pub buf: &'a mut [u8],
    /// Where in `buf` the datagram lies, or the first of a train.
    pub payload: Range<usize>,
    /// Who sent it.
    pub from: SocketAddr,
    /// DSCP and ECN of its IP header; zero on sockets that do not tell, and with [`Backend::Plain`].
    pub traffic_class: u8,
}

#[derive(Clone, Copy)]
pub(crate) struct Received {
    pub(crate) length: usize,
    /// How long the datagrams of a train are; of one that came alone, its own length.
    pub(crate) each: usize,
    pub(crate) from: SocketAddr,
    pub(crate) traffic_class: u8,
}

/// Where in its slot each datagram of a train lies, or the only one.
#[derive(Clone, Debug)]
pub struct Datagrams {
    next: usize,
    each: usize,
    gap: usize,
    left: usize,
    ended: bool,
}

impl Iterator for Datagrams {
    type Item = Range<usize>;

    #[inline]
    fn next(&mut self) -> Option<Range<usize>> {
        // Once at least: a datagram may be empty.
        if self.ended {
            return None;
        }
        let length = self.each.min(self.left);
        let range = self.next..self.next + length;
        self.left -= length;
        self.next = range.end + self.gap;
        self.ended = self.left == 0;
        Some(range)
    }
}

enum Inbound {
    #[cfg(target_os = "linux")]
    Batched(linux::Inbound),
    Plain,
}

impl Arena {
    /// Allocates `slots` buffers with `headroom` bytes before and `tailroom` behind the largest payload.
    ///
    /// # Panics
    /// When `slots` is zero.
    pub fn new(backend: Backend, slots: usize, headroom: usize, tailroom: usize) -> Self {
        let gap = headroom + tailroom;
        let slot_bytes = MAX_DATAGRAM + LONGEST_TRAIN * gap;
        let stride = (slot_bytes.div_ceil(CACHE_LINE) + SKEW_LINES) * CACHE_LINE;
        let memory = Memory::new(stride * slots);
        let nothing = Received {
            length: 0,
            each: 0,
            from: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            traffic_class: 0,
        };
        let inbound = match backend {
            #[cfg(target_os = "linux")]
            Backend::Batched => Inbound::Batched(linux::Inbound::new(
                &memory,
                slots,
                headroom,
                stride,
                MAX_DATAGRAM,
            )),
            _ => Inbound::Plain,
        };
        Self {
            memory,
            stride,
            headroom,
            gap,
            slot_bytes,
            received: vec![nothing; slots],
            inbound,
        }
    }

    /// How many slots there are.
    pub fn slots(&self) -> usize {
        self.received.len()
    }

    /// Receives up to `max` datagrams or trains into the slots from `first` on, as far as they exist, and tells how many came.
    /// Trains come from sockets that were asked to take them ([`crate::take_trains`]).
    ///
    /// Never blocks. Fewer than asked for means that the socket was empty at that moment.
    ///
    /// # Errors
    /// An error pending on the socket (for one, ICMP about an earlier packet) when no datagram was received before it. The
    /// error is taken off by that: the socket may hold packets, so the caller tries again. An empty socket is `Ok(0)`.
    pub fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        first: usize,
        max: usize,
    ) -> io::Result<usize> {
        let end = first.saturating_add(max).min(self.slots());
        if first >= end {
            return Ok(0);
        }
        let result = match &mut self.inbound {
            #[cfg(target_os = "linux")]
            Inbound::Batched(inbound) => inbound.receive(
                &mut self.memory,
                socket,
                first,
                &mut self.received[first..end],
            ),
            Inbound::Plain => self.receive_singly(socket, first, end),
        };
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            other => other,
        }
    }

    /// The datagrams that were last received into slot `index`, as they lie there; none when there is no such slot.
    #[inline]
    pub fn datagrams(&self, index: usize) -> Datagrams {
        let received = self.received.get(index);
        Datagrams {
            next: self.headroom,
            each: received.map_or(0, |received| received.each),
            gap: 0,
            left: received.map_or(0, |received| received.length),
            ended: received.is_none(),
        }
    }

    /// Moves the datagrams of a train apart, so that each has headroom and tailroom of its own, and tells where they lie then.
    /// Once for what was received: [`Arena::datagrams`] does not tell of it. One that came alone stays where it is.
    pub fn move_apart(&mut self, index: usize) -> Datagrams {
        let together = self.datagrams(index);
        let apart = Datagrams {
            gap: self.gap,
            ..together.clone()
        };
        let count = match together.each {
            0 => 1,
            each => together.left.div_ceil(each),
        };
        if count > 1
            && let Some(buffer) = self.buffer_mut(index)
        {
            // From the last one on: each moves into room that only its followers have had.
            for place in (1..count.min(LONGEST_TRAIN)).rev() {
                let from = together.next + place * together.each;
                let length = together.each.min(together.left - place * together.each);
                buffer.copy_within(from..from + length, from + place * apart.gap);
            }
        }
        apart
    }

    /// The slot `index` with what was last received into it; `None` when there is no such slot.
    #[inline]
    pub fn slot_mut(&mut self, index: usize) -> Option<Slot<'_>> {
        let Received {
            length,
            each,
            from,
            traffic_class,
        } = *self.received.get(index)?;
        let payload = self.headroom..self.headroom + each.min(length);
        Some(Slot {
            buf: self.buffer_mut(index)?,
            payload,
            from,
            traffic_class,
        })
    }

    /// The buffer of slot `index` alone, for bytes that come from elsewhere than [`Arena::receive`].
    #[inline]
    pub fn buffer_mut(&mut self, index: usize) -> Option<&mut [u8]> {
        let start = self.start(index)?;
        self.memory.slice_mut(start..start + self.slot_bytes)
    }

    /// A part of the buffer of slot `index`; `None` where it does not lie within it.
    #[inline]
    pub fn bytes(&self, index: usize, range: Range<usize>) -> Option<&[u8]> {
        let start = self.start(index)?;
        self.memory
            .slice(start..start + self.slot_bytes)?
            .get(range)
    }

    fn receive_singly(
        &mut self,
        socket: BorrowedFd<'_>,
        first: usize,
        end: usize,
    ) -> io::Result<usize> {
        for index in first..end {
            let payload = self.headroom..self.headroom + MAX_DATAGRAM;
            let Some(buffer) = self.buffer_mut(index).and_then(|buf| buf.get_mut(payload)) else {
                break;
            };
            match plain::receive(socket, buffer) {
                Ok(received) => self.received[index] = received,
                // As with recvmmsg, packets that came before the error count; what is still queued behind an error that
                // arrived in between raises readiness anew.
                Err(_) if index > first => return Ok(index - first),
                Err(error) => return Err(error),
            }
        }
        Ok(end - first)
    }

    #[inline]
    fn start(&self, index: usize) -> Option<usize> {
        (index < self.slots()).then(|| index * self.stride)
    }
}
