//! The way of io_uring: one multishot receive per socket into buffers that all share, and sends that are submitted by the call
//! that waits for more. All that speaks for it is given: nothing is checked twice, and a send that succeeds is not even told.

use std::{
    alloc::{self, Layout},
    io, mem,
    os::fd::{AsRawFd, RawFd},
    slice,
    sync::atomic::{AtomicU16, Ordering},
};

use io_uring::{
    IoUring, cqueue, opcode, squeue,
    types::{BufRingEntry, Fd, RecvMsgOut},
};
use socket2::SockAddr;

use super::{HEADER, Stage};

const GROUP: u16 = 0;
const BUFFERS: u16 = 4096;
/// Room for what the kernel tells of a datagram, its sender, and a packet of a common MTU.
const BUFFER: usize = 2048;
const PAGE: usize = 4096;
/// What the completion of a send that failed is told by.
const SEND: u64 = u64::MAX;

/// Forwards until told to stop.
pub(crate) fn run(stage: &Stage) -> io::Result<()> {
    let mut ring = IoUring::builder()
        .setup_single_issuer()
        .setup_coop_taskrun()
        .setup_defer_taskrun()
        .setup_cqsize(2 * u32::from(BUFFERS))
        .build(u32::from(BUFFERS))?;
    let mut buffers = Buffers::new()?;
    // SAFETY: the ring of buffers lives longer than the ring, which is dropped first.
    unsafe {
        (ring.submitter()).register_buf_ring_with_flags(buffers.base as u64, BUFFERS, GROUP, 0)?;
    }
    // SAFETY: a C struct of integers and pointers, for which zeroes are a value.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_namelen = size_of::<libc::sockaddr_in6>() as u32;
    let sockets: Vec<RawFd> = (stage.relays.iter().chain([&stage.listener]))
        .map(AsRawFd::as_raw_fd)
        .collect();
    let (peer, client) = (
        SockAddr::from(stage.peer_address),
        SockAddr::from(stage.client_address),
    );
    for number in 0..sockets.len() {
        push(stage, &mut ring, &receive(&sockets, number, &header))?;
    }
    let mut completions: Vec<(u64, i32, u32)> = Vec::new();
    let mut sent = Vec::new();
    while !stage.is_over() {
        stage.count_call();
        ring.submit_and_wait(1)?;
        // A send of a datagram is done when it has been submitted, or has failed.
        sent.drain(..).for_each(|buffer| buffers.give(buffer));
        completions.extend(
            (ring.completion()).map(|done| (done.user_data(), done.result(), done.flags())),
        );
        for (number, result, flags) in completions.drain(..) {
            if number == SEND {
                continue;
            }
            let number = number as usize;
            if let Some(buffer) = cqueue::buffer_select(flags) {
                sent.push(buffer);
                let length = usize::try_from(result).unwrap_or(0);
                if let Some(packet) = packet(buffers.of(buffer, length), &header, number, stage) {
                    let (exit, to) = match packet.flow {
                        Some(flow) => (sockets.get(flow).copied(), &peer),
                        None => (Some(stage.listener.as_raw_fd()), &client),
                    };
                    if let Some(exit) = exit {
                        push(stage, &mut ring, &send(exit, packet.bytes, to))?;
                    }
                }
            }
            if !cqueue::more(flags) {
                push(stage, &mut ring, &receive(&sockets, number, &header))?;
            }
        }
    }
    drop(ring);
    Ok(())
}

struct Packet<'b> {
    /// Whose relay socket it leaves through; none to the client.
    flow: Option<usize>,
    bytes: &'b [u8],
}

/// Takes the header off a client's packet, or puts it on before a peer's: where the sender's address has stood.
fn packet<'b>(
    buffer: &'b mut [u8],
    header: &libc::msghdr,
    number: usize,
    stage: &Stage,
) -> Option<Packet<'b>> {
    let length = RecvMsgOut::parse(buffer, header).ok()?.payload_data().len();
    let start = buffer.len().checked_sub(length)?;
    if number == stage.relays.len() {
        let (flow, bytes) = buffer.get(start..)?.split_first_chunk::<HEADER>()?;
        let flow = Some(u32::from_be_bytes(*flow) as usize);
        return Some(Packet { flow, bytes });
    }
    let start = start.checked_sub(HEADER)?;
    let flow = (number as u32).to_be_bytes();
    buffer
        .get_mut(start..start + HEADER)?
        .copy_from_slice(&flow);
    let bytes = buffer.get(start..)?;
    Some(Packet { flow: None, bytes })
}

fn receive(sockets: &[RawFd], number: usize, header: &libc::msghdr) -> squeue::Entry {
    opcode::RecvMsgMulti::new(Fd(sockets[number]), header, GROUP)
        .build()
        .user_data(number as u64)
}

fn send(exit: RawFd, bytes: &[u8], to: &SockAddr) -> squeue::Entry {
    opcode::Send::new(Fd(exit), bytes.as_ptr(), bytes.len() as u32)
        .dest_addr(to.as_ptr().cast())
        .dest_addr_len(to.len())
        .build()
        .flags(squeue::Flags::SKIP_SUCCESS)
        .user_data(SEND)
}

fn push(stage: &Stage, ring: &mut IoUring, entry: &squeue::Entry) -> io::Result<()> {
    // SAFETY: what an entry leads to lives as long as the ring: the header and the addresses in `run`, the bytes in `Buffers`, where
    // nothing is written while a send is under way.
    while unsafe { ring.submission().push(entry) }.is_err() {
        stage.count_call();
        ring.submit()?;
    }
    Ok(())
}

/// Buffers that the kernel takes from a ring and that are given back to it.
struct Buffers {
    base: *mut BufRingEntry,
    bytes: *mut u8,
    layouts: [Layout; 2],
    tail: u16,
}

impl Buffers {
    fn new() -> io::Result<Self> {
        let layout = |bytes| Layout::from_size_align(bytes, PAGE).map_err(io::Error::other);
        let layouts = [
            layout(usize::from(BUFFERS) * size_of::<BufRingEntry>())?,
            layout(usize::from(BUFFERS) * BUFFER)?,
        ];
        // SAFETY: neither layout is of size zero.
        let [base, bytes] = layouts.map(|layout| unsafe { alloc::alloc_zeroed(layout) });
        if base.is_null() || bytes.is_null() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let mut buffers = Self {
            base: base.cast(),
            bytes,
            layouts,
            tail: 0,
        };
        (0..BUFFERS).for_each(|buffer| buffers.give(buffer));
        Ok(buffers)
    }

    /// The bytes that have come into a buffer.
    fn of(&mut self, buffer: u16, length: usize) -> &mut [u8] {
        let start = usize::from(buffer % BUFFERS) * BUFFER;
        // SAFETY: within the allocation; the kernel has given this buffer out, and writes it no more until it is given back.
        unsafe { slice::from_raw_parts_mut(self.bytes.add(start), length.min(BUFFER)) }
    }

    /// Lets the kernel use a buffer.
    fn give(&mut self, buffer: u16) {
        let start = usize::from(buffer % BUFFERS) * BUFFER;
        // SAFETY: the entry lies within the ring, behind all that the kernel may read until the tail says more; the tail is a
        // number that both sides read and write whole.
        unsafe {
            let entry = &mut *self.base.add(usize::from(self.tail % BUFFERS));
            entry.set_addr(self.bytes.add(start) as u64);
            entry.set_len(BUFFER as u32);
            entry.set_bid(buffer);
            self.tail = self.tail.wrapping_add(1);
            let tail = BufRingEntry::tail(self.base).cast::<AtomicU16>();
            (*tail).store(self.tail, Ordering::Release);
        }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: both were allocated in `new` with these layouts.
        unsafe {
            alloc::dealloc(self.base.cast(), self.layouts[0]);
            alloc::dealloc(self.bytes, self.layouts[1]);
        }
    }
}
