//! The batched calls of Linux, `recvmmsg` and `sendmmsg`, with header arrays that are laid out once; and `sendto` for a packet
//! that leaves alone.
//!
//! The system is called without the C library's functions of these names: there each call is a point where its thread may be
//! cancelled, at the price of two atomic operations, and no thread of Rust ever is.
//!
//! Not in here: what to do about errors of a batch (`sender.rs`), and the slots' memory (`memory.rs`).
#![allow(unsafe_code)]

use std::{
    io,
    iter::Peekable,
    marker::PhantomData,
    mem,
    net::{Ipv4Addr, SocketAddr},
    os::fd::{AsRawFd, BorrowedFd},
    ptr, slice,
};

use libc::{c_int, c_long, c_uint, iovec, mmsghdr};
use socket2::{Domain, Socket, Type};

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
    #[inline]
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
                libc::syscall(
                    libc::SYS_recvmmsg,
                    socket.as_raw_fd(),
                    headers.as_mut_ptr(),
                    headers.len() as c_uint,
                    libc::MSG_DONTWAIT,
                    ptr::null_mut::<libc::timespec>(),
                )
            }
        })?;
        let (headers, received) = (&mut headers[..count], &mut received[..count]);
        let places = &self.places[first..first + count];
        for ((header, place), received) in headers.iter_mut().zip(places).zip(received) {
            let from = place.name.decode(header.msg_hdr.msg_namelen);
            // Other than IP can't be: the caller opened the socket. If it does, no one has this address.
            let from = from.unwrap_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
            let told = place.control.decode(length_of(header));
            let length = header.msg_len as usize;
            *received = Received {
                length,
                each: if told.train == 0 { length } else { told.train },
                from,
                traffic_class: told.traffic_class,
            };
            header.msg_hdr.msg_namelen = Name::BYTES;
            header.msg_hdr.msg_controllen = Control::BYTES as _;
        }
        Ok(count)
    }
}

/// Datagrams in the longest train that is sent: what the kernel takes, up to version 6.8.
const LONGEST_TRAIN: usize = 64;

/// Bytes of the longest train: UDP's length field less its header, and less that of IPv4.
const TRAIN_BYTES: usize = 65_507;

/// Vectors for each header: in a mixed batch few headers lead trains, and a batch ends where the vectors do.
const VECTORS_PER_HEADER: usize = 4;

/// Whether the running kernel makes a train into datagrams again. One that does not know the request would send it as one datagram.
pub(crate) fn sends_trains() -> bool {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None);
    let Ok(socket) = socket.or_else(|_| Socket::new(Domain::IPV6, Type::DGRAM, None)) else {
        return false;
    };
    let (mut value, mut length): (c_int, _) = (0, size_of::<c_int>() as libc::socklen_t);
    // SAFETY: the kernel writes at most an integer and its length, both alive, and is told how much room there is.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    result == 0
}

/// Headers for sending, filled anew for each batch.
pub(crate) struct Outbound {
    headers: Vec<mmsghdr>,
    places: Vec<Place>,
    vectors: Vec<iovec>,
}

impl Outbound {
    pub(crate) fn new(capacity: usize) -> Self {
        let (headers, places, mut vectors) = arrays(capacity);
        vectors.resize(capacity * VECTORS_PER_HEADER, NOTHING);
        Self {
            headers,
            places,
            vectors,
        }
    }

    /// Takes a packet and more up to the capacity, with `trains` those that may leave as one behind one header; what it gives
    /// back offers them to the kernel and must not outlive them.
    pub(crate) fn fill<'a>(
        &mut self,
        first: Outgoing<'a>,
        packets: &mut Peekable<impl Iterator<Item = Outgoing<'a>>>,
        trains: bool,
    ) -> Filled<'_, 'a> {
        let (mut count, mut next) = (0, Some(first));
        let mut vectors = self.vectors.as_mut_slice();
        for (header, place) in self.headers.iter_mut().zip(&mut self.places) {
            if vectors.is_empty() {
                break;
            }
            let Some(first) = next.take().or_else(|| packets.next()) else {
                break;
            };
            let room = if trains {
                vectors.len().min(LONGEST_TRAIN)
            } else {
                1
            };
            let length = couple(&first, packets, &mut vectors[..room]);
            let (own, rest) = mem::take(&mut vectors).split_at_mut(length);
            vectors = rest;
            header.msg_hdr.msg_namelen = place.name.encode(first.to);
            header.msg_hdr.msg_name = ptr::from_mut(&mut place.name).cast();
            header.msg_hdr.msg_iovlen = own.len() as _;
            header.msg_hdr.msg_iov = own.as_mut_ptr();
            let each = if length == 1 { 0 } else { first.bytes.len() };
            let each = u16::try_from(each).unwrap_or(0);
            let to_v4 = first.to.is_ipv4();
            header.msg_hdr.msg_controllen =
                place.control.encode(first.traffic_class, to_v4, each) as _;
            header.msg_hdr.msg_control = ptr::from_mut(&mut place.control).cast();
            count += 1;
        }
        Filled {
            headers: &mut self.headers[..count],
            _packets: PhantomData,
        }
    }
}

/// Lays out a packet and those behind it that may leave with it, as many as there is room for, and tells how many these are: to
/// the same place, in the same class, of the same length, except that a shorter one may be the last. None of them is empty.
fn couple<'a>(
    first: &Outgoing<'a>,
    packets: &mut Peekable<impl Iterator<Item = Outgoing<'a>>>,
    vectors: &mut [iovec],
) -> usize {
    let each = first.bytes.len();
    let mut left = TRAIN_BYTES.saturating_sub(each);
    let (mut last, mut count) = (each, 0);
    let mut next = Some(*first);
    for vector in vectors {
        let packet = match next.take() {
            Some(packet) => Some(packet),
            None => packets.next_if(|packet| {
                let length = packet.bytes.len();
                let fits = last == each && 0 < length && length <= each.min(left);
                fits && packet.to == first.to && packet.traffic_class == first.traffic_class
            }),
        };
        let Some(packet) = packet else { break };
        vector.iov_base = packet.bytes.as_ptr().cast_mut().cast();
        vector.iov_len = packet.bytes.len();
        if count > 0 {
            last = packet.bytes.len();
            left -= last;
        }
        count += 1;
    }
    count
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

    /// How many packets a header leads to.
    pub(crate) fn packets(&self, index: usize) -> usize {
        self.headers.get(index).map_or(0, vectors_of)
    }

    /// Sends from header `first` on and tells how many of them the kernel took, at least one.
    pub(crate) fn send(&mut self, socket: BorrowedFd<'_>, first: usize) -> io::Result<usize> {
        send_headers(socket, &mut self.headers[first..])
    }

    /// Sends one packet of a header's train by itself.
    pub(crate) fn send_alone(
        &mut self,
        socket: BorrowedFd<'_>,
        index: usize,
        packet: usize,
    ) -> io::Result<usize> {
        let mut header = self.headers[index];
        assert!(packet < vectors_of(&header), "a packet of this train");
        header.msg_hdr.msg_iov = header.msg_hdr.msg_iov.wrapping_add(packet);
        header.msg_hdr.msg_iovlen = 1;
        // The request for a train is the last attribute: what stands before it stays.
        let with_train = length_of(&header);
        header.msg_hdr.msg_controllen = Control::without_train(with_train) as _;
        send_headers(socket, slice::from_mut(&mut header))
    }
}

/// Sends headers of a [`Filled`] batch.
fn send_headers(socket: BorrowedFd<'_>, headers: &mut [mmsghdr]) -> io::Result<usize> {
    retry_interrupted(|| {
        // SAFETY: every header is of a `Filled` that is borrowed mutably: it leads to one address and one control buffer in the
        // scratch, and by vectors in the scratch to packets that `'a` keeps alive, as many as it says of each; the kernel only
        // reads them, and writes `msg_len` of as many headers as the slice has.
        unsafe {
            libc::syscall(
                libc::SYS_sendmmsg,
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                headers.len() as c_uint,
                libc::MSG_DONTWAIT,
            )
        }
    })
}

/// Sends one packet of no traffic class. The system needs less for it than for a batch of one.
pub(crate) fn send_one(socket: BorrowedFd<'_>, packet: &Outgoing<'_>) -> io::Result<usize> {
    let mut name = Name::default();
    let length = name.encode(packet.to);
    retry_interrupted(|| {
        // SAFETY: the kernel only reads, and of the bytes and the address, which are both borrowed here, as much as there is.
        unsafe {
            libc::syscall(
                libc::SYS_sendto,
                socket.as_raw_fd(),
                packet.bytes.as_ptr(),
                packet.bytes.len(),
                libc::MSG_DONTWAIT,
                &raw const name,
                length,
            )
        }
    })
}

/// How many vectors a header leads to.
#[allow(
    clippy::unnecessary_cast,
    reason = "C libraries differ in the type of this length"
)]
fn vectors_of(header: &mmsghdr) -> usize {
    header.msg_hdr.msg_iovlen as usize
}

/// How many bytes of ancillary data the kernel wrote.
#[allow(
    clippy::unnecessary_cast,
    reason = "C libraries differ in the type of this length"
)]
fn length_of(header: &mmsghdr) -> usize {
    header.msg_hdr.msg_controllen as usize
}

const NOTHING: iovec = iovec {
    iov_base: ptr::null_mut(),
    iov_len: 0,
};

fn arrays(length: usize) -> (Vec<mmsghdr>, Vec<Place>, Vec<iovec>) {
    // SAFETY: a C struct of integers and pointers, for which zeroes are a value (and `msghdr` has private padding, so that
    // it can't be written out field by field on every C library).
    let header: mmsghdr = unsafe { mem::zeroed() };
    (
        vec![header; length],
        vec![Place::default(); length],
        vec![NOTHING; length],
    )
}

fn retry_interrupted(mut call: impl FnMut() -> c_long) -> io::Result<usize> {
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
