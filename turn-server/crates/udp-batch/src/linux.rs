//! The batched calls of Linux, `recvmmsg` and `sendmmsg`, with header arrays that are laid out once.
//!
//! Not in here: what to do about errors of a batch (`sender.rs`), and the slots' memory (`memory.rs`).
#![allow(unsafe_code)]

use std::{
    io,
    marker::PhantomData,
    mem,
    net::{Ipv4Addr, SocketAddr},
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

use libc::{c_int, c_uint, iovec, mmsghdr};

use crate::{Outgoing, arena::Received, control::Control, memory::Memory, name::Name};

/// What the kernel is told, or tells, beside a datagram: where it goes to or comes from, and its traffic class.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Place {
    name: Name,
    control: Control,
}

impl Place {
    const NAME: usize = mem::offset_of!(Self, name);
    const CONTROL: usize = mem::offset_of!(Self, control);
}

/// Whether the running kernel (or the sandbox around this process) has the calls.
pub(crate) fn is_supported() -> bool {
    let no_socket: c_int = -1;
    // SAFETY: no socket and no headers, so nothing is read or written: the call can only fail.
    let received = unsafe {
        libc::recvmmsg(
            no_socket,
            ptr::null_mut(),
            0,
            libc::MSG_DONTWAIT,
            ptr::null_mut(),
        )
    };
    // A call that exists objects to the descriptor; one that is missing or forbidden fails otherwise.
    received == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::EBADF)
}

/// Headers for receiving: one per slot, each leading to its slot's payload and to places for the sender's address and for
/// the traffic class.
///
/// The pointers are set once. They stay valid because the arrays are never resized and the memory lives as long: both are
/// fields of one [`crate::Arena`].
pub(crate) struct Inbound {
    headers: Vec<mmsghdr>,
    places: Vec<Place>,
    /// Only the kernel reads it, through `headers`.
    _vectors: Vec<iovec>,
}

impl Inbound {
    /// Lays out headers for `slots` payloads of `length` bytes, the first at `offset`, each `stride` behind the last.
    pub(crate) fn new(
        memory: &Memory,
        slots: usize,
        offset: usize,
        stride: usize,
        length: usize,
    ) -> Self {
        let (mut headers, mut places, mut vectors) = arrays(slots);
        for (index, vector) in vectors.iter_mut().enumerate() {
            vector.iov_base = memory
                .base()
                .as_ptr()
                .wrapping_add(offset + index * stride)
                .cast();
            vector.iov_len = length;
        }
        // Taken from the vectors themselves, not from slices of them: such pointers outlive shared borrows, and no mutable
        // one is made any more.
        let (first_place, first_vector) = (places.as_mut_ptr(), vectors.as_mut_ptr());
        for (index, header) in headers.iter_mut().enumerate() {
            let place = first_place.wrapping_add(index);
            header.msg_hdr.msg_name = place.wrapping_byte_add(Place::NAME).cast();
            header.msg_hdr.msg_namelen = Name::BYTES;
            header.msg_hdr.msg_iov = first_vector.wrapping_add(index);
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = place.wrapping_byte_add(Place::CONTROL).cast();
            header.msg_hdr.msg_controllen = Control::BYTES as _;
        }
        Self {
            headers,
            places,
            _vectors: vectors,
        }
    }

    /// Fills slots from `first` on, as many as `received` is long; short when the socket is empty.
    ///
    /// `_memory` is what the headers lead into, borrowed mutably so that no slice of it is alive.
    pub(crate) fn receive(
        &mut self,
        _memory: &mut Memory,
        socket: BorrowedFd<'_>,
        first: usize,
        received: &mut [Received],
    ) -> io::Result<usize> {
        let headers = &mut self.headers[first..first + received.len()];
        let count = retry_interrupted(|| {
            // SAFETY: every header leads to one address, one control buffer, one vector and one payload, each alive, of the stated
            // length and borrowed mutably through `self` and `_memory`; the kernel writes as many headers as the slice has.
            unsafe {
                libc::recvmmsg(
                    socket.as_raw_fd(),
                    headers.as_mut_ptr(),
                    headers.len() as c_uint,
                    libc::MSG_DONTWAIT,
                    ptr::null_mut(),
                )
            }
        })?;
        for ((header, place), received) in headers
            .iter_mut()
            .zip(&self.places[first..])
            .zip(received)
            .take(count)
        {
            let from = place.name.decode(header.msg_hdr.msg_namelen);
            // Other than IP can't be: the caller opened the socket. If it does, no one has this address.
            let from = from.unwrap_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
            *received = Received {
                length: header.msg_len as usize,
                from,
                traffic_class: place.control.decode(length_of(header)),
            };
            header.msg_hdr.msg_namelen = Name::BYTES;
            header.msg_hdr.msg_controllen = Control::BYTES as _;
        }
        Ok(count)
    }
}

/// Headers for sending, filled anew for each batch.
pub(crate) struct Outbound {
    headers: Vec<mmsghdr>,
    places: Vec<Place>,
    vectors: Vec<iovec>,
}

impl Outbound {
    pub(crate) fn new(capacity: usize) -> Self {
        let (headers, places, vectors) = arrays(capacity);
        Self {
            headers,
            places,
            vectors,
        }
    }

    /// Takes packets up to the capacity; what it gives back offers them to the kernel and must not outlive them.
    pub(crate) fn fill<'a>(
        &mut self,
        packets: &mut impl Iterator<Item = Outgoing<'a>>,
    ) -> Filled<'_, 'a> {
        let mut count = 0;
        for ((header, place), vector) in self
            .headers
            .iter_mut()
            .zip(&mut self.places)
            .zip(&mut self.vectors)
        {
            let Some(packet) = packets.next() else { break };
            vector.iov_base = packet.bytes.as_ptr().cast_mut().cast();
            vector.iov_len = packet.bytes.len();
            header.msg_hdr.msg_namelen = place.name.encode(packet.to);
            header.msg_hdr.msg_name = ptr::from_mut(&mut place.name).cast();
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_controllen = match packet.traffic_class {
                0 => 0,
                class => place.control.encode(class, packet.to.is_ipv4()) as _,
            };
            header.msg_hdr.msg_control = ptr::from_mut(&mut place.control).cast();
            count += 1;
        }
        Filled {
            headers: &mut self.headers[..count],
            _packets: PhantomData,
        }
    }
}

/// A batch whose headers lead to packets that are still borrowed.
pub(crate) struct Filled<'h, 'a> {
    headers: &'h mut [mmsghdr],
    _packets: PhantomData<&'a [u8]>,
}

impl Filled<'_, '_> {
    pub(crate) fn len(&self) -> usize {
        self.headers.len()
    }

    /// Sends from packet `first` on and tells how many the kernel took, at least one.
    pub(crate) fn send(&mut self, socket: BorrowedFd<'_>, first: usize) -> io::Result<usize> {
        let rest = &mut self.headers[first..];
        retry_interrupted(|| {
            // SAFETY: every header leads to one address and one control buffer in the scratch, borrowed through `self`, and to one packet that `'a`
            // keeps alive; the kernel only reads them, and writes `msg_len` of as many headers as the slice has.
            unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as c_uint,
                    libc::MSG_DONTWAIT,
                )
            }
        })
    }
}

/// How many bytes of ancillary data the kernel wrote.
#[allow(
    clippy::unnecessary_cast,
    reason = "C libraries differ in the type of this length"
)]
fn length_of(header: &mmsghdr) -> usize {
    header.msg_hdr.msg_controllen as usize
}

fn arrays(length: usize) -> (Vec<mmsghdr>, Vec<Place>, Vec<iovec>) {
    // SAFETY: a C struct of integers and pointers, for which zeroes are a value (and `msghdr` has private padding, so that
    // it can't be written out field by field on every C library).
    let header: mmsghdr = unsafe { mem::zeroed() };
    let vector = iovec {
        iov_base: ptr::null_mut(),
        iov_len: 0,
    };
    (
        vec![header; length],
        vec![Place::default(); length],
        vec![vector; length],
    )
}

fn retry_interrupted(mut call: impl FnMut() -> c_int) -> io::Result<usize> {
    loop {
        if let Ok(count) = usize::try_from(call()) {
            return Ok(count);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
